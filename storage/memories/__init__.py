"""Memories in SQL: the truth, as it is and as it was, and the links between them."""
