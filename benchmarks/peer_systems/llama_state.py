"""Times llama.cpp's saved state: a cold prefill, saving, and going on after a load. Prints nothing.

Run as a script by `memos.benchmarks.activation.llama`, in an environment that has llama.cpp by the
package cyllama:

    python llama_state.py TASK.json RESULT.json

Stands alone (standard library and cyllama), because that environment has no memos.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOM = 64


def main(task_file: str, result_file: str) -> None:
    """Measures each length of the task; times in ms."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    model, llama = _model(task)
    found = {
        "version": f"cyllama {metadata.version('cyllama')}",
        "lengths": [_measured(llama, model, stored, task) for stored in task["lengths"]],
    }
    Path(result_file).write_text(json.dumps(found), encoding="utf-8")


def _model(task: dict[str, Any]) -> tuple[Any, Any]:
    from cyllama.llama import llama_cpp as llama

    llama.ggml_backend_load_all()
    params = llama.LlamaModelParams()
    params.n_gpu_layers = 0
    return llama.LlamaModel(task["model"], params), llama


def _measured(llama: Any, model: Any, stored: int, task: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(task["seed"] + stored)
    tokens = [chance.randrange(100, task["vocabulary"]) for _ in range(stored + task["new"])]
    params = llama.LlamaContextParams()
    params.n_ctx = params.n_batch = len(tokens) + _ROOM
    params.n_threads = params.n_threads_batch = task["threads"]
    context = llama.LlamaContext(model, params)
    sampler = llama.LlamaSampler()
    sampler.add_greedy()
    file = str(Path(task["folder"]) / f"{stored}.state")
    times: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = act()
        times.setdefault(name, []).append((time.perf_counter() - start) * 1e3)
        return result

    def read(part: list[int], before: int) -> int:
        context.decode(llama.llama_batch_get_one(part, before))
        return int(sampler.sample(context, -1))

    def again() -> int:
        known = context.load_state_file(file, len(tokens))
        return read(tokens[len(known) :], len(known))

    first = set()
    for _ in range(task["cold_repeats"]):
        context.kv_cache_clear(True)
        first.add(timed("cold", lambda: read(tokens, 0)))
    context.memory_seq_rm(0, stored, -1)
    timed("save", lambda: context.save_state_file(file, tokens[:stored]))
    for name in ("hit_cold", "hit_warm"):
        for _ in range(task["repeats"]):
            if name == "hit_cold":
                _drop(file)
            context.kv_cache_clear(True)
            first.add(timed(name, again))
    return {
        "stored": stored,
        "bytes": os.path.getsize(file),
        "times": times,
        "first_tokens": len(first),
    }


def _drop(file: str) -> None:
    """Asks the system to forget what it has cached of the file."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


if __name__ == "__main__":
    main(*sys.argv[1:])
