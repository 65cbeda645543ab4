"""Tags come from a fixed list of topics, by meaning and by cues."""

from __future__ import annotations

import numpy as np
import pytest

from memos.notes.taxonomy import TOPICS
from memos.notes.topics import ENOUGH, LIMIT, Topics
from memos.retrieval.reading.analysis import analyze
from memos.testing import HashEmbedder

EMBEDDER = HashEmbedder(dimensions=512)
NOTHING = np.zeros(len(TOPICS))


def tags(text, cosines=None):
    return Topics(EMBEDDER).tags(set(analyze(text)), NOTHING if cosines is None else cosines)


def test_the_taxonomy_is_sound():
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert all(topic.description and len(topic.cues) >= 5 for topic in TOPICS)
    assert all(analyze(cue) for topic in TOPICS for cue in topic.cues)


def test_meaning_and_cues_add_up_and_one_cue_alone_is_not_enough():
    near = NOTHING.copy()
    near[[t.name for t in TOPICS].index("music")] = 0.2
    assert tags("a song") == ()
    assert tags("something", near) == ()
    assert tags("a song", near) == ("music",)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("my doctor found the disease at the hospital", "health"),
        ("his songs at the concert", "music"),
        ("we took a road trip with much luggage and our passports", "travel"),
    ],
)
def test_inflected_and_joined_cues_are_found(text, topic):
    near = np.full(len(TOPICS), 0.05)
    assert topic in tags(text, near)


def test_tags_are_few_and_the_best_first():
    near = np.linspace(0.2, 0.9, len(TOPICS))
    found = tags("nothing", near)
    assert found == tuple(topic.name for topic in reversed(TOPICS))[:LIMIT]
    assert near[-LIMIT] >= ENOUGH


def test_vectors_of_another_model_are_near_nothing():
    topics = Topics(EMBEDDER)
    vectors = EMBEDDER.embed(["songs, concerts and bands"])
    assert topics.cosines(vectors, EMBEDDER.model.digest).max() > 0.3
    assert not topics.cosines(vectors, "another").any()
    assert topics.cosines(vectors[:, :7], "another").shape == (1, len(TOPICS))
