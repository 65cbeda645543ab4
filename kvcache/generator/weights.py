"""Where a language model's files are: a folder, a package that carries them, or the Hub.

Knows nothing of how a model is run. A GGUF file of a carrier package is converted once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memos.errors import ModelCorrupt, ModelDigestMismatch, ModelNotFound
from memos.kvcache.generator.files import Ledger
from memos.kvcache.generator.known import Carrier, carrier_of

_HUB_PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
_VOLATILE = {"_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype"}
"""Of config.json: who saved it and in which dtype, which a fingerprint states for itself."""


@dataclass(frozen=True)
class ModelFiles:
    """A folder that transformers loads, and the digests (hex SHA-256) of what is in it."""

    id: str
    folder: Path
    config: str
    weights: str
    tokenizer: str


def resolve(reference: str, *, cache_dir: Path, offline: bool) -> ModelFiles:
    """The files that `reference` names: a folder, a carrier package or a Hub id.

    A known id is taken from its carrier package if that is installed, else from the Hub. Converted
    models and remembered digests are kept in `cache_dir`. `offline` never asks the Hub.

    ModelNotFound says what to do; ModelDigestMismatch if a carrier's file is not the known one;
    ModelCorrupt for a folder that lacks files; StorageFull, StorageReadOnly for `cache_dir`.
    """
    if not reference.strip():
        raise ModelNotFound("no language model is named; give a Hub id, a folder or a package")
    name, folder = _find(reference, cache_dir=cache_dir, offline=offline)
    try:
        return _described(name, folder, Ledger(cache_dir))
    except OSError as error:
        raise ModelCorrupt(
            f"can't read the files of model {name!r} in {folder}: {error}; check its permissions",
            model=name,
            path=str(folder),
        ) from error


def _find(reference: str, *, cache_dir: Path, offline: bool) -> tuple[str, Path]:
    path = Path(reference).expanduser()
    if path.is_dir():
        return str(path.resolve()), _complete(reference, path.resolve())
    if path.is_absolute() or reference.startswith((".", "~")):
        raise ModelNotFound(f"there is no folder {path}; correct the model", model=reference)
    carried = carrier_of(reference)
    if carried is not None:
        name, carrier = carried
        file = carrier.find()
        if file is not None:
            return name, _converted(name, carrier, file, cache_dir)
        if reference != name:
            raise _not_installed(name, carrier)
        return name, _from_hub(name, offline=offline, carrier=carrier)
    return reference, _from_hub(reference, offline=offline, carrier=None)


def _converted(name: str, carrier: Carrier, file: Path, cache_dir: Path) -> Path:
    from memos.kvcache.generator.conversion import converted

    actual = Ledger(cache_dir).digest(file)
    if actual != carrier.sha256:
        raise ModelDigestMismatch(
            f"{file} is not the known file of {name!r}: its SHA-256 is {actual}, expected "
            f"{carrier.sha256}; run `{carrier.command} --force-reinstall`",
            model=name,
            path=str(file),
            expected=carrier.sha256,
            actual=actual,
        )
    return _complete(name, converted(file, sha256=actual, eos=carrier.eos, cache_dir=cache_dir))


def _not_installed(name: str, carrier: Carrier) -> ModelNotFound:
    return ModelNotFound(
        f"the package {carrier.package} is not installed; run `{carrier.command}`", model=name
    )


def _from_hub(reference: str, *, offline: bool, carrier: Carrier | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    hint = f"run `{carrier.command}`, or " if carrier is not None else ""
    try:
        return Path(
            snapshot_download(reference, allow_patterns=_HUB_PATTERNS, local_files_only=True)
        ).resolve()
    except HFValidationError as error:
        raise ModelNotFound(
            f"{reference!r} is no folder, no carrier package, and no Hub id either: {error}",
            model=reference,
        ) from error
    except LocalEntryNotFoundError as error:
        if offline:
            raise ModelNotFound(
                f"model {reference!r} is not on this machine and offline is set; {hint}give a "
                "folder, or allow the Hub",
                model=reference,
            ) from error
    try:
        return Path(snapshot_download(reference, allow_patterns=_HUB_PATTERNS)).resolve()
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelNotFound(
            f"can't get model {reference!r} from the Hub: {error}; check the name and the network, "
            f"{hint}or give a folder",
            model=reference,
        ) from error


def _complete(reference: str, folder: Path) -> Path:
    missing = [
        pattern
        for pattern in ("config.json", "*.safetensors", "tokenizer*.json")
        if not any(folder.glob(pattern))
    ]
    if missing:
        raise ModelCorrupt(
            f"model {reference!r}: {folder} has no {' and no '.join(missing)}; give a folder saved "
            "by save_pretrained, with its tokenizer",
            model=reference,
            path=str(folder),
        )
    return folder


def _described(name: str, folder: Path, ledger: Ledger) -> ModelFiles:
    _complete(name, folder)
    tokenizer = {
        *folder.glob("tokenizer*"),
        *folder.glob("special_tokens_map.json"),
        *folder.glob("added_tokens.json"),
        *folder.glob("vocab.*"),
        *folder.glob("merges.txt"),
        *folder.glob("*.model"),
    }
    weights = sorted(folder.glob("*.safetensors"))
    return ModelFiles(
        id=name,
        folder=folder,
        config=_config_digest(folder / "config.json"),
        weights=_joint([[path.name, ledger.digest(path)] for path in weights]),
        tokenizer=_joint([[path.name, ledger.digest(path)] for path in sorted(tokenizer)]),
    )


def _config_digest(path: Path) -> str:
    try:
        content: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelCorrupt(
            f"{path} is damaged: {error}; install or download the model again", path=str(path)
        ) from error
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key not in _VOLATILE}
    return _joint(content)


def _joint(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
