"""Parts of the benchmark of consolidation, forgetting and erasure, `consolidation`."""
