"""One-time export of a sentence-transformers model to ONNX, kept by digest.

torch and transformers are loaded in a child process only, so that a service that exports on its
first start does not carry their 440 MB from then on. The child compares the export with torch
before it is kept.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from memos.embedding.files import DigestLedger, exclusive, sync, writing
from memos.embedding.layout import Layout, NotExportable
from memos.errors import StorageFull

log = logging.getLogger(__name__)

# Part of the folder's name: raise it when the exported graph changes.
FORMAT = 1
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "sentence_embedding"
# Largest difference to torch in any component of the unit vectors; float32 rounding gives 1e-6.
TOLERANCE = {"fp32": 1e-4, "int8": 0.25}
_TIMEOUT_SECONDS = 900
_UNEXPORTABLE = 3


@dataclass(frozen=True)
class Exported:
    """What is known of an exported graph, stored beside it."""

    sha256: str
    size: int


def exported(layout: Layout, *, digest: str, precision: str, cache_dir: Path) -> Path:
    """Path of the model's ONNX file below `cache_dir`, exported now if it is not there.

    A file that is not the one once written is exported anew, with a logged warning. Any number of
    processes may call this at once: one exports, the others wait for it. NotExportable if the
    export fails or differs from torch; StorageFull, StorageReadOnly if it can't be kept.
    """
    target = cache_dir / f"{digest[:32]}-{FORMAT}"
    found = _intact(target, cache_dir)
    if found is not None:
        return found
    with writing(cache_dir), exclusive(cache_dir / f"{target.name}.lock"):
        found = _intact(target, cache_dir)  # another process may have been faster
        if found is not None:
            return found
        if target.exists():
            log.warning("the exported model in %s is damaged; it is exported again", target)
            shutil.rmtree(target)
        _build(layout, precision=precision, target=target)
    found = _intact(target, cache_dir)
    if found is None:
        raise NotExportable(f"the export in {target} was damaged right after it was written")
    return found


def discard(path: Path) -> None:
    """Removes an exported file that can't be loaded, so that it is exported again."""
    with writing(path.parent):
        shutil.rmtree(path.parent)


def _intact(target: Path, cache_dir: Path) -> Path | None:
    """The ONNX file in `target`, if it is the one that was written there."""
    path = target / "model.onnx"
    try:
        known = Exported(**json.loads((target / "export.json").read_bytes()))
        if path.stat().st_size == known.size:
            return path if DigestLedger(cache_dir).digest(path) == known.sha256 else None
    except (OSError, TypeError, ValueError):
        pass  # absent or half there: the caller exports
    return None


def _build(layout: Layout, *, precision: str, target: Path) -> None:
    """Exports into a temporary folder, makes it last, then gives it its name. The lock is held."""
    prefix = f".{target.name}."
    for stale in target.parent.glob(f"{prefix}*"):  # of a process that was killed
        shutil.rmtree(stale)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        log.info("exporting the embedding model to %s, once", target)
        _run_child(layout, precision, folder)
        for path in folder.iterdir():
            sync(path)
        sync(folder)
        folder.rename(target)
        sync(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        raise


def _run_child(layout: Layout, precision: str, folder: Path) -> None:
    order = {**asdict(layout), "transformer": str(layout.transformer)}
    order |= {"precision": precision, "folder": str(folder)}
    child = subprocess.run(
        [sys.executable, "-m", "memos.embedding.exporter"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
        cwd=folder,  # `-m` looks there first: an empty folder hides no package
        env={
            **os.environ,
            # The child must find the same packages, also where memos runs uninstalled.
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
            "HF_HUB_OFFLINE": "1",
        },
    )
    if child.returncode == 0:
        return
    reason = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
    if "No space left on device" in child.stderr:
        raise StorageFull(
            f"no space left to export the embedding model in {folder.parent}; free about 300 MB "
            "or set another data_dir",
            path=str(folder.parent),
        )
    raise NotExportable(f"export of {layout.transformer} failed: {reason}")
