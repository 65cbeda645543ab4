"""From a model's name to a LocalModel: files found and checked, weights on their device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memos.errors import (
    DeviceUnavailable,
    InvalidSetting,
    MissingDependency,
    ModelCorrupt,
    ModelError,
    ModelUnsupported,
)
from memos.kvcache.generator.known import DEFAULT_MODEL
from memos.kvcache.generator.model import Identity, LocalModel
from memos.kvcache.generator.weights import ModelFiles, resolve
from memos.kvcache.layout import ITEM_BYTES

ATTENTION = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")


def load_model(
    reference: str = DEFAULT_MODEL,
    *,
    cache_dir: Path,
    device: str = "cpu",
    dtype: str = "float32",
    attention: str = "sdpa",
    threads: int = 0,
    offline: bool = False,
) -> LocalModel:
    """Loads a Hub id, a folder, or a model that an installed package carries.

    `cache_dir` keeps converted models. `device` is what torch calls it: cpu, cuda, cuda:1. `dtype`
    is of the weights and of the cache: float32 (exact, the default), bfloat16, float16. With
    `attention` sdpa stored prefixes are shared in place; it says nothing to a model without
    attention. `threads` 0 leaves torch's own choice;
    else it is set for the whole process. `offline` never asks the Hub.

    ModelNotFound, ModelDigestMismatch, ModelCorrupt for the files; ModelUnsupported if the model
    can't be run with this attention; InvalidSetting for an unknown choice; DeviceUnavailable if
    torch can't use the device; MissingDependency.
    """
    place = _device(device)
    if dtype not in ITEM_BYTES:
        raise InvalidSetting(f"dtype is {dtype!r}; use {', '.join(ITEM_BYTES)}", setting="dtype")
    if attention not in ATTENTION:
        raise InvalidSetting(
            f"attention is {attention!r}; use {', '.join(ATTENTION)}", setting="attention"
        )
    files = resolve(reference, cache_dir=cache_dir, offline=offline)
    if threads:
        import torch

        torch.set_num_threads(threads)
    module, tokenizer = _load(files, place, dtype, attention)
    identity = Identity(files.id, files.config, files.weights, files.tokenizer)
    return LocalModel(identity, module, tokenizer)


def prepared(module: Any, *, attention: str = "sdpa") -> Any:
    """A transformers model made ready: no training, no gradients, attention of our own for sdpa,
    fused norms and joint products on a CUDA device."""
    from memos.kvcache.generator import attention as ours
    from memos.kvcache.generator import joint, norms

    module = module.eval().requires_grad_(False)
    norms.fuse(module)
    if attention == "sdpa":
        ours.register()
        module.set_attn_implementation(ours.NAME)
        joint.join(module)
    return module


def _device(name: str) -> Any:
    import torch

    try:
        place = torch.device(name)
    except RuntimeError as error:
        raise InvalidSetting(
            f"device is {name!r}; use cpu, cuda or cuda:<number>", setting="device"
        ) from error
    if place.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (place.index or 0) >= found:
            raise DeviceUnavailable(
                f"device is {name!r}, but this torch ({torch.__version__}) sees {found} CUDA "
                "devices; use cpu, or install a CUDA build of torch on a machine with a GPU",
                device=name,
            )
    return place


def _load(files: ModelFiles, place: Any, dtype: str, attention: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from memos.kvcache.generator.cache import has_attention

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
        config = AutoConfig.from_pretrained(files.folder, local_files_only=True)
        if not has_attention(config.get_text_config(decoder=True)):
            attention = "eager"  # the only one that transformers lets such a model have
        module = AutoModelForCausalLM.from_pretrained(
            files.folder,
            config=config,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            local_files_only=True,
        ).to(place)
    except ImportError as error:
        raise MissingDependency(
            f"model {files.id!r} with attention {attention} needs a package: {error}"
        ) from error
    except torch.cuda.OutOfMemoryError as error:
        raise ModelError(
            f"model {files.id!r} does not fit on {place}: {error}; use another dtype or device",
            model=files.id,
        ) from error
    except ValueError as error:
        if "attention implementation" not in str(error):
            raise _corrupt(files, error) from error
        raise ModelUnsupported(
            f"model {files.id!r} can't be run with attention {attention}: {error}",
            model=files.id,
        ) from error
    except Exception as error:  # whatever the many formats and their readers raise
        raise _corrupt(files, error) from error
    return prepared(module, attention=attention), tokenizer


def _corrupt(files: ModelFiles, error: Exception) -> ModelCorrupt:
    return ModelCorrupt(
        f"can't load model {files.id!r} from {files.folder}: {error}; install or download it again",
        model=files.id,
        path=str(files.folder),
    )
