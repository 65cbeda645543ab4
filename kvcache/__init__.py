"""Activation and parametric memory: key-value caches and adapters of a local model.

Imported as `memos.kvcache`. Knows the protocols of the core and nothing of storage or
HTTP. Importing this package loads no model library.
"""
