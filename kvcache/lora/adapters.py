"""Adapters of the local model as one thing: train, judge, keep, put to work, merge, forget.

Where an adapter's examples come from and whether it may still be used is decided elsewhere. A
training has a module of its own, loaded anew, so that the one that answers is never touched.
"""

from __future__ import annotations

import hashlib
import json
import logging
import resource
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memos.errors import AdapterCorrupt, AdapterMismatch, AdapterNotFound, ModelUnsupported
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.generator.request import Options
from memos.kvcache.lora.applying import Applying
from memos.kvcache.lora.checkpoint import Checkpoint, replaced, sources_of
from memos.kvcache.lora.judging import Between, Neutral, answered, nothing, report
from memos.kvcache.lora.learning import Learner, check
from memos.kvcache.lora.merging import merged
from memos.kvcache.lora.packing import Tokenised, Tokeniser
from memos.kvcache.lora.shelf import Shelf
from memos.kvcache.lora.training import Outcome, Progress, Training
from memos.kvcache.lora.weights import About, Weights, made, of_pairs, to_lora
from memos.kvcache.tiers.budget import Budget
from memos.types import (
    AdapterReport,
    ArtifactSource,
    Example,
    Form,
    Gate,
    Recipe,
    Trained,
    TrainingSet,
)

log = logging.getLogger(__name__)

_DRAFT = ".training"
_ANSWER_TOKENS = 12
"""Of an answer that is to stay."""
_BASE_PARTS = ("config", "weights", "tokenizer", "template")
"""Parts of a fingerprint that an adapter depends on; it works in any dtype and attention."""


class LocalAdapters:
    """`memos.protocols.AdapterStore`. `model` is the one that answers, `load` gives another."""

    def __init__(
        self,
        model: Callable[[], LocalModel],
        load: Callable[[], LocalModel],
        folder: Path,
        *,
        ram_bytes: int,
        shared: Budget | None = None,
        codec: str = "bfloat16",
        checkpoint_seconds: float = 20.0,
    ) -> None:
        self._model = model
        self._load = load
        self._folder = folder
        self._codec = codec
        self._every = checkpoint_seconds
        self.shelf = Shelf(folder, ram_bytes=ram_bytes, shared=shared)
        self._views: dict[str, LocalModel] = {}
        self._lock = threading.Lock()

    def train(
        self,
        name: str,
        wanted: TrainingSet,
        recipe: Recipe,
        gate: Gate,
        sources: Sequence[ArtifactSource],
        *,
        told: Callable[[float, float | None], None] = lambda share, recall: None,
    ) -> Trained:
        check(recipe)
        base = self._trainable()
        tokeniser = Tokeniser(base)
        held, neutral = self._left_alone(base, tokeniser, wanted, lambda: told(0.0, None))
        begin = self.weights(wanted.begin) if wanted.begin else None
        identity = _identity(base, wanted, recipe, begin)
        ids = [source.memory_id for source in sources]
        checkpoint = Checkpoint(self._draft(name), identity, sources=ids, every=self._every)
        module = self._module()
        training = Training(
            module,
            tokeniser.head,
            recipe,
            examples=[tokeniser.example(example) for example in wanted.examples],
            known=[n for n, one in enumerate(wanted.examples) if one.source in wanted.known],
            replay=held,
            probes=[tokeniser.probe(probe) for probe in wanted.probes if not probe.trained],
            checkpoint=checkpoint,
            told=lambda progress: told(*_told(progress)),
            learner=Learner,
        )
        learner = training.learner
        if begin is not None:
            learner.begin(to_lora(begin))
        outcome = training.run()
        about = About(
            rank=recipe.rank,
            scale=learner.scale,
            base=base_parts(base),
            sources=tuple(sources),
            codec=self._codec,
        )
        weights = made(about, learner.lora())
        # What is kept is what is judged.
        learner.begin(to_lora(weights))
        view = base.adapted(weights)
        try:
            judged = report(
                learner.module,
                learner.without,
                base,
                view,
                tokeniser,
                wanted,
                neutral,
                gate,
                between=lambda: told(1.0, None),
            )
        finally:
            base.applying.release(weights.digest)
        size = self._kept(name, weights, judged)
        checkpoint.remove()
        return _trained(name, weights, size, judged, module.device.type, outcome)

    def merge(
        self,
        name: str,
        names: Sequence[str],
        wanted: TrainingSet,
        gate: Gate,
        sources: Sequence[ArtifactSource],
        *,
        shares: Sequence[float] = (),
        method: str = "linear",
        rank: int | None = None,
    ) -> Trained:
        began = time.monotonic()
        parts = [self.weights(one) for one in names]
        whole = merged(parts, shares, method=method, rank=rank)
        about = replace(whole.about, sources=tuple(sources), codec=self._codec)
        weights = of_pairs(about, whole.layers)
        judged = self._judged(weights, wanted, gate)
        size = self._kept(name, weights, judged)
        return _trained(
            name,
            weights,
            size,
            judged,
            self._model().device.type,
            Outcome(0, 0, 0.0, time.monotonic() - began, "merged"),
        )

    def evaluate(self, name: str, wanted: TrainingSet, gate: Gate) -> AdapterReport:
        return self._judged(self.weights(name), wanted, gate)

    def weights(self, name: str) -> Weights:
        """AdapterNotFound, AdapterCorrupt; AdapterMismatch if it is another model's."""
        weights = self.shelf.get(name)
        runs = base_parts(self._model())
        parts = [part for part in _BASE_PARTS if weights.about.base.get(part) != runs[part]]
        if parts:
            raise AdapterMismatch(
                f"adapter {name} was trained for another model than the one that runs; they differ "
                f"in {', '.join(parts)}. Set local_model back, or distill it again",
                adapter_id=name,
                parts=parts,
            )
        return weights

    def check(self, name: str) -> str:
        return self.weights(name).digest

    def adapted(self, name: str) -> LocalModel:
        """The model with this adapter; a view that costs nothing to keep."""
        weights, base = self.weights(name), self._model()
        with self._lock:
            known = self._views.get(name)
            if known is None or known.identity.adapter != weights.digest:
                self._views[name] = known = base.adapted(weights)
            return known

    def remove(self, name: str) -> bool:
        with self._lock:
            view = self._views.pop(name, None)
        if view is not None:
            view.applying.release(view.identity.adapter)
        self._draft(name).unlink(missing_ok=True)
        return self.shelf.remove(name)

    def forget(self, source_ids: Collection[str]) -> list[str]:
        wanted, gone = set(source_ids), []
        for name, sources in self.inventory().items():
            # What can't be read can't be shown to be free of it.
            if not sources or wanted.intersection(sources):
                self.remove(name)
                gone.append(name)
        return gone

    def inventory(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name in self.shelf.names():
            try:
                about = self.shelf.about(name)
            except AdapterNotFound:  # gone since
                continue
            except AdapterCorrupt as error:
                log.warning("adapter %s is damaged: %s", name, error)
                found[name] = ()
                continue
            found[name] = tuple(source.memory_id for source in about.sources)
        for path in self._folder.glob(f"*{_DRAFT}"):
            name = path.name.removesuffix(_DRAFT)
            found[name] = (*found.get(name, ()), *sources_of(path))
        return found

    def stats(self) -> Mapping[str, float]:
        now = self.shelf.stats()
        return {
            "lora_adapters": now.registered,
            "lora_ram_adapters": now.held,
            "lora_ram_bytes": now.bytes,
            "lora_hits": now.hits,
            "lora_misses": now.misses,
            "lora_evicted": now.evicted,
        }

    def _judged(self, weights: Weights, wanted: TrainingSet, gate: Gate) -> AdapterReport:
        base = self._trainable()
        tokeniser = Tokeniser(base)
        _, neutral = self._left_alone(base, tokeniser, wanted)
        module = self._module()
        applying = Applying(module)
        with applying.at_work((weights,)):
            return report(
                module,
                lambda: applying.at_work(()),
                base,
                base.adapted(weights),
                tokeniser,
                wanted,
                neutral,
                gate,
            )

    def _kept(self, name: str, weights: Weights, judged: AdapterReport) -> int:
        """Bytes of the file; 0, and no file, if it was refused."""
        return self.shelf.put(name, weights)[0] if judged.refused is None else 0

    def _draft(self, name: str) -> Path:
        return self._folder / f"{name}{_DRAFT}"

    def _module(self) -> Any:
        """Weights of its own, to be changed."""
        module = self._load().module
        # Ours reads stored states in place, which training has none of.
        module.set_attn_implementation("sdpa")
        return module

    def _trainable(self) -> LocalModel:
        """The model that answers. Examples share a row, and only attention keeps them apart."""
        model = self._model()
        if model.recurrent:
            raise ModelUnsupported(
                f"model {model.id!r} has recurrent layers, and adapters are made for models of "
                "attention layers only; its texts can be compiled",
                model=model.id,
            )
        return model

    def _left_alone(
        self,
        base: LocalModel,
        tokeniser: Tokeniser,
        wanted: TrainingSet,
        between: Between = nothing,
    ) -> tuple[list[Tokenised], Neutral]:
        """What is held in training, and what is asked afterwards."""
        alone = wanted.alone
        answers = self._answers(base, (*alone.held, *alone.asked), between)
        held = [tokeniser.begun(q, answers[q]) for q in alone.held if answers[q]]
        held += [
            tokeniser.example(Example(prompt="", answer=text, form=Form.REPLAY, chat=False))
            for text in alone.held_texts
        ]
        asked = [question for question in alone.asked if answers[question]]
        return held, Neutral(
            texts=tuple(tuple(base.tokens(text)) for text in alone.texts),
            asked=tuple(tokeniser.begun(question, answers[question]) for question in asked),
            texts_at_work=tuple(text not in wanted.idle for text in alone.texts),
            asked_at_work=tuple(question not in wanted.idle for question in asked),
        )

    def _answers(
        self, base: LocalModel, questions: Sequence[str], between: Between
    ) -> dict[str, list[int]]:
        """Token ids of what the model says without an adapter, kept on disk per model, also those
        that were there when `between` ended it."""
        key = hashlib.sha256(base.fingerprint.to_json().encode()).hexdigest()[:32]
        path = self._folder / f"answers-{key}.json"
        known = _json(path)
        new = [question for question in dict.fromkeys(questions) if question not in known]
        options = Options(max_new_tokens=_ANSWER_TOKENS)
        for part in answered(base, new, options, between):
            known |= {q: list(answer.tokens) for q, answer in zip(new, part, strict=False)}
            new = new[len(part) :]
            replaced(path, json.dumps(known).encode())
        return {question: list(known[question]) for question in questions}


def base_parts(model: LocalModel) -> dict[str, str]:
    """What an adapter depends on of the model that it is trained for."""
    return {part: model.fingerprint.parts[part] for part in _BASE_PARTS}


def _identity(base: LocalModel, wanted: TrainingSet, recipe: Recipe, begin: Weights | None) -> str:
    """Of a training: all that its outcome follows from."""
    digest = hashlib.sha256(base.fingerprint.to_json().encode())
    digest.update(
        repr((wanted.examples, wanted.probes, wanted.alone, wanted.known, recipe)).encode()
    )
    digest.update((begin.digest if begin else "").encode())
    return digest.hexdigest()


def _told(progress: Progress) -> tuple[float, float | None]:
    return progress.step / max(progress.steps, 1), progress.recall


def _trained(
    name: str,
    weights: Weights,
    size: int,
    judged: AdapterReport,
    device: str,
    outcome: Outcome,
) -> Trained:
    return Trained(
        file=name,
        digest=weights.digest,
        bytes=size,
        parameters=weights.parameters,
        rank=weights.about.rank,
        steps=outcome.steps,
        tokens=outcome.tokens,
        seconds=outcome.seconds,
        peak_bytes=_peak(device),
        loss=outcome.loss,
        stopped=outcome.stopped,
        report=judged,
    )


def _peak(device: str) -> int:
    """Most bytes that were held: of the device, else of this process since it began."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}  # it only saves time
    return content if isinstance(content, dict) else {}
