"""Requests that come one by one and go on together: the same answers, errors and ends of their own.

Passes are held where a test says when somebody comes, so that nothing depends on how fast they are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from memos.errors import InvalidInput, ModelError, ServiceUnavailable
from memos.kvcache.generator.generator import Event, LocalGenerator
from memos.kvcache.generator.request import Generation, Options
from memos.kvcache.generator.running import Together
from memos.kvcache.grouping.group import Group, Request
from memos.kvcache.grouping.grouping import Grouping
from memos.kvcache.reuse.prefix import PrefixReuse
from tests.kvcache import local_models as local

NIGHT = "The keeper of the lighthouse wrote in her book every night: "
PROMPTS = [
    NIGHT + "the wind is from",
    NIGHT + "no ship",
    "Ships",
    "A prompt that has nothing to do with the others, and is longer than all of them. " * 5,
    NIGHT + "but now",
]
ENDLESS = "Ships sail"
"""The model's answer to this goes on and on."""
OPTIONS = [
    Options(max_new_tokens=24),
    Options(max_new_tokens=18, temperature=0.9, seed=7),
    Options(max_new_tokens=16, temperature=1.2, top_k=50, top_p=0.9, seed=8),
    Options(max_new_tokens=20),
    Options(max_new_tokens=9),
]
_PATIENCE = 60


def until(told: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not told():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.001)


@pytest.fixture
def grouping() -> Iterator[Grouping]:
    made = Grouping(8)
    yield made
    made.close()


class Crowd:
    """Threads that ask: the first, then `burst` more while each `every`th pass is held."""

    def __init__(
        self, grouping: Grouping, monkeypatch: pytest.MonkeyPatch, *, every: int, burst: int = 1
    ) -> None:
        self.grouping = grouping
        self.events: dict[int, list[Event]] = {}
        self.errors: dict[int, Exception] = {}
        self._every = every
        self._passes = 0
        self._threads: list[threading.Thread] = []
        self._come = 0
        self._coming = threading.Lock()
        step = Group.step

        def held(group: Group) -> int:
            if self._passes % self._every == 0:
                for _ in range(burst):
                    self._next()
            self._passes += 1
            return step(group)

        monkeypatch.setattr(Group, "step", held)

    def answers(
        self, reuse: PrefixReuse, prompts: list[str], options: list[Options]
    ) -> list[Generation | None]:
        """None for those that failed."""
        self._threads = [
            threading.Thread(target=self._ask, args=(i, reuse, prompt, option))
            for i, (prompt, option) in enumerate(zip(prompts, options, strict=True))
        ]
        self._next()
        until(lambda: self._come == len(prompts))
        for thread in self._threads:
            thread.join(_PATIENCE)
            assert not thread.is_alive()
        return [self.events[i][-1].done if i in self.events else None for i in range(len(prompts))]

    def _next(self) -> None:
        with self._coming:  # the first may be at its first pass before it counts as come
            if self._come < len(self._threads):
                before = self.grouping.stats()["kv_answering"]
                self._threads[self._come].start()
                if self._come:
                    until(lambda: self.grouping.stats()["kv_answering"] > before)
                self._come += 1

    def _ask(self, i: int, reuse: PrefixReuse, prompt: str, options: Options) -> None:
        found = []
        try:
            for event in self.grouping.stream(reuse, prompt, options):
                found.append(event)
            self.events[i] = found
        except Exception as error:
            self.errors[i] = error


def told_in_order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The prompts of those who were told a token, in that order. When they hear of it is up to
    their threads."""
    found: list[tuple[int, ...]] = []
    take = Request.take

    def noted(request: Request, *given: Any) -> None:
        found.append(tuple(request.answer.prompt))
        take(request, *given)

    monkeypatch.setattr(Request, "take", noted)
    return found


@cache
def alone(kind: str = "llama") -> list[Generation]:
    made = LocalGenerator(PrefixReuse(local.tiny(kind)))
    return [made.generate(p, o) for p, o in zip(PROMPTS, OPTIONS, strict=True)]


@pytest.mark.parametrize(
    ("kind", "every"), [("llama", 1), ("llama", 4), ("gemma3", 2), ("lfm2", 3)]
)
def test_who_comes_later_is_answered_as_alone(kind, every, grouping, monkeypatch):
    reuse = PrefixReuse(local.tiny(kind))
    crowd = Crowd(grouping, monkeypatch, every=every)
    done = crowd.answers(reuse, PROMPTS, OPTIONS)
    for i, (one, other) in enumerate(zip(alone(kind), done, strict=True)):
        assert other is not None
        assert (one.tokens, one.text, one.finish) == (other.tokens, other.text, other.finish), i
        assert "".join(event.text for event in crowd.events[i]) == other.text
    until(lambda: not grouping.stats()["kv_answering"])  # told its end, it leaves its row
    numbers = grouping.stats()
    assert numbers["kv_grouped"] == 5
    assert numbers["kv_group_failures"] == 0
    assert numbers["kv_grouped_late"] >= 3
    assert numbers["kv_pass_rows"] > 1.5 * numbers["kv_passes"]
    if kind == "llama":  # what others have read is not read again
        assert done[1].shared_tokens >= len(NIGHT)
        assert done[4].computed_tokens <= len(PROMPTS[4]) - len(NIGHT) + 1


def test_of_more_than_fit_none_waits_for_an_answer_to_end(monkeypatch):
    """Three groups, of two at most, go on in turn."""
    grouping = Grouping(2)
    crowd = Crowd(grouping, monkeypatch, every=1, burst=4)
    order = told_in_order(monkeypatch)
    options = [Options(max_new_tokens=16)] * 5
    reuse = PrefixReuse(local.tiny())
    done = crowd.answers(reuse, PROMPTS, options)
    expected = LocalGenerator(PrefixReuse(local.tiny())).generate_many(PROMPTS, options)
    assert [one.tokens for one in done if one] == [one.tokens for one in expected]
    assert len(set(order)) == 5
    last = [len(order) - order[::-1].index(prompt) for prompt in set(order)]
    assert max(order.index(prompt) for prompt in set(order)) < min(last)
    numbers = grouping.stats()
    assert 1 < numbers["kv_pass_rows"] / numbers["kv_passes"] <= 2
    grouping.close()


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_those_under_way_go_on_while_a_long_prompt_is_read(kind, grouping, monkeypatch):
    """One token for each part of it; what is read in parts is answered as what is read whole."""
    reuse = PrefixReuse(local.tiny(kind), part_tokens=16)
    alone = LocalGenerator(PrefixReuse(local.tiny(kind)))
    reading, during, step, begin = [], [], Group.step, PrefixReuse.begin
    later: list[Event] = []

    def ask() -> None:
        later.extend(grouping.stream(reuse, PROMPTS[3], OPTIONS[3]))

    newcomer = threading.Thread(target=ask)

    def read(*args, **more):
        reading.append(len(args[1][0]))
        try:
            return begin(*args, **more)
        finally:
            reading.clear()

    def counted(group: Group) -> int:
        during.extend(reading)
        if newcomer.ident is None:
            newcomer.start()
            until(lambda: grouping.stats()["kv_answering"] == 2)
        return step(group)

    monkeypatch.setattr(PrefixReuse, "begin", read)
    monkeypatch.setattr(Group, "step", counted)
    first = list(grouping.stream(reuse, ENDLESS, Options(max_new_tokens=60)))
    newcomer.join(_PATIENCE)
    [length] = set(during)  # nothing went on while the first was read
    assert len(during) == -(-(length - 1) // 16)
    for events, prompt, options in (
        (first, ENDLESS, Options(max_new_tokens=60)),
        (later, PROMPTS[3], OPTIONS[3]),
    ):
        assert events[-1].done.tokens == alone.generate(prompt, options).tokens
    until(lambda: not grouping.stats()["kv_answering"])


def test_who_comes_with_a_short_prompt_does_not_wait_for_a_long_one(grouping, monkeypatch):
    reuse = PrefixReuse(local.tiny(), part_tokens=16)
    begin, step, threads = PrefixReuse.begin, Group.step, []
    order = told_in_order(monkeypatch)

    def ask(prompt: str) -> None:
        list(grouping.stream(reuse, prompt, Options(max_new_tokens=4)))

    def read(self, prompts, **more):
        if len(prompts[0]) > 64 and len(threads) == 1:
            threads.append(threading.Thread(target=ask, args=("Ships",)))
            threads[1].start()
            until(lambda: grouping.stats()["kv_answering"] == 3)
        return begin(self, prompts, **more)

    def held(group: Group) -> int:
        if not threads:
            threads.append(threading.Thread(target=ask, args=(PROMPTS[3],)))
            threads[0].start()
            until(lambda: grouping.stats()["kv_answering"] == 2)
        return step(group)

    monkeypatch.setattr(PrefixReuse, "begin", read)
    monkeypatch.setattr(Group, "step", held)
    list(grouping.stream(reuse, ENDLESS, Options(max_new_tokens=40)))
    for thread in threads:
        thread.join(_PATIENCE)
    _, short, long = (tuple(local.tiny().tokens(p)) for p in (ENDLESS, "Ships", PROMPTS[3]))
    assert order.index(short) < order.index(long)


def test_what_a_request_has_read_is_taken_from_the_row_where_it_is_then(grouping, monkeypatch):
    """The first row ends while two newcomers' common beginning is read; then a third one takes
    what the second row has read."""
    reuse, alone = (
        PrefixReuse(local.tiny(), part_tokens=16),
        LocalGenerator(PrefixReuse(local.tiny())),
    )
    opening = "The chart shows a rock that no other chart shows, and it is marked in red. " * 4
    first, second = {ENDLESS: 14}, {NIGHT + "the wind is from": 60}
    late = [opening + "Why?", opening + "Where?", NIGHT + "the wind is from the north"]
    found: dict[str, list[int]] = {}
    threads = []

    def ask(prompt: str, tokens: int) -> None:
        *_, last = grouping.stream(reuse, prompt, Options(max_new_tokens=tokens))
        found[prompt] = list(last.done.tokens)

    def start(prompts: dict[str, int]) -> None:
        before = grouping.stats()["kv_answering"]
        for number, (prompt, tokens) in enumerate(prompts.items(), 1):
            threads.append(threading.Thread(target=ask, args=(prompt, tokens)))
            threads[-1].start()
            until(lambda: grouping.stats()["kv_answering"] >= before + number)  # noqa: B023

    step = Group.step

    def held(group: Group) -> int:
        if len(threads) == 1:
            start(second)
        elif len(threads) == 2 and len(group.requests) == 2:
            start(dict.fromkeys(late, 12))
        return step(group)

    monkeypatch.setattr(Group, "step", held)
    [(prompt, tokens)] = first.items()
    threads.append(threading.Thread(target=ask, args=(prompt, tokens)))
    threads[0].start()
    until(lambda: len(found) == 5)
    for prompt, tokens in {**first, **second, **dict.fromkeys(late, 12)}.items():
        assert found[prompt] == list(alone.generate(prompt, Options(max_new_tokens=tokens)).tokens)
    assert grouping.stats()["kv_group_failures"] == 0


def test_an_error_is_that_of_one_request(grouping, monkeypatch):
    reuse = PrefixReuse(local.tiny())
    with pytest.raises(InvalidInput, match="reads 4096"):
        grouping.stream(reuse, "x" * 5000, Options())
    begin, together = reuse.begin, []

    def failing(prompts, **options):
        if local.tiny().tokens(PROMPTS[2]) in prompts:
            together.append(len(prompts))
            raise ModelError("memory is short")
        return begin(prompts, **options)

    monkeypatch.setattr(reuse, "begin", failing)
    crowd = Crowd(grouping, monkeypatch, every=1, burst=4)
    done = crowd.answers(reuse, PROMPTS, OPTIONS)
    assert together == [4, 1]
    assert grouping.stats()["kv_group_failures"] == 1
    assert [i for i, one in enumerate(done) if one is None] == [2]
    assert isinstance(crowd.errors[2], ModelError)
    expected = [one.tokens for i, one in enumerate(alone()) if i != 2]
    assert [one.tokens for one in done if one] == expected


def test_after_a_pass_that_failed_each_goes_on_by_itself(grouping, monkeypatch):
    advance, failed = Together.advance, []

    def failing(rows, tokens):
        if len(tokens) > 3 and not failed:
            failed.append(len(tokens))
            raise ModelError("memory is short")
        return advance(rows, tokens)

    monkeypatch.setattr(Together, "advance", failing)
    done = Crowd(grouping, monkeypatch, every=1).answers(
        PrefixReuse(local.tiny()), PROMPTS, OPTIONS
    )
    assert failed
    assert [one.tokens for one in done if one] == [one.tokens for one in alone()]


def test_rows_that_cannot_be_put_together_go_on_apart_and_a_fault_is_told(
    grouping, monkeypatch, caplog
):
    def broken(rows, other):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Together, "join", broken)
    done = Crowd(grouping, monkeypatch, every=1).answers(
        PrefixReuse(local.tiny()), PROMPTS, OPTIONS
    )
    assert [one.tokens for one in done if one] == [one.tokens for one in alone()]
    assert grouping.stats()["kv_group_failures"] >= 1
    assert "Traceback" in caplog.text
    assert "shapes differ" in caplog.text


def test_who_goes_away_frees_the_row_and_disturbs_nobody(grouping, monkeypatch):
    reuse = PrefixReuse(local.tiny())
    leaving = grouping.stream(reuse, ENDLESS, Options(max_new_tokens=4000))
    heard = threading.Event()
    staying: list[Event] = []

    def ask() -> None:
        staying.extend(grouping.stream(reuse, PROMPTS[3], OPTIONS[3]))

    thread = threading.Thread(target=ask)
    rows = []
    step = Group.step

    def seen(group):
        [first, *others] = group.requests
        if not others and thread.ident is None and not first.pieces.empty():
            assert heard.wait(_PATIENCE)  # whoever closes an iterator must not be in it
            thread.start()
            until(lambda: grouping.stats()["kv_answering"] == 2)
        if others and not rows:
            leaving.close()
        if others or rows:
            rows.append(len(group.requests))
        return step(group)

    monkeypatch.setattr(Group, "step", seen)
    next(leaving)
    heard.set()
    until(lambda: thread.ident is not None)
    thread.join(_PATIENCE)
    last = staying[-1]
    assert last.done is not None
    assert last.done.tokens == alone()[3].tokens
    until(lambda: grouping.stats()["kv_answering"] == 0)
    assert rows[0] == 2
    assert set(rows[1:]) == {1}


def test_closing_ends_what_is_under_way_and_the_thread(monkeypatch):
    grouping, reuse = Grouping(8), PrefixReuse(local.tiny())
    long = Options(max_new_tokens=4000)
    streams = [grouping.stream(reuse, ENDLESS, long) for _ in range(2)]
    step = Group.step

    def held(group: Group) -> int:
        if not any(one.pieces.empty() for one in group.requests):  # nobody ends before that
            until(lambda: grouping.stats()["kv_answering"] == 2)
            if len(group.requests) == 2:
                until(lambda: grouping._closed)
        return step(group)

    monkeypatch.setattr(Group, "step", held)
    for stream in streams:
        next(stream)
    grouping.close()
    assert not [t for t in threading.enumerate() if t.name == "answers"]
    for stream in streams:
        with pytest.raises(ServiceUnavailable, match="stopping"):
            list(stream)
    with pytest.raises(ServiceUnavailable):
        next(grouping.stream(reuse, "Ships", long))


def test_no_thread_stays_when_there_is_nothing_to_do(grouping):
    reuse = PrefixReuse(local.tiny())
    for _ in range(2):
        list(grouping.stream(reuse, "Ships", Options(max_new_tokens=2)))
        until(lambda: not [t for t in threading.enumerate() if t.name == "answers"])
