"""Descents whose points lie on a device: PyTorch's processor, and arrays that know the array API alone."""

import array_api_strict
import numpy as np
import pyomo.environ as pyo
import pytest
from random_networks import random_network
from scipy import sparse

import pyomo_relugrad as relugrad
from pyomo_relugrad.arrays import at_home
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Device, Layer, Network, crown_bounds, weights_on
from pyomo_relugrad.network import device as device_module
from pyomo_relugrad.problem import EmbeddedNetwork, Problem, ReducedObjective
from pyomo_relugrad.problem.presolve import presolve
from pyomo_relugrad.proof.root_bound import dual_bound
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search import ProjectedDescent
from pyomo_relugrad.search.descent import on_device
from pyomo_relugrad.search.descent.batch import Schedule, descend_by_halving
from pyomo_relugrad.search.descent.on_device import DeviceBox
from pyomo_relugrad.search.descent.starts import structured_starts
from pyomo_relugrad.search.domains.feasible_set import domain_of
from pyomo_relugrad.solve import array_problem

NETWORK = random_network((6, 20, 15, 2), 4)
PROBLEM = presolve(
    array_problem(NETWORK, [1.0, -0.5], -1.0, np.linspace(0.5, 1.5, 6), input_objective=np.linspace(-0.1, 0.1, 6))
).problem
SPARSE = Network(
    30,
    (
        Layer(
            (0,),
            (sparse.random_array((40, 30), density=0.2, format="csr", rng=np.random.default_rng(0)),),
            np.zeros(40),
        ),
        Layer((0, 1), (np.ones((1, 30)), np.linspace(-1, 1, 40)[None]), np.zeros(1)),
    ),
)
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


@pytest.mark.parametrize("inputs", [[0, 0, 1], [1, 0, 1], [1, 1, 1]])
def test_a_column_that_is_read_twice_has_the_gradient_of_both(inputs, strict):
    network = Network.from_layers([np.eye(3) + 0.5, np.array([[1.0, -2.0, 4.0]])], [np.zeros(3), np.zeros(1)])
    networks = (EmbeddedNetwork(network, inputs, [2]),)
    problem = Problem(np.array([0.1, 0.2, 1.0]), [-1, -1, -np.inf], [1, 1, np.inf], networks=networks)
    objective, U = ReducedObjective(problem), np.array([[0.3, 0.2], [-0.1, 0.7]])
    there, _ = on_device.on_device(objective, domain_of(problem), "any", np.float64)
    np.testing.assert_allclose(
        np.asarray(there.value_and_gradient(there.cast(U))[1]), objective.value_and_gradient(U)[1]
    )


@pytest.mark.parametrize("device", [STRICT, torch_or_strict()])
def test_values_gradients_and_descents_are_those_of_numpy(device, monkeypatch):
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: device))
    objective, domain = ReducedObjective(PROBLEM, np.float32), domain_of(PROBLEM)
    there, box = on_device.on_device(ReducedObjective(PROBLEM), domain, "any")
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


@pytest.mark.parametrize("device", [STRICT, torch_or_strict()])
def test_a_search_limited_by_iterations_ends_on_a_device_where_it_does_on_the_host(device, monkeypatch):
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: device))
    limits = {"iteration_limit": 60, "time_limit": np.inf}
    for network in (random_network((30, 40, 20, 1), 1), SPARSE):
        here = relugrad.maximize(network, None, -1, 1, **limits)
        there = relugrad.maximize(network, None, -1, 1, device="cuda", **limits)
        assert there.value == pytest.approx(here.value, rel=1e-9)
        assert there.result.points == here.result.points
        np.testing.assert_allclose(network.value(there.x[None])[0], there.value, rtol=1e-12)


@pytest.mark.parametrize("device", [STRICT, torch_or_strict()])
def test_objectives_of_several_networks_are_those_of_numpy(device):
    small, shared = random_network((3, 8, 2), 2), random_network((2, 6, 1), 3)
    embedded = [
        EmbeddedNetwork(small, np.array([5, 0, 3]), np.array([6, 7])),
        EmbeddedNetwork(shared, np.array([3, 4]), np.array([8])),
        EmbeddedNetwork(shared, np.array([2, 5]), np.array([9])),
    ]
    bounds = np.where(np.arange(10) < 6, 1.0, np.inf)
    problem = Problem(np.linspace(-1, 2, 10), -bounds, bounds, networks=tuple(embedded), constant=0.5)
    objective = ReducedObjective(problem)
    there, box = on_device.DeviceObjective(objective, device, np.float64), DeviceBox(domain_of(problem), device)
    U = domain_of(problem).sample(np.random.default_rng(0), 5)
    for found, expected in zip(there.value_and_gradient(there.cast(U)), objective.value_and_gradient(U), strict=True):
        np.testing.assert_allclose(at_home(found), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(at_home(there.value(there.cast(U))), objective.value(U), rtol=1e-12)
    starts = [
        structured_starts(*own, np.random.default_rng(1), 16) for own in ((objective, domain_of(problem)), (there, box))
    ]
    np.testing.assert_allclose(at_home(starts[1]), starts[0], atol=1e-6)


@pytest.mark.parametrize("device", [STRICT, torch_or_strict()])
def test_bounds_on_a_device_are_those_of_numpy(device, monkeypatch):
    monkeypatch.setattr(Device, "named", classmethod(lambda cls, name: device))
    random = np.random.default_rng(0)
    centre = random.uniform(-1, 1, (3, 6))
    lower, upper = centre - random.uniform(0, 0.5, (3, 6)), centre + random.uniform(0, 0.5, (3, 6))
    lower[2, 0], upper[2, 1] = -np.inf, np.inf
    here, there = crown_bounds(NETWORK, lower, upper), crown_bounds(NETWORK, lower, upper, device="cuda")
    for side in ("lower", "upper"):
        for own, other in zip(getattr(here, side), getattr(there, side), strict=True):
            np.testing.assert_allclose(other, own, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.output_upper, here.output_upper, rtol=1e-9)
    assert dual_bound(PROBLEM, "cuda") == pytest.approx(dual_bound(PROBLEM), rel=1e-9)


def test_a_proof_on_a_device_is_that_of_the_host(strict):
    found = []
    for device in (None, "cuda"):
        m = pyo.ConcreteModel()
        m.x = pyo.Var(range(6), bounds=(-1, 1))
        m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=m.x)
        m.best = pyo.Objective(expr=m.nn.outputs[0] - 0.5 * m.nn.outputs[1])
        result = pyo.SolverFactory("relugrad.exact").solve(m, threads=1, device=device)
        pyo.assert_optimal_termination(result)
        found.append(pyo.value(m.best))
        assert result.problem.lower_bound == pytest.approx(found[-1], rel=2e-4)
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_a_batch_fills_the_device_and_its_memory(strict, monkeypatch):
    objective = on_device.DeviceObjective(ReducedObjective(PROBLEM), STRICT)
    method, domain = ProjectedDescent(), domain_of(PROBLEM)
    on_host = method.batch_size(ReducedObjective(PROBLEM), domain, Budget(1.0))
    assert method.batch_size(objective, domain, Budget(1.0)) == on_host  # the memory is this machine's
    for free, expected in ((10**10, on_device.MAX_BATCH), (2 * 10**6, 763), (10**6, 382)):
        monkeypatch.setattr(Device, "free_bytes", free)
        assert method.batch_size(objective, domain, Budget(1.0)) == expected
        assert method.batch_size(objective, domain, Budget(1.0, iteration_limit=9)) == on_host
    monkeypatch.setattr(Device, "free_bytes", 100)
    with pytest.raises(ModelError, match=r"network 'large' needs 1\.6e-05 GB on the device, where 1e-07 GB are free"):
        weights_on(Network.from_layers([np.ones((4000, 1))], [np.zeros(4000)], name="large"), STRICT)


def test_weights_go_to_a_device_once(strict):
    assert weights_on(NETWORK, STRICT) is weights_on(NETWORK, STRICT)


def test_what_no_device_takes_is_refused_by_name(strict):
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(6), bounds=(0, 1))
    m.nn = relugrad.ReluNetworkBlock(network=NETWORK, inputs=m.x)
    m.row = pyo.Constraint(expr=m.nn.outputs[0] <= 10)
    m.best = pyo.Objective(expr=m.nn.outputs[1])
    with pytest.raises(ModelError, match="device='cuda' is for networks over bounds on their inputs"):
        pyo.SolverFactory("relugrad").solve(m, device="cuda")
    del m.row
    m.last = relugrad.ReluNetworkBlock(network=random_network((2, 4, 1), 0), inputs=m.nn.outputs)
    m.best.set_value(m.last.outputs[0])
    with pytest.raises(ModelError, match="here one reads another's outputs: join them to one network"):
        pyo.SolverFactory("relugrad").solve(m, device="cuda")
    with pytest.raises(ModelError, match="method 'ppga' moves no points on a device: leave device out"):
        relugrad.maximize(NETWORK, [1.0, 0.0], 0, 1, device="cuda", method="ppga")


def test_a_device_takes_the_place_of_other_cores(strict, monkeypatch):
    monkeypatch.setattr(
        "pyomo_relugrad.solve.local.beside_others",
        lambda own, problem, options, clock: asked.append(options.cores) or own,
    )
    asked = []
    relugrad.maximize(NETWORK, [1.0, 0.0], 0, 1, device="cuda", time_limit=0.05)
    relugrad.maximize(NETWORK, [1.0, 0.0], 0, 1, device="cuda", time_limit=0.05, threads=3)
    assert asked == [1, 3]


def test_without_pytorch_cuda_is_that_of_cupy(monkeypatch):
    monkeypatch.setattr(device_module, "_is_there", lambda module: module == "cupy")
    with pytest.raises(ModelError, match=r"device 'cuda' needs CuPy: pip install pyomo_relugrad\[gpu\]"):
        Device.named.__wrapped__(Device, "cuda")
    with pytest.raises(ModelError, match="device 'cupy' needs CuPy"):
        Device.named.__wrapped__(Device, "cupy")


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"device 'moon' needs PyTorch|there is no device 'moon'"):
        relugrad.maximize(NETWORK, [1.0, 0.0], 0, 1, device="moon")
