"""The only module that knows which backend stands behind which protocol."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timezone, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from memos import config
from memos.config import Settings
from memos.errors import (
    ExtractionFailed,
    InvalidSetting,
    MissingDependency,
    StorageCorrupt,
    StorageReadOnly,
)
from memos.extraction.ledger import Ledger
from memos.extraction.runs import extracted
from memos.forgetting.receipts import Signer
from memos.identity import UlidMaker, utc_now
from memos.protocols import (
    Clock,
    Embedder,
    Extractor,
    LocalStates,
    NewId,
    Rephraser,
    Turns,
    VectorIndex,
)
from memos.retrieval.ranking.reranking import Reranker
from memos.service import DEFAULT_TENANT, MemoryOS, Service
from memos.summaries.writing import SummaryWriter
from memos.types import Extraction, Memory

_KEY_BYTES, _KEY_TRIES, _KEY_WAIT = 32, 50, 0.02


def build(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    extractor: Extractor | None = None,
    clock: Clock = utc_now,
    new_id: NewId | None = None,
) -> Service:
    """A service on the configured backends. The caller closes it, and starts its worker.

    The embedding model is loaded when it is first needed; `Service.warm` does so at once. Given
    models stand in for those of the settings; an extractor is not used if extraction is none.
    StorageReadOnly if `data_dir` can't be written; the stores' and models' own errors besides.
    """
    from memos.embedding import CachedEmbedder, LazyEmbedder
    from memos.graph.deriving.validity import Rules
    from memos.service.background.queueing import queue_policy
    from memos.storage import open_stores

    new_id = new_id or UlidMaker()
    ledger = Ledger()
    configured = make_extractor(settings, ledger)
    _make_data_dir(settings)
    stores = open_stores(
        settings.sql_url,
        new_id=new_id,
        clock=clock,
        derivation=Rules(),
        policy=queue_policy(settings),
    )
    cached = CachedEmbedder(embedder or LazyEmbedder(lambda: make_embedder(settings)))
    try:
        return Service(
            settings,
            stores,
            cached,
            forget_texts=cached.clear,
            open_vector_index=_vector_index_opener(settings),
            open_states=lambda: open_states(settings),
            signer=cached_signer(settings),
            one_holder=_index_choice(settings) == "chroma",
            extractor=configured and (extractor or configured),
            reranker=make_reranker(settings),
            rephraser=make_rephraser(settings, ledger),
            summary_writer=make_summary_writer(settings, ledger),
            model_use=ledger.snapshot,
            clock=clock,
            new_id=new_id,
        )
    except BaseException:
        stores.health.close()
        raise


def open(tenant: str = DEFAULT_TENANT, **overrides: Any) -> MemoryOS:
    """A MemoryOS in this process on the embedded default; keywords are settings.

    Background jobs run in a thread of this process unless `worker_in_process=False`.
    """
    service = build(config.load(**overrides))
    service.start_worker(serving=True)
    return MemoryOS(service, tenant, owns=True)


def make_embedder(settings: Settings) -> Embedder:
    """The configured embedder, loaded."""
    from memos.embedding import load_embedder

    return load_embedder(
        model=settings.embedding_model,
        backend=settings.embedding_backend,
        precision=settings.embedding_precision,
        cache_dir=settings.data_dir / "models",
        threads=settings.embedding_threads,
        offline=settings.offline,
    )


def open_states(settings: Settings) -> LocalStates:
    """The local model, loaded when it is first asked, and its states in the data folder."""
    from memos.kvcache.activations import LocalActivations
    from memos.kvcache.generator.loading import load_model

    return LocalActivations(
        lambda: load_model(
            settings.local_model,
            cache_dir=settings.data_dir / "models",
            device=settings.local_device,
            dtype=settings.local_dtype,
            attention=settings.local_attention,
            offline=settings.offline,
        ),
        settings.data_dir / "kv",
        disk_bytes=settings.kv_disk_bytes,
        ram_bytes=settings.kv_ram_bytes,
        device_bytes=settings.kv_device_bytes,
        remote=settings.kv_remote,
        measured=settings.kv_cost_model,
        group_rows=settings.kv_group_rows,
        adapters=settings.data_dir / "lora",
        adapter_ram_bytes=settings.lora_ram_bytes,
        adapter_codec=settings.lora_codec,
    )


def cached_signer(settings: Settings) -> Callable[[], Signer]:
    """The signer of receipts, whose key is read or made at the first need."""
    return cache(lambda: Signer(_receipt_key(settings)))


def _receipt_key(settings: Settings) -> bytes:
    """The configured key, or 32 random bytes kept in the data folder for this user alone."""
    if settings.receipt_key:
        return settings.receipt_key.encode()
    path = settings.data_dir / "receipt.key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _stored_key(path)
    with os.fdopen(handle, "wb") as file:
        file.write(key := os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return key


def _stored_key(path: Path) -> bytes:
    """Waits a moment for a process that is just writing it."""
    for _ in range(_KEY_TRIES):
        if len(key := path.read_bytes()) == _KEY_BYTES:
            return key
        time.sleep(_KEY_WAIT)
    raise StorageCorrupt(
        f"{path} is no key of {_KEY_BYTES} bytes; put back the right one, or delete it: receipts "
        "issued so far can then no longer be checked"
    )


def make_reranker(settings: Settings) -> Reranker | None:
    """The configured reranker, which is loaded when it is first asked; None: there is none."""
    if not settings.reranker_model:
        return None
    from memos.embedding.cross_encoder import CrossEncoderReranker

    return CrossEncoderReranker(
        settings.reranker_model,
        cache_dir=settings.data_dir / "models",
        offline=settings.offline,
    )


def make_extractor(settings: Settings, ledger: Ledger | None = None) -> Extractor | None:
    """The configured extractor, which is loaded when it is first asked; None: there is none.

    What a language model is asked, and what that costs, is written down in `ledger`.

    InvalidSetting if a language model is wanted but not named.
    """
    if settings.extraction == "none":
        return None
    if settings.extraction == "llm" and not settings.extraction_model:
        raise InvalidSetting(
            "extraction is llm, but extraction_model names no model; set MEMOS_EXTRACTION_MODEL, "
            "such as openai/gpt-4o-mini or ollama/llama3, or extraction to rules",
            setting="extraction_model",
        )
    zone = _time_zone(settings)
    if settings.extraction == "llm":
        return _LateExtractor(lambda: _llm_extractor(settings, zone, ledger))
    return _LateExtractor(lambda: _rules_extractor(zone))


def make_rephraser(settings: Settings, ledger: Ledger | None = None) -> Rephraser | None:
    """What says questions in other words for adapters; None: templates alone do. InvalidSetting if
    a language model is wanted but not named."""
    if settings.lora_wordings != "llm":
        return None
    from memos.extraction.llm import LlmRephraser

    return LlmRephraser(
        settings.extraction_model,
        url=settings.extraction_url,
        key=settings.extraction_key,
        timeout=settings.extraction_seconds,
        attempts=settings.extraction_attempts,
        ledger=ledger,
    )


def make_summary_writer(settings: Settings, ledger: Ledger | None = None) -> SummaryWriter | None:
    """What writes summaries with the configured language model; None: there is none, so they
    quote."""
    if settings.extraction != "llm":
        return None
    from memos.summaries.llm import LlmWriter

    return LlmWriter(
        settings.extraction_model,
        url=settings.extraction_url,
        key=settings.extraction_key,
        timeout=settings.extraction_seconds,
        attempts=settings.extraction_attempts,
        ledger=ledger,
    )


def _time_zone(settings: Settings) -> tzinfo:
    from zoneinfo import ZoneInfo

    if settings.time_zone == "UTC":  # which some machines without a tz database don't know
        return timezone.utc
    try:
        return ZoneInfo(settings.time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidSetting(
            f"time_zone is {settings.time_zone!r}, which is no zone of the tz database; use one "
            "such as UTC or Europe/Lisbon",
            setting="time_zone",
        ) from error


def _rules_extractor(zone: tzinfo) -> Extractor:
    from memos.extraction.rules import RulesExtractor

    return RulesExtractor(zone=zone)


def _llm_extractor(settings: Settings, zone: tzinfo, ledger: Ledger | None) -> Extractor:
    from memos.extraction.llm import LlmExtractor

    return LlmExtractor(
        settings.extraction_model,
        url=settings.extraction_url,
        key=settings.extraction_key,
        timeout=settings.extraction_seconds,
        attempts=settings.extraction_attempts,
        zone=zone,
        ledger=ledger,
    )


class _LateExtractor:
    """The extractor that `load` gives, loaded when it is first asked."""

    def __init__(self, load: Callable[[], Extractor]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: Extractor | None = None

    @property
    def name(self) -> str:
        return self._extractor.name

    def extract(
        self, memories: Sequence[Memory], *, before: Sequence[Memory] = ()
    ) -> list[Extraction | ExtractionFailed]:
        return self._extractor.extract(memories, before=before)

    def extract_runs(self, runs: Sequence[Turns]) -> Iterator[list[Extraction | ExtractionFailed]]:
        """`memos.protocols.RunExtractor`."""
        return extracted(self._extractor, runs)

    @property
    def _extractor(self) -> Extractor:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageReadOnly(
            f"can't make the data folder {settings.data_dir}: {error.strerror}. "
            "Set MEMOS_DATA_DIR to a folder you may write to"
        ) from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise StorageReadOnly(
            f"the data folder {settings.data_dir} can't be written; change its permissions or set "
            "MEMOS_DATA_DIR"
        )


def _index_choice(settings: Settings) -> str:
    if settings.vector_index != "auto":
        return settings.vector_index
    return "chroma" if settings.is_sqlite else "pgvector"


def _vector_index_opener(settings: Settings) -> Any:
    choice = _index_choice(settings)
    if choice == "none":
        return None
    if choice == "pgvector" and settings.is_sqlite:
        raise InvalidSetting(
            "vector_index is pgvector, but the database is SQLite; set MEMOS_DATABASE_URL to a "
            "PostgreSQL, or vector_index to chroma",
            setting="vector_index",
        )
    return (
        (lambda: _open_pgvector(settings))
        if choice == "pgvector"
        else (lambda: _open_chroma(settings))
    )


def _open_chroma(settings: Settings) -> VectorIndex:
    from memos.storage.vectors.chroma import ChromaIndex

    return ChromaIndex(settings.data_dir / "chroma")


def _open_pgvector(settings: Settings) -> VectorIndex:
    try:
        from memos.storage.vectors.pgvector import PgVectorIndex
    except ImportError as error:
        raise MissingDependency(
            f"PostgreSQL needs {error.name}; install the extra: pip install 'memos[postgres]'"
        ) from error
    return PgVectorIndex(settings.sql_url)
