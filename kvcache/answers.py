"""Answers of the local model in the words of the service."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Generation, Options
from memos.types import Generated, Prompting


def options_of(wanted: Prompting) -> Options:
    """InvalidInput for values out of their range."""
    return Options(**{spec.name: getattr(wanted, spec.name) for spec in fields(wanted)})


def answer_of(model: LocalModel, done: Generation) -> Generated:
    """What was generated, and by which model."""
    return Generated(
        text=done.text,
        finish=done.finish,
        prompt_tokens=done.prompt_tokens,
        reused_tokens=done.cached_tokens,
        new_tokens=len(done.tokens),
        states="loaded" if done.cached_tokens else "recomputed",
        ttft_s=done.ttft_s,
        total_s=done.total_s,
        model=named(model.id),
        shared_tokens=done.shared_tokens,
    )


def named(id: str) -> str:
    """A folder goes by its last part: where it lies on this machine is nobody's business."""
    return Path(id).name if Path(id).is_absolute() else id
