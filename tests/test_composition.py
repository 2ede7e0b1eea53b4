"""One network of several has the values of one after another; affine maps before and after it likewise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_network import residual_network

from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import (
    Affine,
    HiddenLayers,
    affine_of,
    as_layer,
    compose,
    map_outputs,
    substitute_inputs,
    through,
    with_unit_rows,
)
from pyomo_relugrad.network.building.composition import embed

seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_two_networks_after_one_another(seed):
    first, second = residual_network(seed), residual_network(seed + 1, n_inputs=2, n_outputs=3)
    joined = compose(
        np.arange(3), [(first, np.arange(3), np.array([3, 4])), (second, np.array([4, 3]), np.arange(5, 8))]
    )
    X = np.random.default_rng(seed).normal(size=(20, 3))
    np.testing.assert_allclose(joined.value(X), second.value(first.value(X)[:, ::-1]), rtol=1e-9, atol=1e-9)
    assert joined.widths == first.widths + second.widths


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_networks_that_read_free_columns_and_outputs_of_several(seed):
    first, second, third = (residual_network(seed + place, n_inputs=size) for place, size in enumerate((2, 3, 5)))
    free = np.array([10, 4, 7])
    parts = [
        (first, np.array([4, 10]), np.array([20, 21])),
        (second, np.array([7, 21, 7]), np.array([1, 0])),
        (third, np.array([0, 20, 4, 1, 4]), np.array([30, 31])),
    ]
    V = np.zeros((15, 40))
    V[:, free] = X = np.random.default_rng(seed).normal(size=(15, 3))
    for network, inputs, outputs in parts:
        V[:, outputs] = network.value(V[:, inputs])
    joined = compose(free, parts, "joined")
    np.testing.assert_allclose(joined.value(X), V[:, [30, 31]], rtol=1e-8, atol=1e-8)
    assert joined.name == "joined"
    assert joined.n_relus == first.n_relus + second.n_relus + third.n_relus


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_network_between_affine_maps(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    before, after = (rng.normal(size=(3, 4)), rng.normal(size=3)), (rng.normal(size=(5, 2)), rng.normal(size=5))
    mapped = map_outputs(substitute_inputs(network, *before), *after)
    Z = rng.normal(size=(10, 4))
    expected = network.value(Z @ before[0].T + before[1]) @ after[0].T + after[1]
    np.testing.assert_allclose(mapped.value(Z), expected, rtol=1e-9, atol=1e-9)


def test_embedding_in_float32_computes_in_float64():
    network = residual_network(0)
    hidden = HiddenLayers()
    outputs = embed(network.astype(np.float32), Affine.variable(0, (3,)), hidden)
    again = Network(3, hidden.with_output(outputs))
    assert again.dtype == np.float64
    X = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(again.value(X), network.value(X), rtol=1e-5, atol=1e-5)
    assert Network(3, hidden.with_output(outputs, np.float32)).dtype == np.float32


def test_layers_are_vectors_and_back():
    for layer in residual_network(1).layers:
        again = as_layer(affine_of(layer))
        assert again.sources == layer.sources
        np.testing.assert_array_equal(again.bias, layer.bias)
        for one, other in zip(again.weights, layer.weights, strict=True):
            np.testing.assert_array_equal(*(w.toarray() if sparse.issparse(w) else w for w in (one, other)))


def test_a_layer_of_multiples_of_a_vector_keeps_its_form():
    layer = residual_network(2).layers[0]
    inputs = (
        Affine.variable(0, (3,))
        .scaled(np.array([2.0, 1.0, -1.0]))
        .scaled(np.array([1.0, 4.0, 1.0]))
        .shifted(np.array([0.0, 1.0, 0.0]))
    )
    read = as_layer(through(layer, [inputs]))
    np.testing.assert_array_equal(read.weights[0], layer.weights[0] * [2.0, 4.0, -1.0])
    np.testing.assert_allclose(read.bias, layer.bias + layer.weights[0][:, 1])


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_rows_of_length_one_do_not_change_values_and_do_not_depend_on_the_scale(factor):
    network = residual_network(3)
    weights = [np.array([[factor, 0.0], [0.0, 0.0]]), np.array([[1.0, 2.0]])]
    tiny = Network.from_layers(weights, [[0.0, 1.0], [0.5]])
    for own in (network, tiny):
        unit = with_unit_rows(own)
        X = np.random.default_rng(0).normal(size=(10, own.n_inputs))
        np.testing.assert_allclose(unit.value(X), own.value(X), rtol=1e-9, atol=1e-9)
        for layer in unit.layers[:-1]:
            lengths = layer.row_norms
            np.testing.assert_allclose(lengths[lengths > 0], 1.0)
    np.testing.assert_allclose(with_unit_rows(tiny).layers[0].weights[0], [[1.0, 0.0], [0.0, 0.0]])
