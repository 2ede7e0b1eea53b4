"""Searches that take turns."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from fake_clock import FakeClock

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.turns import beside, overhearing, telling

PROBLEM = Problem(np.array([1.0]), np.array([0.0]), np.array([9.0]), np.ones((1, 1)), np.array([2.0]), np.array([9.0]))


def points(clock: FakeClock, *values: float) -> Iterator[Incumbent]:
    """A point a second."""
    for value in values:
        clock.now += 1.0
        yield PROBLEM.incumbent(np.array([value]))


def test_others_have_their_share_once_a_search_has_been_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock.installed(monkeypatch)
    budget = Budget(100.0)
    both = beside(points(clock, *[3.0] * 60), points(clock, *[4.0] * 30), 10.0, 0.25, budget)
    found = [point.objective for point in both if point is not None]
    assert found[:11] == [3.0] * 11
    assert found[:40].count(4.0) == pytest.approx(10, abs=1)
    assert found[:80].count(4.0) == pytest.approx(20, abs=1)
    assert found[80:] == [4.0] * 10


def test_a_search_goes_on_where_the_others_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock.installed(monkeypatch)
    found = [p.objective for p in beside(points(clock, *[3.0] * 9), points(clock, 4.0), 2.0, 0.5, Budget(9.9)) if p]
    assert found == [3.0] * 3 + [4.0] + [3.0] * 6


def test_better_points_are_told_to_the_others() -> None:
    values = 5.0, 7.0, 1.0, 4.0, 4.0, 3.0  # 1 violates a row
    known, offered = [PROBLEM.incumbent(np.array([6.0]))], deque[Incumbent]()
    assert len(list(telling(points(FakeClock(), *values), known, offered))) == 6
    assert [point.objective for point in offered] == [5.0, 4.0, 3.0]
    assert known[1:] == list(offered)


def test_a_search_hears_once_what_waits_for_another() -> None:
    found = [PROBLEM.incumbent(np.array([value])) for value in (3.0, 4.0, 5.0, 6.0)]
    waiting, offered = deque(found[:2]), deque[Incumbent]()
    own = overhearing(points(FakeClock(), 7.0, 7.0, 7.0, 7.0), waiting, offered)
    for news in ([], found[2:3], []):
        waiting.extend(news)
        assert next(own) is not None
    assert list(offered) == found[:3]
    waiting.clear()
    waiting.append(found[3])
    assert len(list(own)) == 1
    assert list(offered) == found
