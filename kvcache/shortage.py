"""Whether an error of torch says that memory is short: it has several ways to say so."""

from __future__ import annotations

import torch


def is_short(error: BaseException | None) -> bool:
    """Of the device or of the host; any other error is none of ours to be patient with."""
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)
