"""Old memories are associated by the upper of two Gaussians over the similarities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from memos.notes.association import BINS, CENTRES, FEWEST, binned, thresholds

STEP = float(CENTRES[1] - CENTRES[0])


def threshold_of(cosines) -> float:
    row = np.asarray([cosines], np.float32)
    return float(thresholds(binned(row, np.ones_like(row, bool)))[0])


@pytest.mark.parametrize(("low", "high", "share"), [(0.1, 0.6, 0.02), (0.2, 0.7, 0.1)])
def test_it_finds_the_boundary_that_a_full_mixture_finds(low, high, share):
    random = np.random.default_rng(7)
    upper = int(5000 * share)
    cosines = np.concatenate([random.normal(low, 0.1, 5000), random.normal(high, 0.06, upper)])
    fitted = GaussianMixture(2, random_state=0, n_init=3, tol=1e-6, max_iter=500).fit(
        cosines[:, None]
    )
    top = int(fitted.means_.ravel().argmax())
    grid = np.linspace(fitted.means_.min(), fitted.means_.max(), 2000)
    likely = fitted.predict_proba(grid[:, None])[:, top] > 0.5
    boundary = grid[np.flatnonzero(~likely)[-1] + 1]
    assert threshold_of(cosines) == pytest.approx(boundary, abs=3 * STEP)


def test_few_or_equal_similarities_tell_nothing():
    assert threshold_of([0.1] * (FEWEST - 1)) == np.inf
    assert threshold_of([0.3] * 500) == np.inf
    assert threshold_of([0.1] * FEWEST + [0.9]) < 0.9


def test_rows_do_not_depend_on_each_other():
    random = np.random.default_rng(1)
    rows = random.normal(0.2, 0.2, (5, 400)).astype(np.float32)
    rows[:, :20] += 0.4
    together = thresholds(binned(rows, np.ones_like(rows, bool)))
    alone = [threshold_of(row) for row in rows]
    assert together.tolist() == alone


def test_only_what_is_among_the_old_is_counted():
    rows = np.array([[0.1, 0.5, -2.0, 2.0]], np.float32)
    counts = binned(rows, np.array([[True, False, True, True]]))
    assert counts.sum() == 3
    assert (counts[0, 0], counts[0, BINS - 1]) == (1, 1)


@given(st.lists(st.floats(-1, 1, width=32), min_size=FEWEST, max_size=60))
def test_any_similarities_give_a_threshold_above_their_lower_mean(cosines):
    found = threshold_of(cosines)
    assert found == np.inf or CENTRES[0] <= found <= CENTRES[-1]
    assert not np.isnan(found)
