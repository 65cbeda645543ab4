"""The verbs of parametric memory, for the async client.

Knows what they send by `memos.client.requests.adapters`; how it is sent is the client's.
"""

from __future__ import annotations

from collections.abc import Sequence

from memos.client.asynchronous.base import AsyncVerbs
from memos.client.requests import adapters as requests
from memos.types import Adapter, Kind, Page


class AsyncAdapterVerbs(AsyncVerbs):
    """What a client can ask of parametric memory."""

    async def distill(
        self,
        *,
        memories: Sequence[str] = (),
        query: str | None = None,
        kind: Kind | None = None,
        name: str = "default",
        begin: str | None = None,
        cube: str = "default",
        limit: int = 100,
        diversity: float = 0.0,
        attach: bool = True,
        when: str = "named",
        rank: int | None = None,
        rate: float | None = None,
        passes: int | None = None,
        seed: int = 0,
        wait: bool = False,
    ) -> Adapter:
        """Teaches the local model memories, so that it answers from them without reading them.

        Memories are given by id, by a search for `query`, or as all of a `kind`; without any of
        these the policy chooses, and `chosen` of the answer says why. `begin` is an adapter to go
        on from, which keeps what it knows. It is judged before it is used, and then takes the place
        of the one before, unless `attach` is False. It is then at work where a question names
        something that it knows of, or `when` "always". Without `wait` a job does all that.
        """
        return await self._send(
            requests.distill(
                memories=memories,
                query=query,
                kind=kind,
                name=name,
                begin=begin,
                cube=cube,
                limit=limit,
                diversity=diversity,
                attach=attach,
                when=when,
                rank=rank,
                rate=rate,
                passes=passes,
                seed=seed,
                wait=wait,
                idempotency_key=self._key(),
            )
        )

    async def merge_adapters(
        self,
        adapters: Sequence[str],
        *,
        shares: Sequence[float] = (),
        method: str = "linear",
        rank: int | None = None,
        name: str = "default",
        cube: str = "default",
        attach: bool = True,
        when: str = "named",
        wait: bool = False,
    ) -> Adapter:
        """Makes several adapters of a cube into one, which is judged before it is used.

        `shares` are their weights, 1 each by default; `method` is "linear" (their sum), "ties" or
        "dare"; `rank` by default the sum of the ranks for linear, else the largest. Those that it
        is made of stay. Without `wait` a job does it.
        """
        return await self._send(
            requests.merge(
                adapters=adapters,
                shares=shares,
                method=method,
                rank=rank,
                name=name,
                cube=cube,
                attach=attach,
                when=when,
                wait=wait,
                idempotency_key=self._key(),
            )
        )

    async def adapters(
        self, *, cube: str = "default", cursor: str | None = None, limit: int = 50
    ) -> Page[Adapter]:
        """A page of a cube's adapters, oldest first."""
        return await self._send(requests.adapters(cube=cube, cursor=cursor, limit=limit))

    async def adapter(self, id: str, *, cube: str = "default") -> Adapter:
        """An adapter with its lineage and report. AdapterNotFound."""
        return await self._send(requests.adapter(id, cube=cube))

    async def evaluate(self, id: str, *, cube: str = "default") -> Adapter:
        """Judges it again: what it recalls, and what it should leave alone."""
        return await self._send(requests.change(id, "evaluate", cube=cube))

    async def attach(self, id: str, *, cube: str = "default") -> Adapter:
        """All answers of the cube are given with it from here on."""
        return await self._send(requests.change(id, "attach", cube=cube))

    async def detach(self, id: str, *, cube: str = "default") -> Adapter:
        """Answers are given without it again."""
        return await self._send(requests.change(id, "detach", cube=cube))

    async def rollback_adapter(self, id: str, *, cube: str = "default") -> Adapter:
        """Attaches the newest usable version before this one, and returns that."""
        return await self._send(requests.change(id, "rollback", cube=cube))

    async def drop_adapter(self, id: str, *, cube: str = "default") -> None:
        """Deletes an adapter with its file; ends its training. The memories stay."""
        await self._send(requests.drop(id, cube=cube, idempotency_key=self._key()))
