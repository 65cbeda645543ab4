"""Benchmarks, one module each, the report that all of them write, and their parts in folders.

Imported as `memos.benchmarks`, so that `memos bench` also works where the package was
installed from a wheel. Stands above every other part: nothing but the command line
imports it.
"""
