"""Where memories are kept: SQL tables, vector and lexical indexes, blobs, migrations.

Imported as `memos.storage`. Knows the protocols of the core and nothing of retrieval,
HTTP or the key-value caches. Importing this package loads no backend.
"""
