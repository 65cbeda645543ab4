"""What was measured of reuse out of place: a file for each scope, by model. Numbers, no text."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from pathlib import Path

import msgspec

from memos.errors import StorageUnavailable
from memos.kvcache.lora.checkpoint import replaced
from memos.types import JoinReport

_file = msgspec.json.Decoder(dict[str, JoinReport])


class Reports:
    """Thread-safe. Processes may share the folder; of two that measure at once the last counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def get(self, scope: str, model: str) -> JoinReport | None:
        """None if nothing was measured, or what was can't be read: it is to be measured anew."""
        return self._all(scope).get(model)

    def put(self, scope: str, model: str, report: JoinReport) -> None:
        """In place of what was measured before. StorageError if it can't be kept."""
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = msgspec.json.encode({**self._all(scope), model: report})
            replaced(self._path(scope), content)

    def forget(self, scopes: Collection[str]) -> None:
        """Those of scopes that are gone."""
        for scope in scopes:
            self._path(scope).unlink(missing_ok=True)

    def _all(self, scope: str) -> dict[str, JoinReport]:
        path = self._path(scope)
        try:
            return _file.decode(path.read_bytes())
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError:
            return {}  # by another release, or damaged: a closed gate is safe
        except OSError as error:
            raise StorageUnavailable(f"can't read {path}: {error}", path=str(path)) from error

    def _path(self, scope: str) -> Path:
        return self._folder / f"{hashlib.sha256(scope.encode()).hexdigest()[:32]}.json"
