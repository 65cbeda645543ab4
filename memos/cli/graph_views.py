"""How facts, entities and paths are shown to people. Knows no command and no service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from memos.cli import output
from memos.types import Entity, Fact, FactExplanation, Granularity, GraphDiff, Path, Step

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_FORMS = {
    Granularity.DECADE: "%Ys",
    Granularity.YEAR: "%Y",
    Granularity.MONTH: "%Y-%m",
    Granularity.DAY: "%Y-%m-%d",
    Granularity.WEEK: "week of %Y-%m-%d",
    Granularity.SEASON: "season of %Y-%m",
}


def moment(at: datetime | None, granularity: Granularity | None) -> str:
    """A time as exactly as it is known, in UTC; empty for None."""
    if at is None:
        return ""
    form = _FORMS.get(granularity or Granularity.SECOND)
    return at.astimezone(timezone.utc).strftime(form) if form else output.when(at)


def stretch(fact: Fact) -> str:
    """When a fact was true: `2023-05 – 2024`, open at an end that is not known."""
    start = moment(fact.valid_at, fact.granularity)
    if fact.event:
        return start
    end = moment(fact.invalid_at, fact.invalid_granularity)
    return f"{start or '…'} – {end}".rstrip()


def said_object(fact: Fact) -> str:
    """The object or value; `anything` for a negation of any."""
    if fact.object is not None:
        return fact.object.name
    if fact.value is not None:
        return fact.value
    return "anything" if fact.negated else ""


def triple(fact: Fact) -> str:
    """Subject, predicate and object in one line."""
    predicate = f"not {fact.predicate}" if fact.negated else fact.predicate
    return f"{fact.subject.name} {predicate} {said_object(fact)}".rstrip()


def facts_view(facts: Iterable[Fact]) -> Table:
    rows = (
        (
            fact.subject.name,
            f"not {fact.predicate}" if fact.negated else fact.predicate,
            said_object(fact),
            moment(fact.valid_at, fact.granularity),
            moment(fact.invalid_at, fact.invalid_granularity),
            fact.place,
            f"{fact.confidence:.2f}",
            fact.id,
        )
        for fact in facts
    )
    return output.table(
        *("subject", "predicate", "object", "from", "until", "place", "sure", "id"),
        rows=rows,
        fixed=("from", "until", "sure", "id"),
    )


def explanation_view(why: FactExplanation) -> RenderableType:
    """The sentences, then what says so, then what was believed when."""
    from rich.console import Group
    from rich.text import Text

    sources = output.table(
        *("stated", "said in memory", "read by", "sure"),
        rows=[
            (output.when(a.stated_at), a.memory_id, a.extractor, f"{a.confidence:.2f}")
            for a in why.assertions
        ],
        fixed=("stated", "said in memory"),
    )
    beliefs = output.table(
        *("revision", "believed from", "until", "true", "rule"),
        rows=[
            (
                fact.revision,
                output.when(fact.created_at),
                output.when(fact.expired_at),
                stretch(fact),
                fact.rule,
            )
            for fact in why.revisions
        ],
        fixed=("believed from", "until"),
    )
    return Group(
        Text(triple(why.fact), style="bold"),
        *(Text(output.clean(sentence)) for sentence in why.text),
        sources,
        beliefs,
    )


def entities_view(entities: Iterable[Entity]) -> Table:
    rows = (
        (entity.name, entity.type, other_names(entity), entity.mentions, entity.facts, entity.id)
        for entity in entities
    )
    return output.table("name", "type", "also", "mentions", "facts", "id", rows=rows)


def other_names(entity: Entity) -> str:
    """Its aliases but for other spellings of its name."""
    own = entity.name.casefold()
    return ", ".join(name for name in entity.aliases if name.casefold() != own)


def paths_view(paths: Iterable[Path]) -> RenderableType:
    """Each path as its steps, with the memories that say them."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for number, path in enumerate(paths, start=1):
        parts += [Text(f"{number}. sure {path.confidence:.2f}"), _steps(path)]
    return Group(*parts)


def _steps(path: Path) -> Table:
    rows = [
        (
            step.source.name,
            _arrow(step),
            step.target.name,
            stretch(step.fact),
            ", ".join(dict.fromkeys(source.memory_id for source in step.fact.sources)),
        )
        for step in path.steps
    ]
    return output.table("from", "by", "to", "true", "said in memory", rows=rows, fixed=("true",))


def _arrow(step: Step) -> str:
    return f"{step.fact.predicate} →" if step.forward else f"← {step.fact.predicate}"


def diff_view(diff: GraphDiff) -> Table:
    rows = [("+", triple(fact), stretch(fact), "", fact.id) for fact in diff.appeared]
    rows += [("-", triple(fact), stretch(fact), "", fact.id) for fact in diff.disappeared]
    rows += [
        ("~", triple(after), stretch(after), stretch(before), after.id)
        for before, after in diff.changed
    ]
    return output.table("", "fact", "true", "before", "id", rows=rows)
