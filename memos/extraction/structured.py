"""Reading memories that were made by the service itself.

Of those made from facts what was given is kept with them, so that nothing has to be guessed from
their words. Those that consolidation made quote others: what they say is said by those, and to read
it again would make it somebody else's, as a quotation has no speaker.

`add_facts` stores a memory first and what it means right after. If the process ends in between, the
job that reads memories finishes the work from here, to the same result. Knows no store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memos.consolidation.made import is_made
from memos.errors import ExtractionFailed, InvalidInput
from memos.extraction.runs import extracted
from memos.graph.sentences import sentence, shown
from memos.messages import as_fact
from memos.protocols import IMPORTED, Extractor, Turns
from memos.types import Claim, Extraction, Memory, MentionDraft, NewFact, Period, Ref
from memos.wire import from_builtins, to_builtins

KEY = "imported_fact"
"""In a memory's metadata: the fact that it was made from."""


def as_metadata(fact: NewFact, *, event: bool) -> dict[str, Any]:
    """What the memory of a fact keeps of it."""
    plain = NewFact(subject="", predicate="")
    kept = {
        name: value
        for name, value in to_builtins(fact).items()
        if value != to_builtins(getattr(plain, name))
    }
    return {KEY: {**kept, "granularity": fact.granularity.value, "event": event}}


def given(memory: Memory) -> NewFact | None:
    """The fact that a memory was made from; None if it was made otherwise or its text has been
    changed since. InvalidInput if what it keeps is no fact."""
    kept = memory.metadata.get(KEY)
    if memory.provenance.source != IMPORTED or not isinstance(kept, Mapping):
        return None
    fields = dict(kept)
    event = fields.pop("event", False) is True
    fact = as_fact(from_builtins(fields, NewFact))
    return fact if memory.content == sentence(fact, event=event) else None


def read(fact: NewFact, text: str) -> Extraction:
    """What the memory of `fact`, whose text is `text`, says."""
    subject = Ref(name=fact.subject, type=fact.subject_type)
    claim = Claim(
        subject=subject,
        predicate=fact.predicate,
        negated=fact.negated,
        since=_period(fact, "valid_at"),
        until=_period(fact, "invalid_at"),
        place=fact.place,
        confidence=fact.confidence,
        start=0,
        end=len(text),
    )
    mentions = [_mention(subject, text)]
    thing: dict[str, Any] = {}
    if fact.object is None:
        pass
    elif fact.object_type is not None:
        thing["object"] = Ref(name=shown(fact.object) or "", type=fact.object_type)
        mentions.append(_mention(thing["object"], text))
    else:
        thing["value"] = shown(fact.object, fact.unit)
        thing["unit"] = fact.unit
        if isinstance(fact.object, (int, float)) and not isinstance(fact.object, bool):
            thing["quantity"] = float(fact.object)
    return Extraction(mentions=tuple(mentions), claims=(replace(claim, **thing),))


def _period(fact: NewFact, name: str) -> Period | None:
    moment = getattr(fact, name)
    if moment is None:
        return None
    return Period(start=moment, end=None, granularity=fact.granularity)


def _mention(ref: Ref, text: str) -> MentionDraft:
    start = text.find(ref.name)
    if start < 0:
        return MentionDraft(ref=ref)
    return MentionDraft(ref=ref, start=start, end=start + len(ref.name))


class Structured:
    """`memos.protocols.Extractor`: reads memories made from facts by itself, and nothing in those
    made of others; has all others read by `inner`, whose name it goes by. As deterministic as that.
    """

    def __init__(self, inner: Extractor) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        (found,) = self.extract_runs([(memories, before)])
        return found

    def extract_runs(self, runs: Sequence[Turns]) -> Iterator[list[Extraction | ExtractionFailed]]:
        """`memos.protocols.RunExtractor`."""
        own = [[_own(memory) for memory in memories] for memories, _ in runs]
        left = [
            ([m for m, found in zip(memories, known, strict=True) if found is None], before)
            for (memories, before), known in zip(runs, own, strict=True)
        ]
        others = extracted(self._inner, [run for run in left if run[0]])
        for known, (asked, _) in zip(own, left, strict=True):
            read = iter(next(others) if asked else ())
            yield [next(read) if found is None else found for found in known]


def _own(memory: Memory) -> Extraction | ExtractionFailed | None:
    if is_made(memory):
        return Extraction()
    try:
        fact = given(memory)
    except InvalidInput as error:
        failure = ExtractionFailed(
            f"memory {memory.id} keeps what is no fact under {KEY!r}: {error.message}",
            memory_id=memory.id,
        )
        failure.__cause__ = error
        return failure
    return None if fact is None else read(fact, memory.content)
