"""What the verbs of activation memory send, and how their answers are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from memos.client.bodies import cube_path, given, idempotency, json_body, nothing, paging, reader
from memos.client.bodies import segment as path_segment
from memos.client.problems import problem
from memos.client.requests.request import Request
from memos.errors import MemosError
from memos.types import (
    Activation,
    ActivationStats,
    Answers,
    Generated,
    JoinReport,
    Kind,
    Page,
    Piece,
)

_PATIENCE = 540.0
"""Seconds; the first use loads the model, and a long answer takes its time."""

Prompt = str | Sequence[Mapping[str, str]]


def compile(
    *, cube: str, wait: bool, kind: Kind | None, idempotency_key: str, **options: Any
) -> Request[Activation]:
    """Options are sent but for those at their default."""
    defaults = {"memories": [], "name": "", "limit": 100, "pinned": False}
    body = {name: list(value) if name == "memories" else value for name, value in options.items()}
    body = {name: v for name, v in given(body).items() if v != defaults.get(name)}
    if kind is not None:
        body["kind"] = kind
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/activations",
        query=[] if wait else [("wait", "false")],
        body=json_body(body),
        headers=idempotency(idempotency_key),
        read=reader(Activation),
        patience=_PATIENCE,
    )


def activations(*, cube: str, cursor: str | None, limit: int) -> Request[Page[Activation]]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/activations",
        query=paging(cursor, limit),
        read=reader(Page[Activation]),
    )


def activation(id: str, *, cube: str) -> Request[Activation]:
    return Request(method="GET", path=_path(cube, id), read=reader(Activation))


def change(id: str, step: str, *, cube: str) -> Request[Activation]:
    """`step` is warm, pin or unpin."""
    return Request(
        method="POST",
        path=f"{_path(cube, id)}/{step}",
        read=reader(Activation),
        patience=_PATIENCE,
    )


def drop(id: str, *, cube: str, idempotency_key: str) -> Request[None]:
    return Request(
        method="DELETE",
        path=_path(cube, id),
        headers=idempotency(idempotency_key),
        read=nothing,
    )


def activation_stats(*, cube: str) -> Request[ActivationStats]:
    return Request(
        method="GET", path=f"{cube_path(cube)}/activation-stats", read=reader(ActivationStats)
    )


def generate(prompt: Prompt, *, cube: str, **options: Any) -> Request[Generated]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/generate",
        body=_asked(prompt, options),
        read=reader(Generated),
        patience=_PATIENCE,
    )


def generate_stream(prompt: Prompt, *, cube: str, url: str, **options: Any) -> Request[Piece]:
    """Each line of the answer is read by itself."""
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/generate/stream",
        body=_asked(prompt, options),
        read=_piece_reader(url),
        patience=_PATIENCE,
    )


def generate_batch(prompts: Sequence[Prompt], *, cube: str, **options: Any) -> Request[Answers]:
    sent = {**options, "stop": list(options["stop"])}
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/generate/batch",
        body=json_body({"prompts": [_sent(prompt) for prompt in prompts], **given(sent)}),
        read=reader(Answers),
        patience=_PATIENCE,
    )


def generate_joined(
    prompt: Prompt, *, cube: str, activations: Sequence[str], **options: Any
) -> Request[Generated]:
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/generate/joined",
        body=_asked(prompt, {**options, "activations": list(activations)}),
        read=reader(Generated),
        patience=_PATIENCE,
    )


def measure_joining(
    questions: Sequence[str],
    *,
    cube: str,
    activations: Sequence[str],
    ratios: Sequence[float],
    **options: Any,
) -> Request[JoinReport]:
    lists = {
        "questions": list(questions),
        "activations": list(activations),
        "ratios": list(ratios),
    }
    return Request(
        method="POST",
        path=f"{cube_path(cube)}/joining",
        body=json_body({**lists, **given(options)}),
        read=reader(JoinReport),
        patience=_PATIENCE,
    )


def joining(*, cube: str, adapter: str | None) -> Request[JoinReport]:
    return Request(
        method="GET",
        path=f"{cube_path(cube)}/joining",
        query=[("adapter", adapter)] if adapter is not None else [],
        read=reader(JoinReport),
        patience=_PATIENCE,
    )


def broken_off(url: str) -> MemosError:
    """For an answer that ends without an end."""
    return MemosError(f"{url} broke off in the middle of an answer; ask again")


def _path(cube: str, id: str) -> str:
    return f"{cube_path(cube)}/activations/{path_segment(id, 'activation id')}"


def _asked(prompt: Prompt, options: Mapping[str, Any]) -> bytes:
    stop = {"stop": list(options["stop"])}
    return json_body({"prompt": _sent(prompt), **given({**options, **stop})})


def _sent(prompt: Prompt) -> Any:
    return prompt if isinstance(prompt, str) else [dict(message) for message in prompt]


def _piece_reader(url: str) -> Callable[[bytes], Piece]:
    read = reader(Piece)

    def piece(line: bytes) -> Piece:
        if b'"problem"' in line:
            document = msgspec.json.decode(line).get("problem")
            if document is not None:
                status = int(document.get("status", 500))
                raise problem(status, json_body(document), url=url, request_id=None)
        found: Piece = read(line)
        return found

    return piece
