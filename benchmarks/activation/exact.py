"""The same answers after a reload in a new process as from a full prefill, in float32.

One process stores passages and answers every prompt by a full prefill of its own; another opens the
store, loads the passages and answers too. Compared: the logits of the first new token and the
greedy tokens, for a model of full attention and one of sliding windows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from memos.benchmarks import report
from memos.benchmarks.activation.models import model_of, passages, shaped
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.rows import Prefix
from memos.kvcache.generator.running import running
from memos.kvcache.reuse.prefix import PrefixReuse
from memos.kvcache.store.store import BlockStore

LOGITS = 1e-4
"""Most that a logit may differ by."""
PER_PASSAGE = 10
PASSAGE_TOKENS = 136
ROWS = 100
QUESTIONS = (
    "\nQuestion: What did they talk about?\nAnswer:",
    "\nWho speaks first?",
    "\nWhat happened next was",
    "\nIn one sentence:",
    "\nThe most important point is",
    "\nQuestion: Where were they?\nAnswer:",
    "\nThey will probably",
    "\nA title for this conversation:",
    "\nQuestion: When was that?\nAnswer:",
    "\nTo sum up,",
)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The part's data, and one raw row per prompt."""
    models, rows = {}, []
    for kind in ("full", "sliding"):
        print(f"… {kind}", file=sys.stderr, flush=True)
        models[kind], found = _compared(kind, options)
        rows += [{"attention": kind, **row} for row in found]
    targets = [
        {
            "target": f"{kind}: {what}",
            "got": models[kind][name],
            "met": models[kind][name] <= most if name == "logits" else not models[kind][name],
        }
        for kind in models
        for name, what, most in (
            ("logits", f"largest difference of a logit ≤ {LOGITS}", LOGITS),
            ("other_tokens", "prompts with other greedy tokens = 0", 0),
        )
    ]
    return {"models": models, "targets": targets}, rows


def _model(kind: str, options: argparse.Namespace) -> LocalModel:
    if kind == "full":
        return model_of(options, dtype="float32")
    return shaped(
        "sliding-window",
        cache_dir=options.cache_dir,
        device=options.device,
        dtype="float32",
        seed=options.seed,
    )


def _prompts(model: LocalModel, options: argparse.Namespace) -> list[tuple[list[int], list[int]]]:
    """(passage, question) token ids; the same in every process."""
    count = -(-options.prompts // PER_PASSAGE)
    texts = passages(model, count, tokens=PASSAGE_TOKENS, seed=options.seed)
    questions = [model.tokens(question) for question in QUESTIONS]
    return [(text, question) for text in texts for question in questions][: options.prompts]


def _compared(
    kind: str, options: argparse.Namespace
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    model = _model(kind, options)
    prompts = _prompts(model, options)
    with tempfile.TemporaryDirectory(prefix="memos-kv-", dir=options.store_dir) as folder:
        with BlockStore(Path(folder) / "kv", budget_bytes=1 << 40) as store:
            reuse = PrefixReuse(model, store)
            for passage, _ in prompts[::PER_PASSAGE]:
                reuse.compile(passage)
        full_logits, full_tokens = _full(model, [p + q for p, q in prompts], options.tokens)
        again = _in_new_process(kind, Path(folder), options)
        logits = torch.load(Path(folder) / "logits.pt", weights_only=True)
    differences = (logits - full_logits).abs().amax(dim=1).tolist()
    rows = [
        {"prompt": n, "logits": d, "cached": c, "same_tokens": a == b}
        for n, (d, c, a, b) in enumerate(
            zip(differences, again["cached"], again["tokens"], full_tokens, strict=True)
        )
    ]
    return {
        "model": model.id,
        "prompts": len(prompts),
        "tokens": options.tokens,
        "cached_tokens": sum(again["cached"]),
        "logits": max(differences),
        "other_tokens": sum(not row["same_tokens"] for row in rows),
    }, rows


def _full(
    model: LocalModel, prompts: Sequence[list[int]], tokens: int
) -> tuple[torch.Tensor, list[list[int]]]:
    """By transformers' own cache and attention, one by one; nothing is shared or stored. Answers
    then go on from these caches, some at a time."""
    logits, answers = [], []
    for at in range(0, len(prompts), ROWS):
        group = prompts[at : at + ROWS]
        read = [model.prefill(prompt) for prompt in group]
        prefixes = [
            Prefix(model.from_cache(done.cache), 0, len(prompt), row, row + 1)
            for row, (done, prompt) in enumerate(zip(read, group, strict=True))
        ]
        first = torch.stack([done.logits[-1] for done in read])
        del read
        rows = running(model, len(group), prefixes, room=tokens)
        answers += _greedy(rows, first, tokens)
        logits.append(first.cpu())
    return torch.cat(logits), answers


def _greedy(rows: Any, logits: torch.Tensor, tokens: int) -> list[list[int]]:
    """The likeliest tokens of each row, whether or not they end the answer."""
    answers: list[list[int]] = [[] for _ in range(len(logits))]
    for step in range(tokens):
        chosen = logits.argmax(dim=-1).tolist()
        for answer, token in zip(answers, chosen, strict=True):
            answer.append(token)
        if step < tokens - 1:
            logits = rows.advance([[token] for token in chosen])
    return answers


def _in_new_process(kind: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    given = {key: str(v) if isinstance(v, Path) else v for key, v in vars(options).items()}
    code = "import sys; from memos.benchmarks.activation import exact; exact.child(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, kind, str(folder), json.dumps(given)], check=True)
    found: dict[str, Any] = json.loads((folder / "again.json").read_text("utf-8"))
    return found


def child(kind: str, folder: str, given: str) -> None:
    """Answers from the store in `folder`, in a process that has computed nothing before."""
    options = argparse.Namespace(**json.loads(given))
    options.cache_dir = Path(options.cache_dir)
    model = _model(kind, options)
    prompts = [p + q for p, q in _prompts(model, options)]
    tokens: list[list[int]] = [[] for _ in prompts]
    cached = [0] * len(prompts)
    logits = torch.zeros(len(prompts), model.config.vocab_size)
    with BlockStore(Path(folder) / "kv", budget_bytes=1 << 40) as store:
        reuse = PrefixReuse(model, store)
        for at in range(0, len(prompts), ROWS):
            begun = reuse.begin(prompts[at : at + ROWS], room=options.tokens)
            answers = _greedy(begun.running, begun.logits, options.tokens)
            for row, index in enumerate(begun.order):
                logits[at + index] = begun.logits[row].cpu()
                tokens[at + index] = answers[row]
                cached[at + index] = begun.cached[row]
    torch.save(logits, Path(folder) / "logits.pt")
    (Path(folder) / "again.json").write_text(json.dumps({"tokens": tokens, "cached": cached}))


def markdown(data: dict[str, Any]) -> str:
    """The part as Markdown."""
    head = ["attention", *next(iter(data["models"].values()))]
    body = [[kind, *values.values()] for kind, values in data["models"].items()]
    targets = [[t["target"], t["got"], "yes" if t["met"] else "no"] for t in data["targets"]]
    return (
        "## Exactness\n\nfloat32; stored passages reloaded in a new process, beside a full prefill."
        f"\n\n{report.table(head, body)}\n\n{report.table(['target', 'got', 'met'], targets)}"
    )
