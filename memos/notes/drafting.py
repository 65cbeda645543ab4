"""Drafts: the notes and links of new memories, and what these change in the notes of old ones.

Reads memories, their neighbours, mentions and facts; stores nothing, so that all of a batch can be
stored in one transaction. The same memories give the same drafts however they are batched, as long
as the cube is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from memos.notes import evolution
from memos.notes.context import THIN, context_of, replied, returned
from memos.notes.keywords import Phrase, choose, phrases
from memos.notes.linking import Subject, Tie, contradictions, entities_of, ties
from memos.notes.surroundings import Neighbourhood, Surroundings
from memos.notes.topics import Scores, Topics
from memos.protocols import Clock, EntityMention, NewId, Stores
from memos.retrieval.reading.analysis import QUESTION, analyze, text_of
from memos.types import LIVE, Cube, Link, Memory, Note

METHOD = "extractive-1"
_FACTS = 10_000
_NO_THING = "thing"
"""The entity type of what nothing better is known of; no tag."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """`notes` in the order to store them (a memory's own revision before others' changes to it),
    `links`, the ids of memories that were `relinked` since their text has changed, and of those
    that `wait` for their vectors."""

    notes: tuple[Note, ...] = ()
    links: tuple[Link, ...] = ()
    relinked: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _New:
    """A memory to be drafted, with what is known of it."""

    memory: Memory
    around: Surroundings
    subject: Subject
    note: Note
    before: Note | None
    """Its own revision so far."""


class Drafter:
    def __init__(
        self,
        stores: Stores,
        neighbourhood: Neighbourhood,
        topics: Topics,
        *,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._stores = stores
        self._neighbourhood = neighbourhood
        self._topics = topics
        self._clock = clock
        self._new_id = new_id

    def draft(self, cube: Cube, memories: Sequence[Memory]) -> Drafts:
        """Of live memories; one that has a note of its present text is passed over."""
        live = sorted(
            {m.id: m for m in memories if m.state in LIVE}.values(),
            key=lambda memory: memory.position,
        )
        around = self._neighbourhood.around(cube, [memory.id for memory in live])
        wait = tuple(memory.id for memory in live if memory.id not in around)
        ready = [memory for memory in live if memory.id in around]
        ids = {memory.id for memory in ready}
        near = {n.memory_id for s in around.values() for n in s.near}
        notes = self._stores.notes.get(cube.id, sorted(ids | near))
        before = {m.id: self._own_before(cube, notes.get(m.id)) for m in ready}
        due = [m for m in ready if _is_due(m, before[m.id])]
        if not due:
            return Drafts(wait=wait)
        at = self._clock()
        mentions = self._stores.graph.mentions(cube.id, sorted({m.id for m in due} | near))
        new = self._own(cube, due, around, mentions, before, at)
        own = {n.memory.id: n.note for n in new if not _same(n.before, n.note)}
        known = notes | own
        old = self._subjects(near, known, mentions, around, new)
        tied = self._ties(cube, new, old)
        changed = self._changed(cube, new, tied, known, at)
        links = tuple(link for n in new for link in self._links(cube, n, tied[n.memory.id], at))
        relinked = tuple(n.memory.id for n in new if n.before is not None)
        return Drafts(notes=(*own.values(), *changed), links=links, relinked=relinked, wait=wait)

    def _own_before(self, cube: Cube, present: Note | None) -> Note | None:
        if present is None or present.cause is None:
            return present
        return evolution.own(self._stores.notes.history(cube.id, present.memory_id))

    def _own(
        self,
        cube: Cube,
        due: Sequence[Memory],
        around: Mapping[str, Surroundings],
        mentions: Mapping[str, Sequence[EntityMention]],
        before: Mapping[str, Note | None],
        at: datetime,
    ) -> list[_New]:
        """Each memory's note as it is by itself."""
        skip = self._neighbourhood.addressed(cube.id)
        runs = {memory.id: phrases(memory.content, skip=skip) for memory in due}
        seen = {memory.id: phrases(_captions(memory), skip=skip) for memory in due}
        things = {m.id: entities_of(mentions.get(m.id, ()), m.speaker) for m in due}
        named = [name for names in things.values() for name in names.values()]
        idf = self._neighbourhood.idf(cube.id, _terms_of([*runs.values(), *seen.values()], named))
        types = self._types(cube, things.values())
        made = []
        for memory in due:
            names = list(things[memory.id].values())
            keywords = choose(runs[memory.id], idf.__getitem__, named=names, shown=seen[memory.id])
            terms = frozenset(analyze(text_of(memory))) - {QUESTION}
            tags = self._topics.tags(terms, around[memory.id].topics)
            kinds = sorted({types[id] for id in things[memory.id] if id in types} - {_NO_THING})
            subject = Subject(memory.id, memory.position, keywords, tags, things[memory.id])
            note = Note(
                memory_id=memory.id,
                revision=0,
                keywords=keywords,
                tags=(*tags, *(kind for kind in kinds if kind not in tags)),
                context=context_of(memory, keywords),
                method=METHOD,
                cause=None,
                created_at=at,
                expired_at=None,
            )
            own = before[memory.id]
            if own is not None and not self._is_rewritten(cube, memory, own):
                # What is rare has changed since, not what the memory says.
                subject = replace(subject, keywords=own.keywords)
                note = own
            made.append(_New(memory, around[memory.id], subject, note, own))
        return made

    def _is_rewritten(self, cube: Cube, memory: Memory, own: Note) -> bool:
        """Whether a memory says something else than when its note was drafted."""
        versions = self._stores.memories.history(cube.id, memory.id)
        then = [v.memory for v in versions if v.changed_at < own.created_at]
        return not then or then[-1] is None or _said(then[-1]) != _said(memory)

    def _types(self, cube: Cube, things: Iterable[Mapping[str, str]]) -> dict[str, str]:
        ids = sorted({id for named in things for id in named})
        if not ids:
            return {}
        found = self._stores.graph.entities(cube.id, ids, limit=len(ids))
        return {entity.id: entity.type for entity in found}

    def _subjects(
        self,
        near: Iterable[str],
        notes: Mapping[str, Note],
        mentions: Mapping[str, Sequence[EntityMention]],
        around: Mapping[str, Surroundings],
        new: Sequence[_New],
    ) -> dict[str, Subject]:
        """The old memories that have a note."""
        found = {n.memory.id: n.subject for n in new}
        topics = set(self._topics.names)
        for memory_id in near:
            note = notes.get(memory_id)
            if note is not None and memory_id not in found:
                things = entities_of(mentions.get(memory_id, ()), None)
                tags = tuple(tag for tag in note.tags if tag in topics)
                found[memory_id] = Subject(memory_id, 0, note.keywords, tags, things)
        return found

    def _ties(
        self, cube: Cube, new: Sequence[_New], old: Mapping[str, Subject]
    ) -> dict[str, tuple[Tie, ...]]:
        ids = {n.memory.id for n in new} | {o.memory_id for n in new for o in n.around.near}
        facts = self._stores.graph.facts(cube.id, memories=sorted(ids), limit=_FACTS)
        denied = contradictions(facts)
        return {n.memory.id: ties(n.subject, n.around.near, old, denied) for n in new}

    def _links(self, cube: Cube, new: _New, tied: Sequence[Tie], at: datetime) -> Iterable[Link]:
        for tie in tied:
            yield Link(
                id=self._new_id(),
                cube_id=cube.id,
                source_id=new.memory.id,
                target_id=tie.memory_id,
                relation=tie.relation,
                reason=tie.reason,
                created_at=at,
                origin=METHOD,
            )

    def _changed(
        self,
        cube: Cube,
        new: Sequence[_New],
        tied: Mapping[str, Sequence[Tie]],
        notes: Mapping[str, Note],
        at: datetime,
    ) -> list[Note]:
        """What others add to the new notes, and the new ones to others. The last cause counts."""
        found = {note.memory_id: note for note in self._replies(cube, new, at)}
        targets = {n.memory.id: _evolving(tied[n.memory.id]) for n in new}
        topics = self._neighbourhood.topics_of(
            cube, sorted({tie.memory_id for ties in targets.values() for tie in ties})
        )
        for n in new:
            for tie in targets[n.memory.id]:
                note = self._base(cube, notes.get(tie.memory_id), n.memory.id)
                if note is not None and len(note.keywords) >= THIN:
                    later = self._later(n, tie, note, topics.get(tie.memory_id), at)
                    # In order of position, so that it does not matter who was drafted together.
                    found.pop(tie.memory_id, None)
                    found[tie.memory_id] = later
        for n in new:
            if n.before is not None:
                found |= self._outdated(cube, n.memory.id, found, at)
        return [note for note in found.values() if not _stands(note, notes)]

    def _base(self, cube: Cube, present: Note | None, cause: str) -> Note | None:
        """The own revision that `cause` may add to; None if somebody undid what it added before."""
        if present is None or present.revision == 0:  # drafted just now
            return present
        if present.cause is None and present.revision == 1:
            return present
        history = self._stores.notes.history(cube.id, present.memory_id)
        return None if evolution.barred(history, cause) else evolution.own(history)

    def _later(self, new: _New, tie: Tie, note: Note, topics: Scores | None, at: datetime) -> Note:
        tags = [
            tag
            for tag in new.subject.tags
            if topics is not None and self._topics.nearly(tag, topics)
        ]
        context = returned(note.context, new.memory, new.note.keywords, tie.relation)
        return evolution.caused(note, new.memory.id, tags=tags, context=context, at=at)

    def _replies(self, cube: Cube, new: Sequence[_New], at: datetime) -> Iterable[Note]:
        """Turns that say little by themselves, with what they follow."""
        thin = {
            n.memory.id: n.around.previous
            for n in new
            if n.around.previous is not None and len(n.note.keywords) < THIN
        }
        if not thin:
            return
        previous = self._stores.memories.get(cube.id, sorted(set(thin.values())))
        for n in new:
            turn = previous.get(thin.get(n.memory.id, ""))
            if turn is not None and turn.state in LIVE:
                context = replied(n.note.context, turn)
                yield evolution.caused(n.note, turn.id, tags=(), context=context, at=at)

    def _outdated(
        self, cube: Cube, cause: str, kept: Mapping[str, Note], at: datetime
    ) -> dict[str, Note]:
        """What the former text of `cause` had changed and its present one does not."""
        found: dict[str, Note] = {}
        for note in self._stores.notes.caused_by(cube.id, cause):
            if note.memory_id not in kept:
                before = evolution.without(
                    self._stores.notes.history(cube.id, note.memory_id), cause
                )
                if before is not None:
                    found[note.memory_id] = evolution.restored(
                        before, at=at, method=evolution.WITHDRAWN
                    )
        return found


def _evolving(tied: Sequence[Tie]) -> list[Tie]:
    """The old memories whose notes change: near ones of other sessions, or contradicted ones."""
    able = [
        tie
        for tie in tied
        if tie.relation == "contradicts"
        or (not tie.same_session and tie.shared and tie.cosine >= evolution.EVOLVES)
    ]
    return able[: evolution.MOST]


def _said(memory: Memory) -> tuple[object, ...]:
    return (text_of(memory), memory.speaker, memory.place, memory.occurred_at)


def _captions(memory: Memory) -> str:
    return " . ".join(image.caption for image in memory.images if image.caption)


def _terms_of(runs: Iterable[Sequence[Phrase]], named: Iterable[str]) -> set[str]:
    found = {term for phrases in runs for phrase in phrases for term in phrase.terms}
    return found.union(*(analyze(name) for name in named))


def _is_due(memory: Memory, own: Note | None) -> bool:
    # A note as old as the memory's last change may be of the text before; then it is compared.
    return own is None or own.created_at <= memory.updated_at


def _stands(note: Note, notes: Mapping[str, Note]) -> bool:
    """Whether the stored present revision is the same already."""
    present = notes.get(note.memory_id)
    return present is not None and present.revision > 0 and evolution.alike(present, note)


def _same(one: Note | None, other: Note) -> bool:
    return one is not None and (one.keywords, one.tags, one.context, one.method) == (
        other.keywords,
        other.tags,
        other.context,
        other.method,
    )
