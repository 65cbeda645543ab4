"""Memories: added, judged as they come in, read, changed, and their uses counted."""
