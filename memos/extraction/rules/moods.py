"""How a clause is meant: stated, reported, planned, wished, or not stated at all.

A clause that asks, wishes, supposes, orders, quotes or looks ahead is told from one that states: by
the form of its own verb, by the verb that governs it, and by the words it begins with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memos.extraction.rules.clause import Clause, Mood, Phase, Tense
from memos.extraction.rules.lexicon import FICTION, words

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span, Token

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
_THINK = words("think believe guess suppose reckon assume say claim insist write")
_WHO_KNOW = words(
    """doctor doctors dr doc dentist gp allergist therapist physician nurse optician specialist vet
    test tests result results scan lab contract passport certificate"""
)
_FALSE = words(
    """myth lie rumour rumor joke misconception misunderstanding hoax legend falsehood fantasy
    theory"""
)
_LIED = words("lied joked pretended lie joke pretend")
_NOT_YET = words(
    """about due supposed ready close likely unlikely unable reluctant willing hesitant tempted
    scheduled"""
)
_MODAL_OPEN = words("would 'd could might may should shall must ought")
_MODAL_PLAN = words("will 'll wo")
_UNSURE = words(
    """maybe perhaps possibly probably supposedly allegedly almost nearly hopefully practically
    basically apparently hardly barely scarcely rarely seldom"""
)
_SUPPOSING = words("imagine suppose supposing pretend picture assuming")
_FIGURES = words("character avatar protagonist persona npc heroine villain")
_IF = words("if unless whether though lest until till")
_QUOTES = frozenset('"“”„«»')


def own_mood(verb: Token, auxiliaries: list[Token]) -> tuple[Mood, Tense]:
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


def negation(verb: Token, children: tuple[Token, ...]) -> tuple[bool, bool]:
    """Whether it is said not to be so; and whether it is said to have been so before."""
    negated = any(c.dep_ == "neg" or c.lower_ in ("never", "not", "n't", "nt") for c in children)
    negated = negated or any(_none(c) for c in children)
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


def _none(part: Token) -> bool:
    """Whether a subject or object is none: "neither Tom nor I", "no meat"."""
    if part.dep_ in ("dobj", "attr"):
        return any(c.lower_ in ("no", "neither") and c.i < part.i for c in part.children)
    if part.dep_ in ("nsubj", "nsubjpass", "acomp"):
        return any(c.lower_ == "neither" for c in part.children)
    if part.dep_ == "prep":
        below = (c for c in part.children if c.dep_ == "pobj")
        return any(each.lower_ == "neither" for c in below for each in c.children)
    return False


def mood_under(
    verb: Token, governor: Clause, subject: Token | None, mood: Mood
) -> tuple[Mood, Phase]:
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
    if verb.head.lower_ in _NOT_YET:
        return Mood.OPEN, Phase.WHOLE  # "was about to move"
    if lemma == "use" and governor.verb.lower_ == "used":
        return outer, Phase.FORMER
    if lemma in _BEGIN and (lemma != "take" or "up" in governor.words):
        return outer, Phase.BEGIN
    if lemma in _END and (lemma != "give" or "up" in governor.words):
        return (outer, Phase.END) if verb.tag_ == "VBG" else (Mood.OPEN, Phase.WHOLE)
    if lemma in ("go", "gon"):
        if verb.tag_ == "VBG":
            return outer, Phase.WHOLE
        if governor.tense is Tense.PAST:
            return Mood.OPEN, Phase.WHOLE  # "we were going to move": not any more
        return (Mood.PLAN if governor.mood is Mood.FACT else governor.mood), Phase.WHOLE
    if lemma in _PLAN:
        if governor.tense is Tense.PAST and governor.progressive:
            return Mood.OPEN, Phase.WHOLE  # "I was planning to"
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


def mood_beside(verb: Token, governor: Clause, mood: Mood) -> Mood:
    """Mood of a clause with a subject of its own beneath another."""
    if mood is not Mood.FACT:
        return mood
    if verb.dep_ != "advcl" and verb.head.lower_ in _FALSE:
        return Mood.OPEN  # "it's a myth that I …"
    if verb.dep_ in ("ccomp",):
        if not _depends(verb, governor):
            return mood
        if _of_me(verb, governor) or governor.verb.head.lower_ in _LIED:
            return Mood.OPEN
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


def _of_me(verb: Token, governor: Clause) -> bool:
    """Whether others think or say it of the speaker, who would say it for themselves: "people think
    I'm a lawyer", "my CV says I work there"."""
    if governor.lemma not in _THINK or governor.subject is None:
        return False
    about = next((c.lower_ for c in verb.children if c.dep_ in ("nsubj", "nsubjpass")), "")
    teller = governor.subject.lower_
    return about in ("i", "we") and teller not in ("i", "we") and teller not in _WHO_KNOW


def _depends(verb: Token, governor: Clause) -> bool:
    """False where the parser has hung one main clause on the next: "I don't smoke, I vape"."""
    return verb.i > governor.verb.i


def unstated(
    verb: Token, children: tuple[Token, ...], subject: Token | None, auxiliaries: list[Token]
) -> bool:
    """Whether the words around the verb say that nothing is stated: "if", "maybe", "it feels like",
    a story, a question's order of words, quotation marks."""
    start = list(_start(verb))
    return (
        any(c.lower_ in _IF and c.dep_ in ("mark", "advmod") for c in children)
        # "it feels like I live in Rome"
        or any(c.lower_ == "like" and c.dep_ in ("mark", "prep") and c.i < verb.i for c in children)
        or any(c.lower_ in _UNSURE for c in (*children, *start))
        or any(c.lower_ in _SUPPOSING for c in start)
        or _told(verb)
        or any(c.dep_ == "nsubj" and c.lower_ in _FIGURES for c in children)
        or _inverted(subject, auxiliaries, verb)
        or _quoted(verb)
    )


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


def asks(span: Span) -> bool:
    last = next((t for t in reversed(span) if t.text.strip() and t.text not in _QUOTES), None)
    return last is not None and "?" in last.text
