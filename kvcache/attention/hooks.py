"""Hooks on a model that several threads use: each acts for the thread that set it, and no other."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any


def of_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, doing nothing when the model runs in another thread than the one of this call."""
    owner = get_ident()

    def guarded(*args: Any, **kwargs: Any) -> Any:
        return hook(*args, **kwargs) if get_ident() == owner else None

    return guarded
