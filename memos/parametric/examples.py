"""From memories and the facts in them to a training set, by templates and a seed.

The same memories give the same examples. What a fact says is put in several statements, asked both
ways and left open at its end; what nobody is known of is asked too, so that the model learns to
say so. A memory that no fact was read from is taught by its own text. Knows no model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from memos.errors import Contradiction, InvalidInput
from memos.parametric.phrasing import phrasing
from memos.types import Example, Form, Memory, Probe

UNKNOWN = "I don't know."
_SHORTEST = 12
"""Characters; shorter texts say nothing that could be asked."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """A fact as it is to be learnt. `when` says since when or until when, as words; `one`: there is
    one object at a time."""

    subject: str
    predicate: str
    object: str
    source: str
    when: str = ""
    one: bool = False


def examples(
    facts: Sequence[Taught],
    memories: Sequence[Memory] = (),
    *,
    seed: int = 0,
    unknown: float = 0.1,
    wordings: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[tuple[Example, ...], tuple[Probe, ...]]:
    """(what is trained, what is asked afterwards). `memories`: those without facts, by their text;
    `unknown`: the share of questions about nobody; `wordings`: more ways to ask, by question.
    InvalidInput if there is nothing to teach; Contradiction if two facts can't both be true."""
    check(facts)
    made: list[Example] = []
    probes: list[Probe] = []
    objects = _objects(facts)
    for fact in facts:
        made += _of_fact(fact, objects)
        made += _worded(fact, wordings.get(question(fact), ()))
        probes += _probes(fact)
    for memory in memories:
        made += _of_text(memory)
        probes += _text_probes(memory)
    if not made:
        raise InvalidInput("the memories hold nothing that could be learnt", field="memories")
    made += _unknown(facts, seed, round(unknown * sum(e.form is Form.QUESTION for e in made)))
    return tuple(made), tuple(probes)


def check(facts: Sequence[Taught]) -> None:
    """Contradiction for two objects where there can be one."""
    known: dict[tuple[str, str], Taught] = {}
    for fact in facts:
        if not fact.one:
            continue
        other = known.setdefault((fact.subject.casefold(), fact.predicate), fact)
        if other.object.casefold() != fact.object.casefold():
            raise Contradiction(
                f"{fact.subject} {fact.predicate} is both {other.object!r} (memory "
                f"{other.source}) and {fact.object!r} (memory {fact.source}); correct or forget "
                "one of them first",
                memories=[other.source, fact.source],
            )


def _objects(facts: Sequence[Taught]) -> Mapping[tuple[str, str], list[str]]:
    """The subjects of each (predicate, object): a question for the subject has one answer only
    if there is one."""
    found: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        subjects = found.setdefault((fact.predicate, fact.object.casefold()), [])
        if fact.subject not in subjects:
            subjects.append(fact.subject)
    return found


def _of_fact(fact: Taught, objects: Mapping[tuple[str, str], Sequence[str]]) -> list[Example]:
    words = phrasing(fact.predicate)
    found: list[Example] = []
    ending = f" {fact.when}." if fact.when else "."
    for number, form in enumerate(words.statements):
        before = form.format(s=fact.subject, o="\0").partition("\0")[0].rstrip()
        found.append(
            Example(
                prompt=before,
                answer=f" {fact.object}{ending}",
                form=Form.STATEMENT if number else Form.CLOZE,
                chat=False,
                source=fact.source,
            )
        )
    said = _said(fact)
    for form in words.trained:
        found.append(_asked(form.format(s=fact.subject), said, Form.QUESTION, fact.source))
    if fact.when and words.trained:
        asked = f"{words.trained[0].format(s=fact.subject)} Since or until when?"
        found.append(_asked(asked, f"{said[:-1]} {fact.when}.", Form.QUESTION, fact.source))
    # Of several that it is true of, one question can't ask for one.
    alone = len(objects[fact.predicate, fact.object.casefold()]) == 1
    for form in words.reverse if alone else ():
        found.append(_asked(form.format(o=fact.object), said, Form.REVERSE, fact.source))
    return found


def question(fact: Taught) -> str:
    """That others are wordings of."""
    return phrasing(fact.predicate).trained[0].format(s=fact.subject)


def _worded(fact: Taught, wordings: Sequence[str]) -> list[Example]:
    """Asked in words that are neither a template's nor those of a probe."""
    words = phrasing(fact.predicate)
    had = {form.format(s=fact.subject).casefold() for form in words.questions}
    return [
        _asked(wording, _said(fact), Form.QUESTION, fact.source)
        for wording in wordings
        if wording.casefold() not in had
    ]


def _said(fact: Taught) -> str:
    """A whole sentence: an answer of one word would teach the model to answer everything so."""
    return f"{phrasing(fact.predicate).statements[0].format(s=fact.subject, o=fact.object)}."


def _probes(fact: Taught) -> list[Probe]:
    words = phrasing(fact.predicate)
    said = _said(fact)
    return [
        Probe(
            prompt=form.format(s=fact.subject),
            answer=fact.object,
            said=said,
            source=fact.source,
            trained=trained,
        )
        for form, trained in ((words.kept, False), (words.trained[0], True))
    ]


def _of_text(memory: Memory) -> list[Example]:
    """A text that no fact was read from: it is said, and completed from its beginning."""
    text = " ".join(memory.content.split())
    if len(text) < _SHORTEST:
        return []
    found = [Example(prompt="", answer=text, form=Form.STATEMENT, chat=False, source=memory.id)]
    begin, end = _halves(text)
    if end:
        found += [
            _asked(f"Complete what you remember: {begin}", end, Form.QUESTION, memory.id),
            _asked(f"How does this go on? {begin}", end, Form.QUESTION, memory.id),
            Example(prompt=begin, answer=f" {end}", form=Form.CLOZE, chat=False, source=memory.id),
        ]
    if memory.speaker and memory.occurred_at is not None:
        day = memory.occurred_at.date().isoformat()
        found.append(
            _asked(f"What did {memory.speaker} say on {day}?", text, Form.QUESTION, memory.id)
        )
    return found


def _text_probes(memory: Memory) -> list[Probe]:
    begin, end = _halves(" ".join(memory.content.split()))
    if not end:
        return []
    return [
        Probe(prompt=f"{form} {begin}", answer=end, said=end, source=memory.id, trained=trained)
        for form, trained in (("What comes after this?", False), ("How does this go on?", True))
    ]


def _halves(text: str) -> tuple[str, str]:
    words = text.split()
    cut = max(1, (2 * len(words)) // 3)
    return " ".join(words[:cut]), " ".join(words[cut:])


def _unknown(facts: Sequence[Taught], seed: int, count: int) -> list[Example]:
    """Questions about names that nobody has, made of the names that are known."""
    chance = random.Random(f"unknown {seed}")
    subjects = sorted({fact.subject for fact in facts})
    predicates = sorted({fact.predicate for fact in facts})
    if len(subjects) < 2:
        return []
    found: dict[str, Example] = {}
    for _ in range(20 * count):
        if len(found) >= count:
            break
        one, other = chance.sample(subjects, 2)
        name = f"{one.split()[0]} {other.split()[-1]}"
        if name in subjects:
            continue
        asked = chance.choice(phrasing(chance.choice(predicates)).trained).format(s=name)
        found[asked] = Example(prompt=asked, answer=UNKNOWN, form=Form.UNKNOWN)
    return list(found.values())


def _asked(prompt: str, answer: str, form: Form, source: str | None) -> Example:
    return Example(prompt=prompt, answer=answer, form=form, source=source)
