"""LlmExtractor: turns go in batches to a language model, what it answers is checked strictly.

Not deterministic, but for what the model itself makes so: it is asked at temperature 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timezone, tzinfo

from memos.errors import ExtractionFailed, ExtractorAnswer, ExtractorUnavailable, InvalidSetting
from memos.extraction.ledger import Ledger
from memos.extraction.llm import prompt
from memos.extraction.llm.answer import read_answer, schema
from memos.extraction.llm.provider import Busy, Capabilities, Provider, Refused, Rejected, Reply
from memos.graph.vocabulary import BUILTIN_PREDICATES, BUILTIN_TYPES
from memos.types import EntityType, Extraction, Memory, PredicateType

VERSION = "llm-1"

_CONTEXT_TURNS = 6
_BATCH_CHARS = 12_000
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0

Outcome = Extraction | ExtractionFailed


class LlmExtractor:
    """`memos.protocols.Extractor`. Thread-safe.

    `model` is litellm's name of a model; `url` the base of an OpenAI-compatible server, if it is
    not the provider's own; `key` empty: the variable that the provider's client reads (never sent
    to `url`). `timeout` in seconds bounds each request, `attempts` the requests for one batch of at
    most `batch` turns, and `concurrency` those under way at once. Days begin in `zone`.
    """

    def __init__(
        self,
        model: str,
        *,
        url: str = "",
        key: str = "",
        timeout: float = 60.0,
        attempts: int = 3,
        zone: tzinfo = timezone.utc,
        ledger: Ledger | None = None,
        batch: int = 8,
        concurrency: int = 4,
        predicates: Sequence[PredicateType] = BUILTIN_PREDICATES,
        types: Sequence[EntityType] = BUILTIN_TYPES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not model:
            raise InvalidSetting(
                "extraction_model is empty; name one, such as openai/gpt-4o-mini",
                setting="extraction_model",
            )
        self.ledger = ledger or Ledger()
        self._provider = Provider(
            model, url=url, key=key, timeout=timeout, concurrency=concurrency, ledger=self.ledger
        )
        self._attempts = attempts
        self._zone = zone
        self._batch = batch
        self._concurrency = concurrency
        self._schema = schema([one.name for one in types])
        self._system = {"role": "system", "content": prompt.system(predicates, types)}
        self._sleep = sleep

    @property
    def name(self) -> str:
        return f"{VERSION}:{self._provider.model}"

    @property
    def capabilities(self) -> Capabilities:
        """What the model is asked with, after what its provider has refused so far."""
        return self._provider.capabilities

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Outcome]:
        """See the protocol. ExtractorUnavailable in a memory's place: no answer was to be had;
        ExtractorAnswer: none that could be used. MissingDependency, raised, without litellm."""
        batches = list(self._batches(memories, before))
        if len(batches) < 2:
            found = [self._read(*batch) for batch in batches]
        else:
            with ThreadPoolExecutor(self._concurrency, "llm-extract") as pool:
                found = list(pool.map(lambda batch: self._read(*batch), batches))
        return [outcome for outcomes in found for outcome in outcomes]

    def _batches(
        self, memories: Sequence[Memory], before: Sequence[Memory]
    ) -> Iterator[tuple[Sequence[Memory], Sequence[Memory]]]:
        """Neighbours of one session, few and short enough, each with the turns before it."""
        start = 0
        while start < len(memories):
            end, chars = start, 0
            while end < len(memories) and end - start < self._batch:
                chars += len(memories[end].content)
                if end > start and (
                    chars > _BATCH_CHARS or memories[end].session_id != memories[start].session_id
                ):
                    break
                end += 1
            earlier = [*before, *memories[:start]][-_CONTEXT_TURNS:]
            session = memories[start].session_id
            yield memories[start:end], [m for m in earlier if m.session_id == session]
            start = end

    def _read(self, memories: Sequence[Memory], before: Sequence[Memory]) -> list[Outcome]:
        ids = {f"t{number}": memory for number, memory in enumerate(memories, 1)}
        found = self._outcomes(ids, before)
        return [found[id] for id in ids]

    def _outcomes(
        self, turns: Mapping[str, Memory], before: Sequence[Memory]
    ) -> dict[str, Outcome]:
        """Asks until every turn is read or the attempts are used up. What was read is kept; only
        the rest is asked for again, with what was wrong."""
        done: dict[str, Outcome] = {}
        left = dict(turns)
        faults: list[str] = []
        failure: ExtractionFailed = ExtractorAnswer("the model was not asked")
        for attempt in range(self._attempts):
            try:
                reply = self._provider.ask(self._messages(left, before, faults), self._schema)
                if reply.cut and len(left) > 1:
                    self.ledger.failed(self._provider.model)
                    return done | self._halves(left, before)
                found = self._answer(reply, left)
            except Rejected as error:
                if len(left) > 1:  # one turn may be to blame
                    return done | self._halves(left, before)
                failure = error
                break
            except Refused as error:
                failure = error
                break
            except Busy as error:
                failure = error
                if attempt + 1 < self._attempts:
                    self._sleep(_pause(attempt, error.after))
                continue
            except ExtractorAnswer as error:
                self.ledger.failed(self._provider.model)
                failure, faults = error, [error.message]
                continue
            bad = {id: fault for id, fault in found.items() if isinstance(fault, ExtractorAnswer)}
            done |= found
            if not bad:
                return done
            self.ledger.failed(self._provider.model)
            left = {id: left[id] for id in left if id in bad}
            faults = [fault.message for fault in bad.values()]
            failure = next(iter(bad.values()))
        for id, memory in left.items():
            last = done.get(id)
            done[id] = self._given_up(
                last if isinstance(last, ExtractorAnswer) else failure, memory
            )
        return done

    def _halves(self, turns: Mapping[str, Memory], before: Sequence[Memory]) -> dict[str, Outcome]:
        """An answer too long for the model is asked for in two parts."""
        items = list(turns.items())
        middle = len(items) // 2
        first, second = dict(items[:middle]), dict(items[middle:])
        context = [*before, *first.values()][-_CONTEXT_TURNS:]
        return self._outcomes(first, before) | self._outcomes(second, context)

    def _messages(
        self, turns: Mapping[str, Memory], before: Sequence[Memory], faults: Sequence[str]
    ) -> list[dict[str, str]]:
        text = prompt.user(turns, before, zone=self._zone)
        messages = [self._system, {"role": "user", "content": text}]
        if faults:
            messages.append({"role": "user", "content": prompt.repair(faults)})
        return messages

    def _answer(
        self, reply: Reply, turns: Mapping[str, Memory]
    ) -> dict[str, Extraction | ExtractorAnswer]:
        if reply.cut:
            raise ExtractorAnswer("the answer was cut off at the model's limit of tokens")
        contents = {id: memory.content for id, memory in turns.items()}
        return read_answer(reply.text, contents, zone=self._zone)

    def _given_up(self, failure: ExtractionFailed, memory: Memory) -> ExtractionFailed:
        """The failure as that of one memory: each has its own."""
        message = failure.message
        kind: type[ExtractionFailed] = ExtractorUnavailable  # Busy and Refused are for the inside
        if isinstance(failure, Rejected):
            kind = ExtractorAnswer
        elif isinstance(failure, ExtractorAnswer):
            kind = ExtractorAnswer
            name, tries = self._provider.model, self._attempts
            message = f"{name} gave no answer of use in {tries} tries: {message}"
        given = kind(message, memory_id=memory.id, model=self._provider.model)
        given.__cause__ = failure
        return given


def _pause(attempt: int, after: float | None) -> float:
    """Seconds: what the provider asked for, or twice as long each time."""
    wanted = _FIRST_PAUSE * 2**attempt if after is None else after
    return min(wanted, _LONGEST_PAUSE)
