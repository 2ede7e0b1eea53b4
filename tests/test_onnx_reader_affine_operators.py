"""Operators that are affine by what they are, against onnxruntime; and those that only look affine at some points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_models import assert_agrees, make_model, weights

from pyomo_relugrad.errors import NetworkFileError, RelugradError, UnsupportedOperatorError
from pyomo_relugrad.readers.onnx import load_onnx

node = helper.make_node


def ml_model(operator, shape, **attributes):
    model = make_model([node(operator, ["x"], ["y"], domain="ai.onnx.ml", **attributes)], shape)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


class TestScatter:
    @settings(max_examples=80, deadline=None)
    @given(
        reduction=st.sampled_from(["add", "mul", "max", "min"]),
        sizes=st.tuples(st.integers(1, 4), st.integers(1, 5)),
        axis=st.sampled_from([0, 1, -1]),
        updates_vary=st.booleans(),
        seed=st.integers(0, 10**6),
    )
    def test_elements(self, reduction, sizes, axis, updates_vary, seed):
        rng = np.random.default_rng(seed)
        shape = (1, *sizes)
        indices = rng.integers(-shape[axis], shape[axis], size=shape)
        if reduction == "mul" and updates_vary:
            indices = np.zeros((1, *(1 if i + 1 == axis % 3 else size for i, size in enumerate(sizes))), np.int64)
        stored = {"i": indices, "u": 5 * weights(seed, *indices.shape), "d": weights(seed + 1, *shape)}
        data, updates = ("d", "s") if updates_vary else ("x", "u")
        nodes = [node("Slice", ["x", "zero", "ends", "axes"], ["s"])]
        stored |= {"zero": np.zeros(3, np.int64), "ends": np.array(indices.shape), "axes": np.arange(3)}
        nodes.append(node("ScatterElements", [data, "i", updates], ["y"], axis=axis, reduction=reduction))
        assert_agrees(make_model(nodes, shape, stored, opset=18))

    @settings(max_examples=40, deadline=None)
    @given(reduction=st.sampled_from(["add", "mul", "max", "min"]), depth=st.integers(1, 3), seed=st.integers(0, 10**6))
    def test_slices(self, reduction, depth, seed):
        rng, shape = np.random.default_rng(seed), (2, 3, 4)
        indices = np.stack([rng.integers(-size, size, size=(3,)) for size in shape[:depth]], axis=-1)
        stored = {"i": indices, "u": 5 * weights(seed, 3, *shape[depth:])}
        scatter = node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)
        assert_agrees(make_model([scatter], shape, stored, opset=18))

    def test_product_of_two_updates_that_vary(self):
        nodes = [node("ScatterElements", ["x", "i", "x"], ["y"], axis=1, reduction="mul")]
        with pytest.raises(UnsupportedOperatorError, match="ScatterElements multiplies two tensors"):
            load_onnx(make_model(nodes, (1, 2), {"i": np.array([[0, 0]])}, opset=18))

    @pytest.mark.parametrize("index", [[[5]], [[-4]]])
    def test_index_outside(self, index):
        nodes = [node("ScatterElements", ["x", "i", "u"], ["y"], axis=1, reduction="max", name="late")]
        stored = {"i": np.array(index), "u": np.float32([[1]])}
        with pytest.raises(NetworkFileError, match=r"node 'late' .*index lies outside a dimension of size 3"):
            load_onnx(make_model(nodes, (1, 3), stored, opset=18))


class TestScalersAndRegressors:
    """Operators of ai.onnx.ml, exact also far from the origin."""

    @pytest.mark.parametrize("offset", [0.0, 300.0, 1e9])
    def test_scaler(self, offset):
        model = ml_model("Scaler", ("N", 3), offset=[offset, 0.0, -offset], scale=[2.0, 1e-3, 0.5])
        points = np.array([[offset + 1, 2, 3], [0, 0, 0], [-offset, 1, -offset - 4]])
        expected = (points - [offset, 0, -offset]) * [2, np.float32(1e-3), 0.5]
        assert np.allclose(load_onnx(model).value(points), expected, rtol=1e-12, atol=1e-6 * (offset > 1e6))

    def test_scaler_with_one_factor_for_all(self):
        assert_agrees(ml_model("Scaler", ("N", 3), offset=[1.0], scale=[2.0]))

    @pytest.mark.parametrize("targets", [1, 2])
    def test_linear_regressor(self, targets):
        numbers = weights(0, targets * 3).tolist()
        model = ml_model(
            "LinearRegressor", ("N", 3), coefficients=numbers, intercepts=numbers[:targets], targets=targets
        )
        assert_agrees(model)

    def test_linear_regressor_with_a_transform(self):
        model = ml_model("LinearRegressor", ("N", 1), coefficients=[1.0], post_transform="LOGISTIC")
        with pytest.raises(UnsupportedOperatorError, match="post_transform=LOGISTIC is not piecewise linear"):
            load_onnx(model)

    def test_imputer(self):
        assert_agrees(ml_model("Imputer", ("N", 2), imputed_value_floats=[1.0, 2.0], replaced_value_float=np.nan))
        jumps = ml_model("Imputer", ("N", 2), imputed_value_floats=[1.0, 2.0], replaced_value_float=0.0)
        with pytest.raises(UnsupportedOperatorError, match="Imputer that replaces a number jumps"):
            load_onnx(jumps)

    def test_feature_vectorizer(self):
        vectorizer = node("FeatureVectorizer", ["x", "z"], ["y"], domain="ai.onnx.ml", inputdimensions=[2, 1])
        model = make_model([vectorizer], None, inputs={"x": ("N", 2), "z": ("N", 1)})
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
        assert load_onnx(model).value([[1.0, 2.0, 3.0]]).tolist() == [[1.0, 2.0, 3.0]]

    @pytest.mark.parametrize(
        ("operator", "attributes", "reason"),
        [
            ("Scaler", {"offset": [1.0, 2.0], "scale": [1.0]}, "2 offsets and 1 scales do not fit"),
            ("LinearRegressor", {"coefficients": [1.0]}, "1 coefficients and 0 intercepts do not fit 1 targets and 3"),
            ("FeatureVectorizer", {"inputdimensions": [2]}, "inputdimensions are not the widths"),
        ],
    )
    def test_sizes_that_do_not_fit(self, operator, attributes, reason):
        with pytest.raises(NetworkFileError, match=reason):
            load_onnx(ml_model(operator, ("N", 3), **attributes))


class TestRefusals:
    """Affine at the origin and at the unit vectors, but not everywhere; or affine in other inputs only."""

    def test_region_pooling_by_maxima(self):
        pool = node("RoiAlign", ["x", "r", "b"], ["y"], mode="max", output_height=2, output_width=2)
        stored = {"r": np.float32([[0, 0, 2, 2]]), "b": np.array([0])}
        with pytest.raises(UnsupportedOperatorError, match=r"RoiAlign with mode=max cannot be read: .*MaxPool"):
            load_onnx(make_model([pool], (1, 1, 4, 4), stored))

    def test_grid_that_varies(self):
        sample = node("GridSample", ["c", "x"], ["y"])
        with pytest.raises(UnsupportedOperatorError, match="GridSample takes its grid from the network's input"):
            load_onnx(make_model([sample], (1, 2, 2, 2), {"c": weights(0, 1, 1, 3, 3)}))

    def test_einsum_with_a_letter_twice_of_tensors_that_vary(self):
        product = node("Einsum", ["x", "x"], ["y"], equation="ii,ij->i")
        with pytest.raises(UnsupportedOperatorError, match="Einsum multiplies two tensors"):
            load_onnx(make_model([product], (2, 2)))

    def test_operator_that_is_not_known(self):
        with pytest.raises(RelugradError, match="StringNormalizer is not an operator that can be read"):
            load_onnx(make_model([node("StringNormalizer", ["x"], ["y"])], (1, 3)))


@pytest.mark.parametrize("exponent", [np.float32(1), np.int64(1), np.ones((2, 1), np.float32)])
def test_first_power(exponent):
    assert_agrees(make_model([node("Pow", ["x", "p"], ["y"])], (1, 3), {"p": exponent}))
