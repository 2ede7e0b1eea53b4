"""Network and LinearRegion against onnxruntime-free oracles: plain formulas and finite differences."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Layer, Network, TensorSpec


def residual_network(seed: int, n_inputs: int = 3, width: int = 7, n_outputs: int = 2) -> Network:
    """A network with a skip connection, a sparse weight, and an output that reads every layer."""
    rng = np.random.default_rng(seed)
    sparse_weight = sparse.csr_array(rng.normal(size=(width, width)) * (rng.random((width, width)) < 0.5))
    return Network(
        n_inputs,
        (
            Layer((0,), (rng.normal(size=(width, n_inputs)),), rng.normal(size=width)),
            Layer((0, 1), (rng.normal(size=(width, n_inputs)), sparse_weight), rng.normal(size=width)),
            Layer(
                (0, 1, 2),
                tuple(rng.normal(size=(n_outputs, size)) for size in (n_inputs, width, width)),
                rng.normal(size=n_outputs),
            ),
        ),
    )


def plain_value(network: Network, x: np.ndarray) -> np.ndarray:
    """The definition, one point, one layer after another."""
    activations = [x]
    for index, layer in enumerate(network.layers):
        z = layer.bias.astype(float).copy()
        for source, weight in zip(layer.sources, layer.weights, strict=True):
            z = z + (weight.toarray() if sparse.issparse(weight) else weight) @ activations[source]
        activations.append(z if index == len(network.layers) - 1 else np.maximum(z, 0))
    return activations[-1]


seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_value_is_the_definition_row_by_row(seed):
    network = residual_network(seed)
    X = np.random.default_rng(seed).normal(size=(5, 3)) * 3
    expected = np.stack([plain_value(network, x) for x in X])
    np.testing.assert_allclose(network.value(X), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(network.astype(np.float32).value(X), expected, rtol=1e-4, atol=1e-3)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_derivatives_agree_with_finite_differences(seed):
    network = residual_network(seed)
    rng = np.random.default_rng(seed)
    X, step = rng.normal(size=(4, 3)), 1e-6
    same = np.ones(4, bool)
    for i in range(3):
        shift = np.eye(3)[i] * step
        same &= (network.activation_pattern(X + shift) == network.activation_pattern(X - shift)).all(axis=1)
    X = X[same]
    columns = [(network.value(X + e * step) - network.value(X - e * step)) / (2 * step) for e in np.eye(3)]
    expected = np.stack(columns, axis=2)
    jacobians, offsets = network.affine(X)
    np.testing.assert_allclose(jacobians, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(network.jacobian(X), jacobians)
    np.testing.assert_allclose(np.einsum("bij,bj->bi", jacobians, X) + offsets, network.value(X), atol=1e-10)
    V, D = rng.normal(size=(len(X), 2)), rng.normal(size=(len(X), 3))
    np.testing.assert_allclose(network.value_and_gradient(X, V)[1], np.einsum("bi,bij->bj", V, jacobians), atol=1e-10)
    np.testing.assert_allclose(network.linearize(X, D)[1][-1], np.einsum("bij,bj->bi", jacobians, D), atol=1e-10)
    values, gradient = network.value_and_gradient(X, [1.0, -2.0])
    np.testing.assert_allclose(values, network.value(X))
    np.testing.assert_allclose(gradient, jacobians[:, 0] - 2 * jacobians[:, 1], atol=1e-10)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_region_is_affine_inside_and_its_facets_are_where_the_pattern_changes(seed):
    network = residual_network(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=3)
    region = network.region(x)
    facets = region.facets()
    assert (facets.slack(x[None, :]) >= -1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(facets.rows, axis=1), 1.0)
    X = x + rng.normal(size=(200, 3)) * 0.5
    inside = (facets.slack(X) > 1e-9).all(axis=1)
    same = (network.activation_pattern(X) == region.pattern).all(axis=1)
    np.testing.assert_array_equal(inside, same)
    np.testing.assert_allclose(network.value(X[inside]), X[inside] @ region.jacobian.T + region.offset, atol=1e-9)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_facets_of_chosen_neurons_are_those_rows_of_all_facets(seed):
    network = residual_network(seed)
    region = network.region(np.random.default_rng(seed).normal(size=3))
    everything, some = region.facets(), region.facets([3, 9, 12])
    rows = np.isin(everything.neurons, some.neurons)
    np.testing.assert_array_equal(everything.neurons[rows], some.neurons)
    np.testing.assert_allclose(everything.rows[rows], some.rows)
    np.testing.assert_allclose(everything.offsets[rows], some.offsets)


def test_region_of_a_flipped_pattern_meets_the_first_one_on_the_facet():
    network = residual_network(4)
    rng = np.random.default_rng(0)
    x = rng.normal(size=3)
    region = network.region(x)
    facets = region.facets()
    nearest = int(np.argmin(facets.slack(x[None, :])[0]))
    on_facet = x - facets.rows[nearest] * facets.slack(x[None, :])[0, nearest]
    flipped = region.pattern.copy()
    flipped[facets.neurons[nearest]] ^= True
    jacobian, offset = network.affine(on_facet[None, :], flipped[None, :])
    np.testing.assert_allclose(jacobian[0] @ on_facet + offset[0], region.jacobian @ on_facet + region.offset)
    beyond = on_facet - 1e-7 * facets.rows[nearest]
    np.testing.assert_array_equal(network.activation_pattern(beyond[None, :])[0], flipped)
    np.testing.assert_allclose(network.jacobian(beyond[None, :])[0], jacobian[0])


def test_the_optimum_over_the_facets_of_a_region_is_that_of_its_affine_function():
    network = residual_network(2)
    x = np.full(3, 0.2)
    region, weights = network.region(x), np.array([1.0, 0.5])
    facets = region.facets()
    box = [(-1, 1), (-1, 1), (-1, 2)]
    solution = linprog(-weights @ region.jacobian, -facets.rows, facets.offsets, bounds=box)
    value = float(network.value(solution.x[None, :])[0] @ weights)
    assert value == pytest.approx(float(weights @ region.offset) - solution.fun, abs=1e-8)
    assert value >= float(network.value(x[None, :])[0] @ weights)


def test_rescaling_neurons_leaves_facets_unchanged():
    network = residual_network(1)
    first, second, output = network.layers
    factors = np.geomspace(1e-6, 1e6, first.width)
    rescaled = Network(
        3,
        (
            Layer((0,), (first.weights[0] * factors[:, None],), first.bias * factors),
            Layer((0, 1), (second.weights[0], sparse.csr_array(second.weights[1] / factors)), second.bias),
            Layer((0, 1, 2), (output.weights[0], output.weights[1] / factors, output.weights[2]), output.bias),
        ),
    )
    x = np.array([0.3, -0.2, 0.8])
    np.testing.assert_allclose(rescaled.value(x[None, :]), network.value(x[None, :]))
    before, after = network.region(x).facets(), rescaled.region(x).facets()
    np.testing.assert_array_equal(before.neurons, after.neurons)
    np.testing.assert_allclose(before.rows, after.rows, atol=1e-12)


def test_a_neuron_without_gradient_has_no_facet():
    network = Network.from_layers([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0]]], [[0.0, 3.0], [0.0]])
    assert network.region([1.0, 1.0]).facets().neurons.tolist() == [0]


def test_networks_are_shared_by_copies_and_survive_pickling():
    network = residual_network(0)
    assert copy.deepcopy(network) is network
    assert copy.copy(network) is network
    again = pickle.loads(pickle.dumps(network))
    X = np.ones((1, 3))
    np.testing.assert_array_equal(again.value(X), network.value(X))
    with pytest.raises(ValueError, match="read-only"):
        again.layers[0].weights[0][0, 0] = 1.0
    assert network.astype(np.float32) is network.astype(np.float32)
    assert network.astype(np.float64) is network


def test_from_layers_copies_its_arrays():
    weight = np.ones((1, 2))
    network = Network.from_layers([weight], [[0.0]])
    weight[0, 0] = 5.0
    assert network.value([[1.0, 0.0]]) == 1.0


def test_counts_and_names():
    network = residual_network(0)
    assert (network.n_inputs, network.n_outputs, network.n_relus, network.widths) == (3, 2, 14, (7, 7))
    assert repr(network) == "<Network 3-7-7-2>"


def test_gradients_of_a_network_without_relus_are_rows_of_their_own():
    network = Network.from_layers([[[1.0, 2.0], [3.0, 4.0]]], [[0.0, 0.0]])
    values, gradients = network.value_and_gradient(np.zeros((3, 2)), [1.0, 1.0])
    np.testing.assert_array_equal(gradients, [[4.0, 6.0]] * 3)
    gradients[0] = 0.0  # callers add to them in place
    np.testing.assert_array_equal(gradients[1:], [[4.0, 6.0]] * 2)
    np.testing.assert_array_equal(values, np.zeros((3, 2)))


def test_a_constant_network_has_a_value_and_no_gradient():
    network = Network(2, (Layer((), (), np.array([1.5])),))
    np.testing.assert_array_equal(network.value(np.zeros((3, 2))), np.full((3, 1), 1.5))
    np.testing.assert_array_equal(network.jacobian(np.zeros((3, 2))), np.zeros((3, 1, 2)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Network.from_layers([[[np.nan]]], [[0.0]]), "NaN or infinite"),
        (lambda: Network.from_layers([[[1.0]]], [[np.inf]]), "NaN or infinite"),
        (lambda: Network.from_layers([[[1.0]], [[1.0, 1.0]]], [[0.0], [0.0]]), "expects 2 values from layer 1"),
        (lambda: Network.from_layers([[[1.0]]], [[0.0, 1.0]]), r"weight of shape \(1, 1\) does not fit"),
        (lambda: Network.from_layers([[[1.0]]], []), "1 weights and 0 biases"),
        (lambda: Network(1, (Layer((1,), (np.ones((1, 1)),), np.zeros(1)),)), "does not come before it"),
        (lambda: Layer((1, 0), (np.ones((1, 1)),) * 2, np.zeros(1)), "must be increasing"),
        (lambda: Layer((0,), (), np.zeros(1)), "1 sources but 0 weights"),
        (lambda: Network(2, (Layer((), (), np.zeros(1)),), inputs=(TensorSpec("x", (3,)),)), "do not have 2 entries"),
        (lambda: Network(0, ()), "at least one input"),
        (lambda: residual_network(0).value(np.zeros(3)), r"shape \(B, 3\), got shape \(3,\)"),
        (lambda: residual_network(0).value(np.zeros((1, 4))), r"shape \(B, 3\), got shape \(1, 4\)"),
    ],
)
def test_wrong_networks_and_points_are_refused(build, message):
    with pytest.raises(NetworkValueError, match=message):
        build()
