"""How much a cache that is not the full one costs in quality: one measure for codecs, compression
and reuse out of place."""
