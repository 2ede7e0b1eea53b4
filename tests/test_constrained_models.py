"""Pyomo models with rows on outputs, integers and networks that have no answer: what is reported, and what is kept."""

import numpy as np
import pyomo.environ as pyo
import pytest

import pyomo_relugrad as relugrad
from pyomo_relugrad import Network

ABSOLUTE_VALUE = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])


def model_of_absolute_value(domain=pyo.Reals, bounds=(-3, 3)) -> pyo.ConcreteModel:
    """y = |x|, with a further variable, all of them with values."""
    m = pyo.ConcreteModel()
    m.x = pyo.Var(domain=domain, bounds=bounds, initialize=1)
    m.z = pyo.Var(initialize=0.25)
    m.nn = relugrad.ReluNetworkBlock(network=ABSOLUTE_VALUE, inputs=[m.x])
    m.nn.outputs[0].set_value(0.125)
    m.objective = pyo.Objective(expr=m.z)
    m.link = pyo.Constraint(expr=m.z >= m.nn.outputs[0])
    return m


def infeasible_rows(m):
    m.first = pyo.Constraint(expr=m.x + m.z >= 5)
    m.second = pyo.Constraint(expr=m.x + m.z <= 4)


def output_out_of_reach(m):
    m.row = pyo.Constraint(expr=m.nn.outputs[0] >= 7)


def window_that_no_input_meets(m):
    m.row = pyo.Constraint(expr=m.nn.outputs[0] <= m.x - 0.5)


def unbounded_beside_the_network(m):
    m.objective.set_value(-m.z)


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        (infeasible_rows, "infeasible"),
        (output_out_of_reach, "infeasible"),
        (window_that_no_input_meets, "maxIterations"),
    ],
)
@pytest.mark.parametrize("domain", [pyo.Reals, pyo.Integers])
def test_a_model_without_a_point_keeps_its_values(change, condition, domain):
    m = model_of_absolute_value(domain)
    change(m)
    results = pyo.SolverFactory("relugrad").solve(m, load_solutions=False, iteration_limit=150)
    assert str(results.solver.termination_condition) == condition
    assert (m.x.value, m.z.value, m.nn.outputs[0].value) == (1, 0.25, 0.125)


def test_integers_without_a_point_are_proven_infeasible():
    m = model_of_absolute_value(pyo.Integers)
    m.row = pyo.Constraint(expr=(0.2, m.x, 0.8))
    results = pyo.SolverFactory("relugrad").solve(m, load_solutions=False, time_limit=20)
    assert str(results.solver.termination_condition) == "infeasible"
    assert (m.x.value, m.z.value, m.nn.outputs[0].value) == (1, 0.25, 0.125)


def test_an_unbounded_model_is_reported():
    m = model_of_absolute_value()
    unbounded_beside_the_network(m)
    results = pyo.SolverFactory("relugrad").solve(m, load_solutions=False, time_limit=20)
    assert str(results.solver.termination_condition) == "unbounded"
    assert (m.x.value, m.z.value) == (1, 0.25)


def test_a_warm_start_is_never_lost():
    rng = np.random.default_rng(0)
    sizes = [(24, 6), (16, 24), (2, 16)]
    network = Network.from_layers([rng.normal(size=s) * 0.4 for s in sizes], [rng.normal(size=s[0]) for s in sizes])
    m = pyo.ConcreteModel()
    m.nn = relugrad.ReluNetworkBlock(network=network, input_bounds=(-1, 1))
    middle = float(network.value(np.zeros((1, 6)))[0, 1])
    m.window = pyo.Constraint(expr=(middle - 0.1, m.nn.outputs[1], middle + 0.1))
    m.objective = pyo.Objective(expr=m.nn.outputs[0])
    solver = pyo.SolverFactory("relugrad")
    solver.solve(m, iteration_limit=300)
    best = pyo.value(m.objective)
    solver.solve(m, iteration_limit=1, seed=9, warmstart=True)
    assert pyo.value(m.objective) <= best + 1e-9


def test_a_facility_choice_with_binaries_beside_and_inside_a_network():
    """Binaries open sites and feed the network; amounts are tied to them by rows."""
    rng = np.random.default_rng(4)
    network = Network.from_layers(
        [rng.normal(size=(8, 4)), rng.normal(size=(1, 8))], [rng.normal(size=8), rng.normal(size=1)]
    )
    m = pyo.ConcreteModel()
    m.open = pyo.Var(range(4), domain=pyo.Binary)
    m.amount = pyo.Var(range(4), bounds=(0, 10))
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.open)
    m.capacity = pyo.Constraint(range(4), rule=lambda m, i: m.amount[i] <= 10 * m.open[i])
    m.demand = pyo.Constraint(expr=pyo.quicksum(m.amount.values()) >= 15)
    m.cost = pyo.Objective(expr=m.nn.outputs[0] + 0.3 * pyo.quicksum(m.amount.values()) + pyo.quicksum(m.open.values()))
    pyo.SolverFactory("relugrad").solve(m, time_limit=20, iteration_limit=300)
    choices = np.array([[i >> k & 1 for k in range(4)] for i in range(16)], float)
    values = network.value(choices)[:, 0] + 0.3 * 15 + choices.sum(axis=1)
    assert pyo.value(m.cost) == pytest.approx(values[choices.sum(axis=1) >= 2].min(), abs=1e-6)
