"""BM25 against a plain reading of its formula, against SQLite's own, and kept so by changes."""

import math
import sqlite3
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memos.retrieval.projection.lexical import K1, KERNEL, B, Lexical
from memos.retrieval.projection.timeline import Timeline

WORDS = ["alpha", "beta", "gamma", "delta", "eps", "zeta"]


def built(texts, chains):
    """Texts in order, each in the chain of its number (0: none)."""
    lexical, timeline = Lexical(), Timeline()
    rows = np.arange(len(texts))
    lexical.add(rows, texts)
    timeline.reserve(len(texts))
    chain = np.zeros(len(texts) + 1, np.int32)
    chain[:-1] = chains
    live = np.append(np.ones(len(texts), bool), False)
    timeline.rebuild(chain, np.arange(len(texts) + 1, dtype=float), live)
    lexical.measure(rows, timeline)
    return lexical, timeline, chain


def reference(docs, query):
    """BM25 over documents as weighted counts, term by term."""
    scores = [0.0] * len(docs)
    lengths = [sum(doc.values()) for doc in docs]
    average = sum(lengths) / len(docs)
    for term in set(query):
        df = sum(1 for doc in docs if doc.get(term))
        idf = math.log(1 + (len(docs) - df + 0.5) / (df + 0.5))
        for i, doc in enumerate(docs):
            tf = doc.get(term, 0)
            scores[i] += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * lengths[i] / average))
    return scores


def window_docs(texts, chains):
    order = defaultdict(list)
    for i, chain in enumerate(chains):
        order[chain].append(i)
    docs = []
    for i, chain in enumerate(chains):
        doc = Counter(texts[i].split())
        if chain:
            at = order[chain].index(i)
            for step in (-2, -1, 1, 2):
                if 0 <= at + step < len(order[chain]):
                    for term in texts[order[chain][at + step]].split():
                        doc[term] += KERNEL[abs(step)]
        docs.append(doc)
    return docs


documents = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)
queries = st.lists(st.sampled_from([*WORDS, "unknown"]), min_size=1, max_size=4)


@given(documents, queries)
def test_turns_windows_and_sessions_follow_the_formula(documents, query):
    texts, chains = [text for text, _ in documents], [chain for _, chain in documents]
    lexical, timeline, chain = built(texts, chains)
    found, size = lexical.find(query), len(texts)
    turns = lexical.turns(found, size)
    assert turns == pytest.approx(reference([Counter(t.split()) for t in texts], query), abs=1e-4)
    windows = lexical.windows(found, timeline, size)
    assert windows == pytest.approx(reference(window_docs(texts, chains), query), abs=1e-4)
    sessions = sorted(set(chains) - {0})
    if sessions:
        docs = [
            Counter(" ".join(t for t, c in documents if c == session).split())
            for session in sessions
        ]
        scores = lexical.sessions(found, chain, size)
        assert scores[0] == 0
        assert scores[sessions] == pytest.approx(reference(docs, query), abs=1e-4)


def test_rare_and_frequent_terms_are_scored_alike():
    texts = [f"alpha filler{i}" for i in range(300)]
    texts[7] += " beta"
    texts[150] += " beta beta"
    chains = [1 + i // 50 for i in range(300)]
    lexical, timeline, _ = built(texts, chains)
    for query in (["alpha"], ["beta"], ["alpha", "beta"]):
        windows = lexical.windows(lexical.find(query), timeline, 300)
        assert windows == pytest.approx(reference(window_docs(texts, chains), query), abs=1e-4)


def test_the_ranking_is_that_of_fts5():
    rng = np.random.default_rng(1)
    words = [f"w{chr(97 + i)}" for i in range(26)]
    weights = 1 / np.arange(1, 27)
    texts = [
        " ".join(rng.choice(words, rng.integers(3, 20), p=weights / weights.sum()))
        for _ in range(400)
    ]
    lexical, _, _ = built(texts, [0] * len(texts))
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    db.executemany("INSERT INTO t(rowid, x) VALUES (?, ?)", enumerate(texts))
    checked = 0
    # FTS5 has the older idf, which differs by a term's weight alone: so one term at a time, and of
    # those in less than half of the texts, where its idf is not cut off.
    for word in words:
        if sum(word in text.split() for text in texts) * 2 > len(texts):
            continue
        theirs = dict(
            db.execute("SELECT rowid, -bm25(t) FROM t WHERE t MATCH ?", [word]).fetchall()
        )
        ours = lexical.turns(lexical.find([word]), len(texts))
        assert set(np.flatnonzero(ours)) == set(theirs)
        rows = sorted(theirs)
        ratio = ours[rows] / np.array([theirs[row] for row in rows])
        assert ratio == pytest.approx(np.full(len(rows), ratio[0]), rel=1e-4)
        checked += len(rows)
    db.close()
    assert checked > 1000


def test_a_rare_term_outweighs_a_common_one():
    texts = ["common"] * 50 + ["rare", "common rare"]
    lexical, _, _ = built(texts, [0] * 52)
    scores = lexical.turns(lexical.find(["common", "rare"]), 52)
    assert scores[50] > scores[0]


def test_the_question_mark_is_no_word():
    lexical, _, _ = built(["alpha ?", "?", "alpha"], [0, 0, 0])
    assert lexical.asks[:3].tolist() == [True, True, False]
    assert lexical.find(["?"]) == []
    scores = lexical.turns(lexical.find(["alpha"]), 3)
    assert scores[0] == scores[2] > 0


def test_more_than_255_times_is_still_found():
    lexical, _, _ = built(["alpha " * 300 + "beta", "alpha"], [0, 0])
    scores = lexical.turns(lexical.find(["alpha"]), 2)
    assert scores.min() > 0
    assert lexical.phrase(["alpha", "beta"]).tolist() == [0]


@pytest.mark.parametrize(
    ("phrase", "rows"),
    [
        (["alpha", "beta"], [0, 3]),
        (["beta", "alpha"], [1]),
        (["alpha", "alpha"], [2]),
        (["alpha", "unknown"], []),
        (["gamma"], [3]),
    ],
)
def test_phrases(phrase, rows):
    texts = ["alpha beta", "beta alpha", "alpha alpha delta beta", "gamma alpha beta"]
    lexical, _, _ = built(texts, [0] * 4)
    assert sorted(lexical.phrase(phrase).tolist()) == rows
