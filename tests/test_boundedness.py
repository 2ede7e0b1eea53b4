"""What nothing bounds is refused or warned about, and limits that are no numbers are refused by name."""

import logging

import numpy as np
import onnx
import pyomo.environ as pyo
import pytest
from onnx_models import make_model, weights
from random_networks import random_network

from pyomo_relugrad import ReluNetworkBlock, maximize, minimize
from pyomo_relugrad.cli.main import main
from pyomo_relugrad.errors import ModelError, NetworkValueError, RelugradError
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.search.boundedness import columns_without_end
from pyomo_relugrad.solve import array_problem

INF, NAN = float("inf"), float("nan")
#: Grows without end along every direction.
BOWL = Network.from_layers([[[1.0, 0], [-1, 0], [0, 1], [0, -1]], [[1.0, 1, 1, 1]]], [np.zeros(4), [0.0]])
LIMITS = {"iteration_limit": 60, "time_limit": INF}
DIAMOND = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])


def test_a_search_that_nothing_bounds_is_refused():
    with pytest.raises(
        ModelError, match=r"may be unbounded: .* finite bounds .* but column 0, column 1 has none; give"
    ):
        maximize(BOWL, **LIMITS)
    with pytest.raises(ModelError, match="but width has none"):
        maximize(BOWL.with_names(["width", "height"]), None, [0, -1], {"width": INF, "height": 1}, **LIMITS)
    with pytest.raises(ModelError, match="but column 1 has none"):
        maximize(BOWL, None, [0, 0], [1, INF], A=[[1.0, -1.0]], row_upper=2.0, **LIMITS)


def test_what_rows_or_the_network_bound_is_searched():
    assert minimize(BOWL, **LIMITS).value == pytest.approx(0.0, abs=1e-6)
    assert maximize(BOWL, A=DIAMOND, row_upper=2.0, **LIMITS).value == pytest.approx(2.0, abs=1e-6)
    assert maximize(BOWL, A=np.eye(2), row_lower=-1.0, row_upper=3.0, **LIMITS).value == pytest.approx(6.0)
    best = maximize(BOWL, input_objective=[0, 0], lower=0, upper=[INF, 2.0], A=[[1.0, 1]], row_upper=3.0, **LIMITS)
    assert best.value == pytest.approx(3.0)


@pytest.mark.parametrize("sense", ["maximize", "minimize"])
def test_the_command_line_refuses_the_same(sense, tmp_path, capsys):
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], ["h"]),
        onnx.helper.make_node("Relu", ["h"], ["r"]),
        onnx.helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]
    mixed = make_model(nodes, ("N", 2), {"w": np.eye(2, dtype=np.float32), "v": np.array([[1.0], [-1.0]], np.float32)})
    path = tmp_path / "network.onnx"
    onnx.save(mixed, path)
    code = main([sense, str(path), "--lower", "0", "--upper", "inf", "--time-limit", "1"])
    assert code == 3
    assert "may be unbounded" in capsys.readouterr().err
    assert main([sense, str(path), "--lower", "0", "--upper", "1", "--time-limit", "0.2"]) == 0


@pytest.mark.parametrize("bounded", [True, False])
def test_the_solver_warns_of_the_same(bounded, caplog):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(["width", "height"])
    m.nn = ReluNetworkBlock(network=BOWL, inputs=m.x)
    m.slack = pyo.Var(bounds=(0, 1))
    m.row = pyo.Constraint(expr=m.nn.outputs[0] + m.slack >= 1)
    m.goal = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.minimize if bounded else pyo.maximize)
    with caplog.at_level(logging.WARNING):
        pyo.SolverFactory("relugrad").solve(m, iteration_limit=30)
    assert ("unbounded: give both bounds to the variables that lack one: 'x[width]'" in caplog.text) is not bounded


def test_columns_without_end_are_inputs_alone():
    problem = array_problem(BOWL, None, [-INF, 0], 1.0, maximize=True)
    assert columns_without_end(problem).tolist() == [0]
    assert columns_without_end(array_problem(BOWL, None, -1.0, 1.0)).tolist() == []
    assert columns_without_end(array_problem(BOWL, None, -INF, INF, maximize=False)).tolist() == []
    rows = (DIAMOND, -INF, 1.0)
    assert columns_without_end(array_problem(BOWL, None, -INF, INF, rows=rows)).tolist() == []


NAN_ARGUMENTS = {
    "lower": ({"lower": [NAN, 0]}, r"lower\[0\] is NaN"),
    "upper": ({"upper": NAN}, "upper is NaN"),
    "objective": ({"objective": [NAN]}, r"objective\[0\] is NaN"),
    "input_objective": ({"input_objective": [0, NAN]}, r"input_objective\[1\] is NaN"),
    "A": ({"A": [[NAN, 1.0]], "row_upper": 1.0}, "coefficients must be finite"),
    "row_upper": ({"A": [[1.0, 1.0]], "row_upper": NAN}, "row_upper is NaN"),
    "start": ({"start": [NAN, 0]}, r"start\[0\] is NaN"),
    "infinite start": ({"start": [INF, 0]}, "start has an infinite entry"),
    "time_limit": ({"time_limit": NAN}, "the time limit is NaN"),
    "wrong infinity": ({"lower": INF}, "the lower bound of column 0 is inf, which no number satisfies"),
    "minus infinity": ({"upper": [1.0, -INF]}, "the upper bound of column 1 is -inf"),
}


@pytest.mark.parametrize("case", NAN_ARGUMENTS)
def test_arguments_that_are_no_numbers_are_refused_by_name(case):
    arguments, message = NAN_ARGUMENTS[case]
    with pytest.raises(ModelError, match=message):
        maximize(BOWL, **{"lower": 0, "upper": 1, **LIMITS, **arguments})


def model(bounds=(0, 1), coefficient=1.0, side=1.0, **arguments):
    m = pyo.ConcreteModel()
    m.x = pyo.Var([0, 1])
    m.p = pyo.Param(initialize=coefficient, mutable=True)
    m.side = pyo.Param(initialize=side, mutable=True)
    m.nn = ReluNetworkBlock(network=BOWL, inputs=m.x, **arguments)
    m.x[1].setlb(bounds[0])
    m.x[1].setub(bounds[1])
    m.x[0].setlb(0)
    m.x[0].setub(1)
    m.row = pyo.Constraint(expr=m.p * m.x[0] + m.x[1] <= m.side)
    m.goal = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bounds": (NAN, 1)}, r"variable 'x\[1\]' has a bound that is no number"),
        ({"bounds": (0, NAN)}, r"variable 'x\[1\]' has a bound that is no number"),
        ({"coefficient": NAN}, "'row' has a coefficient that is not a finite number"),
        ({"side": NAN}, "constraint 'row' has no sides that are numbers"),
        ({"input_bounds": [(0, 1), (0, NAN)]}, "'nn': the bounds of input 1 are empty, as one is NaN"),
        ({"scaling": {"inputs": ([0, 0], [1, NAN])}}, "'nn': the input scaling .* those of input 1 are 0.0 and nan"),
        ({"scaling": {"outputs": (NAN, 1)}}, "'nn': the output scaling .* those of output 0 are nan and 1.0"),
    ],
)
def test_parts_of_a_model_that_are_no_numbers_are_refused_by_name(arguments, message):
    with pytest.raises(RelugradError, match=message):
        pyo.SolverFactory("relugrad").solve(model(**arguments), iteration_limit=5)


def test_problems_name_columns_and_rows():
    with pytest.raises(ModelError, match="the upper bound of 'b' is nan"):
        Problem(np.zeros(2), np.zeros(2), np.array([1.0, NAN]), column_names=("a", "b"))
    with pytest.raises(ModelError, match="the lower side of row 0 is nan"):
        Problem(np.zeros(1), np.zeros(1), np.ones(1), np.ones((1, 1)), np.array([NAN]), np.array([1.0]))


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(NetworkValueError, match=r"in a layer of 3 values, a weight of shape \(3, 2\)"):
        Network.from_layers([np.full((3, 2), NAN), np.ones((1, 3))], [np.zeros(3), np.zeros(1)])
    with pytest.raises(NetworkValueError, match=r"a bias of shape \(1,\)"):
        Network.from_layers([weights(0, 3, 2), np.ones((1, 3))], [np.zeros(3), [INF]])
    assert random_network([2, 3, 1], 0).n_inputs == 2
