"""Retrieval without a language model: analysis, projection, channels, fusion, search."""
