"""Reading texts: which times, entities and claims a memory's words state.

What is read here is handed on as plain data; this package stores nothing and knows no graph.
"""
