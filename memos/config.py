"""The one typed settings object, and the only place that reads the environment.

Order, last wins: the default, the environment variable `MEMOS_<NAME>`, an explicit argument.
Components are given values; they never look here themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, get_type_hints

from memos.errors import InvalidSetting

PREFIX = "MEMOS_"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def _setting(default: Any, help: str, **limits: Any) -> Any:
    # What is secret stays out of tracebacks and logs that show the settings.
    secret = bool(limits.get("secret"))
    return field(default=default, repr=not secret, metadata={"help": help, **limits})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting has a default that works on one machine with no key and no server."""

    data_dir: Path = _setting(
        Path("~/.memos"), "folder for the database, the indexes and cached model exports"
    )
    database_url: str = _setting(
        "", "SQLAlchemy URL of the truth; empty: SQLite in data_dir", secret=True
    )
    vector_index: str = _setting(
        "auto",
        "index for large cubes; auto: chroma on SQLite, pgvector on PostgreSQL",
        choices=("auto", "chroma", "pgvector", "none"),
    )
    vector_index_min: int = _setting(
        20_000, "cubes with fewer memories are searched exactly, in RAM", minimum=0
    )
    projection_bytes: int = _setting(
        2 << 30, "RAM for the searched form of cubes; least recently used go first", minimum=1 << 20
    )
    embedding_model: str = _setting(
        "sentence-transformers/all-MiniLM-L6-v2", "Hub id, folder or installed carrier package"
    )
    embedding_backend: str = _setting(
        "auto",
        "how the model is run; auto: onnx, torch if it can't be exported",
        choices=("auto", "onnx", "torch"),
    )
    embedding_precision: str = _setting(
        "fp32",
        "int8 is faster and slightly different; the two are never mixed",
        choices=("fp32", "int8"),
    )
    embedding_threads: int = _setting(0, "threads for one embedding call; 0: all cores", minimum=0)
    extraction: str = _setting(
        "rules",
        "what reads entities and facts out of memories; llm needs extraction_model",
        choices=("rules", "llm", "none"),
    )
    extraction_model: str = _setting(
        "", "language model by litellm's name, such as openai/gpt-4o-mini or ollama/llama3"
    )
    extraction_url: str = _setting("", "base URL of an OpenAI-compatible server, if it is your own")
    extraction_key: str = _setting(
        "", "key for that model; empty: the provider's own variable", secret=True
    )
    extraction_seconds: float = _setting(60.0, "longest wait for one answer of it", minimum=0.1)
    extraction_attempts: int = _setting(3, "tries per answer before the job has failed", minimum=1)
    time_zone: str = _setting("UTC", "zone in which days begin, for dates such as yesterday")
    notes: bool = _setting(True, "give memories keywords, tags, context and links")
    graph_facts: int = _setting(
        200_000, "cubes with more facts are walked in SQL, not in RAM", minimum=0
    )
    graph_weight: float = _setting(
        0.0,
        "weight of the graph channel in searches, in standard deviations; 0: it is not asked",
        minimum=0,
    )
    fusion: str = _setting(
        "fitted",
        "how channels make one score; plain: fixed weights that no data was fitted to",
        choices=("fitted", "plain"),
    )
    local_model: str = _setting(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "language model for activation memory: Hub id, folder or carrier package",
    )
    local_device: str = _setting("cpu", "where it runs: cpu, cuda or cuda:1")
    local_dtype: str = _setting(
        "float32",
        "of its weights and states; float32 is exact",
        choices=("float32", "bfloat16", "float16"),
    )
    local_attention: str = _setting(
        "sdpa",
        "how it computes attention; with sdpa stored states are read in place",
        choices=("sdpa", "eager", "flash_attention_2", "flash_attention_3"),
    )
    kv_codec: str = _setting(
        "raw",
        "how states are stored unless compile says otherwise; raw and lossless change nothing",
        choices=("raw", "lossless", "int8", "k8v4", "int4", "int2"),
    )
    kv_disk_bytes: int = _setting(
        4 << 30, "disk for states in data_dir; least valuable go first", minimum=1 << 20
    )
    kv_ram_bytes: int = _setting(
        256 << 20,
        "RAM for states that are in use, beside what adapters leave of lora_ram_bytes; 0: they are "
        "read from disk",
        minimum=0,
    )
    kv_device_bytes: int = _setting(
        1 << 30,
        "memory of a CUDA device for adapters, and for states between requests; 0: states are "
        "copied to it at each use",
        minimum=0,
    )
    kv_remote: str = _setting(
        "",
        "fsspec URL where states are copied to, such as s3://bucket/kv; empty: nowhere",
        secret=True,
    )
    kv_cost_model: bool = _setting(
        True, "measure at the first use, then load states only where that is faster"
    )
    kv_group_rows: int = _setting(
        8,
        "most answers that one forward pass of the local model goes on with; 1: each goes alone",
        minimum=1,
        maximum=256,
    )
    lora_codec: str = _setting(
        "bfloat16",
        "how adapters are stored; int8 takes half of it",
        choices=("float32", "bfloat16", "int8"),
    )
    lora_ram_bytes: int = _setting(
        256 << 20,
        "RAM for adapters; least recently used go first; states use what they leave",
        minimum=0,
    )
    lora_parameters: int = _setting(
        2_500_000, "parameters of an adapter of rank 8; how many memories one is for", minimum=5000
    )
    lora_recall: float = _setting(
        0.6, "least recall of its memories that an adapter is used with", minimum=0, maximum=1
    )
    lora_perplexity: float = _setting(
        0.05,
        "most that the perplexity of neutral text may grow by, as the adapter is used",
        minimum=0,
    )
    lora_unchanged: float = _setting(
        0.95,
        "least share of other answers that stay the same, as the adapter is used",
        minimum=0,
        maximum=1,
    )
    lora_harm: float = _setting(
        0.3,
        "most that the perplexity of neutral text may grow by with the adapter always at work",
        minimum=0,
    )
    lora_variant: str = _setting(
        "lora",
        "of training; dora also learns the size of each row of weights, and takes longer",
        choices=("lora", "rslora", "dora"),
    )
    lora_targets: str = _setting("all", "layers that learn", choices=("all", "attention", "mlp"))
    lora_alpha: float = _setting(
        0.0, "alpha of training, which scales what is learnt; 0: twice the rank", minimum=0
    )
    lora_optimizer: str = _setting(
        "adamw",
        "of training; adafactor keeps a row and a column where adamw keeps two matrices",
        choices=("adamw", "adafactor"),
    )
    lora_held: str = _setting(
        "few",
        "questions about the world whose answers a training holds on to; many keeps more of the "
        "others and takes longer",
        choices=("few", "many"),
    )
    lora_wordings: str = _setting(
        "templates",
        "who says the questions that an adapter is taught by; llm asks extraction_model for more",
        choices=("templates", "llm"),
    )
    lora_forgotten: str = _setting(
        "retrain",
        "when an attached adapter has learnt of a memory that is forgotten",
        choices=("retrain", "drop"),
    )
    reranker_model: str = _setting("", "cross-encoder by Hub id or folder; empty: none")
    offline: bool = _setting(False, "never ask a model hub")
    host: str = _setting("127.0.0.1", "address that `memos serve` listens on")
    port: int = _setting(
        8000, "port that `memos serve` listens on; 0: a free one", minimum=0, maximum=65535
    )
    max_body_bytes: int = _setting(8 << 20, "largest request body", minimum=1024)
    max_content_chars: int = _setting(100_000, "longest text of one memory", minimum=1)
    max_metadata_bytes: int = _setting(65_536, "largest metadata of one memory, as JSON", minimum=2)
    max_batch: int = _setting(1000, "most memories in one `add`", minimum=1)
    dump_bytes: int = _setting(16 << 30, "largest dump that is loaded", minimum=1024)
    dump_ratio: int = _setting(
        100, "most bytes that may come out of each byte of a dump that is loaded", minimum=1
    )
    max_limit: int = _setting(1000, "most hits or items in one answer", minimum=1)
    worker_in_process: bool = _setting(True, "`memos serve` also runs background jobs")
    lease_seconds: float = _setting(
        30.0, "how long a worker holds a job without a heartbeat", minimum=1, maximum=3600
    )
    job_limits: str = _setting(
        "", "most jobs of a kind that run at once over all workers, such as compile=1,extract=4"
    )
    job_attempts: int = _setting(5, "tries before a job is dead", minimum=1)
    job_days: float = _setting(
        30.0,
        "days that succeeded and cancelled jobs are kept; 0: for ever",
        minimum=0,
        maximum=36500,
    )
    event_days: float = _setting(
        365.0,
        "days that events are kept which tell of nothing that is still there; 0: for ever",
        minimum=0,
        maximum=36500,
    )
    prune_cron: str = _setting(
        "30 3 * * *", "when old jobs and events are removed, in time_zone; empty: never"
    )
    receipt_key: str = _setting(
        "", "signs receipts of erasures; empty: a key made in data_dir", secret=True
    )
    receipt_hours: float = _setting(24.0, "how long idempotency keys are remembered", minimum=0)
    shutdown_seconds: float = _setting(
        10.0, "how long a stopping server lets requests and jobs finish", minimum=0
    )
    log_level: str = _setting(
        "warning",
        "least severe message that is logged",
        choices=("debug", "info", "warning", "error"),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().absolute())
        for spec in fields(self):
            _check(spec.name, getattr(self, spec.name), spec.metadata)

    @property
    def sql_url(self) -> str:
        """The database URL that is really used."""
        return self.database_url or f"sqlite:///{self.data_dir / 'memos.db'}"

    @property
    def is_sqlite(self) -> bool:
        return self.sql_url.startswith("sqlite")


def _check(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    choices = limits.get("choices")
    if choices and value not in choices:
        raise InvalidSetting(f"{name} is {value!r}; use one of {', '.join(choices)}", setting=name)
    if isinstance(value, float) and not isfinite(value):
        raise InvalidSetting(f"{name} is {value!r}; it must be a finite number", setting=name)
    if "minimum" in limits and value < limits["minimum"]:
        raise InvalidSetting(
            f"{name} is {value!r}; the minimum is {limits['minimum']}", setting=name
        )
    if "maximum" in limits and value > limits["maximum"]:
        raise InvalidSetting(
            f"{name} is {value!r}; the maximum is {limits['maximum']}", setting=name
        )


def _parse(name: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            word = text.strip().lower()
            if word not in _TRUE | _FALSE:
                raise ValueError(text)
            return word in _TRUE
        if kind is Path and not text.strip():
            raise ValueError(text)  # it would be the current folder
        return kind(text)
    except ValueError as error:
        raise InvalidSetting(
            f"{PREFIX}{name.upper()} is {text!r}; it must be a {kind.__name__}", setting=name
        ) from error


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment and explicit values; an override of None is passed over.

    Unknown `MEMOS_` variables and unknown overrides are refused with InvalidSetting, since a typing
    error in a setting is otherwise found only when it hurts.
    """
    return explain(environ, **overrides)[0]


def explain(
    environ: Mapping[str, str] | None = None, **overrides: Any
) -> tuple[Settings, dict[str, str]]:
    """Settings, and for each name where its value came from: default, environment or argument."""
    env = os.environ if environ is None else environ
    hints = get_type_hints(Settings)
    names = {spec.name for spec in fields(Settings)}
    _check_known(env, set(overrides) - names)
    values: dict[str, Any] = {}
    origin = dict.fromkeys(sorted(names), "default")
    for name in names:
        text = env.get(PREFIX + name.upper())
        if text is not None:
            values[name] = _parse(name, text, hints[name])
            origin[name] = "environment"
        if overrides.get(name) is not None:
            values[name] = overrides[name]
            origin[name] = "argument"
    return Settings(**values), origin


def _check_known(env: Mapping[str, str], others: Set[str] = frozenset()) -> None:
    """InvalidSetting for `MEMOS_` variables that nobody reads, and for `others`."""
    names = {spec.name for spec in fields(Settings)} | _OTHER
    unknown = {
        k
        for k in env
        if k.startswith(PREFIX)
        and k[len(PREFIX) :].lower() not in names
        and not _OF_CLUSTER.match(k)
    }
    if unknown | others:
        raise InvalidSetting(
            f"unknown setting {', '.join(sorted(unknown | others))}; `memos config` lists them all"
        )


# Read by the client and the CLI, not settings of the service: where to find it and how to sign in.
_OTHER = {"url", "api_key", "tenant"}


_OF_CLUSTER = re.compile(r"MEMOS_(?:SERVICE_(?:HOST|PORT)|PORT_\d+_)")
"""What Kubernetes sets in every pod beside a service called memos."""


def client_environment(environ: Mapping[str, str] | None = None) -> tuple[str | None, str | None]:
    """(`MEMOS_URL`, `MEMOS_API_KEY`) for the client and the CLI. InvalidSetting for an unknown
    `MEMOS_` variable: `MEMOS_APIKEY` would be passed over without a word."""
    env = os.environ if environ is None else environ
    _check_known(env)
    return env.get(PREFIX + "URL"), env.get(PREFIX + "API_KEY")
