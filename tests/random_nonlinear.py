"""Random small nonlinear Pyomo models with networks, in families, each with a feasible point by construction.

Families: ``revenue`` (a nonconvex quadratic objective over prices and the demands that networks predict, on a box or
with a budget), ``blending`` (bilinear rows: flows times qualities, one of them a network's), ``plant`` (smooth
equations, some of them implicit, around a network), ``sites`` (binaries times outputs and flows), and ``chained``
(networks that read products of variables and of other networks' outputs).

The optima are proven by SCIP on the expansion of the same model.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.solver.common.factory import SolverFactory
from pyomo.contrib.solver.common.results import SolutionStatus
from random_networks import random_network

from pyomo_relugrad import ReluNetworkBlock

FAMILIES = ("revenue", "blending", "plant", "sites", "chained")

#: Seconds that SCIP may take for a proof.
PROOF_SECONDS = 20.0


def random_nonlinear_model(family: str, seed: int) -> pyo.ConcreteModel:
    """One model of a family; its objective is ``m.o``."""
    rng = np.random.default_rng([FAMILIES.index(family), seed])
    m = pyo.ConcreteModel()
    _FAMILY[family](m, rng)
    return m


def proven_optimum(m: pyo.ConcreteModel, seconds: float = PROOF_SECONDS) -> float | None:
    """The optimum by SCIP on the expansion of a copy; None where it is not proven to a relative gap of 1e-5 in time."""
    copy = m.clone()
    pyo.TransformationFactory("relugrad.omlt").apply_to(copy)
    results = SolverFactory("scip_direct").solve(
        copy,
        time_limit=seconds,
        rel_gap=1e-5,
        load_solutions=False,
        raise_exception_on_nonoptimal_result=False,
        solver_options={"numerics/feastol": 1e-8},
    )
    return results.incumbent_objective if results.solution_status == SolutionStatus.optimal else None


def largest_violation(m: pyo.ConcreteModel) -> float:
    """The largest violation of a row, a bound, integrality or a network, by Pyomo's own evaluation."""
    found = [0.0]
    for row in m.component_data_objects(pyo.Constraint, active=True):
        found.append(-row.slack())
    for v in m.component_data_objects(pyo.Var):
        if v.value is not None:
            found += [-np.inf if v.lb is None else v.lb - v.value, -np.inf if v.ub is None else v.value - v.ub]
            found.append(0.0 if v.is_continuous() else abs(v.value - round(v.value)))
    return max(found)


def _network(rng: np.random.Generator, n_inputs: int, n_outputs: int = 1) -> object:
    """One hidden layer of few neurons, so that proofs are quick."""
    return random_network((n_inputs, int(rng.integers(4, 7)), n_outputs), int(rng.integers(2**31)))


def _set_start(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    """Random values within bounds for all variables but outputs, which follow; rows are placed around them."""
    for v in m.component_data_objects(pyo.Var):
        if v.value is None and v.parent_block() is m:
            lower, upper = v.bounds
            v.set_value(float(rng.uniform(lower, upper)) if v.is_continuous() else int(rng.integers(lower, upper + 1)))


def _embed(m: pyo.ConcreteModel, name: str, network: object, inputs: list) -> pyo.Var:
    """The outputs of a block, which have the values that follow from those of the inputs."""
    block = ReluNetworkBlock(network=network, inputs=inputs)
    m.add_component(name, block)
    point = [pyo.value(each) for each in inputs]
    for variables, values in ((block.inputs, point), (block.outputs, network.value(np.array([point]))[0].tolist())):
        for position, value in enumerate(values):
            variables[position].set_value(value, skip_validation=True)
    return block.outputs


def _at_most(expression: object, slack: float) -> object:
    return expression <= pyo.value(expression) + slack


def _revenue(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    m.i = pyo.RangeSet(0, int(rng.integers(1, 4)))
    m.price, m.level = pyo.Var(m.i, bounds=(0.2, 2)), pyo.Var(bounds=(0, 1))
    _set_start(m, rng)
    network = _network(rng, 2)
    demand = [_embed(m, f"n{i}", network, [m.price[i], m.level + 0.3 * i])[0] for i in m.i]
    if rng.random() < 0.5:
        m.budget = pyo.Constraint(expr=_at_most(pyo.quicksum(m.price.values()) - m.level, 0.2))
    cost = sum(float(rng.uniform(-0.3, 0.3)) * m.price[i] * m.price[j] for i, j in itertools.combinations(m.i, 2))
    income = sum(m.price[i] * demand[i] for i in m.i)
    m.o = pyo.Objective(expr=income - cost - m.level**2 * float(rng.uniform(-1, 1)), sense=pyo.maximize)


def _blending(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    m.i = pyo.RangeSet(0, int(rng.integers(1, 3)))
    m.flow, m.control = pyo.Var(m.i, bounds=(0, 2)), pyo.Var(m.i, bounds=(-1, 1))
    m.quality, m.total = pyo.Var(bounds=(-5, 5)), pyo.Var(bounds=(0, 6))
    _set_start(m, rng)
    m.total.set_value(sum(v.value for v in m.flow.values()))
    network = _network(rng, 2)
    made = [_embed(m, f"n{i}", network, [m.control[i], m.flow[i] / 2])[0] for i in m.i]
    m.quality.set_value(pyo.value(sum(m.flow[i] * made[i] for i in m.i) / m.total))
    m.quality.setlb(min(m.quality.lb, m.quality.value))
    m.quality.setub(max(m.quality.ub, m.quality.value))
    m.mass = pyo.Constraint(expr=m.total == pyo.quicksum(m.flow.values()))
    m.mixed = pyo.Constraint(expr=m.quality * m.total == sum(m.flow[i] * made[i] for i in m.i))
    m.demand = pyo.Constraint(expr=m.total >= m.total.value - 0.1)
    m.limit = pyo.Constraint(expr=_at_most(m.quality * m.control[0], 0.1))
    prices = rng.uniform(0.2, 1, size=len(m.i)).tolist()
    m.o = pyo.Objective(expr=sum(prices[i] * m.flow[i] for i in m.i) - m.quality + 0.2 * m.control[0])


def _plant(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    m.x, m.y = pyo.Var(range(2), bounds=(0.2, 1.5)), pyo.Var(range(3), bounds=(-6, 6))
    _set_start(m, rng)
    rate = _embed(m, "n", _network(rng, 2), [m.x[0], m.x[1]])[0]
    m.y[0].set_value(pyo.value(rate * pyo.exp(-m.x[0])))
    m.given = pyo.Constraint(expr=m.y[0] == rate * pyo.exp(-m.x[0]))
    implicit = m.y[1] ** 3 + m.x[1] * m.y[1] - m.y[0]
    m.y[1].set_value(float(rng.uniform(-1, 1)))
    m.implicit = pyo.Constraint(expr=implicit == pyo.value(implicit))
    kinds = (
        lambda: pyo.sqrt(m.x[0] + m.x[1]) * m.y[1] + m.y[2],
        lambda: m.y[2] * (1 + m.x[1]) - pyo.log(1 + m.x[0]),
        lambda: pyo.sin(m.y[1]) / m.x[0] + m.y[2] * m.x[1],
    )
    balance = kinds[rng.integers(3)]()
    m.balance = pyo.Constraint(expr=balance == pyo.value(balance))
    m.limit = pyo.Constraint(expr=_at_most(m.y[2] ** 2 + m.x[0] * m.x[1], 0.2))
    weights = rng.uniform(-1, 1, size=4).tolist()
    terms = [m.y[1], m.y[2], m.x[0], rate]
    m.o = pyo.Objective(expr=sum(weight * term for weight, term in zip(weights, terms, strict=True)))


def _sites(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    m.i = pyo.RangeSet(0, int(rng.integers(1, 4)))
    m.open = pyo.Var(m.i, domain=pyo.Binary)
    m.size, m.flow = pyo.Var(m.i, bounds=(0, 1)), pyo.Var(m.i, bounds=(0, 2))
    _set_start(m, rng)
    network = _network(rng, 2)
    gain = [_embed(m, f"n{i}", network, [m.size[i], 0.4 * i])[0] for i in m.i]
    m.few = pyo.Constraint(expr=_at_most(pyo.quicksum(m.open.values()), 0.5))
    m.served = pyo.Constraint(expr=sum(m.open[i] * m.flow[i] for i in m.i) >= 0)
    m.served.set_value(m.served.body >= pyo.value(m.served.body) - 0.1)
    m.cost = pyo.Constraint(expr=_at_most(sum(m.flow[i] * m.size[i] for i in m.i), 0.1))
    worth = sum(m.open[i] * gain[i] for i in m.i) + sum(m.open[i] * m.flow[i] * m.size[i] for i in m.i)
    m.o = pyo.Objective(expr=worth - sum(float(rng.uniform(0, 1)) * m.flow[i] for i in m.i), sense=pyo.maximize)


def _chained(m: pyo.ConcreteModel, rng: np.random.Generator) -> None:
    m.x = pyo.Var(range(3), bounds=(-1, 1))
    m.link = pyo.Var(range(2), bounds=(-8, 8))
    _set_start(m, rng)
    first = _embed(m, "n0", _network(rng, 2), [m.x[0], m.x[1]])[0]
    m.link[0].set_value(pyo.value(m.x[2] * first))
    m.tied = pyo.Constraint(expr=m.link[0] == m.x[2] * first)
    second = _embed(m, "n1", _network(rng, 2), [m.link[0], m.x[1]])[0]
    m.link[1].set_value(pyo.value(second * m.x[0]))
    m.again = pyo.Constraint(expr=m.link[1] == second * m.x[0])
    third = _embed(m, "n2", _network(rng, 2), [m.link[1], m.x[2]])[0]
    if rng.random() < 0.7:
        m.limit = pyo.Constraint(expr=_at_most(third * m.x[1] - first, 0.1))
    m.o = pyo.Objective(expr=third + m.x[0] * m.x[2] - 0.3 * second)


_FAMILY: dict[str, Callable[[pyo.ConcreteModel, np.random.Generator], None]] = {
    "revenue": _revenue,
    "blending": _blending,
    "plant": _plant,
    "sites": _sites,
    "chained": _chained,
}
