"""Summaries of sessions, of their segments and of communities of entities.

Their most telling turns, word for word and deterministic, but where a language model is configured
to write those of sessions. Each names the memories that it is made of, and goes with them. Knows
memories, vectors and terms; not when it is asked for.
"""
