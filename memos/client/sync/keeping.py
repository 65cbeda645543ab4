"""The verbs of keeping memories, for the sync client."""

from __future__ import annotations

from datetime import datetime

from memos.client.requests import keeping as requests
from memos.client.sync.base import Verbs
from memos.types import (
    Audit,
    Context,
    ErasureReceipt,
    Job,
    KeepingPlan,
    Lineage,
    Policy,
    ReceiptCheck,
    Segment,
    Strength,
    Work,
)


class KeepingVerbs(Verbs):
    """Consolidation, forgetting, erasure, audit, and the context of an agent."""

    def plan(
        self, work: Work = Work.CONSOLIDATE, *, cube: str = "default", limit: int = 50
    ) -> KeepingPlan:
        """What a consolidation or a sweep would do now, and why; nothing is changed. The first
        `limit` actions are told in full."""
        return self._send(requests.plan(work, cube=cube, limit=limit))

    def consolidate(self, *, cube: str = "default") -> Job:
        """Queues a consolidation: what says the same is merged, what no longer holds is retired,
        what recurs becomes a memory of its own, hot segments go on to long-term memory, sessions
        and their segments are summarised."""
        return self._send(requests.run("consolidate", cube=cube, idempotency_key=self._key()))

    def sweep(self, *, cube: str = "default") -> Job:
        """Queues what the cube's policy says of forgetting: what has faded
        is archived, and what is over the budgets."""
        return self._send(requests.run("sweep", cube=cube, idempotency_key=self._key()))

    def lineage(self, id: str, *, cube: str = "default") -> tuple[Lineage, ...]:
        """What a memory comes from or stands for, and what comes from it."""
        return self._send(requests.lineage(id, cube=cube))

    def policy(self, *, cube: str = "default") -> Policy:
        """How a cube keeps its memories."""
        return self._send(requests.policy(cube=cube))

    def set_policy(self, policy: Policy, *, cube: str = "default") -> Policy:
        """Replaces it as a whole. PolicyContradiction if its rules can't all hold."""
        return self._send(requests.set_policy(policy, cube=cube, idempotency_key=self._key()))

    def pin_memory(self, id: str, *, cube: str = "default") -> Strength:
        """Keeps a memory from being merged away, archived or evicted."""
        return self._send(requests.pin(id, "pin", cube=cube, idempotency_key=self._key()))

    def unpin_memory(self, id: str, *, cube: str = "default") -> Strength:
        """Undoes `pin_memory`."""
        return self._send(requests.pin(id, "unpin", cube=cube, idempotency_key=self._key()))

    def strength(self, id: str, *, cube: str = "default") -> Strength:
        """How strongly a memory is held now."""
        return self._send(requests.strength(id, cube=cube))

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
        return self._send(
            requests.erase(
                id, cube=cube, if_version=if_version, reason=reason, idempotency_key=self._key()
            )
        )

    def check_receipt(self, receipt: ErasureReceipt, *, cube: str = "default") -> ReceiptCheck:
        """Whether this service issued a receipt, for this cube, as it is."""
        return self._send(requests.check_receipt(receipt, cube=cube))

    def audit(self, *, cube: str = "default") -> Audit:
        """How much of a cube is duplicate, stale, looped or junk. Reads all of it."""
        return self._send(requests.audit(cube=cube))

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
        return self._send(
            requests.segments(
                session_id, user_id=user_id, cube=cube, as_of=as_of, known_as_of=known_as_of
            )
        )

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
        return self._send(
            requests.context(
                query,
                cube=cube,
                user_id=user_id,
                agent_id=agent_id,
                session_id=session_id,
                token_budget=token_budget,
                as_of=as_of,
                known_as_of=known_as_of,
            )
        )
