"""Noun phrases as the names of things, without what does not belong to the name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memos.extraction.rules.lexicon import GREETINGS, PLAIN, VAGUE, words

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

_ENTITY_TYPES = {
    "PERSON": "person", "ORG": "organisation", "GPE": "place", "LOC": "place", "FAC": "place",
    "NORP": "group", "EVENT": "event", "WORK_OF_ART": "work", "PRODUCT": "product",
    "LANGUAGE": "language",
}  # fmt: skip
_NEVER_NAMES = frozenset({"DATE", "TIME", "CARDINAL", "ORDINAL", "MONEY", "PERCENT", "QUANTITY"})
_JOINING = frozenset({"of", "the", "de", "la", "du", "von", "van", "der", "and", "&", "'s", "for"})
_LONGEST = 60
_DENYING = frozenset({"not", "no", "never", "n't"})
_ADDING = frozenset({"also", "even", "especially", "mainly", "mostly", "sometimes"})


def entity_type(label: str) -> str | None:
    """The type of thing that a label of the entity recogniser stands for."""
    return _ENTITY_TYPES.get(label)


def is_name(token: Token) -> bool:
    """Written like a name, and not a time or a number."""
    if token.ent_type_ in _NEVER_NAMES:
        return False
    if token.lower_ in GREETINGS and token.dep_ != "pobj":  # there is a town called Nice
        return False
    if token.tag_ in ("NNP", "NNPS") and not token.is_lower:
        return True
    if token.ent_type_ in _ENTITY_TYPES and token.shape_[:1] == "X":
        return True
    return token.shape_[:1] == "X" and not token.is_sent_start and token.pos_ in ("NOUN", "PROPN")


def is_thing(token: Token) -> bool:
    """A noun that says enough to be a thing of its own: not "it", "something", "a lot"."""
    if token.pos_ in ("PRON", "DET", "NUM", "PART", "ADP") or token.lower_ in VAGUE:
        return False
    return token.pos_ in ("NOUN", "PROPN", "ADJ", "X", "VERB")


def name_span(token: Token) -> Span:
    """All of the name that `token` belongs to: the entity found there, or the words before it that
    are written like it. "University of Ghana", "St. Mary's Hospital"."""
    doc = token.doc
    start, end = token.i, token.i + 1
    if token.ent_type_ and token.ent_type_ not in _NEVER_NAMES:
        while start > 0 and doc[start].ent_iob_ == "I":
            start -= 1
        while end < len(doc) and doc[end].ent_iob_ == "I":
            end += 1
        if end <= token.i or start > token.i:
            start, end = token.i, token.i + 1
    sentence = token.sent
    while start > sentence.start and _belongs(doc[start - 1], doc[start]):
        start -= 1
    start, end = _joined(token, start, end)
    while start < token.i and (doc[start].lower_ in ("the", "a", "an") or doc[start].is_punct):
        start += 1
    while end - 1 > token.i and doc[end - 1].text in ("'s", "'"):
        end -= 1
    return doc[start:end]


def _belongs(left: Token, right: Token) -> bool:
    if left.ent_type_ in _NEVER_NAMES or left.lower_ in GREETINGS:
        return False
    if left.dep_ == "compound" and left.head.i >= right.i and left.shape_[:1] == "X":
        return True
    return left.text in ("'s", "St.", "Mt.") and left.i > 0 and is_name(left.doc[left.i - 1])


def _joined(token: Token, start: int, end: int) -> tuple[int, int]:
    """With "of" and another name behind it."""
    doc = token.doc
    while (
        end + 1 < len(doc)
        and doc[end].lower_ == "of"
        and is_name(doc[end + 1])
        and doc[end].head.i in range(start, end)
    ):
        end += 2
        while end < len(doc) and is_name(doc[end]) and doc[end - 1].dep_ == "compound":
            end += 1
    if start > 0 and doc[start - 1].text == "'s" and start > 1 and is_name(doc[start - 2]):
        owner = doc[start - 2]
        if owner.dep_ == "poss" and is_name(token):
            start -= 2
            while start > 0 and doc[start - 1].dep_ == "compound" and is_name(doc[start - 1]):
                start -= 1
    return start, end


def phrase(token: Token) -> str:
    """What a thing is called: its name, or the noun with what tells it from others of its kind
    ("baroque music", "rowing club"), without articles, owners and praise."""
    if is_name(token):
        return name_span(token).text[:_LONGEST].strip()
    kept = []
    for child in token.lefts:
        if child.dep_ in ("compound", "nmod") or (
            child.dep_ == "amod" and child.lower_ not in PLAIN and child.tag_ not in ("JJR", "JJS")
        ):
            kept += [
                t
                for t in child.subtree
                if t.pos_ not in ("ADV", "DET", "PUNCT", "CCONJ", "PRON")
                and t.lower_ not in PLAIN
                and t.tag_ != "PRP$"
            ]
    doc = token.doc
    if kept and kept[-1].i + 1 < token.i:
        kept = [doc[i] for i in range(kept[0].i, token.i) if doc[i] in kept or doc[i].text == "-"]
    named = [*kept, token]
    return joined(named)[:_LONGEST]


def joined(tokens: Sequence[Token]) -> str:
    """Words as written, with a blank where others stood between."""
    parts = []
    for word, after in zip(tokens, [*tokens[1:], None], strict=True):
        apart = after is not None and after.i != word.i + 1
        parts.append(word.text + (" " if apart else word.whitespace_))
    return " ".join("".join(parts).split())


def conjuncts(token: Token) -> list[Token]:
    """The token and what is listed with it: "German and Italian"; not what is set against it."""
    found = [token]
    for other in token.conjuncts:
        if other.pos_ in ("NOUN", "PROPN", "ADJ", "PRON", "X", "NUM") and other.i > token.i:
            if any(c.dep_ in ("nsubj", "nsubjpass") for c in other.children) or set_against(other):
                continue
            found.append(other)
    return found


def set_against(listed: Token) -> bool:
    """Whether a list names it as what is not meant: "tea but not coffee", "a bike but no car", "all
    fruit but bananas". What follows it in the list is set against the first with it."""
    below = {c.lower_ for c in listed.children if c.i < listed.i}
    if below & _DENYING:
        return True
    joints = [c for c in listed.head.children if c.dep_ == "cc" and listed.head.i < c.i < listed.i]
    if joints and joints[-1].lower_ == "but":
        between = {t.lower_ for t in listed.doc[joints[-1].i : listed.i]}
        if not between & _ADDING:
            return True
    return listed.head.dep_ == "conj" and listed.dep_ == "conj" and set_against(listed.head)


def doing(token: Token) -> str:
    """An activity as a name: "playing piano", "hiking"; empty where its object is none that can be
    named ("expressing myself")."""
    thing = next((c for c in token.children if c.dep_ == "dobj"), None)
    if thing is not None and not is_thing(thing):
        return ""
    if thing is None:
        return token.lower_
    return f"{token.lower_} {phrase(thing)}"


_ASIDE = words("but if when because while since unless so though although")


def words_from(verb: Token, *, limit: int = 12) -> str:
    """The text from `verb` to the end of what hangs on it, at most `limit` words, without what is
    said beside it."""
    kept: list[Token] = []
    for token in verb.doc[verb.i : verb.right_edge.i + 1]:
        if token.lower_ in _ASIDE or len(kept) == limit:
            break
        kept.append(token)
    while len(kept) > 1 and kept[-1].pos_ in ("PUNCT", "CCONJ", "ADP", "DET", "SCONJ", "PART"):
        kept.pop()
    return joined(kept)
