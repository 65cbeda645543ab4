"""The verbs of activation memory and of the local model, for the sync client.

Knows what they send by `memos.client.requests.activations`; how it is sent is the client's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

from memos.client.requests import activations as requests
from memos.client.requests.activations import Prompt
from memos.client.requests.request import Request
from memos.client.sync.base import Verbs
from memos.types import (
    JOIN_RATIOS,
    Activation,
    ActivationStats,
    Answers,
    Generated,
    JoinReport,
    Kind,
    Page,
    Piece,
    Recomputed,
)


class ActivationVerbs(Verbs):
    """What a client can ask of activation memory."""

    @abstractmethod
    def _stream(self, request: Request[Piece]) -> Iterator[Piece]: ...

    @property
    @abstractmethod
    def _url(self) -> str: ...

    def compile(
        self,
        *,
        memories: Sequence[str] = (),
        query: str | None = None,
        kind: Kind | None = None,
        text: str | None = None,
        system: str | None = None,
        name: str = "",
        cube: str = "default",
        limit: int = 100,
        token_budget: int | None = None,
        codec: str | None = None,
        policy: str | None = None,
        guide: str | None = None,
        pinned: bool = False,
        wait: bool = True,
    ) -> Activation:
        """Has the local model read memories once, and keeps what it made of them.

        Memories are given by id, by a search for `query`, or as all of a `kind`; `system` comes
        before them, `text` of one's own after. `token_budget` leaves memories out that have no
        room; `policy`, such as keydiff:0.5, leaves out states, which changes answers; `guide` is a
        prompt that says to some policies what will be asked. Without `wait` a job computes the
        states.
        """
        return self._send(
            requests.compile(
                memories=memories,
                query=query,
                kind=kind,
                text=text,
                system=system,
                name=name,
                cube=cube,
                limit=limit,
                token_budget=token_budget,
                codec=codec,
                policy=policy,
                guide=guide,
                pinned=pinned,
                wait=wait,
                idempotency_key=self._key(),
            )
        )

    def activations(
        self, *, cube: str = "default", cursor: str | None = None, limit: int = 50
    ) -> Page[Activation]:
        """A page of a cube's activation memories, oldest first, without their texts."""
        return self._send(requests.activations(cube=cube, cursor=cursor, limit=limit))

    def activation(self, id: str, *, cube: str = "default") -> Activation:
        """An activation memory with its plaintext. ActivationNotFound."""
        return self._send(requests.activation(id, cube=cube))

    def warm(self, id: str, *, cube: str = "default") -> Activation:
        """Brings its states near, computing what is missing, before they are needed."""
        return self._send(requests.change(id, "warm", cube=cube))

    def pin(self, id: str, *, cube: str = "default") -> Activation:
        """Keeps its states from being evicted for others."""
        return self._send(requests.change(id, "pin", cube=cube))

    def unpin(self, id: str, *, cube: str = "default") -> Activation:
        """Undoes `pin`."""
        return self._send(requests.change(id, "unpin", cube=cube))

    def drop(self, id: str, *, cube: str = "default") -> None:
        """Deletes an activation memory with its states. The memories it was made of stay."""
        self._send(requests.drop(id, cube=cube, idempotency_key=self._key()))

    def activation_stats(self, *, cube: str = "default") -> ActivationStats:
        """How many there are, in which state, how large, how often used."""
        return self._send(requests.activation_stats(cube=cube))

    def generate(
        self,
        prompt: Prompt,
        *,
        activation: str | None = None,
        refresh: bool = False,
        adapter: str | None = None,
        cube: str = "default",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Generated:
        """The local model's answer. With `activation` it begins at the states of that memory;
        `refresh` compiles that anew if it is stale or another model's. `adapter` names the adapter
        to answer with, "none" for none; left out, it is the one that is attached."""
        return self._send(
            requests.generate(
                prompt,
                cube=cube,
                activation=activation,
                refresh=refresh,
                adapter=adapter,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                seed=seed,
                stop=stop,
            )
        )

    def generate_stream(
        self,
        prompt: Prompt,
        *,
        activation: str | None = None,
        refresh: bool = False,
        adapter: str | None = None,
        cube: str = "default",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Iterator[Piece]:
        """The same answer in pieces as they come; the last piece has `done`."""
        return self._stream(
            requests.generate_stream(
                prompt,
                cube=cube,
                url=self._url,
                activation=activation,
                refresh=refresh,
                adapter=adapter,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                seed=seed,
                stop=stop,
            )
        )

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        activation: str | None = None,
        refresh: bool = False,
        adapter: str | None = None,
        cube: str = "default",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Answers:
        """The answers to several prompts at once, in their order, each as it would be alone. What
        they have in common, the activation memory above all, is computed or loaded once."""
        return self._send(
            requests.generate_batch(
                prompts,
                cube=cube,
                activation=activation,
                refresh=refresh,
                adapter=adapter,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                seed=seed,
                stop=stop,
            )
        )

    def generate_joined(
        self,
        prompt: Prompt,
        *,
        activations: Sequence[str],
        top: int | None = None,
        refresh: bool = False,
        adapter: str | None = None,
        cube: str = "default",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        seed: int | None = None,
        stop: Sequence[str] = (),
    ) -> Generated:
        """The answer from several activation memories, one after another, each from the states that
        it was compiled to by itself: where `measure_joining` found that next to nothing changes;
        else all is read in full, and `reason` says why. With `top` only the texts that the prompt
        attends to most are in it."""
        return self._send(
            requests.generate_joined(
                prompt,
                cube=cube,
                activations=activations,
                top=top,
                refresh=refresh,
                adapter=adapter,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                seed=seed,
                stop=stop,
            )
        )

    def measure_joining(
        self,
        questions: Sequence[str],
        *,
        activations: Sequence[str],
        ratios: Sequence[float] = JOIN_RATIOS,
        selection: Recomputed = "deviation",
        adapter: str | None = None,
        cube: str = "default",
    ) -> JoinReport:
        """How near answers from these activation memories joined are to those after a full prefill,
        by the share of tokens that is computed again. It decides for `generate_joined` in this
        cube, until it is measured again."""
        return self._send(
            requests.measure_joining(
                questions,
                cube=cube,
                activations=activations,
                ratios=ratios,
                selection=selection,
                adapter=adapter,
            )
        )

    def joining(self, *, adapter: str | None = None, cube: str = "default") -> JoinReport:
        """What `measure_joining` found in this cube. NotFound if nothing was measured."""
        return self._send(requests.joining(cube=cube, adapter=adapter))
