"""Parts of the benchmarks of facts in two times: of `graph`, and the cases and supersessions of
`extraction`.
"""
