"""Employers and trades as a text names them, and whether a job is one beside another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause
from memos.extraction.rules.draft import Draft
from memos.extraction.rules.lexicon import ARTS, FIRST_NAMES, TRADES, WORKPLACES, words
from memos.extraction.rules.phrases import is_name, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

JOBS = words("job position role post gig career work employment company firm internship")

BESIDE = words("also side part-time parttime weekends second freelance too besides")

NO_EMPLOYERS = frozenset({"DATE", "TIME", "MONEY", "CARDINAL", "NORP", "LANGUAGE", "ORDINAL"})

PLACES = frozenset({"GPE", "LOC"})


def employer(token: Token | None, draft: Draft, *, generic: bool = True) -> Ref | None:
    """An employer by its name, by "a bakery called …", or as "the post office". `generic` False:
    by name only."""
    if token is None:
        return None
    named = called(token)
    if named is not None:
        token = named
    if any(c.dep_ == "cc" and c.lower_ == "or" for c in token.children):
        return None  # "at Nokia or Ericsson"
    if is_name(token):
        span = name_span(token)
        if token.ent_type_ in NO_EMPLOYERS or is_person(span, draft):
            return None
        ref = Ref(name=span.text, type="organisation")
        draft.mention(ref, span.start_char, span.end_char)
        return ref
    if not generic or token.pos_ != "NOUN":
        return None
    determiners = {c.lower_ for c in token.children if c.dep_ in ("det", "poss")}
    if "the" not in determiners or token.lower_ not in WORKPLACES:
        return None
    text = phrase(token)
    if text.lower() == token.lower_ and token.lower_ in ("office", "company", "firm", "factory"):
        return None
    start = token.left_edge.idx
    draft.mention(Ref(name=text, type="organisation"), start, token.idx + len(token.text))
    return Ref(name=text, type="organisation")


def is_person(span: Span, draft: Draft) -> bool:
    first = span[0].lower_
    alone = len(span) == 1 or span.root.ent_type_ == "PERSON"
    return first in draft.people.known or (alone and first in FIRST_NAMES)


def called(token: Token) -> Token | None:
    for child in token.children:
        if child.dep_ == "acl" and child.lower_ in ("called", "named"):
            return next(
                (c for c in child.children if c.dep_ in ("oprd", "dobj", "attr") and is_name(c)),
                None,
            )
        if child.dep_ == "appos" and is_name(child) and not is_name(token):
            return child
    return None


def title(token: Token | None) -> tuple[str, str] | None:
    """A trade as (predicate, value): one at a time for a trade by which one lives, several side by
    side for what one is beside it."""
    if token is None or token.pos_ not in ("NOUN", "PROPN", "ADJ", "VERB", "X"):
        return None
    word = token.lower_
    if any(c.lower_ in ("no", "every", "any", "some") for c in token.children):
        return None
    if any(c.dep_ == "poss" for c in token.children):
        return None  # "my sister's teacher"
    if any(c.lower_ in _PRAISE for c in token.children) or _figurative(token):
        return None  # "I'm a terrible cook", "a nurse to my whole family"
    text = phrase(token).lower()
    tail = " ".join(text.split()[-2:])
    if word in TRADES or tail in TRADES:
        return "job_title", text
    if word in ARTS:
        return "occupied_as", text
    return None


_PRAISE = words(
    """good great terrible bad decent awful lousy mean only such amazing horrible better best worst
    excellent poor slow fast careful"""
)


def _figurative(token: Token) -> bool:
    for child in token.children:
        if child.dep_ != "prep":
            continue
        if child.lower_ == "to":
            return True
        below = {t.lower_ for t in child.subtree}
        if child.lower_ == "in" and below & {"own", "shower", "kitchen", "dream", "dreams"}:
            return True
        if child.lower_ == "at" and "heart" in below:
            return True
        if child.lower_ == "of" and below & {"soul", "fate", "life"}:
            return True
    return False


def any_title(token: Token) -> str | None:
    """After "as" anything can be a trade that is called like a person who does it."""
    known = title(token)
    if known is not None:
        return known[1]
    owned = any(c.dep_ == "poss" for c in token.children)
    personal = token.lower_.endswith(("er", "or", "ist", "ian", "ant", "ent"))
    return phrase(token).lower() if token.pos_ == "NOUN" and personal and not owned else None


def below(token: Token, *prepositions: str) -> Token | None:
    for child in token.children:
        if child.dep_ == "prep" and child.lower_ in prepositions:
            return next((c for c in child.children if c.dep_ == "pobj"), None)
    return None


def is_beside(clause: Clause) -> bool:
    if clause.words & BESIDE:
        return True
    text = clause.verb.sent.text.lower()
    return any(
        f in text
        for f in (
            "part-time",
            "part time",
            "on the side",
            "second job",
            "on weekends",
            "side job",
            "at weekends",
            "my spare time",
            "in my free time",
            "side hustle",
        )
    )
