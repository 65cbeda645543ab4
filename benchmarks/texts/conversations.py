"""Conversations made up from word lists and a seed: any number of turns, the same every time.

Two people talk in sessions of about 25 turns, days apart. Words of a kind are drawn by Zipf's law
(frequency ∝ 1 / rank), topics stay within a session, names make a long tail, and a tenth of the
turns are bare reactions, so that term statistics, lengths and repetition are roughly those of chat.
It is load, not language: figures of quality from it would mean nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import accumulate, islice
from pathlib import Path

from memos.types import NewMemory

USERS = 10
"""Conversations belong to so many users in turn: a user's memories are a tenth of all."""

_REACTIONS = (
    "Wow, that sounds {quality}!",
    "Really? Tell me more.",
    "That's {quality}, congrats!",
    "Haha, of course you did.",
    "I'm so sorry to hear that.",
    "Good luck with the {thing}!",
    "No way, me too!",
    "Thanks, that means a lot to me.",
    "Oh, I love that.",
    "Sounds like a plan, see you then!",
    "How was it?",
    "I had no idea.",
    "Take care, talk soon!",
)
_CLAUSES = (
    "I {doing} the {thing} {when}",
    "my {person} {doing} a {quality} {thing} in {place}",
    "we {doing} it with {name} {when}",
    "it was more {quality} than I thought",
    "I never {doing} a {thing} before, so it felt {quality}",
    "{name} says the {thing} at {place} is {quality}",
    "the {thing} cost {number} and it is still {quality}",
    "I've been thinking about the {thing} since my {person} {doing} it",
    "there were {number} people and a {quality} {thing}",
    "I want to try the {thing} once my {person} is back from {place}",
    "at {place} they have a {quality} {thing} and a {thing}",
    "my {person} and I {doing} another {thing} {when}",
    "honestly the {quality} {thing} was the best part",
    "I'm a bit {quality} about the {thing}",
    "I got the {thing} from {brand}",
    "{brand} has a {quality} one, {name} {surname} told me",
    "we met {name} {surname} at {brand} {when}",
)
_SYLLABLES = tuple(
    onset + vowel + coda
    for onset in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "st", "tr")
    for vowel in ("a", "e", "i", "o", "u")
    for coda in ("", "l", "n", "r", "s", "x")
)
_JOINS = (". ", ", and ", ", but ", ". Then ", " because ", ". Also, ", ", so ")
_OPENINGS = ("", "", "", "Hey {other}! ", "You know, ", "So, ", "Oh, ", "Well, {other}, ", "Yeah, ")
_ENDINGS = (
    ".",
    ".",
    ".",
    "!",
    ". How about you?",
    ". What do you think, {other}?",
    ". Any advice?",
)
_QUESTIONS = (
    "What did {speaker} say about the {a} {b}?",
    "When was the {a} {b} mentioned?",
    "Who {c} the {b}?",
    "What happened with the {a} {b} and the {d}?",
    "Why was the {b} {a}?",
    "Which {b} did {speaker}'s family talk about?",
    "Where is the {a} {b} that was {c}?",
    "What was said about the {b} in {month}?",
    "What did {speaker} get from {brand}?",
    "Who was met at {brand}?",
)


def _words() -> dict[str, list[str]]:
    """The lists of words.txt by their headings."""
    found: dict[str, list[str]] = {}
    kind = ""
    for line in (Path(__file__).parents[1] / "data" / "words.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
            found[kind] = []
        elif kind:
            found[kind] += line.split()
    return found


def _made_up(chance: random.Random, count: int) -> list[str]:
    """Names of firms and families: the long tail of words that are said once or twice."""
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = chance.choices(_SYLLABLES, k=chance.choice((2, 2, 3)))
        found["".join(syllables).capitalize()] = None
    return list(found)


class _Zipf:
    """Draws from a list: the n-th has weight 1 / (n + 2)."""

    def __init__(self, words: Sequence[str], chance: random.Random) -> None:
        # The head of each list is made of common words; a shuffle of the tail varies the seed.
        head, tail = list(words[:40]), list(words[40:])
        chance.shuffle(tail)
        self._words = [word.replace("~", " ") for word in head + tail]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(len(self._words))))

    def draw(self, chance: random.Random, count: int = 1) -> list[str]:
        return chance.choices(self._words, cum_weights=self._weights, k=count)


@dataclass(frozen=True, slots=True)
class _Session:
    """Who talks, and the few things that this talk keeps coming back to."""

    speakers: tuple[str, str]
    things: Sequence[str]


class Conversations:
    """Turns and questions of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = random.Random(f"words {seed}")
        words = _words()
        self._names = words["first names"]
        self._words = {
            "thing": _Zipf(words["things"], chance),
            "quality": _Zipf(words["qualities"], chance),
            "doing": _Zipf(words["doings"], chance),
            "person": _Zipf(words["people"], chance),
            "place": _Zipf(words["places"], chance),
            "when": _Zipf(words["times"], chance),
            "brand": _Zipf(_made_up(chance, 6000), chance),
            "surname": _Zipf(_made_up(chance, 3000), chance),
        }

    def turns(self, count: int, *, start: int = 0) -> Iterator[NewMemory]:
        """Turns number `start` to `start + count`, in order. The beginning of the stream is the
        same whatever is asked for."""
        return islice(self._stream(), start, start + count)

    def questions(self, count: int) -> list[str]:
        """Different questions in the words of the turns, some with a speaker or a month."""
        chance = random.Random(f"questions {self._seed}")
        found: dict[str, None] = {}
        while len(found) < count:
            found[self._question(chance)] = None
        return list(found)

    def _question(self, chance: random.Random) -> str:
        thing, other = self._words["thing"].draw(chance, 2)
        year, month = chance.randint(2021, 2024), chance.randint(1, 12)
        return chance.choice(_QUESTIONS).format(
            speaker=chance.choice(self._names),
            a=self._words["quality"].draw(chance)[0],
            b=thing,
            c=self._words["doing"].draw(chance)[0],
            d=other,
            brand=self._words["brand"].draw(chance)[0],
            month=datetime(year, month, 1).strftime("%B %Y"),
        )

    def _stream(self) -> Iterator[NewMemory]:
        chance = random.Random(f"turns {self._seed}")
        conversation = 0
        while True:
            first, second = chance.sample(self._names, 2)
            at = datetime(2021, 1, 4, 9, tzinfo=timezone.utc)
            at += timedelta(days=chance.randint(0, 600))
            for session in range(chance.randint(15, 25)):
                at += timedelta(days=chance.randint(2, 25), minutes=chance.randint(0, 500))
                things = self._words["thing"].draw(chance, 6)
                yield from self._session(
                    chance, _Session((first, second), things), at, conversation, session
                )
            conversation += 1

    def _session(
        self,
        chance: random.Random,
        session: _Session,
        at: datetime,
        conversation: int,
        number: int,
    ) -> Iterator[NewMemory]:
        for turn in range(chance.randint(18, 32)):
            speaker, other = session.speakers[:: 1 if turn % 2 == 0 else -1]
            yield NewMemory(
                content=self._text(chance, session, other),
                user_id=f"user-{conversation % USERS}",
                session_id=f"talk-{conversation}-{number}",
                speaker=speaker,
                occurred_at=at + timedelta(seconds=40 * turn),
                metadata={"topic": session.things[0], "tenth": conversation % USERS},
            )

    def _text(self, chance: random.Random, session: _Session, other: str) -> str:
        if chance.random() < 0.1:
            return self._filled(chance.choice(_REACTIONS), chance, session, other)
        # 1 to 5 clauses; most turns have two or three.
        clauses = min(5, 1 + int(chance.expovariate(0.75)))
        text = chance.choice(_OPENINGS) + chance.choice(_CLAUSES)
        for _ in range(clauses - 1):
            text += chance.choice(_JOINS) + chance.choice(_CLAUSES)
        return self._filled(text + chance.choice(_ENDINGS), chance, session, other)

    def _filled(self, form: str, chance: random.Random, session: _Session, other: str) -> str:
        parts = form.split("{")
        text = [parts[0]]
        for part in parts[1:]:
            slot, rest = part.split("}", 1)
            text += [self._word(slot, chance, session, other), rest]
        sentences = "".join(text).split(". ")
        return ". ".join(each[:1].upper() + each[1:] for each in sentences)

    def _word(self, slot: str, chance: random.Random, session: _Session, other: str) -> str:
        if slot == "other":
            return other
        if slot == "name":
            return chance.choice(self._names)
        if slot == "number":
            return str(chance.randint(2, 400))
        if slot == "thing" and chance.random() < 0.5:
            return chance.choice(session.things)
        return self._words[slot].draw(chance)[0]
