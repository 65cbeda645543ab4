"""Facts about people who do not exist, and questions about them in words of their own.

Names are put together from syllables, so that no model has read of them; what is said of them is
ordinary. The same seed gives the same people. The questions here are in no training set: they are
worded by themselves, apart from those that the product's own templates have.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_FIRST = "Tav Oril Bren Kess Mira Dovan Ilse Pell Quor Sund Yar Zell Hade Luri Fenn Gorv"
_LAST = "a in o elle ik am us eth ora is ent ul"
_FAMILY = "Osk Varn Thel Brom Quist Hald Merr Pask Drov Lund Sark Wend Jorr Kamm Nevin Tolv"
_ENDING = "eld ik ov ane by sen mark holt ish ram dal wick"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


THINGS: dict[str, tuple[str, ...]] = {
    "lives_in": _words(
        """Porto Oslo Vienna Cairo Lima Dublin Prague Havana Athens Bergen Kyoto Nairobi Quito Riga
        Sofia Tunis Zagreb Geneva Hanoi Jakarta Lisbon Madrid Naples Ottawa Perth"""
    ),
    "job_title": _words(
        """plumber dentist beekeeper lawyer baker surgeon carpenter librarian pilot florist butcher
        translator electrician gardener tailor vet architect jeweller fisherman chemist barber
        geologist optician roofer welder"""
    ),
    "plays": _words(
        """harp cello trumpet banjo oboe flute drums organ accordion clarinet guitar piano tuba
        viola bassoon mandolin saxophone ukulele violin trombone lute recorder bagpipes horn
        xylophone"""
    ),
    "favourite_food": _words(
        """lasagna sushi goulash paella couscous ramen tacos pancakes risotto dumplings curry pizza
        lentils mussels waffles porridge falafel salmon oysters noodles ravioli kebab fondue
        omelette cheesecake"""
    ),
    "collects": _words(
        """stamps coins shells maps clocks postcards fossils keys marbles masks spoons buttons
        dolls kites lamps medals bells feathers puppets teapots umbrellas compasses thimbles
        matchboxes tiles"""
    ),
}
"""Predicate: what it may be of somebody. Some need a plural or an article; the words know."""

ASKED: dict[str, tuple[str, ...]] = {
    "lives_in": (
        "If I wanted to visit {s}, which city would I travel to?",
        "Name the city {s} calls home.",
    ),
    "job_title": ("What occupation has {s} chosen?", "Name the trade of {s}."),
    "plays": (
        "At a concert, which instrument would {s} hold?",
        "Name the musical instrument of {s}.",
    ),
    "favourite_food": (
        "What dish should I cook to please {s}?",
        "Name the food that {s} loves most.",
    ),
    "collects": (
        "What would you find many of in {s}'s cabinet?",
        "Name the objects {s} likes to gather.",
    ),
}
"""Questions of the test, unlike those of the training."""


@dataclass(frozen=True)
class Invented:
    """One fact about somebody who does not exist."""

    subject: str
    predicate: str
    object: str

    @property
    def questions(self) -> tuple[str, ...]:
        return tuple(form.format(s=self.subject) for form in ASKED[self.predicate])


def names(count: int, seed: int) -> list[str]:
    """So many different names."""
    chance = random.Random(f"names {seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        first = chance.choice(_words(_FIRST)) + chance.choice(_words(_LAST))
        family = chance.choice(_words(_FAMILY)) + chance.choice(_words(_ENDING))
        found[f"{first} {family}"] = None
    return list(found)


def facts(count: int, seed: int, *, each: int = 1) -> list[Invented]:
    """So many facts, `each` of one person. What is said is drawn evenly."""
    chance = random.Random(f"facts {seed}")
    predicates = list(THINGS)
    decks: dict[str, list[str]] = {name: [] for name in predicates}
    found: list[Invented] = []
    people = names(-(-count // each), seed)
    for number in range(count):
        predicate = predicates[(number // each + number % each) % len(predicates)]
        if not decks[predicate]:
            decks[predicate] = list(THINGS[predicate])
            chance.shuffle(decks[predicate])
        found.append(Invented(people[number // each], predicate, decks[predicate].pop()))
    return found
