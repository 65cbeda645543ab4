"""The predicates and entity types that are known at the start, with those of a cube beside them.

What matters of a predicate is what time does to it (`PredicateType`). When in doubt a predicate is
multi-valued here: a fact that stays open too long is corrected by the next statement, one that was
closed by something unrelated is lost. Knows nothing of texts, of entities, or of how facts follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from memos.types import EntityType, PredicateType

ANY = "thing"
"""The type of everything: the parent of all others, and of what nothing better is known."""


def _types(text: str) -> tuple[EntityType, ...]:
    """Lines of `name < parent: description`."""
    found = []
    for line in text.strip().splitlines():
        head, description = line.strip().split(": ", 1)
        name, _, parent = head.partition(" < ")
        found.append(EntityType(name=name, description=description, parent=parent or None))
    return tuple(found)


BUILTIN_TYPES: tuple[EntityType, ...] = _types(
    """
    thing: anything, or of a kind that is not known
    person < thing: a human being
    animal < thing: a pet or another animal
    group < thing: people taken together: a family, a nationality, a band, a team
    organisation < group: a company, school, club or other institution
    place < thing: somewhere one can be
    city < place: a town or city
    country < place: a state of the world
    event < thing: something that takes place at a time: a concert, a wedding, a trip
    activity < thing: something done again and again: a sport, a hobby, a habit
    work < thing: a book, film, song, game, picture or another made work
    product < thing: a thing that is made to be bought and used
    food < thing: what is eaten or drunk
    plant < thing: a tree, a flower, a vegetable in the garden
    language < thing: what is spoken or written
    subject < thing: what one can study, or care about
    condition < thing: an illness, an allergy or another state of health
    date < thing: a day or a period
    """
)

_ALIKE = frozenset({frozenset({"organisation", "place"}), frozenset({"product", "work"})})
"""Kinds that the same name often means at once: a museum is an institution and a place."""


def _state(
    name: str,
    subjects: str = "",
    objects: str = "",
    about: str = "",
    *,
    inverse: str | None = None,
) -> PredicateType:
    return PredicateType(
        name=name,
        inverse=inverse,
        subject_types=tuple(subjects.split()),
        object_types=tuple(objects.split()),
        description=about,
    )


def _one(
    name: str,
    subjects: str = "",
    objects: str = "",
    about: str = "",
    *,
    inverse: str | None = None,
) -> PredicateType:
    return replace(_state(name, subjects, objects, about, inverse=inverse), functional=True)


def _event(name: str, objects: str = "", about: str = "") -> PredicateType:
    return replace(_state(name, "", objects, about), event=True)


BUILTIN_PREDICATES: tuple[PredicateType, ...] = (
    # One object at a time.
    _one("lives_in", "person", "place", "home: a town, a quarter, an address"),
    _one("lives_in_country", "person", "country", "beside lives_in: a town lies in its country"),
    _one("works_at", "person", "organisation", "main employer", inverse="employs"),
    _one("job_title", "person", "", "what one works as"),
    _one("partner_of", "person", "person", "husband, wife, fiancé, girlfriend, boyfriend"),
    _one("relationship_status", "person", "", "single, dating, engaged, married, divorced …"),
    _one("reports_to", "person", "person", "boss", inverse="manages"),
    _one("age", "person animal", "", "in years"),
    _one("birthday", "person animal", "", "day of the year, or date of birth"),
    _one("born_in", "person animal", "place"),
    _one("home_town", "person", "place", "where one says to have grown up"),
    _one("full_name", "person", "", "as one gives it"),
    _one("native_language", "person", "language"),
    _one("phone_number", "", ""),
    _one("email_address", "", ""),
    _one("height", "", ""),
    _one("weight", "", ""),
    _one("scheduled_for", "", "", "when something is going to take place"),
    _one("located_at", "", "place", "where a thing or an organisation is to be found"),
    _one("price", "", ""),
    # Several side by side.
    _state("also_works_at", "person", "organisation", "a second or part-time job"),
    _state("volunteers_at", "person", "organisation"),
    _state("studies_at", "person", "organisation", "school or university"),
    _state("studies", "person", "subject"),
    _state("comes_from", "", "place", "origin: both a town and its country can be"),
    _state("nationality", "person", "group"),
    _state("likes", "", "thing"),
    _state("dislikes", "", "thing"),
    _state("interested_in", "person", "thing"),
    _state("wants", "person", "", "a wish; what is wished for is no fact"),
    _state("plans", "person", "", "an intention; what is intended is no fact"),
    _state("practises", "person", "activity", "does it again and again: a hobby, sport, habit"),
    _state("plays", "person", "thing", "an instrument, a game, a sport"),
    _state(
        "occupied_as", "person", "", "what one is beside or without a post: a painter, a runner"
    ),
    _state("eats", "person animal", "food"),
    _state("drinks", "person animal", "food"),
    _state("follows_diet", "person", "", "vegan, gluten-free …"),
    _state("allergic_to", "person animal", "thing"),
    _state("has_condition", "person animal", "condition"),
    _state("takes", "person animal", "thing", "medication, lessons"),
    _state("afraid_of", "person animal", "thing"),
    _state("good_at", "person", "thing"),
    _state("speaks", "person", "language"),
    _state("learns", "person", "thing"),
    _state("teaches", "person", "thing"),
    _state("uses", "person", "thing"),
    _state("owns", "", "thing", inverse="owned_by"),
    _state("collects", "person", "thing"),
    _state("supports", "person", "thing", "a team, a cause"),
    _state("believes_in", "person", "thing"),
    _state("member_of", "", "group", inverse="has_member"),
    _state("runs", "person", "organisation", "a business, a shop, a blog of one's own"),
    _state("works_on", "", "thing", "a project under way"),
    _state("lives_with", "person", "person animal", inverse="lives_with"),
    _state("has_pet", "person", "animal", inverse="pet_of"),
    _state("has_child", "person", "person", inverse="has_parent"),
    _state("has_parent", "person", "person", inverse="has_child"),
    _state("has_sibling", "person", "person", inverse="has_sibling"),
    _state("has_relative", "person", "person", inverse="has_relative"),
    _state("has_friend", "person", "person", inverse="has_friend"),
    _state("has_colleague", "person", "person", inverse="has_colleague"),
    _state("has_neighbour", "person", "person", inverse="has_neighbour"),
    _state("has_roommate", "person", "person", inverse="has_roommate"),
    _state("has_teacher", "person", "person", "teacher, coach, mentor, therapist, doctor"),
    _state("knows", "person", "person", inverse="knows"),
    _state("part_of", "", "thing"),
    _state("named", "", "", "what a thing or animal is called"),
    _state("described_as", "", "", "a lasting quality of a person or thing"),
    # What happened stays true.
    _event("visited", "place", "was there, travelled there"),
    _event("moved_to", "place"),
    _event("moved_from", "place"),
    _event("started", "thing"),
    _event("finished", "thing"),
    _event("joined", "group"),
    _event("left", "thing", "a job, a group, a place for good"),
    _event("hired_by", "organisation"),
    _event("promoted_to"),
    _event("lost_job"),
    _event("retired"),
    _event("applied_to", "thing"),
    _event("accepted_by", "organisation"),
    _event("graduated_from", "organisation"),
    _event("passed", "thing", "an exam, a test"),
    _event("failed", "thing"),
    _event("founded", "thing", "opened, launched, set up"),
    _event("closed", "thing", "shut down"),
    _event("bought", "thing"),
    _event("sold", "thing"),
    _event("received", "thing"),
    _event("gave", "thing"),
    _event("lost", "thing"),
    _event("found", "thing"),
    _event("broke", "thing"),
    _event("met", "thing"),
    _event("attended", "thing"),
    _event("hosted", "thing"),
    _event("performed", "thing"),
    _event("celebrated", "thing"),
    _event("read", "work"),
    _event("watched", "thing"),
    _event("listened_to", "thing"),
    _event("played", "thing", "once; who plays again and again `plays`"),
    _event("made", "thing", "built, cooked, painted, wrote"),
    _event("published", "thing"),
    _event("planted", "thing"),
    _event("won", "thing"),
    _event("tried", "thing"),
    _event("signed_up_for", "thing"),
    _event("donated", "thing"),
    _event("adopted", "thing"),
    _event("engaged_to", "person"),
    _event("married", "person"),
    _event("divorced", "person"),
    _event("broke_up_with", "person"),
    _event("had_child", "person"),
    _event("died"),
    _event("injured", "thing"),
    _event("fell_ill", "condition"),
    _event("showed", "thing", "in a picture that came with a text"),
    _event("did", "", "anything else that was done, in the words of the text"),
)

FAVOURITE = "favourite_"
"""`favourite_<kind>` is functional, whatever the kind."""

ALIASES: dict[str, str] = {
    "adored": "likes",
    "aunt": "has_relative",
    "based_in": "lives_in",
    "born_on": "birthday",
    "boyfriend": "partner_of",
    "brother": "has_sibling",
    "called": "named",
    "child": "has_child",
    "colleague": "has_colleague",
    "created": "made",
    "dating": "partner_of",
    "date_of_birth": "birthday",
    "daughter": "has_child",
    "employed_by": "works_at",
    "employer": "works_at",
    "enjoys": "likes",
    "fan_of": "likes",
    "father": "has_parent",
    "friend": "has_friend",
    "friend_of": "has_friend",
    "girlfriend": "partner_of",
    "hates": "dislikes",
    "has": "owns",
    "hobby": "practises",
    "hometown": "home_town",
    "husband": "partner_of",
    "is_from": "comes_from",
    "is_married_to": "partner_of",
    "job": "job_title",
    "learning": "learns",
    "learnt": "learns",
    "lived_in": "lives_in",
    "lives_at": "lives_in",
    "loves": "likes",
    "marital_status": "relationship_status",
    "married_to": "partner_of",
    "mother": "has_parent",
    "occupation": "job_title",
    "parent_of": "has_child",
    "partner": "partner_of",
    "pet": "has_pet",
    "plays_for": "member_of",
    "practices": "practises",
    "profession": "job_title",
    "resides_in": "lives_in",
    "sibling": "has_sibling",
    "sibling_of": "has_sibling",
    "sister": "has_sibling",
    "son": "has_child",
    "speaks_language": "speaks",
    "spouse": "partner_of",
    "student_at": "studies_at",
    "travelled_to": "visited",
    "traveled_to": "visited",
    "uncle": "has_relative",
    "wife": "partner_of",
    "works_as": "job_title",
    "works_for": "works_at",
    "wrote": "made",
}
"""Other names of built-in predicates."""

_WORDS = re.compile(r"[^\W_]+")


def folded(name: str) -> str:
    """The form in which predicates and types are compared: `Lives in` → `lives_in`."""
    return "_".join(_WORDS.findall(name.casefold()))


class Vocabulary:
    """Built-in predicates and types with a cube's own, which take the place of those so named."""

    def __init__(
        self, predicates: Iterable[PredicateType] = (), types: Iterable[EntityType] = ()
    ) -> None:
        self._predicates = {p.name: p for p in (*BUILTIN_PREDICATES, *predicates)}
        self._types = {t.name: t for t in (*BUILTIN_TYPES, *types)}

    @property
    def predicates(self) -> tuple[PredicateType, ...]:
        return tuple(self._predicates.values())

    @property
    def types(self) -> tuple[EntityType, ...]:
        return tuple(self._types.values())

    def canonical(self, name: str) -> str:
        """The one name of a predicate: `Works for` → `works_at`, `favorite color` →
        `favourite_colour`. A name that means nothing here comes back folded; it is never empty
        unless `name` holds neither letter nor digit."""
        if name in self._predicates:
            return name
        key = folded(name)
        if key in self._predicates:
            return key
        if key in ALIASES:
            return ALIASES[key]
        if key.startswith(("favorite_", FAVOURITE)):
            key = FAVOURITE + key.split("_", 1)[1].replace("color", "colour")
        return key

    def predicate(self, name: str) -> PredicateType:
        """What is known of a predicate by any of its names. An unknown one is a state of which
        several can be true side by side."""
        key = self.canonical(name)
        known = self._predicates.get(key)
        if known is not None:
            return known
        if key.startswith(FAVOURITE):
            return PredicateType(name=key, functional=True)
        return PredicateType(name=key)

    def knows(self, name: str) -> bool:
        """Whether `predicate` answers by more than the default."""
        key = self.canonical(name)
        return key in self._predicates or key.startswith(FAVOURITE)

    def type(self, name: str) -> EntityType:
        """An entity type; one that is unknown is a kind of `thing`."""
        key = name if name in self._types else folded(name)
        return self._types.get(key) or EntityType(name=key or ANY, parent=ANY)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """The type itself, its parent, and so on; a circle among a cube's own types ends where it
        closes."""
        found: list[str] = []
        at: str | None = self.type(name).name
        while at is not None and at not in found:
            found.append(at)
            at = self.type(at).parent
        if ANY not in found:
            found.append(ANY)
        return tuple(found)

    def compatible(self, type_a: str, type_b: str) -> bool:
        """Whether one thing can be of both types: one is a kind of the other, or both are of kinds
        that share names by nature (a museum is an organisation and a place)."""
        first, second = self.ancestors(type_a), self.ancestors(type_b)
        if first[0] in second or second[0] in first:
            return True
        return any(frozenset({a, b}) in _ALIKE for a in first for b in second)
