"""Jobs that begin: somebody starts, is hired, gets an offer, joins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.employers import (
    JOBS,
    NO_EMPLOYERS,
    PLACES,
    any_title,
    below,
    employer,
    is_beside,
    is_person,
)
from memos.extraction.rules.lexicon import CLUBS, PLATFORMS, words
from memos.extraction.rules.phrases import is_name, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token


def read_start(clause: Clause, draft: Draft) -> None:
    """ "started at Bosch", "started my new job at Bosch as a welder"."""
    if not happened(clause):
        return
    thing = clause.object
    if thing is not None and thing.lower_ not in JOBS:
        return
    where = (
        clause.after("at")
        if thing is None
        else (below(thing, "at", "with", "for") or clause.after("at", "with", "for"))
    )
    if thing is not None and thing.lower_ == "internship":
        return
    company = employer(where, draft, generic=thing is not None)
    trade = clause.after("as") or (None if thing is None else below(thing, "as"))
    said = any_title(trade) if trade is not None else None
    beside = is_beside(clause)
    for subject in draft.subjects(clause):
        if company is not None and draft.event(clause, subject, "started", object=company):
            predicate = "also_works_at" if beside else "works_at"
            draft.add(
                clause,
                subject,
                predicate,
                object=company,
                since=draft.since(clause),
                confidence=0.85,
            )
        if said is not None and not beside:
            draft.add(clause, subject, "job_title", value=said, since=draft.since(clause))


def read_offer(clause: Clause, draft: Draft) -> None:
    """ "got a new job at Nvidia", "landed a role with …"; "got fired", "got hired by …"."""
    thing = clause.object
    if thing is None or thing.lower_ not in ("job", "position", "role"):
        return
    if any(c.lower_ in ("offer", "no") for c in thing.children):
        return
    read_start(clause, draft)


def read_joining(clause: Clause, draft: Draft) -> None:
    thing = clause.object
    if thing is None or not happened(clause):
        return
    word = thing.lower_
    group = word in CLUBS or any(t.lower_ in CLUBS for t in name_span(thing))
    named = is_name(thing) and thing.ent_type_ not in NO_EMPLOYERS | {"WORK_OF_ART"}
    if word in PLATFORMS or not (group or named):
        return
    if thing.ent_type_ == "EVENT" or (any(c.dep_ == "poss" for c in thing.children) and not group):
        return
    ref = Ref(name=phrase(thing), type="group" if group else "organisation")
    draft.mention(
        ref,
        thing.left_edge.idx if not named else name_span(thing).start_char,
        thing.idx + len(thing.text),
    )
    for subject in draft.subjects(clause):
        if not draft.event(clause, subject, "joined", object=ref):
            continue
        if group:
            draft.add(clause, subject, "member_of", object=ref, since=draft.since(clause))
        elif _may_employ(thing, clause, draft):
            draft.add(
                clause, subject, "works_at", object=ref, since=draft.since(clause), confidence=0.75
            )


_WORKING = words(
    """job jobs work working career company role position team engineer hired employer colleagues
    office startup contract salary"""
)


def _may_employ(thing: Token, clause: Clause, draft: Draft) -> bool:
    """One joins parties and charities like employers: only where work is spoken of."""
    if thing.ent_type_ in PLACES or is_person(name_span(thing), draft):
        return False
    if thing.ent_type_ not in ("ORG", "PERSON", "PRODUCT", "") or thing.lower_ in PLATFORMS:
        return False
    trade = clause.after("as")
    left = any(t.lower_ in ("left", "quit", "resigned") and t.i < thing.i for t in clause.verb.sent)
    spoken = any(t.lower_ in _WORKING for t in clause.verb.doc)
    return spoken or left or (trade is not None and any_title(trade) is not None)


def read_hiring(clause: Clause, draft: Draft) -> None:
    if not clause.passive or not happened(clause):
        return
    company = employer(clause.after("by", "at"), draft, generic=False)
    if company is None:
        return
    for subject in draft.subjects(clause):
        if draft.event(clause, subject, "hired_by", object=company):
            draft.add(clause, subject, "works_at", object=company, since=draft.since(clause))
