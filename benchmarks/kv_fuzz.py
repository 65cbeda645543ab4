"""Fuzzes the store of blocks: whatever happens to it, nobody gets wrong states.

Damaged files, kills in the middle of a write, changed parts of the fingerprint, another salt,
prompts equal to or shorter than what is stored, two processes of 32 threads each, a full disk. A
look-up's outcome is `right`, `miss`, `recomputed` (a typed error upon which a caller computes), or
one of `wrong` and `crash`, of which there must be none. Exit code 1 if there is. A damaged file is
one case however many look-ups follow; it counts by the worst of their outcomes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from memos.benchmarks import report

NAME = "Activation memory: fuzzing the store"
BAD = ("wrong", "crash")
SEVERITY = ("right", "miss", "recomputed", *BAD)
BUDGET = 600_000
"""Bytes for the crowds, so that they evict all the time: some ten blocks."""

KILLED_BUDGET = 3_000_000

LARGEST = 120_000
"""Bytes that no block's file of the fuzzer exceeds."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble: how many cases of all, and what runs `n` of them in a folder."""

    name: str
    share: float
    run: Callable[[Path, int, random.Random], Counter[str]]


@dataclass(frozen=True, slots=True)
class Held:
    """The most bytes that were seen in a store's folder under load, in so many looks."""

    budget: int
    block: int
    most: int
    looks: int


class Watched(Counter[str]):
    """Outcomes of a store whose bytes were watched meanwhile."""

    held: Held


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the fuzzer, writes the report and prints it."""
    parser = argparse.ArgumentParser(prog="memos bench kv_fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=12_000, help="how many, of all kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--store-dir", type=Path, help="where the stores are; in RAM it takes half as long"
    )
    parser.add_argument("--out", type=Path, help="folder for report.json and report.md")
    options = parser.parse_args(argv)
    environment = report.environment(seed=options.seed)
    data = run(cases=options.cases, seed=options.seed, place=options.store_dir)
    text = _text(data)
    print(text)
    if options.out is not None:
        path = report.write_report(options.out, NAME, data, text, environment=environment)
        print(f"report: {path}")
    return 0 if data["passed"] else 1


def run(*, cases: int, seed: int, place: Path | None = None) -> dict[str, Any]:
    """Outcomes of each kind, and the sums."""
    kinds: dict[str, Counter[str]] = {}
    seconds = {}
    for kind in KINDS:
        chance = random.Random(f"{seed} {kind.name}")
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="memos-kv-fuzz-", dir=place) as folder:
            kinds[kind.name] = kind.run(Path(folder), max(1, round(cases * kind.share)), chance)
        seconds[kind.name] = round(time.perf_counter() - start, 1)
        print(f"{kind.name}: {dict(kinds[kind.name])}", file=sys.stderr)
    total = sum(kinds.values(), Counter[str]())
    return {
        "cases": sum(total.values()),
        "wrong": total["wrong"],
        "crash": total["crash"],
        "passed": not any(total[bad] for bad in BAD),
        "kinds": {name: dict(counts) for name, counts in kinds.items()},
        "held": [asdict(counts.held) for counts in kinds.values() if isinstance(counts, Watched)],
        "seconds": seconds,
    }


def damaged(folder: Path, cases: int, chance: random.Random) -> Counter[str]:
    """Flipped bits, truncation, zeros, swaps, deletions: before a restart, or under a live store
    that has or has not read the file."""
    from memos.benchmarks.activation.fuzz_processes import put
    from memos.kvcache.store.store import BlockStore

    prompts = [[at, *range(100, 260)] for at in range(2)]
    pristine = folder / "pristine"
    with BlockStore(pristine, budget_bytes=1 << 30) as store:
        for at, tokens in enumerate(prompts):
            put(store, "tenant a", tokens[:128], 0)
            put(store, "tenant a", tokens, 128, codec=("raw", "lossless")[at % 2])
    return Counter(
        _harmed(folder / f"{number}", pristine, prompts, number % 4, chance)
        for number in range(cases)
    )


def _harmed(
    place: Path, pristine: Path, prompts: list[list[int]], when: int, chance: random.Random
) -> str:
    """The worst outcome after one file was damaged: 0 and 2 before the store is opened, 1 after a
    prompt was read, 3 before."""
    from memos.benchmarks.activation.fuzz_processes import judged
    from memos.kvcache.store.store import BlockStore

    shutil.copytree(pristine, place)
    live = BlockStore(place, budget_bytes=1 << 30) if when % 2 else None
    found = []
    if live and when == 1:
        found += [judged(live, "tenant a", [*tokens, 1]) for tokens in prompts[:1]]
    _harm(place / "blocks", chance)
    with live or BlockStore(place, budget_bytes=1 << 30) as store:
        for tokens in prompts:
            found.append(_guarded(partial(judged, store, "tenant a", [*tokens, 1])))
        healed = [_guarded(partial(_healed, store, tokens)) for tokens in prompts]
        found += ["right" if outcome == "right" else "wrong" for outcome in healed]
    shutil.rmtree(place)
    return max(found, key=SEVERITY.index)


def _harm(blocks: Path, chance: random.Random) -> None:
    """One kind of damage to one file."""
    files = sorted(blocks.iterdir())
    path, other = chance.sample(files, 2)
    content = bytearray(path.read_bytes())
    kind = chance.randrange(7)
    if kind <= 1:
        for _ in range(chance.choice((1, 1, 1, 2, 50))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        head = 8 + int.from_bytes(content[:8], "little")
        content[chance.randrange(head)] ^= 1 << chance.randrange(8)
    elif kind == 3:
        del content[chance.randrange(len(content)) :]
    elif kind == 4:
        at = chance.randrange(len(content))
        content[at : at + 4096] = bytes(len(content[at : at + 4096]))
    elif kind == 5:
        content = bytearray(other.read_bytes())
    else:
        path.unlink()
        return
    if chance.random() < 0.5:
        path.unlink()  # a new inode; otherwise the same is written over
    path.write_bytes(content)


def _healed(store: Any, tokens: list[int]) -> str:
    """After damage was found the prompt can be stored again, and is then right."""
    from memos.benchmarks.activation.fuzz_processes import judged, put

    put(store, "tenant a", tokens[:128], 0)
    put(store, "tenant a", tokens, 128)
    first = judged(store, "tenant a", [*tokens, 1])
    if first in ("right", *BAD):
        return first
    put(store, "tenant a", tokens[:128], 0)
    put(store, "tenant a", tokens, 128)
    return judged(store, "tenant a", [*tokens, 1])


def changed(folder: Path, cases: int, chance: random.Random) -> Counter[str]:
    """Any part of the fingerprint, or the salt, other than when it was stored: nothing is found."""
    from memos.benchmarks.activation.states import FULL, states
    from memos.kvcache.fingerprint import PARTS, Fingerprint
    from memos.kvcache.store.store import BlockStore

    parts = {name: f"{chance.getrandbits(64):x}" for name in PARTS}
    salt = chance.randbytes(32)
    tokens = list(range(200))
    outcomes: Counter[str] = Counter()
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        right = Fingerprint(parts).root(salt)
        store.put(right, tokens, 0, states(FULL, tokens), layout=FULL)
        for number in range(cases):
            changes, other = dict(parts), salt
            if number % 4 == 3:
                at = chance.randrange(32)
                other = salt[:at] + bytes([salt[at] ^ (1 << chance.randrange(8))]) + salt[at + 1 :]
            else:
                name = chance.choice(PARTS)
                changes[name] = _altered(changes[name], chance)
            found = store.longest(Fingerprint(changes).root(other), [*tokens, 1])
            outcomes["miss" if found is None else "wrong"] += 1
        if store.longest(right, [*tokens, 1]) is None:
            outcomes["wrong"] += 1
    return outcomes


def _altered(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


def prompts(folder: Path, cases: int, chance: random.Random) -> Counter[str]:
    """Equal to what is stored, shorter, longer, leaving it anywhere; of two tenants."""
    from memos.benchmarks.activation.fuzz_processes import KEYS, judged, prompt, put
    from memos.kvcache.store.store import BlockStore

    outcomes: Counter[str] = Counter()
    with BlockStore(folder, budget_bytes=1 << 30) as store:
        stored = [(chance.choice(KEYS), prompt(chance)) for _ in range(40)]
        for key, tokens in stored:
            put(store, key, tokens, 0)
        for _ in range(cases):
            key, tokens = chance.choice(stored)
            asked = list(tokens)
            kind = chance.randrange(4)
            if kind == 1:
                asked = asked[: chance.randint(0, len(asked))]
            elif kind == 2:
                asked[chance.randrange(len(asked))] += 1
            elif kind == 3:
                asked += prompt(chance)
            outcomes[_guarded(partial(judged, store, key, asked))] += 1
    return outcomes


def killed(folder: Path, cases: int, chance: random.Random) -> Counter[str]:
    """kill -9 of a process that writes; then nothing half-written is there, and all is right."""
    from memos.benchmarks.activation.fuzz_processes import write_until_killed

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["memos.benchmarks.activation.fuzz_processes"])
    outcomes: Counter[str] = Counter()
    for _ in range(cases):
        ready, signal = context.Pipe(duplex=False)
        child = context.Process(
            target=write_until_killed, args=(folder, KILLED_BUDGET, chance.random(), signal)
        )
        child.start()
        ready.recv()
        time.sleep(chance.uniform(0, 0.05))
        child.kill()
        child.join()
        outcomes[_guarded(partial(_after_kill, folder))] += 1
    return outcomes


def _after_kill(folder: Path) -> str:
    """`right` if every block is, and nothing else is there."""
    from memos.kvcache.store.store import BlockStore

    with BlockStore(folder, budget_bytes=KILLED_BUDGET) as store:
        if store.stats().quarantined or list(folder.rglob("*.tmp")):
            return "wrong"
        found = {_opened(store, header) for header in store.headers()}
    return max(found, key=SEVERITY.index, default="miss")


def _opened(store: Any, header: Any) -> str:
    from memos.benchmarks.activation.fuzz_processes import KEYS, expected
    from memos.benchmarks.activation.states import equal, root

    [key] = [key for key in KEYS if root(key) == header.root]
    wanted = expected(key, tuple(header.tokens.tolist()))
    return "right" if equal(store.open(header.id).layers, wanted) else "wrong"


def crowded(folder: Path, cases: int, chance: random.Random) -> Watched:
    """Two processes of 32 threads on one store that must evict, while its bytes are watched."""
    steps = max(1, cases // 64)
    children = [
        _child(
            "crowd", folder, budget=BUDGET, threads=32, steps=steps, seed=chance.randrange(1 << 20)
        )
        for _ in range(2)
    ]
    most = looks = 0
    while any(child.poll() is None for child in children):
        most, looks = max(most, _held(folder)), looks + 1
        time.sleep(0.002)
    outcomes = Watched(_outcomes(children))
    outcomes.held = Held(BUDGET, LARGEST, most, looks)
    outcomes["wrong" if most > BUDGET + LARGEST else "right"] += 1
    return outcomes


def full(folder: Path, cases: int, chance: random.Random) -> Counter[str]:
    """No room: a limit on the size of files, and a real small file system where that is allowed."""
    half = max(1, cases // 4)
    children = [_child("fill", folder / "limited", limit=60_000, steps=half, seed=1)]
    with _small_disk(folder / "small") as place:
        if place is not None:
            children.append(_child("fill", place / "kv", limit=0, steps=half, seed=2))
        return _outcomes(children)


@contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    """A file system of 1 MB in RAM; None where it can't be mounted."""
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _held(folder: Path) -> int:
    """Bytes of all files of states, finished, unfinished and damaged."""
    total = 0
    for path in [*folder.glob("blocks/*"), *folder.glob("quarantine/*")]:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _child(what: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    arguments = json.dumps({"folder": str(folder), **options})
    return subprocess.Popen(
        [sys.executable, "-m", "memos.benchmarks.activation.fuzz_processes", what, arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _outcomes(children: Sequence[subprocess.Popen[str]]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for child in children:
        out, _ = child.communicate()
        lines = out.strip().splitlines()
        outcomes.update(json.loads(lines[-1]) if lines and not child.returncode else {"crash": 1})
    return outcomes


def _guarded(case: Callable[[], str]) -> str:
    try:
        return case()
    except Exception as error:  # counted, since it must never happen
        print(f"crash: {error!r}", file=sys.stderr)
        return "crash"


KINDS = (
    Kind("damaged files", 0.3, damaged),
    Kind("changed fingerprint or salt", 0.19, changed),
    Kind("prompts", 0.2, prompts),
    Kind("kill -9", 0.01, killed),
    Kind("two processes, 32 threads each", 0.26, crowded),
    Kind("full disk", 0.04, full),
)


def _text(data: Mapping[str, Any]) -> str:
    names = sorted({name for counts in data["kinds"].values() for name in counts})
    rows = [
        [kind, sum(counts.values()), *(counts.get(name, 0) for name in names)]
        for kind, counts in data["kinds"].items()
    ]
    verdict = "passed" if data["passed"] else "FAILED"
    return (
        report.table(["kind", "cases", *names], rows)
        + f"\n\n{data['cases']:,} cases, {data['wrong']} wrong, {data['crash']} crashes: {verdict}"
        + "".join(
            f"\n\nMost bytes in a folder under load, in {held['looks']:,} looks: {held['most']:,} "
            f"of {held['budget']:,}; one block more, of up to {held['block']:,}, is allowed."
            for held in data["held"]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
