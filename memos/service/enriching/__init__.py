"""What is read out of memories in the background, and when: facts, notes and summaries."""
