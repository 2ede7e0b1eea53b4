"""Constants that stand for "no limit", and masks before maxima: exact, whatever their size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_models import assert_agrees, evaluate, make_model

from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node
LOWEST = float(np.finfo(np.float32).min)
SIZES = [0.25, 6.0, 250.0, 65504.0, 1e6, 1e9, 1e12, 1e20, 1e30, 3e38, -LOWEST, np.inf]
POINTS = np.concatenate(
    [
        *(scale * np.random.default_rng(0).normal(size=(6, 4)) for scale in (1e-5, 1.0, 300.0, 1e5, 1e10)),
        [[0, 0, 0, 0], [1, 2, 3, 4], [-5, -6, -7, -8]],
    ]
).astype(np.float32)


def assert_exact(model):
    """Values of onnxruntime, but for float32 rounding of the largest value at each point and float64's of the point."""
    network, expected = load_onnx(model), evaluate(model, POINTS)
    assert all(abs(layer.bias).max(initial=0.0) < 1e20 for layer in network.layers[:-1])
    allowed = 2.0**-21 * abs(expected).max(axis=1) + 2.0**-50 * abs(POINTS).max(axis=1)
    assert (abs(network.value(POINTS) - expected).max(axis=1) <= allowed).all()


def forms(c):
    """Graphs of one kind each, their stored tensors, shapes of the input and operator sets; `c` is positive."""
    mask, shape = np.array([[True, True, False, True]]), (1, 4)
    image, pads = (1, 1, 4), np.array([0, 0, 1, 0, 0, 1])
    add = np.where(mask, 0, -c).astype(np.float32)
    pool = node("MaxPool", ["q"], ["y"], kernel_shape=[3], strides=[2])
    yield [node("Clip", ["x", "l", "u"], ["y"])], {"l": np.float32(-c), "u": np.float32(0.3)}, shape, 17
    yield [node("Clip", ["x", "l", "u"], ["y"])], {"l": np.float32(-0.3), "u": np.float32(c)}, shape, 13
    yield [node("Clip", ["x", "l", "u"], ["y"])], {"l": np.float32(-c), "u": np.float32(c)}, shape, 11
    yield [node("Clip", ["x", "l"], ["y"])], {"l": np.float32(-c)}, shape, 17
    yield [node("Clip", ["x", "", "u"], ["y"])], {"u": np.float32(c)}, shape, 17
    yield [node("Clip", ["x"], ["y"], min=-c, max=0.3)], {}, shape, 9
    yield [node("Clip", ["x"], ["y"], max=c)], {}, shape, 7
    yield [node("Max", ["x", "l"], ["y"])], {"l": np.float32(-c)}, shape, 17
    yield [node("Max", ["l", "x", "x"], ["y"])], {"l": np.float32([-c, 0.1, -c, 2])}, shape, 17
    yield [node("Min", ["x", "u"], ["y"])], {"u": np.float32([c, c, 0.1, c])}, shape, 17
    yield [node("Pad", ["x", "p", "v"], ["q"]), pool], {"p": pads, "v": np.float32(-c)}, image, 17
    yield [node("Pad", ["x"], ["q"], pads=pads, value=-c), pool], {}, image, 9
    for operator, sign in (("ReduceMax", -1), ("ReduceMin", 1)):
        reduce = node(operator, ["q"], ["y"], axes=[1])
        yield [node("Where", ["m", "x", "v"], ["q"]), reduce], {"m": mask, "v": np.float32(sign * c)}, shape, 17
        yield [node("Where", ["m", "v", "x"], ["q"]), reduce], {"m": ~mask, "v": np.float32([sign * c])}, shape, 17
    yield [node("Add", ["x", "a"], ["q"]), node("ReduceMax", ["q"], ["y"], axes=[1])], {"a": add}, shape, 17
    yield [node("Sub", ["x", "a"], ["q"]), node("ReduceMin", ["q"], ["y"], axes=[1])], {"a": add}, shape, 17
    yield [node("Add", ["a", "x"], ["q"]), node("Relu", ["q"], ["y"])], {"a": add}, shape, 17
    yield (
        [node("Add", ["x", "a"], ["q"]), node("Relu", ["q"], ["r"]), node("GlobalMaxPool", ["r"], ["y"])],
        ({"a": add[None]}),
        image,
        17,
    )
    scattered = [node("ScatterElements", ["x", "i", "v"], ["q"], axis=1), node("ReduceMax", ["q"], ["y"], axes=[1])]
    yield scattered, {"i": np.array([[2]]), "v": np.float32([[-c]])}, shape, 17
    two = [node("Add", ["x", "a"], ["q"]), node("Add", ["x", "b"], ["r"]), node("Max", ["q", "r", "q"], ["y"])]
    yield two, {"a": add, "b": np.where(mask, -c, 0).astype(np.float32)}, shape, 17


@pytest.mark.parametrize("c", SIZES)
@pytest.mark.parametrize("form", range(len(list(forms(1.0)))))
def test_limits_and_masks_agree_with_onnxruntime(form, c):
    nodes, stored, shape, opset = list(forms(c))[form]
    assert_exact(make_model(nodes, shape, stored, opset=opset))


@pytest.mark.parametrize(("c", "relus"), [(65504.0, 8), (1e9, 8), (1e30, 4), (np.inf, 4)])
def test_clip_takes_one_layer_and_a_relu_per_limit(c, relus):
    model = make_model([node("Clip", ["x", "l", "u"], ["y"])], (1, 4), {"l": np.float32(-c), "u": np.float32(1)})
    assert load_onnx(model).widths == (relus,)


def test_limits_in_float64_and_float16():
    for kind, dtype in ((TensorProto.DOUBLE, np.float64), (TensorProto.FLOAT16, np.float16)):
        lowest = np.array(np.finfo(dtype).min, dtype)
        nodes = [node("Clip", ["x", "l", "u"], ["c"]), node("Where", ["m", "c", "l"], ["q"])]
        nodes.append(node("ReduceMax", ["q"], ["y"], axes=[1]))
        stored = {"l": lowest, "u": np.array(0.5, dtype), "m": np.array([[True, True, False, True]])}
        network = load_onnx(make_model(nodes, (1, 4), stored, kind=kind))
        points = np.clip(POINTS[:18], -6e4, 6e4).astype(np.float64)
        expected = np.minimum(points, 0.5)[:, [0, 1, 3]].max(axis=1, keepdims=True)
        assert (abs(network.value(points) - expected) <= 2.0**-40 * abs(expected)).all()


@settings(max_examples=60, deadline=None)
@given(
    lower=st.sampled_from([-1.0, 1.0]).flatmap(lambda sign: st.sampled_from(SIZES).map(lambda size: sign * size)),
    upper=st.sampled_from([-1.0, 1.0]).flatmap(lambda sign: st.sampled_from(SIZES).map(lambda size: sign * size)),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    shift=st.sampled_from([0.0, -2.0, 3e4]),
)
def test_clip_of_what_is_scaled_and_shifted(lower, upper, scale, shift):
    nodes = [node("Mul", ["x", "a"], ["s"]), node("Add", ["s", "b"], ["t"]), node("Clip", ["t", "l", "u"], ["y"])]
    stored = {"a": np.float32(scale), "b": np.float32(shift), "l": np.float32(lower), "u": np.float32(upper)}
    model = make_model(nodes, (1, 4), stored)
    expected = evaluate(model, POINTS)
    try:
        network = load_onnx(model)
    except NetworkValueError:
        assert not np.isfinite(expected).any()
        return
    with np.errstate(invalid="ignore"):
        allowed = 2.0**-20 * (abs(expected) + abs(scale * POINTS) + abs(shift))
        allowed += 2.0**-50 * 1e4  # rounding in double precision: limits up to that size are added and taken away
    assert (abs(network.value(POINTS) - expected) <= allowed).all()


def test_infinite_number_that_reaches_an_output():
    nodes = [node("Where", ["m", "x", "v"], ["y"])]
    stored = {"m": np.array([[True, False]]), "v": np.float32(-np.inf)}
    with pytest.raises(NetworkValueError, match=r"output 'y' holds infinite numbers: .*maximum"):
        load_onnx(make_model(nodes, (1, 2), stored))


def test_large_slopes_are_not_taken_for_small_beside_a_large_constant():
    nodes = [node("Mul", ["x", "a"], ["s"]), node("Max", ["s", "l"], ["y"])]
    model = make_model(nodes, (1, 2), {"a": np.float32([1e21, 1]), "l": np.float32(-1e20)})
    points = np.float32([[-1, -1], [1e-2, 5], [-1e-2, -5]])
    assert np.allclose(load_onnx(model).value(points), evaluate(model, points), rtol=1e-6)


@pytest.mark.parametrize("value", [3e38, 1e17, -1e17, -3e38])
def test_limits_of_elements_that_are_constant_and_large(value):
    pad = node("Pad", ["x", "p", "v"], ["q"])
    stored = {"p": np.array([0, 1, 0, 1]), "v": np.float32(value), "low": np.float32(-1), "high": np.float32(6)}
    for limited in (node("HardSigmoid", ["q"], ["y"]), node("Clip", ["q", "low", "high"], ["y"])):
        assert_agrees(make_model([pad, limited], ("N", 3), stored))


def test_offset_that_no_input_reaches():
    assert_agrees(make_model([node("HardSigmoid", ["x"], ["y"], alpha=-1.0, beta=3e38)], ("N", 3)))


@pytest.mark.parametrize("slope", [1e6, 1e9, -1e12])
def test_large_slopes_keep_small_values(slope):
    model = make_model([node("PRelu", ["x", "s"], ["y"])], ("N", 3), {"s": np.float32(slope)})
    points = np.float32([[1e-7, 2e-7, 3e-7], [1e-7, -1.0, 1.0]])
    assert np.allclose(load_onnx(model).value(points), evaluate(model, points), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("factor", [1e30, -3e38])
def test_factors_that_stand_for_infinity_are_refused(factor):
    """In double precision too, the limit -0.5 is lost beside their products."""
    nodes = [helper.make_node("Mul", ["x", "c"], ["p"]), helper.make_node("Max", ["p", "l"], ["y"])]
    model = make_model(nodes, ("N", 2), {"c": np.float32(factor), "l": np.float32(-0.5)})
    with pytest.raises(NetworkValueError, match="it has a weight of size"):
        load_onnx(model)
