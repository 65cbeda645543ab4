"""The verbs of activation memory, and of the local model that goes on from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from memos.activation.selection import Selection
from memos.service.verbs.base import Verbs
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
    Prompting,
    Recomputed,
)
from memos.validation import to_member

Prompt = str | Sequence[Mapping[str, str]]
"""A question as it stands, or messages ({role, content})."""


class ActivationVerbs(Verbs):
    """compile, activations, activation, warm, pin, unpin, drop, activation_stats, generate,
    generate_stream, generate_batch, generate_joined, measure_joining, joining."""

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
        states. InvalidInput for nothing to compile, more than the model can read, or a policy
        without the guide that it needs.
        """
        wanted = Selection(
            memories=tuple(memories),
            query=query,
            kind=None if kind is None else to_member("kind", kind, Kind),
            text=text,
            system=system,
            limit=limit,
            token_budget=token_budget,
        )
        made = self._service.activations.compile(
            self._cube(cube),
            wanted,
            name=name,
            codec=codec,
            policy=policy,
            guide=guide,
            pinned=pinned,
            wait=wait,
            actor=self._actor,
        )
        self._service.worker.wake()
        return made

    def activations(
        self, *, cube: str = "default", cursor: str | None = None, limit: int = 50
    ) -> Page[Activation]:
        """A page of a cube's activation memories, oldest first, without their texts."""
        return self._service.activations.page(self._cube(cube), cursor=cursor, limit=limit)

    def activation(self, id: str, *, cube: str = "default") -> Activation:
        """An activation memory with its plaintext. ActivationNotFound."""
        return self._service.activations.get(self._cube(cube), id)

    def warm(self, id: str, *, cube: str = "default") -> Activation:
        """Brings its states near, computing what is missing, before they are needed."""
        return self._service.activations.warm(self._cube(cube), id)

    def pin(self, id: str, *, cube: str = "default") -> Activation:
        """Keeps its states from being evicted for others."""
        return self._service.activations.pin(self._cube(cube), id, pinned=True)

    def unpin(self, id: str, *, cube: str = "default") -> Activation:
        """Undoes `pin`."""
        return self._service.activations.pin(self._cube(cube), id, pinned=False)

    def drop(self, id: str, *, cube: str = "default") -> None:
        """Deletes an activation memory with its states. The memories it was made of stay."""
        self._service.activations.drop(self._cube(cube), id)

    def activation_stats(self, *, cube: str = "default") -> ActivationStats:
        """How many there are, in which state, how large, how often used."""
        return self._service.activations.stats(self._cube(cube))

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
        """The local model's answer. With `activation` it begins at the states of that memory.

        StateConflict if that is stale, FingerprintMismatch if another model made it; `refresh`
        compiles it anew then, from what is there now. `adapter` names the adapter to answer
        with, "none" for none; left out, it is the one that is attached.
        """
        wanted = Prompting(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stop=tuple(stop),
        )
        with self._service.foreground.request():
            return self._service.answering.generate(
                self._cube(cube),
                _messages(prompt),
                wanted,
                activation=activation,
                refresh=refresh,
                adapter=adapter,
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
        wanted = Prompting(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stop=tuple(stop),
        )
        return self._service.answering.stream(
            self._cube(cube),
            _messages(prompt),
            wanted,
            activation=activation,
            refresh=refresh,
            adapter=adapter,
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
        """The answers to several prompts at once, in their order, each as it would be alone.

        What they have in common, the activation memory above all, is computed or loaded once and
        held once. BatchTooLarge for more than 64; else as `generate`.
        """
        wanted = Prompting(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stop=tuple(stop),
        )
        with self._service.foreground.request():
            return self._service.answering.batch(
                self._cube(cube),
                [_messages(prompt) for prompt in prompts],
                wanted,
                activation=activation,
                refresh=refresh,
                adapter=adapter,
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
        it was compiled to by itself.

        Only where `measure_joining` found that next to nothing changes; else all is read in full,
        `joined` is False and `reason` says why. With `top` only the texts that the prompt attends
        to most are in it. Errors as of `generate`.
        """
        wanted = Prompting(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            seed=seed,
            stop=tuple(stop),
        )
        with self._service.foreground.request():
            return self._service.answering.joined(
                self._cube(cube),
                list(activations),
                _messages(prompt),
                wanted,
                top=top,
                refresh=refresh,
                adapter=adapter,
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
        by the share of tokens that is computed again.

        What is found decides for `generate_joined` in this cube, with this model, until it is
        measured again. ModelUnsupported if the model's keys can't be moved.
        """
        with self._service.foreground.request():
            return self._service.answering.measure_joining(
                self._cube(cube),
                list(activations),
                list(questions),
                ratios=list(ratios),
                selection=selection,
                adapter=adapter,
            )

    def joining(self, *, adapter: str | None = None, cube: str = "default") -> JoinReport:
        """What `measure_joining` found in this cube. NotFound if nothing was measured."""
        return self._service.answering.joining(self._cube(cube), adapter=adapter)


def _messages(prompt: Prompt) -> Sequence[Mapping[str, str]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
