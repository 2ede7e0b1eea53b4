"""Kinds of bad input, by the function that is given them: each is refused in words that say what is wrong and where.

What is in a file, a graph or a property has its tests beside the readers'.
"""

import concurrent.futures as futures

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.gdp import Disjunction

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.vnnlib import parse_vnnlib

NETWORK = Network.from_layers([[[1.0, -1.0], [-1.0, 1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [0.0]])
TWO_OUTPUTS = Network.from_layers([[[1.0, 1.0], [0.0, 1.0]]], [[0.0, 0.0]])
NAMED = NETWORK.with_names(inputs=["a", "b"])
NAN, INF = float("nan"), float("inf")
DATA = np.random.default_rng(0).random((20, 2))
LINE = np.arange(30.0)
PROPERTY = parse_vnnlib(
    "(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (assert (>= X_0 0)) (assert (<= X_0 1))"
    "(assert (>= X_1 0)) (assert (<= X_1 1)) (assert (>= Y_0 0.5))"
)


def refused(action, message, *arguments, **keywords):
    """The action raises an error of this package with that text in its message."""
    with pytest.raises(RelugradError) as error:
        action(*arguments, **keywords)
    told = " ".join(str(error.value).split())
    assert message in told, told


SEARCHES = {
    "crossed bounds": ({"lower": 1, "upper": 0}, "column 0 can have no value: its lower bound is 1.0"),
    "long bounds": ({"lower": [0, 0, 0]}, "lower has shape (3,), expected a number or (2,)"),
    "NaN bounds": ({"upper": NAN}, "upper is NaN"),
    "no bounds": ({"lower": -INF, "upper": INF}, "give lower and upper bounds"),
    "objective of other length": ({"objective": [1, 2]}, "objective has shape (2,), expected a number or (1,)"),
    "NaN in the objective": ({"objective": [NAN]}, "objective[0] is NaN"),
    "input objective of other length": ({"input_objective": [1]}, "input_objective has shape (1,)"),
    "wide rows": ({"A": [[1, 2, 3]], "row_upper": 1}, "A has shape (1, 3), expected (rows, 2)"),
    "one row without a batch": ({"A": [1, 2], "row_upper": 1}, "A has shape (2,), expected (rows, 2)"),
    "NaN in rows": ({"A": [[NAN, 1]], "row_upper": 1}, "coefficients must be finite"),
    "bounds of other rows": (
        {"A": [[1, 2]], "row_upper": [1, 2]},
        "row_upper has shape (2,), expected",
    ),
    "bounds of rows without rows": ({"row_upper": 1}, "row_lower and row_upper are bounds of the rows in A"),
    "rows out of reach": ({"A": [[1, 1]], "row_lower": 5}, "in conflict are constraint 'row 0'"),
    "unknown method": ({"method": "magic"}, "unknown method 'magic'; the methods are auto"),
    "no method": ({"method": None}, "unknown method None; the methods are auto"),
    "class as a method": ({"method": dict}, "or values such as Ppga(batch=64)"),
    "negative time": ({"time_limit": -1}, "the time limit is -1 s: give 0 seconds or more"),
    "NaN time": ({"time_limit": NAN}, "the time limit is NaN: give 0 seconds or more"),
    "time in words": ({"time_limit": "10s"}, "the time limit is '10s': give seconds"),
    "time None": ({"time_limit": None}, "the time limit is None: give seconds, or infinity"),
    "negative steps": ({"iteration_limit": -1}, "the iteration limit is -1: give 0 or more"),
    "part of a step": ({"iteration_limit": 1.5}, "the iteration limit is 1.5: give a whole number"),
    "steps in words": ({"iteration_limit": "2"}, "the iteration limit is '2': give 0 or more"),
    "negative seed": ({"seed": -1}, "the seed is -1: give 0 or more"),
    "seed in words": ({"seed": "a"}, "the seed is 'a': give 0 or more"),
    "long start": ({"start": [0, 0, 0]}, "start has shape (3,), expected a number or (2,)"),
    "NaN start": ({"start": [NAN, 0]}, "start[0] is NaN"),
    "infinite start": ({"start": [INF, 0]}, "start has an infinite entry"),
    "callback that is a number": ({"callback": 3}, "the callback is int: give a function"),
    "no threads": ({"threads": 0}, "the number of threads is 0: give 1 or more"),
    "part of a thread": ({"threads": 1.5}, "the number of threads is 1.5: give 1 or more"),
    "threads in words": ({"threads": "all"}, "the number of threads is 'all': give 1 or more"),
    "executor that is a number": ({"executor": 3}, "give a concurrent.futures.Executor"),
    "class as an executor": ({"executor": futures.ThreadPoolExecutor}, "the executor is type: give a"),
    "several outputs": ({"network": TWO_OUTPUTS}, "the network has 2 outputs: give their weights as the objective"),
    "names that are missing": ({"network": NAMED, "lower": {"a": 0}}, "missing 'b'. Give all 2 names"),
    "names that are unknown": ({"network": NAMED, "lower": {"a": 0, "b": 0, "c": 0}}, "unknown 'c'. Give all 2 names"),
    "names for none": ({"lower": {"a": 0, "b": 0}}, "name them with Network.with_names"),
    "start by some names": ({"network": NAMED, "start": {"a": 0}}, "start: the keys are not the names"),
    "no network": ({"network": None}, "network must be a Network, a path, bytes"),
    "class of a network": ({"network": Network}, "not the class Network: make one of it, and give that"),
    "function as a network": ({"network": print}, "not builtin_function_or_method"),
    "file that is not there": ({"network": "absent.onnx"}, "there is no file absent.onnx"),
    "pickle": ({"network": "model.pkl"}, "is not opened, as that may run code that is in it"),
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_searches(kind):
    keywords, message = SEARCHES[kind]
    refused(
        relugrad.maximize, message, **{"network": NETWORK, "lower": 0, "upper": 1, "iteration_limit": 2, **keywords}
    )


LAYERS = {
    "no layers": ([], [], "from_layers got 0 weights and 0 biases"),
    "fewer biases": ([[[1.0, 1.0]]], [], "from_layers got 1 weights and 0 biases"),
    "bias of other length": ([[[1.0, 1.0]]], [[0.0, 0.0]], "does not fit a bias of shape (2,)"),
    "weights in three dimensions": ([np.zeros((1, 2, 3))], [[0.0]], "weights are (outputs, inputs)"),
    "transposed weights": ([np.ones((2, 3))], [[0.0] * 3], "does not fit a bias of shape (3,)"),
    "layers that do not follow": (
        [[[1.0, 1.0]]] * 2,
        [[0.0]] * 2,
        "layer 2 expects 2 values from layer 1, which has 1",
    ),
    "NaN": ([[[NAN, 1.0]]], [[0.0]], "weights and biases must be finite numbers"),
    "words": ([[["a", "b"]]], [[0.0]], "the weight or bias of layer 1 holds no numbers"),
    "rows of other lengths": ([[[1.0, 2.0], [1.0]]], [[0.0, 0.0]], "the weight or bias of layer 1 holds no numbers"),
    "complex numbers": ([[[1j, 1.0]]], [[0.0]], "the weight or bias of layer 1 holds no numbers"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers(kind):
    weights, biases, message = LAYERS[kind]
    refused(Network.from_layers, message, weights, biases)


POINTS = {
    "no batch": (NETWORK.value, [0.0, 1.0], "expected a batch of shape (B, 2), got shape (2,)"),
    "wide": (NETWORK.jacobian, [[0.0, 1.0, 2.0]], "expected a batch of shape (B, 2), got shape (1, 3)"),
    "words": (NETWORK.value, [["a", "b"]], "the points are no table of numbers"),
    "few names": (NETWORK.with_names, ["a"], "there are 1 names for the 2 inputs"),
    "a name twice": (NETWORK.with_names, ["a", "a"], "two inputs have the same name, 'a'"),
    "numbers as names": (NETWORK.with_names, [1, 2], "the input name 1 is not text"),
    "no ONNX file": (relugrad.load_onnx, 3, "int is no ONNX file: give a path"),
    "no Keras model": (relugrad.load_keras, 3, "int is no Keras model: give a keras.Model, or the path"),
    "Keras file that is not there": (relugrad.load_keras, "absent.keras", "there is no file absent.keras"),
    "no estimator": (relugrad.load_sklearn, 3, "int is no scikit-learn estimator"),
    "class of an estimator": (relugrad.load_sklearn, dict, "dict is a class: make an estimator of it"),
    "path of an estimator": (relugrad.load_sklearn, "model.pkl", "'model.pkl' is a path, not an estimator"),
    "no property": (relugrad.load_vnnlib, 3, "int is no property: give the path of a .vnnlib file"),
    "property that is not there": (relugrad.load_vnnlib, "absent.vnnlib", "there is no such file"),
    "empty ensemble": (relugrad.Ensemble, [], "an ensemble needs at least one network"),
    "ensemble of one": (relugrad.Ensemble, NETWORK, "give a list of networks, not Network"),
    "ensemble of other sizes": (
        relugrad.Ensemble,
        [NETWORK, TWO_OUTPUTS],
        "member 1 of the ensemble has 2 inputs and 2",
    ),
    "ensemble of numbers": (relugrad.Ensemble, [NETWORK, 3], "network must be a Network"),
    "no share": (relugrad.Ensemble([NETWORK] * 2).kept_by, 0, "expected a number above 0, at most 1"),
    "share above 1": (relugrad.Ensemble([NETWORK] * 2).reached_by, 2, "expected a number above 0, at most 1"),
    "share in words": (relugrad.Ensemble([NETWORK] * 2).kept_by, "all", "the share of the members is 'all'"),
}


@pytest.mark.parametrize("kind", POINTS)
def test_one_argument(kind):
    action, given, message = POINTS[kind]
    refused(action, message, given)


MARGINS = {
    "other lengths": (LINE, LINE[:5], 0.1, "upper", "predicted has shape (30,) and measured (5,)"),
    "NaN": ([*LINE, NAN], [*LINE, 1], 0.1, "upper", "leave such rows out"),
    "no risk": (LINE, LINE, 0, "upper", "the risk is 0; expected a number between 0 and 1"),
    "risk in words": (LINE, LINE, "low", "upper", "the risk is 'low'; expected a number between 0 and 1"),
    "unknown side": (LINE, LINE, 0.1, "top", "side is 'top'; expected 'both', 'lower' or 'upper'"),
    "few rows": (LINE[:3], LINE[:3], 0.01, "upper", "give 99 or more, or take a larger risk"),
    "several columns": (DATA, DATA, 0.1, "upper", "expected (n,)"),
    "words": (["a"], ["b"], 0.1, "upper", "predicted or measured is no array of numbers"),
}


@pytest.mark.parametrize("kind", MARGINS)
def test_margins(kind):
    predicted, measured, risk, side, message = MARGINS[kind]
    refused(relugrad.conformal_margin, message, predicted, measured, risk=risk, side=side)


PROOFS = {
    "property that is a number": ((NETWORK, 3), {}, "int is no property"),
    "several properties": ((NETWORK, [PROPERTY]), {}, "list is no property"),
    "other inputs": (
        (Network.from_layers([[[1.0]]], [[0.0]]), PROPERTY),
        {},
        "the property has 2 inputs and 1 outputs",
    ),
    "network under a name": (({"f": NETWORK}, PROPERTY), {}, "give that, without a name"),
    "negative time": ((NETWORK, PROPERTY), {"time_limit": -1}, "the time limit is -1 s"),
    "time in words": ((NETWORK, PROPERTY), {"time_limit": "1"}, "the time limit is '1': give seconds"),
}


@pytest.mark.parametrize("kind", PROOFS)
def test_proofs(kind):
    arguments, keywords, message = PROOFS[kind]
    refused(relugrad.verify, message, *arguments, **keywords)


def parts():
    """A model without a network, with variables of several kinds."""
    m = pyo.ConcreteModel()
    m.x, m.y, m.one = pyo.Var(range(2), bounds=(0, 1)), pyo.Var(range(3)), pyo.Var()
    m.named = pyo.Var(["a", "c"])
    return m


BLOCKS = {
    "more inputs": (lambda m: {"inputs": m.y}, "the network has 2 inputs, but 3 were given"),
    "one input": (lambda m: {"inputs": m.one}, "the network has 2 inputs, but 1 were given"),
    "a number for inputs": (lambda m: {"inputs": 3}, "the network has 2 inputs, but 1 were given"),
    "word among inputs": (lambda m: {"inputs": [m.x[0], "a"]}, "input 1 is str 'a'; expected a variable"),
    "NaN among inputs": (lambda m: {"inputs": [m.x[0], NAN]}, "input 1 is nan, no finite number"),
    "model among inputs": (lambda m: {"inputs": [m.x[0], m]}, "expected a variable or an expression"),
    "other names": (lambda m: {"network": NAMED, "inputs": m.named}, "missing 'b'; unknown 'c'"),
    "some names": (lambda m: {"network": NAMED, "inputs": {"a": m.x[0]}}, "missing 'b'. Give all 2 names"),
    "more outputs": (lambda m: {"outputs": m.y}, "the network has 1 outputs, but 3 were given"),
    "word for outputs": (lambda m: {"outputs": "y"}, "output 0 is str 'y'; expected a variable"),
    "crossed bounds": (
        lambda m: {"input_bounds": [(1, 0), (0, 1)]},
        "the bounds of input 0 are empty: lower 1, upper 0",
    ),
    "few bounds": (lambda m: {"input_bounds": [(0, 1)]}, "the network has 2 inputs, but 1 bounds were given"),
    "bounds of three": (lambda m: {"input_bounds": [(0, 1, 2)] * 2}, "the bounds of input 0 hold (0, 1, 2)"),
    "NaN bounds": (lambda m: {"input_bounds": [(NAN, 1), (0, 1)]}, "are empty, as one is NaN"),
    "scaling in words": (lambda m: {"scaling": "minmax"}, "scaling must be omlt.OffsetScaling or"),
    "factor 0": (lambda m: {"scaling": {"inputs": ([0, 0], [0, 1])}}, "positive finite factors; those of input 0"),
    "short offset": (
        lambda m: {"scaling": {"inputs": ([0], [1, 1])}},
        "the input offset has shape (1,), expected (2,)",
    ),
    "key of a scaling": (lambda m: {"scaling": {"input": 1}}, "scaling has the keys 'inputs' and 'outputs'"),
    "unknown argument": (lambda m: {"bound": 3}, "ReluNetworkBlock has no argument 'bound'"),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks(kind):
    m = parts()
    given, message = BLOCKS[kind]
    refused(ReluNetworkBlock, message, **{"network": NETWORK, "concrete": True, **given(m)})


def test_a_network_by_position():
    refused(ReluNetworkBlock, "takes its network by name, network=...", NETWORK, concrete=True)


FRAMES = {
    "few rows": ([0, 1, 2], {"a": [1, 2], "b": [1, 2]}, "the data frame has no row 2"),
    "no number": ([0, 1], {"a": [1, NAN], "b": [1, 2]}, "input 0 is nan, no finite number"),
    "words": ([0, 1], {"a": ["x", "y"], "b": [1, 2]}, "input 0 is str 'x'; expected a variable"),
    "dates": ([0], {"a": [np.datetime64("2020-01-01")], "b": [1]}, "expected a variable or an expression"),
    "other columns": ([0], {"a": [1], "c": [1]}, "missing 'b'; unknown 'c'"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames(kind):
    pandas = pytest.importorskip("pandas")
    index, columns, message = FRAMES[kind]
    refused(ReluNetworkBlock, message, index, network=NAMED, inputs=pandas.DataFrame(columns), concrete=True)


def test_records_are_no_bounds():
    records = pytest.importorskip("pandas").DataFrame({"a": [1, 2], "b": [1, 2]})
    refused(ReluNetworkBlock, "records are no bounds", network=NAMED, input_bounds=records, concrete=True)


def test_frames_with_two_columns_of_one_name():
    frame = pytest.importorskip("pandas").DataFrame([[1, 2, 3]], columns=["a", "b", "b"])
    refused(ReluNetworkBlock, "several columns of one name", [0], network=NAMED, inputs=frame, concrete=True)


HULLS = {
    "other columns": ({"data": np.ones((3, 3))}, "the data have 3 columns, but 2 inputs were given"),
    "no table": ({"data": [1, 2]}, "the data have shape (2,); expected (rows, inputs)"),
    "NaN": ({"data": [[NAN, 1]]}, "nan in row 0, column 0: drop or fill such rows"),
    "words": ({"data": "x.csv"}, "the data are not a table of numbers"),
    "negative margin": ({"margin": -1}, "the margin is -1; expected a finite number that is not negative"),
    "no clusters": ({"clusters": 0}, "clusters is 0; expected one label per row, or a number from 1 to 20"),
    "few labels": ({"clusters": [0, 1]}, "expected one label for each of 20 rows"),
    "no points": ({"max_points": 0}, "max_points is 0; expected a positive number or None"),
    "no data": ({"data": None}, "DataHull needs data too"),
    "unknown argument": ({"shape": 1}, "DataHull has no argument 'shape'; it has inputs, data"),
}


@pytest.mark.parametrize("kind", HULLS)
def test_hulls(kind):
    given, message = HULLS[kind]
    refused(relugrad.DataHull, message, **{"inputs": parts().x, "data": DATA, "concrete": True, **given})


def model():
    m = pyo.ConcreteModel()
    m.x, m.p = pyo.Var(range(2), bounds=(0, 1)), pyo.Param(mutable=True, within=pyo.Any)
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


OPTIONS = {
    "unknown": ({"magic": 3}, "unknown option 'magic' of solver 'relugrad"),
    "unknown among options": ({"options": {"magic": 1}}, "unknown option 'magic' of solver 'relugrad"),
    "options that are a number": ({"options": 3}, "options is int: give a dictionary of options by name"),
    "time in words": ({"time_limit": "a"}, "invalid value for configuration 'time_limit'"),
    "negative gap": ({"rel_gap": -1}, "'rel_gap': Failed casting -1 to NonNegativeFloat"),
    "log that is a number": ({"tee": 3}, "invalid value for configuration 'tee'"),
    "method that is a number": ({"method": 3}, "unknown method 3; the methods are auto"),
    "option of HiGHS": ({"highs_options": {"nope": 1}}, "HiGHS has no option nope = 1"),
    "file of the log": ({"logfile": "/nowhere/x.log"}, "logfile '/nowhere/x.log' cannot be written: No such file"),
    "bounds": ({"bounds": "magic"}, "unknown bounds 'magic'; known are interval, crown, lp"),
    "callback that is a number": ({"callback": 3}, "'callback'"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_of_a_solver(kind):
    given, message = OPTIONS[kind]
    refused(pyo.SolverFactory("relugrad.exact").solve, message, model(), **given)


def row(expression):
    """An edit of a model: a row of its own."""

    def edit(m):
        m.row = pyo.Constraint(expr=expression(m) <= 1)

    return edit


MODELS = {
    "fixed at NaN": (lambda m: m.x[0].fix(NAN), "variable 'x[0]' is fixed at nan, no finite number"),
    "fixed at nothing": (lambda m: setattr(m.x[0], "fixed", True), "variable 'x[0]' is fixed but has no value"),
    "NaN bound": (lambda m: m.x[0].setlb(NAN), "variable 'x[0]' has a bound that is no number"),
    "parameter without a value": (row(lambda m: m.p * m.x[0]), "'row' cannot be evaluated"),
    "division by zero": (row(lambda m: 1 / (m.x[0] - m.x[0])), "'row' cannot be evaluated: ZeroDivisionError"),
    "floor": (row(lambda m: pyo.floor(m.x[0])), "constraint 'row' holds 'floor', which has no derivative"),
    "case": (row(lambda m: pyo.Expr_if(m.x[0] >= 0.5, 1, 0)), "constraint 'row' holds 'Expr_if'"),
    "two objectives": (lambda m: setattr(m, "o", pyo.Objective(expr=m.x[0])), "deactivate all but one"),
    "disjunction": (
        lambda m: setattr(m, "d", Disjunction(expr=[[m.x[0] <= 0.2], [m.x[0] >= 0.8]])),
        "cannot be handled by relugrad: apply TransformationFactory('gdp.bigm') first",
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind):
    edit, message = MODELS[kind]
    m = model()
    edit(m)
    refused(pyo.SolverFactory("relugrad").solve, message, m, iteration_limit=2)


NO_MODELS = {"nothing": None, "network": NETWORK, "path": "model.lp"}


@pytest.mark.parametrize("kind", NO_MODELS)
def test_what_is_no_model(kind):
    refused(pyo.SolverFactory("relugrad").solve, "relugrad solves Pyomo models and blocks", NO_MODELS[kind])


def test_starts_and_transformations():
    refused(relugrad.solve_from_start, "takes a solver and a model, in this order", model(), "appsi_highs")
    refused(relugrad.solve_from_start, "takes a solver and a model, in this order", None, model())
    refused(relugrad.solve_from_start, "Pyomo knows no solver 'nope'", "nope", model())
    expand = pyo.TransformationFactory("relugrad.omlt").apply_to
    refused(expand, "relugrad.omlt: invalid value for configuration 'formulation'", model(), formulation="magic")
    refused(expand, "relugrad.omlt: key 'magic' not defined", model(), magic=1)


def test_margins_of_a_class():
    refused(model().nn.predicts, "the margin is 'a'; expected a finite number", 0, margin="a")
    refused(model().nn.predicts, "there is no class 'hi': give its position, 0 to 1", "hi")


def test_counterexamples_print_in_a_line():
    found = relugrad.find_counterexample(NETWORK, PROPERTY, time_limit=5)
    assert repr(found).startswith("<Counterexample: x of 2 inputs, y of 1 output, violation ")


def test_kinds_are_counted():
    tables = (SEARCHES, LAYERS, POINTS, MARGINS, PROOFS, BLOCKS, FRAMES, HULLS, OPTIONS, MODELS, NO_MODELS)
    assert sum(map(len, tables)) >= 125
