"""Parts of the benchmarks of activation memory: of `kv`, and by their names of `kv_cuda`,
`kv_quality` and `kv_fuzz`.
"""
