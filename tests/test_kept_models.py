"""Models that are solved again: the kept form is that of a fresh compilation, whatever was changed."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyomo.dae import ContinuousSet, DerivativeVar
from pyomo.gdp import Disjunction
from random_networks import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.modeling import compile as compiling
from pyomo_relugrad.modeling.compile import CompiledModel, KeptModel, compile_model, kept
from pyomo_relugrad.modeling.solver import Relugrad, local

NETWORK, OTHER = random_network([3, 4, 1], 0), random_network([3, 4, 1], 1)


def plant() -> pyo.ConcreteModel:
    """A model with everything that numbers may stand in."""
    m = pyo.ConcreteModel()
    m.I = pyo.RangeSet(0, 2)
    m.p = pyo.Param(m.I, initialize=1.0, mutable=True)
    m.limit = pyo.Param(initialize=2.0, mutable=True)
    m.top = pyo.Param(initialize=1.0, mutable=True)
    m.x = pyo.Var(m.I, bounds=(-1, m.top), initialize=0.5)
    m.y = pyo.Var(bounds=(0, 3), initialize=0.5)
    m.k = pyo.Var(domain=pyo.Integers, bounds=(0, 1), initialize=1)
    m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.mix = pyo.Expression(expr=m.p[1] * m.x[1] + m.y)
    m.budget = pyo.Constraint(expr=pyo.quicksum(m.p[i] * m.x[i] for i in m.I) + m.k <= m.limit)
    m.use = pyo.Constraint(expr=(-5, m.mix + m.limit * m.nn.outputs[0], 5 * m.limit))
    m.group = pyo.Block()
    m.group.link = pyo.Constraint(expr=m.y - m.x[2] <= m.limit)
    m.cost = pyo.Objective(expr=m.nn.outputs[0] + m.p[0] * m.y + m.mix)
    m.spare = pyo.Objective(expr=m.limit * m.y**2 + m.k**2 - m.x[0] + m.nn.outputs[0])
    m.spare.deactivate()
    return m


def _new_constraint(m: Any, number: float) -> None:
    m.del_component("added")
    m.added = pyo.Constraint(expr=m.y + number * m.x[1] >= -4)


def _other_network(m: Any, number: float) -> None:
    """The block built anew, its outputs in the places of the old ones."""
    network = OTHER if m.nn.network is NETWORK else NETWORK
    m.del_component(m.nn)
    m.nn = relugrad.ReluNetworkBlock(network=network, inputs=m.x)
    m.cost.set_value(m.nn.outputs[0] + m.p[0] * m.y + m.mix)
    m.spare.set_value(m.limit * m.y**2 + m.k**2 - m.x[0] + m.nn.outputs[0])
    m.use.set_value((-5, m.mix + m.limit * m.nn.outputs[0], 5 * m.limit))


def _swap_objectives(m: Any, number: float) -> None:
    active, other = (m.cost, m.spare) if m.cost.active else (m.spare, m.cost)
    active.deactivate()
    other.activate()


def _toggle(component: Any) -> None:
    component.deactivate() if component.active else component.activate()


def _delete(m: Any, name: str) -> None:
    if m.component(name) is not None:
        m.del_component(name)


def _fix(variable: Any, number: float) -> None:
    variable.unfix() if variable.fixed and number < 1 else variable.fix(number)


def _turn(objective: Any) -> None:
    objective.sense = pyo.maximize if objective.sense == pyo.minimize else pyo.minimize


CHANGES: dict[str, Callable[[Any, float], None]] = {
    "nothing": lambda m, number: None,
    "parameter of a row and a bound": lambda m, number: m.limit.set_value(number),
    "parameter of an objective": lambda m, number: m.p[0].set_value(number),
    "parameter inside an expression": lambda m, number: m.p[1].set_value(number),
    "coefficient that vanishes": lambda m, number: m.p[2].set_value(0.0 if m.p[2].value else number),
    "parameter of bounds of variables": lambda m, number: m.top.set_value(number),
    "lower bound": lambda m, number: m.x[0].setlb(-number),
    "upper bound": lambda m, number: m.y.setub(number),
    "bound of an output": lambda m, number: m.nn.outputs[0].setub(number),
    "no bound of an integer": lambda m, number: m.k.setub(2 if m.k.ub == 1 else 1),
    "domain": lambda m, number: setattr(m.k, "domain", pyo.Reals if m.k.is_integer() else pyo.Integers),
    "fixed input": lambda m, number: _fix(m.x[1], min(number, 1.0)),
    "fixed variable of rows": lambda m, number: _fix(m.y, number),
    "fixed integer": lambda m, number: _fix(m.k, 1),
    "constraint on and off": lambda m, number: _toggle(m.budget),
    "block on and off": lambda m, number: _toggle(m.group),
    "objective swapped": _swap_objectives,
    "sense": lambda m, number: _turn(m.cost if m.cost.active else m.spare),
    "new constraint": _new_constraint,
    "constraint written anew": lambda m, number: m.group.link.set_value(m.y + number * m.x[2] <= 2),
    "expression written anew": lambda m, number: m.mix.set_value(number * m.x[1] - m.y),
    "objective written anew": lambda m, number: m.cost.set_value(m.nn.outputs[0] - number * m.x[1] + m.mix),
    "another network": _other_network,
    "deleted constraint": lambda m, number: _delete(m, "added"),
    "deleted block": lambda m, number: m.group.del_component("link"),
}


def described(compiled: CompiledModel) -> dict[str, Any]:
    """A compiled model by names, whatever the order of its columns and rows."""
    problem, quadratic = compiled.problem, compiled.problem.quadratic
    names = [variable.name for variable in compiled.columns]
    matrix, costs = problem.rows.toarray(), None if quadratic is None else quadratic.toarray()

    def by_name(values: Any) -> dict[str, float]:
        return {name: value for name, value in zip(names, values, strict=True) if value}

    return {
        "variables": {id(variable) for variable in compiled.columns if variable.parent_block() is not None},
        "names": (sorted(problem.column_names), sorted(names), sorted(variable.name for variable in compiled.idle)),
        "bounds": dict(zip(names, zip(problem.lower, problem.upper, problem.integers, strict=True), strict=True)),
        "rows": {
            constraint.name: (by_name(matrix[row]), problem.row_lower[row], problem.row_upper[row])
            for row, constraint in enumerate(compiled.constraints)
        },
        "cost": (by_name(problem.cost), problem.constant, problem.maximize, compiled.objective.name),
        "quadratic": None if costs is None else {name: by_name(row) for name, row in zip(names, costs, strict=True)},
        "networks": [
            (e.name, id(e.network), [names[column] for column in (*e.inputs, *e.outputs)]) for e in problem.networks
        ],
        "operations": (len(problem.operations), [each.name for each in problem.ordered_sets]),
    }


def fresh(model: Any) -> Any:
    """What a fresh compilation gives, or its error."""
    try:
        return described(compile_model(model))
    except RelugradError as error:
        return str(error)


def renewed(form: KeptModel, model: Any) -> Any:
    try:
        return described(form.compiled(model))
    except RelugradError as error:
        return str(error)


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_of_change_is_noticed(kind):
    m, form = plant(), KeptModel()
    for _ in range(2):
        form.compiled(m)
    for number in (0.75, 1.5, 1.25):
        CHANGES[kind](m, number)
        assert renewed(form, m) == fresh(m)


@settings(max_examples=25, deadline=None)
@given(
    changes=st.lists(
        st.lists(st.tuples(st.sampled_from(sorted(CHANGES)), st.sampled_from([0.25, 0.75, 1.5, 3.0])), max_size=3),
        max_size=5,
    )
)
def test_any_sequence_of_changes_is_noticed(changes):
    m, form = plant(), KeptModel()
    renewed(form, m)
    for some in changes:
        for kind, number in some:
            if m.group.component("link") is not None or kind not in ("deleted block", "constraint written anew"):
                CHANGES[kind](m, number)
        assert renewed(form, m) == fresh(m)


NUMBERS = ["parameter of a row and a bound", "parameter of an objective", "lower bound", "upper bound"]


def test_numbers_are_read_again_and_nothing_else(monkeypatch):
    m, form = plant(), KeptModel()
    for _ in range(2):
        form.compiled(m)
    monkeypatch.setattr(kept, "compile_model", lambda model: pytest.fail("the whole model is read"))
    for number in (0.75, 1.5):
        for kind in NUMBERS:
            CHANGES[kind](m, number)
        m.y.fix(number) if m.y.fixed else m.x[0].set_value(number)
        assert renewed(form, m) == fresh(m)


def test_the_first_time_nothing_is_watched(monkeypatch):
    monkeypatch.setattr(kept, "Watch", lambda model: pytest.fail("a model that is solved once is watched"))
    m, form = plant(), KeptModel()
    form.compiled(m)
    with pytest.raises(pytest.fail.Exception):
        form.compiled(m)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_error_leaves_nothing_out_of_date(wrong):
    m, form = plant(), KeptModel()
    for _ in range(2):
        form.compiled(m)
    for number in (wrong, 1.5, wrong, 2.5):
        m.p[0].set_value(number)
        assert renewed(form, m) == fresh(m)


def test_what_is_not_understood_is_refused_when_it_is_added():
    for part in ("disjunction", "derivative"):
        m, form = plant(), KeptModel()
        for _ in range(2):
            form.compiled(m)
        if part == "disjunction":
            m.either = Disjunction(expr=[[m.y >= 1], [m.y <= 0]])
        else:
            m.t = ContinuousSet(bounds=(0, 1))
            m.z = pyo.Var(m.t)
            m.dz = DerivativeVar(m.z)
        assert "relugrad" in renewed(form, m)
        assert renewed(form, m) == fresh(m)


def test_parts_whose_form_depends_on_numbers_are_read_each_time():
    m = plant()
    m.y.setub(1)
    m.z = pyo.Var(domain=pyo.Integers, bounds=(0, 1))
    m.product = pyo.Constraint(expr=m.y * m.z <= 1)
    m.set = pyo.SOSConstraint(var=m.x, sos=1)
    form = KeptModel()
    for number in (1, 2, 3, 1):
        m.z.setub(number)
        assert renewed(form, m) == fresh(m)


def test_a_suffix_is_no_matter(recwarn):
    m, form = plant(), KeptModel()
    m.dual = pyo.Suffix(direction=pyo.Suffix.IMPORT)
    for number in (1.0, 2.0, 3.0):
        m.limit.set_value(number)
        assert renewed(form, m) == fresh(m)
    assert not recwarn.list


@pytest.mark.parametrize(("solver", "gap"), [("relugrad", {}), ("relugrad.exact", {"rel_gap": 1e-6})])
def test_the_solver_answers_as_a_fresh_one_does(solver, gap):
    m, opt = plant(), pyo.SolverFactory(solver)
    for kind, number in [("nothing", 0.0), ("nothing", 0.0), ("parameter of an objective", 3.0), ("sense", 0.0)]:
        CHANGES[kind](m, number)
        opt.solve(m, iteration_limit=20, **gap)
        again = m.clone()
        pyo.SolverFactory(solver).solve(again, iteration_limit=20, **gap)
        active = [pyo.value(each) for each in m.component_data_objects(pyo.Objective, active=True)]
        expected = [pyo.value(each) for each in again.component_data_objects(pyo.Objective, active=True)]
        assert active == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("long", "callback", "is_read"), [(0.0, None, False), (np.inf, None, True), (0.0, lambda progress: None, True)]
)
def test_a_first_solve_that_was_long_prepares_the_next_one(long, callback, is_read, monkeypatch):
    """But where a callback might have changed the model meanwhile."""
    monkeypatch.setattr(local, "LONG", long)
    m, opt, read = plant(), Relugrad(), []
    opt.solve(m, iteration_limit=1, callback=callback)
    monkeypatch.setattr(kept, "compile_model", lambda model: read.append(model) or compile_model(model))
    m.limit.set_value(1.5)
    opt.solve(m, iteration_limit=1)
    assert bool(read) == is_read
    assert renewed(opt._kept.of(m), m) == fresh(m)


def test_the_last_answer_is_a_start():
    """Bounds and costs that one step of a search cannot do justice to."""
    m, opt = plant(), pyo.SolverFactory("relugrad")
    opt.solve(m, iteration_limit=30)
    best = pyo.value(m.cost)
    opt.solve(m, iteration_limit=0)
    assert pyo.value(m.cost) <= best + 1e-9


def test_what_is_kept_dies_with_the_model_and_with_the_solver():
    m, opt = plant(), pyo.SolverFactory("relugrad")
    for _ in range(3):
        opt.solve(m, iteration_limit=1)
    alive = weakref.ref(m)
    del m
    gc.collect()
    assert alive() is None
    m = plant()
    opt.solve(m, iteration_limit=1)
    solver = weakref.ref(opt)
    del opt
    gc.collect()
    assert solver() is None


def test_a_solver_that_has_solved_can_be_copied_and_pickled():
    m, opt = plant(), Relugrad()
    opt.solve(m, iteration_limit=1)
    for other in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        assert other.solve(m, iteration_limit=1).incumbent_objective is not None


def test_models_of_one_solver_are_kept_apart():
    opt, models = pyo.SolverFactory("relugrad"), [plant(), plant()]
    for number in (1.0, 2.0, 3.0):
        models[0].limit.set_value(number)
        for m in models:
            opt.solve(m, iteration_limit=1)
            assert (
                compiling.compile_model(m).problem.row_upper.tolist()
                == opt._kept.of(m).compiled(m).problem.row_upper.tolist()
            )


def tracking() -> pyo.ConcreteModel:
    """Targets inside squares, prices, a row with a parameter as a coefficient, and no integers."""
    m = pyo.ConcreteModel()
    m.I = pyo.RangeSet(0, 2)
    m.target = pyo.Param(m.I, initialize=0.5, mutable=True)
    m.price = pyo.Param(initialize=1.0, mutable=True)
    m.weight = pyo.Param(initialize=2.0, mutable=True)
    m.x = pyo.Var(m.I, bounds=(-1, 1))
    m.y = pyo.Var(bounds=(0, 3))
    m.held = pyo.Var(initialize=0.5)
    m.held.fix()
    m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.band = pyo.Constraint(m.I, rule=lambda m, i: (-m.price, m.x[i] / 4 - m.target[i] + m.held, 1))
    m.mix = pyo.Constraint(expr=m.y + m.price * (m.x[0] - m.target[1]) >= m.held)
    off = pyo.quicksum((m.x[i] - m.target[i]) ** 2 for i in m.I)
    m.cost = pyo.Objective(expr=-off - m.weight * m.y**2 + m.price * m.y + m.held * m.nn.outputs[0], sense=pyo.maximize)
    return m


def test_changed_parts_are_evaluated_as_a_fresh_model_has_them(monkeypatch):
    m, form = tracking(), KeptModel()
    for _ in range(2):
        form.compiled(m)
    read = []
    monkeypatch.setattr(kept, "compile_model", lambda model: read.append(model) or compile_model(model))
    for parameter in (m.target[1], m.price, m.held, m.weight):
        for number in (0.25, 0.75):
            parameter.set_value(number)
            assert renewed(form, m) == fresh(m)
    assert not read
    # A coefficient that vanishes, and sides that cross or are no numbers, are another form.
    for number in (0.0, 1.0, 2.0, np.nan, 1.0, 2.0, -9.0):
        m.price.set_value(number)
        assert renewed(form, m) == fresh(m)
    assert read


def test_a_search_leaves_the_time_that_the_last_answer_took():
    m, opt, limits = tracking(), Relugrad(), []
    find = opt._find
    opt._find = lambda problem, options, **given: limits.append(options.time_limit) or find(problem, options, **given)
    for loading in (0.0, 100.0):
        opt._kept.of(m).loading = loading
        opt.solve(m, time_limit=1000, iteration_limit=1)
        assert 0.0 < opt._kept.of(m).loading < 10.0
    assert limits[0] > 990.0
    assert 890.0 < limits[1] < 901.0
