"""Clauses of a parsed text: who does what, whether it is said to be so, and when.

From spaCy's dependencies (ClearNLP labels) to what rules ask of a clause. A clause that asks,
wishes, supposes, orders, quotes or looks ahead is told from one that states. Knows no predicates
and nothing of who "I" is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from memos.extraction.rules.lexicon import FICTION, words

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span, Token

    from memos.extraction.rules.language import Language
    from memos.extraction.times import TimeMention


class Mood(Enum):
    """What a clause does with its content."""

    FACT = "fact"
    REPORT = "report"  # somebody else is said to say so, or the speaker believes it
    ABILITY = "ability"
    PLAN = "plan"
    WISH = "wish"
    OPEN = "open"  # asked, supposed, ordered, quoted: nothing is stated


class Tense(Enum):
    PRESENT = "present"
    PAST = "past"
    PERFECT = "perfect"


class Phase(Enum):
    """Where in the course of a doing the clause stands: "I started to run", "I stopped running"."""

    WHOLE = "whole"
    BEGIN = "begin"
    END = "end"
    FORMER = "former"  # used to


_BEGIN = frozenset({"start", "begin", "take"})
_END = frozenset({"stop", "quit", "cease", "give"})
_PLAIN = frozenset({"keep", "continue", "get", "help", "manage", "come", "be", "have", "finish"})
_WISH = words(
    """want wanna hope wish love like prefer dream need long aim aspire yearn desire try attempt"""
)
_PLAN = words("plan intend decide go gon arrange prepare promise agree consider think")
_KNOW = words(
    """know realise realize remember remind hear learn find notice see tell mention say announce
    confirm explain share admit post text write mean guess think believe suppose forget reckon
    correct add happen note"""
)
_SUPPOSE = words(
    """imagine dream pretend wonder doubt wish hope assume expect fear worry suggest recommend
    insist demand ask joke consider refuse avoid miss offer invite encourage urge force allow
    let hate fail threaten deny"""
)
_MODAL_OPEN = words("would 'd could might may should shall must ought")
_MODAL_PLAN = words("will 'll wo")
_UNSURE = words(
    """maybe perhaps possibly probably supposedly allegedly almost nearly hopefully practically
    basically apparently"""
)
_SUPPOSING = words("imagine suppose supposing pretend picture assuming")
_IF = words("if unless whether though lest until till")
_SUBJECTS = frozenset({"nsubj", "nsubjpass", "csubj", "expl"})
_QUOTES = frozenset('"“”„«»')


@dataclass(slots=True)
class Clause:
    """A verb with what hangs on it. `mood`, `negated` and the rest hold for the whole clause."""

    verb: Token
    lemma: str
    subject: Token | None
    mood: Mood
    tense: Tense
    phase: Phase
    negated: bool
    ended: bool
    """It says that this was so before: "no longer", "anymore"."""
    passive: bool
    progressive: bool
    elliptic: bool
    """The subject is left out; by usage it is the speaker."""
    children: tuple[Token, ...]
    words: frozenset[str]
    """Lower-case adverbs, particles and the like on the verb and its auxiliaries."""
    times: list[TimeMention] = field(default_factory=list)

    def first(self, *labels: str) -> Token | None:
        return next((child for child in self.children if child.dep_ in labels), None)

    def after(self, *prepositions: str) -> Token | None:
        """The object of one of these prepositions on the verb."""
        return next(iter(self.all_after(*prepositions)), None)

    def all_after(self, *prepositions: str) -> Iterator[Token]:
        for child in self.children:
            if child.dep_ in ("prep", "dative", "agent", "prt") and child.lower_ in prepositions:
                yield from (c for c in child.children if c.dep_ in ("pobj", "pcomp"))

    @property
    def object(self) -> Token | None:
        return self.first("dobj")

    @property
    def states(self) -> bool:
        return self.mood in (Mood.FACT, Mood.REPORT)


def clauses(span: Span, language: Language) -> list[Clause]:
    """The clauses of a sentence, in the order of their verbs."""
    found: dict[int, Clause] = {}
    asked = _asks(span)
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


def _asks(span: Span) -> bool:
    last = next((t for t in reversed(span) if t.text.strip() and t.text not in _QUOTES), None)
    return last is not None and "?" in last.text


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
    mood, tense = _own(verb, auxiliaries)
    negated, ended = _negation(verb, children)
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
            mood, phase = _under(verb, governor, subject, mood)
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
            mood = _beside(verb, governor, mood)
    if any(c.lower_ in _IF and c.dep_ in ("mark", "advmod") for c in children):
        mood = Mood.OPEN
    if any(c.lower_ == "like" and c.dep_ in ("mark", "prep") and c.i < verb.i for c in children):
        mood = Mood.OPEN  # "it feels like I live in Rome"
    if _told(verb):
        mood = Mood.OPEN
    if any(c.lower_ in _UNSURE for c in (*children, *_start(verb))) or any(
        c.lower_ in _SUPPOSING for c in _start(verb)
    ):
        mood = Mood.OPEN
    if asked or _inverted(subject, auxiliaries, verb) or _quoted(verb):
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


_BE = words("am is are was were be been being 'm 's 're m")


def _clause_of(token: Token, before: dict[int, Clause]) -> Clause | None:
    """The clause that a token stands in, among those known."""
    for _ in range(50):
        if token.i in before:
            return before[token.i]
        if token.head.i == token.i:
            return None
        token = token.head
    return None


def _own(verb: Token, auxiliaries: list[Token]) -> tuple[Mood, Tense]:
    """What the verb's own form says."""
    mood, tense = Mood.FACT, Tense.PRESENT
    forms = {c.lower_ for c in auxiliaries}
    if verb.tag_ == "VBD":
        tense = Tense.PAST
    modals = {c.lower_ for c in auxiliaries if c.tag_ == "MD"}
    if modals & _MODAL_OPEN:
        mood = Mood.WISH if modals & {"would", "'d"} else Mood.OPEN
    elif modals & _MODAL_PLAN:
        mood = Mood.PLAN
    elif modals:
        mood = Mood.ABILITY if modals <= {"can", "ca"} else Mood.OPEN
    if forms & {"have", "has", "'ve", "ve"} or ("'s" in forms and verb.tag_ == "VBN"):
        tense = Tense.PERFECT
    elif forms & {"did", "was", "were", "had", "'d", "got"} and not modals:
        tense = Tense.PAST
    if forms & {"been"} and tense is Tense.PERFECT and verb.tag_ == "VBG":
        tense = Tense.PERFECT
    return mood, tense


def _negation(verb: Token, children: tuple[Token, ...]) -> tuple[bool, bool]:
    negated = any(c.dep_ == "neg" or c.lower_ in ("never", "not", "n't", "nt") for c in children)
    more = False
    for child in children:
        below = {c.lower_ for c in child.children}
        if child.lower_ == "longer" and "no" in below:
            return True, True
        if child.lower_ in ("anymore", "longer", "more") and (
            child.lower_ == "anymore" or "any" in below
        ):
            more = True
    doc = verb.doc
    if negated and not more:
        end = min(len(doc), verb.i + 12)
        text = " ".join(t.lower_ for t in doc[verb.i : end] if t.sent == verb.sent)
        more = any(f" {each}" in f" {text}" for each in ("anymore", "any more", "any longer"))
    return negated, negated and more


def _under(verb: Token, governor: Clause, subject: Token | None, mood: Mood) -> tuple[Mood, Phase]:
    """Mood and phase of a verb that another one governs: "stopped smoking", "want to move"."""
    lemma, outer = governor.lemma, governor.mood
    if mood is not Mood.FACT:
        outer = mood
    if verb.dep_ == "pcomp":
        if lemma == "give" and "up" in governor.words:
            return outer, Phase.END
        past = verb.head.lower_ in ("after", "since", "by", "from")
        return (outer if past else Mood.OPEN), Phase.WHOLE
    if verb.dep_ == "advcl":
        return (outer if verb.tag_ == "VBG" else Mood.OPEN), Phase.WHOLE
    if subject is not None:
        return Mood.OPEN, Phase.WHOLE  # "wants me to move"
    if lemma == "use" and governor.verb.lower_ == "used":
        return outer, Phase.FORMER
    if lemma in _BEGIN and (lemma != "take" or "up" in governor.words):
        return outer, Phase.BEGIN
    if lemma in _END and (lemma != "give" or "up" in governor.words):
        return (outer, Phase.END) if verb.tag_ == "VBG" else (Mood.OPEN, Phase.WHOLE)
    if lemma in ("go", "gon"):
        if verb.tag_ == "VBG":
            return outer, Phase.WHOLE
        return (Mood.PLAN if governor.mood is Mood.FACT else governor.mood), Phase.WHOLE
    if lemma in _PLAN:
        return (Mood.PLAN if governor.mood is Mood.FACT else Mood.OPEN), Phase.WHOLE
    if lemma in _WISH:
        wished = governor.mood is Mood.WISH or (
            governor.mood is Mood.FACT
            and governor.tense is not Tense.PAST
            and lemma not in ("like", "love", "prefer")
        )
        return (Mood.WISH if wished else Mood.OPEN), Phase.WHOLE
    if lemma in _PLAIN and governor.phase is Phase.WHOLE:
        return outer, Phase.WHOLE
    if lemma == "learn":
        return outer, Phase.BEGIN
    if lemma == "mean" and verb.lower_ in ("say", "write"):
        return outer, Phase.WHOLE
    return Mood.OPEN, Phase.WHOLE


def _beside(verb: Token, governor: Clause, mood: Mood) -> Mood:
    """Mood of a clause with a subject of its own beneath another."""
    if mood is not Mood.FACT:
        return mood
    if verb.dep_ in ("ccomp",):
        if not _depends(verb, governor):
            return mood
        if governor.lemma in _SUPPOSE or governor.negated or not governor.states:
            return Mood.OPEN
        if governor.lemma in _KNOW or governor.lemma == "be":
            return Mood.REPORT
        return Mood.OPEN
    if verb.dep_ in ("relcl", "acl"):
        return mood if governor.mood is not Mood.OPEN else Mood.OPEN
    if verb.dep_ == "advcl":
        marks = {c.lower_ for c in verb.children if c.dep_ in ("mark", "advmod")}
        if marks & {"when", "once", "while", "before", "after", "as", "until"}:
            return mood if governor.states and governor.tense is Tense.PAST else Mood.OPEN
        return mood if governor.states else Mood.OPEN
    return mood


def _depends(verb: Token, governor: Clause) -> bool:
    """False where the parser has hung one main clause on the next: "I don't smoke, I vape"."""
    return verb.i > governor.verb.i


def _start(verb: Token) -> Iterator[Token]:
    """Words before the clause that colour all of it: "Maybe I …", "Imagine I …"."""
    doc: Doc = verb.doc
    begin = verb.sent.start
    for i in range(begin, min(begin + 2, verb.i)):
        yield doc[i]


def _told(verb: Token) -> bool:
    """Whether the sentence begins within a story: "In the novel, Anna lives in Moscow"."""
    opening = [t.lower_ for t in verb.doc[verb.sent.start : min(verb.sent.start + 5, verb.i)]]
    return bool(opening) and opening[0] == "in" and any(word in FICTION for word in opening)


def _inverted(subject: Token | None, auxiliaries: list[Token], verb: Token) -> bool:
    if subject is None:
        return False
    leading = [c for c in auxiliaries if c.i < subject.i]
    if leading:
        return True
    return (
        verb.i < subject.i
        and verb.pos_ == "AUX"
        and verb.dep_ == "ROOT"
        and (verb.i == verb.sent.start)
    )


def _quoted(verb: Token) -> bool:
    """Whether the verb stands inside quotation marks that hold a whole clause."""
    before = sum(1 for t in verb.doc[verb.sent.start : verb.i] if t.text in _QUOTES)
    return before % 2 == 1


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
