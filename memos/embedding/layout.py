"""How a sentence-transformers folder turns tokens into a vector, read from its files.

It reads configuration only and loads no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memos.embedding.weights import read_json

_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
_FLAGS = "pooling_mode_"


class NotExportable(Exception):
    """The model can't be exported to ONNX, for the reason given; it may be run by torch.

    Does not leave this package: `loading` runs torch instead, or says that the setting is wrong.
    """


@dataclass(frozen=True)
class Layout:
    """A transformer, then pooling over its tokens, then length 1.

    `transformer` is the folder of the transformer, `pooling` one of mean, cls, max.
    """

    transformer: Path
    pooling: str
    dimensions: int
    max_tokens: int

    @property
    def tokenizer(self) -> Path:
        return self.transformer / "tokenizer.json"


def read_layout(folder: Path) -> Layout:
    """The layout of a model folder; NotExportable if it has other parts than the above.

    ModelCorrupt if a file is not JSON.
    """
    transformer, pooling = _modules(folder)
    config = _table(transformer / "config.json")
    limits = _table(transformer / "sentence_bert_config.json")
    positions = config.get("max_position_embeddings")
    longest = limits.get("max_seq_length") or positions
    if not isinstance(longest, int) or not isinstance(config.get("hidden_size"), int):
        raise _unsupported(folder, "its configuration has no max_seq_length or no hidden_size")
    if limits.get("do_lower_case"):
        raise _unsupported(folder, "it lower-cases texts outside its tokenizer")
    if not (transformer / "tokenizer.json").is_file():
        raise _unsupported(folder, "it has no tokenizer.json")
    prompts = _table(folder / "config_sentence_transformers.json")
    if prompts.get("default_prompt_name"):
        raise _unsupported(folder, "it puts a prompt before each text")
    return Layout(
        transformer=transformer,
        pooling=_pooling(folder, pooling),
        dimensions=config["hidden_size"],
        max_tokens=min(longest, positions) if isinstance(positions, int) else longest,
    )


def _modules(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Folder of the transformer, and the configuration of the pooling."""
    if not (folder / "modules.json").is_file():
        # A plain transformer, which sentence-transformers gives mean pooling.
        return folder, {"pooling_mode_mean_tokens": True}
    modules = read_json(folder / "modules.json")
    if not isinstance(modules, list):
        raise _unsupported(folder, "modules.json is not a list")
    kinds = [str(module.get("type", "")).rsplit(".", 1)[-1] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise _unsupported(folder, f"its modules are {', '.join(kinds)}")
    pooling = folder / str(modules[1]["path"]) / "config.json"
    return folder / str(modules[0]["path"]), _table(pooling)


def _pooling(folder: Path, config: dict[str, Any]) -> str:
    if isinstance(config.get("pooling_mode"), str):
        chosen = [str(config["pooling_mode"])]
    else:
        chosen = [key for key, on in config.items() if key.startswith(_FLAGS) and on]
        chosen = [_POOLING.get(key, key) for key in chosen]
    if len(chosen) != 1 or chosen[0] not in _POOLING.values():
        raise _unsupported(folder, f"its pooling is {', '.join(chosen) or 'not given'}")
    return chosen[0]


def _table(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _unsupported(folder: Path, why: str) -> NotExportable:
    return NotExportable(f"the model in {folder} can't be exported to ONNX: {why}")
