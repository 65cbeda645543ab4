"""Age, birthday, favourites, measures, dates of appointments: "my … is …"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Phase, Tense
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.lexicon import FAVOURITES, RELATIONS, SPELLINGS, words
from memos.extraction.rules.phrases import is_name, is_thing, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

_FAVOURITE = frozenset({"favourite", "favorite", "fave"})
_DATED = words(
    """appointment wedding meeting flight party interview exam test concert graduation surgery trip
    ceremony recital game match race show exhibition conference workshop deadline"""
)
_MEASURES = {
    "cm": "height", "centimetres": "height", "centimeters": "height", "feet": "height",
    "kg": "weight", "kilos": "weight", "kilograms": "weight", "pounds": "weight", "lbs": "weight",
}  # fmt: skip
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_PHONE = re.compile(r"\+?\d[\d ()/-]{5,20}\d")
_UNITS = re.compile(
    r"(\d{1,3}(?:\.\d+)?)\s*(cm|kg|kilos|kilograms|pounds|lbs|centimet(?:er|re)s)\b"
)


def read_trait(clause: Clause, draft: Draft) -> None:
    if clause.lemma == "turn":
        _turned(clause, draft)
    elif clause.lemma == "weigh":
        _weighs(clause, draft)
    elif clause.lemma == "be":
        _is(clause, draft)


def _is(clause: Clause, draft: Draft) -> None:
    if not clause.states or clause.subject is None:
        return
    if clause.tense is Tense.PRESENT and clause.phase is Phase.WHOLE and not clause.negated:
        _aged(clause, draft)
        _tall(clause, draft)
    subject = clause.subject
    if subject.lower_ in ("birthday", "birthdate"):
        _birthday(clause, draft, subject)
    elif _is_favourite(subject):
        _favourite(clause, draft, subject, clause.first("attr", "acomp"))
    elif (complement := clause.first("attr")) is not None and _is_favourite(complement):
        _favourite(clause, draft, complement, subject)
    elif subject.lower_ in _DATED:
        _dated(clause, draft, subject)
    elif subject.lower_ in ("email", "address", "number"):
        _reachable(clause, draft, subject)


def _number(token: Token) -> float | None:
    text = token.text.replace(",", "")
    return float(text) if text.isdigit() and len(text) < 4 else None


def _aged(clause: Clause, draft: Draft) -> None:
    """ "I'm 34", "I'm 34 years old", "she's 7"."""
    token = clause.first("attr", "acomp")
    if token is None:
        return
    years: float | None = None
    if token.pos_ == "NUM" and not any(c.dep_ == "prep" for c in token.children):
        alone = all(c.dep_ in ("punct", "advmod", "neg", "appos", "cc") for c in token.children)
        years = _number(token) if alone and token.ent_type_ not in ("MONEY", "PERCENT") else None
        following = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
        if (
            following is not None
            and following.is_alpha
            and following.lower_
            not in ("now", "and", "but", "today", "already", "so", "though", "years")
        ):
            years = None
    elif token.lower_ == "old":
        unit = next((c for c in token.children if c.dep_ == "npadvmod"), None)
        if unit is not None and unit.lower_ in ("years", "year"):
            number = next((c for c in unit.children if c.dep_ == "nummod"), None)
            years = _number(number) if number is not None else None
    if years is None or not 1 <= years <= 120:
        return
    for subject in draft.subjects(clause):
        if subject.type in ("person", "animal"):
            _age(clause, draft, subject, years, sure=0.85 if token.lower_ == "old" else 0.7)


def _age(clause: Clause, draft: Draft, subject: Ref, years: float, *, sure: float) -> None:
    draft.add(
        clause,
        subject,
        "age",
        value=f"{years:g}",
        quantity=years,
        unit="years",
        since=draft.since(clause),
        confidence=sure,
    )


def _turned(clause: Clause, draft: Draft) -> None:
    token = clause.first("dobj", "attr", "acomp", "npadvmod", "oprd")
    years = _number(token) if token is not None and token.pos_ == "NUM" else None
    if years is None or not happened(clause) or not 1 <= years <= 120:
        return
    for subject in draft.subjects(clause):
        _age(clause, draft, subject, years, sure=0.8)


def _tall(clause: Clause, draft: Draft) -> None:
    if (token := clause.first("acomp")) is None or token.lower_ != "tall":
        return
    _measured(clause, draft, "height")


def _weighs(clause: Clause, draft: Draft) -> None:
    if clause.states and not clause.negated and clause.tense is Tense.PRESENT:
        _measured(clause, draft, "weight")


def _measured(clause: Clause, draft: Draft, predicate: str) -> None:
    found = _UNITS.search(clause.verb.sent.text)
    if found is None or _MEASURES.get(found[2].replace("meter", "metre"), predicate) != predicate:
        return
    for subject in draft.subjects(clause):
        draft.add(
            clause, subject, predicate, value=found[0], quantity=float(found[1]), unit=found[2]
        )


def _birthday(clause: Clause, draft: Draft, subject: Token) -> None:
    owner = _owner(subject, draft)
    if owner is None or clause.negated or clause.tense is not Tense.PRESENT:
        return
    day = next(
        (m for m in clause.times if m.period.granularity.value == "day" and _is_date(m.text)), None
    )
    if day is not None:
        draft.add(clause, owner, "birthday", value=_plain_date(day.text), confidence=0.85)


_MONTH = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b", re.IGNORECASE)


def _is_date(text: str) -> bool:
    return bool(_MONTH.search(text)) and any(c.isdigit() for c in text)


def _plain_date(text: str) -> str:
    return re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", text).removeprefix("the ").strip()


def _owner(token: Token, draft: Draft) -> Ref | None:
    poss = next((c for c in token.children if c.dep_ == "poss"), None)
    if poss is None:
        return None
    if poss.lower_ in RELATIONS:
        relative = draft.people.relative(poss)
        return None if relative is None else relative.ref
    return draft.people.owner(token)


def _is_favourite(token: Token) -> bool:
    return SPELLINGS.get(token.lower_, token.lower_) in FAVOURITES and any(
        c.lower_ in _FAVOURITE for c in token.children if c.dep_ in ("amod", "compound", "nmod")
    )


def _qualified(kind: Token) -> bool:
    """Whether it is not simply the favourite: "my second favourite band", "my favourite colour for
    walls", "my favourite Dickens book"."""
    for child in kind.children:
        if child.dep_ in ("relcl", "acl"):
            return True
        if child.dep_ == "prep" and "all time" not in " ".join(t.lower_ for t in child.subtree):
            return True
        if child.dep_ in ("amod", "compound", "nmod", "advmod") and child.i < kind.i:
            if child.lower_ in _FAVOURITE:
                if {t.lower_ for t in child.children} & _LESS:
                    return True
            elif child.lower_ in _LESS or (is_name(child) and child.lower_ not in _ALSO):
                return True
    before = kind.doc[max(kind.sent.start, kind.i - 3) : kind.i]
    return any(t.lower_ in _LESS for t in before)


_LESS = frozenset({"least", "second", "third", "fourth", "2nd", "3rd", "former", "old", "other"})
_ALSO = frozenset({"all", "time", "absolute", "very", "new", "current", "-"})


def _favourite(clause: Clause, draft: Draft, kind: Token, thing: Token | None) -> None:
    """Singular, owned, and told by a noun or a name: "my favourite dish is ramen"."""
    owner = _owner(kind, draft)
    if owner is None or thing is None or clause.negated or clause.tense is not Tense.PRESENT:
        return
    if kind.tag_ not in ("NN", "NNP") or kind.dep_ in ("pobj",) or _qualified(kind):
        return
    if not (is_thing(thing) or is_name(thing)):
        return
    if any(c.lower_ in ("this", "that", "these", "those") for c in thing.children):
        return
    if any(c.dep_ in ("relcl", "acl", "conj") for c in thing.children):
        return
    word = SPELLINGS.get(kind.lower_, kind.lower_)
    text = phrase(thing) if not is_name(thing) else name_span(thing).text
    value = text.strip("\"“”' ")
    predicate = f"favourite_{word}"
    if is_name(thing):
        span = name_span(thing)
        ref = Ref(name=value, type="person" if word in ("author", "singer", "artist") else "thing")
        draft.mention(ref, span.start_char, span.end_char)
    draft.add(clause, owner, predicate, object=Ref(name=value), confidence=0.85)


def _dated(clause: Clause, draft: Draft, subject: Token) -> None:
    owner = _owner(subject, draft)
    if owner is None or clause.negated or not clause.times:
        return
    mention = clause.times[0]
    if mention.role != "at" or mention.period.start is None:
        return
    if clause.tense is not Tense.PRESENT or mention.period.start < draft.said_at:
        return
    thing = Ref(name=f"{owner.name}'s {phrase(subject)}", type="event")
    value = mention.period.start.date().isoformat()
    draft.add(clause, thing, "scheduled_for", value=value, confidence=0.75)


def _reachable(clause: Clause, draft: Draft, subject: Token) -> None:
    owner = _owner(subject, draft)
    if owner is None or clause.negated or clause.tense is not Tense.PRESENT:
        return
    if any(c.lower_ in ("old", "former", "previous", "work", "office") for c in subject.children):
        return
    text = clause.verb.sent.text
    if mail := _EMAIL.search(text):
        draft.add(clause, owner, "email_address", value=mail[0], confidence=0.9)
    elif subject.lower_ == "number" and (phone := _PHONE.search(text)):
        draft.add(clause, owner, "phone_number", value=phone[0], confidence=0.85)
