"""The made-up conversations are reproducible and shaped like chat."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

from memos.benchmarks.texts.conversations import Conversations


def test_a_seed_gives_the_same_turns_and_another_gives_others() -> None:
    first = list(Conversations(1).turns(300))
    assert first == list(Conversations(1).turns(300))
    assert first != list(Conversations(2).turns(300))
    assert Conversations(1).questions(20) == Conversations(1).questions(20)


def test_a_longer_stream_begins_with_the_shorter() -> None:
    talks = Conversations(1)
    assert list(islice(talks.turns(500), 100)) == list(talks.turns(100))
    assert list(talks.turns(50, start=50)) == list(talks.turns(100))[50:]
    assert list(talks.turns(0)) == []


def test_turns_are_shaped_like_chat() -> None:
    turns = list(Conversations(0).turns(20_000))
    words = [len(turn.content.split()) for turn in turns]
    assert 12 <= sum(words) / len(words) <= 25
    assert min(words) <= 3
    assert max(words) >= 40
    sessions = Counter(turn.session_id for turn in turns)
    assert 20 <= sum(sessions.values()) / len(sessions) <= 30
    assert not re.search(r"[{}~]", " ".join(turn.content for turn in turns))
    for session in list(sessions)[:20]:
        of = [turn for turn in turns if turn.session_id == session]
        assert len({turn.speaker for turn in of}) == 2
        assert [turn.occurred_at for turn in of] == sorted(turn.occurred_at for turn in of)
    tenth = Counter(turn.user_id for turn in turns)
    assert all(0.05 <= count / len(turns) <= 0.15 for count in tenth.values())


def test_words_are_many_and_few_are_most_of_the_text() -> None:
    text = " ".join(turn.content.lower() for turn in Conversations(0).turns(20_000))
    counts = Counter(re.findall(r"\w+", text))
    assert len(counts) > 4_000
    head = sum(count for _, count in counts.most_common(100))
    assert head > 0.5 * sum(counts.values())
    once = sum(count == 1 for count in counts.values())
    assert once > 0.2 * len(counts)


def test_questions_are_different_and_use_words_of_the_turns() -> None:
    questions = Conversations(0).questions(300)
    assert len(set(questions)) == 300
    text = " ".join(turn.content.lower() for turn in Conversations(0).turns(20_000))
    known = set(re.findall(r"\w+", text))
    used = [word for q in questions for word in re.findall(r"\w+", q.lower())]
    assert sum(word in known for word in used) > 0.75 * len(used)
