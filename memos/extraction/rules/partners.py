"""Who is whose partner: beginnings, marriages, separations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.draft import Draft, each, happened
from memos.extraction.rules.lexicon import SPOUSES, words
from memos.extraction.rules.when import now
from memos.types import Claim, Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_LOVED = frozenset(
    {
        "husband",
        "wife",
        "boyfriend",
        "girlfriend",
        "partner",
        "spouse",
        "fiancé",
        "fiancée",
        "fiance",
        "fiancee",
        "ex",
    }
)
_OVER = words("die pass leave lose divorce separate remarry")
_LOST = words("lost left divorced")
_LOVED_THINGS = words(
    """job work career game sea ocean idea money code craft church art music company sport"""
)
_STATUS = {
    "single": "single",
    "divorced": "divorced",
    "widowed": "widowed",
    "separated": "separated",
    "married": "married",
    "engaged": "engaged",
}


def read_partner(clause: Clause, draft: Draft) -> None:
    lemma, words = clause.lemma, clause.words
    if lemma in ("marry", "wed"):
        if clause.after("into") is not None:
            return  # "married into money"
        _marries(clause, draft, _someone(clause.object or clause.after("to", "with"), draft))
    elif lemma in ("get", "be", "become", "stay"):
        _gets(clause, draft)
    elif lemma == "tie" and clause.object is not None and clause.object.lower_ == "knot":
        _marries(clause, draft, _someone(clause.after("with"), draft))
    elif lemma == "date":
        _dates(clause, draft)
    elif (lemma in ("break", "split") and "up" in words | _particles(clause)) or lemma in (
        "separate",
        "divorce",
    ):
        _parts(clause, draft)


def _particles(clause: Clause) -> set[str]:
    return {c.lower_ for c in clause.children if c.dep_ in ("prt", "advmod", "prep")}


def _someone(token: Token | None, draft: Draft) -> Ref | None:
    return None if token is None else draft.people.person(token, sure=True)


def _couple(clause: Clause, draft: Draft, other: Ref | None) -> list[tuple[Ref, Ref | None]]:
    """(one, the other) both ways: of "Kenji and I", or of the subject and `other`."""
    subjects = draft.subjects(clause)
    if other is None and len(subjects) == 2:
        return [(one, rest[0]) for one, rest in each(subjects)]
    if len(subjects) != 1:
        return []
    pairs: list[tuple[Ref, Ref | None]] = [(subjects[0], other)]
    if other is not None and other != subjects[0]:
        pairs.append((other, subjects[0]))
    return pairs


def _plural(clause: Clause) -> bool:
    return clause.subject is not None and clause.subject.lower_ in ("we", "us")


def _gets(clause: Clause, draft: Draft) -> None:
    complement = clause.first("acomp", "attr", "oprd") or (clause.verb if clause.passive else None)
    if complement is None:
        return
    word = complement.lower_
    if clause.lemma == "be" and _relationship(clause, draft, complement):
        return
    status = _STATUS.get(word)
    if status is None:
        return
    other = _someone(
        _beneath(complement, "to", "from", "with") or clause.after("to", "from"), draft
    )
    to = _beneath(complement, "to")
    if to is not None and to.lower_ in _LOVED_THINGS:
        return  # "married to my job"
    if clause.lemma == "get":
        if word == "married":
            _marries(clause, draft, other)
        elif word == "divorced":
            _parts(clause, draft, other=other, status="divorced")
        elif word == "engaged":
            _engaged(clause, draft, other)
        return
    if clause.tense is Tense.PAST or (
        status == "married" and clause.tense is Tense.PERFECT and draft.when(clause).since is None
    ):
        return
    for subject in draft.subjects(clause):
        if subject.type != "person":
            continue
        draft.state(
            clause,
            subject,
            "relationship_status",
            value=status,
            about=(complement,),
            confidence=0.85,
        )
        if clause.negated or clause.phase is not Phase.WHOLE or not clause.states:
            continue
        if other is not None and status in ("married", "engaged"):
            draft.state(
                clause, subject, "partner_of", object=other, about=(complement,), confidence=0.9
            )
        if status == "single":
            draft.state(clause, subject, "partner_of", about=(complement,), confidence=0.7)
            draft.claims[-1] = _denied(draft)


def _denied(draft: Draft) -> Claim:
    from dataclasses import replace

    return replace(draft.claims[-1], negated=True)


def _relationship(clause: Clause, draft: Draft, complement: Token) -> bool:
    """ "Tom is my husband", "I'm in a relationship with Tom"."""
    relative = draft.people.relative(complement)
    if relative is None or relative.predicate != "partner_of" or not clause.states:
        return False
    if clause.negated or clause.tense is not Tense.PRESENT or relative.former:
        return True
    for subject in draft.subjects(clause):
        if subject.type == "person" and subject != relative.owner:
            draft.add(clause, relative.owner, "partner_of", object=subject, confidence=0.85)
    return True


def _beneath(token: Token, *prepositions: str) -> Token | None:
    for child in token.children:
        if child.dep_ == "prep" and child.lower_ in prepositions:
            return next((c for c in child.children if c.dep_ == "pobj"), None)
    return None


def _marries(clause: Clause, draft: Draft, other: Ref | None) -> None:
    if not happened(clause):
        return
    for one, partner in _couple(clause, draft, other):
        if one.type != "person" or not draft.event(clause, one, "married", object=partner):
            continue
        since = draft.since(clause)
        draft.add(clause, one, "relationship_status", value="married", since=since, confidence=0.85)
        if partner is not None:
            draft.add(clause, one, "partner_of", object=partner, since=since, confidence=0.85)


def _engaged(clause: Clause, draft: Draft, other: Ref | None) -> None:
    if not happened(clause):
        return
    for one, partner in _couple(clause, draft, other):
        if one.type != "person" or not draft.event(clause, one, "engaged_to", object=partner):
            continue
        since = draft.since(clause)
        draft.add(clause, one, "relationship_status", value="engaged", since=since, confidence=0.8)
        if partner is not None:
            draft.add(clause, one, "partner_of", object=partner, since=since, confidence=0.85)


def _dates(clause: Clause, draft: Draft) -> None:
    other = _someone(clause.object, draft)
    subjects = draft.subjects(clause)
    if other is None or other in subjects:
        return  # "I'm dating myself here"
    for subject in subjects:
        draft.state(
            clause,
            subject,
            "partner_of",
            object=other,
            about=(clause.object,) if clause.object else (),
            confidence=0.85,
        )
        if clause.tense is not Tense.PAST and not clause.negated and clause.phase is Phase.WHOLE:
            draft.state(clause, subject, "relationship_status", value="dating", confidence=0.75)


def _parts(
    clause: Clause, draft: Draft, *, other: Ref | None = None, status: str = "single"
) -> None:
    """A separation ends the partnership with whom it names; with "my boyfriend", or "we" alone,
    whichever there is."""
    if not happened(clause):
        return
    if clause.lemma == "divorce":
        status = "divorced"
    elif clause.lemma == "separate":
        status = "separated"
    token = clause.after("with", "from") if clause.lemma != "divorce" else clause.object
    if clause.lemma in ("break", "split") and clause.object is not None:
        return  # "we split up the work", "broke up the fight"
    whole = False
    if other is None and token is not None:
        relative = draft.people.relative(token)
        if relative is not None and relative.predicate == "partner_of":
            other = relative.ref if relative.named else None
            whole = not relative.named
        else:
            other = draft.people.person(token, sure=True)
            if other is None:
                return
    subjects = draft.subjects(clause)
    couple = _couple(clause, draft, other)
    alone = other is None and len(subjects) == 1
    if alone and not whole and status not in ("divorced",) and not _plural(clause):
        return
    if clause.lemma == "separate" and other is None and not whole and len(subjects) != 2:
        return
    for one, partner in couple:
        if one.type != "person":
            continue
        name = "divorced" if status == "divorced" else "broke_up_with"
        if not draft.event(clause, one, name, object=partner):
            continue
        since = draft.since(clause)
        draft.add(
            clause, one, "partner_of", object=partner, negated=True, since=since, confidence=0.85
        )
        if partner is None or one == subjects[0] or len(subjects) == 2:
            draft.add(clause, one, "relationship_status", value=status, since=since, confidence=0.8)


def read_relatives(draft: Draft, clause_of: dict[int, Clause]) -> None:
    """What names of kinship say by themselves: "my sister Eva", "her ex-husband Rolf"."""
    for relative in draft.people.relatives:
        clause = clause_of.get(relative.token.i)
        if clause is None or relative.owner == relative.ref:
            continue
        if not relative.named and (clause.mood is Mood.OPEN or relative.owner == draft.people.you):
            continue
        one_at_a_time = relative.predicate in ("partner_of", "reports_to")
        if relative.former:
            if relative.predicate == "partner_of" and relative.named:
                draft.add(
                    clause,
                    relative.owner,
                    "partner_of",
                    object=relative.ref,
                    until=now(draft.said_at),
                    confidence=0.7,
                )
            continue
        sure = 0.85 if relative.named else 0.7
        if relative.named or not one_at_a_time:
            draft.add(
                clause,
                relative.owner,
                relative.predicate,
                object=relative.ref,
                confidence=sure,
                told=one_at_a_time,
            )
        if (
            relative.word in SPOUSES
            and clause.mood is not Mood.OPEN
            and clause.lemma not in _OVER
            and relative.token.head.lower_ not in _LOST
        ):
            draft.add(
                clause, relative.owner, "relationship_status", value="married", confidence=0.75
            )
