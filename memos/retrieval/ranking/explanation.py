"""A sentence per channel that found a hit. Knows the channels' names and nothing of their sums."""

from __future__ import annotations

from collections.abc import Sequence

from memos.retrieval.reading.analysis import analyze, text_of
from memos.retrieval.reading.query import Reading
from memos.types import Contribution, Memory

_FITTED = {
    "telling": "how much it asserts, names and dates, beside the other candidates",
    "coverage": "which of the query's words it and its neighbours have, and how they lie",
    "kinship": "how near its words and its neighbours' come to the query's in meaning",
    "answer": "whether it stands behind a question that shares words with the query",
    "agreement": "whether words and meaning agree on it, and its place among the candidates",
    "spoken": "the times it speaks of, beside the time that the query names or asks for",
    "standing": "how far it lies below the best of its session",
    "speaker": "who said it",
    "time": "how far it lies from the time that the query names",
}


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
        where = "the words stand beside it" if share.raw else "no word is in it or beside it"
        if shared:
            where = f"it has {', '.join(shared)}"
        return f"{size} lexical: {where}; BM25 of its window is {share.raw:.2f}, rank {share.rank}"
    if share.channel == "dense":
        return (
            f"{size} dense: its window's cosine to the query is {share.raw:.3f}, rank {share.rank}"
        )
    if share.channel == "session":
        return f"{size} session: BM25 of its session as a whole is {share.raw:.2f}"
    if share.channel == "speaker" and share.raw > 0:
        return f"{size} speaker: {memory.speaker} said it, whom the query names"
    if share.channel == "time" and share.raw > 0:
        return f"{size} time: it falls in the time that the query names, or shortly after"
    if share.channel == "question":
        return f"{size} question: it ends in a question, which asserts nothing itself"
    if share.channel == "phrase":
        return f"{size} phrase: it has the words in quotes, in their order"
    if share.channel == "place":
        return f"{size} place: it happened at {memory.place}, which the query names"
    if share.channel == "placed":
        return f"{size} placed: it says where it happened, which the query asks"
    if share.channel == "reranker":
        return f"{size} reranker: rank {share.rank} of those it read beside the query"
    if share.channel == "graph":
        return f"{size} graph: {share.raw:.2f} of the nearest, by facts and mentions"
    if share.channel == "priority":
        return f"{size} priority: {memory.priority:g}, where 0.5 is usual"
    return f"{size} {share.channel}: {_FITTED[share.channel]}, by fitted weights"
