"""Many answers at once, answers from joined activation memories, and policies that a prompt guides:
in process, on a tiny model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memos.errors import (
    ActivationNotFound,
    BatchTooLarge,
    InvalidInput,
    NotFound,
    StateConflict,
)
from memos.kvcache.grouping.group import Group
from memos.service import MemoryOS, Service
from memos.types import Answers, Generated, State
from tests.service.activation.test_activations import BOAT, LONG, add, files, serving

TRAM = "The tram of line 28 is yellow too, and on Sundays it is full of people from elsewhere."
QUESTIONS = ("What does Ana like?", "Who owns the boat?", "Which tram is it?")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("answering")) as opened:
        yield opened


@pytest.fixture
def memory(service: Service, request: pytest.FixtureRequest) -> MemoryOS:
    """A tenant of its own for each test: nothing is stored yet."""
    return service.tenant(f"{request.node.name[-20:]} {len(request.node.name)}")


def told(answers: Answers) -> list[str]:
    return [answer.text for answer in answers.items]


def computed(service: Service) -> float:
    return service.metrics_snapshot()["kv_computed_tokens"]


def test_a_batch_answers_as_each_alone_and_reads_what_is_shared_once(
    memory: MemoryOS, service: Service
) -> None:
    """Nothing is stored of the opening: it is computed once, for all."""
    made = memory.compile(text=LONG + BOAT)
    alone = [memory.generate(q, activation=made.id, max_new_tokens=8) for q in QUESTIONS]
    service.activations.forget([f"artifact:{made.id}"])
    before = computed(service)
    answers = memory.generate_batch(QUESTIONS, activation=made.id, max_new_tokens=8)
    assert told(answers) == [one.text for one in alone]
    own = sum(one.prompt_tokens - made.tokens for one in alone)
    assert answers.prompt_tokens == 3 * made.tokens + own
    # Questions may begin alike too, so a few tokens less than all of them.
    assert made.tokens < answers.computed_tokens <= made.tokens + own
    assert computed(service) - before == answers.computed_tokens
    for answer in answers.items:
        assert answer.shared_tokens >= made.tokens
        assert (answer.states, answer.activation) == ("recomputed", made.id)


def test_a_batch_begins_at_stored_states(memory: MemoryOS, service: Service) -> None:
    made = memory.compile(text=BOAT + LONG)
    alone = [memory.generate(q, activation=made.id, max_new_tokens=8) for q in QUESTIONS]
    before = service.metrics_snapshot()
    answers = memory.generate_batch(
        [[{"role": "user", "content": q}] for q in QUESTIONS], activation=made.id, max_new_tokens=8
    )
    after = service.metrics_snapshot()
    assert told(answers) == [one.text for one in alone]
    assert {answer.states for answer in answers.items} == {"loaded"}
    assert after["kv_hits"] - before["kv_hits"] == 1  # one look, one load
    assert answers.computed_tokens <= sum(one.prompt_tokens - made.tokens for one in alone)
    assert memory.activation(made.id).hits == 6


@pytest.mark.parametrize("rows", [1, 2])
def test_a_setting_says_whether_answers_go_on_together(tmp_path: Path, rows: int) -> None:
    with serving(tmp_path, kv_group_rows=rows) as service:
        service.tenant().generate(QUESTIONS[0], max_new_tokens=4)
        numbers = service.metrics_snapshot()
    assert (numbers["kv_passes"] > 0) is (rows > 1)
    assert numbers["kv_answering"] == numbers["kv_grouped"] == 0


def test_who_has_the_whole_answer_is_not_counted_until_its_row_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, leave = threading.Event(), Group._leave

    def late(group: Group) -> None:
        if any(request.ended for request in group.requests):
            looked.wait(60)
        leave(group)

    monkeypatch.setattr(Group, "_leave", late)
    with serving(tmp_path, kv_group_rows=2) as service:
        service.tenant().generate(QUESTIONS[0], max_new_tokens=4)
        now = service.metrics_snapshot()["kv_answering"]
        looked.set()
    assert now == 0


def test_a_crash_before_states_are_stored_loses_only_these(tmp_path: Path) -> None:
    """`wait=False` answers once the row and its job are in SQL; the process ends before the job."""
    with serving(tmp_path) as service:
        made = service.tenant().compile(text=LONG + BOAT, wait=False)
        assert (made.state, files(service)) == (State.GENERATED, [])
    with serving(tmp_path) as service:
        memory = service.tenant()
        ask: dict[str, Any] = {"activation": made.id, "max_new_tokens": 12}
        first = memory.generate(QUESTIONS[1], **ask)
        numbers = service.metrics_snapshot()
        assert (first.states, first.reused_tokens) == ("recomputed", 0)
        assert (numbers["kv_hits"], numbers["kv_misses"]) == (0, 1)
        assert first.text == read_in_full(service, LONG + BOAT).text
        service.worker.drain()
        second = memory.generate(QUESTIONS[1], **ask)
        assert (second.states, second.text) == ("loaded", first.text)
        assert memory.activation(made.id).state is State.ACTIVATED


def test_a_batch_after_what_a_policy_left(memory: MemoryOS) -> None:
    made = memory.compile(text=LONG + BOAT, policy="keydiff:0.5")
    alone = [memory.generate(q, activation=made.id, max_new_tokens=8) for q in QUESTIONS]
    answers = memory.generate_batch(QUESTIONS, activation=made.id, max_new_tokens=8)
    assert told(answers) == [one.text for one in alone]
    assert answers.computed_tokens == sum(one.prompt_tokens - made.tokens for one in alone)


def test_what_is_no_batch(memory: MemoryOS) -> None:
    for wrong, kind in (([], InvalidInput), ([" "], InvalidInput), (["x"] * 65, BatchTooLarge)):
        with pytest.raises(kind):
            memory.generate_batch(wrong)
    with pytest.raises(ActivationNotFound):
        memory.generate_batch(["x"], activation="0" * 26)


def test_a_guide_says_what_is_kept(memory: MemoryOS, service: Service, tmp_path: Path) -> None:
    before = len(files(service))
    ids = add(memory, LONG, BOAT)
    wanted: dict[str, Any] = {"memories": ids, "policy": "snapkv:0.7"}
    plain = memory.compile(**wanted)
    guided = [memory.compile(**wanted, guide=q) for q in ("Who owns a boat?", "What smells?")]
    assert [made.guide for made in (plain, *guided)] == [None, "Who owns a boat?", "What smells?"]
    assert len(files(service)) == before + 3  # each is its own, and none is taken for another
    for made in guided:
        assert memory.activation(made.id).guide == made.guide
        assert memory.generate("Who?", activation=made.id, max_new_tokens=4).states == "loaded"
    # What is computed again, by the job that does, is guided as before.
    kept = {file.name: file.read_bytes() for file in files(service)}
    service.activations.forget([f"artifact:{guided[0].id}"])
    memory.warm(guided[0].id)
    assert {file.name: file.read_bytes() for file in files(service)} == kept
    memory.update(ids[1], content="Ben sold the boat and bought a red bicycle instead of it.")
    ask = {"activation": guided[0].id, "refresh": True, "max_new_tokens": 4}
    memory.generate("Who?", **ask)
    assert memory.activation(guided[0].id).guide == "Who owns a boat?"
    memory.dump(tmp_path / "cube.memos")
    memory.load(tmp_path / "cube.memos", name="copy")
    assert [made.guide for made in memory.activations(cube="copy").items][1] == "Who owns a boat?"


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"policy": "finch:0.5"}, "finch"),
        ({"policy": "keydiff:0.5", "guide": "What?"}, "keydiff"),
        ({"guide": "What?"}, "none is guided"),
        ({"policy": "tova:0.5", "guide": " "}, "guide is empty"),
    ],
)
def test_a_guide_where_it_is_needed_and_nowhere_else(
    memory: MemoryOS, wanted: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidInput, match=word) as refused:
        memory.compile(text=LONG, **wanted)
    assert refused.value.details["field"] == "guide"


@pytest.fixture
def three(memory: MemoryOS) -> list[str]:
    """Ids of activation memories of one text each."""
    return [memory.compile(text=text).id for text in (LONG, BOAT, TRAM)]


def read_in_full(service: Service, *texts: str) -> Generated:
    """What a stranger, for whom nothing is stored, is answered after all of it."""
    turns = [
        {"role": "system", "content": "\n\n".join(texts)},
        {"role": "user", "content": QUESTIONS[1]},
    ]
    return service.tenant("a stranger").generate(turns, max_new_tokens=12)


def test_nothing_is_joined_before_it_is_measured(
    memory: MemoryOS, service: Service, three: list[str]
) -> None:
    with pytest.raises(NotFound, match="never measured"):
        memory.joining()
    answer = memory.generate_joined(QUESTIONS[1], activations=three, max_new_tokens=12)
    assert (answer.joined, answer.activations) == (False, tuple(three))
    assert "never measured" in (answer.reason or "")
    assert answer.text == read_in_full(service, LONG, BOAT, TRAM).text
    assert service.metrics_snapshot()["kv_not_joined"] >= 1


def test_below_the_gate_all_is_read_in_full_and_the_answer_says_so(
    memory: MemoryOS, service: Service, three: list[str]
) -> None:
    report = memory.measure_joining(QUESTIONS[:1], activations=three, ratios=(0.0,))
    [point] = report.curve
    assert point.top1 < report.threshold
    assert (report.ratio, report.tokens, report.activations) == (None, 64, 3)
    assert memory.joining() == report
    answer = memory.generate_joined(QUESTIONS[1], activations=three, max_new_tokens=12)
    assert answer.joined is False
    assert "the gate is closed" in (answer.reason or "")
    assert answer.text == read_in_full(service, LONG, BOAT, TRAM).text


def test_above_the_gate_stored_states_are_joined(
    memory: MemoryOS, service: Service, three: list[str]
) -> None:
    report = memory.measure_joining(
        QUESTIONS[:1], activations=three, ratios=(0.999, 0.0), selection="first"
    )
    assert [point.ratio for point in report.curve] == [0.0, 0.999]
    assert report.curve[0].kl > report.curve[1].kl
    assert report.ratio == 0.999  # nearly all of it again: right, and of no use
    before = service.metrics_snapshot()["kv_joined"]
    answer = memory.generate_joined(QUESTIONS[1], activations=three, max_new_tokens=12)
    assert (answer.joined, answer.reason) == (True, None)
    full = read_in_full(service, LONG, BOAT, TRAM)
    assert (answer.text, answer.prompt_tokens) == (full.text, full.prompt_tokens)
    assert 0 < answer.reused_tokens < answer.prompt_tokens
    assert service.metrics_snapshot()["kv_joined"] == before + 1
    assert [memory.activation(id).hits for id in three] == [1, 1, 1]
    # Another cube has measured nothing, and a cube that is gone leaves nothing.
    memory.create_cube("other")
    with pytest.raises(NotFound, match="other"):
        memory.joining(cube="other")
    reports = service.settings.data_dir / "kv" / "joining"
    kept = len(list(reports.glob("*.json")))
    memory.delete_cube("default")
    assert len(list(reports.glob("*.json"))) == kept - 1


def test_what_can_not_be_joined_is_read_in_full(memory: MemoryOS, three: list[str]) -> None:
    memory.measure_joining(QUESTIONS[:1], activations=three, ratios=(0.999,), selection="first")
    pruned = memory.compile(
        text="A third of this is left out.",
        policy="keydiff:0.3",
    )
    answer = memory.generate_joined("Who?", activations=[three[0], pruned.id], max_new_tokens=4)
    assert answer.joined is False
    assert "keydiff:0.3" in (answer.reason or "")
    with pytest.raises(StateConflict, match="keydiff"):
        memory.measure_joining(["Who?"], activations=[three[0], pruned.id])


def test_only_the_texts_that_are_asked_for_are_attended_to(
    memory: MemoryOS, service: Service, three: list[str]
) -> None:
    """The others don't get into the prompt."""
    texts = dict(zip(three, (LONG, BOAT, TRAM), strict=True))
    answer = memory.generate_joined(QUESTIONS[1], activations=three, top=1, max_new_tokens=12)
    [id] = answer.activations
    assert answer.joined is False
    assert answer.text == read_in_full(service, texts[id]).text
    everything = memory.generate_joined(QUESTIONS[1], activations=three, top=3, max_new_tokens=4)
    assert everything.activations == tuple(three)
    assert answer.prompt_tokens < everything.prompt_tokens
    memory.measure_joining(QUESTIONS[:1], activations=three, ratios=(0.999,), selection="first")
    two = memory.generate_joined(QUESTIONS[1], activations=three, top=2, max_new_tokens=12)
    assert two.joined is True
    assert len(two.activations) == 2
    assert id in two.activations
    assert two.text == read_in_full(service, *(texts[one] for one in two.activations)).text


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"activations": ["a"]}, "activations"),
        ({"activations": ["a", "a"]}, "activations"),
        ({"activations": ["a", "b"], "ratios": (1.0,)}, "ratios"),
        ({"activations": ["a", "b"], "ratios": ()}, "ratios"),
        ({"activations": ["a", "b"], "selection": "best"}, "selection"),
        ({"activations": ["a", "b"], "questions": []}, "questions"),
    ],
)
def test_what_can_not_be_measured(memory: MemoryOS, wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        memory.measure_joining(**{"questions": ["x"], **wanted})
    assert refused.value.details["field"] == field
