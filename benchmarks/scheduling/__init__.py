"""Parts of the benchmark of the queue, `scheduler`."""
