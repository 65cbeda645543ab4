"""Whom a subject means: the speaker, the one spoken to, a relative of theirs, somebody named.

A pronoun of the third person means the last person named before it that it can mean; where it can
mean two it means nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memos.extraction.rules.lexicon import (
    COUNTRIES,
    FEMALE,
    FICTION,
    FORMER,
    MALE,
    RELATIONS,
    words,
)
from memos.extraction.rules.phrases import is_name, name_span, set_against
from memos.types import Ref

if TYPE_CHECKING:
    from spacy.tokens import Token

FIRST = frozenset({"i", "we", "me", "us", "myself", "ourselves", "im"})
SECOND = frozenset({"you", "u", "ya", "yourself"})
MINE = frozenset({"my", "our", "mine", "ours"})
YOURS = frozenset({"your", "ur"})
_SHE = frozenset({"she", "her", "hers"})
_HE = frozenset({"he", "him", "his"})
_MONTH_NAMES = frozenset({"april", "june", "august", "summer", "autumn"})
_NO_PARTNERS = words("work future imaginary fake pretend dream")
"""With these a wife is none."""
_ONE_OF = words(
    """other another second third elder eldest older oldest younger youngest middle little big baby
    twin"""
)
_NO_PERSONS = frozenset({"GPE", "LOC", "FAC", "DATE", "TIME", "LANGUAGE", "MONEY", "EVENT"})


@dataclass(frozen=True, slots=True)
class Relative:
    """Somebody called by how they stand to another: "my sister Eva", "Tom's wife"."""

    owner: Ref
    predicate: str
    word: str
    ref: Ref
    named: bool
    former: bool
    token: Token


@dataclass(slots=True)
class People:
    """The persons of one memory, in the order in which they are named."""

    me: Ref | None
    you: Ref | None
    known: dict[str, str] = field(default_factory=dict)
    """Names of speakers by their lower-case form."""
    _seen: list[tuple[Ref, str, int]] = field(default_factory=list)
    relatives: list[Relative] = field(default_factory=list)
    places: dict[int, tuple[Ref, int, int]] = field(default_factory=dict)
    """Character offset → what is named there, and until where."""

    def subjects(
        self, token: Token | None, *, elliptic: bool = False, human: bool = False
    ) -> list[Ref]:
        """Whom a subject means, each of those listed. Nobody if that can't be told. `human`: it
        does what only people do, so that a name taken for a place is a person's."""
        if token is None:
            return [self.me] if elliptic and self.me else []
        found: list[Ref] = []
        listed = [
            c for c in token.conjuncts if c.i > token.i and c.dep_ == "conj" and not set_against(c)
        ]
        human = human or any(c.lower_ in FIRST for c in listed)
        for each in (token, *listed):
            if any(c.tag_ == "POS" for c in each.children):
                continue  # "Tom's and Ana's son"
            if each.pos_ in ("NOUN", "PROPN", "PRON", "ADJ", "X"):
                ref = self.person(each, sure=human)
                if ref is None:
                    return []
                if ref not in found:
                    found.append(ref)
        return found

    def person(self, token: Token, *, sure: bool = False) -> Ref | None:
        """Whom a noun or pronoun means; `sure`: it can only be a person."""
        word = token.lower_
        if word in FIRST:
            return self.me
        if word in SECOND:
            return self.you
        if word in _SHE or word in _HE:
            return self._pronoun(token, "f" if word in _SHE else "m")
        relative = self.relative(token)
        if relative is not None:
            return relative.ref
        place = token.ent_type_ in _NO_PERSONS and not (
            sure and token.ent_type_ in ("GPE", "LOC", "FAC", "EVENT") and word not in COUNTRIES
        )
        if is_name(token) and not place and not _owned_thing(token):
            return self._named(token)
        return self._plain_name(token)

    def owner(self, token: Token) -> Ref | None:
        """Whose something is: of "my", "Tom's", "her"."""
        poss = next((c for c in token.children if c.dep_ == "poss"), None)
        if poss is None:
            return None
        word = poss.lower_
        if word in MINE:
            return self.me
        if word in YOURS:
            return self.you
        if word == "her" or word == "his":
            return self._pronoun(poss, "f" if word == "her" else "m")
        return self.person(poss) if poss.pos_ in ("PROPN", "NOUN") else None

    def relative(self, token: Token) -> Relative | None:
        """Read from its noun ("sister") or from the name beside it ("my sister Eva")."""
        noun = token
        if token.dep_ in ("appos", "npadvmod") and token.head.lower_ in RELATIONS:
            noun = token.head
        elif token.dep_ in ("nsubj", "nsubjpass", "dobj", "pobj") and is_name(token):
            # "my sister Eva" with the name as head
            noun = next(
                (
                    c
                    for c in token.lefts
                    if c.lower_ in RELATIONS and c.dep_ in ("compound", "nmod", "nsubj")
                ),
                token,
            )
        known = next((r for r in self.relatives if r.token.i == noun.i), None)
        if known is not None:
            return known
        word, start = _relation(noun)
        if word is None:
            return None
        owner = self.owner(noun) or (self.owner(token) if token is not noun else None)
        if owner is None:
            return None
        modifiers = {c.lower_ for c in noun.children if c.dep_ in ("amod", "compound", "nmod")}
        doc = noun.doc
        if start > 1 and doc[start - 1].text == "-" and doc[start - 2].lower_ == "ex":
            modifiers.add("ex")
        if start > 0 and doc[start - 1].lower_ in ("ex", "ex-"):
            modifiers.add("ex")
        name = self._name_beside(noun, token)
        gender = "f" if word in FEMALE else "m" if word in MALE else ""
        former = bool(modifiers & FORMER) or word.startswith("ex") or noun.lower_.startswith("ex")
        if RELATIONS[word] == "partner_of":
            played = any(
                c.dep_ == "prep" and any(t.lower_ in FICTION for t in c.subtree)
                for c in noun.children
            )
            if played or modifiers & _NO_PARTNERS:
                return None
            former = former or bool(modifiers & {"first", "second"})
        # One of several: "my other sister" is not she who was "my sister" before.
        one = "".join(f"{c.lower_} " for c in noun.children if c.lower_ in _ONE_OF and c.i < noun.i)
        ref = Ref(name=name or f"{owner.name}'s {one}{word}", type="person")
        if former and not name:
            ref = Ref(name=f"{owner.name}'s former {word}", type="person")
        found = Relative(owner, RELATIONS[word], word, ref, name is not None, former, noun)
        self.relatives.append(found)
        self._see(ref, gender, noun.i)
        return found

    def _name_beside(self, noun: Token, token: Token) -> str | None:
        """The name that goes with a noun of kinship: "my sister Eva", "my sister, Eva,"."""
        beside = None
        if token is not noun and is_name(token):
            beside = token
        if beside is None:
            beside = next(
                (
                    c
                    for c in noun.children
                    if c.dep_ == "appos"
                    and is_name(c)
                    and c.i > noun.i
                    # "my girlfriend, Toby and I" are three
                    and not any(below.dep_ == "conj" for below in c.children)
                ),
                None,
            )
        following = noun.nbor(1) if noun.i + 1 < len(noun.doc) else None
        if (
            beside is None
            and following is not None
            and following.shape_[:1] == "X"
            and not following.is_sent_start
            and following.text.isalpha()
            and (following.ent_type_ not in _NO_PERSONS or following.lower_ in _MONTH_NAMES)
        ):
            return self._keep_name(following)
        if beside is None:
            called = next((c for c in noun.children if c.dep_ == "acl"), None)
            if called is not None and called.lower_ in ("called", "named"):
                beside = next(
                    (c for c in called.children if c.dep_ in ("oprd", "dobj", "attr")), None
                )
        if beside is None:
            return None
        return self._keep_name(beside)

    def _keep_name(self, token: Token) -> str:
        span = name_span(token)
        words = [t for t in span if t.lower_ not in RELATIONS and t.text != "'s"]
        if not words:
            return span.text
        span = (
            token.doc[words[0].i : words[-1].i + 1]
            if token in words
            else token.doc[token.i : token.i + 1]
        )
        ref = Ref(name=span.text, type="person")
        self.places[span.start_char] = (ref, span.start_char, span.end_char)
        return span.text

    def _named(self, token: Token) -> Ref:
        span = name_span(token)
        ref = Ref(name=self.known.get(span.text.lower(), span.text), type="person")
        self.places[span.start_char] = (ref, span.start_char, span.end_char)
        self._see(ref, "", token.i)
        return ref

    def _plain_name(self, token: Token) -> Ref | None:
        """A speaker's name in lower case, or a name that the parser took for another word."""
        known = self.known.get(token.lower_)
        if known is not None:
            ref = Ref(name=known, type="person")
            self._see(ref, "", token.i)
            return ref
        alone = not any(c.dep_ in ("det", "poss", "amod", "nummod") for c in token.children)
        if (
            token.shape_[:1] == "X"
            and token.pos_ in ("NOUN", "ADJ")
            and alone
            and (token.tag_ in ("NN", "JJ") and token.ent_type_ in ("", "PERSON", "ORG", "NORP"))
        ):
            return self._named(token) if not token.is_stop and token.is_alpha else None
        return None

    def _see(self, ref: Ref, gender: str, place: int) -> None:
        if ref != self.me and ref != self.you:
            self._seen.append((ref, gender, place))

    def _pronoun(self, token: Token, gender: str) -> Ref | None:
        sentences = (token.sent.start, token.i)
        before = [s for s in self._seen if s[2] < token.i and (s[1] in ("", gender))]
        recent = [s for s in before if s[2] >= sentences[0]] or before
        refs = {s[0] for s in recent}
        if len(refs) == 1:
            return recent[-1][0]
        sure = {s[0] for s in recent if s[1] == gender}
        return sure.pop() if len(sure) == 1 else None


def may_be_kin(word: str) -> bool:
    """Whether it is worth asking whose relative a word is."""
    return word in RELATIONS or word == "law" or word.startswith("ex")


def _relation(noun: Token) -> tuple[str | None, int]:
    """The noun of kinship and where it begins: "brother-in-law", "ex-husband" are one."""
    doc, word = noun.doc, noun.lower_
    if word in RELATIONS and noun.i + 4 < len(doc):
        tail = doc[noun.i + 1 : noun.i + 5].text.lower()
        if tail.startswith("-in-law") and f"{word}-in-law" in RELATIONS:
            return f"{word}-in-law", noun.i
    if word == "law" and noun.i >= 4:
        head = doc[noun.i - 4 : noun.i + 1].text.lower()
        return (head, noun.i - 4) if head in RELATIONS else (None, noun.i)
    if word.startswith("ex-") and word[3:] in RELATIONS:
        return word[3:], noun.i
    if word in ("ex", "exhusband", "exwife"):
        return ("partner", noun.i) if word == "ex" else (word[2:], noun.i)
    return (word if word in RELATIONS else None), noun.i


def _owned_thing(token: Token) -> bool:
    """ "my Toyota" is no person."""
    return any(c.dep_ == "poss" and c.lower_ in MINE | YOURS for c in token.children) and not any(
        c.lower_ in RELATIONS for c in token.children
    )
