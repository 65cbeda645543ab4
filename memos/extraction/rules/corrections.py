"""Statements that take an earlier one back: "Turin, not Milan", "sorry, I meant …".

A correction says what was never true, so that it needs more than "actually": it names what it
replaces, or follows closely on a statement of the same thing by the same speaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from memos.extraction.rules.lexicon import words
from memos.graph.resolving.names import normal
from memos.graph.vocabulary import Vocabulary
from memos.types import Claim

_WORD = r"[\w$€£](?:[\w'’.&-]*\w)?"
_NAME = rf"(?:(?:in|at|on|to|from|with|as|for|a|an|the|my)\s+)*((?:{_WORD})(?:\s+{_WORD}){{0,3}}?)"
_END = r"(?=\s*(?:[,.;!?:)]|$|\s+-|\s+(?:where|that|who|it|it's|but|and|I|we|by)\b))"
_NOT_Y = re.compile(rf"[,;]?\s+(?:and\s+)?not\s+{_NAME}{_END}")
_NOT_BUT = re.compile(rf"\bnot\s+{_NAME},?\s+(?:but|it's|it\s+is|that's)\s+{_NAME}{_END}", re.I)
_MEANT = re.compile(rf"\bI\s+(?:meant|mean)\s+(?:to\s+(?:say|write)\s+)?{_NAME}{_END}", re.I)
_SORRY = re.compile(
    r"^\W*(?:oh|oops|whoops|sorry|no|wait|ah|ugh|hmm|hold on|my bad|typo|\*)?[\s,!.:;-]*"
    r"(?:sorry|oops|correction|wait|no wait|i mean|i meant|my mistake|typo|scratch that|i misspoke"
    r"|i got that wrong|i was wrong|i made a mistake|let me correct|to correct|that was wrong"
    r"|i mixed (?:that|it|them) up|that's wrong|i said that wrong|i take that back)\b",
    re.I,
)
_ACTUALLY = re.compile(r"^\W*(?:oh|no|well|wait|hmm|um)?[\s,]*(?:actually|in fact)\b", re.I)
_NOTHING_ELSE = re.compile(
    r"\W*(?:(?:no|nope|oh|ah|um|well|actually|wait|yes|yeah|ok|okay|hmm|sorry)\b\W*)*"
    r"(?:(?:it|that|this)(?:'s|\s+is|\s+was)\s+|I\s+(?:mean|meant|said)\s+)?"
    r"(?:(?:in|at|on|to|from|with|as|for|a|an|the|my)\s+)*",
    re.I,
)
_JOINING = frozenset({"but", "and", "or"})
_NOT_NAMES = words(
    """sure really only just so that this it all yet now me too much quite here there even very one
    good bad long today yesterday going my the a an at in on to from if because what when who i
    you he she they we"""
)
_NEWS = re.compile(
    r"\b(?:now|nowadays|these days|currently|at the moment|new|just|turned|anymore|any more|again"
    r"|late reply|forgot to (?:mention|say|tell)|did i (?:tell|mention))\b",
    re.I,
)
_LONGEST = 500
_RECENT = 6
"""Turns back that a correction reaches which does not say what it replaces."""

_VOCABULARY = Vocabulary()


@dataclass(frozen=True, slots=True)
class Former:
    """Claims of an earlier turn, the newest turns last."""

    speaker: str | None
    claims: tuple[Claim, ...]


def may_correct(text: str) -> bool:
    """Whether it is worth looking at what was said before. A long text is no correction, and the
    patterns would take their time over it."""
    if len(text) > _LONGEST:
        return False
    return bool(
        _SORRY.search(text)
        or _ACTUALLY.search(text)
        or _NOT_BUT.search(text)
        or _NOT_Y.search(text)
        or _MEANT.search(text)
    )


def corrected(
    text: str,
    claims: Sequence[Claim],
    before: Sequence[Former],
    speaker: str | None,
    kinds: Mapping[str, str],
) -> list[Claim]:
    """The claims with those that correct marked, and with those that follow from a correction
    that repeats nothing but the new word ("Turin, not Milan"). `kinds`: the type of thing of the
    names in the text, by their normal form, as far as it is known."""
    found = list(claims)
    mine = [former for former in before[-_RECENT:] if former.speaker == speaker]
    pair = _pair(text)
    announced = bool(_SORRY.search(text))
    if pair is not None:
        return _replaced(text, found, mine, pair, announced=announced)
    if announced or _ACTUALLY.search(text):
        if _tells_a_change(text, found):
            return found  # "actually, I moved last week": what was said before was so
        marked = [_mark(claim, mine) for claim in found]
        if marked != found or not announced:
            return marked
    if (meant := _MEANT.search(text)) and announced_or_alone(text):
        return _meant(text, found, mine, meant[1], kinds.get(normal(meant[1])))
    return found


def _tells_a_change(text: str, claims: Sequence[Claim]) -> bool:
    """Whether what differs from before is news, and no correction."""
    dated = any(c.since is not None or c.until is not None for c in claims)
    changes = any(_VOCABULARY.predicate(c.predicate).event for c in claims)
    return dated or changes or _NEWS.search(text) is not None


def announced_or_alone(text: str) -> bool:
    return bool(_SORRY.search(text)) or bool(
        re.match(r"^\W*(?:oh|ah|no|wait)?[\s,]*I\s+meant", text, re.I)
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """`new` in place of `old`; `lead`: what the text says before both."""

    new: str | None
    old: str
    lead: str


def _pair(text: str) -> _Pair | None:
    """Where the text sets one against the other, and not two things side by side."""
    if found := _NOT_BUT.search(text):
        return _Pair(found[2], found[1], text[: found.start()])
    for found in _NOT_Y.finditer(text):
        old = found[1].strip()
        if normal(old) in _NOT_NAMES or old.split()[0].lower() in _NOT_NAMES:
            continue
        head = re.search(rf"({_WORD})\W*$", text[: found.start()])
        if head is None:
            return _Pair(None, old, "")
        if head[1].lower() in _JOINING:
            continue  # "tea but not coffee" is no correction
        return _Pair(head[1], old, text[: head.start()])
    return None


def _replaced(
    text: str, claims: list[Claim], mine: Sequence[Former], pair: _Pair, *, announced: bool
) -> list[Claim]:
    """Of the claims made here those that `old` can have been said in are corrections; if there is
    none, and the text says nothing else, the earlier claim about `old` is made again with `new`."""
    new, old = pair.new, pair.old
    earlier = _about(mine, old)
    if not (
        earlier or old[:1].isupper() or _numeric(old) or (new is not None and _denied(text, old))
    ):
        return claims  # "not far from here"
    result, hit = [], False
    for claim in claims:
        said = _object(claim)
        if new is not None and not claim.negated and normal(said) == normal(old):
            result.append(_again(claim, new, old, text))  # "not as a cook but as a waiter"
            hit = True
            continue
        if claim.negated and normal(said) == normal(old):
            continue  # "not Milan" is no denial of its own
        same = [e for e in earlier if _slot(e) == _slot(claim)]
        functional = _VOCABULARY.predicate(claim.predicate).functional
        fits = new is not None and _same_name(said, new)
        if fits and (functional or same) and normal(said) != normal(old):
            result.append(replace(claim, corrects=True, replaces=old))
            hit = True
        elif any(c.isdigit() for c in old) and claim.since is not None and _numeric(old):
            result.append(replace(claim, corrects=True, replaces=said or None))
            hit = True
        else:
            result.append(claim)
    if hit or not earlier or new is None:
        return result
    if not (announced or _NOTHING_ELSE.fullmatch(pair.lead)):
        return result  # "we drove to Hull, not York" says nothing of where one lives
    return result + [_again(claim, new, old, text) for claim in earlier]


def _denied(text: str, old: str) -> bool:
    """Whether it says "not this but that"."""
    found = _NOT_BUT.search(text)
    return found is not None and found[1] == old


def _numeric(text: str) -> bool:
    return text.replace(" ", "").isdigit()


def _meant(
    text: str, claims: list[Claim], mine: Sequence[Former], new: str, kind: str | None
) -> list[Claim]:
    """ "I meant Aldi": of what the speaker said last the thing named last, if it is such a thing.
    Whatever was said before that is not meant."""
    if new.split()[0].lower() in _NOT_NAMES or not new[:1].isupper() or not mine:
        return claims
    states = _stated(mine[-1])
    if not states:
        return claims
    last = max(states, key=lambda c: c.start)
    kinds = {c.object.type for former in mine for c in _stated(former) if c.object is not None}
    fits = kind is not None and last.object is not None and _alike(kind, last.object.type)
    if len(kinds) > 1 and not fits:
        return claims  # it may have been meant of another kind of thing, said before that
    same = [c for c in states if _object(c) == _object(last)]
    return claims + [_again(c, new, _object(c), text) for c in same]


def _stated(former: Former) -> list[Claim]:
    """What somebody said to be so of a thing that has a name."""
    return [
        c
        for c in former.claims
        if not c.negated and _named(c) and not _VOCABULARY.predicate(c.predicate).event
    ]


def _alike(kind: str, other: str | None) -> bool:
    places = ("place", "country")
    return other is None or kind == other or (kind in places and other in places)


def _named(claim: Claim) -> bool:
    return claim.object is not None and claim.object.name[:1].isupper()


def _mark(claim: Claim, mine: Sequence[Former]) -> Claim:
    """A claim that differs from one of the same slot said shortly before corrects it."""
    if claim.negated or claim.until is not None:
        return claim
    if not _VOCABULARY.predicate(claim.predicate).functional:
        return claim
    for former in reversed(mine):
        for other in former.claims:
            if _slot(other) == _slot(claim) and not other.negated:
                if normal(_object(other)) == normal(_object(claim)):
                    return claim
                return replace(claim, corrects=True, replaces=_object(other))
    return claim


def _about(mine: Sequence[Former], old: str) -> list[Claim]:
    """The latest statements whose object is `old`."""
    for former in reversed(mine):
        found = [c for c in former.claims if not c.negated and _same_name(_object(c), old)]
        if found:
            return found
    return []


def _again(claim: Claim, new: str, old: str, text: str) -> Claim:
    end = len(text)
    if claim.object is not None:
        return replace(
            claim,
            object=replace(claim.object, name=new),
            corrects=True,
            replaces=old,
            start=0,
            end=end,
            confidence=min(claim.confidence, 0.75),
            since=None,
        )
    number = float(new) if claim.quantity is not None and new.isdigit() else claim.quantity
    return replace(
        claim,
        value=new,
        quantity=number,
        corrects=True,
        replaces=old,
        start=0,
        end=end,
        confidence=min(claim.confidence, 0.75),
        since=None,
    )


def _object(claim: Claim) -> str:
    return claim.object.name if claim.object is not None else claim.value or ""


def _slot(claim: Claim) -> tuple[str, str]:
    return normal(claim.subject.name), claim.predicate


def _same_name(said: str, name: str) -> bool:
    a, b = normal(said), normal(name)
    return bool(a and b) and (a == b or a.endswith(" " + b) or b.endswith(" " + a))
