"""Blocks: immutable runs of tokens with their states, their addresses and their files."""
