"""The store against a plain model, in any order of operations, with restarts and two openers."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from memos.benchmarks.activation.states import FULL, equal, root, states
from memos.kvcache.blocks.block import GRANULE, Source
from memos.kvcache.store.store import BlockStore

BUDGET = 450_000
KEYS = ("tenant a", "tenant b")
NAMES = ("one", "two", "three")
WORDS = st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4)
"""A prompt is whole granules of one token each, so that prompts share much, and a short rest."""


def prompt(words: list[int], rest: int) -> list[int]:
    return [word for word in words for _ in range(GRANULE)] + [3] * rest


class StoreMachine(RuleBasedStateMachine):
    """The model: the files that are there, which blocks are pinned, and what a prefill gives."""

    blocks = Bundle("blocks")

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name)
        self.open = [BlockStore(self.folder, budget_bytes=BUDGET) for _ in range(2)]
        self.pinned: set[str] = set()

    def teardown(self) -> None:
        for store in self.open:
            store.close()
        self.place.cleanup()

    @rule(
        target=blocks,
        which=st.integers(0, 1),
        key=st.sampled_from(KEYS),
        words=WORDS,
        rest=st.integers(0, 5),
        at=st.integers(0, 3),
        sources=st.sets(st.sampled_from(NAMES), max_size=2),
        codec=st.sampled_from(["raw", "lossless"]),
    )
    def put(self, which, key, words, rest, at, sources, codec):
        tokens = prompt(words, rest)
        start = min(at, len(words) - 1) * GRANULE
        block = self.open[which].put(
            root(key),
            tokens,
            start,
            states(FULL, tokens, start, key.encode()),
            layout=FULL,
            sources=[Source(name, 1) for name in sources],
            codec=codec,
        )
        there = {header.id: header for header in self.open[1 - which].headers()}
        assert self.pinned <= set(there)  # room is never made with these
        if block is None:
            return "none"
        assert sources <= {source.id for source in there[block].sources}
        return block

    @rule(which=st.integers(0, 1), key=st.sampled_from(KEYS), words=WORDS, rest=st.integers(0, 5))
    def look_up(self, which, key, words, rest):
        """Never longer than can be, never another's; what is loaded is what a prefill gives."""
        store, tokens = self.open[which], prompt(words, rest)
        hit = store.longest(root(key), tokens)
        if hit is None:
            # Nothing that begins with the same token is there.
            assert not [
                header
                for header in store.headers(root(key))
                if header.start == 0 and header.tokens[0] == tokens[0] and len(tokens) > 1
            ]
            return
        assert 0 < hit.tokens < len(tokens)
        assert equal(store.load(hit), states(FULL, tokens[: hit.tokens], 0, key.encode()))

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES))
    def forget(self, which, name):
        carriers = {
            header.id
            for header in self.open[which].headers()
            if name in {source.id for source in header.sources}
        }
        gone = set(self.open[which].forget([name]))
        assert carriers <= gone
        self.pinned -= gone
        for store in self.open:
            for header in store.headers():
                assert header.id not in gone
                assert name not in {source.id for source in header.sources}

    @rule(which=st.integers(0, 1), block=blocks)
    def pin(self, which, block):
        store = self.open[which]
        store.refresh()
        if block in store:
            store.pin(block)
            self.pinned.add(block)

    @rule(which=st.integers(0, 1), block=consumes(blocks))
    def unpin(self, which, block):
        if block in self.pinned:
            self.open[which].unpin(block)
            self.pinned.discard(block)

    @rule(which=st.integers(0, 1), block=blocks)
    def drop(self, which, block):
        gone = self.open[which].drop(block)
        self.pinned -= set(gone)
        assert not [path for path in self.folder.rglob("*.safetensors") if path.stem in gone]

    @rule(which=st.integers(0, 1))
    def restart(self, which):
        self.open[which].close()
        self.open[which] = BlockStore(self.folder, budget_bytes=BUDGET)

    @rule(which=st.integers(0, 1))
    def collect(self, which):
        assert self.open[which].gc() == []  # nothing here loses its parent

    @invariant()
    def both_agree_with_the_folder(self):
        files = {path.stem: path.stat().st_size for path in self.folder.rglob("*.safetensors")}
        assert sum(files.values()) <= BUDGET
        for store in self.open:
            assert {header.id for header in store.headers()} == set(files)
            assert store.stats().bytes == sum(files.values())
            assert store.stats().quarantined == 0
        assert not list(self.folder.rglob("*.tmp"))

    @invariant()
    def what_is_pinned_is_there_unless_it_was_deleted(self):
        for store in self.open:
            assert self.pinned <= {header.id for header in store.headers()}
            assert store.stats().pinned == len(self.pinned)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
