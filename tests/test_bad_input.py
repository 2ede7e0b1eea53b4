"""Kinds of bad input, by the function that is given them: each is refused in words that say what is wrong and where,
and then what to do.

What is in a file, a graph or a property has its tests beside the readers'.
"""

import concurrent.futures as futures
import sys

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.gdp import Disjunction
from scipy.sparse import csr_array

import pyomo_relugrad as relugrad
from pyomo_relugrad.checks import numbers
from pyomo_relugrad.errors import RelugradError
from pyomo_relugrad.modeling.block import ReluNetworkBlock
from pyomo_relugrad.network import (
    Network,
    interval_bounds,
    network_statistics,
    prune_weights,
    without_stable_neurons,
)
from pyomo_relugrad.programs import network_bounds
from pyomo_relugrad.readers.vnnlib import parse_vnnlib
from pyomo_relugrad.search import Ppga
from pyomo_relugrad.solve import search

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


def refused(action, told, advice, *arguments, **keywords):
    """The action raises an error of this package, which says what is wrong, and after it what to do."""
    with pytest.raises(RelugradError) as error:
        action(*arguments, **keywords)
    message = " ".join(str(error.value).split())
    assert told in message, message
    assert advice in message.partition(told)[2], message


SEARCHES = {
    "crossed bounds": (
        {"lower": 1, "upper": 0},
        "column 0 can have no value: its lower bound is 1.0",
        "change one of them",
    ),
    "long bounds": ({"lower": [0, 0, 0]}, "lower has shape (3,)", "give a number, or an"),
    "NaN bounds": ({"upper": NAN}, "upper is NaN", "give a number, or an"),
    "no bounds": (
        {"lower": -INF, "upper": INF},
        "the objective may be unbounded: a search needs",
        "give lower and upper",
    ),
    "objective of other length": ({"objective": [1, 2]}, "objective has shape (2,)", "give a number, or an"),
    "NaN in the objective": ({"objective": [NAN]}, "objective[0] is NaN", "give a number, or an"),
    "input objective of other length": (
        {"input_objective": [1]},
        "input_objective has shape (1,)",
        "give a number, or an",
    ),
    "wide rows": ({"A": [[1, 2, 3]], "row_upper": 1}, "A has shape (1, 3)", "give a table of shape"),
    "one row without a batch": ({"A": [1, 2], "row_upper": 1}, "A has shape (2,)", "give a table of shape"),
    "NaN in rows": ({"A": [[NAN, 1]], "row_upper": 1}, "A[0, 0] is nan", "give finite numbers"),
    "bounds of other rows": ({"A": [[1, 2]], "row_upper": [1, 2]}, "row_upper has shape (2,)", "give a number, or an"),
    "bounds of rows without rows": (
        {"row_upper": 1},
        "row_lower and row_upper are bounds of the rows in A",
        "give A too",
    ),
    "rows out of reach": ({"A": [[1, 1]], "row_lower": 5}, "in conflict are constraint 'row 0'", "change one of them"),
    "unknown method": ({"method": "magic"}, "unknown method 'magic'", "give one of auto,"),
    "no method": ({"method": None}, "the method is None", "give one of auto,"),
    "class as a method": ({"method": dict}, "the method is the class dict", "give one of auto,"),
    "negative time": ({"time_limit": -1}, "the time limit is -1", "give a number of seconds,"),
    "NaN time": ({"time_limit": NAN}, "the time limit is nan", "give a number of seconds,"),
    "time in words": ({"time_limit": "10s"}, "the time limit is '10s'", "give a number of seconds,"),
    "time None": ({"time_limit": None}, "the time limit is None", "give a number of seconds,"),
    "negative steps": ({"iteration_limit": -1}, "the iteration limit is -1", "give a whole number of"),
    "part of a step": ({"iteration_limit": 1.5}, "the iteration limit is 1.5", "give a whole number of"),
    "steps in words": ({"iteration_limit": "2"}, "the iteration limit is '2'", "give a whole number of"),
    "negative seed": ({"seed": -1}, "the seed is -1", "give a whole number of 0"),
    "seed in words": ({"seed": "a"}, "the seed is 'a'", "give a whole number of 0"),
    "long start": ({"start": [0, 0, 0]}, "start has shape (3,)", "give a number, or an"),
    "NaN start": ({"start": [NAN, 0]}, "start[0] is NaN", "give a number, or an"),
    "infinite start": ({"start": [INF, 0]}, "start[0] is inf", "give finite numbers"),
    "callback that is a number": ({"callback": 3}, "the callback is 3", "give a function of a"),
    "no threads": ({"threads": 0}, "the number of threads is 0", "give the number of cores"),
    "part of a thread": ({"threads": 1.5}, "the number of threads is 1.5", "give the number of cores"),
    "threads in words": ({"threads": "all"}, "the number of threads is 'all'", "give the number of cores"),
    "executor that is a number": ({"executor": 3}, "the executor is 3", "give a"),
    "class as an executor": (
        {"executor": futures.ThreadPoolExecutor},
        "the executor is the class ThreadPoolExecutor",
        "give a",
    ),
    "several outputs": ({"network": TWO_OUTPUTS}, "the network has 2 outputs", "give their 2 weights as"),
    "names that are missing": (
        {"network": NAMED, "lower": {"a": 0}},
        "lower: the keys are not the names of the",
        "Give all 2 names, in any",
    ),
    "names that are unknown": (
        {"network": NAMED, "lower": {"a": 0, "b": 0, "c": 0}},
        "lower: the keys are not the names of the",
        "Give all 2 names, in any",
    ),
    "names for none": (
        {"lower": {"a": 0, "b": 0}},
        "lower has the keys 'a', 'b', but the network's",
        "give an array, or name",
    ),
    "start by some names": (
        {"network": NAMED, "start": {"a": 0}},
        "start: the keys are not the names",
        "Give all 2 names, in any",
    ),
    "no network": ({"network": None}, "the network is None", "give a Network, a path,"),
    "class of a network": ({"network": Network}, "the network is the class Network", "give a Network, a path,"),
    "function as a network": (
        {"network": print},
        "the network is a builtin_function_or_method",
        "give a Network, a path,",
    ),
    "file that is not there": ({"network": "absent.onnx"}, "there is no file absent.onnx", "check the path and the"),
    "masked bounds": (
        {"lower": np.ma.array([0.0, 1.0], mask=[True, False])},
        "lower[0] is NaN",
        "give a number, or an",
    ),
    "complex bounds": ({"lower": np.zeros(2, np.complex64)}, "lower[0] is 0j", "give a number, or an"),
    "complex rows": ({"A": csr_array([[1j, 0]]), "row_upper": 1}, "A[0] is 1j", "give numbers"),
    "time beyond all numbers": ({"time_limit": 10**400}, "the time limit is a number of more", "give a number of sec"),
    "duration as time": ({"time_limit": np.timedelta64(1, "s")}, "the time limit is", "give a number of seconds,"),
    "more steps than a number holds": (
        {"iteration_limit": 10**400},
        "the iteration limit is a number of more than 40",
        "give a whole number of",
    ),
    "steps in a list": ({"iteration_limit": np.ones(2)}, "the iteration limit is a ndarray", "give a whole number of"),
    "pickle": (
        {"network": "model.pkl"},
        "is not opened, as that may run code that is in it",
        "Open it yourself and give",
    ),
}


@pytest.mark.parametrize("kind", SEARCHES)
def test_searches(kind):
    keywords, *words = SEARCHES[kind]
    refused(relugrad.maximize, *words, **{"network": NETWORK, "lower": 0, "upper": 1, "iteration_limit": 2, **keywords})


LAYERS = {
    "no layers": ([], [], "there are 0 weights and 0 biases", "give one of each for each"),
    "fewer biases": ([[[1.0, 1.0]]], [], "there are 1 weights and 0 biases", "give one of each for each"),
    "bias of other length": (
        [[[1.0, 1.0]]],
        [[0.0, 0.0]],
        "does not fit a bias of shape (2,)",
        "give weights of shape",
    ),
    "weights in three dimensions": (
        [np.zeros((1, 2, 3))],
        [[0.0]],
        "a weight of shape (1, 2, 3) does not fit a bias",
        "give weights of shape",
    ),
    "transposed weights": (
        [np.ones((2, 3))],
        [[0.0] * 3],
        "does not fit a bias of shape (3,)",
        "give weights of shape",
    ),
    "layers that do not follow": (
        [[[1.0, 1.0]]] * 2,
        [[0.0]] * 2,
        "layer 2 expects 2 values from layer 1, which has 1",
        "give a weight of shape",
    ),
    "NaN": ([[[NAN, 1.0]]], [[0.0]], "in a layer of 1 values, a weight of shape (1, 2)", "give finite numbers, or"),
    "number for layers": (3, [[0.0]], "the weights are 3", "give a list of arrays, one"),
    "words": ([[["a", "b"]]], [[0.0]], "weights[0][0, 0] is 'a'", "give a table of numbers"),
    "rows of other lengths": (
        [[[1.0, 2.0], [1.0]]],
        [[0.0, 0.0]],
        "weights[0] has rows of different lengths",
        "give a table of numbers",
    ),
    "complex numbers": ([[[1j, 1.0]]], [[0.0]], "weights[0][0, 0] is 1j", "give a table of numbers"),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers(kind):
    weights, biases, *words = LAYERS[kind]
    refused(Network.from_layers, *words, weights, biases)


POINTS = {
    "no batch": (NETWORK.value, [0.0, 1.0], "the points have shape (2,)", "give a batch of shape (B,"),
    "wide": (NETWORK.jacobian, [[0.0, 1.0, 2.0]], "the points have shape (1, 3)", "give a batch of shape (B,"),
    "words": (NETWORK.value, [["a", "b"]], "points[0, 0] is 'a'", "give a table of numbers"),
    "few names": (NETWORK.with_names, ["a"], "there are 1 names for the 2 inputs", "give one for each, or none"),
    "a name twice": (NETWORK.with_names, ["a", "a"], "two inputs have the same name, 'a'", "rename one of them"),
    "numbers as names": (NETWORK.with_names, [1, 2], "the input name 1 is not text", "give strings, such as"),
    "a name without a list": (NETWORK.with_names, np.array(1), "the input names are 1", "give a list of strings"),
    "statistics of a number": (network_statistics, 3, "the network is 3", "give a Network, such as"),
    "half a box": (
        lambda given: network_statistics(NETWORK, given),
        0,
        "of the box only lower is given",
        "give lower and upper,",
    ),
    "segments in words": (
        lambda given: network_statistics(NETWORK, 0, 1, segments=given),
        "many",
        "the number of segments is 'many'",
        "give a whole number of 0",
    ),
    "many segments": (
        lambda given: network_statistics(NETWORK, 0, 1, segments=given),
        2**70,
        "the number of segments is 1180591620717411303424",
        "give 1000000 or fewer",
    ),
    "a search of a number": (search, 3, "the problem is 3", "give a Problem"),
    "too large a batch": (
        lambda given: relugrad.maximize(NETWORK, lower=0, upper=1, method=given, iteration_limit=1),
        Ppga(batch=2**39),
        "method 'ppga(batch=549755813888)' needs more memory than there is (Unable to allocate",
        "give a method that moves fewer points at once",
    ),
    "further bounds": (
        lambda given: network_statistics(NETWORK, 0, 1, further_bounds=given),
        [1],
        "further_bounds is a list",
        "give a mapping from",
    ),
    "bounds of a number": (
        lambda given: interval_bounds(given, [[0]], [[1]]),
        3,
        "the network is 3",
        "give a Network,",
    ),
    "long box": (
        lambda given: network_bounds(NETWORK, given, 1),
        [0, 0, 0],
        "lower has shape (3,)",
        "give a number, or an array",
    ),
    "box in words": (
        lambda given: without_stable_neurons(NETWORK, given, 1),
        ["a", 0],
        "lower[0] is 'a'",
        "give a number, or an array",
    ),
    "no network to prune": (lambda given: prune_weights(given, 0.5), [1], "the network is a list", "give a Network,"),
    "no ONNX file": (relugrad.load_onnx, 3, "int is no ONNX file", "give a path, bytes or an"),
    "no Keras model": (relugrad.load_keras, 3, "int is no Keras model", "give a keras.Model, or"),
    "Keras file that is not there": (
        relugrad.load_keras,
        "absent.keras",
        "there is no file absent.keras",
        "check the path and the",
    ),
    "no estimator": (relugrad.load_sklearn, 3, "int is no scikit-learn estimator", "give a fitted network, or"),
    "class of an estimator": (relugrad.load_sklearn, dict, "dict is a class", "make an estimator of it,"),
    "path of an estimator": (
        relugrad.load_sklearn,
        "model.pkl",
        "'model.pkl' is a path, not an estimator",
        "open it first, such as by",
    ),
    "no property": (relugrad.load_vnnlib, 3, "the property is 3", "give the path of a"),
    "property that is not there": (relugrad.load_vnnlib, "absent.vnnlib", "there is no such file", "check the path"),
    "empty ensemble": (
        relugrad.Ensemble,
        [],
        "the list of the ensemble's members is empty",
        "give one network or more",
    ),
    "ensemble of one": (
        relugrad.Ensemble,
        NETWORK,
        "the members of the ensemble are a Network",
        "give a list of networks",
    ),
    "ensemble of other sizes": (
        relugrad.Ensemble,
        [NETWORK, TWO_OUTPUTS],
        "member 1 of the ensemble has 2 inputs and 2",
        "give networks of the same",
    ),
    "ensemble of numbers": (relugrad.Ensemble, [NETWORK, 3], "the network is 3", "give a Network, a path,"),
    "no share": (
        relugrad.Ensemble([NETWORK] * 2).kept_by,
        0,
        "the share of the members is 0",
        "give a number above 0, at",
    ),
    "share above 1": (
        relugrad.Ensemble([NETWORK] * 2).reached_by,
        2,
        "the share of the members is 2",
        "give a number above 0, at",
    ),
    "share in words": (
        relugrad.Ensemble([NETWORK] * 2).kept_by,
        "all",
        "the share of the members is 'all'",
        "give a number above 0, at",
    ),
}


@pytest.mark.parametrize("kind", POINTS)
def test_one_argument(kind):
    action, given, *words = POINTS[kind]
    refused(action, *words, given)


MARGINS = {
    "other lengths": (
        LINE,
        LINE[:5],
        0.1,
        "upper",
        "predicted has shape (30,) and measured (5,)",
        "give two arrays of shape",
    ),
    "NaN": ([*LINE, NAN], [*LINE, 1], 0.1, "upper", "predicted[30] is nan, no finite number", "leave such rows out"),
    "no risk": (LINE, LINE, 0, "upper", "the risk is 0", "give a number between 0"),
    "risk in words": (LINE, LINE, "low", "upper", "the risk is 'low'", "give a number between 0"),
    "unknown side": (LINE, LINE, 0.1, "top", "unknown side 'top'", "give one of both, lower,"),
    "few rows": (
        LINE[:3],
        LINE[:3],
        0.01,
        "upper",
        "3 rows are too few for a risk of 0.01",
        "give 99 or more, or take",
    ),
    "several columns": (
        DATA,
        DATA,
        0.1,
        "upper",
        "predicted has shape (20, 2) and measured (20, 2)",
        "give two arrays of shape",
    ),
    "words": (["a"], ["b"], 0.1, "upper", "measured[0] is 'b'", "give numbers"),
}


@pytest.mark.parametrize("kind", MARGINS)
def test_margins(kind):
    predicted, measured, risk, side, *words = MARGINS[kind]
    refused(relugrad.conformal_margin, *words, predicted, measured, risk=risk, side=side)


PROOFS = {
    "property that is a number": ((NETWORK, 3), {}, "the property is 3", "give the path of a"),
    "several properties": ((NETWORK, [PROPERTY]), {}, "the property is a list", "give the path of a"),
    "other inputs": (
        (Network.from_layers([[[1.0]]], [[0.0]]), PROPERTY),
        {},
        "the property has 2 inputs and 1 outputs",
        "give the network that the",
    ),
    "network under a name": (
        ({"f": NETWORK}, PROPERTY),
        {},
        "the property is in VNN-LIB 1.0, and so of one",
        "give that, without a name",
    ),
    "negative time": ((NETWORK, PROPERTY), {"time_limit": -1}, "the time limit is -1", "give a number of seconds,"),
    "time in words": ((NETWORK, PROPERTY), {"time_limit": "1"}, "the time limit is '1'", "give a number of seconds,"),
}


@pytest.mark.parametrize("kind", PROOFS)
def test_proofs(kind):
    arguments, keywords, *words = PROOFS[kind]
    refused(relugrad.verify, *words, *arguments, **keywords)


def parts():
    """A model without a network, with variables of several kinds."""
    m = pyo.ConcreteModel()
    m.x, m.y, m.one = pyo.Var(range(2), bounds=(0, 1)), pyo.Var(range(3)), pyo.Var()
    m.named = pyo.Var(["a", "c"])
    return m


BLOCKS = {
    "more inputs": (lambda m: {"inputs": m.y}, "the network has 2 inputs, but 3 were given", "give one variable,"),
    "one input": (lambda m: {"inputs": m.one}, "the network has 2 inputs, but 1 were given", "give one variable,"),
    "a number for inputs": (
        lambda m: {"inputs": 3},
        "the network has 2 inputs, but 1 were given",
        "give one variable,",
    ),
    "word among inputs": (lambda m: {"inputs": [m.x[0], "a"]}, "input 1 is 'a'", "give a variable, an"),
    "NaN among inputs": (
        lambda m: {"inputs": [m.x[0], NAN]},
        "input 1 is nan, no finite number",
        "give a number, or None",
    ),
    "long number among inputs": (
        lambda m: {"inputs": [m.x[0], 10**400]},
        "input 1 is a number of more than 40 digits, no finite",
        "give a number, or None",
    ),
    "model among inputs": (lambda m: {"inputs": [m.x[0], m]}, "input 1 is a ConcreteModel", "give a variable, an"),
    "other names": (
        lambda m: {"network": NAMED, "inputs": m.named},
        "missing 'b'; unknown 'c'",
        "Give all 2 names, in any",
    ),
    "some names": (
        lambda m: {"network": NAMED, "inputs": {"a": m.x[0]}},
        "the keys are not the names of the network's",
        "Give all 2 names, in any",
    ),
    "more outputs": (lambda m: {"outputs": m.y}, "the network has 1 outputs, but 3 were given", "give one variable,"),
    "word for outputs": (lambda m: {"outputs": "y"}, "output 0 is 'y'", "give a variable, an"),
    "crossed bounds": (
        lambda m: {"input_bounds": [(1, 0), (0, 1)]},
        "the bounds of input 0 are empty, lower 1, upper 0",
        "give a lower bound that",
    ),
    "few bounds": (
        lambda m: {"input_bounds": [(0, 1)]},
        "the network has 2 inputs, but 1 bounds were given",
        "give a pair (lower,",
    ),
    "bounds that are one number": (
        lambda m: {"input_bounds": np.array(0.5)},
        "the network has 2 inputs, but 1 bounds were given",
        "give a pair (lower,",
    ),
    "bounds beyond all numbers": (
        lambda m: {"input_bounds": [(0, 10**400), (0, 1)]},
        "the bounds of input 0 hold a number that floating point does not",
        "give None where",
    ),
    "bounds of three": (
        lambda m: {"input_bounds": [(0, 1, 2)] * 2},
        "the bounds of input 0 hold (0, 1, 2)",
        "give numbers, parameters",
    ),
    "NaN bounds": (
        lambda m: {"input_bounds": [(NAN, 1), (0, 1)]},
        "are empty, as one is NaN",
        "give a lower bound that",
    ),
    "scaling in words": (lambda m: {"scaling": "minmax"}, "scaling is 'minmax'", "give omlt.OffsetScaling,"),
    "factor 0": (
        lambda m: {"scaling": {"inputs": ([0, 0], [0, 1])}},
        "offset and factor of the input scaling are 0.0",
        "give finite offsets and",
    ),
    "short offset": (
        lambda m: {"scaling": {"inputs": ([0], [1, 1])}},
        "the input offset has shape (1,)",
        "give one number, or 2",
    ),
    "key of a scaling": (
        lambda m: {"scaling": {"input": 1}},
        "scaling has the key 'input' (is 'inputs' meant?)",
        "give 'inputs' and",
    ),
    "unknown argument": (lambda m: {"bound": 3}, "ReluNetworkBlock has no argument 'bound'", "give those that it has,"),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks(kind):
    m = parts()
    given, *words = BLOCKS[kind]
    refused(ReluNetworkBlock, *words, **{"network": NETWORK, "concrete": True, **given(m)})


def test_a_network_by_position():
    refused(ReluNetworkBlock, "was given a network by position", "give it by name, network=...", NETWORK, concrete=True)


FRAMES = {
    "few rows": ([0, 1, 2], {"a": [1, 2], "b": [1, 2]}, "the data frame has no row 2", "index the block by"),
    "no number": (
        [0, 1],
        {"a": [1, NAN], "b": [1, 2]},
        "input 0 ('a') is nan, no finite number",
        "give a number, or None",
    ),
    "words": ([0, 1], {"a": ["x", "y"], "b": [1, 2]}, "input 0 ('a') is 'x'", "give a variable, an"),
    "dates": (
        [0],
        {"a": [np.datetime64("2020-01-01")], "b": [1]},
        "input 0 ('a') is a Timestamp",
        "give a variable, an",
    ),
    "other columns": ([0], {"a": [1], "c": [1]}, "missing 'b'; unknown 'c'", "Give all 2 names, in any"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames(kind):
    pandas = pytest.importorskip("pandas")
    index, columns, *words = FRAMES[kind]
    refused(ReluNetworkBlock, *words, index, network=NAMED, inputs=pandas.DataFrame(columns), concrete=True)


def test_records_are_no_bounds():
    records = pytest.importorskip("pandas").DataFrame({"a": [1, 2], "b": [1, 2]})
    refused(
        ReluNetworkBlock,
        "has neither rows nor columns 'lower'",
        "give frame.describe()",
        network=NAMED,
        input_bounds=records,
        concrete=True,
    )


def test_frames_with_two_columns_of_one_name():
    frame = pytest.importorskip("pandas").DataFrame([[1, 2, 3]], columns=["a", "b", "b"])
    refused(
        ReluNetworkBlock, "several columns of one name", "rename them", [0], network=NAMED, inputs=frame, concrete=True
    )


HULLS = {
    "other columns": (
        {"data": np.ones((3, 3))},
        "the data have 3 columns, but 2 inputs were given",
        "give an input for each",
    ),
    "no table": ({"data": [1, 2]}, "the data have shape (2,)", "give a table (rows,"),
    "NaN": ({"data": [[NAN, 1]]}, "the data have nan in row 0, column 0", "drop or fill such rows"),
    "words": ({"data": "x.csv"}, "data is 'x.csv'", "give a table of numbers,"),
    "negative margin": ({"margin": -1}, "the margin is -1", "give a finite number of 0"),
    "no clusters": ({"clusters": 0}, "clusters is 0", "give one label per row,"),
    "few labels": ({"clusters": [0, 1]}, "the cluster labels have shape (2,)", "give one label for each"),
    "no input": ({"inputs": [None, 1.0]}, "an input of the hull is None", "give a variable, an"),
    "no points": ({"max_points": 0}, "max_points is 0", "give a whole number of 1"),
    "no data": ({"data": None}, "DataHull has no data", "give inputs=... and"),
    "unknown argument": ({"shape": 1}, "DataHull has no argument 'shape'", "give those that it has,"),
}


@pytest.mark.parametrize("kind", HULLS)
def test_hulls(kind):
    given, *words = HULLS[kind]
    refused(relugrad.DataHull, *words, **{"inputs": parts().x, "data": DATA, "concrete": True, **given})


def model():
    m = pyo.ConcreteModel()
    m.x, m.p = pyo.Var(range(2), bounds=(0, 1)), pyo.Param(mutable=True, within=pyo.Any)
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


OPTIONS = {
    "suffixes": ({"suffixes": ["dual"]}, "'relugrad.exact' has no duals", "leave it out"),
    "unknown": ({"magic": 3}, "unknown option 'magic' of solver 'relugrad", "give one of abs_gap,"),
    "unknown among options": (
        {"options": {"magic": 1}},
        "unknown option 'magic' of solver 'relugrad",
        "give one of abs_gap,",
    ),
    "options that are a number": ({"options": 3}, "options is 3", "give a dictionary of"),
    "time in words": (
        {"time_limit": "a"},
        "solver 'relugrad.exact': option 'time_limit' is",
        "give a number of 0 or more",
    ),
    "time limit without a value": (
        {"time_limit": pyo.Param(mutable=True)},
        "option 'time_limit' is a",
        "give a number of 0 or more",
    ),
    "truth for a number": ({"rel_gap": np.True_}, "option 'rel_gap' is True", "give a number of 0 or more"),
    "negative gap": ({"rel_gap": -1}, "solver 'relugrad.exact': option 'rel_gap' is -1", "give a number of 0 or more"),
    "log that is a number": ({"tee": 3}, "solver 'relugrad.exact': option 'tee' is 3", "give True, False, an open"),
    "method that is a number": ({"method": 3}, "the method is 3", "give one of auto,"),
    "option of HiGHS": (
        {"highs_options": {"nope": 1}},
        "HiGHS does not take the option nope = 1",
        "give one that HiGHS's",
    ),
    "file of the log": (
        {"logfile": "/nowhere/x.log"},
        "logfile '/nowhere/x.log' cannot be written (No",
        "give another path",
    ),
    "bounds": ({"bounds": "magic"}, "unknown bounds 'magic'", "give one of interval,"),
    "callback that is a number": ({"callback": 3}, "'callback'", "give a function"),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_of_a_solver(kind):
    given, *words = OPTIONS[kind]
    refused(pyo.SolverFactory("relugrad.exact").solve, *words, model(), **given)


def row(expression):
    """An edit of a model: a row of its own."""

    def edit(m):
        m.row = pyo.Constraint(expr=expression(m) <= 1)

    return edit


ZERO = pyo.Param(initialize=0.0, mutable=True)
ZERO.construct()

MODELS = {
    "fixed at NaN": (lambda m: m.x[0].fix(NAN), "variable 'x[0]' is fixed at nan", "fix it at a finite number"),
    "fixed at nothing": (
        lambda m: setattr(m.x[0], "fixed", True),
        "variable 'x[0]' is fixed but has no value",
        "give it one",
    ),
    "NaN bound": (lambda m: m.x[0].setlb(NAN), "variable 'x[0]' has a bound that is no number", "give one, or None"),
    "parameter without a value": (row(lambda m: m.p * m.x[0]), "'row' cannot be evaluated", "give its parameters and"),
    "division by zero": (
        row(lambda m: 1 / (m.x[0] - m.x[0])),
        "'row' cannot be evaluated: it divides by zero",
        "change the expression, or",
    ),
    "too large": (row(lambda m: pyo.exp(1e4 + ZERO) * m.x[0]), "'row' cannot be evaluated: math range", "give its par"),
    "division by zero in a bound": (lambda m: m.x[0].setub(1 / ZERO), "variable 'x[0]' has a bound that", "give one"),
    "division by zero in a factor's bound": (
        lambda m: (m.x[0].setub(1 / ZERO), setattr(m, "row", pyo.Constraint(expr=m.x[0] * m.x[1] >= 1))),
        "variable 'x[0]' has a bound that",
        "give one",
    ),
    "division by zero in a side": (
        lambda m: setattr(m, "row", pyo.Constraint(expr=m.x[0] <= 1 / ZERO)),
        "constraint 'row' has no sides that are numbers",
        "division by zero",
    ),
    "floor": (
        row(lambda m: pyo.floor(m.x[0])),
        "constraint 'row' holds 'floor', which has no derivative",
        "State jumps and choices",
    ),
    "case": (
        row(lambda m: pyo.Expr_if(m.x[0] >= 0.5, 1, 0)),
        "constraint 'row' holds 'Expr_if'",
        "State jumps and choices",
    ),
    "two objectives": (
        lambda m: setattr(m, "o", pyo.Objective(expr=m.x[0])),
        "several objectives are active: 'best', 'o'",
        "deactivate all but one",
    ),
    "disjunction": (
        lambda m: setattr(m, "d", Disjunction(expr=[[m.x[0] <= 0.2], [m.x[0] >= 0.8]])),
        "cannot be handled by relugrad",
        "apply",
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_models(kind):
    edit, *words = MODELS[kind]
    m = model()
    edit(m)
    refused(pyo.SolverFactory("relugrad").solve, *words, m, iteration_limit=2)


NO_MODELS = {"nothing": None, "network": NETWORK, "path": "model.lp"}


@pytest.mark.parametrize("kind", NO_MODELS)
def test_what_is_no_model(kind):
    refused(
        pyo.SolverFactory("relugrad").solve,
        "relugrad solves Pyomo models and blocks",
        "give a ConcreteModel",
        NO_MODELS[kind],
    )


def test_starts_and_transformations():
    refused(
        relugrad.solve_from_start,
        "was given a ConcreteModel and 'appsi_highs'",
        "in this order",
        model(),
        "appsi_highs",
    )
    refused(relugrad.solve_from_start, "was given None and a ConcreteModel", "give a solver", None, model())
    refused(relugrad.solve_from_start, "Pyomo knows no solver 'nope'", "give a name", "nope", model())
    expand = pyo.TransformationFactory("relugrad.omlt").apply_to
    refused(expand, "unknown formulation 'big-m' (is 'bigm' meant?)", "give one of bigm", model(), formulation="big-m")
    refused(expand, "relugrad.omlt has no argument 'magic'", "give those that it has", model(), magic=1)


def test_values_that_are_meant():
    m = model()
    m.limit = pyo.Param(initialize=3, mutable=True)
    for solver in (pyo.SolverFactory("relugrad"), pyo.SolverFactory("relugrad.exact")):
        solver.solve(m, iteration_limit=m.limit - 1, time_limit=m.limit, tee=0)
    for steps in (2.0, sys.maxsize):
        assert relugrad.maximize(NETWORK, lower=0, upper=1, iteration_limit=steps, seed=steps).value == 2


def test_masked_entries_of_rows_are_no_numbers():
    row = np.ma.array([0.0, 1.0], mask=[True, False])
    for rows in (row[None], [row]):
        assert np.isnan(numbers(rows, "the rows")).tolist() == [[True, False]]


def test_tensors_are_taken_without_their_derivatives():
    torch = pytest.importorskip("torch")
    zero, upper = torch.zeros((), requires_grad=True), torch.ones(2, requires_grad=True)
    assert relugrad.maximize(NETWORK, lower=[zero, zero], upper=upper.bfloat16(), iteration_limit=2).value == 2
    assert NETWORK.value(upper[None]).tolist() == [[0.0]]
    m = model()
    m.fixed = ReluNetworkBlock(network=NETWORK, inputs=upper)
    pyo.SolverFactory("relugrad").solve(m, iteration_limit=2)
    assert [each.value for each in m.fixed.inputs.values()] == [1, 1]
    refused(NETWORK.value, "a Tensor holds nothing that NumPy can read", "give a dense tensor", upper.to("meta"))


def test_margins_of_a_class():
    refused(model().nn.predicts, "the margin is 'a'", "give a finite number", 0, margin="a")
    refused(model().nn.predicts, "there is no class 'hi'", "give its position, 0 to 1", "hi")


def test_counterexamples_print_in_a_line():
    found = relugrad.find_counterexample(NETWORK, PROPERTY, time_limit=5)
    assert repr(found).startswith("<Counterexample: x of 2 inputs, y of 1 output, violation ")


def test_kinds_are_counted():
    tables = (SEARCHES, LAYERS, POINTS, MARGINS, PROOFS, BLOCKS, FRAMES, HULLS, OPTIONS, MODELS, NO_MODELS)
    assert sum(map(len, tables)) >= 125
