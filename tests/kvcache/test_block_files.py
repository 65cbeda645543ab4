"""The file of a block: readable by safetensors, and no damage goes unnoticed."""

import json
import pickletools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from memos.benchmarks.activation.states import FULL, LAYOUTS, MIXED, equal, root, states
from memos.errors import BlockCorrupt, InvalidInput
from memos.kvcache.blocks.block import GRANULE, Ids
from memos.kvcache.blocks.file import head_bytes
from memos.kvcache.blocks.hashing import chain, common, ids_of, link_after
from memos.kvcache.blocks.header import from_text, to_text
from memos.kvcache.store import tree
from memos.kvcache.store.opened import OpenedFiles
from memos.kvcache.store.store import BlockStore
from tests.kvcache.quick import within

TOKENS = list(range(200))


@pytest.fixture
def path(store: BlockStore) -> Path:
    block = store.put(root(), TOKENS, 0, states(FULL, TOKENS), layout=FULL)
    assert block
    return store.path(block)


def verified(path: Path) -> object:
    """What a process that has never seen the file makes of it."""
    return OpenedFiles().open(path.stem, path).map()


def test_safetensors_reads_it_and_the_tensor_is_the_stacked_states(path: Path) -> None:
    with safe_open(path, "pt") as file:
        tensor = file.get_tensor("states")
        metadata = file.metadata()
    wanted = states(FULL, TOKENS)
    assert tensor.shape == (3, 2, 2, 200, 16)
    assert tensor.dtype == torch.bfloat16
    assert all(torch.equal(tensor[at, 0], layer.keys) for at, layer in enumerate(wanted))
    assert all(torch.equal(tensor[at, 1], layer.values) for at, layer in enumerate(wanted))
    assert metadata["format"] == "memos-kv"
    assert json.loads(metadata["header"])["codec"] == "raw"


def test_there_is_no_pickle_in_it(path: Path) -> None:
    head = path.read_bytes()[:64]
    with pytest.raises(ValueError, match=r"at position|opcode"):
        list(pickletools.genops(head))


def test_a_header_survives_its_text(store: BlockStore) -> None:
    block = store.put(root(), TOKENS, 64, states(MIXED, TOKENS, 64), layout=MIXED)
    assert block is None  # its parent is not there
    for name, layout in LAYOUTS.items():
        block = store.put(root(name), TOKENS, 0, states(layout, TOKENS), layout=layout)
        assert block
        header = store.header(block)
        back = from_text(to_text(header))
        assert to_text(back) == to_text(header)
        assert back.id == block
        assert back.layout == layout


def test_every_flipped_bit_of_the_head_is_found(path: Path) -> None:
    good = path.read_bytes()
    chance = random.Random(1)
    length = int.from_bytes(good[:8], "little")
    for bit in [*range(64), *chance.sample(range(64, 8 * (length + 8)), 300)]:
        flipped(path, good, bit)
        with pytest.raises(BlockCorrupt):
            verified(path)
    path.write_bytes(good)
    verified(path)


def test_every_flipped_bit_of_the_payload_is_found(path: Path) -> None:
    good = path.read_bytes()
    chance = random.Random(2)
    offset = 8 + int.from_bytes(good[:8], "little")
    for bit in chance.sample(range(8 * offset, 8 * len(good)), 100):
        flipped(path, good, bit)
        with pytest.raises(BlockCorrupt):
            verified(path)


def flipped(path: Path, good: bytes, bit: int) -> None:
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(bad)


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.01, 0.2, 0.5, 0.999, 1.001])
def test_a_truncated_or_longer_file_is_found(path: Path, share: float) -> None:
    good = path.read_bytes()
    path.write_bytes((good * 2)[: int(len(good) * share)])
    with pytest.raises(BlockCorrupt):
        verified(path)


def test_random_bytes_and_a_head_of_gigabytes_are_refused(path: Path) -> None:
    chance = random.Random(3)
    for size in (8, 100, 5000):
        path.write_bytes(chance.randbytes(size))
        with pytest.raises(BlockCorrupt):
            verified(path)
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}" * 100)
    with pytest.raises(BlockCorrupt, match="truncated"):
        verified(path)


def test_another_blocks_file_under_this_name_is_refused(store: BlockStore, path: Path) -> None:
    other = [7, *TOKENS[1:]]
    block = store.put(root(), other, 0, states(FULL, other), layout=FULL)
    assert block
    path.write_bytes(store.path(block).read_bytes())
    with pytest.raises(BlockCorrupt, match="holds block"):
        verified(path)


def test_a_head_that_claims_other_tokens_is_refused(store: BlockStore, path: Path) -> None:
    """A sound checksum is not enough: links must follow from the tokens."""
    header = store.header(path.stem)
    forged = replace(header, tokens=ids_of([9, *TOKENS[1:]]))
    payload = path.read_bytes()[-header.payload_bytes :]
    path.write_bytes(head_bytes(forged) + payload)
    with pytest.raises(BlockCorrupt, match="hashes"):
        verified(path)


def test_it_is_verified_once_and_again_after_it_was_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr("memos.kvcache.store.opened.check_payload", lambda *_: checked.append(1))
    files = OpenedFiles()
    for _ in range(3):
        files.open(path.stem, path)
    assert len(checked) == 1
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    files.open(path.stem, path)
    assert len(checked) == 2
    files.close(path.stem)
    files.open(path.stem, path)
    assert len(checked) == 3


def test_more_files_than_descriptors_are_opened_again_without_hashing(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = []
    for first in range(5):
        tokens = [first, *TOKENS[1:70]]
        blocks.append(store.put(root(), tokens, 0, states(FULL, tokens), layout=FULL))
    checked = []
    monkeypatch.setattr("memos.kvcache.store.opened.check_payload", lambda *_: checked.append(1))
    files = OpenedFiles(limit=2)
    for block in blocks * 3:
        files.open(block, store.path(block))
    assert len(checked) == 5


def test_links_are_chained() -> None:
    ids = ids_of(list(range(300)))
    links = chain(root(), ids)
    assert len(links) == 300 // GRANULE
    assert chain(links[1], ids[2 * GRANULE :]) == links[2:]
    assert chain(root("other"), ids)[0] != links[0]
    changed = ids.copy()
    changed[0] += 1
    assert not set(chain(root(), changed)) & set(links)
    assert common(ids, changed) == 0
    assert common(ids, ids[:100]) == 100


@pytest.mark.parametrize(
    "tokens",
    [
        [-1],
        [2**32],
        [2**64],
        [-1, "a"],
        [0.5, "a"],
        [1.0],
        "12",
        [[1, 2]],
        [None],
        np.array([-1]),
        np.array([2**32]),
        np.array([1.0]),
        np.array([[1, 2]]),
    ],
)
def test_ids_that_are_none_are_refused(tokens: list[object]) -> None:
    with pytest.raises(InvalidInput, match="token ids"):
        ids_of(tokens)


@pytest.mark.parametrize(
    "tokens", [(0, 2**32 - 1), range(3), [True, 2], np.arange(4, dtype="<u8"), torch.arange(3), []]
)
def test_ids_come_in_any_sequence_of_whole_numbers(tokens: Sequence[int]) -> None:
    ids = ids_of(tokens)
    assert ids.dtype == np.dtype("<u4")
    assert ids.tolist() == list(map(int, tokens))


def test_a_look_up_hashes_what_follows_a_block_and_not_what_is_in_it(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = list(range(1000))
    for start, end in ((0, 512), (512, 960)):
        store.put(root(), tokens[:end], start, states(FULL, tokens[:end], start), layout=FULL)
    hashed: list[int] = []

    def counted(before: bytes, ids: Ids) -> bytes:
        hashed.append(len(ids))
        return link_after(before, ids)

    monkeypatch.setattr(tree, "link_after", counted)
    hit = store.longest(root(), tokens)
    assert hit is not None
    assert [segment.end for segment in hit.segments] == [512, 960]
    assert hashed == [GRANULE] * 2  # the first granule, and the one where the second block begins


def test_hash_and_look_up_of_4096_tokens_take_less_than_2_ms(store: BlockStore) -> None:
    tokens = random.Random(4).choices(range(49_000), k=4097)
    layout = FULL
    for end in range(512, 4097, 512):
        store.put(
            root(), tokens[:end], end - 512, states(layout, tokens[:end], end - 512), layout=layout
        )
    hit = within(0.002, lambda: store.longest(root(), tokens))
    assert hit is not None
    assert hit.tokens == 4096
    assert equal(store.load(hit)[:1], states(layout, tokens[:4096])[:1])
