"""Short ways to write assertions."""

from datetime import datetime, timezone

from memos.graph.deriving.validity import Rules
from memos.types import Assertion, Granularity, PredicateType, Ruling, RulingKind

RULES = Rules()
HOME = RULES.predicate("lives_in")
LIKES = RULES.predicate("likes")
VISITED = RULES.predicate("visited")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def said(
    id: str,
    object: str | None,
    since: str | datetime | None = None,
    *,
    on: str | datetime | None = None,
    until: str | datetime | None = None,
    predicate: str = "lives_in",
    grain: Granularity | None = Granularity.DAY,
    **more,
) -> Assertion:
    """`on`: when it was said; else at `since`, in the present tense."""
    at = [day(t) if isinstance(t, str) else t for t in (since, on, until)]
    stated = at[1] or at[0] or at[2]
    fields = {
        "id": id,
        "cube_id": "c",
        "memory_id": f"m-{id}",
        "subject_id": "ann",
        "predicate": predicate,
        "object_id": object,
        "value": None,
        "quantity": None,
        "unit": None,
        "negated": False,
        "corrects": False,
        "replaces": None,
        "valid_at": at[0],
        "granularity": grain if at[0] and on else None,
        "invalid_at": at[2],
        "invalid_granularity": grain if at[2] else None,
        "stated_at": stated,
        "place": None,
        "confidence": 0.8,
        "extractor": "test",
        "start": 0,
        "end": 0,
        "created_at": stated,
    }
    return Assertion(**{**fields, **more})


def keep_open(*assertions: str, revoked: bool = False) -> Ruling:
    return Ruling(
        id="r",
        cube_id="c",
        kind=RulingKind.KEEP_OPEN,
        source_id="fact",
        target_id=None,
        assertions=assertions,
        actor=None,
        reason=None,
        created_at=day("2024-01-01"),
        revoked_at=day("2024-01-02") if revoked else None,
    )


def times(predicate: PredicateType, *assertions: Assertion, rulings=()) -> list[str]:
    """Each stretch as `[not ]object since-until rule`."""
    by_id = {item.id: item for item in assertions}
    found = []
    for stretch in RULES.derive(predicate, assertions, rulings):
        first = by_id[stretch.assertions[0]]
        name = ("not " if first.negated else "") + (first.object_id or first.value or "any")
        since = stretch.valid_at.date().isoformat() if stretch.valid_at else "ever"
        until = stretch.invalid_at.date().isoformat() if stretch.invalid_at else "on"
        rule = f" {stretch.rule}" if stretch.rule else ""
        found.append(f"{name} {since}..{until}{rule}")
    return found


def true_at(stretches, assertions, at: datetime) -> set:
    """What holds at a time: (object or value, negated)."""
    by_id = {item.id: item for item in assertions}
    found = set()
    for stretch in stretches:
        first = by_id[stretch.assertions[0]]
        begun = stretch.valid_at is None or stretch.valid_at <= at
        if begun and (stretch.invalid_at is None or at < stretch.invalid_at):
            found.add((first.object_id or first.value, first.negated))
    return found
