"""Forgetting: how strongly memories are held, and which go when. Pure; knows no store."""
