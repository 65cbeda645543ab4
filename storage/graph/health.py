"""Whether the graph is whole: nothing without what it belongs to, and facts as they follow from
what was said, by the rules at work now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, Table, and_, delete, exists, func, or_, select, update

from memos.storage.bulk import load
from memos.storage.graph.deriving import Deriver, Group
from memos.storage.graph.edit import edit
from memos.storage.graph.records import WIDE, spans_of
from memos.storage.tables import (
    assertion,
    cube,
    entity,
    entity_alias,
    fact,
    fact_source,
    graph_gone,
    mention,
    summary,
    summary_source,
)
from memos.types import Finding

# Subjects looked at together.
_CHUNK = 500

_source_of = and_(fact_source.c.cube_id == fact.c.cube_id, fact_source.c.fact_id == fact.c.id)
_BELONGING = {
    "names of entities that are not there": (
        entity_alias,
        exists().where(
            entity.c.cube_id == entity_alias.c.cube_id, entity.c.id == entity_alias.c.entity_id
        ),
    ),
    "sources of facts that nothing says": (
        fact_source,
        exists().where(
            assertion.c.cube_id == fact_source.c.cube_id,
            assertion.c.id == fact_source.c.assertion_id,
        ),
    ),
    "sources of facts that are not there": (
        fact_source,
        exists().where(fact.c.cube_id == fact_source.c.cube_id, fact.c.id == fact_source.c.fact_id),
    ),
    "facts about entities that are not there": (
        fact,
        exists().where(entity.c.cube_id == fact.c.cube_id, entity.c.id == fact.c.subject_id),
    ),
    "facts with objects that are not there": (
        fact,
        or_(
            fact.c.object_id.is_(None),
            exists().where(entity.c.cube_id == fact.c.cube_id, entity.c.id == fact.c.object_id),
        ),
    ),
    "facts that rest on nothing": (
        fact,
        exists().where(
            _source_of,
            fact_source.c.created_at <= fact.c.expired_at,
            fact_source.c.expired_at >= fact.c.created_at,
        ),
    ),
    "sources of summaries that are not there": (
        summary_source,
        exists().where(
            summary.c.cube_id == summary_source.c.cube_id,
            summary.c.id == summary_source.c.summary_id,
        ),
    ),
}


def check(connection: Connection, deriver: Deriver, *, now: int, repair: bool) -> list[Finding]:
    """All cubes; `now` in microseconds."""
    return [
        *_check_named(connection, deriver, now=now, repair=repair),
        *_check_belonging(connection, repair=repair),
        *_check_counters(connection, repair=repair),
        *_check_facts(connection, deriver, now=now, repair=repair),
    ]


def _check_named(
    connection: Connection, deriver: Deriver, *, now: int, repair: bool
) -> Iterator[Finding]:
    """An entity that is named and not there is made again, by the name that a memory has for it."""
    there = exists().where(entity.c.cube_id == mention.c.cube_id, entity.c.id == mention.c.said_id)
    lost: dict[str, dict[str, str]] = defaultdict(dict)
    for cube_id, said_id, spans in connection.execute(
        select(mention.c.cube_id, mention.c.said_id, mention.c.spans).where(~there)
    ):
        names = [surface for surface, normal, *_ in spans_of(spans) if normal]
        lost[cube_id].setdefault(said_id, names[0] if names else said_id)
    for cube_id, names_of in lost.items():
        if repair:
            with edit(connection, cube_id, now=now, rules=deriver.rules.version) as opened:
                rows = [
                    (cube_id, id, opened.number(), name, "thing", None, None, now)
                    for id, name in sorted(names_of.items())
                ]
                load(connection, entity, rows)
        yield Finding(
            check="graph",
            cube_id=cube_id,
            problem="entities that are named and not there",
            count=len(names_of),
            repaired=repair,
        )


def _check_belonging(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    for problem, (table, parent) in _BELONGING.items():
        rows = connection.execute(
            select(table.c.cube_id, func.count()).where(~parent).group_by(table.c.cube_id)
        ).all()
        if rows and repair:
            connection.execute(delete(table).where(~parent))
        for cube_id, count in rows:
            yield Finding(
                check="graph", cube_id=cube_id, problem=problem, count=count, repaired=repair
            )


def _check_counters(connection: Connection, *, repair: bool) -> Iterator[Finding]:
    numbered: tuple[Table, ...] = (entity, fact, mention, graph_gone)
    for table in numbered:
        newest = select(func.max(table.c.seq)).where(table.c.cube_id == cube.c.id).scalar_subquery()
        behind = connection.execute(
            select(cube.c.id, newest - cube.c.graph_seq).where(newest > cube.c.graph_seq)
        ).all()
        if behind and repair:
            connection.execute(
                update(cube).where(newest > cube.c.graph_seq).values(graph_seq=newest)
            )
        for cube_id, count in behind:
            yield Finding(
                check="graph change numbers",
                cube_id=cube_id,
                problem="the cube's counter is behind its graph",
                count=count,
                repaired=repair,
            )


def _check_facts(
    connection: Connection, deriver: Deriver, *, now: int, repair: bool
) -> Iterator[Finding]:
    for cube_id, rules in connection.execute(select(cube.c.id, cube.c.graph_rules)).all():
        if rules is None:
            continue
        problem = (
            "facts that differ from what was said"
            if rules == deriver.rules.version
            else f"facts that differ by the present rules; {rules} derived them"
        )
        with edit(connection, cube_id, now=now, rules=deriver.rules.version) as opened:
            seq = opened.seq
            count = sum(
                deriver.derive(opened, groups, write=repair)
                for groups in _groups(connection, cube_id)
            )
            if repair:
                opened.rules = deriver.rules.version
            else:
                opened.seq = seq
        if count:
            yield Finding(
                check="facts", cube_id=cube_id, problem=problem, count=count, repaired=repair
            )


def _groups(connection: Connection, cube_id: str) -> Iterator[list[Group]]:
    after = ""
    while True:
        subjects = (
            select(assertion.c.subject_id)
            .where(assertion.c.cube_id == cube_id, assertion.c.subject_id > after)
            .distinct()
            .order_by(assertion.c.subject_id)
            .limit(_CHUNK)
        )
        found = connection.execute(subjects).scalars().all()
        if not found:
            return
        pairs = (
            select(assertion.c.subject_id, assertion.c.predicate)
            .where(
                assertion.c.cube_id == cube_id,
                assertion.c.subject_id >= found[0],
                assertion.c.subject_id <= found[-1],
            )
            .distinct()
        )
        yield [(row[0], row[1], WIDE) for row in connection.execute(pairs)]
        after = found[-1]
