"""The temporal graph: what facts follow from what was said, and how they hang together.

Importing this package loads nothing heavy.
"""
