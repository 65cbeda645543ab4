"""What the fuzzer of the store runs in other processes: a crowd of threads on one folder, a writer
that is killed, one without room.

As a module of its own process it reports on standard output, one JSON object at the end.
"""

from __future__ import annotations

import json
import random
import resource
import sys
from collections import Counter
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from memos.benchmarks.activation.states import FULL, equal, root, states
from memos.errors import ActivationError, MemosError, StorageError, StorageFull
from memos.kvcache.blocks.block import GRANULE, Source, States
from memos.kvcache.store.store import BlockStore

KEYS = ("tenant a", "tenant b")


def prompt(chance: random.Random) -> list[int]:
    """Few distinct granules, so that prompts share prefixes and fork within blocks."""
    words = [chance.randrange(3) for _ in range(chance.randint(1, 4))]
    return [10 + word for word in words for _ in range(GRANULE)] + [
        chance.randrange(2) for _ in range(chance.randint(0, 9))
    ]


def put(store: BlockStore, key: str, tokens: list[int], start: int, **more: Any) -> str | None:
    fresh = expected(key, tuple(tokens), start)
    return store.put(root(key), tokens, start, fresh, layout=FULL, **more)


@lru_cache(4096)
def expected(key: str, tokens: tuple[int, ...], start: int = 0) -> States:
    """The right states of a prompt; nobody may write to them."""
    return states(FULL, tokens, start, key.encode())


def judged(store: BlockStore, key: str, tokens: list[int]) -> str:
    """Looks a prompt up and loads what there is: `right`, `miss`, `recomputed` (typed error) or
    `wrong`."""
    try:
        hit = store.longest(root(key), tokens)
        if hit is None:
            return "miss"
        if not 0 < hit.tokens < len(tokens):
            return "wrong"
        loaded = store.load(hit)
    except (ActivationError, StorageError):
        return "recomputed"
    wanted = expected(key, tuple(tokens[: hit.tokens]))
    return "right" if equal(loaded, wanted) else "wrong"


def crowd(folder: Path, *, budget: int, threads: int, steps: int, seed: int) -> Counter[str]:
    """`threads` threads that put, look up, forget and drop at random; outcomes counted."""
    outcomes: Counter[str] = Counter()
    with BlockStore(folder, budget_bytes=budget) as store:
        workers = [
            Thread(target=_worker, args=(store, random.Random(seed * 1000 + at), steps, outcomes))
            for at in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return outcomes


def _worker(store: BlockStore, chance: random.Random, steps: int, outcomes: Counter[str]) -> None:
    mine: Counter[str] = Counter()
    for _ in range(steps):
        try:
            mine[_step(store, chance)] += 1
        except MemosError as error:
            mine[f"typed: {error.code}"] += 1
        except BaseException as error:  # what must never happen is what is counted here
            mine["crash"] += 1
            print(f"crash: {error!r}", file=sys.stderr)
    outcomes.update(mine)


def _step(store: BlockStore, chance: random.Random) -> str:
    key, tokens = chance.choice(KEYS), prompt(chance)
    action = chance.random()
    if action < 0.55:
        return judged(store, key, tokens)
    if action < 0.95:
        start = chance.randrange(0, len(tokens), GRANULE)
        sources = [Source(chance.choice("abc"), 1)] if chance.random() < 0.3 else []
        codec = chance.choice(("raw", "raw", "lossless"))
        stored = put(store, key, tokens, start, sources=sources, codec=codec)
        return "stored" if stored else "not stored"
    if action < 0.98:
        store.forget([chance.choice("abc")])
        return "forgotten"
    for header in store.headers(root(key))[:1]:
        store.drop(header.id)
    return "dropped"


def write_until_killed(folder: Path, budget: int, seed: float, ready: Connection) -> None:
    """Puts blocks without end; sends a word before the first."""
    chance = random.Random(seed)
    with BlockStore(folder, budget_bytes=budget) as store:
        ready.send("ready")
        while True:
            key, tokens = chance.choice(KEYS), [chance.randrange(50), *prompt(chance)]
            put(store, key, tokens, 0)


def fill(folder: Path, *, limit: int, steps: int, seed: int) -> Counter[str]:
    """Puts and look-ups where no file may be longer than `limit` bytes (0: as the disk allows)."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        for _ in range(steps):
            key, tokens = chance.choice(KEYS), [chance.randrange(50), *prompt(chance)]
            try:
                outcomes["stored" if put(store, key, tokens, 0) else "not stored"] += 1
            except StorageFull:
                outcomes["typed: storage-full"] += 1
            except BaseException as error:  # counted, since it must never happen
                outcomes["crash"] += 1
                print(f"crash: {error!r}", file=sys.stderr)
            outcomes[judged(store, key, tokens)] += 1
            if list(folder.rglob("*.tmp")):
                outcomes["wrong"] += 1
    return outcomes


def main(argv: list[str]) -> int:
    """`crowd` or `fill`, and its arguments as JSON."""
    options = json.loads(argv[1])
    folder = Path(options.pop("folder"))
    outcomes = crowd(folder, **options) if argv[0] == "crowd" else fill(folder, **options)
    print(json.dumps(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
