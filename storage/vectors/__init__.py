"""Approximate nearest neighbours by cosine, one backend per module.

All implement `memos.protocols.VectorIndex`. They hold a copy of vectors that SQL has too, so any of
them can be dropped and filled again from the change feed; none knows what a memory says or who may
see it. Importing this package loads no backend.
"""
