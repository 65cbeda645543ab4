"""Parametric memory: adapters, what they learn, and how they are made."""
