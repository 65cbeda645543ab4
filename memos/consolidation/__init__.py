"""Consolidation: what memories amount to together. Pure planning; knows no store."""
