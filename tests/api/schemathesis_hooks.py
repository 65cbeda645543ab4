"""Tells schemathesis how batches and dumps are written; loaded by SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """The document's schema of a batch is its text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/gzip")
def dump(ctx, value):
    """Bytes as they are; a text is what a caller could send by mistake."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
