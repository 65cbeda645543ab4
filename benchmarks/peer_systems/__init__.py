"""Scripts that run in another system's environment; they import nothing of memos.benchmarks."""
