"""One example of each answer about the graph, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from memos.types import (
    AddedFacts,
    Assertion,
    Entity,
    EntityRef,
    EntityType,
    Fact,
    FactExplanation,
    FactSource,
    Granularity,
    GraphDiff,
    Neighbour,
    Note,
    Page,
    Path,
    PredicateType,
    Ruling,
    RulingKind,
    Step,
    Summary,
    SummaryKind,
    Vocabulary,
)

_THEN = datetime(2024, 5, 1, 18, 30, tzinfo=timezone.utc)
_MOVED = datetime(2024, 3, 1, tzinfo=timezone.utc)
_CUBE_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SB"
_MEMORY_ID = "01HXA8Q5T9V0J4M2K7N3P6R8SD"

_ANA = EntityRef(id="01HXA8Q5T9V0J4M2K7N3P6R8T0", name="Ana", type="person")
_LISBON = EntityRef(id="01HXA8Q5T9V0J4M2K7N3P6R8T1", name="Lisbon", type="place")
_ENTITY = Entity(
    id=_ANA.id,
    cube_id=_CUBE_ID,
    name="Ana",
    type="person",
    aliases=("Ana", "Ana Prado"),
    merged_into=None,
    created_at=_THEN,
    mentions=12,
    facts=7,
)
_ASSERTION = Assertion(
    id="01HXA8Q5T9V0J4M2K7N3P6R8T3",
    cube_id=_CUBE_ID,
    memory_id=_MEMORY_ID,
    subject_id=_ANA.id,
    predicate="lives_in",
    object_id=_LISBON.id,
    value=None,
    quantity=None,
    unit=None,
    negated=False,
    corrects=False,
    replaces=None,
    valid_at=_MOVED,
    granularity=Granularity.MONTH,
    invalid_at=None,
    invalid_granularity=None,
    stated_at=_THEN,
    place=None,
    confidence=0.9,
    extractor="rules",
    start=0,
    end=27,
    created_at=_THEN,
)
_FACT = Fact(
    id="01HXA8Q5T9V0J4M2K7N3P6R8T4",
    revision=1,
    cube_id=_CUBE_ID,
    subject=_ANA,
    predicate="lives_in",
    object=_LISBON,
    value=None,
    quantity=None,
    unit=None,
    negated=False,
    event=False,
    place=None,
    confidence=0.9,
    valid_at=_MOVED,
    granularity=Granularity.MONTH,
    invalid_at=None,
    invalid_granularity=None,
    created_at=_THEN,
    expired_at=None,
    closed_by=None,
    rule=None,
    sources=(
        FactSource(
            assertion_id=_ASSERTION.id,
            memory_id=_MEMORY_ID,
            start=0,
            end=27,
            extractor="rules",
            confidence=0.9,
            stated_at=_THEN,
        ),
    ),
)
_RULING = Ruling(
    id="01HXA8Q5T9V0J4M2K7N3P6R8T5",
    cube_id=_CUBE_ID,
    kind=RulingKind.MERGE,
    source_id="01HXA8Q5T9V0J4M2K7N3P6R8T6",
    target_id=_ANA.id,
    assertions=(),
    actor="key:01HXA8Q5T9V0J4M2K7N3P6R8SA",
    reason="the same person",
    created_at=_THEN,
    revoked_at=None,
)
_NOTE = Note(
    memory_id=_MEMORY_ID,
    revision=1,
    keywords=("Lisbon", "moved"),
    tags=("home",),
    context="Ana tells where she lives now.",
    method="rules",
    cause=None,
    created_at=_THEN,
    expired_at=None,
)
_SUMMARY = Summary(
    id="01HXA8Q5T9V0J4M2K7N3P6R8T7",
    cube_id=_CUBE_ID,
    kind=SummaryKind.SESSION,
    key="2024-05-01",
    text="Ana moved to Lisbon in March. Her flat is near the river.",
    memory_ids=(_MEMORY_ID,),
    entity_ids=(_ANA.id, _LISBON.id),
    method="extractive",
    created_at=_THEN,
)
_PREDICATE = PredicateType(
    name="lives_in",
    functional=True,
    subject_types=("person",),
    object_types=("place",),
    description="where somebody has their home",
)
_TYPE = EntityType(name="boat", description="A boat with a name", parent="thing")

GRAPH_EXAMPLES: Mapping[str, Any] = {
    "AddedFacts": AddedFacts(facts=(_FACT,), memory_ids=(_MEMORY_ID,)),
    "Entity": _ENTITY,
    "EntityType": _TYPE,
    "Fact": _FACT,
    "FactExplanation": FactExplanation(
        fact=_FACT,
        assertions=(_ASSERTION,),
        closed_by=None,
        closes=(),
        revisions=(_FACT,),
        rulings=(),
        text=("Ana lives in Lisbon, since March 2024.",),
    ),
    "GraphDiff": GraphDiff(appeared=(_FACT,)),
    "Neighbour": Neighbour(entity=_LISBON, distance=1, facts=(_FACT,)),
    "Note": _NOTE,
    "Page_Entity_": Page(items=(_ENTITY,)),
    "Page_Fact_": Page(items=(_FACT,)),
    "Page_Summary_": Page(items=(_SUMMARY,)),
    "Path": Path(
        steps=(Step(source=_ANA, target=_LISBON, fact=_FACT, forward=True),), confidence=0.9
    ),
    "PredicateType": _PREDICATE,
    "Ruling": _RULING,
    "Vocabulary": Vocabulary(predicates=(_PREDICATE,), types=(_TYPE,)),
}
"""By the name of the schema."""
