"""The search for counterexamples: what it finds satisfies the property, on small cases and on real files."""

from pathlib import Path

import numpy as np
import pytest
from onnx_models import evaluate

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.onnx import load_onnx
from pyomo_relugrad.readers.vnnlib import load_vnnlib, parse_vnnlib
from pyomo_relugrad.solve import find_counterexample
from pyomo_relugrad.solve.verdicts import counterexample
from pyomo_relugrad.solve.verdicts.counterexample import violation_network, violation_problem

NETWORKS = Path(__file__).parents[2] / "shared" / "networks" / "vnncomp"
HEAD = """(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)
(assert (<= X_0 1))(assert (>= X_0 -1))(assert (<= X_1 1))(assert (>= X_1 -1))"""


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    return Network.from_layers([rng.normal(size=(6, 2)), rng.normal(size=(2, 6))], [rng.normal(size=6), np.zeros(2)])


def test_violation_network_is_the_largest_violation(network):
    text = "(assert (<= Y_0 (+ X_0 0.5)))(assert (>= Y_1 (* 2 Y_0)))(assert (<= (+ X_0 X_1 Y_0 Y_1) 3))"
    (case,) = parse_vnnlib(HEAD + text).cases
    points = np.random.default_rng(1).uniform(-1, 1, size=(50, 2))
    rows = points @ case.input_rows.T + network.value(points) @ case.output_rows.T - case.limits
    assert np.allclose(violation_network(network, case).value(points)[:, 0], rows.max(axis=1))


def test_found_point_satisfies_its_case(network):
    best = network.value(np.random.default_rng(0).uniform(-1, 1, size=(5000, 2)))[:, 0].max()
    property_ = parse_vnnlib(HEAD + f"(assert (or (>= Y_0 {best + 100}) (>= Y_0 {best})))")
    found = find_counterexample(network, property_, time_limit=5.0)
    assert found.case.violation(found.x, found.y) <= 0.0
    assert found.y[0] >= best
    assert np.array_equal(network.value(found.x[None])[0], found.y)


def test_nothing_is_found_where_nothing_is(network):
    assert find_counterexample(network, parse_vnnlib(HEAD + "(assert (>= Y_0 1000))"), time_limit=0.2) is None


def test_no_case_is_begun_after_the_time_limit(network, monkeypatch):
    sampled = []
    best_sample = counterexample.best_sample

    def counted(network, case, *others):
        sampled.append(case)
        return best_sample(network, case, *others)

    monkeypatch.setattr(counterexample, "best_sample", counted)
    property_ = parse_vnnlib(HEAD + f"(assert (or {'(>= Y_0 1000)' * 20}))")
    assert find_counterexample(network, property_, time_limit=0.0) is None
    assert len(sampled) == 1


def test_property_without_rows_holds_anywhere_in_its_box(network):
    found = find_counterexample(network, parse_vnnlib(HEAD))
    assert (abs(found.x) <= 1.0).all()


def test_contradiction_has_no_counterexample(network):
    assert find_counterexample(network, parse_vnnlib(HEAD + "(assert (<= X_0 -2))")) is None


def test_sizes_must_fit(network):
    text = "(declare-const X_0 Real)(declare-const Y_0 Real)"
    with pytest.raises(ModelError, match="property has 1 inputs and 1 outputs, but the network has 2 and 2"):
        find_counterexample(network, parse_vnnlib(text))


def test_box_must_be_finite(network):
    text = HEAD.replace("(assert (>= X_1 -1))", "")
    with pytest.raises(ModelError, match="no finite bounds on the input X_1"):
        find_counterexample(network, parse_vnnlib(text))


def test_problem_has_the_inputs_and_the_violation(network):
    (case,) = parse_vnnlib(HEAD + "(assert (<= Y_0 0))").cases
    problem = violation_problem(network, case)
    assert problem.n_columns == 3
    assert problem.lower[:2].tolist() == [-1.0, -1.0]


@pytest.mark.skipif(not NETWORKS.is_dir(), reason="the folder of real networks is not there")
@pytest.mark.parametrize(
    ("name", "property_name"),
    [
        ("ACASXU_run2a_1_1_batch_2000", "acasxu_prop_7"),
        ("ACASXU_run2a_2_7_batch_2000", "acasxu_prop_2"),
        ("ACASXU_run2a_2_7_batch_2000", "acasxu_prop_7"),
        ("ACASXU_run2a_3_3_batch_2000", "acasxu_prop_7"),
        ("mnist-net_256x2", "mnist_fc_prop_1_0.05"),
    ],
)
def test_real_counterexamples_hold_in_onnxruntime(name, property_name):
    path = NETWORKS / f"{name}.onnx"
    property_ = load_vnnlib(NETWORKS / f"{property_name}.vnnlib")
    found = find_counterexample(load_onnx(path), property_, time_limit=60.0)
    assert found is not None
    outputs = evaluate(str(path), found.x[None].astype(np.float32))[0]
    assert np.allclose(outputs, found.y, rtol=1e-4, atol=1e-4)
    assert found.case.violation(found.x, found.y) <= 0.0
