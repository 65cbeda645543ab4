"""A dump of an empty cube named `parcel`, as a body to send."""

from __future__ import annotations

import gzip
import hashlib
import json

_CUBE = {
    "name": "parcel",
    "description": "",
    "metadata": {},
    "embedding": None,
    "created_at": "2024-05-01T00:00:00Z",
    "change_seq": 0,
    "graph_seq": 0,
}
_HEAD = {"memos_dump": 1, "product": "1", "at": "2024-05-01T00:00:00Z", "cube": _CUBE, "tables": {}}
_LINE = json.dumps(_HEAD).encode() + b"\n"
_END = {"rows": {}, "sha256": hashlib.sha256(_LINE).hexdigest()}
PARCEL = gzip.compress(_LINE + json.dumps(_END).encode() + b"\n")
GZIP = {"Content-Type": "application/gzip"}
