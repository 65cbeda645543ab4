"""Jobs that end: somebody leaves, is dismissed, retires, goes from one to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.employers import (
    BESIDE,
    JOBS,
    PLACES,
    any_title,
    below,
    employer,
    is_beside,
)
from memos.extraction.rules.lexicon import PLATFORMS, WORKPLACES
from memos.extraction.rules.phrases import is_name
from memos.types import Granularity, Ref

if TYPE_CHECKING:
    from spacy.tokens import Token


def read_leaving(clause: Clause, draft: Draft) -> None:
    """ "left Siemens for Bosch", "quit my job at Nokia", "resigned from …", "left my position"."""
    if not happened(clause):
        return
    thing = clause.object
    old: Ref | None = None
    anything = False
    if thing is not None and thing.lower_ in JOBS and thing.lower_ != "work":
        if is_beside(clause) or not _mine(thing):
            return
        if any(c.lower_ in BESIDE for c in thing.children):
            return
        old = employer(below(thing, "at", "with") or clause.after("at", "with"), draft)
        if old is None:
            modifiers = [c for c in thing.children if c.dep_ in ("amod", "compound", "nmod")]
            name = next((c for c in modifiers if is_name(c)), None)
            old = employer(name, draft, generic=False)
            anything = old is None and all(
                m.lower_ in ("old", "current", "previous", "day") for m in modifiers
            )
    elif thing is None and clause.lemma in ("resign", "quit"):
        old = employer(clause.after("from", "at"), draft)
        anything = clause.lemma == "resign" and clause.after("from", "as") is None
    elif thing is not None and clause.lemma in ("leave", "quit") and is_name(thing):
        if thing.ent_type_ in PLACES | {"FAC", "WORK_OF_ART", "DATE", "TIME", "NORP"}:
            return
        if clause.lemma == "leave" and _for_now(clause):
            return
        if thing.lower_ in PLATFORMS or any(c.dep_ in ("advcl", "acomp") for c in clause.children):
            return
        old = employer(thing, draft, generic=False)
    if old is None and not anything:
        return
    new = (
        employer(clause.after("for"), draft, generic=False)
        if thing is not None and (clause.lemma == "leave")
        else None
    )
    if new is not None and clause.after("for") is not None:
        target = clause.after("for")
        if (
            target is not None
            and target.ent_type_ in PLACES
            and old is not None
            and (thing is None or thing.ent_type_ != "ORG")
        ):
            new = None
    for subject in draft.subjects(clause):
        if subject.type != "person":
            continue
        if old is not None:
            draft.event(clause, subject, "left", object=old)
        draft.add(
            clause,
            subject,
            "works_at",
            object=old,
            negated=True,
            since=draft.since(clause),
            confidence=0.85 if old else 0.75,
        )
        if new is not None:
            draft.add(
                clause, subject, "works_at", object=new, since=draft.since(clause), confidence=0.8
            )


def _for_now(clause: Clause) -> bool:
    """Whether one leaves the building, not the job: "at six", "this morning", "with a coffee"."""
    hourly = (Granularity.SECOND, Granularity.MINUTE, Granularity.HOUR)
    return (
        any(mention.period.granularity in hourly for mention in clause.times)
        or any(child.ent_type_ == "TIME" for child in clause.children)
        or any(token.ent_type_ == "TIME" for token in clause.all_after("at", "in"))
        or clause.after("with") is not None
        or bool(clause.words & {"early", "late", "tonight"})
    )


def _mine(thing: Token) -> bool:
    return any(c.dep_ == "poss" for c in thing.children) or any(
        c.dep_ == "prep" and c.lower_ in ("at", "with") for c in thing.children
    )


def read_loss(clause: Clause, draft: Draft) -> None:
    thing = clause.object
    if thing is None or thing.lower_ != "job" or not happened(clause) or not _mine(thing):
        return
    if any(c.lower_ in BESIDE for c in thing.children):
        return
    old = employer(below(thing, "at", "with") or clause.after("at"), draft)
    _out_of_work(clause, draft, old)
    trade = below(thing, "as") or clause.after("as")
    if trade is not None and (said := any_title(trade)):
        for subject in draft.subjects(clause):
            draft.add(
                clause,
                subject,
                "job_title",
                value=said,
                negated=True,
                since=draft.since(clause),
                confidence=0.75,
            )


def read_dismissal(clause: Clause, draft: Draft) -> None:
    """ "was laid off", "got fired", "was let go"."""
    word = clause.verb.lower_
    off = "off" in clause.words or any(c.lower_ == "off" for c in clause.children)
    if not happened(clause) or not clause.passive:
        return
    if (word == "laid" and not off) or "up" in clause.words:
        return  # "fired up about it"
    old = employer(clause.after("from", "by", "at"), draft)
    _out_of_work(clause, draft, old)


def _out_of_work(clause: Clause, draft: Draft, old: Ref | None) -> None:
    for subject in draft.subjects(clause):
        if subject.type == "person" and draft.event(clause, subject, "lost_job", object=old):
            draft.add(
                clause,
                subject,
                "works_at",
                object=old,
                negated=True,
                since=draft.since(clause),
                confidence=0.8,
            )


def read_retirement(clause: Clause, draft: Draft) -> None:
    if not happened(clause) or clause.object is not None or clause.after("to") is not None:
        return  # "retired to bed"
    token = clause.after("from")
    old = employer(token, draft)
    if token is not None and old is None and token.lower_ not in ("work", "job"):
        return  # "retired from competitive swimming"
    for subject in draft.subjects(clause):
        if subject.type == "person" and draft.event(clause, subject, "retired", object=old):
            draft.add(
                clause,
                subject,
                "works_at",
                object=old,
                negated=True,
                since=draft.since(clause),
                confidence=0.8,
            )


def read_switch(clause: Clause, draft: Draft) -> None:
    """ "switched from the library to Penguin Books": jobs only if the first is a workplace, or jobs
    are named."""
    if not happened(clause):
        return
    source, target = clause.after("from"), clause.after("to")
    thing = clause.object
    jobs = thing is not None and thing.lower_ in ("job", "jobs", "company", "companies", "employer")
    workplace = source is not None and source.lower_ in WORKPLACES
    if not (jobs or workplace):
        return
    old, new = employer(source, draft), employer(target, draft)
    for subject in draft.subjects(clause):
        if old is not None:
            draft.add(
                clause,
                subject,
                "works_at",
                object=old,
                negated=True,
                since=draft.since(clause),
                confidence=0.75,
            )
        if new is not None:
            draft.add(clause, subject, "works_at", object=new, since=draft.since(clause))
