"""What notebooks show: tables in place of text, a progress line that is replaced, and the log of HiGHS."""

import io
import sys

import pyomo.environ as pyo
import pytest
from pyomo.contrib.solver.common.factory import SolverFactory
from random_networks import random_network

from pyomo_relugrad import ReluNetworkBlock, maximize
from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.notebook import MAX_ROWS, html_table
from pyomo_relugrad.proof import prove_by_milp
from pyomo_relugrad.readers.vnnlib import parse_vnnlib
from pyomo_relugrad.run import Progress, SearchLog
from pyomo_relugrad.solve import verify

NETWORK = random_network([2, 5, 1], 0)


class Cell(io.StringIO):
    """The output of a notebook's cell."""


Cell.__module__ = "ipykernel.iostream"


def shown(text):
    """What a page shows of a text: after a carriage return a line is written over."""
    lines = []
    for line in text.split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part) :]
        lines.append(cells.rstrip())
    return lines


def model():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(2), bounds=(0, 1))
    m.nn = ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    return m


def test_a_table_escapes_what_it_shows_and_is_cut():
    table = html_table("<b>", [("a<b", 0.123456789, 3)] * (MAX_ROWS + 5), ("name", "value", "n"), "x & y")
    assert table.startswith("<strong>&lt;b&gt;</strong><table><tr><th>name</th><th>value</th><th>n</th></tr>")
    assert table.count("<tr><td>a&lt;b</td><td>0.12345679</td><td>3</td></tr>") == MAX_ROWS
    assert f"({MAX_ROWS + 5} rows in all)" in table
    assert "x &amp; y" in table


def test_an_optimum_and_its_result_are_tables():
    best = maximize(NETWORK.with_names(["heat", "flow"], ["yield"]), lower=0, upper=1, iteration_limit=10)
    table = best._repr_html_()
    assert f"largest value found {best.value:.8g}, bound " in table
    assert f"<td>input</td><td>heat</td><td>{best.x[0]:.8g}</td>" in table
    assert f"<td>output</td><td>yield</td><td>{best.value:.8g}</td>" in table
    assert f"<td>points evaluated</td><td>{best.result.points}</td>" in best.result._repr_html_()


@pytest.mark.parametrize("factory", [pyo.SolverFactory, SolverFactory])
def test_results_are_a_table_and_classic_ones_keep_their_text(factory):
    results = factory("relugrad").solve(model(), iteration_limit=5)
    assert "relugrad: feasible" in results._repr_html_()
    assert "<td>variables</td><td>3</td>" in results._repr_html_()
    if factory is pyo.SolverFactory:
        assert "Number of variables: 3" in str(results)


def test_results_without_a_point_are_a_table(caplog):
    m = model()
    m.row = pyo.Constraint(expr=m.x[0] + m.x[1] >= 3)
    assert "infeasible" in pyo.SolverFactory("relugrad").solve(m, iteration_limit=5)._repr_html_()


def test_a_verdict_is_a_table():
    box = "".join(f"(assert (>= X_{i} 0)) (assert (<= X_{i} 1))" for i in range(2))
    names = "(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)"
    found = verify(NETWORK, parse_vnnlib(names + box + "(assert (<= Y_0 1000))"), time_limit=5)
    assert found._repr_html_().startswith("<strong>violated after")
    assert f"<td>X_1</td><td>{found.counterexample.x[1]:.8g}</td>" in found._repr_html_()


def test_a_block_is_a_table_once_it_has_a_network():
    m = model()
    assert "Network block &#x27;nn&#x27;" in m.nn._repr_html_()
    assert "<td>1</td><td>2 -&gt; 5</td><td>10</td>" in m.nn._repr_html_()
    m.later = ReluNetworkBlock()
    assert m.later._repr_html_() is None


def test_in_a_notebook_lines_that_show_nothing_new_are_replaced():
    cell, file = Cell(), io.StringIO()
    log = SearchLog([cell, file])
    log.write("header")
    for second in (2.0, 4.0, 6.0):
        log.progress(Progress(second, 7, 0, None, is_new=False))
    log.write("end")
    assert [line.split()[:2] for line in shown(cell.getvalue())] == [["header"], ["end"], []]
    assert len(shown(file.getvalue())) == 6
    assert "\r" not in file.getvalue() + log.text
    assert [line[:9].strip() for line in shown(cell.getvalue()[: cell.getvalue().rindex("\r")])] == ["header", "6.00"]


def test_beside_another_log_no_line_is_replaced():
    cell = Cell()
    log = SearchLog([cell], alone=False)
    log.progress(Progress(2.0, 7, 0, None, is_new=False))
    assert cell.getvalue().endswith("\n")


@pytest.mark.parametrize("asked", [True, False])
def test_the_log_of_highs_goes_to_python_s_standard_output(asked, monkeypatch):
    cell = Cell()
    monkeypatch.setattr(sys, "stdout", cell)
    prove_by_milp(compile_model(model()).problem, options={"output_flag": asked})
    assert ("Solving report" in cell.getvalue()) == asked


def test_the_log_of_maximize_is_printed_on_request(capsys):
    calls = []
    best = maximize(NETWORK, lower=0, upper=1, iteration_limit=5, tee=True, callback=calls.append)
    printed = capsys.readouterr().out
    assert "local search over trained ReLU networks" in printed
    assert f"best objective {best.value:.8g}" in printed
    assert repr(calls[-1]).startswith("<Progress: ")
    assert "(minimized)" in repr(calls[-1])
    maximize(NETWORK, lower=0, upper=1, iteration_limit=5)
    assert not capsys.readouterr().out


def test_what_a_callback_of_pyomo_s_solvers_is_told_is_a_line():
    calls = []
    pyo.SolverFactory("relugrad").solve(model(), iteration_limit=5, callback=calls.append)
    assert "point" in repr(calls[-1])
    assert f"objective {calls[-1].objective:.8g}" in repr(calls[-1])
