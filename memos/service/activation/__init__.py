"""Activation memory: compiled, kept in step with its memories, and answered from."""
