"""Parts of the benchmarks of retrieval: of `locomo`, and by their names of `fusion_fit`."""
