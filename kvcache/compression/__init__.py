"""Policies that make a cache smaller, one per file, over mechanics that they share."""
