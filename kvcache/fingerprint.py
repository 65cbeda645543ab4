"""What a cache depends on: two caches may be exchanged only if all of this is equal.

The root key is the first link of the chain of hashes that addresses blocks, so states of another
model, tokenizer, adapter or tenant are never found, rather than found and refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from memos.errors import InvalidInput

FORMAT_VERSION = 1
"""Of the meaning of stored states. Raised whenever old ones must not be read any more."""

PARTS = (
    "format",
    "config",
    "weights",
    "tokenizer",
    "template",
    "adapter",
    "dtype",
    "layers",
    "rope",
    "attention",
)


@dataclass(frozen=True)
class Fingerprint:
    """`parts` has exactly the names in PARTS; each value is a digest or a short text."""

    parts: Mapping[str, str]

    def __post_init__(self) -> None:
        if set(self.parts) != set(PARTS):
            odd = sorted(set(self.parts) ^ set(PARTS))
            raise InvalidInput(f"a fingerprint must have {', '.join(PARTS)}; see {', '.join(odd)}")

    def root(self, salt: bytes) -> bytes:
        """32 bytes: SHA-256 over all parts and the tenant's salt, each with its length.

        The salt is chosen by the server, at random and never by a client: who knows it can tell
        by timing what the tenant has stored.
        """
        digest = hashlib.sha256()
        for content in (salt, self.to_json().encode()):
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        return digest.digest()

    def having(self, **parts: str) -> Fingerprint:
        """A copy with some parts replaced, such as the digest of an adapter's content."""
        return Fingerprint({**self.parts, **parts})

    def differences(self, other: Fingerprint) -> list[str]:
        """Names of the parts in which they differ, for error messages."""
        return [name for name in PARTS if self.parts[name] != other.parts[name]]

    def to_json(self) -> str:
        """The same text for equal fingerprints."""
        return json.dumps(dict(self.parts), sort_keys=True, separators=(",", ":"))
