"""The graph in SQL: entities, assertions, facts in two times, rulings, and the feed of it."""
