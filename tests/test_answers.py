"""What answers say: their text, the message of results, and which rows are in the way where there is no answer."""

import logging

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from random_networks import random_network

from pyomo_relugrad import ReluNetworkBlock, maximize, minimize
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.run import Progress, SearchLog

NETWORK = random_network([3, 6, 1], 0)


def model(*rows):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(3), bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    m.rows = pyo.ConstraintList()
    for row in rows:
        m.rows.add(row(m))
    return m


def test_an_optimum_in_a_few_lines():
    network = NETWORK.with_names(["heat", "flow", "load"], ["yield"])
    best = maximize(network, lower=0, upper=1, iteration_limit=20)
    first, inputs, outputs, last = repr(best).splitlines()
    assert first.startswith(f"<Optimum: largest value found {best.value:.8g}, bound ")
    assert first.endswith("%")
    assert inputs.startswith("  inputs   heat: ")
    assert outputs == f"  outputs  yield: {best.value:.6g}"
    assert last.endswith("in the pool>")
    assert best.inputs == dict(zip(["heat", "flow", "load"], best.x.tolist(), strict=True))
    assert repr(minimize(NETWORK, lower=0, upper=1, iteration_limit=20)).startswith("<Optimum: smallest value found")
    wide = maximize(random_network([12, 3, 1], 1), lower=0, upper=1, iteration_limit=5)
    assert "... (12 in all)" in repr(wide)


def test_a_search_result_in_a_line():
    result = maximize(NETWORK, lower=0, upper=1, iteration_limit=20).result
    text = repr(result)
    assert f"feasible points, objective {result.incumbent.objective:.8g}, bound" in text
    assert text.endswith("% (minimized)>")
    assert "\n" not in text
    assert len(text) < 200


@pytest.mark.parametrize("solver", ["relugrad", "relugrad.exact"])
def test_results_in_a_line(solver):
    results = SolverFactory(solver).solve(model(), iteration_limit=30)
    value = results.incumbent_objective
    assert str(results).startswith(f"<Results of {results.solver_name}: {results.solution_status.name}")
    assert f"; objective {value:.8g}, bound " in str(results)
    classic = pyo.SolverFactory(solver).solve(model(), iteration_limit=30)
    assert f"; objective {value:.8g}, bound " in classic.solver.message
    assert ":" not in classic.solver.message  # YAML would escape it


def test_rows_that_contradict_each_other_are_named(caplog):
    rows = (lambda m: m.x[0] + m.x[1] <= 0.3, lambda m: m.x[0] + 2 * m.x[1] >= 0.9, lambda m: m.x[2] + m.x[1] >= 0.1)
    results = pyo.SolverFactory("relugrad").solve(model(*rows), iteration_limit=30)
    message = results.solver.message
    assert "in conflict are constraint 'rows[1]', constraint 'rows[2]'" in message
    assert "rows[3]" not in message
    box = {"lower": 0, "upper": 1, "row_upper": [0.5, 0.3, 9]}
    with pytest.raises(ModelError, match=r"infeasible.*in conflict are constraint 'row 1', constraint 'row 2'"):
        maximize(NETWORK, **box, A=[[0, 0, 1], [1, 1, 0], [1, 2, 0]], row_lower=[0, -9, 0.9])


def test_a_product_in_conflict_is_named_once_in_quotes(caplog):
    results = pyo.SolverFactory("relugrad").solve(model(lambda m: m.x[0] * m.x[1] >= 2), iteration_limit=5)
    assert "constraint 'rows[1]', 'x[0]*x[1]' between" in results.solver.message


def test_ranges_of_outputs_that_contradict_rows_are_named(caplog):
    results = pyo.SolverFactory("relugrad").solve(
        model(lambda m: m.nn.outputs[0] + m.x[0] >= 1e3, lambda m: m.x[0] + m.x[1] <= 1), iteration_limit=30
    )
    assert "constraint 'rows[1]'" in results.solver.message


def test_rows_that_no_point_satisfied_are_named(caplog):
    network = random_network([3, 9, 9, 1], 2)
    best = maximize(network, lower=0, upper=1, iteration_limit=200).value
    m = model()
    m.deep = ReluNetworkBlock(network=network, inputs=m.x)
    m.row = pyo.Constraint(expr=m.deep.outputs[0] - 0.001 * m.x[0] >= best + 0.05)
    with caplog.at_level(logging.WARNING, "pyomo_relugrad"):
        pyo.SolverFactory("relugrad").solve(m, iteration_limit=30)
    assert "no point that was tried satisfies all rows; the nearest one misses constraint 'row' by 0.0" in caplog.text


def test_the_log_thins_out_in_long_runs():
    log, lines = SearchLog(), []
    for elapsed in np.arange(0.0, 400.0, 0.5):
        log.progress(Progress(float(elapsed), 0, 0, None, is_new=False))
        lines.append(log.text.count("\n"))
    assert lines[60] == 30  # a line a second at first
    assert lines[-1] - lines[-101] <= 8  # then one in 2% of the time that has passed
