"""Walks beside descents: how much of the time they have, and where they begin."""

from types import SimpleNamespace

import numpy as np
import pytest
from fake_clock import FakeClock

from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent.elite_pool import ElitePool, PoolMember
from pyomo_relugrad.search.descent.polishing import LARGEST_SHARE, LEAST_SHARE, Polishing


class Walks:
    """Walks whose steps take a second and gain what is asked, so many in each; None: they find no better point."""

    def __init__(self, clock, gain, steps):
        self.begun, self.clock, self.gain, self.steps = [], clock, gain, steps

    def __call__(self, u):
        value = next(member.value for member in self.pool.members if member.u is u or member.u[0] == u[0])
        self.begun.append(float(u[0]))
        for step in range(1, self.steps + 1):
            self.clock.now += 1.0
            yield None if self.gain is None else SimpleNamespace(values=u, objective=value - step * self.gain)


@pytest.fixture
def run(monkeypatch):
    def make(limit, gain, steps=1000, step_seconds=0.0):
        clock = FakeClock.installed(monkeypatch)
        walks, pool = Walks(clock, gain, steps), ElitePool(9)
        walks.pool = pool
        return clock, walks, pool, Polishing(walks, np.array([0]), pool, Budget(limit), step_seconds)

    return make


def seconds(clock, steps):
    begin = clock.now
    list(steps)
    return clock.now - begin


@pytest.mark.parametrize(("gain", "share"), [(0.0, LEAST_SHARE), (1e-3, LARGEST_SHARE)])
def test_walks_have_the_share_that_they_earn_within_limits(run, gain, share):
    clock, _, pool, walks = run(1e6, gain)
    walked = 0.0
    for turn in range(200):
        clock.now += 10.0
        pool.add(PoolMember(np.array([turn / 1000]), -1.0 - 1e-5 * turn))  # what the descents gain
        walked += seconds(clock, walks.run())
    assert walked / (clock.now - 1000.0) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("step_seconds", "begin"), [(10.0, 50.0), (15.0, 70.0), (40.0, np.inf)])
def test_no_walk_begins_without_the_time_of_a_step(run, step_seconds, begin):
    clock, walks, pool, polishing = run(100.0, 0.0, step_seconds=step_seconds)
    pool.add(PoolMember(np.array([0.5]), -2.0))
    start = clock.now
    while clock.now - start < 90.0:
        clock.now += 10.0
        assert seconds(clock, polishing.run()) == 0.0 or clock.now - start >= begin
        if walks.begun:
            break
    assert bool(walks.begun) == np.isfinite(begin)


def test_the_last_part_belongs_to_the_walk_from_the_best_point(run):
    clock, begun, pool, walks = run(100.0, 0.0, steps=12)
    for _ in range(8):
        clock.now += 7.0
        pool.add(PoolMember(np.array([0.5]), -2.0))
        list(walks.run())
    clock.now = 1086.0
    pool.add(PoolMember(np.array([0.9]), -5.0))
    assert seconds(clock, walks.run()) >= 11.0
    assert begun.begun[-1] == 0.9


def test_a_walk_that_others_have_left_far_behind_is_given_up(run):
    clock, begun, pool, walks = run(1e6, 0.01)
    pool.add(PoolMember(np.array([0.1]), -1.0))
    clock.now += 10.0
    list(walks.run())
    pool.add(PoolMember(np.array([0.2]), -1.05))  # within reach of the walk
    clock.now += 10.0
    list(walks.run())
    assert begun.begun == [0.1]
    pool.add(PoolMember(np.array([0.3]), -9.0))
    clock.now += 100.0
    list(walks.run())
    assert begun.begun == [0.1, 0.3]


def test_a_walk_that_brings_nothing_gives_way_to_a_better_point(run):
    clock, begun, pool, walks = run(1e6, None)
    pool.add(PoolMember(np.array([0.1]), -1.0))
    clock.now += 10.0
    list(walks.run())
    pool.add(PoolMember(np.array([0.2]), -1.0001))
    clock.now += 100.0
    list(walks.run())
    assert begun.begun == [0.1, 0.2]


def test_without_a_time_limit_a_walk_goes_to_its_end(run):
    _, _, pool, walks = run(np.inf, 0.01, steps=7)
    pool.add(PoolMember(np.array([0.1]), -1.0))
    assert len(list(walks.to_the_end())) == 8
    assert pool.members[0].value == pytest.approx(-1.07)
    assert pool.members[0].is_polished
    assert not list(walks.to_the_end())
