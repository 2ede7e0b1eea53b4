"""Sweeps against finite differences, one another, and arrays that cannot be written into."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network
from scipy import sparse
from test_network import plain_value, residual_network

from pyomo_relugrad.network import RELU, Layer, Network
from pyomo_relugrad.network.curves import TANH
from pyomo_relugrad.network.relu_chain import ReluChain
from pyomo_relugrad.network.sweeps import (
    adjoint,
    coefficients_of,
    coefficients_of_neurons,
    forward,
    tangent,
)

seeds = st.integers(0, 10_000)


def random_gates(rng, network, batch):
    """Multipliers such as slopes of lines, some of them 0 or 1."""
    return [rng.choice([0.0, 1.0, rng.random()], size=(*batch, width)) for width in network.widths]


def values(network, X, gates=None, intercepts=None):
    return [own for own, _ in forward(network.layers, X, gates, intercepts)]


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_forward_without_gates_is_the_network(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    X = rng.normal(size=(4, 5, 3))
    *hidden, outputs = forward(network.layers, X)
    for z, h in hidden:
        np.testing.assert_array_equal(h, np.maximum(z, 0.0))
    np.testing.assert_array_equal(*outputs)
    expected = [[plain_value(network, x) for x in rows] for rows in X]
    np.testing.assert_allclose(outputs[0], expected, rtol=1e-12, atol=1e-12)


def test_gates_and_intercepts_take_the_place_of_the_relus():
    network = Network.from_layers([[[2.0]], [[3.0]], [[1.0]]], [[1.0], [0.0], [0.5]])
    gates, intercepts = [np.array([0.5]), np.array([-1.0])], [np.array([10.0]), np.array([100.0])]
    # x = 1: z_1 = 3, h_1 = 1.5 + 10; z_2 = 34.5, h_2 = -34.5 + 100; y = 66
    swept = forward(network.layers, np.array([[1.0]]), gates, intercepts)
    assert [(z.item(), h.item()) for z, h in swept] == [(3.0, 11.5), (34.5, 65.5), (66.0, 66.0)]


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_tangent_and_adjoint_are_transposes(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    gates = random_gates(rng, network, (6,))
    D, V = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    *_, slopes = tangent(network.layers, D, gates)
    pulled = adjoint(network.layers, coefficients_of(network.layers[-1], V), gates)[0]
    np.testing.assert_allclose((V * slopes).sum(axis=1), (pulled * D).sum(axis=1), rtol=1e-9, atol=1e-9)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_tangent_is_the_difference_of_two_forward_sweeps_with_the_same_gates(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    gates = random_gates(rng, network, (6,))
    intercepts = [rng.normal(size=width) for width in network.widths]
    X, D = rng.normal(size=(2, 6, 3))
    pairs = zip(values(network, X + D, gates, intercepts), values(network, X, gates, intercepts), strict=True)
    for slope, (moved, own) in zip(tangent(network.layers, D, gates), pairs, strict=True):
        np.testing.assert_allclose(slope, moved - own, rtol=1e-9, atol=1e-9)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_sweeps_under_the_pattern_of_a_point_are_finite_differences(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    X, D, V, step = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), 1e-6
    sides = [network.activation_pattern(X + sign * step * D) for sign in (-1, 1)]
    same = (sides[0] == sides[1]).all(axis=1)  # no kink between
    X, D, V = X[same], D[same], V[same]
    before, here, after = (values(network, X + sign * step * D) for sign in (-1, 0, 1))
    gates = [RELU.slope(z) for z in here[:-1]]
    for slope, low, high in zip(tangent(network.layers, D, gates), before, after, strict=True):
        np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-5, atol=1e-5)
    pulled = adjoint(network.layers, coefficients_of(network.layers[-1], V), gates)[0]
    expected = (V * (after[-1] - before[-1])).sum(axis=1) / (2 * step)
    np.testing.assert_allclose((pulled * D).sum(axis=1), expected, rtol=1e-5, atol=1e-5)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_what_is_injected_moves_what_reads_it(seed):
    network, rng = residual_network(seed), np.random.default_rng(seed)
    gates = random_gates(rng, network, (4,))
    injected = [rng.normal(size=(4, width)) for width in network.widths]
    *_, found = tangent(network.layers, np.zeros((4, 3)), gates, injected)
    # An activation moves the outputs by its coefficient in them, as the adjoint sweep has it on its way.
    on_the_way = adjoint(network.layers, coefficients_of(network.layers[-1], np.eye(2)), [g[:, None] for g in gates])
    expected = sum(
        np.einsum("bok,bk->bo", np.broadcast_to(on_the_way[source], (4, 2, size)), own)
        for source, (size, own) in enumerate(zip(network.widths, injected, strict=True), start=1)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_one_row_of_gates_serves_all_rows():
    network, rng = residual_network(3), np.random.default_rng(3)
    gates, X = random_gates(rng, network, ()), rng.normal(size=(4, 3))
    tiled = [np.tile(gate, (4, 1)) for gate in gates]
    np.testing.assert_array_equal(values(network, X, gates)[-1], values(network, X, tiled)[-1])
    one, many = (
        adjoint(network.layers, coefficients_of_neurons(network.layers[-1], np.arange(2)), own)
        for own in (gates, [gate[:1].repeat(2, axis=0) for gate in tiled])
    )
    np.testing.assert_allclose(one[0], many[0])


def test_a_layer_that_nothing_reads_has_no_coefficients():
    layers = (
        Layer((0,), (np.ones((2, 1)),), np.zeros(2)),
        Layer((0,), (np.ones((3, 1)),), np.zeros(3)),
        Layer((2,), (np.ones((1, 3)),), np.zeros(1)),
    )
    found = adjoint(layers, coefficients_of(layers[-1], np.ones((1, 1))), [np.ones(2), np.full(3, 0.5)])
    assert sorted(found) == [0, 2]
    np.testing.assert_allclose(found[0], [[1.5]])
    assert adjoint(layers, {}, []) == {}


# --- arrays elsewhere --------------------------------------------------------------------------------------------


class Frozen:
    """An array with the operators and functions of the array API that the sweeps may use, and no others."""

    __array_ufunc__ = None  # NumPy's own functions refuse it

    def __init__(self, array):
        self._array = np.asarray(array)

    shape = property(lambda self: self._array.shape)
    ndim = property(lambda self: self._array.ndim)
    dtype = property(lambda self: self._array.dtype)
    T = property(lambda self: Frozen(self._array.T))

    def __array__(self, *_, **__):
        raise TypeError("an array of another type went to NumPy")

    def __array_namespace__(self):
        return FrozenFunctions

    def __add__(self, other):
        return Frozen(self._array + other._array)

    def __mul__(self, other):
        return Frozen(self._array * other._array)

    def __matmul__(self, other):
        return Frozen(self._array @ other._array)

    def __gt__(self, number):
        return Frozen(self._array > number)

    def __getitem__(self, key):
        return Frozen(self._array[key._array if isinstance(key, Frozen) else key])


class FrozenFunctions:
    maximum = staticmethod(lambda array, number: Frozen(np.maximum(array._array, number)))
    asarray = staticmethod(lambda array, dtype: Frozen(array._array.astype(dtype)))
    reshape = staticmethod(lambda array, shape: Frozen(array._array.reshape(shape)))
    zeros = staticmethod(lambda shape, dtype: Frozen(np.zeros(shape, dtype)))


class FrozenLayer(Layer):
    """A layer whose numbers are such arrays."""

    def __post_init__(self):
        pass

    width = property(lambda self: self.bias.shape[0])


def elsewhere(network):
    return [
        FrozenLayer(layer.sources, tuple(map(Frozen, dense_weights(layer))), Frozen(layer.bias))
        for layer in network.layers
    ]


def dense_weights(layer):
    return [weight if isinstance(weight, np.ndarray) else weight.toarray() for weight in layer.weights]


def test_sweeps_use_nothing_but_the_arrays_own_namespace():
    network, rng = residual_network(5), np.random.default_rng(5)
    layers = elsewhere(network)
    X, D, V = rng.normal(size=(4, 3)), rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2))
    swept = list(forward(layers, Frozen(X)))
    gates = [RELU.slope(z) for z, _ in swept[:-1]]
    here = values(network, X)
    plain = [RELU.slope(z) for z in here[:-1]]
    *_, (gated, _) = forward(layers, Frozen(X), gates, gates)
    *_, slopes = tangent(layers, Frozen(D), [gate[:, None] for gate in gates])
    pulled = adjoint(layers, coefficients_of(layers[-1], Frozen(V)), gates)[0]
    *_, expected = tangent(network.layers, D, [gate[:, None] for gate in plain])
    np.testing.assert_allclose(swept[-1][0]._array, here[-1])
    np.testing.assert_allclose(gated._array, values(network, X, plain, plain)[-1])
    np.testing.assert_allclose(slopes._array, expected)
    np.testing.assert_allclose(pulled._array, network.value_and_gradient(X, V)[1])
    with pytest.raises(TypeError):
        np.maximum(Frozen(X), 0.0)


def test_a_layer_without_sources_sweeps_elsewhere_too():
    layer = FrozenLayer((), (), Frozen(np.array([1.5, -2.0])))
    *_, (found, _) = forward([layer], Frozen(np.zeros((3, 2))))
    np.testing.assert_array_equal(found._array, [[1.5, -2.0]] * 3)


@pytest.mark.parametrize("widths", [(3, 4, 1), (5, 8, 1, 6, 3)])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_chain_of_relus_has_the_values_and_gradients_of_the_sweeps(widths, batch):
    network, rng = random_network(widths, 3), np.random.default_rng(0)
    X, single = rng.normal(size=(batch, widths[0])), network.astype(np.float32)
    assert ReluChain.of(single.layers) is not None
    assert ReluChain.of(network.layers) is None
    for weights in (rng.normal(size=widths[-1]), rng.normal(size=(batch, widths[-1]))):
        found = single.value_and_gradient(X.astype(np.float32), weights)
        for own, expected in zip(found, network.value_and_gradient(X, weights), strict=True):
            assert own.dtype == np.float32
            np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(single.value(X.astype(np.float32)), found[0])


def test_what_is_no_chain_of_relus_goes_through_the_sweeps():
    chain = [Layer((0,), (np.ones((2, 2), np.float32),), np.zeros(2, np.float32)) for _ in range(2)]
    assert ReluChain.of(chain) is None  # both read the input
    chain[1] = replace(chain[1], sources=(1,))
    assert ReluChain.of(chain) is not None
    assert ReluChain.of([replace(chain[0], activation=TANH), chain[1]]) is None
    assert ReluChain.of([replace(chain[0], weights=(sparse.csr_array(chain[0].weights[0]),)), chain[1]]) is None
    assert ReluChain.of(chain[:1]) is None
