"""Descents whose points lie on a device: PyTorch's processor, and arrays that know the array API alone."""

import array_api_strict
import numpy as np
import pyomo.environ as pyo
import pytest
from random_networks import random_network

import pyomo_relugrad as relugrad
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network.device import Device, weights_on
from pyomo_relugrad.problem import ReducedObjective
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.descent import on_device
from pyomo_relugrad.search.descent.batch import Schedule, descend_by_halving
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve.arrays import array_problem

NETWORK = random_network((6, 20, 15, 2), 4)
PROBLEM = presolve(
    array_problem(NETWORK, [1.0, -0.5], -1.0, np.linspace(0.5, 1.5, 6), input_objective=np.linspace(-0.1, 0.1, 6))
).problem
STRICT = Device(array_api_strict)


@pytest.fixture
def strict(monkeypatch):
    """Devices are those of arrays that know the array API alone."""
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: STRICT))


def torch_or_strict():
    try:
        return Device.named("cpu")
    except ModelError:
        return STRICT


@pytest.mark.parametrize("device", [STRICT, torch_or_strict()])
def test_values_gradients_and_descents_are_those_of_numpy(device, monkeypatch):
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: device))
    objective, domain = ReducedObjective(PROBLEM, np.float32), domain_of(PROBLEM)
    there, box = on_device.on_device(objective, domain, "any")
    U = domain.sample(np.random.default_rng(0), 16).astype(np.float32)
    values, gradient = there.value_and_gradient(there.cast(U))
    expected = objective.value_and_gradient(U)
    np.testing.assert_allclose(np.asarray(values), expected[0], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(gradient), expected[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(there.value(there.cast(U))), objective.value(U), rtol=1e-5)
    ends = []
    for own, bounds in ((objective, domain), (there, box)):
        steps = descend_by_halving(own, bounds, U, Schedule(1.0, 0.01, 30).pieces((1, 2)), 0.5, Budget())
        while True:
            try:
                next(steps)
            except StopIteration as end:
                ends.append(end.value.at_home())
                break
    assert ends[0].best.shape == (4, 6)
    np.testing.assert_allclose(ends[1].values, ends[0].values, rtol=1e-4)
    assert (ends[1].best >= domain.lower.astype(np.float32)).all()
    assert (ends[1].best <= domain.upper.astype(np.float32)).all()


def test_a_search_on_a_device_ends_where_one_on_the_host_does(strict):
    here = relugrad.maximize(NETWORK, [1.0, -0.5], -1, 1, iteration_limit=300, time_limit=np.inf)
    there = relugrad.maximize(NETWORK, [1.0, -0.5], -1, 1, iteration_limit=300, time_limit=np.inf, device="cuda")
    assert there.value == pytest.approx(here.value, rel=1e-5)
    np.testing.assert_allclose(NETWORK.value(there.x[None])[0] @ [1.0, -0.5], there.value, rtol=1e-12)


def test_weights_go_to_a_device_once(strict):
    assert weights_on(NETWORK, STRICT) is weights_on(NETWORK, STRICT)


def test_what_no_device_takes_is_refused_by_name(strict):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(6), bounds=(0, 1))
    m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.row = pyo.Constraint(expr=m.nn.outputs[0] <= 10)
    m.best = pyo.Objective(expr=m.nn.outputs[1])
    with pytest.raises(ModelError, match="device='cuda' is for one network over bounds on its inputs"):
        pyo.SolverFactory("relugrad").solve(m, device="cuda")
    sparse = relugrad.Network.from_layers([np.eye(300), np.ones((1, 300))], [np.zeros(300), [0.0]])
    layers = (type(sparse.layers[0])((0,), (__import__("scipy").sparse.csr_array(np.eye(300)),), np.zeros(300)),)
    with pytest.raises(ModelError, match="has sparse layers, which no device takes"):
        relugrad.maximize(relugrad.Network(300, (*layers, sparse.layers[1])), lower=0, upper=1, device="cuda")


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"device 'moon' needs PyTorch|there is no device 'moon'"):
        relugrad.maximize(NETWORK, [1.0, 0.0], 0, 1, device="moon")
