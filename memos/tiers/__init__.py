"""Short-, mid- and long-term memory, and the context made of them. Pure; knows no store."""
