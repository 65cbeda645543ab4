"""The verbs of parametric memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from memos.parametric.request import Distilling, Merging
from memos.service.verbs.base import Verbs
from memos.types import Adapter, Kind, Page, Recipe
from memos.validation import to_member


class AdapterVerbs(Verbs):
    """distill, merge_adapters, adapters, adapter, evaluate, attach, detach, rollback_adapter,
    drop_adapter."""

    def distill(
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
        InvalidInput for nothing to learn, Contradiction for two things of which one can be true,
        AdapterRefused if it does not pass.
        """
        given: dict[str, Any] = {"rank": rank, "rate": rate, "passes": passes}
        chosen = self._service.settings
        usual = Recipe(
            seed=seed,
            targets=chosen.lora_targets,
            alpha=chosen.lora_alpha or None,
            optimizer=chosen.lora_optimizer,
            rslora=chosen.lora_variant == "rslora",
            dora=chosen.lora_variant == "dora",
        )
        recipe = replace(
            usual, **{name: value for name, value in given.items() if value is not None}
        )
        wanted = Distilling(
            memories=tuple(memories),
            query=query,
            kind=None if kind is None else to_member("kind", kind, Kind),
            limit=limit,
            diversity=diversity,
            name=name,
            begin=begin,
            attach=attach,
            when=when,
            recipe=recipe,
        )
        made = self._service.adapters.distill(
            self._cube(cube), wanted, wait=wait, actor=self._actor
        )
        self._service.worker.wake()
        return made

    def merge_adapters(
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
        is made of stay. Without `wait` a job does it. InvalidInput for what can't be merged,
        AdapterRefused if it does not pass.
        """
        wanted = Merging(
            adapters=tuple(adapters),
            shares=tuple(shares),
            method=method,
            rank=rank,
            name=name,
            attach=attach,
            when=when,
        )
        made = self._service.adapters.merge(self._cube(cube), wanted, wait=wait, actor=self._actor)
        self._service.worker.wake()
        return made

    def adapters(
        self, *, cube: str = "default", cursor: str | None = None, limit: int = 50
    ) -> Page[Adapter]:
        """A page of a cube's adapters, oldest first."""
        return self._service.adapters.page(self._cube(cube), cursor=cursor, limit=limit)

    def adapter(self, id: str, *, cube: str = "default") -> Adapter:
        """An adapter with its lineage and report. AdapterNotFound."""
        return self._service.adapters.get(self._cube(cube), id)

    def evaluate(self, id: str, *, cube: str = "default") -> Adapter:
        """Judges it again: what it recalls, and what it should leave alone."""
        return self._service.adapters.evaluate(self._cube(cube), id)

    def attach(self, id: str, *, cube: str = "default") -> Adapter:
        """All answers of the cube are given with it from here on."""
        return self._service.adapters.attach(self._cube(cube), id)

    def detach(self, id: str, *, cube: str = "default") -> Adapter:
        """Answers are given without it again."""
        return self._service.adapters.detach(self._cube(cube), id)

    def rollback_adapter(self, id: str, *, cube: str = "default") -> Adapter:
        """Attaches the newest usable version before this one, and returns that."""
        return self._service.adapters.rollback(self._cube(cube), id)

    def drop_adapter(self, id: str, *, cube: str = "default") -> None:
        """Deletes an adapter with its file; ends its training. The memories stay."""
        self._service.adapters.drop(self._cube(cube), id)
