"""Random small models against proofs by HiGHS on the OMLT expansion."""

import functools
import itertools

import numpy as np
import pytest
from milp_oracle import exact_optimum
from omlt_oracle import FORMULATIONS, proven_optimum
from random_models import FAMILIES, as_pyomo, random_problem

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import BOUND_METHODS
from pyomo_relugrad.run import Stop
from pyomo_relugrad.solve import Options, search, solve_exactly

slow = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_proven_optima_are_met_and_never_beaten(family):
    met = 0
    for seed in (102, 103):  # proven within a second, but for the quadratic ones
        problem = random_problem(family, seed)
        optimum = proven_optimum(problem)
        incumbent = search(problem, iteration_limit=300).incumbent
        assert optimum is not None
        if not np.isfinite(optimum):
            assert incumbent is None
            met += 1
            continue
        assert incumbent is not None
        assert incumbent.objective >= optimum - 1e-5 * (1 + abs(optimum))
        met += incumbent.objective <= optimum + 1e-4 * max(abs(optimum), 1e-3)
    assert met == 2


@pytest.mark.slow
def test_feasible_points_are_found_where_they_exist_and_nowhere_else():
    """Continuous models with rows on inputs and outputs; benchmarks/random_models.py does the same on hundreds."""
    missed = 0
    for seed in range(200, 215):
        problem = random_problem("window", seed)
        exists = np.isfinite(proven_optimum(problem, ignore_objective=True))
        result = search(problem, time_limit=5, callback=lambda p: p.incumbent is not None and p.incumbent.is_feasible)
        if result.incumbent is None:
            missed += exists
            continue
        assert exists
        assert problem.violation(result.incumbent.values[None, :])[0] <= 1e-6
        assert problem.network_error(result.incumbent.values[None, :])[0] <= 1e-6
    assert missed <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_compiling_the_pyomo_form_gives_the_same_function(family):
    problem = random_problem(family, 3)
    model = as_pyomo(problem)
    compiled = compile_model(model)
    incumbent = search(problem, iteration_limit=100).incumbent
    assert incumbent is not None
    again = search(compiled.problem, iteration_limit=100).incumbent
    assert again is not None
    place = {id(column): index for index, column in enumerate(compiled.columns)}
    original = np.array([again.values[place[id(model.v[i])]] for i in range(problem.n_columns)])
    check = problem.incumbent(original)
    assert check.is_feasible
    assert check.objective == pytest.approx(again.objective, abs=1e-6)


def expansions_in_turn():
    """Each family with each formulation, and the kinds of bounds in turn."""
    families = [family for family in FAMILIES if family not in ("integer", "quadratic")]
    pairs = itertools.product(families, FORMULATIONS)
    return [(*pair, bounds) for pair, bounds in zip(pairs, itertools.cycle(BOUND_METHODS), strict=False)]


@pytest.mark.parametrize(
    ("family", "seed", "formulation", "bounds"),
    [
        *(("integer", 1, *pair) for pair in itertools.product(FORMULATIONS, BOUND_METHODS)),
        *(pytest.param(family, 1, *pair, marks=slow) for family, *pair in expansions_in_turn()),
    ],
)
def test_every_expansion_has_the_same_optimum(family, seed, formulation, bounds):
    """Against a big-M model of another make, solved by SciPy."""
    value = proven_optimum(random_problem(family, seed), formulation=formulation, bounds=bounds)
    assert value == pytest.approx(optimum_by_scipy(family, seed), rel=1e-6, abs=1e-6)


@functools.cache
def optimum_by_scipy(family, seed):
    return exact_optimum(random_problem(family, seed))


@pytest.mark.parametrize(
    ("family", "seed"),
    [("integer", 0), ("chained", 2), *(pytest.param(family, 1, marks=slow) for family in FAMILIES)],
)
def test_exact_solves_agree_with_omlt_and_highs(family, seed):
    problem = random_problem(family, seed)
    # No smaller gap: HiGHS's bound is that of points that use its tolerance, and an incumbent does not.
    result = solve_exactly(problem, Options(relative_gap=1e-6, absolute_gap=1e-6), time_limit=60)
    optimum = proven_optimum(problem)
    assert result.stop is (Stop.OPTIMAL if np.isfinite(optimum) else Stop.INFEASIBLE)
    if np.isfinite(optimum):
        assert result.incumbent.objective == pytest.approx(optimum, rel=1e-6, abs=1e-6)
