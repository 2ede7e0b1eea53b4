"""Which points of a batch go on: the best of each valley before others near it."""

import array_api_strict
import numpy as np
import pytest

from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent import valleys
from pyomo_relugrad.search.descent.batch import descend_by_halving
from pyomo_relugrad.search.descent.valleys import best_of_valleys
from pyomo_relugrad.search.domains.box import Box

LOWER, WIDTH = np.repeat([-3.0, 0.0, 5.0], 400), np.repeat([6.0, 1.0, 0.0], 400)
#: Two points near each other, two others near each other, and one that is near none; a third of the columns is fixed.
POINTS = np.repeat(
    [[-3.0, 0.0, 5.0], [-2.5, 0.1, 5.0], [3.0, 1.0, 5.0], [2.8, 0.9, 5.0], [-3.0, 1.0, 5.0]], 400, axis=1
)
VALUES = np.array([2.0, 1.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize(("count", "rows"), [(2, [1, 2]), (3, [1, 2, 4]), (4, [1, 2, 4, 0]), (5, [1, 2, 4, 0, 3])])
def test_the_best_of_each_valley_go_on_first(count, rows):
    np.testing.assert_array_equal(best_of_valleys(POINTS, VALUES, LOWER, WIDTH, count), rows)
    strict = map(array_api_strict.asarray, (POINTS, VALUES, LOWER, WIDTH))
    np.testing.assert_array_equal(np.asarray(best_of_valleys(*strict, count)), rows)


def test_how_far_a_valley_reaches_may_be_given():
    rows = best_of_valleys(POINTS, VALUES, LOWER, WIDTH, 5, nearby=400.5)  # the last point is 327 from the best
    np.testing.assert_array_equal(rows, [1, 2, 0, 3, 4])


def test_distances_are_shares_of_the_widths_wherever_the_box_is():
    shifted = (POINTS * 1e3 + 1e5).astype(np.float32)
    lower, width = (LOWER * 1e3 + 1e5).astype(np.float32), (WIDTH * 1e3).astype(np.float32)
    np.testing.assert_array_equal(best_of_valleys(shifted, VALUES, lower, width, 3), [1, 2, 4])


def test_points_of_few_columns_are_near_only_where_they_are_much_alike():
    few = slice(None, None, 400)
    rows = best_of_valleys(POINTS[:, few], VALUES, LOWER[few], WIDTH[few], 5)
    np.testing.assert_array_equal(rows, [1, 0, 2, 3, 4])


def test_points_beyond_those_that_are_compared_come_by_their_values(monkeypatch):
    monkeypatch.setattr(valleys, "MAX_COMPARED", 2)
    np.testing.assert_array_equal(best_of_valleys(POINTS, VALUES, LOWER, WIDTH, 5), [1, 0, 2, 3, 4])


class TwoValleys:
    """The lower of two bowls, of which one is wide and the other one, which begins higher, is deep in the end."""

    dtype = np.dtype(np.float64)

    def cast(self, U):
        return U

    def value(self, U):
        return np.minimum(np.abs(U - 0.2).sum(axis=1), 4.0 * np.abs(U - 0.9).sum(axis=1) - 250.0)

    def value_and_gradient(self, U):
        wide, deep = np.abs(U - 0.2).sum(axis=1), 4.0 * np.abs(U - 0.9).sum(axis=1) - 250.0
        slopes = np.where((wide < deep)[:, None], np.sign(U - 0.2), 4.0 * np.sign(U - 0.9))
        return np.minimum(wide, deep), slopes


@pytest.mark.parametrize("keeps_valleys", [True, False])
def test_a_valley_that_is_behind_at_first_is_not_lost(keeps_valleys):
    starts = np.vstack([np.linspace(0.1, 0.3, 15)[:, None] * np.ones(1000), np.full((1, 1000), 0.8)])
    stages = [np.full(1, 0.01), np.geomspace(0.2, 0.001, 40)]
    steps = descend_by_halving(
        TwoValleys(), Box(np.zeros(1000), np.ones(1000)), starts, stages, 0.5, Budget(), keeps_valleys
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            best = end.value
            break
    assert (best.values[0] < -200.0) is np.bool_(keeps_valleys)
