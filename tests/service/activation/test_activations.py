"""Activation memories in process, on a tiny model: what is answered from them, and when not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from memos.activation.selection import GUIDED, POLICIES
from memos.assembly import build
from memos.config import load
from memos.errors import (
    ActivationNotFound,
    FingerprintMismatch,
    InvalidInput,
    MemoryNotFound,
    ModelNotFound,
    PayloadTooLarge,
    StateConflict,
)
from memos.identity import utc_now
from memos.service import MemoryOS, Service
from memos.testing import HashEmbedder
from memos.types import ArtifactSource, Generated, Kind, Policy, State
from tests.local_model import CONTEXT, tiny_model

LONG = "Ana likes green tea, long walks by the river and the smell of rain in the old town."
BOAT = "Ben owns a yellow boat which he painted last spring together with his two daughters."


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Service]:
    """Its jobs run when a test drains them."""
    chosen = {"local_model": tiny_model(), "kv_cost_model": False, "extraction": "none"}
    clock = settings.pop("clock", utc_now)
    wanted = load({}, data_dir=folder, **{**chosen, **settings})
    service = build(wanted, embedder=HashEmbedder(), clock=clock)
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def memory(service: Service) -> MemoryOS:
    return service.tenant()


def add(memory: MemoryOS, *texts: str, cube: str = "default", kind: Kind = Kind.CORE) -> list[str]:
    return [m.id for m in memory.add(list(texts), cube=cube, kind=kind).memories]


def files(service: Service) -> list[Path]:
    return sorted((service.settings.data_dir / "kv").rglob("*.safetensors"))


def ask(memory: MemoryOS, activation: str | None = None, **options: Any) -> Generated:
    return memory.generate(
        "What does Ana like?", activation=activation, max_new_tokens=12, **options
    )


def test_an_answer_goes_on_from_what_was_compiled(memory: MemoryOS, service: Service) -> None:
    ids = add(memory, LONG, BOAT)
    made = memory.compile(memories=ids, system="You are kind.", name="core")
    assert (made.state, made.name, made.reason) == (State.ACTIVATED, "core", None)
    assert made.sources == tuple(ArtifactSource(memory_id=id, version=1) for id in ids)
    assert made.text == f"You are kind.\n\nWhat you remember:\n- {LONG}\n- {BOAT}"
    assert made.tokens > 150
    assert made.bytes == made.tokens * 2 * 2 * 2 * 8 * 4  # layers, K and V, heads, width, float32
    assert made.model == "tiny-0"
    assert made.fingerprint["dtype"] == "float32"
    answer = ask(memory, made.id)
    assert (answer.states, answer.activation) == ("loaded", made.id)
    assert answer.reused_tokens == made.tokens < answer.prompt_tokens
    # The same as if the model had read all of it now.
    told = [
        {"role": "system", "content": made.text},
        {"role": "user", "content": "What does Ana like?"},
    ]
    stranger = service.tenant("stranger").generate(told, max_new_tokens=12)
    assert (stranger.states, stranger.reused_tokens) == ("recomputed", 0)
    assert stranger.text == answer.text
    assert stranger.prompt_tokens == answer.prompt_tokens
    seen = memory.activation(made.id)
    assert (seen.hits, seen.text) == (1, made.text)
    assert seen.last_used_at is not None
    [listed] = memory.activations().items
    assert listed == replace(seen, text=None)
    stats = memory.activation_stats()
    assert (stats.activations, stats.tokens, stats.hits) == (1, made.tokens, 1)
    assert stats.by_state == {"activated": 1}
    numbers = service.metrics_snapshot()
    assert (numbers["kv_blocks"], numbers["kv_hits"], numbers["kv_quarantined_files"]) == (1, 1, 0)


def test_it_is_there_in_a_new_process_of_the_service(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        made = service.tenant().compile(text=LONG + BOAT, system="Be brief.")
        first = ask(service.tenant(), made.id)
    with serving(tmp_path, kv_ram_bytes=0) as service:
        again = ask(service.tenant(), made.id)
        assert (again.text, again.states) == (first.text, "loaded")
        assert service.tenant().activation(made.id).text == f"Be brief.\n\n{LONG}{BOAT}"


def test_pieces_make_up_the_answer(memory: MemoryOS) -> None:
    made = memory.compile(text=LONG)
    whole = ask(memory, made.id, temperature=0.8, seed=7)
    pieces = list(
        memory.generate_stream(
            "What does Ana like?",
            activation=made.id,
            max_new_tokens=12,
            temperature=0.8,
            seed=7,
        )
    )
    assert "".join(piece.text for piece in pieces) == whole.text
    assert [piece.done is None for piece in pieces[:-1]] == [True] * (len(pieces) - 1)
    assert pieces[-1].done is not None
    assert pieces[-1].done.reused_tokens == made.tokens
    with pytest.raises(ActivationNotFound):  # at once, not with the first piece
        memory.generate_stream("x", activation="nobody")


def test_what_is_compiled_later_shares_the_beginning(memory: MemoryOS, service: Service) -> None:
    """Core memories come first, in the order of their age, however they were chosen."""
    core = add(memory, LONG, BOAT)
    episodes = add(memory, "They met.", "They went home.", kind=Kind.EPISODIC)
    one = memory.compile(memories=[*core], system="You are kind.")
    two = memory.compile(
        memories=[episodes[1], core[1], episodes[0], core[0]], system="You are kind."
    )
    assert [s.memory_id for s in two.sources] == [*core, *episodes]
    first, second = (
        path.stat().st_size for path in sorted(files(service), key=lambda p: -p.stat().st_size)
    )
    assert second < first / 2
    assert ask(memory, two.id).reused_tokens == two.tokens
    assert ask(memory, one.id).reused_tokens == one.tokens


def test_a_budget_leaves_memories_out_and_says_which(memory: MemoryOS) -> None:
    short = add(memory, "A cat.")
    long = add(memory, "B" * 300)
    also = add(memory, "C dog.")
    made = memory.compile(kind=Kind.CORE, token_budget=40)
    assert [s.memory_id for s in made.sources] == [*short, *also]
    assert made.left_out == tuple(long)
    with pytest.raises(InvalidInput, match="token_budget"):
        memory.compile(memories=long, token_budget=10)


def test_memories_can_be_chosen_by_a_question(memory: MemoryOS) -> None:
    ids = add(memory, LONG, BOAT)
    made = memory.compile(query="yellow boat", limit=1)
    assert [s.memory_id for s in made.sources] == [ids[1]]


def test_a_changed_source_makes_it_stale(memory: MemoryOS) -> None:
    ids = add(memory, LONG, BOAT)
    made = memory.compile(memories=ids)
    memory.update(ids[1], content="Ben sold the boat.")
    stale = memory.activation(made.id)
    assert stale.state is State.EXPIRED
    assert stale.reason == f"memory {ids[1]} was compiled at version 1 and is at 2"
    assert stale.text == made.text  # as it was compiled
    assert memory.activation_stats().by_state == {"expired": 1}
    for use in (ask, lambda m, id: m.warm(id), lambda m, id: m.pin(id)):
        with pytest.raises(StateConflict, match=f"{ids[1]}.*version 1.*2"):
            use(memory, made.id)
    answer = ask(memory, made.id, refresh=True)
    assert answer.reused_tokens > 64
    fresh = memory.activation(made.id)
    assert (fresh.state, fresh.reason) == (State.ACTIVATED, None)
    assert fresh.sources[1].version == 2
    assert "sold" in str(fresh.text)
    assert ask(memory, made.id).text == answer.text


@pytest.mark.parametrize("erase", [False, True], ids=["forgotten", "erased"])
def test_states_of_a_forgotten_memory_are_gone_from_the_disk(
    memory: MemoryOS, service: Service, erase: bool
) -> None:
    ids = add(memory, LONG, BOAT)
    other = memory.compile(text="A" * 200)
    made = memory.compile(memories=ids)
    more = memory.compile(memories=[*ids, *add(memory, "C" * 200)])
    assert len(files(service)) == 3
    memory.forget(ids[1], erase=erase)
    # Both that were made of it, and what follows from them; not the one of another text.
    assert [carried(path) for path in files(service)] == [set()]
    for id in (made.id, more.id):
        with pytest.raises(StateConflict, match=f"memory {ids[1]} is"):
            ask(memory, id)
    assert ask(memory, other.id).states == "loaded"
    assert (memory.activation(made.id).text is None) is erase
    service.worker.drain()
    assert [job.state.value for job in memory.jobs().items if job.kind == "kv_forget"] == [
        "succeeded"
    ]
    if not erase:
        memory.restore(ids[1])
        assert ask(memory, made.id, refresh=True).reused_tokens > 64
        assert memory.activation(made.id).text == made.text
    else:
        ask(memory, made.id, refresh=True)
        assert [s.memory_id for s in memory.activation(made.id).sources] == [ids[0]]


def carried(path: Path) -> set[str]:
    """Ids of memories that a file's block carries."""
    from memos.kvcache.blocks.file import parsed_head

    names = {source.id for source in parsed_head(path.read_bytes()).header.sources}
    return {name.rpartition(":")[2] for name in names if name.startswith("memory:")}


def test_a_job_deletes_what_the_forgetting_process_could_not(
    memory: MemoryOS, service: Service
) -> None:
    """It died after the commit: the states are there, and never used."""
    ids = add(memory, LONG)
    made = memory.compile(memories=ids)
    cube = memory.cube("default")
    service.writer.erase(cube, ids[0], if_version=None, reason=None, actor=None)
    assert len(files(service)) == 1
    with pytest.raises(StateConflict, match="erased"):
        ask(memory, made.id)
    with pytest.raises(StateConflict, match="all that it was compiled from"):
        ask(memory, made.id, refresh=True)
    service.worker.drain()
    assert files(service) == []


def test_with_the_cube_and_by_drop_states_go(memory: MemoryOS, service: Service) -> None:
    memory.create_cube("other")
    made = memory.compile(text=LONG, name="mine")
    kept = memory.compile(text=BOAT, cube="other")
    with pytest.raises(ActivationNotFound):
        memory.activation(kept.id)
    memory.drop(made.id)
    assert len(files(service)) == 1
    assert memory.activations().items == ()
    assert LONG.encode() not in b"".join(
        path.read_bytes() for path in service.settings.data_dir.glob("memos.db*")
    )
    memory.delete_cube("other")
    assert files(service) == []


def test_copies_elsewhere_are_deleted_too(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with serving(tmp_path / "data", kv_remote=f"file://{elsewhere}") as service:
        memory = service.tenant()
        ids = add(memory, LONG)
        memory.compile(memories=ids)
    assert len(list(elsewhere.rglob("*.safetensors"))) == 1
    with serving(tmp_path / "data", kv_remote=f"file://{elsewhere}") as service:
        service.tenant().forget(ids[0])
        assert list(elsewhere.rglob("*.safetensors")) == []


def test_what_is_likely_to_come_next_is_brought_near(tmp_path: Path) -> None:
    """After the first use of a cube in a process, with what each of them follows."""
    with serving(tmp_path) as service:
        memory = service.tenant()
        first = memory.compile(text=LONG)
        memory.compile(text=f"{BOAT} {BOAT}")
        memory.compile(text=f"{BOAT} {BOAT} {LONG}")
        assert len(files(service)) == 3
    with serving(tmp_path) as service:
        ask(service.tenant(), first.id)
        states = service.activations._states.wait()
        states._tiers._background.submit(lambda: None).result()
        assert {file.stem for file in files(service)} == set(states._tiers.ram.shelf._held)


def test_another_tenant_never_hits(memory: MemoryOS, service: Service) -> None:
    made = memory.compile(text=LONG)
    other = service.tenant("other")
    other.create_cube("default")
    told = [{"role": "system", "content": LONG}, {"role": "user", "content": "Hm?"}]
    assert memory.generate(told, max_new_tokens=1).reused_tokens == made.tokens
    assert other.generate(told, max_new_tokens=1).reused_tokens == 0
    theirs = other.compile(text=LONG)
    assert len(files(service)) == 2
    with pytest.raises(ActivationNotFound):
        other.activation(made.id)
    memory.drop(made.id)
    assert other.generate(told, max_new_tokens=1).reused_tokens == theirs.tokens


def test_another_model_refuses_and_names_both(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        made = service.tenant().compile(text=LONG)
    with serving(tmp_path, local_model=tiny_model(1)) as service:
        memory = service.tenant()
        with pytest.raises(FingerprintMismatch, match=r"tiny-0.*tiny-1.*weights"):
            ask(memory, made.id)
        answer = ask(memory, made.id, refresh=True)
        assert (answer.model, answer.reused_tokens) == ("tiny-1", made.tokens)
        assert memory.activation(made.id).model == "tiny-1"


def test_a_job_compiles_when_nobody_waits(memory: MemoryOS, service: Service) -> None:
    ids = add(memory, LONG)
    made = memory.compile(memories=ids, pinned=True, wait=False)
    assert (made.state, made.tokens, files(service)) == (State.GENERATED, 0, [])
    # It can be used at once: then it is computed.
    assert ask(memory, made.id).states == "recomputed"
    service.worker.drain()
    assert made.job_id is not None
    assert memory.job(made.job_id).state.value == "succeeded"
    done = memory.activation(made.id)
    assert (done.state, done.pinned) == (State.ACTIVATED, True)
    assert ask(memory, made.id).states == "loaded"
    assert service.metrics_snapshot()["kv_pinned_blocks"] == 1


def test_pins_warmth_and_what_was_evicted(memory: MemoryOS, service: Service) -> None:
    made = memory.compile(text=LONG)
    assert memory.pin(made.id).pinned
    assert service.metrics_snapshot()["kv_pinned_blocks"] == 1
    assert not memory.unpin(made.id).pinned
    assert service.metrics_snapshot()["kv_pinned_blocks"] == 0
    service.activations.forget([f"artifact:{made.id}"])
    assert files(service) == []
    answer = ask(memory, made.id)
    assert answer.states == "recomputed"
    service.worker.drain()  # which it left to a job
    assert ask(memory, made.id) == replace(
        ask(memory, made.id),
        ttft_s=pytest.approx(0, abs=60),
        total_s=pytest.approx(0, abs=60),
    )
    service.activations.forget([f"artifact:{made.id}"])
    assert memory.pin(made.id).pinned  # computes it first
    assert len(files(service)) == 1
    service.activations.forget([f"artifact:{made.id}"])
    assert memory.warm(made.id).state is State.ACTIVATED
    assert len(files(service)) == 1


def test_the_doctor_finds_what_a_crash_left(memory: MemoryOS, service: Service) -> None:
    ids = add(memory, LONG)
    made = memory.compile(memories=ids)
    kept = memory.compile(text=BOAT)
    cube = memory.cube("default")
    assert memory.doctor() == ()
    # Files without a row: killed after the row was dropped, the job not yet run.
    service.stores.artifacts.remove(cube.id, made.id)
    # A row without files: killed between the two.
    service.activations.forget([f"artifact:{kept.id}"])
    found = {finding.check: finding for finding in memory.doctor()}
    assert set(found) == {"activation files", "activations"}
    assert len(files(service)) == 1
    assert all(finding.repaired for finding in memory.doctor(repair=True))
    assert files(service) == []
    service.worker.drain()
    assert memory.doctor() == ()
    assert ask(memory, kept.id).states == "loaded"


def test_a_compilation_that_fails_leaves_nothing(memory: MemoryOS, service: Service) -> None:
    with pytest.raises(InvalidInput, match=rf"tokens.*tiny-0.*{CONTEXT}"):
        memory.compile(text="x" * (CONTEXT + 10))
    assert memory.activations().items == ()
    assert files(service) == []


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        ({}, InvalidInput, "nothing to compile"),
        ({"kind": Kind.VAULT}, InvalidInput, "no memory was found"),
        ({"kind": "nonsense"}, InvalidInput, "kind"),
        ({"memories": ["nobody"]}, MemoryNotFound, "nobody"),
        ({"memories": ["x"], "query": "y"}, InvalidInput, "one of them"),
        ({"text": " "}, InvalidInput, "empty"),
        ({"text": "a\0b"}, InvalidInput, "NUL"),
        ({"text": "x" * 100_001}, PayloadTooLarge, "100001"),
        ({"text": "x", "codec": "zip"}, InvalidInput, "'zip'.*lossless"),
        ({"text": "x", "policy": "magic:0.5"}, InvalidInput, "'magic:0.5'.*keydiff"),
        ({"text": "x", "policy": "keydiff:1"}, InvalidInput, "between 0 and 1"),
        ({"text": "x", "limit": 0}, InvalidInput, "limit"),
        ({"text": "x", "token_budget": 0}, InvalidInput, "token_budget"),
        ({"text": "x", "cube": "nowhere"}, Exception, "nowhere"),
    ],
)
def test_what_can_not_be_compiled(
    memory: MemoryOS, wanted: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        memory.compile(**wanted)


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        ("", {}, "empty"),
        ([], {}, "no message"),
        ([{"role": "king", "content": "x"}], {}, "king"),
        ([{"role": "user"}], {}, "content"),
        ("x", {"max_new_tokens": 0}, "max_new_tokens"),
        ("x", {"temperature": -1.0}, "temperature"),
        ("x", {"stop": ("",)}, "stop"),
        ("x" * (CONTEXT + 1), {}, str(CONTEXT)),
    ],
)
def test_what_can_not_be_asked(
    memory: MemoryOS, prompt: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        memory.generate(prompt, **options)


def test_a_model_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path, local_model="llm-nowhere/none", offline=True) as service:
        memory = service.tenant()
        with pytest.raises(ModelNotFound, match="llm-nowhere/none"):
            memory.compile(text=LONG)
        assert memory.activations().items == ()


def test_a_smaller_codec_takes_fewer_bytes(memory: MemoryOS) -> None:
    whole = memory.compile(text=LONG)
    small = memory.compile(text=BOAT, codec="int8")
    assert small.bytes / small.tokens < whole.bytes / whole.tokens / 2
    assert ask(memory, small.id).reused_tokens == small.tokens


PRUNED = {"think": 0.9, "kvsharer": 1.01}
"""Of the bytes, the most that stay of half: keys alone are pruned; layers are shared only where
that does little."""


def test_a_cube_has_a_codec_of_its_own(memory: MemoryOS) -> None:
    memory.create_cube("small")
    memory.set_policy(Policy(kv_codec="int8"), cube="small")
    made = [memory.compile(text=LONG, cube=cube) for cube in ("small", "default")]
    assert [one.codec for one in made] == ["int8", "raw"]
    assert made[0].bytes < made[1].bytes / 2
    assert memory.compile(text=BOAT, cube="small", codec="lossless").codec == "lossless"
    with pytest.raises(InvalidInput, match="kv_codec is 'int3'"):
        memory.set_policy(Policy(kv_codec="int3"), cube="small")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_leaves_out_states_and_says_so(
    memory: MemoryOS, service: Service, policy: str
) -> None:
    ids = add(memory, LONG, BOAT)
    whole = memory.compile(memories=ids)
    guide = "What does Ben own?" if policy in GUIDED else None
    half = memory.compile(memories=ids, policy=f"{policy}:0.5", guide=guide)
    assert (half.policy, half.guide) == (f"{policy}:0.5", guide)
    assert half.tokens == whole.tokens
    assert half.bytes < PRUNED.get(policy, 0.75) * whole.bytes
    for made in (half, whole):  # neither is taken for the other
        answer = ask(memory, made.id)
        assert (answer.states, answer.reused_tokens) == ("loaded", made.tokens)
    memory.forget(ids[0])
    assert files(service) == []


@pytest.mark.parametrize("policy", ["think", "zeromerge", "kvsharer"])
def test_an_answer_from_what_a_policy_made_is_that_of_the_policy(
    memory: MemoryOS, service: Service, policy: str
) -> None:
    """Nothing of it is lost on the way to the disk and back."""
    made = memory.compile(text=LONG + BOAT, policy=f"{policy}:0.5")
    from memos.kvcache.attention.continuation import Continuation
    from memos.kvcache.compression.registry import policy as policy_named
    from memos.kvcache.openings import opening_tokens, prompt_of

    model = service.activations._states.wait()._model()
    text = made.text or ""
    tokens = opening_tokens(model, text)
    held = policy_named(policy).compress(model.module, tokens, ratio=0.5)
    prompt = model.chat_tokens(prompt_of(model, text, [{"role": "user", "content": "Who?"}]))
    expected = Continuation(model.module, held).generate(prompt[len(tokens) :], 8, stop=model.eos)
    answer = memory.generate("Who?", activation=made.id, max_new_tokens=8)
    assert answer.states == "loaded"
    assert answer.text == model.tokenizer.decode(expected, skip_special_tokens=True)


def test_what_is_gone_of_a_compressed_one_is_read_whole(memory: MemoryOS, service: Service) -> None:
    made = memory.compile(text=LONG)
    whole = ask(memory, made.id)
    memory.drop(made.id)
    half = memory.compile(text=LONG, policy="keydiff:0.5")
    service.activations.forget([f"artifact:{half.id}"])
    answer = ask(memory, half.id)
    assert (answer.text, answer.states) == (whole.text, "recomputed")
    service.worker.drain()
    assert len(files(service)) == 1
    assert ask(memory, half.id).states == "loaded"


def test_codecs_are_those_of_the_store() -> None:
    from memos.activation.selection import CODECS
    from memos.kvcache.codecs.registry import CODECS as REAL
    from memos.kvcache.compression.registry import POLICIES as REAL_POLICIES

    assert set(CODECS) == set(REAL)
    assert set(POLICIES) <= set(REAL_POLICIES)


def test_what_a_refresh_leaves_out_is_gone_from_the_disk(tmp_path: Path) -> None:
    """Else nobody would delete it when the memory is erased."""
    now = datetime(2024, 5, 1, tzinfo=timezone.utc)
    with serving(tmp_path, clock=lambda: now) as service:
        memory = service.tenant()
        [kept] = add(memory, LONG)
        soon = memory.add(BOAT, expires_at=now + timedelta(days=1)).memories[0]
        made = memory.compile(memories=[kept, soon.id])
        now += timedelta(days=2)
        with pytest.raises(StateConflict, match=f"{soon.id} is expired"):
            ask(memory, made.id)
        ask(memory, made.id, refresh=True)
        assert memory.activation(made.id).state is State.ACTIVATED
        assert [carried(path) for path in files(service)] == [{kept}]


KILLED = """
import os, signal, sys
from tests.service.activation.test_activations import LONG, Path, add, serving
with serving(Path(sys.argv[1])) as service:
    memory = service.tenant()
    ids = add(memory, LONG)
    # The states are on disk, and SQL does not know it yet.
    service.stores.artifacts.put = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    memory.compile(memories=ids)
"""


def test_a_kill_between_files_and_sql_does_no_harm(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    dead = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, check=False)
    assert dead.returncode == -signal.SIGKILL
    with serving(tmp_path) as service:
        memory = service.tenant()
        [left] = memory.activations().items
        assert (left.state, len(files(service))) == (State.GENERATED, 1)
        [finding] = memory.doctor(repair=True)
        assert finding.check == "activations"
        service.worker.drain()
        assert memory.activation(left.id).state is State.ACTIVATED
        assert memory.doctor() == ()
        memory.forget(left.sources[0].memory_id)
        assert files(service) == []
