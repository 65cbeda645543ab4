"""A GGUF file turned once into a folder of bfloat16 safetensors that loads in half a second.

Dequantised weights of four bits fit bfloat16 with an error far below that of the quantisation.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memos.errors import MissingDependency, ModelCorrupt
from memos.kvcache.generator.files import exclusive, whole_folder

_VERSION = 1
"""Of the conversion; another one gets another folder."""


def converted(file: Path, *, sha256: str, eos: Sequence[str], cache_dir: Path) -> Path:
    """The folder of the converted `file`, made if it is not in `cache_dir` yet (about 15 s).

    The folder goes by the digest of its source. Of several processes one converts and the others
    wait. `eos` are the texts of the tokens that end an answer. ModelCorrupt if the file can't be
    read; MissingDependency without gguf and accelerate; StorageFull, StorageReadOnly.
    """
    target = cache_dir / f"{sha256[:32]}-v{_VERSION}"
    if not target.is_dir():
        with exclusive(cache_dir / f".{target.name}.lock"):
            if not target.is_dir():
                with whole_folder(target) as draft:
                    _convert(file, draft, eos)
    return target


def _convert(file: Path, draft: Path, eos: Sequence[str]) -> None:
    model, tokenizer = _read(file)
    ids = [tokenizer.convert_tokens_to_ids(text) for text in eos]
    if None in ids:
        raise ModelCorrupt(
            f"{file} has no token for one of {', '.join(eos)}; install its package again",
            path=str(file),
        )
    model.generation_config.eos_token_id = ids
    model.config.eos_token_id = ids[0]
    model.save_pretrained(draft, safe_serialization=True)
    tokenizer.save_pretrained(draft)


def _read(file: Path) -> tuple[Any, Any]:
    """(model in bfloat16, tokenizer) as transformers reads them from the file."""
    for package in ("accelerate", "gguf"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(
                f"reading {file.name} needs {package}; run `pip install {package}`"
            )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    where = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            **where,
        )
    except Exception as error:  # whatever its many readers raise
        raise ModelCorrupt(
            f"can't read {file}: {error}; install its package again", path=str(file)
        ) from error
    # It is a plain model from here on, and shall be saved as one.
    model.hf_quantizer = None
    model.is_quantized = False
    vars(model.config).pop("quantization_config", None)
    return model.to(torch.bfloat16), tokenizer
