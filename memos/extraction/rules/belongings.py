"""Animals, kin and things that somebody has, gets and gives away; what a name is the name of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Phase, Tense
from memos.extraction.rules.draft import Draft, happened
from memos.extraction.rules.lexicon import (
    ANIMALS,
    CONDITIONS,
    DURABLES,
    PLURAL_RELATIONS,
    RELATIONS,
)
from memos.extraction.rules.phrases import is_name, is_thing, name_span, phrase
from memos.types import Ref

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacy.tokens import Token

_GET = frozenset({"buy", "get", "purchase", "adopt", "rescue"})
_SINGULAR = {"children": "child", "kids": "kid"}


def read_belonging(clause: Clause, draft: Draft) -> None:
    lemma = clause.lemma
    if lemma in ("have", "own"):
        _has(clause, draft)
    elif lemma in _GET:
        _gets(clause, draft)
    elif lemma in ("sell", "lose"):
        _loses(clause, draft)
    elif lemma in ("call", "name") and clause.passive:
        _called(clause, draft)
    elif lemma == "be":
        _name_is(clause, draft)
    elif lemma in ("die", "pass"):
        _dies(clause, draft)


def animal(word: str) -> str | None:
    for form in (word, word[:-1] if word.endswith("s") else word, word[:-2]):
        if form in ANIMALS:
            return form
    return "puppy" if word == "puppies" else None


def names_of(noun: Token) -> list[Token]:
    """The names that a noun is given: "two dogs, Bruno and Mila", "a cat named Luna"."""
    found: list[Token] = []
    for child in noun.children:
        if child.dep_ == "appos" and _nameable(child):
            found += _listed(child)
        elif child.dep_ == "acl" and child.lower_ in ("called", "named"):
            for name in child.children:
                if name.dep_ in ("oprd", "dobj", "attr", "npadvmod") and _nameable(name):
                    found += _listed(name)
    if not found and noun.i + 1 < len(noun.doc):
        following = noun.nbor(1)
        if following.lower_ in ("called", "named") and following.i + 1 < len(noun.doc):
            name = following.nbor(1)
            if _nameable(name):
                found += _listed(name)
        elif is_name(following) and following.i in {c.i for c in noun.children}:
            found += _listed(following)
        elif (
            following.tag_ in ("NNP", "NNPS")
            and following.shape_[:1] == "X"
            and following.ent_type_ not in ("GPE", "DATE", "NORP")
            and any(c.dep_ == "poss" for c in noun.children)
        ):
            found += [following]
    return found


def _nameable(token: Token) -> bool:
    return token.shape_[:1] == "X" and token.ent_type_ not in ("DATE", "TIME", "CARDINAL")


def _listed(token: Token) -> list[Token]:
    return [token, *(c for c in token.conjuncts if c.i > token.i and _nameable(c))]


def _ref(token: Token, type: str, draft: Draft) -> Ref:
    span = name_span(token)
    if type == "animal" and any(each.lower_ == "and" for each in span):
        span = token.doc[token.i : token.i + 1]  # "Miso and Tofu" taken for one name
    ref = Ref(name=span.text, type=type)
    draft.mention(ref, span.start_char, span.end_char)
    return ref


def _has(clause: Clause, draft: Draft) -> None:
    noun = clause.object
    if noun is None:
        return
    none = any(c.lower_ in ("no", "any") for c in noun.children)
    for subject in draft.subjects(clause):
        if (
            clause.lemma == "own"
            and is_thing(noun)
            and noun.pos_ == "NOUN"
            and not animal(noun.lower_)
        ):
            if not any(
                c.dep_ in ("poss", "relcl") or c.lower_ in ("my", "the", "own")
                for c in noun.children
            ):
                draft.state(clause, subject, "owns", object=Ref(name=phrase(noun)), about=(noun,))
            continue
        for predicate, ref in _kept(noun, subject, draft):
            denied = none or clause.negated
            if denied:
                if not clause.states or clause.tense is not Tense.PRESENT:
                    continue
                continue  # who has no dog now may have said so of one kind only
            draft.state(
                clause, subject, predicate, object=ref, about=(noun,), past=False, confidence=0.85
            )
        ill = _condition(noun)
        if ill is not None and clause.tense is Tense.PRESENT and subject.type != "place":
            draft.state(clause, subject, "has_condition", object=ill, about=(noun,), past=False)


def _kept(noun: Token, subject: Ref, draft: Draft) -> Iterator[tuple[str, Ref]]:
    """Animals and relatives in "I have …", by their names, else as the subject's."""
    kind = animal(noun.lower_)
    word = noun.lower_
    names = names_of(noun)
    if kind is not None:
        for name in names:
            yield "has_pet", _ref(name, "animal", draft)
        if not names and word == kind:
            yield "has_pet", Ref(name=f"{subject.name}'s {kind}", type="animal")
        return
    singular = _SINGULAR.get(word) or (word[:-1] if word in PLURAL_RELATIONS else word)
    predicate = RELATIONS.get(singular)
    if predicate is None or predicate in ("reports_to", "has_teacher"):
        return
    if any(c.dep_ == "prep" and c.lower_ == "like" for c in noun.children):
        return  # "a friend like you"
    for name in names:
        yield predicate, _ref(name, "person", draft)
    if not names and word == singular and predicate not in ("partner_of",):
        yield predicate, Ref(name=f"{subject.name}'s {singular}", type="person")


def _gets(clause: Clause, draft: Draft) -> None:
    noun = clause.object
    if noun is None or not happened(clause) or not is_thing(noun):
        return
    kind = animal(noun.lower_)
    names = names_of(noun)
    since = draft.since(clause)
    for subject in draft.subjects(clause):
        if kind is not None:
            refs = [_ref(name, "animal", draft) for name in names]
            if not refs and noun.lower_ == kind:
                refs = [Ref(name=f"{subject.name}'s {kind}", type="animal")]
            for ref in refs:
                if clause.lemma in ("adopt", "buy", "rescue"):
                    name = "bought" if clause.lemma in ("buy", "purchase") else "adopted"
                    draft.event(clause, subject, name, object=ref)
                draft.add(clause, subject, "has_pet", object=ref, since=since)
            continue
        if clause.lemma in ("buy", "purchase") and noun.pos_ in ("NOUN", "PROPN"):
            if any(c.dep_ == "poss" and c.lower_ not in ("my", "our") for c in noun.children):
                continue
            for_other = next(clause.all_after("for"), None)
            ref = Ref(name=phrase(noun))
            if not draft.event(clause, subject, "bought", object=ref):
                continue
            recipient = clause.first("dative")
            if noun.lower_ in DURABLES and for_other is None and recipient is None:
                draft.add(clause, subject, "owns", object=ref, since=since, confidence=0.75)


def _loses(clause: Clause, draft: Draft) -> None:
    noun = clause.object
    if noun is None or not happened(clause) or clause.lemma != "sell" or noun.pos_ != "NOUN":
        return
    mine = any(c.dep_ == "poss" for c in noun.children)
    for subject in draft.subjects(clause):
        owner = draft.people.owner(noun)
        if mine and owner != subject:
            continue
        ref = Ref(name=phrase(noun))
        if draft.event(clause, subject, "sold", object=ref) and mine and noun.tag_ == "NN":
            draft.add(
                clause,
                subject,
                "owns",
                object=ref,
                negated=True,
                since=draft.since(clause),
                confidence=0.8,
            )


def _called(clause: Clause, draft: Draft) -> None:
    """ "Our cat is called Minka", "my wife is called Irma"."""
    name = clause.first("oprd", "attr", "dobj")
    if name is None or not _nameable(name) or not clause.states or clause.negated:
        return
    if clause.subject is not None and clause.tense is Tense.PRESENT:
        named(clause, draft, clause.subject, name)


def _name_is(clause: Clause, draft: Draft) -> None:
    """ "My dog's name is Bello", "her name is Irma", "my name is Nora Berg"."""
    subject, name = clause.subject, clause.first("attr", "acomp")
    if subject is None or name is None or subject.lower_ != "name":
        return
    if not clause.states or clause.negated or not _nameable(name):
        return
    holder = next((c for c in subject.children if c.dep_ == "poss"), None)
    if holder is None:
        return
    if holder.lower_ in ("my",) and draft.people.me is not None:
        draft.add(clause, draft.people.me, "full_name", value=name_span(name).text)
        return
    named(clause, draft, holder, name)


def named(clause: Clause, draft: Draft, holder: Token, name: Token) -> None:
    """`holder` ("our cat", "my wife") goes by `name`."""
    owner = draft.people.owner(holder)
    kind = animal(holder.lower_)
    predicate = RELATIONS.get(holder.lower_)
    if owner is None:
        return
    if kind is not None:
        for each in _listed(name):
            draft.add(clause, owner, "has_pet", object=_ref(each, "animal", draft), confidence=0.85)
    elif predicate is not None:
        for each in _listed(name):
            draft.add(clause, owner, predicate, object=_ref(each, "person", draft), confidence=0.85)


def read_pets(draft: Draft, clause_of: dict[int, Clause], tokens: list[Token]) -> None:
    """ "my dog Rex", "our cats, Tom and Luna" wherever they stand."""
    for token in tokens:
        if animal(token.lower_) is None or token.pos_ not in ("NOUN", "PROPN"):
            continue
        clause = clause_of.get(token.i)
        owner = draft.people.owner(token)
        if clause is None or owner is None or is_name(token):
            continue
        for name in names_of(token):
            if name.lower_ not in draft.people.known:
                ref = _ref(name, "animal", draft)
                draft.add(clause, owner, "has_pet", object=ref, confidence=0.8, told=False)


def _dies(clause: Clause, draft: Draft) -> None:
    if not happened(clause) or clause.subject is None or clause.phase is not Phase.WHOLE:
        return
    if clause.lemma == "pass" and not any(c.lower_ == "away" for c in clause.children):
        return
    subject = clause.subject
    kind = animal(subject.lower_)
    owner = draft.people.owner(subject)
    if kind is not None and owner is not None:
        names = names_of(subject)
        refs = [_ref(name, "animal", draft) for name in names] or [
            Ref(name=f"{owner.name}'s {kind}", type="animal")
        ]
        for ref in refs:
            draft.event(clause, ref, "died")
            draft.add(
                clause,
                owner,
                "has_pet",
                object=ref,
                negated=True,
                since=draft.since(clause),
                confidence=0.8,
            )
        return
    for ref in draft.subjects(clause):
        if ref != draft.people.me:
            draft.event(clause, ref, "died")


def _condition(noun: Token) -> Ref | None:
    return Ref(name=phrase(noun), type="condition") if noun.lower_ in CONDITIONS else None
