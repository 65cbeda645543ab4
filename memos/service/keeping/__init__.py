"""Consolidation: planned, run in small parts, and what it promotes."""
