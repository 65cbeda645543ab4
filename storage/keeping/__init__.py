"""How memories are kept, in SQL: lineage, use, policies, and what is done by them."""
