"""Where somebody works and as what: beginnings, ends, changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.grammar import Clause, Mood, Phase, Tense
from memos.extraction.rules.lexicon import (
    ARTS,
    CLUBS,
    FICTION,
    FIRST_NAMES,
    GREETINGS,
    PLATFORMS,
    RANKS,
    TRADES,
    WORKPLACES,
    words,
)
from memos.extraction.rules.phrases import is_name, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_JOBS = words("job position role post gig career work employment company firm internship")
_BESIDE = words("also side part-time parttime weekends second freelance too besides")
_NO_EMPLOYERS = frozenset({"DATE", "TIME", "MONEY", "CARDINAL", "NORP", "LANGUAGE", "ORDINAL"})
_PLACES = frozenset({"GPE", "LOC"})


def read_job(clause: Clause, draft: Draft) -> None:
    reader = _READERS.get(clause.lemma)
    if reader is not None:
        reader(clause, draft)
    _love_of_job(clause, draft)


def employer(token: Token | None, draft: Draft, *, generic: bool = True) -> Ref | None:
    """An employer by its name, by "a bakery called …", or as "the post office". `generic` False:
    by name only."""
    if token is None:
        return None
    named = _called(token)
    if named is not None:
        token = named
    if is_name(token):
        span = name_span(token)
        if token.ent_type_ in _NO_EMPLOYERS or _is_person(span, draft):
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


def _is_person(span: Span, draft: Draft) -> bool:
    first = span[0].lower_
    alone = len(span) == 1 or span.root.ent_type_ == "PERSON"
    return first in draft.people.known or (alone and first in FIRST_NAMES)


def _called(token: Token) -> Token | None:
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
    text = phrase(token).lower()
    tail = " ".join(text.split()[-2:])
    if word in TRADES or tail in TRADES:
        return "job_title", text
    if word in ARTS:
        return "occupied_as", text
    return None


def _works(clause: Clause, draft: Draft) -> None:
    where = clause.after("at")
    if clause.lemma == "work":
        where = where or clause.after("for") or clause.after("with")
    trade = clause.after("as")
    if trade is None and where is not None:
        trade = _below(where, "as")
    if where is None and trade is not None:
        where = _below(trade, "at", "for", "with")
    company = employer(where, draft)
    if where is not None and clause.after("with") is where and where.ent_type_ == "PERSON":
        company = None  # "I work with Anna"
    beside = _is_beside(clause)
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
        if trade is not None and (said := _any_title(trade)):
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


def _thing(token: Token, draft: Draft) -> Ref:
    span = name_span(token)
    ref = Ref(name=span.text)
    draft.mention(ref, span.start_char, span.end_char)
    return ref


def _any_title(token: Token) -> str | None:
    """After "as" anything can be a trade that is called like a person who does it."""
    known = title(token)
    if known is not None:
        return known[1]
    owned = any(c.dep_ == "poss" for c in token.children)
    personal = token.lower_.endswith(("er", "or", "ist", "ian", "ant", "ent"))
    return phrase(token).lower() if token.pos_ == "NOUN" and personal and not owned else None


def _below(token: Token, *prepositions: str) -> Token | None:
    for child in token.children:
        if child.dep_ == "prep" and child.lower_ in prepositions:
            return next((c for c in child.children if c.dep_ == "pobj"), None)
    return None


def _is_beside(clause: Clause) -> bool:
    if clause.words & _BESIDE:
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


def _is(clause: Clause, draft: Draft) -> None:
    """ "I'm a nurse at St. Mary's", "I became a carpenter"."""
    token = clause.first("attr", "oprd", "dobj") if clause.lemma != "be" else clause.first("attr")
    found = title(token)
    if token is not None and (role := _below(token, "in", "on")) and role.lower_ in FICTION:
        return  # "a doctor in the school play"
    if token is None or (clause.lemma in ("be", "become") and found is None and _is_rank(token)):
        return
    if found is None:
        return
    predicate, value = found
    if _is_beside(clause):
        predicate = "occupied_as"
    beginning = clause.lemma != "be"
    if beginning and predicate == "occupied_as" and clause.lemma == "become":
        predicate = (
            "job_title"
            if not _is_beside(clause)
            and token.lower_
            not in ("runner", "gamer", "student", "volunteer", "mentor", "hiker", "caregiver")
            else predicate
        )
    company = employer(
        _below(token, "at", "with") or clause.after("at", "with"), draft, generic=True
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


def _rank_text(verb: Token) -> str | None:
    """The words after "promoted to"; the parser takes "to team lead" for a verb."""
    doc, i = verb.doc, verb.i + 1
    if i >= len(doc) or doc[i].lower_ != "to":
        return None
    words = []
    for token in doc[i + 1 : i + 7]:
        if token.is_punct or token.pos_ in ("ADP", "CCONJ", "PRON", "SCONJ", "ADV"):
            break
        if token.ent_type_ in ("DATE", "TIME"):
            break
        if token.pos_ != "DET":
            words.append(token.lower_)
    return " ".join(words) or None


def _starts(clause: Clause, draft: Draft) -> None:
    """ "started at Bosch", "started my new job at Bosch as a welder"."""
    if not happened(clause):
        return
    thing = clause.object
    if thing is not None and thing.lower_ not in _JOBS:
        return
    where = (
        clause.after("at")
        if thing is None
        else (_below(thing, "at", "with", "for") or clause.after("at", "with", "for"))
    )
    if thing is not None and thing.lower_ == "internship":
        return
    company = employer(where, draft, generic=thing is not None)
    trade = clause.after("as") or (None if thing is None else _below(thing, "as"))
    said = _any_title(trade) if trade is not None else None
    beside = _is_beside(clause)
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


def _gets(clause: Clause, draft: Draft) -> None:
    """ "got a new job at Nvidia", "landed a role with …"; "got fired", "got hired by …"."""
    thing = clause.object
    if thing is None or thing.lower_ not in ("job", "position", "role"):
        return
    if any(c.lower_ in ("offer", "no") for c in thing.children):
        return
    _starts(clause, draft)


def _joins(clause: Clause, draft: Draft) -> None:
    thing = clause.object
    if thing is None or not happened(clause):
        return
    word = thing.lower_
    group = word in CLUBS or any(t.lower_ in CLUBS for t in name_span(thing))
    named = is_name(thing) and thing.ent_type_ not in _NO_EMPLOYERS | {"WORK_OF_ART"}
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
    if thing.ent_type_ in _PLACES or _is_person(name_span(thing), draft):
        return False
    if thing.ent_type_ not in ("ORG", "PERSON", "PRODUCT", "") or thing.lower_ in PLATFORMS:
        return False
    trade = clause.after("as")
    left = any(t.lower_ in ("left", "quit", "resigned") and t.i < thing.i for t in clause.verb.sent)
    spoken = any(t.lower_ in _WORKING for t in clause.verb.doc)
    return spoken or left or (trade is not None and _any_title(trade) is not None)


def _leaves(clause: Clause, draft: Draft) -> None:
    """ "left Siemens for Bosch", "quit my job at Nokia", "resigned from …", "left my position"."""
    if not happened(clause):
        return
    thing = clause.object
    old: Ref | None = None
    anything = False
    if thing is not None and thing.lower_ in _JOBS and thing.lower_ != "work":
        if _is_beside(clause) or not _mine(thing):
            return
        if any(c.lower_ in _BESIDE for c in thing.children):
            return
        old = employer(_below(thing, "at", "with") or clause.after("at", "with"), draft)
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
        if thing.ent_type_ in _PLACES | {"FAC", "WORK_OF_ART", "DATE", "TIME", "NORP"}:
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
            and target.ent_type_ in _PLACES
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


def _mine(thing: Token) -> bool:
    return any(c.dep_ == "poss" for c in thing.children) or any(
        c.dep_ == "prep" and c.lower_ in ("at", "with") for c in thing.children
    )


def _loses(clause: Clause, draft: Draft) -> None:
    thing = clause.object
    if thing is None or thing.lower_ != "job" or not happened(clause) or not _mine(thing):
        return
    if any(c.lower_ in _BESIDE for c in thing.children):
        return
    old = employer(_below(thing, "at", "with") or clause.after("at"), draft)
    _out_of_work(clause, draft, old)
    trade = _below(thing, "as") or clause.after("as")
    if trade is not None and (said := _any_title(trade)):
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


def _dismissed(clause: Clause, draft: Draft) -> None:
    """ "was laid off", "got fired", "was let go"."""
    word = clause.verb.lower_
    off = "off" in clause.words or any(c.lower_ == "off" for c in clause.children)
    if not happened(clause) or not clause.passive:
        return
    if word == "laid" and not off:
        return
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


def _retires(clause: Clause, draft: Draft) -> None:
    if not happened(clause) or clause.object is not None:
        return
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


def _hired(clause: Clause, draft: Draft) -> None:
    if not clause.passive or not happened(clause):
        return
    company = employer(clause.after("by", "at"), draft, generic=False)
    if company is None:
        return
    for subject in draft.subjects(clause):
        if draft.event(clause, subject, "hired_by", object=company):
            draft.add(clause, subject, "works_at", object=company, since=draft.since(clause))


def _switches(clause: Clause, draft: Draft) -> None:
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


def _volunteers(clause: Clause, draft: Draft) -> None:
    token = clause.after("at", "with", "for")
    if token is None or token.lower_ in GREETINGS:
        return
    if not is_name(token) and token.lower_ not in WORKPLACES | CLUBS:
        return
    name = _called(token) or token
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
            _below(token, "at", "with") or (clause.after("at") if token is clause.object else None),
            draft,
        )
        if owner is not None and company is not None:
            draft.add(clause, owner, "works_at", object=company, confidence=0.8)


_READERS = {
    "work": _works, "teach": _works, "be": _is, "become": _is, "promote": _promoted,
    "start": _starts, "begin": _starts, "get": _gets, "land": _gets, "find": _gets,
    "accept": _gets, "take": _gets, "join": _joins, "leave": _leaves, "quit": _leaves,
    "resign": _leaves, "lose": _loses, "lay": _dismissed, "fire": _dismissed,
    "dismiss": _dismissed, "retire": _retires, "hire": _hired, "recruit": _hired,
    "switch": _switches, "change": _switches, "volunteer": _volunteers,
}  # fmt: skip
