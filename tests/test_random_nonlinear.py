"""Random small nonlinear models against optima that SCIP proved; benchmarks/nonlinear_models.py does it on hundreds."""

import pyomo.environ as pyo
import pytest
from random_nonlinear import FAMILIES, largest_violation, proven_optimum, random_nonlinear_model

#: By family and seed, proven by SCIP 10.0 (pyscipopt 6.3) on the big-M expansion to a relative gap of 1e-5.
OPTIMA = {
    ("revenue", 1): 6.638453,
    ("revenue", 2): 0.459428,
    ("blending", 0): 0.684648,
    ("blending", 1): 0.547512,
    ("plant", 0): -0.748576,
    ("plant", 2): -0.043946,
    ("sites", 1): 1.821752,
    ("sites", 2): -0.458439,
    ("chained", 0): -1.497991,
    ("chained", 1): -1.099954,
}


def solved(family: str, seed: int, iteration_limit: int = 100) -> pyo.ConcreteModel:
    m = random_nonlinear_model(family, seed)
    for v in m.component_data_objects(pyo.Var):
        v.set_value(None)
    results = pyo.SolverFactory("relugrad").solve(m, iteration_limit=iteration_limit)
    assert results.problem.number_of_solutions
    return m


@pytest.mark.parametrize(("family", "seed"), OPTIMA)
def test_proven_optima_are_found_at_points_that_pyomo_confirms(family, seed):
    m, optimum = solved(family, seed), OPTIMA[family, seed]
    assert largest_violation(m) <= 1e-6
    assert (pyo.value(m.o) - optimum) * m.o.sense == pytest.approx(0, abs=1e-4 * max(abs(optimum), 1.0))


@pytest.mark.parametrize("family", FAMILIES)
def test_models_have_the_point_around_which_they_were_built(family):
    for seed in range(3):
        assert largest_violation(random_nonlinear_model(family, seed)) <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_scip_finds_nothing_better(family):
    pytest.importorskip("pyscipopt")
    for seed in range(100, 104):
        optimum = proven_optimum(random_nonlinear_model(family, seed))
        if optimum is None:
            continue
        m = solved(family, seed, iteration_limit=600)
        assert largest_violation(m) <= 1e-6
        assert (pyo.value(m.o) - optimum) * m.o.sense >= -1e-4 * max(abs(optimum), 1.0)
