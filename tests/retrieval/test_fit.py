"""The file of fitted weights, and what the setting makes of it."""

import json

import pytest

from memos.errors import InvalidInput
from memos.retrieval.ranking import fit
from memos.retrieval.ranking.features import CHANNELS
from tests.retrieval.world import World


def test_the_committed_weights_are_of_these_features_and_say_where_from():
    found = fit.default()
    assert set(found.weights) == set(CHANNELS)
    assert found.base > 0
    assert found.made["by"] == "memos bench fusion_fit"
    assert found.made["conversations"]
    assert found.vector().shape == (len(CHANNELS),)
    # What is known to help must not have come out the wrong way round.
    assert found.weights["coverage"] > 0 > found.weights["days off"]
    assert found.weights["speaker"] > 0


def test_what_is_written_can_be_read(tmp_path):
    weights = {name: i / 7 for i, name in enumerate(CHANNELS)}
    fit.write(fit.Fit(base=1.25, weights=weights, made={"by": "a test"}), tmp_path / "f.json")
    found = fit.read(tmp_path / "f.json")
    assert found.base == 1.25
    assert found.weights == pytest.approx(weights, abs=1e-6)
    assert found.made == {"by": "a test"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"base": "x", "weights": {}, "made": {}}', '{"base": 1, "weights": []}'],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"f\.json"):
        fit.read(tmp_path / "f.json")
    with pytest.raises(InvalidInput, match=r"none\.json"):
        fit.read(tmp_path / "none.json")


def test_weights_of_other_features_are_refused(tmp_path):
    data = {"base": 1, "weights": {"told": 1, "smell": 2}, "made": {}}
    (tmp_path / "f.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput, match="smell"):
        fit.read(tmp_path / "f.json")


def test_plain_does_without_fitted_weights():
    fitted, plain = World(), World(fusion="plain")
    for world in (fitted, plain):
        for i in range(20):
            world.add(f"the dog number {i} barks", session_id="s")
        world.add("I was in Rome with Bo and Carla last week, and the dog barked", session_id="t")
    channels = [
        {share.channel for hit in world.search("dog", limit=30).hits for share in hit.breakdown}
        for world in (fitted, plain)
    ]
    assert "telling" in channels[0]
    assert "telling" not in channels[1]
    assert plain.searcher.gathering.fit is None


def test_a_cube_without_vectors_is_ranked_by_the_plain_sum():
    world = World()
    for i in range(5):
        world.add(f"the dog number {i} barks", vector=False)
    shares = world.search("dog").hits[0].breakdown
    assert {share.channel for share in shares} <= {"lexical", "session", "priority"}
