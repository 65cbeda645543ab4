"""Makes the table of how near words are in meaning, `memos/data/kinship.npz`.

The words are the whole words in the vocabulary of the default embedder's tokenizer. Each is
embedded by itself, and a term has the mean of its words ("activ" that of active, activity,
activities). The vectors are centred, projected on their first principal axes, brought to length 1
and kept as signed bytes. No text of any data set is read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memos import assembly, config
from memos.errors import MemosError
from memos.retrieval.reading import kinship
from memos.retrieval.reading.analysis import STOPWORDS, analyze

if TYPE_CHECKING:
    from memos.protocols import Embedder

DIMENSIONS = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the table; exit code 1 for an error of ours."""
    parser = argparse.ArgumentParser(prog="memos bench kinship", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", required=True)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    options = parser.parse_args(argv)
    try:
        settings = config.load()
        words = by_term(vocabulary(settings.embedding_model, settings.data_dir / "models"))
        table = made(words, assembly.make_embedder(settings), dimensions=options.dimensions)
        kinship.write(table, options.write)
    except MemosError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    print(f"{options.write}: {len(table.row):,} terms, {table.vectors.nbytes:,} bytes of vectors")
    return 0


def vocabulary(model: str, cache_dir: Path) -> list[str]:
    """The pieces of the model's tokenizer in the order of their numbers."""
    from tokenizers import Tokenizer

    from memos.embedding import weights

    found = weights.resolve(model, cache_dir=cache_dir, offline=True)
    pieces = Tokenizer.from_file(str(found.folder / "tokenizer.json")).get_vocab()
    return sorted(pieces, key=lambda piece: pieces[piece])


def by_term(pieces: Sequence[str]) -> dict[str, list[str]]:
    """The words among `pieces` by the term that they become."""
    found: dict[str, list[str]] = {}
    for word in pieces:
        if len(word) < 2 or not (word.isascii() and word.isalpha()) or word in STOPWORDS:
            continue
        terms = analyze(word)
        if len(terms) == 1:
            found.setdefault(terms[0], []).append(word)
    return found


def made(
    words: Mapping[str, Sequence[str]], embedder: Embedder, *, dimensions: int
) -> kinship.Kinship:
    """The table of `words`, those of each term."""
    each = embedder.embed([word for group in words.values() for word in group])
    starts = np.cumsum([0, *(len(group) for group in words.values())])[:-1]
    sums = np.add.reduceat(each, starts, axis=0)
    means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    vectors = projected(np.asarray(means, np.float32), dimensions)
    return kinship.Kinship(
        row={term: row for row, term in enumerate(words)},
        vectors=np.round(vectors * kinship.SCALE).astype(np.int8),
        made={"by": "memos bench kinship", "model": embedder.model.id},
    )


def projected(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Rows of length 1, shape (n, at most `dimensions`): on the first principal axes."""
    centred = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    found = centred @ axes[:dimensions].T
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
