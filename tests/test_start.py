"""The values in a model as the start of other solvers."""

import numpy as np
import pyomo.environ as pyo
import pytest

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import ModelError

NETWORK = relugrad.Network.from_layers([[[1.0], [-2.0]], [[1.0, 1.0]]], [[-0.5, 1.0], [0.25]])


def expanded(start: float | None = 1.5, bilinear: bool = True) -> pyo.ConcreteModel:
    """Revenue from a price and the demand that a network makes of it, with a row, expanded around a start."""
    m = pyo.ConcreteModel()
    m.price = pyo.Var(bounds=(0, 2), initialize=start)
    m.low = pyo.Constraint(expr=m.price >= 0.6)
    m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=[m.price])
    m.o = pyo.Objective(expr=m.nn.outputs[0] * (m.price if bilinear else 1), sense=pyo.maximize)
    pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    return m


def revenue(price: float) -> float:
    return price * float(NETWORK.value(np.array([[price]]))[0, 0])


@pytest.fixture
def scip() -> None:
    pytest.importorskip("pyscipopt")
    if not pyo.SolverFactory("scip_direct").available(exception_flag=False):
        pytest.skip("Pyomo has no interface to SCIP")


@pytest.mark.usefixtures("scip")
def test_scip_begins_with_all_values_of_a_nonlinear_model(capfd: pytest.CaptureFixture[str]) -> None:
    from pyomo.contrib.solver.common.factory import SolverFactory

    m, opt = expanded(), SolverFactory("scip_direct")
    quiet = {"presolving/maxrounds": 0, "limits/nodes": 1, "limits/solutions": 1, "heuristics/trivial/freq": -1}
    results = relugrad.solve_from_start(
        opt, m, solver_options=quiet, load_solutions=False, raise_exception_on_nonoptimal_result=False
    )
    assert results.incumbent_objective == pytest.approx(revenue(1.5))
    assert not opt.config.warmstart_discrete_vars
    relugrad.solve_from_start("scip_direct", m)
    assert pyo.value(m.o) == pytest.approx(revenue(2.0), rel=1e-5)


@pytest.mark.usefixtures("scip")
def test_scip_proves_what_relugrad_found() -> None:
    m = expanded(start=2.0)
    found = pyo.value(m.o)
    results = relugrad.solve_from_start("scip_direct", m)
    assert pyo.check_optimal_termination(results)
    assert pyo.value(m.o) == pytest.approx(found, rel=1e-5)


def test_highs_begins_with_the_start() -> None:
    m = expanded(bilinear=False)
    results = relugrad.solve_from_start("appsi_highs", m, options={"time_limit": 5.0})
    assert pyo.check_optimal_termination(results)
    assert pyo.value(m.nn.outputs[0]) == pytest.approx(float(NETWORK.value([[2.0]])[0, 0]))


def test_cbc_begins_with_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    if not pyo.SolverFactory("cbc").available(exception_flag=False):
        pytest.skip("CBC is not installed")
    m = expanded(bilinear=False)
    relugrad.solve_from_start("cbc", m, tee=True)
    assert "MIPStart provided solution" in capfd.readouterr().out
    assert pyo.value(m.nn.outputs[0]) == pytest.approx(float(NETWORK.value([[2.0]])[0, 0]))


@pytest.mark.parametrize("name", ["highs", "glpk"])
def test_interfaces_that_take_no_start_are_named(name: str) -> None:
    with pytest.raises(ModelError, match=f"solver '{name}' takes no start: use 'appsi_highs'"):
        relugrad.solve_from_start(name, expanded())


def test_a_solver_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(pyo.SolverFactory("appsi_highs")), "available", lambda *_, **__: False)
    with pytest.raises(ModelError, match="'appsi_highs' is not installed: install it"):
        relugrad.solve_from_start("appsi_highs", expanded())


@pytest.mark.parametrize("name", ["appsi_highs", "scip_direct"])
def test_a_model_without_points_is_told_in_words(name: str) -> None:
    if not pyo.SolverFactory(name).available(exception_flag=False):
        pytest.skip(f"{name} is not installed")
    m = expanded(bilinear=False)
    m.high = pyo.Constraint(expr=m.price + m.nn.outputs[0] >= 50)
    with pytest.raises(ModelError, match=f"'{name}' found no feasible point, so that .*: give it more time"):
        relugrad.solve_from_start(name, m)
    assert m.price.value == 1.5


def test_an_unknown_solver_is_refused() -> None:
    with pytest.raises(ModelError, match="Pyomo knows no solver 'nosuch': give a name"):
        relugrad.solve_from_start("nosuch", expanded())


def test_integers_without_a_value_are_named_where_they_occur() -> None:
    with pytest.raises(ModelError, match=r"integer variables have no value.*'nn.omlt.*q_relu.*Search first"):
        relugrad.solve_from_start("appsi_highs", expanded(start=None, bilinear=False))
    m = expanded(bilinear=False)
    m.unused = pyo.Var(domain=pyo.Binary)
    assert pyo.check_optimal_termination(relugrad.solve_from_start("appsi_highs", m))
