"""Cubes in files: written from one snapshot, checked and read back into another database."""
