"""Cuts of the ideal formulation of a ReLU."""

import numpy as np
import pytest
from random_models import random_problem

from pyomo_relugrad import deadline
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, bound_problem
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.programs import build_big_m, relu_cuts, with_relu_cuts
from pyomo_relugrad.proof import MilpProof
from pyomo_relugrad.run import Options


def formulations(problem: Problem):
    """The big-M formulation, and the same with cuts."""
    bounds = bound_problem(problem)
    model = build_big_m(problem, bounds)
    return model, with_relu_cuts(model, bounds)


def one_relu(largest: float) -> Problem:
    """``min -h - 10 x + 10 y`` with ``h = relu(x + y)`` not above a number, inputs in [-1, 1]."""
    network = Network.from_layers([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]])
    return Problem(
        cost=np.array([-10.0, 10.0, -1.0]),
        lower=np.array([-1.0, -1.0, -np.inf]),
        upper=np.array([1.0, 1.0, largest]),
        networks=(EmbeddedNetwork(network, [0, 1], [2]),),
    )


def test_the_relaxation_of_one_relu_becomes_its_convex_hull():
    model, cut = formulations(one_relu(1.9))
    assert model.program(relaxed=True).solve().objective == pytest.approx(-21.0, abs=1e-3)
    assert cut.program(relaxed=True).solve().objective == pytest.approx(-20.0, abs=1e-8)


def test_nothing_is_cut_where_nothing_restricts_outputs():
    model, cut = formulations(one_relu(np.inf))
    assert cut is model


@pytest.mark.parametrize("family", ["window", "integer", "chained", "shared"])
def test_no_point_is_cut_off(family):
    problem = presolve(random_problem(family, 3, is_large=True)).problem
    model, cut = formulations(problem)
    added, sides = cut.rows[model.rows.shape[0] :], cut.row_upper[model.rows.shape[0] :]
    assert added.shape[0] >= 10
    rng = np.random.default_rng(0)
    ends, tried = bound_problem(problem), 0
    free, inputs = problem.is_input & ~problem.is_output, problem.is_input
    for _ in range(60):
        # Corners are where the cuts are tight.
        share = rng.integers(2, size=free.sum()) if rng.integers(2) else rng.uniform(size=free.sum())
        v = np.zeros(problem.n_columns)
        v[free] = ends.lower[free] + share * (ends.upper - ends.lower)[free]
        v = problem.propagate(np.where(problem.integers, np.round(v), v)[None])[0]
        if (v >= ends.lower)[inputs].all() and (v <= ends.upper)[inputs].all():
            tried += 1
            assert (added @ cut.start(v) <= sides + 1e-9).all()
    assert tried >= 10


@pytest.mark.parametrize(("time_limit", "seconds"), [(1.0, 0.1), (20.0, 0.4), (np.inf, 2.0)])
def test_programs_for_cuts_have_a_share_of_the_time(time_limit, seconds, monkeypatch):
    limits, own = [], relu_cuts._binding_cuts
    monkeypatch.setattr(relu_cuts, "_binding_cuts", lambda *of: limits.append(deadline.remaining()) or own(*of))
    assert MilpProof(one_relu(1.9), Options(time_limit=time_limit)).model is not None
    assert 0.5 * seconds < limits[0] <= seconds
