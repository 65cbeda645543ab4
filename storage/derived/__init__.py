"""What is made of memories, in SQL: notes, summaries and files, each with what it was made from."""
