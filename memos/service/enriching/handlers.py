"""Handlers of all jobs that read facts, notes and summaries out of memories."""

from __future__ import annotations

from collections.abc import Mapping

from memos.graph.network.communities import communities
from memos.graph.resolving.resolution import Resolver
from memos.protocols import Clock, Extractor, NewId, Stores
from memos.retrieval.projection.projection import Projections
from memos.scheduler import Foreground, Handler
from memos.service.enriching.due import Enriching
from memos.service.enriching.extraction import Extractions
from memos.service.enriching.jobs import Enrichment
from memos.service.enriching.notes import Notes
from memos.summaries.communities import CommunitySummaries
from memos.summaries.sessions import SessionSummaries
from memos.types import Cube


def enrichers(
    stores: Stores,
    extractor: Extractor | None,
    resolver: Resolver,
    notes: Notes,
    sessions: SessionSummaries,
    projections: Projections,
    enriching: Enriching,
    foreground: Foreground,
    *,
    clock: Clock,
    new_id: NewId,
) -> Mapping[str, Handler]:
    """By the kind of job; without an extractor those of sessions only."""

    def groups(cube: Cube) -> list[tuple[str, ...]]:
        return communities(stores.graph, cube.id, now=clock())

    reads = extractor is not None
    enrichment = Enrichment(
        stores,
        notes,
        sessions,
        CommunitySummaries(stores, projections, clock=clock, new_id=new_id) if reads else None,
        groups,
        enriching,
        foreground,
    )
    if extractor is None:
        return enrichment.table()
    extractions = Extractions(stores, extractor, resolver, enriching, foreground)
    return {**extractions.table(), **enrichment.table()}
