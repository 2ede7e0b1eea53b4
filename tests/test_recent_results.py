"""Bounds of expressions that are asked for again."""

import pickle

import numpy as np

from pyomo_relugrad.expression import ExpressionBuilder
from pyomo_relugrad.expression.recent import MAX_ENTRIES, MAX_NUMBERS, MAX_RESULTS, RecentResults


def test_results_are_computed_once_and_belong_to_the_caller() -> None:
    calls = list[float]()

    def doubled(x):
        calls.append(float(x[0]))
        return (2.0 * x,)

    recent = RecentResults()
    for _ in range(3):
        (found,) = recent.of(doubled, np.array([1.5]))
        assert found[0] == 3.0
        found[0] = 0.0
    assert calls == [1.5]
    for number in range(MAX_RESULTS):
        assert recent.of(doubled, np.array([float(number)]))[0][0] == 2.0 * number
    assert recent.of(doubled, np.array([1.5]))[0][0] == 3.0
    assert calls[-1] == 1.5
    for _ in range(2):
        recent.of(doubled, np.zeros(MAX_ENTRIES + 1))
    assert calls[-2:] == [0.0, 0.0]


def test_large_results_are_not_kept() -> None:
    recent, calls = RecentResults(), list[float]()

    def planes(x):
        calls.append(float(x[0]))
        return (np.zeros(MAX_NUMBERS), np.zeros(1))

    for _ in range(2):
        recent.of(planes, np.ones(1))
    assert calls == [1.0, 1.0]


def test_ranges_and_relaxations_of_other_boxes_and_points_are_others() -> None:
    builder = ExpressionBuilder()
    x = builder.input("x")
    expression = builder.build([builder.sum([builder.function("exp", x), builder.product(x, x)])]).expression
    for low, high in [(-1.0, 2.0), (0.0, 1.0), (-1.0, 2.0)]:
        lower, upper = np.array([[low]]), np.array([[high]])
        least, most = expression.range(lower, upper)
        points = np.linspace(low, high, 50)[:, None]
        values = expression.value(points)
        assert least[0, 0] <= values.min()
        assert most[0, 0] >= values.max()
        for at in (low, high):
            planes = expression.relaxation(lower, upper, at=np.array([[at]]))
            below = planes.lower_slopes[0, 0, 0] * points + planes.lower_offsets[0, 0]
            assert (below <= values + 1e-9).all()
            assert abs(below - values).min() < 1e-6


def test_copies_know_nothing() -> None:
    recent = RecentResults()
    recent.of(lambda x: (x,), np.zeros(3))
    assert len(pickle.dumps(recent)) < len(pickle.dumps(np.zeros(3)))
