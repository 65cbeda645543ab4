"""The local model and its stored states as one thing: compile a text, go on from there, forget it.

Puts generator, store, tiers and reuse together. Texts, salts and sources come from outside; which
text may still be used is decided there too. The store can be opened without the model: to forget
and to count needs no weights.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from memos.errors import BlockNotFound, InvalidInput, MemosError
from memos.kvcache.answers import answer_of, named, options_of
from memos.kvcache.blocks.block import Source
from memos.kvcache.codecs.registry import codec_named
from memos.kvcache.compressed import CompressedReader, compress, found
from memos.kvcache.cost import CostModel, calibrate
from memos.kvcache.generator.ending import Ending
from memos.kvcache.generator.generator import LocalGenerator, Reader
from memos.kvcache.generator.model import LocalModel
from memos.kvcache.grouping.grouping import Grouping
from memos.kvcache.joined import LocalJoining
from memos.kvcache.lora.adapters import LocalAdapters
from memos.kvcache.openings import Messages, guide_tokens, label_of, opening_tokens, prompt_of
from memos.kvcache.reuse.begun import Counters
from memos.kvcache.reuse.prefix import EXACT, PrefixReuse
from memos.kvcache.store.hit import Hit
from memos.kvcache.store.store import BlockStore
from memos.kvcache.tiers.budget import Budget
from memos.kvcache.tiers.device import DeviceTier
from memos.kvcache.tiers.ram import RamTier
from memos.kvcache.tiers.remote import RemoteTier
from memos.kvcache.tiers.tiers import Tiers
from memos.types import (
    Answers,
    ArtifactSource,
    Inventory,
    Kept,
    LanguageModel,
    Opening,
    Piece,
    Prompting,
)

log = logging.getLogger(__name__)

_LAYER_S = 10.0
"""Within which a pass comes to its next layer."""


class LocalActivations:
    """`memos.protocols.LocalStates`. `load` is called at the first need of the model, and for each
    training. `adapters` is the folder of those, by default one in `folder`.

    `remote` is an fsspec URL, empty for none; without `ram_bytes` states are read from disk. Of a
    model on a CUDA device at most `device_bytes` of states stay there between requests, and RAM is
    pinned. With `measured` a cost model is calibrated at the first use and decides whether to load.
    Answers that are made at the same time are made together, `group_rows` at most; 1: none are.
    """

    def __init__(
        self,
        load: Callable[[], LocalModel],
        folder: Path,
        *,
        disk_bytes: int,
        ram_bytes: int = 0,
        device_bytes: int = 0,
        remote: str = "",
        measured: bool = True,
        group_rows: int = 8,
        adapters: Path | None = None,
        adapter_ram_bytes: int = 256 << 20,
        adapter_codec: str = "bfloat16",
    ) -> None:
        self._load = load
        self._folder = folder
        self._measured = measured
        self._device_bytes = device_bytes
        self._store = BlockStore(folder, budget_bytes=disk_bytes)
        # Adapters may take their share; states have all that these leave.
        budget = Budget(ram_bytes + adapter_ram_bytes)
        self._tiers = Tiers(
            self._store,
            ram=RamTier(budget_bytes=budget) if ram_bytes else None,
            remote=RemoteTier(remote) if remote else None,
        )
        self._lock = threading.Lock()
        self._loaded: LocalModel | None = None
        self._ending = Ending()
        self._cost: CostModel | None = None
        self._reuses: dict[tuple[bytes, str, str], PrefixReuse] = {}
        self._adapters = LocalAdapters(
            self._model,
            load,
            adapters or folder / "adapters",
            ram_bytes=adapter_ram_bytes,
            shared=budget,
            codec=adapter_codec,
        )
        self._grouping = Grouping(group_rows)
        self._joining = LocalJoining(self._reuse, self._tiers, folder / "joining")

    @property
    def model(self) -> LanguageModel:
        model = self._model()
        return LanguageModel(
            id=named(model.id),
            fingerprint=dict(model.fingerprint.parts),
            context=model.context,
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        tokenizer = self._model().tokenizer
        return [
            len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
            for text in texts
        ]

    @property
    def adapters(self) -> LocalAdapters:
        return self._adapters

    @property
    def joining(self) -> LocalJoining:
        return self._joining

    def stream(self, opening: Opening, messages: Messages, wanted: Prompting) -> Iterator[Piece]:
        reuse = self._reuse(opening, answering=True)
        prompt, options = prompt_of(reuse.model, opening.text, messages), options_of(wanted)
        if self._grouping.rows == 1 or opening.policy:
            events = LocalGenerator(self._reader(reuse, opening)).stream(prompt, options)
        else:
            events = self._grouping.stream(reuse, prompt, options)
        return (
            Piece(text=event.text, done=answer_of(reuse.model, event.done) if event.done else None)
            for event in events
        )

    def batch(self, opening: Opening, prompts: Sequence[Messages], wanted: Prompting) -> Answers:
        reuse = self._reuse(opening, answering=True)
        # What a policy has left of an opening is read for one prompt at a time.
        rows = 1 if opening.policy else len(prompts)
        generator = LocalGenerator(self._reader(reuse, opening), rows=rows)
        asked = [prompt_of(reuse.model, opening.text, messages) for messages in prompts]
        done = generator.generate_many(asked, options_of(wanted))
        return Answers(
            items=tuple(answer_of(reuse.model, one) for one in done),
            prompt_tokens=sum(one.prompt_tokens for one in done),
            computed_tokens=sum(one.computed_tokens for one in done),
        )

    def compile(self, opening: Opening, sources: Collection[ArtifactSource]) -> Kept:
        reuse = self._reuse(opening)
        tokens = self._tokens(opening)
        carried = [Source(source.memory_id, source.version) for source in sources]
        if opening.policy:
            guide = guide_tokens(reuse.model, opening.text, opening.guide) if opening.guide else ()
            compress(
                reuse,
                self._tiers,
                tokens,
                label_of(opening.policy, opening.guide),
                prompt=guide,
                codec=opening.codec,
                sources=carried,
            )
        else:
            reuse.compile(tokens, sources=carried)
        return self._kept(reuse, tokens, self._found(reuse, tokens, opening))

    def warm(self, opening: Opening) -> Kept:
        reuse, tokens = self._reuse(opening), self._tokens(opening)
        # Unlike `find` this looks elsewhere too.
        hit = self._tiers.longest(
            reuse.root,
            [*tokens, tokens[-1]],
            codecs=_codecs(opening.codec),
            policy=_label(opening),
        )
        if hit:
            self._tiers.prefetch([hit]).result()
        return self._kept(reuse, tokens, hit)

    def prefetch(self, blocks: Sequence[str]) -> None:
        self._tiers.fetch([run for block in blocks for run in self._store.lineage(block)])

    def pin(self, block: str, *, pinned: bool) -> bool:
        try:
            if pinned:
                self._store.pin(block)
            else:
                self._store.unpin(block)
        except BlockNotFound:
            return False
        return True

    def forget(self, source_ids: Collection[str]) -> int:
        gone = self._adapters.forget(source_ids)
        self._joining.forget(source_ids)
        return len(self._tiers.forget(source_ids)) + len(gone)

    def inventory(self) -> Inventory:
        sources: dict[str, int] = {}
        headers = self._store.headers()
        for header in headers:
            for id in {source.id for source in header.sources}:
                sources[id] = sources.get(id, 0) + 1
        for carried in self._adapters.inventory().values():
            for id in carried:
                sources[id] = sources.get(id, 0) + 1
        return Inventory(blocks=frozenset(header.id for header in headers), sources=sources)

    def stats(self) -> Mapping[str, float]:
        disk, tiers = self._store.stats(), self._tiers.stats()
        with self._lock:
            used = [reuse.counters for reuse in self._reuses.values()]
        return {
            "kv_blocks": disk.blocks,
            "kv_bytes": disk.bytes,
            "kv_budget_bytes": disk.budget_bytes,
            "kv_ram_bytes": tiers.ram_bytes,
            "kv_device_bytes": tiers.device_bytes,
            "kv_pinned_blocks": disk.pinned,
            "kv_quarantined_files": disk.quarantined,
            "kv_hits": _total(used, "hits"),
            "kv_misses": _total(used, "misses"),
            "kv_declined": _total(used, "declined"),
            "kv_recomputed": _total(used, "recomputed"),
            "kv_prompt_tokens": _total(used, "prompt_tokens"),
            "kv_reused_tokens": _total(used, "cached_tokens"),
            "kv_shared_tokens": _total(used, "shared_tokens"),
            "kv_computed_tokens": _total(used, "computed_tokens"),
            **self._joining.stats(),
            **self._grouping.stats(),
            "kv_evicted_blocks": disk.counts["evicted"],
            "kv_corrupt_blocks": disk.counts["corrupt"],
            "kv_forgotten_blocks": disk.counts["forgotten"],
            "kv_remote_errors": disk.counts["remote_error"],
            **self._adapters.stats(),
        }

    def end(self) -> None:
        """Ends what the model computes, with ServiceUnavailable, and anything that asks it from now
        on; returns when no pass is under way."""
        self._ending.want()
        if not self._lock.acquire(timeout=_LAYER_S):
            log.warning("the local model is still being loaded")
            return
        self._lock.release()
        if self._loaded and not self._loaded.idle(wait_s=_LAYER_S):
            log.warning("the local model is still within one layer")

    def close(self) -> None:
        """Ends answers and finishes copies that are under way."""
        self.end()
        self._grouping.close()
        try:
            self._tiers.flush()
        except MemosError as error:
            log.warning("states were not copied elsewhere: %s", error)
        self._tiers.close()
        self._store.close()

    def _model(self) -> LocalModel:
        with self._lock:
            if self._loaded is None:
                self._ending.check()
                model = self._load()
                model.ending = self._ending
                if model.device.type == "cuda":
                    self._use_device(model)
                self._loaded = model
            return self._loaded

    def _use_device(self, model: LocalModel) -> None:
        budget = Budget(self._device_bytes)
        model.applying.share(budget)
        self._tiers.attach(DeviceTier(model.device, budget_bytes=budget))
        if self._tiers.ram is not None:
            self._tiers.ram.pinned = True

    def _reuse(self, opening: Opening, *, answering: bool = False) -> PrefixReuse:
        base = self._model()
        model = self._adapters.adapted(opening.adapter) if opening.adapter else base
        codec_named(opening.codec)
        with self._lock:
            if answering and self._measured and self._cost is None:
                self._cost = calibrate(base, self._folder)
                log.info("load or recompute: %s", self._cost.describe())
            key = (opening.salt, opening.codec, model.identity.adapter)
            known = self._reuses.get(key)
            if known is None or (answering and known.cost is not self._cost):
                made = PrefixReuse(
                    model,
                    self._tiers,
                    salt=opening.salt,
                    cost=self._cost,
                    codec=opening.codec,
                    codecs=_codecs(opening.codec),
                )
                made.counters = known.counters if known else Counters()
                self._tiers.expect(made.root)
                self._reuses[key] = known = made
            return known

    def _tokens(self, opening: Opening) -> list[int]:
        model = self._model()
        tokens = opening_tokens(model, opening.text)
        if model.context and len(tokens) >= model.context:
            raise InvalidInput(
                f"the text has {len(tokens)} tokens, and model {named(model.id)!r} reads "
                f"{model.context}, the question and answer included; compile less, or give a "
                "token_budget",
                tokens=len(tokens),
                limit=model.context,
            )
        return tokens

    def _found(self, reuse: PrefixReuse, tokens: Sequence[int], opening: Opening) -> Hit | None:
        if label := _label(opening):
            return found(reuse, self._tiers, tokens, label)
        # One token more, since a look-up leaves the last one to be run.
        return self._tiers.find(reuse.root, [*tokens, tokens[-1]], codecs=_codecs(opening.codec))

    def _kept(self, reuse: PrefixReuse, tokens: Sequence[int], hit: Hit | None) -> Kept:
        size = 0
        for segment in hit.segments if hit else ():
            try:
                header = self._store.header(segment.block)
            except BlockNotFound:  # gone since
                continue
            size += header.payload_bytes * segment.rows // len(header.tokens)
        return Kept(
            root=reuse.root.hex(),
            tokens=len(tokens),
            stored=hit.tokens if hit else 0,
            bytes=size,
            block=hit.blocks[-1] if hit else None,
        )

    def _reader(self, reuse: PrefixReuse, opening: Opening) -> Reader:
        label = _label(opening)
        return CompressedReader(reuse, self._tiers, label) if label else reuse


def _label(opening: Opening) -> str | None:
    return label_of(opening.policy, opening.guide) if opening.policy else None


def _codecs(codec: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([codec, *EXACT]))


def _total(counters: Sequence[Counters], name: str) -> int:
    return sum(getattr(one, name) for one in counters)
