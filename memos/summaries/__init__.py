"""Summaries of sessions and of communities of entities: their most telling turns, word for word.

Extractive and deterministic, with no language model; each names the memories it quotes, and goes
with them. Knows memories, vectors and terms; not when it is asked for.
"""
