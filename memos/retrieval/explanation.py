"""A sentence per channel that found a hit. Knows the channels' names and nothing of their sums."""

from __future__ import annotations

from collections.abc import Sequence

from memos.retrieval.analysis import analyze, text_of
from memos.retrieval.query import Reading
from memos.types import Contribution, Memory


def explained(
    memory: Memory, breakdown: Sequence[Contribution], reading: Reading, degraded: str | None
) -> tuple[str, ...]:
    """Why the memory was found, strongest share first."""
    ordered = sorted(breakdown, key=lambda share: -abs(share.weighted))
    sentences = [_sentence(share, memory, reading) for share in ordered]
    if reading.exact:
        sentences += [f'it holds the phrase "{phrase}"' for phrase in reading.query.phrases]
    if degraded:
        sentences.append(f"degraded: {degraded}; all vectors were searched exactly instead")
    return tuple(sentences)


def _sentence(share: Contribution, memory: Memory, reading: Reading) -> str:
    size = f"{share.weighted:+.2f}"
    if share.channel == "lexical":
        own = set(analyze(text_of(memory)))
        shared = [term for term in reading.query.terms if term in own]
        where = f"it has {', '.join(shared)}" if shared else "the words stand beside it"
        return f"{size} lexical: {where}; BM25 of its window is {share.raw:.2f}, rank {share.rank}"
    if share.channel == "dense":
        return (
            f"{size} dense: its window's cosine to the query is {share.raw:.3f}, rank {share.rank}"
        )
    if share.channel == "session":
        return f"{size} session: BM25 of its session as a whole is {share.raw:.2f}"
    if share.channel == "speaker":
        return f"{size} speaker: {memory.speaker} said it, whom the query names"
    if share.channel == "time":
        return f"{size} time: it falls in the time that the query names, or shortly after"
    if share.channel == "question":
        return f"{size} question: it ends in a question, which asserts nothing itself"
    if share.channel == "phrase":
        return f"{size} phrase: it has the words in quotes, in their order"
    return f"{size} {share.channel}: {memory.priority:g}, where 0.5 is usual"
