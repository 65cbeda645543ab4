"""Codecs: how states become bytes and states again. One per file; found by name in `registry`."""
