"""What a language model was asked and what that cost. Knows no provider."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """Requests sent, those of them that failed (no answer, or one of no use), tokens as the server
    counted them, and US dollars by litellm's price list. `unpriced` requests have no price there,
    and `uncounted` ones came back without token counts."""

    requests: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    uncounted: int = 0


class Ledger:
    """Sums by model since it was made. Thread-safe."""

    def __init__(self) -> None:
        self._uses: dict[str, ModelUse] = {}
        self._lock = threading.Lock()

    def asked(self, model: str) -> None:
        """A request is about to be sent."""
        self._add(model, ModelUse(requests=1))

    def failed(self, model: str) -> None:
        """A request that was counted as asked brought nothing of use."""
        self._add(model, ModelUse(failures=1))

    def answered(
        self, model: str, *, prompt: int | None, completion: int | None, cost_usd: float | None
    ) -> None:
        """Tokens and price of an answer, used or not; None where they are not known."""
        self._add(
            model,
            ModelUse(
                prompt_tokens=prompt or 0,
                completion_tokens=completion or 0,
                cost_usd=cost_usd or 0.0,
                unpriced=int(cost_usd is None),
                uncounted=int(prompt is None or completion is None),
            ),
        )

    def snapshot(self) -> Mapping[str, ModelUse]:
        """By model, as of now."""
        with self._lock:
            return dict(self._uses)

    def _add(self, model: str, more: ModelUse) -> None:
        with self._lock:
            sums = self._uses.get(model, ModelUse())
            self._uses[model] = replace(
                sums,
                **{
                    name: getattr(sums, name) + getattr(more, name)
                    for name in ModelUse.__dataclass_fields__
                },
            )
