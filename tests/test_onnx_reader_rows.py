"""Rows of a fixed batch: read as one row only where the graph cannot mix them, however far away or clipped."""

import numpy as np
import pytest
from onnx import helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.network import TensorSpec

node = helper.make_node

N = 3
BELOW, FAR = [node("Sub", ["m", "far"], ["d"]), node("Max", ["d", "x"], ["y"])], np.float32(1e7)
ROWS = {
    "zero": np.array(0),
    "one": np.array([1]),
    "second": np.array(1),
    "first": np.array([0]),
    "lengths": np.array([3, 3, 3, 3]),
    "shifted": np.array([1, 2, 0]),
    "begin": np.array([1, 0]),
    "end": np.array([4, 4]),
    "down": np.array([1, 0, 0, 0]),
    "all": np.array([0, 0]),
    "every": np.array([3, 4]),
    "row": np.array([[1]]),
    "zeros": np.zeros((1, 4), np.float32),
    "mixing": weights(3, N, N),
    "different": weights(4, N, 4),
    "swap": np.float32([[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
    "stretched": np.float32([1.2, 1.5]),
}

MIXED = {
    "sum of rows above": [node("CumSum", ["x", "zero"], ["m"])],
    "largest row": [node("ReduceMax", ["x"], ["m"], axes=[0])],
    "rows backwards": [node("ReverseSequence", ["x", "lengths"], ["m"], batch_axis=1, time_axis=0)],
    "rows by number": [node("Gather", ["x", "shifted"], ["m"])],
    "rows pushed down": [node("Pad", ["x", "down"], ["p"]), node("Slice", ["p", "all", "every"], ["m"])],
    "one row less": [node("Slice", ["x", "begin", "end"], ["s"]), node("ReduceSum", ["s", "first"], ["m"])],
    "one row changed": [node("ScatterND", ["x", "row", "zeros"], ["m"])],
    "first row changed": [node("ScatterND", ["x", "column", "zeros"], ["m"])],
    "weights from the left": [node("MatMul", ["swap", "x"], ["m"])],
    "weights from the left by Gemm": [node("Gemm", ["mixing", "x"], ["m"], transA=1)],
    "another constant for each": [node("Add", ["x", "different"], ["m"])],
    "row of another": [node("Transpose", ["x"], ["t"]), node("Reshape", ["t", "every"], ["m"])],
    "mean over all": [node("ReduceMean", ["x"], ["m"])],
    "stretched rows": [node("Resize", ["x", "", "stretched"], ["r"]), node("Slice", ["r", "all", "every"], ["m"])],
    "columns of a transpose": [
        node("Transpose", ["x"], ["t"]), node("CumSum", ["t", "second"], ["c"]), node("Transpose", ["c"], ["m"])],
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_mixed_far_away(name):
    stored = ROWS | {"far": FAR, "column": np.array([[0]])}
    model = make_model([*MIXED[name], *BELOW], (N, 4), stored)
    far = 3e7 * np.random.default_rng(0).normal(size=(30, 4 * N)).astype(np.float32)
    network = assert_agrees(model, points=far)
    assert network.inputs == (TensorSpec("x", (N, 4)),)


APART = {
    "layers": [
        node("Gemm", ["x", "w", "b"], ["g"]), node("Relu", ["g"], ["r"]), node("MatMul", ["r", "v"], ["a"]),
        node("Clip", ["a", "low", "high"], ["y"])],
    "Gemm of a transpose": [
        node("Transpose", ["x"], ["t"]), node("Gemm", ["t", "w"], ["g"], transA=1), node("Identity", ["g"], ["y"])],
    "weights before a transpose": [
        node("Transpose", ["x"], ["t"]), node("MatMul", ["w", "t"], ["g"]), node("Transpose", ["g"], ["y"])],
    "reductions": [
        node("ReduceSum", ["x", "one"], ["s"]), node("ReduceMax", ["x"], ["m"], axes=[-1], keepdims=0),
        node("Unsqueeze", ["m", "minus"], ["u"]), node("Add", ["s", "u"], ["a"]), node("Mul", ["x", "two"], ["d"]),
        node("Sub", ["d", "a"], ["y"])],
    "running sums": [node("CumSum", ["x", "second"], ["y"])],
    "columns": [
        node("Split", ["x", "halves"], ["p", "q"], axis=1), node("Slice", ["x", "one", "three", "one"], ["s"]),
        node("Gather", ["x", "column"], ["g"], axis=1), node("Pad", ["q", "wider"], ["o"]),
        node("Concat", ["p", "s", "g", "o"], ["y"], axis=1)],
    "shapes": [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "first"], ["u"]),
        node("Concat", ["u", "last"], ["t"], axis=0), node("Reshape", ["x", "t"], ["r"]),
        node("Transpose", ["r"], ["f"], perm=[1, 0, 2]), node("Transpose", ["f"], ["k"], perm=[1, 0, 2]),
        node("Flatten", ["k"], ["y"])],
    "choices": [
        node("Greater", ["x", "nil"], ["g"]), node("Mul", ["x", "two"], ["d"]), node("Where", ["g", "d", "x"], ["y"])],
    "stack of equal rows": [node("Add", ["x", "same"], ["y"])],
}  # fmt: skip
STORED = {
    "w": weights(0, 4, 4),
    "v": weights(1, 4, 2),
    "b": weights(2, 4),
    "low": np.float32(-1),
    "high": np.float32(1),
    "two": np.float32(2),
    "nil": np.float32(0),
    "halves": np.array([2, 2]),
    "three": np.array([3]),
    "column": np.array([3, 0]),
    "wider": np.array([0, 1, 0, 2]),
    "minus": np.array([-1]),
    "last": np.array([2, 2]),
    "same": np.tile(weights(5, 1, 4), (N, 1)),
}


@pytest.mark.parametrize("rows", [N, 4])
@pytest.mark.parametrize("name", APART)
def test_apart(name, rows):
    stored = ROWS | STORED | {"same": np.tile(weights(5, 1, 4), (rows, 1))}
    network = assert_agrees(make_model(APART[name], (rows, 4), stored))
    assert network.inputs == (TensorSpec("x", (4,)),)


def test_apart_inside_a_branch():
    inner = helper.make_graph([node("Relu", ["x"], ["i"])], "inner", [], [helper.make_tensor_value_info("i", 1, None)])
    choice = node("If", ["truth"], ["y"], then_branch=inner, else_branch=inner)
    assert assert_agrees(make_model([choice], (N, 4), {"truth": np.array(True)})).inputs == (TensorSpec("x", (4,)),)


IMAGES = {
    "normalised": [node("BatchNormalization", ["x", "p", "p", "p", "p"], ["y"])],
    "resized": [node("Resize", ["x", "", "scales"], ["y"], mode="linear")],
    "sampled": [node("GridSample", ["x", "grid"], ["y"])],
    "pooled": [
        node("GlobalAveragePool", ["x"], ["a"]), node("GlobalMaxPool", ["x"], ["b"]), node("Add", ["a", "b"], ["y"])],
    "added": [node("Add", ["x", "channel"], ["y"])],
    "multiplied": [node("MatMul", ["x", "matrix"], ["y"])],
    "multiplied from the left": [node("MatMul", ["matrices", "x"], ["y"])],
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_images(name):
    stored = {
        "p": abs(weights(0, 3)),
        "scales": np.float32([1, 1, 0.5, 2]),
        "grid": np.tile(weights(1, 1, 2, 2, 2), (2, 1, 1, 1)),
        "channel": weights(2, 3, 1, 1),
        "matrix": weights(3, 4, 2),
        "matrices": weights(4, 3, 2, 4),
    }
    network = assert_agrees(make_model(IMAGES[name], (2, 3, 4, 4), stored))
    assert network.inputs == (TensorSpec("x", (3, 4, 4)),)


def test_grids_that_differ():
    model = make_model([node("GridSample", ["x", "grid"], ["y"])], (2, 1, 4, 4), {"grid": weights(1, 2, 2, 2, 2) / 4})
    assert assert_agrees(model).inputs == (TensorSpec("x", (2, 1, 4, 4)),)
