"""KeyStore and ReceiptStore."""

from __future__ import annotations

import pytest

from memos.errors import AlreadyExists, IdempotencyConflict, InvalidInput, KeyNotFound
from memos.protocols import Receipt, Stores
from memos.types import ApiKey, Role
from tests.storage.samples import Clock, new_id, sha


def key(clock: Clock, *, tenant: str = "t1", **fields: object) -> ApiKey:
    values = {
        "id": new_id(),
        "tenant_id": tenant,
        "name": "k",
        "role": Role.WRITER,
        "cubes": (),
        "created_at": clock(),
        "revoked_at": None,
    }
    return ApiKey(**{**values, **fields})


def test_a_key_is_found_by_its_hash(stores: Stores, clock: Clock) -> None:
    assert not stores.keys.any()
    made = key(clock, cubes=("c1", "c2"), role=Role.ADMIN)
    stores.keys.add(made, sha("secret"))
    assert stores.keys.any()
    assert stores.keys.find(sha("secret")) == made
    assert stores.keys.find(sha("other")) is None
    with pytest.raises(AlreadyExists):
        stores.keys.add(key(clock), sha("secret"))
    with pytest.raises(InvalidInput):
        stores.keys.find("no hash")


def test_keys_are_listed_and_revoked_per_tenant(stores: Stores, clock: Clock) -> None:
    mine = [key(clock), key(clock)]
    theirs = key(clock, tenant="t2")
    for number, made in enumerate([*mine, theirs]):
        stores.keys.add(made, sha(str(number)))
    assert stores.keys.page("t1") == mine
    with pytest.raises(KeyNotFound):
        stores.keys.revoke("t2", mine[0].id, at=clock())
    at = clock.forward(1)
    revoked = stores.keys.revoke("t1", mine[0].id, at=at)
    assert revoked.revoked_at == at
    assert stores.keys.find(sha("0")) == revoked
    assert stores.keys.revoke("t1", mine[0].id, at=clock.forward(1)) == revoked


def test_receipts_are_kept_per_tenant_until_purged(stores: Stores, clock: Clock) -> None:
    first = Receipt("h1", {"id": "é", "n": [1, None]})
    stores.receipts.put("t1", "k", first)
    assert stores.receipts.find("t1", "k") == first
    assert stores.receipts.find("t2", "k") is None
    stores.receipts.put("t2", "k", Receipt("h2", {}))
    with pytest.raises(IdempotencyConflict):
        stores.receipts.put("t1", "k", Receipt("h3", {}))
    later = clock.forward(10)
    stores.receipts.put("t1", "k2", Receipt("h4", {}))
    assert stores.receipts.purge(before=later) == 2
    assert stores.receipts.find("t1", "k") is None
    assert stores.receipts.find("t1", "k2") == Receipt("h4", {})
