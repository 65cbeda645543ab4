"""Where somebody works and as what; beginnings and ends are read by their own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.employers import any_title, below, called, employer, is_beside, title
from memos.extraction.rules.job_beginnings import read_hiring, read_joining, read_offer, read_start
from memos.extraction.rules.job_endings import (
    read_dismissal,
    read_leaving,
    read_loss,
    read_retirement,
    read_switch,
)
from memos.extraction.rules.lexicon import (
    CLUBS,
    FICTION,
    GREETINGS,
    RANKS,
    TRADES,
    WORKPLACES,
)
from memos.extraction.rules.phrases import is_name, name_span, phrase
from memos.types import Granularity, Ref

if TYPE_CHECKING:
    from spacy.tokens import Token


def read_job(clause: Clause, draft: Draft) -> None:
    reader = _READERS.get(clause.lemma)
    if reader is not None:
        reader(clause, draft)
    _love_of_job(clause, draft)


def _works(clause: Clause, draft: Draft) -> None:
    if clause.words & {"out", "up"} or any(c.dep_ == "prt" for c in clause.children):
        return  # "I work out at the gym"
    where = clause.after("at")
    if clause.lemma == "work":
        where = where or clause.after("for")
        role = clause.after("as")
        if where is None and role is not None and role.lower_ not in _CUSTOMERS:
            where = clause.after("with")  # without a trade they may be customers, or tools
    if where is not None and (_is_no_employer(where) or _for_a_day(clause)):
        return
    trade = clause.after("as")
    if trade is None and where is not None:
        trade = below(where, "as")
    if trade is not None and trade.lower_ in _CUSTOMERS:
        trade = None
    if where is None and trade is not None:
        where = below(trade, "at", "for", "with")
    company = employer(where, draft)
    if where is not None and clause.after("with") is where and where.ent_type_ == "PERSON":
        company = None  # "I work with Anna"
    beside = is_beside(clause)
    perfect = clause.tense is Tense.PERFECT and clause.phase is Phase.WHOLE
    lasting = clause.progressive or draft.when(clause).since is not None
    if perfect and not clause.negated and not lasting:
        return
    for subject in draft.subjects(clause):
        if subject.type != "person":
            continue
        if company is not None and where is not None:
            predicate = "also_works_at" if beside else "works_at"
            draft.state(clause, subject, predicate, object=company, about=(where,), confidence=0.9)
        if trade is not None and (said := any_title(trade)):
            name = "occupied_as" if beside else "job_title"
            draft.state(clause, subject, name, value=said, about=(trade,), confidence=0.85)
        if clause.lemma == "work":
            project = clause.after("on")
            if project is not None and is_name(project) and company is None:
                draft.state(
                    clause,
                    subject,
                    "works_on",
                    object=_thing(project, draft),
                    about=(project,),
                    past=False,
                )


_CUSTOMERS = frozenset({"client", "customer", "partner", "supplier", "vendor", "contractor"})
_CHIEFS = frozenset({"ceo", "cto", "cfo", "coo", "boss", "founder", "owner"})


def _is_no_employer(where: Token) -> bool:
    """ "Acme's CEO", "the London office"."""
    named = any(c.dep_ == "compound" and is_name(c) for c in where.children)
    return where.lower_ in _CHIEFS or (where.lower_ in ("office", "branch") and named)


def _for_a_day(clause: Clause) -> bool:
    """ "I'm working at the café today" says where somebody sits."""
    brief = (
        *(Granularity.SECOND, Granularity.MINUTE, Granularity.HOUR),
        *(Granularity.DAY, Granularity.WEEK),
    )
    if not clause.progressive or clause.tense is not Tense.PRESENT:
        return False
    now = any(m.role in ("at", "during", "until") for m in clause.times)
    short = any(m.period.granularity in brief for m in clause.times)
    until = any(
        c.dep_ == "advcl" and any(d.lower_ == "until" for d in c.children) for c in clause.children
    )
    return (now and short) or until


def _thing(token: Token, draft: Draft) -> Ref:
    span = name_span(token)
    ref = Ref(name=span.text)
    draft.mention(ref, span.start_char, span.end_char)
    return ref


def _is(clause: Clause, draft: Draft) -> None:
    """ "I'm a nurse at St. Mary's", "I became a carpenter"."""
    token = clause.first("attr", "oprd", "dobj") if clause.lemma != "be" else clause.first("attr")
    found = title(token)
    if token is not None and (role := below(token, "in", "on")) and role.lower_ in FICTION:
        return  # "a doctor in the school play"
    if token is None or (clause.lemma in ("be", "become") and found is None and _is_rank(token)):
        return
    if found is None:
        return
    predicate, value = found
    if is_beside(clause):
        predicate = "occupied_as"
    beginning = clause.lemma != "be"
    if beginning and predicate == "occupied_as" and clause.lemma == "become":
        predicate = (
            "job_title"
            if not is_beside(clause)
            and token.lower_
            not in ("runner", "gamer", "student", "volunteer", "mentor", "hiker", "caregiver")
            else predicate
        )
    company = employer(
        below(token, "at", "with") or clause.after("at", "with"), draft, generic=True
    )
    for subject in draft.subjects(clause):
        if subject.type != "person" or subject == draft.people.you:
            continue  # "you're a great teacher" is praise
        if beginning:
            if clause.mood is Mood.REPORT and clause.tense is Tense.PRESENT:
                continue
            if not happened(clause) or draft.when(clause).future:
                continue
            draft.add(
                clause, subject, predicate, value=value, since=draft.since(clause), confidence=0.85
            )
            if company is not None:
                draft.add(clause, subject, "works_at", object=company, since=draft.since(clause))
            continue
        draft.state(clause, subject, predicate, value=value, about=(token,), confidence=0.85)
        if company is not None and predicate == "job_title":
            draft.state(clause, subject, "works_at", object=company, about=(token,))


def _is_rank(token: Token) -> bool:
    return token.lower_ in RANKS


def _promoted(clause: Clause, draft: Draft) -> None:
    if not happened(clause):
        return
    text = _rank_text(clause.verb)
    for subject in draft.subjects(clause):
        if not draft.event(clause, subject, "promoted_to", value=text):
            continue
        if text is not None and _is_trade(text):
            draft.add(clause, subject, "job_title", value=text, since=draft.since(clause))


def _is_trade(text: str) -> bool:
    last = text.split()[-1]
    known = last in TRADES or last in RANKS or " ".join(text.split()[-2:]) in TRADES
    return known or last.endswith(("er", "or", "ist", "ant"))


_WHEN = frozenset({"last", "this", "next", "yesterday", "today", "recently", "earlier", "just"})


def _rank_text(verb: Token) -> str | None:
    """The words after "promoted to"; the parser takes "to team lead" for a verb."""
    doc, i = verb.doc, verb.i + 1
    if i >= len(doc) or doc[i].lower_ != "to":
        return None
    words = []
    for token in doc[i + 1 : i + 7]:
        if token.is_punct or token.pos_ in ("ADP", "CCONJ", "PRON", "SCONJ", "ADV"):
            break
        if token.ent_type_ in ("DATE", "TIME") or token.lower_ in _WHEN:
            break
        if token.pos_ != "DET":
            words.append(token.lower_)
    return " ".join(words) or None


def _volunteers(clause: Clause, draft: Draft) -> None:
    token = clause.after("at", "with", "for")
    if token is None or token.lower_ in GREETINGS:
        return
    if not is_name(token) and token.lower_ not in WORKPLACES | CLUBS:
        return
    name = called(token) or token
    ref = Ref(name=phrase(name), type="organisation")
    draft.mention(ref, token.left_edge.idx, token.idx + len(token.text))
    for subject in draft.subjects(clause):
        draft.state(clause, subject, "volunteers_at", object=ref, about=(token,), past=False)


def _love_of_job(clause: Clause, draft: Draft) -> None:
    """ "I love my job at Puma": who has a job there works there."""
    if not clause.states or clause.negated or clause.tense is not Tense.PRESENT:
        return
    if clause.phase is not Phase.WHOLE or clause.verb.i in draft.handled:
        return
    for token in (clause.object, clause.subject):
        if token is None or token.lower_ != "job":
            continue
        if any(
            c.lower_
            in (
                "old",
                "former",
                "last",
                "previous",
                "first",
                "dream",
                "second",
                "part-time",
                "side",
                "new",
            )
            for c in token.children
        ):
            continue
        owner = draft.people.owner(token)
        company = employer(
            below(token, "at", "with") or (clause.after("at") if token is clause.object else None),
            draft,
        )
        if owner is not None and company is not None:
            draft.add(clause, owner, "works_at", object=company, confidence=0.8)


_READERS = {
    "work": _works,
    "teach": _works,
    "be": _is,
    "become": _is,
    "promote": _promoted,
    "start": read_start,
    "begin": read_start,
    "get": read_offer,
    "land": read_offer,
    "find": read_offer,
    "accept": read_offer,
    "take": read_offer,
    "join": read_joining,
    "leave": read_leaving,
    "quit": read_leaving,
    "resign": read_leaving,
    "lose": read_loss,
    "lay": read_dismissal,
    "fire": read_dismissal,
    "dismiss": read_dismissal,
    "retire": read_retirement,
    "hire": read_hiring,
    "recruit": read_hiring,
    "switch": read_switch,
    "change": read_switch,
    "volunteer": _volunteers,
}
