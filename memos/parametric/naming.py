"""When an attached adapter is at work: where somebody or something that it knows of is named.

Every adapter of a small model shifts what that says of other things too. A question that names
nothing that was learnt is answered without the adapter, so its answer is that of the model to the
letter. Names are kept as keyed digests: who reads the row can't read who is in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from memos.parametric.examples import Taught
from memos.types import Memory

LONGEST = 5
"""Words of a name that is looked for."""
_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"(?<!^)(?<![.!?]\s)\b[A-Z][^\W\d_]{2,}\b")
_SHORTEST = 3
_MOST_WORDS = 400
_DIGITS = 16


def names(facts: Sequence[Taught], memories: Sequence[Memory]) -> set[str]:
    """Of subjects, whole and by their parts, and of objects; in texts, words written as names."""
    found: set[str] = set()
    for fact in facts:
        found |= {_folded(fact.subject), _folded(fact.object)}
        found |= {word for word in _words(fact.subject) if len(word) >= _SHORTEST}
    for memory in memories:
        found |= {_folded(name) for name in _NAME.findall(memory.content)}
        if memory.speaker:
            found.add(_folded(memory.speaker))
    return {name for name in found if 0 < len(name.split()) <= LONGEST}


def keyed(found: Iterable[str], salt: bytes) -> list[str]:
    """Their digests, sorted."""
    return sorted({_digest(name, salt) for name in found})


def mentions(texts: Iterable[str], keys: Collection[str], salt: bytes) -> bool:
    """Whether one of the texts has a name whose digest is among the keys."""
    known = frozenset(keys)
    return any(_digest(phrase, salt) in known for text in texts for phrase in _phrases(text))


def phrases(texts: Iterable[str]) -> list[str]:
    """What in the texts could be a name, each once, of the last words that were said."""
    found: dict[str, None] = {}
    for text in texts:
        found |= dict.fromkeys(_phrases(" ".join(text.split()[-_MOST_WORDS:])))
    return list(found)


def is_named(found: Iterable[str], keys: Collection[str], salt: bytes) -> bool:
    """Whether one of these names, whole, is known by its digest."""
    known = frozenset(keys)
    return any(_digest(_folded(name), salt) in known for name in found)


def unnamed(texts: Iterable[str], keys: Collection[str], salt: bytes) -> tuple[str, ...]:
    """Those of the texts that have none of the names, each once."""
    return tuple(text for text in dict.fromkeys(texts) if not mentions([text], keys, salt))


def asked(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """What a conversation says, but for the system prompt."""
    return [message["content"] for message in messages if message["role"] != "system"]


def _phrases(text: str) -> Iterator[str]:
    words = _words(text)
    for size in range(1, LONGEST + 1):
        for at in range(len(words) - size + 1):
            yield " ".join(words[at : at + size])


def _digest(name: str, salt: bytes) -> str:
    return hashlib.blake2b(name.encode(), key=salt[:64], digest_size=_DIGITS // 2).hexdigest()


def _folded(name: str) -> str:
    return " ".join(_words(name))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
