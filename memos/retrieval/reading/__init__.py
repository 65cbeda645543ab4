"""Texts and queries as they are read: terms, speakers, times, and what a text tells."""
