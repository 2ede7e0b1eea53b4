"""What a run keeps: news and rounding, points that differ and points that do not."""

import numpy as np
import pytest

from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent
from pyomo_relugrad.run.record import Record


def point(objective: float, *values: float, violation: float = 0.0) -> Incumbent:
    return Incumbent(np.array(values or (objective,)), objective, violation, network_error=0.0)


def test_a_gain_of_rounding_is_no_news() -> None:
    record = Record()
    assert record.add(point(100.0), 1.0)
    assert not record.add(point(100.0 - 5e-8, 3.0), 2.0)
    assert record.add(point(100.0 - 5e-7), 3.0)
    assert record.history == [(1.0, 100.0), (3.0, 100.0 - 5e-7)]
    assert len(record.pool) == 3


def test_a_bound_that_moves_by_rounding_is_no_news() -> None:
    record = Record()
    for elapsed, bound in enumerate((-np.inf, -100.0, -100.0 + 5e-8, -100.0 + 5e-7, -101.0, np.inf)):
        record.add_bound(bound, float(elapsed))
    assert record.bound_history == [(1.0, -100.0), (3.0, -100.0 + 5e-7)]


@pytest.mark.parametrize(("distance", "kept"), [(1e-7, 1), (1e-5, 2)])
def test_points_that_coincide_are_kept_once(distance: float, kept: int) -> None:
    record = Record()
    for place in (2.0, 2.0 + distance):
        record.add(point(1.0, 1.0, place), 0.0)
    assert len(record.pool) == kept


def test_a_point_that_is_only_as_good_promises_nothing() -> None:
    record = Record()
    assert record.is_promising(point(1.0))
    record.add(point(1.0), 0.0)
    assert not record.is_promising(point(1.0, 5.0))
    assert not record.is_promising(point(0.0, violation=10 * FEASIBILITY_TOLERANCE))
    assert record.is_promising(point(0.5))
