"""Bounds of pre-activations: sound on samples, exact where they can be, with infinite boxes and every kind of layer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.bounds import affine_range, interval_bounds, interval_range, intervals
from pyomo_relugrad.network.bounds.intervals import rounding_factor


def random_network(seed: int) -> Network:
    """A random network with skips, several sources per layer, constant layers, and CSR weights."""
    rng = np.random.default_rng(seed)
    widths = [int(rng.integers(1, 6)), *(int(rng.integers(1, 9)) for _ in range(rng.integers(1, 5)))]
    layers = []
    for index in range(len(widths)):
        width = widths[index + 1] if index + 1 < len(widths) else int(rng.integers(1, 4))
        chosen = [s for s in range(index + 1) if s == index or rng.random() < 0.4] if rng.random() < 0.95 else []
        weights = []
        for source in chosen:
            weight = rng.normal(size=(width, widths[source])) / np.sqrt(widths[source])
            weight[rng.random(weight.shape) < 0.3] = 0.0
            weights.append(sparse.csr_array(weight) if rng.random() < 0.3 else weight)
        layers.append(Layer(tuple(chosen), tuple(weights), rng.normal(size=width) * 0.5))
    return Network(widths[0], tuple(layers))


def random_boxes(network: Network, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    centre = rng.normal(size=(count, network.n_inputs))
    radius = rng.exponential(size=(count, network.n_inputs)) * (rng.random((count, network.n_inputs)) < 0.9)
    return centre - radius, centre + radius


def sample(rng: np.random.Generator, lower: np.ndarray, upper: np.ndarray, count: int) -> np.ndarray:
    """Points of one box: half uniform, half at corners."""
    points = rng.uniform(lower, upper, size=(count, lower.size))
    corners = np.where(rng.random(points.shape) < 0.5, lower, upper)
    return np.where(rng.random((count, 1)) < 0.5, points, corners)


def assert_contains(bounds, network, box, points):
    values = [*network.preactivations(points), network.value(points)]
    for low, high, value in zip(
        [*bounds.lower, bounds.output_lower], [*bounds.upper, bounds.output_upper], values, strict=True
    ):
        assert (value >= low[box]).all()
        assert (value <= high[box]).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_interval_bounds_contain_samples(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 3)
    bounds = interval_bounds(network, lower, upper)
    for box in range(3):
        assert_contains(bounds, network, box, sample(rng, lower[box], upper[box], 300))


def test_interval_bounds_of_one_layer_are_exact():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3)), rng.normal(size=4)
    network = Network.from_layers([weight, np.ones((1, 4))], [bias, [0.0]])
    lower, upper = random_boxes(network, rng, 5)
    bounds = interval_bounds(network, lower, upper)
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3), axis=-1).reshape(-1, 3)
    for box in range(5):
        values = np.where(corners, upper[box], lower[box]) @ weight.T + bias
        np.testing.assert_allclose(bounds.lower[0][box], values.min(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(bounds.upper[0][box], values.max(axis=0), rtol=1e-12, atol=1e-12)


def test_interval_bounds_are_rounded_outward():
    """Sums that cancel: the value computed in floating point is not the exact one, and still inside."""
    rng = np.random.default_rng(3)
    weight = np.concatenate([rng.normal(size=(1, 400)) * 1e8] * 2, axis=1)
    weight[:, 400:] *= -1
    network = Network.from_layers([weight, [[1.0]]], [[0.0], [0.0]])
    for _ in range(50):
        point = np.tile(rng.uniform(size=(1, 400)), 2)
        bounds = interval_bounds(network, point, point)
        assert_contains(bounds, network, 0, point)
        assert bounds.lower[0] <= 0 <= bounds.upper[0]


def test_infinite_boxes_give_no_nan_and_keep_finite_sides():
    network = Network.from_layers([[[1.0, 0.0], [-2.0, 0.0], [1.0, 1.0]], [[1.0, 1.0, 0.0]]], [[0.0, 1.0, 0.0], [0.0]])
    bounds = interval_bounds(network, [[1.0, -np.inf]], [[np.inf, np.inf]])
    np.testing.assert_allclose(bounds.lower[0], [[1.0, -np.inf, -np.inf]])
    np.testing.assert_allclose(bounds.upper[0], [[np.inf, -1.0, np.inf]])
    np.testing.assert_allclose(bounds.output_lower, [[1.0]])
    assert bounds.output_upper == np.inf
    sparse_layers = (
        Layer(layer.sources, tuple(map(sparse.csr_array, layer.weights)), layer.bias) for layer in network.layers
    )
    sparse_twin = Network(2, tuple(sparse_layers))
    again = interval_bounds(sparse_twin, [[1.0, -np.inf]], [[np.inf, np.inf]])
    np.testing.assert_array_equal(again.lower[0], bounds.lower[0])
    np.testing.assert_array_equal(again.upper[0], bounds.upper[0])


def test_bounds_intersect_entry_by_entry():
    network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.5], [0.0]])
    left, right = (interval_bounds(network, [[low]], [[high]]) for low, high in ((0.0, 2.0), (-1.0, 1.0)))
    both, exact = left.intersect(right), interval_bounds(network, [[0.0]], [[1.0]])
    np.testing.assert_allclose(both.lower[0], exact.lower[0], atol=1e-12)
    np.testing.assert_allclose(both.upper[0], exact.upper[0], atol=1e-12)
    assert both.output_lower == max(left.output_lower, right.output_lower)
    assert both.output_upper == min(left.output_upper, right.output_upper)


def test_more_operations_round_by_more():
    layer = Network.from_layers([[[1.0, 2.0]]], [[0.0]]).layers[0]
    eps = np.finfo(float).eps
    np.testing.assert_allclose([rounding_factor(layer), rounding_factor(layer, 3)], [10 * eps, 13 * eps], rtol=1e-12)


def test_stability_masks_part_the_neurons():
    for seed in range(20):
        network = random_network(seed)
        bounds = interval_bounds(network, *random_boxes(network, np.random.default_rng(seed), 4))
        for active, inactive, unstable in zip(bounds.active, bounds.inactive, bounds.unstable, strict=True):
            assert (active.astype(int) + inactive + unstable == 1).all()


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([[0.0, 1.0]], [[1.0, 0.5]], "box 0 is empty: input 1 has lower bound 1.0 and upper bound 0.5"),
        ([[0.0, np.nan]], [[1.0, 0.5]], "box 0 has a bound that is NaN, of input 1"),
        ([[0.0]], [[1.0]], r"give a batch of shape \(B, 2\)"),
        ([[0.0, 0.0]], [[1.0, 1.0]] * 2, "lower bounds have shape"),
    ],
)
def test_wrong_boxes_are_refused(lower, upper, message):
    network = Network.from_layers([[[1.0, 1.0]]], [[0.0]])
    with pytest.raises(NetworkValueError, match=message):
        interval_bounds(network, lower, upper)


def test_the_size_of_what_is_summed_is_that_of_the_larger_sides():
    layer = Layer((0,), (np.array([[2.0, -3.0]]),), np.array([-4.0]))
    low, high, size = affine_range(layer, [np.array([[-1.0, 0.5]])], [np.array([[0.25, 7.0]])])
    assert np.allclose([low, high, size], [[[-27.0]], [[-5.0]], [[27.0]]])  # rounding is relative to the size


def test_ranges_over_boxes_that_are_asked_for_again_are_not_computed_again(monkeypatch):
    network, random = random_network(0), np.random.default_rng(0)
    boxes = [random_boxes(network, random, count) for count in (1, 3, 1)]
    first = [interval_range(network, *box) for box in boxes]
    for box, (lower, upper) in zip(boxes, first, strict=True):
        found = interval_bounds(network, *box)
        assert np.array_equal(lower, found.output_lower)
        assert np.array_equal(upper, found.output_upper)
    with pytest.raises(ValueError, match="read-only"):
        first[0][0][:] = 0.0
    monkeypatch.setattr(intervals, "interval_bounds", lambda *_: pytest.fail("computed again"))
    for box, ranges in zip(boxes, first, strict=True):
        assert all(np.array_equal(*sides) for sides in zip(interval_range(network, *box), ranges, strict=True))


def test_a_network_forgets_ranges_when_there_are_many(monkeypatch):
    monkeypatch.setattr(intervals, "MAX_REMEMBERED", 3)
    network, random = random_network(0), np.random.default_rng(0)
    for _ in range(8):
        interval_range(network, *random_boxes(network, random, 1))
        assert len(network.remembered_ranges) <= 3
