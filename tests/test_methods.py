"""Methods as values: their settings, what they say of themselves, and the ways of giving them."""

import contextlib
import inspect
import pickle
import re
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pyomo.environ as pyo
import pytest
from random_networks import random_network
from scripted_method import Scripted

import pyomo_relugrad.search
from pyomo_relugrad import ReluNetworkBlock, maximize
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import EmbeddedNetwork, Problem
from pyomo_relugrad.search import (
    METHODS,
    Auto,
    ColumnGeneration,
    ConvexProgram,
    DecisionSearch,
    ExactChoice,
    ExchangeSearch,
    LatticeSearch,
    LpDescent,
    LpWalk,
    Method,
    MilpWalk,
    Neighbourhoods,
    Ppga,
    PpgaLr,
    ProjectedDescent,
    Pruned,
    RegionGeneration,
    RelaxingWalk,
    Sampling,
    SequentialLp,
    SmoothingDescent,
)
from pyomo_relugrad.solve import Options, array_problem, search, solve_exactly

INF = np.inf
NETWORK = random_network([2, 4, 1], 0)
MIDDLE = float(NETWORK.value([[0.5, 1.5]])[0, 0])
ALONE = [*METHODS.values(), ProjectedDescent(), LpDescent()]
#: With those that yield nothing on most problems.
EVERY = [*ALONE, ConvexProgram(), ExactChoice(), ColumnGeneration(), ExchangeSearch(), DecisionSearch()]
EVERY += [SmoothingDescent(), RegionGeneration(), LatticeSearch()]
#: A setting of each method under which it finds something else, or stops elsewhere, than by default.
CHANGED = [
    Auto(projected=ProjectedDescent(batch=5)),
    SequentialLp(max_steps=2),
    Ppga(batch=3),
    PpgaLr(overshoot=0.5),
    LpWalk(overshoot=0.9),
    RelaxingWalk(walk=LpWalk(overshoot=0.9)),
    MilpWalk(entry_gap=1e-9),
    Pruned(rates=(0.1,)),
    ProjectedDescent(first_steps=(0.01,)),
    LpDescent(mixtures=3),
]


def named(method: Method) -> str:
    return type(method).__name__


def small_model() -> pyo.ConcreteModel:
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(2), bounds=(0, 1))
    model.nn = ReluNetworkBlock(network=random_network([2, 6, 1], 1), inputs=[model.x[0], model.x[1]])
    model.score = pyo.Objective(expr=model.nn.outputs[0], sense=pyo.maximize)
    return model


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY, ids=named)
def test_a_method_documents_every_setting(method: Method) -> None:
    text = "\n".join(inspect.getdoc(kind) or "" for kind in type(method).__mro__ if issubclass(kind, Method))
    described = {name for names in re.findall(r"^(\w+(?:, \w+)*) : .+", text, re.M) for name in names.split(", ")}
    assert {setting.name for setting in fields(method)} <= described


@pytest.mark.parametrize("method", EVERY, ids=named)
def test_a_method_is_a_value(method: Method) -> None:
    assert method == type(method)() == pickle.loads(pickle.dumps(method))
    assert hash(method) == hash(type(method)())
    for setting in fields(method):
        with pytest.raises(FrozenInstanceError):
            setattr(method, setting.name, 1)


@pytest.mark.parametrize("method", EVERY, ids=named)
def test_a_setting_out_of_its_range_is_refused(method: Method) -> None:
    for setting in fields(method):
        with pytest.raises(ModelError, match=rf"method '{method.name}' has {setting.name}=-1: give a "):
            replace(method, **{setting.name: -1})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ppga(batch=2.5), "method 'ppga' has batch=2.5: give a whole number of 1 or more"),
        (lambda: Ppga(batch=np.timedelta64(3, "s")), "method 'ppga' has batch=.*timedelta64.*: give a whole"),
        (lambda: Ppga(first_step=np.timedelta64(3)), "method 'ppga' has first_step=.*timedelta64.*: give a number"),
        (lambda: Ppga(batch=2**70), "method 'ppga' has batch=1180591620717411303424: give at most 1e\\+12"),
        (lambda: Ppga(batch="64"), "method 'ppga' has batch='64': give a whole number of 1 or more"),
        (lambda: Ppga(batch=None), "method 'ppga' has batch=None: give a whole number of 1 or more"),
        (lambda: Ppga(first_step=np.nan), "method 'ppga' has first_step=nan: give a number of 0 or more"),
        (lambda: LpWalk(overshoot="far"), "method 'lp-walk' has overshoot='far': give a number of 0 or more"),
        (lambda: LpDescent(last_radius=0), "method 'lp-descent' has last_radius=0: give a number of 1e-09 or more"),
        (lambda: SequentialLp(held_share=1.5), "has held_share=1.5: give a number from 0 to 1"),
        (lambda: Pruned(rates=()), r"has rates=\(\): give a tuple, each entry a number from 0 to 1"),
        (lambda: Pruned(rates=(0.5, 2)), r"has rates=\(0.5, 2\): give a tuple, each entry a number from 0 to 1"),
        (lambda: Pruned(rates=0.5), r"has rates=0.5: give a tuple, each entry a number from 0 to 1"),
        (lambda: Pruned(walk="lp-walk"), "method 'pruned' has walk='lp-walk': give a value of LpWalk"),
        (lambda: ProjectedDescent(batch=0), "has batch=0: give a whole number of 1 or more, or None"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(make: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make()


def test_numbers_of_numpy_are_numbers() -> None:
    assert Ppga(batch=np.int64(64), first_step=np.float32(0.5)) == Ppga(batch=64, first_step=0.5)


@pytest.mark.parametrize("method", ALONE, ids=named)
def test_a_method_runs_with_ones_and_zeros_where_it_takes_them(method: Method) -> None:
    for value in (1, 0.0):
        for setting in fields(method):
            with contextlib.suppress(ModelError):
                many = isinstance(setting.default, tuple)
                method = replace(method, **{setting.name: (value,) if many else value})
    limits = {"iteration_limit": 30, "time_limit": 1.0}
    assert maximize(random_network([4, 10, 1], 2), lower=0, upper=1, method=method, **limits).value > -INF


@pytest.mark.parametrize("method", CHANGED, ids=named)
def test_settings_change_what_is_found(method: Method) -> None:
    problem = array_problem(random_network([6, 16, 10, 1], 1), None, 0.0, 1.0)
    changed, default = (search(problem, value, iteration_limit=60) for value in (method, type(method)()))
    assert (changed.points, changed.history) != (default.points, default.history)


@pytest.mark.parametrize("name", METHODS)
def test_a_name_means_the_default_value(name: str) -> None:
    network = random_network([4, 10, 1], 2)
    limits = {"lower": 0, "upper": 1, "iteration_limit": 40, "seed": 3}
    by_name, by_value = (maximize(network, method=method, **limits) for method in (name, METHODS[name]))
    assert np.array_equal(by_name.x, by_value.x)
    assert by_name.result.points == by_value.result.points


# --- words ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Ppga(), "ppga"),
        (Sampling(), "sampling"),
        (Ppga(batch=64), "ppga(batch=64)"),
        (PpgaLr(batch=64, overshoot=0.1), "ppga-lr(batch=64, overshoot=0.1)"),
        (Pruned(rates=(0.5,)), "pruned(rates=(0.5,))"),
        (Auto(projected=ProjectedDescent(patience=8)), "auto(projected=projected-descent(patience=8))"),
    ],
)
def test_a_method_in_words_is_its_name_and_what_differs_from_the_defaults(method: Method, words: str) -> None:
    assert str(method) == words
    assert f"method {words}, seed 0" in Options(method=method).in_words(proves=False)


def test_the_registry_has_each_method_under_its_name() -> None:
    assert all(method.name == name and method.summary and str(method) == name for name, method in METHODS.items())
    listed = [getattr(pyomo_relugrad.search, name) for name in pyomo_relugrad.search.__all__]
    kinds = {kind for kind in listed if inspect.isclass(kind) and not inspect.isabstract(kind)}
    assert kinds == {type(method) for method in EVERY}


# --- ways of giving a method ----------------------------------------------------------------------------------------


def test_every_entry_point_takes_a_value() -> None:
    seen = []

    def note(problem, context):
        seen.append(problem)
        yield problem.incumbent(problem.lower)

    network, method = random_network([2, 6, 1], 1), Scripted(note)
    problem = array_problem(network, None, 0.0, 1.0)
    maximize(network, lower=0, upper=1, method=method)
    search(problem, method)
    solve_exactly(problem, Options(method=method, time_limit=5.0))
    assert len(seen) >= 3
    before = len(seen)
    for solver in ("relugrad", "relugrad.exact"):
        pyo.SolverFactory(solver).solve(small_model(), method=method, time_limit=5)
        assert len(seen) > before
        before = len(seen)


def test_a_pyomo_solver_keeps_a_value_as_its_option_and_logs_it(capsys: pytest.CaptureFixture[str]) -> None:
    solver = pyo.SolverFactory("relugrad", method=Ppga(batch=4))
    solver.solve(small_model(), iteration_limit=5, tee=True)
    assert "method ppga(batch=4), seed 0, at most 5 steps" in capsys.readouterr().out
    solver.options["method"] = LpWalk(overshoot=0.5)
    solver.solve(small_model(), iteration_limit=5, tee=True)
    assert "method lp-walk(overshoot=0.5)" in capsys.readouterr().out


# --- what a method needs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [3, Ppga, {}], ids=str)
def test_what_is_no_method_is_refused(method: object) -> None:
    words = r"give one of auto, .*, pruned, or a value such as Ppga\(batch=64\)"
    with pytest.raises(ModelError, match=f"the method is .*: {words}"):
        maximize(random_network([2, 4, 1], 0), lower=0, upper=1, method=method)
    with pytest.raises(ModelError, match=f"the method is .*: {words}"):
        pyo.SolverFactory("relugrad").solve(small_model(), method=method)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(Auto, "its parts are lattice, .*, smoothing"), (Neighbourhoods, "its parts are flips, .*, whole")],
)
def test_what_is_no_part_cannot_be_left_out(kind: type[Method], words: str) -> None:
    with pytest.raises(ModelError, match=f"method '{kind.name}' has no part descents, sails to leave out; {words}"):
        kind(without=frozenset({"sails", "descents"}))
    assert str(kind(without=frozenset())) == kind.name


def general(**changes: object) -> Problem:
    problem = Problem(
        cost=np.array([0.0, 0.0, 1.0]),
        lower=np.array([0.0, 0.0, -INF]),
        upper=np.array([1.0, 3.0, INF]),
        networks=(EmbeddedNetwork(NETWORK, [0, 1], [2]),),
        column_names=("x", "n", "y"),
        row_names=("tie",) if "rows" in changes else (),
    )
    return replace(problem, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"integers": np.array([False, True, False])}, "variable 'n' is an integer"),
        ({"upper": np.array([1.0, 3.0, MIDDLE])}, "variable 'y' is a network's output and has a bound"),
        (
            {"rows": np.array([[1.0, 0.0, 1.0]]), "row_lower": [-INF], "row_upper": [MIDDLE + 0.5]},
            "constraint 'tie' has outputs of networks",
        ),
    ],
)
def test_a_method_names_what_it_cannot_take(changes: dict, reason: str) -> None:
    message = f"method 'ppga' handles problems of shape box, polytope, but this one is general \\({reason}\\); use"
    with pytest.raises(ModelError, match=message):
        search(general(**changes), Ppga(), iteration_limit=5)
    assert search(general(**changes), SequentialLp(), iteration_limit=5).incumbent is not None


def test_a_method_names_the_variables_without_bounds() -> None:
    missing = general(upper=np.array([INF, 3.0, INF]))
    with pytest.raises(
        ModelError, match="method 'lp-walk' needs finite bounds on the decision variables, but x has none"
    ):
        search(missing, LpWalk(), iteration_limit=5)


def test_the_methods_that_auto_uses_stand_alone() -> None:
    network = random_network([4, 12, 1], 3)
    rows = {"A": np.random.default_rng(0).random((3, 4)), "row_upper": 1.0}
    for method in (ProjectedDescent(), LpDescent()):
        best = maximize(network, lower=0, upper=1, **rows, method=method, iteration_limit=300)
        assert best.value == pytest.approx(maximize(network, lower=0, upper=1, **rows, iteration_limit=600).value)
