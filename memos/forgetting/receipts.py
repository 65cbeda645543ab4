"""Receipts of erasures, signed so that they can't be made up or altered afterwards.

HMAC-SHA-256 (RFC 2104) over the receipt's fields as canonical JSON. The key is the server's and
never leaves it: whoever holds a receipt has it checked by the server that issued it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from memos.types import ErasureReceipt, ReceiptCheck
from memos.wire import to_json

_KEY_ID_CHARS = 16


class Signer:
    """Signs with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"memos receipt key" + key).hexdigest()[:_KEY_ID_CHARS]

    def signed(self, receipt: ErasureReceipt) -> ErasureReceipt:
        """With this key's id and signature."""
        named = replace(receipt, key_id=self.key_id, signature="")
        return replace(named, signature=self._mac(named))

    def check(self, receipt: ErasureReceipt) -> ReceiptCheck:
        """Whether nothing in it was changed since it was signed with this key."""
        if receipt.key_id != self.key_id:
            reason = f"it was signed by key {receipt.key_id!r}; this server's is {self.key_id}"
            return ReceiptCheck(valid=False, reason=reason)
        expected = self._mac(replace(receipt, signature=""))
        if not hmac.compare_digest(expected.encode(), receipt.signature.encode()):
            return ReceiptCheck(valid=False, reason="the signature does not fit what it says")
        return ReceiptCheck(valid=True)

    def _mac(self, receipt: ErasureReceipt) -> str:
        return hmac.new(self._key, to_json(receipt), hashlib.sha256).hexdigest()
