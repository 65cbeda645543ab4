"""Several runs of turns read by one extractor, together where it can do that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memos.errors import ExtractionFailed
from memos.protocols import Extractor, RunExtractor, Turns
from memos.types import Extraction


def extracted(
    extractor: Extractor, runs: Sequence[Turns]
) -> Iterator[list[Extraction | ExtractionFailed]]:
    """What `extractor` finds in each of `runs`, in their order, as soon as it is known. Raises what
    the extractor does; what was given out before stands."""
    if isinstance(extractor, RunExtractor):
        yield from extractor.extract_runs(runs)
        return
    for memories, before in runs:
        yield extractor.extract(memories, before=before)
