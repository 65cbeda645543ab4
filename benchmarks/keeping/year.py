"""A simulated year: people who say what is so again and again, correct it, and tell what happened.

Everything follows from a seed. Of each turn the truth is known apart from its text: which fact it
states, if it states one, and until when that held. Knows nothing of how the service consolidates.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from memos.types import NewMemory, Provenance

BEGIN = datetime(2024, 1, 1, 8, tzinfo=timezone.utc)
DAYS = 365
_SAID_AGAIN, _CORRECTED = 0.70, 0.02
_PER_PERSON = 2500

FIRST = [
    "Ana",
    "Bruno",
    "Carla",
    "Diego",
    "Elena",
    "Fabio",
    "Greta",
    "Hugo",
    "Irene",
    "Jonas",
    "Katia",
    "Luca",
    "Mira",
    "Nico",
    "Olga",
    "Paulo",
    "Quinn",
    "Rosa",
    "Sergio",
    "Tania",
    "Ugo",
    "Vera",
    "Walter",
    "Xenia",
    "Yara",
    "Zeno",
    "Adele",
    "Boris",
    "Celia",
    "Dario",
]
LAST = ["Prado", "Lima", "Costa", "Novak", "Berg", "Rossi", "Weber", "Moreau", "Silva", "Kowal"]
CITIES = [
    "Lisbon",
    "Porto",
    "Braga",
    "Madrid",
    "Seville",
    "Paris",
    "Lyon",
    "Rome",
    "Turin",
    "Berlin",
    "Munich",
    "Vienna",
    "Prague",
    "Warsaw",
    "Oslo",
    "Bergen",
    "Dublin",
    "Athens",
    "Zagreb",
    "Budapest",
]
FIRMS = [
    "Metro",
    "Acme",
    "Globex",
    "Initech",
    "Umbrella",
    "Soylent",
    "Hooli",
    "Vandelay",
    "Wonka",
    "Stark",
    "Cyberdyne",
    "Tyrell",
    "Oscorp",
    "Aperture",
    "Monarch",
    "Nakatomi",
]
COLOURS = ["green", "blue", "red", "purple", "orange", "yellow", "black", "white", "brown", "pink"]
TRADES = [
    "nurse",
    "teacher",
    "baker",
    "lawyer",
    "plumber",
    "carpenter",
    "chemist",
    "pilot",
    "editor",
    "farmer",
]
THINGS = [
    "green tea",
    "black coffee",
    "old maps",
    "jazz",
    "chess",
    "long walks",
    "rye bread",
    "crossword puzzles",
    "opera",
    "lemon cake",
    "stamps",
    "swimming",
    "detective novels",
    "blue cheese",
    "roses",
    "sailing",
]
VERBS = [
    "bought",
    "repaired",
    "sold",
    "borrowed",
    "painted",
    "found",
    "lost",
    "ordered",
    "returned",
    "wrapped",
]
OBJECTS = [
    "lamp",
    "kettle",
    "bicycle",
    "ladder",
    "mirror",
    "carpet",
    "toaster",
    "blanket",
    "suitcase",
    "clock",
    "vase",
    "drill",
    "chair",
    "curtain",
    "saddle",
    "telescope",
]
FEELINGS = ["cheaper", "heavier", "lighter", "smaller", "larger", "brighter", "older", "newer"]

SAID = {
    "lives_in": ("I live in {0}.", "I'm living in {0} these days.", "I live in {0} now."),
    "works_at": ("I work at {0}.", "I'm working at {0}.", "I work for {0}."),
    "favourite_colour": ("My favourite colour is {0}.", "{0} is my favourite colour."),
    "job_title": ("I'm a {0}.", "I work as a {0}."),
    "phone_number": ("My phone number is {0}.", "My phone number is still {0}."),
    "likes": ("I like {0}.", "I love {0}.", "I'm a fan of {0}."),
}
CORRECTED = {
    "lives_in": ("I moved to {0}.", "I've just moved to {0}."),
    "works_at": ("I started a new job at {0}.",),
    "favourite_colour": ("My favourite colour is {0} now.",),
    "job_title": ("I'm a {0} now.",),
    "phone_number": ("My new phone number is {0}.",),
}
ASKED = {
    "lives_in": ("Where does {0} live?", "Which city is {0} living in these days?"),
    "works_at": ("Where does {0} work?", "Which company does {0} work for now?"),
    "favourite_colour": (
        "What is the favourite colour of {0}?",
        "Which colour does {0} like best?",
    ),
    "job_title": ("What does {0} work as?", "What is the job of {0}?"),
    "phone_number": (
        "What is the phone number of {0}?",
        "Under which number can I call {0}?",
    ),
}
BEFORE = ("", "", "", "By the way, ", "As I said, ", "Well, ", "Oh, ", "Just so you know, ")

Fact = tuple[str, str, str]
"""Person, predicate, value."""


@dataclass(slots=True)
class Truth:
    """Of each turn by its number the fact that it states, None for what happened once; which turns
    were corrections, and so events of their own; and what each person's facts are at the end."""

    states: list[Fact | None] = field(default_factory=list)
    corrections: set[int] = field(default_factory=set)
    now: dict[tuple[str, str], str] = field(default_factory=dict)
    former: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class Year:
    """`size` turns; `truth` is complete once `turns` has been read to its end."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._chance = random.Random(seed)
        count = max(4, size // _PER_PERSON)
        names = [f"{first} {last}" for last in LAST for first in FIRST]
        self.people = names[:count]
        self.truth = Truth()
        self._likes = {name: self._chance.sample(THINGS, 6) for name in self.people}
        for name in self.people:
            for predicate in CORRECTED:
                self.truth.now[name, predicate] = self._value(predicate)

    def turns(self) -> Iterator[NewMemory]:
        """In order of time. A turn's `external_id` is its number."""
        for number in range(self.size):
            at = BEGIN + timedelta(seconds=number * DAYS * 86_400 / self.size)
            name = self._chance.choice(self.people)
            text, fact = self._said(name, number)
            self.truth.states.append(fact)
            yield NewMemory(
                content=text,
                speaker=name,
                user_id=name.replace(" ", "-").lower(),
                session_id=f"{name.split()[0].lower()}-{at.date().isoformat()}",
                occurred_at=at,
                provenance=Provenance(source="year", external_id=str(number)),
            )

    def _said(self, name: str, number: int) -> tuple[str, Fact | None]:
        draw = self._chance.random()
        if draw < _SAID_AGAIN:
            predicate = self._chance.choice([*SAID, "likes", "likes"])
            value = (
                self._chance.choice(self._likes[name])
                if predicate == "likes"
                else self.truth.now[name, predicate]
            )
            form = self._chance.choice(SAID[predicate])
            return self._varied(form, value), (name, predicate, value)
        if draw < _SAID_AGAIN + _CORRECTED:
            self.truth.corrections.add(number)
            return self._corrected(name)
        return self._happened(number), None

    def _corrected(self, name: str) -> tuple[str, Fact]:
        predicate = self._chance.choice(list(CORRECTED))
        old = self.truth.now[name, predicate]
        value = old
        while value == old:
            value = self._value(predicate)
        self.truth.now[name, predicate] = value
        self.truth.former.setdefault((name, predicate), set()).add(old)
        form = self._chance.choice(CORRECTED[predicate])
        return form.format(value), (name, predicate, value)

    def _varied(self, form: str, value: str) -> str:
        text = form.format(value)
        text = text[0].upper() + text[1:]
        before = self._chance.choice(BEFORE)
        if before:
            text = before + (text if text.startswith("I") else text[0].lower() + text[1:])
        if self._chance.random() < 0.15:
            text = text.rstrip(".") + "!"
        return text

    def _happened(self, number: int) -> str:
        chance = self._chance
        verb, thing, other = chance.choice(VERBS), chance.choice(OBJECTS), chance.choice(OBJECTS)
        place, price = chance.choice(CITIES), 3 + number % 9973
        return (
            f"Yesterday I {verb} a {thing} in {place} for {price} euros; it is "
            f"{chance.choice(FEELINGS)} than the {other} from {chance.choice(FIRST)}."
        )

    def _value(self, predicate: str) -> str:
        if predicate == "phone_number":
            return f"555 {self._chance.randrange(1000, 10_000)}"
        words = {
            "lives_in": CITIES,
            "works_at": FIRMS,
            "favourite_colour": COLOURS,
            "job_title": TRADES,
        }[predicate]
        return self._chance.choice(words)
