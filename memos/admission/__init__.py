"""Admission: which texts are stored as they come, which not, and why. Pure; knows no store."""
