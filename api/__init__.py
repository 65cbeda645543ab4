"""The HTTP edge: the FastAPI application, its routes, schemas and authentication.

Imported as `memos.api`. Knows the service of the core and no backend behind it.
Importing this package loads no web framework.
"""
