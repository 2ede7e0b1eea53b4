"""A sample of the harness of models as users write them, and that it sees what is wrong."""

from dataclasses import replace
from types import SimpleNamespace

import model_judgement
import numpy as np
import pyomo.environ as pyo
import pytest
from model_judgement import LIMITS, Truth, judge, point_faults, truth
from pyomo.opt import TerminationCondition
from user_models import user_model

#: What is left out of the sample.
WITHOUT = ()

SEEDS = range(14)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_wrong_is_said_of_models_as_users_write_them(seed):
    known = truth(seed, WITHOUT)
    for name in LIMITS:
        assert judge(name, seed, known, WITHOUT, time_limit=30.0).fault == ""


def proven():
    """A model with a proven optimum, and the optimum."""
    for seed in SEEDS:
        known = truth(seed, WITHOUT)
        judgement = judge("relugrad.exact", seed, known, WITHOUT, time_limit=30.0)
        if judgement.outcome.endswith("optimal, optimum"):
            return seed, known
    raise AssertionError("no model of the sample is proven")


def test_claims_that_the_truth_contradicts_are_seen(monkeypatch):
    seed, known = proven()
    better = 1.0 if user_model(seed, WITHOUT).model.objective.sense == pyo.maximize else -1.0

    def fault(value):
        return judge("relugrad.exact", seed, replace(known, value=value), WITHOUT, time_limit=30.0).fault

    step = 1.0 + abs(known.value)
    assert "false optimal" in fault(known.value + better * step)
    assert "false bound" in fault(known.value + better * step)
    beyond = known.value - better * step
    assert fault(beyond) == ""  # the rows' tolerance could buy it, as the truth of relaxed rows shows
    monkeypatch.setattr(model_judgement, "truth", lambda *arguments: replace(known, value=beyond))
    assert "better than possible" in fault(beyond)


def test_infeasible_is_contradicted_by_a_point():
    infeasible = next(seed for seed in SEEDS if truth(seed, WITHOUT).status == "infeasible")
    assert "false infeasible" in judge("relugrad.exact", infeasible, Truth("optimal", 0.0), WITHOUT, 30.0).fault


def test_points_off_the_rows_bounds_domains_and_networks_are_seen():
    built = user_model(proven()[0], WITHOUT)
    results = pyo.SolverFactory("relugrad").solve(built.model, iteration_limit=60)
    assert results.solver.termination_condition != TerminationCondition.infeasible
    found = pyo.value(built.model.objective)
    assert point_faults(built, found) == []
    assert "wrong objective" in " ".join(point_faults(built, found + 1.0))
    output = built.networks[0].outputs[0]
    output.set_value(output.value + 0.01)
    assert any("network" in fault or "infeasible" in fault for fault in point_faults(built, found))


def test_bounds_and_integers_are_checked():
    model = pyo.ConcreteModel()
    model.x, model.k = pyo.Var(bounds=(0, 1), initialize=1.1), pyo.Var(domain=pyo.Integers, initialize=0.5)
    model.objective = pyo.Objective(expr=model.x)
    for variable in (model.x, model.k):
        variable.stale = False
    built = SimpleNamespace(model=model, networks=[], features=set())
    faults = point_faults(built, 1.1)
    assert ["x is 1.1" in faults[0], "not an integer" in faults[1]] == [True, True]


def test_the_sample_holds_much_of_what_users_add():
    features = set().union(*(user_model(seed).features for seed in range(150)))
    expected = {"omlt", "scaling", "named inputs", "slacks", "start", "fixed binary", "row on hidden variables"}
    assert expected <= features


def test_models_of_a_seed_are_equal():
    first, second = (user_model(5).model for _ in range(2))
    values = [[v.value for v in model.component_data_objects(pyo.Var)] for model in (first, second)]
    np.testing.assert_array_equal(*np.array(values, float))
