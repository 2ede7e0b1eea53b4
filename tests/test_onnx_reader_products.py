"""Products of tensors that both depend on the network's input have the values of onnxruntime."""

import numpy as np
import pyomo.environ as pyo
import pytest
from onnx import helper
from onnx_models import assert_agrees, make_model, weights

import pyomo_relugrad as relugrad
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
BRANCH = [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["u"])]
STORED = {"w": weights(0, 4, 6), "axes": np.array([1])}


CASES = {
    "gate": [node("Sigmoid", ["a"], ["g"]), node("Mul", ["g", "u"], ["y"])],
    "of two inputs": [node("Split", ["x"], ["l", "r"], axis=1, num_outputs=2), node("Mul", ["l", "r"], ["y"])],
    "all in a row": [node("ReduceProd", ["u", "axes"], ["y"])],
    "sum of squares": [node("ReduceSumSquare", ["a", "axes"], ["y"], keepdims=0)],
    "branch and trunk": [node("Einsum", ["u", "a"], ["y"], equation="bi,bi->b")],
    "outer product": [node("Einsum", ["a", "u"], ["y"], equation="bi, bj -> bji")],
    "implicit letters": [node("Einsum", ["a", "u"], ["y"], equation="bi,bi")],
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    nodes = CASES[name]
    used = {read for own in (*BRANCH, *nodes) for read in own.input}
    made = make_model([*BRANCH, *nodes], ("N", 4), {key: STORED[key] for key in STORED if key in used}, opset=18)
    assert assert_agrees(made).smooth_activations


def test_matrix_product_of_two_that_vary():
    nodes = [
        node("Reshape", ["u", "tall"], ["t"]),
        node("Reshape", ["a", "wide"], ["v"]),
        node("MatMul", ["t", "v"], ["y"]),
    ]
    shapes = {"tall": np.array([0, 3, 2]), "wide": np.array([0, 2, 3])}
    made = make_model([*BRANCH, *nodes], ("N", 4), {"w": STORED["w"], **shapes}, opset=18)
    assert assert_agrees(made).smooth_activations == ("square",)


def test_factors_of_unlike_size():
    """A factor of a million beside one of a millionth costs no digits."""
    nodes = [
        node("Mul", ["u", "large"], ["l"]),
        node("Mul", ["a", "small"], ["s"]),
        node("Mul", ["l", "s"], ["y"]),
    ]
    made = make_model(
        [*BRANCH, *nodes], ("N", 4), {"w": STORED["w"], "large": np.float32([1e6]), "small": np.float32([1e-6])}
    )
    points = np.random.default_rng(0).normal(size=(20, 4))
    inner = points @ STORED["w"].astype(np.float64)
    wanted = np.maximum(inner, 0.0) * inner * (1e6 * np.float64(np.float32(1e-6)))
    assert np.allclose(load_onnx(made).value(points), wanted, rtol=1e-12, atol=1e-12)


def test_factors_that_grow_in_hidden_layers():
    """How large hidden activations are counts, not their weights alone: products of products keep their digits."""
    nodes = [
        node("Split", ["x"], ["c0", "c1", "c2"], axis=1, num_outputs=3),
        *(node("Mul", [f"c{k}", "large"], [f"l{k}"]) for k in range(2)),
        node("Mul", ["l0", "l1"], ["p"]),
        node("Relu", ["p"], ["r"]),
        node("Mul", ["r", "c2"], ["y"]),
    ]
    points = np.random.default_rng(0).normal(size=(20, 3))
    wanted = np.maximum(points[:, 0] * points[:, 1], 0.0) * points[:, 2]
    made = make_model(nodes, ("N", 3), {"large": np.float32([2.0**20])}, opset=18)
    assert np.allclose(load_onnx(made).value(points)[:, 0] / 2.0**40, wanted, rtol=1e-12, atol=1e-12)


def test_many_factors_are_a_tree():
    made = make_model([node("ReduceProd", ["x"], ["y"], keepdims=0)], (1, 5), {}, opset=18)
    network = assert_agrees(made)
    assert network.widths == (4, 2, 2)


def test_elements_that_are_constant_stay_affine():
    """Features with a one before them, as fusions of tensors have them, however large the constant is."""
    nodes = [
        node("Concat", ["one", "x"], ["f"], axis=1),
        node("Concat", ["large", "x"], ["g"], axis=1),
        node("Einsum", ["f", "g"], ["y"], equation="bi,bj->bij"),
    ]
    network = assert_agrees(make_model(nodes, (1, 2), {"one": np.float32([[1]]), "large": np.float32([[1e6]])}))
    points = np.random.default_rng(0).normal(size=(20, 2))
    parts = [np.insert(points, 0, constant, axis=1) for constant in (1.0, 1e6)]
    assert np.allclose(network.value(points), np.einsum("bi,bj->bij", *parts).reshape(20, -1), rtol=1e-15, atol=1e-15)
    assert network.widths == (8,)


def test_matrix_products_without_elements():
    nodes = [
        node("Reshape", ["x", "tall"], ["t"]),
        node("Reshape", ["x", "none"], ["v"], allowzero=1),
        node("Slice", ["v", "zero", "zero", "last"], ["n"]),
        node("MatMul", ["t", "n"], ["empty"]),
        node("Concat", ["empty", "t"], ["y"], axis=1),
    ]
    stored = {"tall": np.array([2, 1]), "none": np.array([1, 2]), "zero": np.array([0]), "last": np.array([1])}
    assert assert_agrees(make_model(nodes, (1, 2), stored, opset=18)).n_outputs == 2


def test_proof_over_a_product():
    """The largest product of two inputs in a box is proven."""
    made = make_model(CASES["of two inputs"], ("N", 4), {}, opset=18)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(4), bounds=lambda m, k: (-1, [2, 1, 3, 1][k]))
    m.nn = relugrad.ReluNetworkBlock(network=made, inputs=m.x)
    m.best = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    results = pyo.SolverFactory("relugrad.exact").solve(m, threads=1)
    assert results.solver.termination_condition == "optimal"
    assert pyo.value(m.best) == pytest.approx(6.0, abs=1e-5)


def test_products_of_one_depth_are_one_layer():
    """Features that an exporter writes product by product are as few steps as if they were one."""
    columns = [node("Gather", ["x", f"k{k}"], [f"c{k}"], axis=1) for k in range(4)]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    products = [node("Mul", [f"c{i}", f"c{j}"], [f"p{i}{j}"]) for i, j in pairs]
    joined = node("Concat", [f"p{i}{j}" for i, j in pairs], ["y"], axis=1)
    stored = {f"k{k}": np.array([k]) for k in range(4)}
    network = assert_agrees(make_model([*columns, *products, joined], ("N", 4), stored))
    assert network.widths == (2 * len(pairs),)
