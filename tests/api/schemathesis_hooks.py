"""Tells schemathesis how a batch is written; its process loads this by SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """The document's schema of a batch is its text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
