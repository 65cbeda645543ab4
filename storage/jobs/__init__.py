"""The durable queue in SQL: what waits, who works on it, how it ends, and what it cost."""
