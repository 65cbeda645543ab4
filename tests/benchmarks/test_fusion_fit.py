"""The fit of the fusion: its mathematics, what it learns from, and that it sees no test data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memos.benchmarks import fusion_fit, locomo
from memos.benchmarks.retrieval import fusion_trial, listwise
from memos.benchmarks.retrieval.fusion_examples import Example, exchanged
from memos.benchmarks.texts import locomo_data
from memos.errors import MemosError
from memos.retrieval.ranking import fit
from memos.retrieval.ranking.features import CHANNELS

NAMES = list(CHANNELS)


def lists(seed: int, count: int = 80, truth=(0.0, 2.0, -1.0, 0.0)) -> list[listwise.List]:
    """Questions whose evidence follows from `truth`: the weight of the base, then of features."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        base, matrix = random.normal(size=30), random.normal(size=(30, 3))
        utility = truth[0] * base + matrix @ np.array(truth[1:])
        relevant = np.zeros(30, np.bool_)
        relevant[np.argmax(utility + random.gumbel(size=30))] = True
        made.append(listwise.List(base=base, matrix=matrix, relevant=relevant))
    return made


def test_the_fit_finds_what_decides():
    base, weights = listwise.fit(lists(0, 400), pull=0.0)
    assert base == pytest.approx(0, abs=0.3)
    assert weights == pytest.approx([2, -1, 0], abs=0.35)


def test_more_shrinkage_gives_smaller_weights_and_the_pull_is_added():
    made = lists(1)
    loose, tight = (listwise.fit(made, l2=l2, pull=0.0)[1] for l2 in (0.001, 1.0))
    assert np.abs(tight).max() < np.abs(loose).max() / 2
    assert listwise.fit(made, pull=2.0)[0] == pytest.approx(listwise.fit(made, pull=0.0)[0] + 2)


def test_the_gradient_is_that_of_the_loss():
    made = lists(2, 5)
    made[0].relevant[:3] = True  # several pieces of evidence
    problem = listwise._Problem(
        base=np.concatenate([one.base for one in made]),
        matrix=np.concatenate([one.matrix for one in made]),
        relevant=np.concatenate([one.relevant for one in made]),
        sizes=np.array([30] * 5),
        l2=0.1,
    )
    at = np.array([0.3, -0.2, 0.5, 1.0])
    _, gradient = problem.loss(at)
    for i, step in enumerate(np.eye(4) * 1e-6):
        slope = (problem.loss(at + step)[0] - problem.loss(at - step)[0]) / 2e-6
        assert gradient[i] == pytest.approx(slope, abs=1e-6)


def test_the_fit_is_the_same_each_time_and_a_dead_feature_gets_no_weight():
    made = [replace(one, matrix=one.matrix * [1, 1, 0]) for one in lists(3)]
    first, second = listwise.fit(made), listwise.fit(made)
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1])
    assert first[1][2] == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did Anna tell Bo?", "What did Bo tell Anna?"),
        ("Is it Anna's?", "Is it Bo's?"),
        ("Annabel knows", "Annabel knows"),
    ],
)
def test_names_are_exchanged(text, expected):
    assert exchanged(text, ["Bo", "Anna", "Bo"]) == expected
    assert exchanged(text, ["Anna", "Bo", "Cy"]) == text


def example(conversation: str, number: int, deciding: int, category: int = 4) -> Example:
    """One whose evidence is where feature `deciding` is high, in all but this conversation's."""
    random = np.random.default_rng(number)
    matrix = random.normal(size=(20, len(NAMES)))
    relevant = np.zeros(20, np.bool_)
    relevant[np.argmax(matrix[:, deciding])] = True
    ids = tuple(f"D1:{i}" for i in range(20))
    question = locomo_data.Question(
        conversation=conversation,
        number=number,
        text="?",
        category=category,
        evidence=tuple(one for one, is_it in zip(ids, relevant, strict=True) if is_it),
    )
    return Example(
        conversation=conversation,
        question=question,
        ids=ids,
        plain=np.zeros(20),
        base=np.zeros(20),
        parts={"lexical": random.normal(size=20)},
        matrix=matrix,
        graph=np.zeros(20),
        relevant=relevant,
    )


def test_a_conversation_is_ranked_by_weights_that_have_not_seen_it():
    one = [example("one", i, deciding=0) for i in range(40)]
    two = [example("two", 100 + i, deciding=1) for i in range(40)]
    fits = fusion_trial.left_out([*one, *two])
    assert fits["one"] == fusion_trial.fitted(two)
    assert abs(fits["one"].weights[NAMES[0]]) < fits["one"].weights[NAMES[1]] / 4
    scores = fusion_trial.judged([*one, *two], fits)
    # What holds in the other conversation does not hold here: hardly better than chance, 5 %.
    assert np.mean([each["recall@1"] for each in scores]) < 25
    own = {"one": fusion_trial.fitted(one), "two": fusion_trial.fitted(two)}
    assert np.mean([s["recall@1"] for s in fusion_trial.judged([*one, *two], own)]) > 90


def test_adversarial_questions_teach_but_are_not_judged():
    made = [example("one", i, deciding=0, category=5 if i % 2 else 4) for i in range(10)]
    assert len(fusion_trial.judged(made, None)) == len(fusion_trial.categories(made)) == 5
    assert fusion_trial.fitted(made) != fusion_trial.fitted(made[::2])


def test_an_ablation_leaves_a_channel_out_of_features_and_sum():
    made = [example("one", 1, deciding=0)]
    (fewer,) = fusion_trial.without(made, "lexical")
    assert np.allclose(fewer.plain, -made[0].parts["lexical"])
    assert np.allclose(fewer.base, -made[0].parts["lexical"])
    assert np.array_equal(fewer.matrix, made[0].matrix)
    (fewer,) = fusion_trial.without(made, "telling")
    gone = [CHANNELS[name] == "telling" for name in NAMES]
    assert (fewer.matrix[:, gone] == 0).all()
    assert np.array_equal(fewer.matrix[:, np.logical_not(gone)], made[0].matrix[:, ~np.array(gone)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped conversation, and its second half as if it were another."""
    (sample,) = json.loads(locomo_data.SAMPLE.read_text("utf-8"))
    other = json.loads(json.dumps(sample)) | {"sample_id": "other"}
    other["qa"] = sample["qa"][::2]
    path = tmp_path_factory.mktemp("fusion") / "two.json"
    path.write_text(json.dumps([sample | {"qa": sample["qa"][1::2]}, other]))
    return path


def test_weights_are_fitted_and_written(two: Path, warm_data_dir: Path, tmp_path: Path, capsys):
    target = tmp_path / "fusion.json"
    assert fusion_fit.main(["--data", str(two), "--write", str(target)]) == 0
    made = fit.read(target)
    assert made.made["conversations"] == [json.loads(two.read_text())[0]["sample_id"], "other"]
    assert made.made["data_sha256"] == locomo_data.read(two).sha256
    shown = capsys.readouterr().out
    for row in ("| all |", "| plain sum |", "| all - dense |", "| all + 1 graph |"):
        assert row in shown
    # No text of the data may get into the file: its licence is not ours to pass on.
    words = {turn.text for c in locomo_data.read(two).conversations for turn in c.turns}
    assert not any(word in target.read_text() for word in words if len(word) > 8)


def test_leave_one_out_ranks_and_reports(two: Path, warm_data_dir: Path, tmp_path: Path):
    out = tmp_path / "out"
    arguments = ["--data", str(two), "--no-baselines", "--leave-one-out", "--out", str(out)]
    assert locomo.main(arguments) == 0
    found = json.loads((out / "report.json").read_text("utf-8"))
    assert found["weights"] == "of each conversation fitted to the others"
    assert {"all", "plain sum", "all - speaker", "all + 1 graph"} <= set(found["ablation"])
    # The service ranks as the fit's own arithmetic does.
    for metric in ("recall@5", "recall@10", "ndcg@10"):
        assert found["systems"]["memos"]["1-4"][metric] == pytest.approx(
            found["ablation"]["all"]["1-4"][metric], abs=0.01
        )
    assert "all - speaker" in (out / "report.md").read_text("utf-8")


def test_what_can_not_be_left_out_is_refused(warm_data_dir: Path, two: Path):
    with pytest.raises(MemosError, match="two"):
        locomo.run(locomo._options(["--leave-one-out", "--no-baselines"]))
    with pytest.raises(MemosError, match="url"):
        locomo.run(locomo._options(["--leave-one-out", "--url", "http://localhost:1"]))
