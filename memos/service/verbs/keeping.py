"""The verbs by which memories are kept: consolidated, forgotten, audited, put before an agent."""

from __future__ import annotations

from datetime import datetime

from memos.errors import InvalidInput
from memos.service.verbs.base import Verbs
from memos.types import (
    Audit,
    Context,
    ErasureReceipt,
    Job,
    KeepingPlan,
    Lineage,
    Policy,
    ReceiptCheck,
    Search,
    Segment,
    Strength,
    Work,
)
from memos.validation import check_label, check_text, to_member

_HITS = 20


class KeepingVerbs(Verbs):
    """plan, consolidate, sweep, lineage, policy, set_policy, pin_memory,
    unpin_memory, strength, erase, check_receipt, audit, segments, context."""

    def plan(
        self, work: Work = Work.CONSOLIDATE, *, cube: str = "default", limit: int = 50
    ) -> KeepingPlan:
        """What a consolidation or a sweep would do now, and why; nothing is changed. The first
        `limit` actions are told in full."""
        wanted = to_member("work", work, Work)
        return self._service.sleep.plan(self._cube(cube), wanted, limit=limit)

    def consolidate(self, *, cube: str = "default") -> Job:
        """Queues a consolidation: what says the same is merged, what no longer holds is retired,
        what recurs becomes a memory of its own, hot segments go on to long-term memory, sessions
        and their segments are summarised."""
        return self._queued(self._service.keeping.consolidation(self._cube(cube)))

    def sweep(self, *, cube: str = "default") -> Job:
        """Queues what the cube's policy says of forgetting: what has faded
        is archived, and what is over the budgets."""
        return self._queued(self._service.keeping.sweep(self._cube(cube)))

    def lineage(self, id: str, *, cube: str = "default") -> tuple[Lineage, ...]:
        """What a memory comes from or stands for, and what comes from it."""
        return self._service.keeping.lineage(self._cube(cube), id)

    def policy(self, *, cube: str = "default") -> Policy:
        """How a cube keeps its memories."""
        return self._service.keeping.policy(self._cube(cube))

    def set_policy(self, policy: Policy, *, cube: str = "default") -> Policy:
        """Replaces it as a whole. PolicyContradiction if its rules can't all hold."""
        return self._service.keeping.set_policy(self._cube(cube), policy, actor=self._actor)

    def pin_memory(self, id: str, *, cube: str = "default") -> Strength:
        """Keeps a memory from being merged away, archived or evicted."""
        return self._service.keeping.pin(self._cube(cube), id, pinned=True)

    def unpin_memory(self, id: str, *, cube: str = "default") -> Strength:
        """Undoes `pin_memory`."""
        return self._service.keeping.pin(self._cube(cube), id, pinned=False)

    def strength(self, id: str, *, cube: str = "default") -> Strength:
        """How strongly a memory is held now."""
        return self._service.keeping.strength(self._cube(cube), id)

    def erase(
        self,
        id: str,
        *,
        cube: str = "default",
        if_version: int | None = None,
        reason: str | None = None,
    ) -> ErasureReceipt:
        """Removes a memory from every store for good, with what was merged into it; what was made
        of it is made again without it. The receipt is signed."""
        if reason is not None:
            check_text("reason", reason)
        return self._service.eraser.erase(
            self._cube(cube), id, if_version=if_version, reason=reason, actor=self._actor
        )

    def check_receipt(self, receipt: ErasureReceipt, *, cube: str = "default") -> ReceiptCheck:
        """Whether this service issued a receipt, for this cube, as it is."""
        target = self._cube(cube)
        if receipt.cube_id != target.id:
            return ReceiptCheck(valid=False, reason="it is another cube's")
        return self._service.eraser.check(receipt)

    def audit(self, *, cube: str = "default") -> Audit:
        """How much of a cube is duplicate, stale, looped or junk. Reads all of it."""
        return self._service.auditor.audit(self._cube(cube))

    def segments(
        self,
        session_id: str,
        *,
        user_id: str | None = None,
        cube: str = "default",
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
    ) -> tuple[Segment, ...]:
        """A session cut by topic, with the heat of each part."""
        check_label("session_id", session_id)
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        return self._service.contexts.segments(self._cube(cube), session_id, view, user_id=user_id)

    def context(
        self,
        query: str | None = None,
        *,
        cube: str = "default",
        user_id: str | None = None,
        agent_id: str | None = None,
        session_id: str | None = None,
        token_budget: int = 2000,
        as_of: datetime | None = None,
        known_as_of: datetime | None = None,
    ) -> Context:
        """What to put before an agent: who it is about and how to act, what is known that bears on
        `query`, segments of earlier sessions, the last turns of this one; within the budget, what
        changes least first."""
        view = self._view(as_of=as_of, known_as_of=known_as_of)
        target, service = self._cube(cube), self._service
        if query is not None and not query.strip():
            raise InvalidInput("query is empty; leave it out to ask for nothing", field="query")
        wanted = Search(
            text=query or "",
            limit=min(_HITS, service.settings.max_limit),
            user_id=user_id,
            agent_id=agent_id,
            as_of=view.as_of,
            known_as_of=view.known_as_of,
        )
        with service.foreground.request():
            found = None if query is None else service.searcher.search(target, wanted)
            made = service.contexts.context(
                target,
                found,
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                token_budget=token_budget,
                view=view,
            )
        if found is not None and view.known_as_of is None:
            given = {id for part in made.parts for id in part.memory_ids}
            service.gave_out(target, [hit.memory for hit in found.hits if hit.memory.id in given])
        return made
