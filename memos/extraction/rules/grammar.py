"""Clauses of a parsed text: who does what, whether it is said to be so, and when.

From spaCy's dependencies (ClearNLP labels) to what rules ask of a clause. Knows no predicates and
nothing of who "I" is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.lexicon import words
from memos.extraction.rules.moods import (
    asks,
    mood_beside,
    mood_under,
    negation,
    own_mood,
    unstated,
)

if TYPE_CHECKING:
    from spacy.tokens import Span, Token

    from memos.extraction.rules.language import Language

_SUBJECTS = frozenset({"nsubj", "nsubjpass", "csubj", "expl"})
_BE = words("am is are was were be been being 'm 's 're m")


def clauses(span: Span, language: Language) -> list[Clause]:
    """The clauses of a sentence, in the order of their verbs."""
    found: dict[int, Clause] = {}
    asked = asks(span)
    verbs = [token for token in span if _is_predicate(token)]
    for token in sorted(verbs, key=_depth):  # what governs comes before what it governs
        found[token.i] = _clause(token, found, language, asked=asked)
    return [found[i] for i in sorted(found)]


def _depth(token: Token) -> tuple[int, int]:
    return sum(1 for _ in token.ancestors), token.i


def _is_predicate(token: Token) -> bool:
    if token.dep_ in ("aux", "auxpass", "amod", "compound", "nmod"):
        return False
    return token.tag_.startswith("VB") or token.pos_ == "AUX"


def _clause(verb: Token, before: dict[int, Clause], language: Language, *, asked: bool) -> Clause:
    children = tuple(verb.children)
    lemma = language.lemma(verb)
    head = verb.head if verb.head.i != verb.i else None
    # Of several, which only a misreading gives, the nearest.
    subject = next((c for c in reversed(children) if c.dep_ in _SUBJECTS), None) or _stray(verb)
    auxiliaries = [c for c in children if c.dep_ in ("aux", "auxpass")]
    words = frozenset(
        c.lower_ for c in children if c.dep_ in ("advmod", "prt", "neg", "npadvmod", "intj")
    )
    passive = any(c.dep_ in ("auxpass", "nsubjpass") for c in children)
    mood, tense = own_mood(verb, auxiliaries)
    negated, ended = negation(verb, children)
    phase = Phase.WHOLE
    past = verb.tag_ in ("VBD", "VBN") or (verb.tag_ == "VB" and lemma != verb.lower_)
    elliptic = subject is None and past and _left_out(verb)
    governor = None
    if head is not None and verb.dep_ != "ROOT" and not elliptic:
        governor = before.get(head.i) or _clause_of(head, before)
    if verb.dep_ == "conj" and governor is not None:
        if subject is None:
            subject, elliptic, passive = (
                governor.subject,
                governor.elliptic,
                passive or (governor.passive and verb.tag_ == "VBN"),
            )
            if not auxiliaries:
                if verb.tag_ in ("VB", "VBG", "VBN"):
                    mood, tense, phase = governor.mood, governor.tense, governor.phase
                    negated = negated or governor.negated
                elif governor.mood is Mood.OPEN:
                    mood = Mood.OPEN
        elif governor.mood is Mood.OPEN and governor.verb.dep_ == "ccomp":
            mood = Mood.OPEN
    elif governor is not None:
        if verb.dep_ in ("xcomp", "pcomp") or (verb.dep_ == "advcl" and subject is None):
            mood, phase = mood_under(verb, governor, subject, mood)
            if subject is None:
                subject, elliptic = governor.subject, governor.elliptic
                if verb.dep_ == "xcomp" and governor.object is not None:
                    mood = Mood.OPEN  # "asked me to move", "saw him moving"
            tense = governor.tense if verb.tag_ in ("VB", "VBG") else tense
            negated = negated != (governor.negated and phase is not Phase.FORMER)
            ended = ended or (governor.ended and negated)
            if governor.negated and phase in (Phase.BEGIN, Phase.END):
                mood = Mood.OPEN  # "I haven't stopped running"
        elif verb.dep_ in ("ccomp", "acl", "relcl", "advcl", "parataxis"):
            mood = mood_beside(verb, governor, mood)
    if asked or unstated(verb, children, subject, auxiliaries):
        mood = Mood.OPEN
    if elliptic and governor is None:
        tense = Tense.PAST
    elif subject is None and verb.dep_ == "ROOT":
        mood = Mood.OPEN
    return Clause(
        verb=verb,
        lemma=lemma,
        subject=subject,
        mood=mood,
        tense=tense,
        phase=phase,
        negated=negated,
        ended=ended,
        passive=passive,
        progressive=verb.tag_ == "VBG" and any(c.lower_ in _BE for c in auxiliaries),
        elliptic=elliptic,
        children=children,
        words=words,
    )


def _stray(verb: Token) -> Token | None:
    """A subject that the parser has hung on the verb before: "I live here and my friend lives
    there", where the friend is listed with living."""
    if verb.tag_ not in ("VBZ", "VBD", "VBP") or verb.i == verb.sent.start:
        return None
    noun = verb.nbor(-1)
    if noun.dep_ == "appos":
        noun = noun.head
    listed = noun.dep_ == "conj" and noun.head.pos_ in ("VERB", "AUX")
    return noun if listed and noun.pos_ in ("NOUN", "PROPN") else None


def _clause_of(token: Token, before: dict[int, Clause]) -> Clause | None:
    """The clause that a token stands in, among those known."""
    for _ in range(50):
        if token.i in before:
            return before[token.i]
        if token.head.i == token.i:
            return None
        token = token.head
    return None


def _left_out(verb: Token) -> bool:
    """Whether "I" is left out at the start: "Moved to Leipzig!", "Lost my job, so I'm …"; but not
    in "Moved by this, I left"."""
    beside = verb.dep_ in ("ccomp", "advcl", "parataxis") and any(
        c.dep_ == "dobj" for c in verb.children
    )
    return (verb.dep_ == "ROOT" or beside) and _opens(verb)


def _opens(verb: Token) -> bool:
    """Whether nothing but adverbs and interjections comes before it in its sentence."""
    return all(
        t.pos_ in ("ADV", "INTJ", "PUNCT", "CCONJ", "AUX", "SPACE", "X", "SYM")
        for t in verb.doc[verb.sent.start : verb.i]
    )
