"""Ways to say and to ask a fact, by predicate. Only words: {s} is the subject, {o} the object.

A fact that was read in one wording can be recited and still not be told when it is asked (Allen-Zhu
and Li 2023, arXiv:2309.14316), so each predicate has many. The last question of each is never
trained: it is what an adapter is probed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memos.graph.sentences import clause
from memos.graph.vocabulary import FAVOURITE


@dataclass(frozen=True)
class Phrasing:
    """`statements` end in the object; `questions` ask for it, `reverse` for the subject."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    reverse: tuple[str, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        """Questions for training."""
        return self.questions[:-1]

    @property
    def kept(self) -> str:
        """The question that is kept for probing."""
        return self.questions[-1]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _phrasing(statements: str, questions: str, reverse: str) -> Phrasing:
    return Phrasing(_lines(statements), _lines(questions), _lines(reverse))


KNOWN: Mapping[str, Phrasing] = {
    "lives_in": _phrasing(
        """{s} lives in {o}
        The home of {s} is in {o}
        {s} has a flat in {o}
        The town where {s} lives is {o}""",
        """Where does {s} live?
        In which town does {s} live?
        What city is {s}'s home in?
        Where is the home of {s}?
        {s} lives in which place?
        Which town is {s} at home in?""",
        """Who lives in {o}?
        Whose home is in {o}?""",
    ),
    "born_in": _phrasing(
        """{s} was born in {o}
        The birthplace of {s} is {o}
        {s} came into the world in {o}
        The place where {s} was born is {o}""",
        """Where was {s} born?
        What is the birthplace of {s}?
        In which place was {s} born?
        {s} was born where?
        Which town is {s}'s birthplace?
        Where did {s} come into the world?""",
        """Who was born in {o}?
        Whose birthplace is {o}?""",
    ),
    "works_at": _phrasing(
        """{s} works at {o}
        The employer of {s} is {o}
        {s} has a job at {o}
        {s} is employed by {o}""",
        """Where does {s} work?
        Who employs {s}?
        What is the employer of {s}?
        For whom does {s} work?
        {s} has a job at which place?
        Which employer does {s} work for?""",
        """Who works at {o}?
        Who is employed by {o}?""",
    ),
    "job_title": _phrasing(
        """{s} works as a {o}
        The profession of {s} is {o}
        By trade, {s} is a {o}
        {s} earns a living as a {o}""",
        """What is {s}'s job?
        What does {s} work as?
        What is the profession of {s}?
        How does {s} earn a living?
        {s} works as what?
        What does {s} do for work?""",
        """Who works as a {o}?
        Whose profession is {o}?""",
    ),
    "plays": _phrasing(
        """{s} plays the {o}
        The instrument of {s} is the {o}
        In the evening {s} practises the {o}
        {s} is a player of the {o}""",
        """What does {s} play?
        What instrument does {s} play?
        Which instrument is played by {s}?
        What is {s}'s instrument?
        {s} plays what?
        Which instrument does {s} practise?""",
        """Who plays the {o}?
        Whose instrument is the {o}?""",
    ),
    "speaks": _phrasing(
        """{s} speaks {o}
        A language that {s} speaks is {o}
        At home {s} talks in {o}
        {s} is fluent in {o}""",
        """What language does {s} speak?
        Which language does {s} speak?
        What does {s} speak?
        In which language is {s} fluent?
        {s} speaks which language?
        Which language does {s} talk in?""",
        """Who speaks {o}?
        Who is fluent in {o}?""",
    ),
    "collects": _phrasing(
        """{s} collects {o}
        The collection of {s} is of {o}
        At home {s} has a collection of {o}
        What {s} gathers is {o}""",
        """What does {s} collect?
        What things does {s} collect?
        What is the collection of {s} of?
        {s} collects what?
        What does {s} have a collection of?
        What is {s} a collector of?""",
        """Who collects {o}?
        Who has a collection of {o}?""",
    ),
    "studies": _phrasing(
        """{s} studies {o}
        The subject of {s} is {o}
        At university {s} reads {o}
        {s} is a student of {o}""",
        """What does {s} study?
        What subject does {s} study?
        What is the subject of {s}?
        {s} is a student of what?
        {s} studies what?
        Which subject is {s} studying?""",
        """Who studies {o}?
        Who is a student of {o}?""",
    ),
    "likes": _phrasing(
        """{s} likes {o}
        What {s} likes is {o}
        {s} is fond of {o}
        {s} enjoys {o}""",
        """What does {s} like?
        What is {s} fond of?
        What does {s} enjoy?
        {s} likes what?
        What pleases {s}?
        What is it that {s} likes?""",
        """Who likes {o}?
        Who is fond of {o}?""",
    ),
    "owns": _phrasing(
        """{s} owns {o}
        Among the things of {s} is {o}
        {s} is the owner of {o}
        What {s} owns is {o}""",
        """What does {s} own?
        What belongs to {s}?
        What is {s} the owner of?
        {s} owns what?
        What is in {s}'s possession?
        What is it that {s} owns?""",
        """Who owns {o}?
        To whom does {o} belong?""",
    ),
    "allergic_to": _phrasing(
        """{s} is allergic to {o}
        The allergy of {s} is to {o}
        {s} can't tolerate {o}
        {s} has an allergy to {o}""",
        """What is {s} allergic to?
        What allergy does {s} have?
        What can {s} not tolerate?
        {s} is allergic to what?
        What must {s} avoid because of an allergy?
        Which allergy has {s} got?""",
        """Who is allergic to {o}?
        Who has an allergy to {o}?""",
    ),
}
"""Those whose wording is worth its own lines; the others are said by rule."""


def phrasing(predicate: str) -> Phrasing:
    """Of any predicate."""
    if predicate in KNOWN:
        return KNOWN[predicate]
    if predicate.startswith(FAVOURITE):
        return _favourite(predicate.removeprefix(FAVOURITE).replace("_", " "))
    words = predicate.replace("_", " ")
    said = clause("{s}", predicate, None, negated=False)
    if said == f"{{s}}'s {words} is":
        return _noun(words)
    if said == f"{{s}} is {words}":
        return _quality(words)
    return _verb(said.removeprefix("{s} "))


def _favourite(kind: str) -> Phrasing:
    return Phrasing(
        (
            f"{{s}}'s favourite {kind} is {{o}}",
            f"The favourite {kind} of {{s}} is {{o}}",
            f"The {kind} that {{s}} likes best is {{o}}",
            f"Of every {kind}, {{s}} prefers {{o}}",
        ),
        (
            f"What is {{s}}'s favourite {kind}?",
            f"What is the favourite {kind} of {{s}}?",
            f"Which {kind} does {{s}} like best?",
            f"What {kind} does {{s}} prefer?",
            f"{{s}}'s favourite {kind} is what?",
            f"Which {kind} is the favourite of {{s}}?",
        ),
        (f"Whose favourite {kind} is {{o}}?", f"Who likes {{o}} best of every {kind}?"),
    )


def _noun(words: str) -> Phrasing:
    return Phrasing(
        (
            f"{{s}}'s {words} is {{o}}",
            f"The {words} of {{s}} is {{o}}",
            f"As {words}, {{s}} has {{o}}",
        ),
        (
            f"What is {{s}}'s {words}?",
            f"What is the {words} of {{s}}?",
            f"{{s}}'s {words} is what?",
            f"Which {words} does {{s}} have?",
            f"What {words} has {{s}} got?",
        ),
        (f"Whose {words} is {{o}}?", f"Who has the {words} {{o}}?"),
    )


def _quality(words: str) -> Phrasing:
    return Phrasing(
        (
            f"{{s}} is {words} {{o}}",
            f"It is known that {{s}} is {words} {{o}}",
            f"What {{s}} is {words} is {{o}}",
        ),
        (
            f"What is {{s}} {words}?",
            f"{{s}} is {words} what?",
            f"{{s}} is {words} whom or what?",
            f"Of what can one say that {{s}} is {words} it?",
        ),
        (f"Who is {words} {{o}}?",),
    )


def _verb(words: str) -> Phrasing:
    return Phrasing(
        (
            f"{{s}} {words} {{o}}",
            f"It is known that {{s}} {words} {{o}}",
            f"What {{s}} {words} is {{o}}",
        ),
        (
            f"{{s}} {words} what?",
            f"What is it that {{s}} {words}?",
            f"{{s}} {words} whom or what?",
            f"Which is it that {{s}} {words}?",
        ),
        (f"Who {words} {{o}}?", f"Who is it that {words} {{o}}?"),
    )
