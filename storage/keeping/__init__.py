"""How memories are kept, in SQL: actions and their steps, lineage, use, policies."""
