"""CROWN: sound on samples and on exact extremes, never looser than intervals, tight where it must be."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_networks import random_network as random_chain
from scipy import sparse
from test_bounds import assert_contains, random_boxes, random_network, sample

from pyomo_relugrad.network import Layer, Network
from pyomo_relugrad.network.bounds import Relaxation, crown_bounds, interval_bounds, lower_slopes, optimize_lower_slopes
from pyomo_relugrad.network.bounds import relaxation as relaxation_module
from pyomo_relugrad.network.bounds.lower_slopes import _slope_gradient
from pyomo_relugrad.network.bounds.relaxation import CHUNK_ENTRIES
from pyomo_relugrad.network.bounds.second_layer import second_layer_bounds
from pyomo_relugrad.proof.boxes.objective import LATER_STEPS


def assert_functions_enclose(bounds, network, box, points):
    below = points @ bounds.lower_coefficients[box].T + bounds.lower_constants[box]
    above = points @ bounds.upper_coefficients[box].T + bounds.upper_constants[box]
    values = network.value(points)
    slack = 1e-13 * (1 + np.abs(points) @ np.abs(bounds.lower_coefficients[box]).T)
    assert (below <= values + slack).all()
    slack = 1e-13 * (1 + np.abs(points) @ np.abs(bounds.upper_coefficients[box]).T)
    assert (values <= above + slack).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), slope_steps=st.sampled_from([0, 4]))
@example(seed=64472, slope_steps=0)  # a bias in the last layer that is much larger than what is added to it
def test_crown_contains_samples(seed, slope_steps):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 3)
    bounds = crown_bounds(network, lower, upper, slope_steps=slope_steps)
    for box in range(3):
        points = sample(rng, lower[box], upper[box], 300)
        assert_contains(bounds, network, box, points)
        assert_functions_enclose(bounds, network, box, points)


def trained_like(seed: int, sizes: tuple[int, ...]) -> Network:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(b, a)) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    return Network.from_layers(weights, [rng.normal(size=len(w)) * 0.1 for w in weights])


def test_sensitivities_are_slopes_along_the_upper_lines():
    network = trained_like(3, (2, 6, 5, 1))
    relaxation = Relaxation(network, *random_boxes(network, np.random.default_rng(3), 4))
    first, second = (layer.weights[0] for layer in network.layers[:2])
    for box, slopes in enumerate(relaxation.lines[0].upper_slope):
        np.testing.assert_allclose(relaxation.sensitivities[0][box], np.abs(first.T))
        np.testing.assert_allclose(relaxation.sensitivities[1][box], np.abs(second @ np.diag(slopes) @ first).T)


@pytest.mark.parametrize("seed", range(5))
def test_gradients_in_the_lower_slopes_are_finite_differences(seed):
    network, rng, step = trained_like(seed, (3, 8, 8, 2)), np.random.default_rng(seed), 1e-7
    relaxation = Relaxation(network, np.full((2, 3), -1.0), np.full((2, 3), 1.0))
    unstable = np.concatenate([lines.unstable for lines in relaxation.lines], axis=1)
    usual = np.concatenate([lines.lower_slope for lines in relaxation.lines], axis=1)
    slopes = np.where(unstable, rng.uniform(0.2, 0.8, size=unstable.shape), usual)
    weights, direction = rng.normal(size=(2, 2)), rng.normal(size=unstable.shape) * unstable
    functions = relaxation.substitute(weights, None, slopes, keep_adjoints=True)
    found = (_slope_gradient(relaxation, functions, None, slopes) * direction).sum(axis=1)
    ends = [relaxation.substitute(weights, None, slopes + sign * step * direction).minima for sign in (-1, 1)]
    np.testing.assert_allclose(found, (ends[1] - ends[0]) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [(3, 30, 30, 2), (40, 60, 60, 60, 3), (2, 8, 8, 8, 8, 8, 8, 1)])
def test_crown_contains_ten_thousand_samples(sizes):
    rng = np.random.default_rng(0)
    network = trained_like(1, sizes)
    lower, upper = random_boxes(network, rng, 1)
    bounds = crown_bounds(network, lower, upper, slope_steps=8)
    points = sample(rng, lower[0], upper[0], 10_000)
    assert_contains(bounds, network, 0, points)
    assert_functions_enclose(bounds, network, 0, points)


@pytest.mark.parametrize("seed", range(20))
def test_crown_contains_the_exact_extremes_of_one_input(seed):
    """With one input the extremes lie at kinks or ends: every crossing is found by bisection of sign changes."""
    network = trained_like(seed, (1, 6, 6, 1))
    grid = np.linspace(-1, 1, 4001)[:, None]
    values, slopes = network.linearize(grid, np.ones_like(grid))
    hidden, rise = np.concatenate(values[:-1], axis=1), np.concatenate(slopes[:-1], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = (grid - hidden / rise)[np.abs(hidden) < np.abs(rise) * 1e-3]
    points = np.concatenate([grid, kinks.clip(-1, 1)[:, None]])
    exact = network.value(points)
    bounds = crown_bounds(network, [[-1.0]], [[1.0]], slope_steps=8)
    assert bounds.output_lower[0, 0] <= exact.min()
    assert exact.max() <= bounds.output_upper[0, 0]
    small = crown_bounds(network, grid[:-1], grid[1:], slope_steps=8)
    assert small.output_upper.max() == pytest.approx(exact.max(), abs=1e-3)
    assert small.output_lower.min() == pytest.approx(exact.min(), abs=1e-3)


@pytest.mark.parametrize("seed", range(15))
def test_crown_is_never_looser_than_intervals(seed):
    network = random_network(seed)
    lower, upper = random_boxes(network, np.random.default_rng(seed), 4)
    crown, interval = crown_bounds(network, lower, upper), interval_bounds(network, lower, upper)
    pairs = zip(
        [*crown.lower, crown.output_lower, *(-high for high in crown.upper), -crown.output_upper],
        [*interval.lower, interval.output_lower, *(-high for high in interval.upper), -interval.output_upper],
        strict=True,
    )
    for tight, loose in pairs:
        assert (tight >= loose - 1e-12 * (1 + np.abs(loose))).all()


def test_crown_is_tighter_than_intervals_where_neurons_cancel():
    network = trained_like(0, (5, 40, 40, 1))
    box = np.full((1, 5), 0.2)
    crown, interval = crown_bounds(network, -box, box), interval_bounds(network, -box, box)
    assert (crown.output_upper - crown.output_lower) < 0.5 * (interval.output_upper - interval.output_lower)


@pytest.mark.parametrize("seed", range(15))
def test_bounds_of_a_point_are_its_values(seed):
    network = random_network(seed)
    point = np.random.default_rng(seed).normal(size=(1, network.n_inputs))
    bounds = crown_bounds(network, point, point)
    np.testing.assert_allclose(bounds.output_lower, network.value(point), atol=1e-11)
    np.testing.assert_allclose(bounds.output_upper, network.value(point), atol=1e-11)


@pytest.mark.parametrize("seed", range(15))
def test_dense_and_sparse_weights_give_the_same_bounds(seed):
    network = random_network(seed)
    layers = tuple(
        Layer(layer.sources, tuple(sparse.csr_array(weight) for weight in layer.weights), layer.bias)
        for layer in network.layers
    )
    lower, upper = random_boxes(network, np.random.default_rng(seed), 3)
    first = crown_bounds(network, lower, upper)
    second = crown_bounds(Network(network.n_inputs, layers), lower, upper)
    np.testing.assert_allclose(first.lower_coefficients, second.lower_coefficients, atol=1e-10)
    np.testing.assert_allclose(first.output_upper, second.output_upper, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_infinite_boxes_give_no_nan_and_stay_sound(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 1)
    points = sample(rng, lower[0], upper[0], 100)
    open_lower = np.where(rng.random(lower.shape) < 0.4, -np.inf, lower)
    open_upper = np.where(rng.random(upper.shape) < 0.4, np.inf, upper)
    points = np.where(np.isinf(open_lower) & (rng.random(points.shape) < 0.5), points - 10, points)
    points = np.where(np.isinf(open_upper) & (rng.random(points.shape) < 0.5), points + 10, points)
    points = points.clip(open_lower, open_upper)
    bounds = crown_bounds(network, open_lower, open_upper, slope_steps=2)
    assert not np.isnan(np.concatenate([*bounds.lower, *bounds.upper], axis=1)).any() if bounds.lower else True
    assert not np.isnan(bounds.output_lower).any()
    assert not np.isnan(bounds.lower_coefficients).any()
    tolerance = 1e-9
    assert (network.value(points) >= bounds.output_lower - tolerance).all()
    assert (network.value(points) <= bounds.output_upper + tolerance).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_states_of_a_larger_box_keep_the_smaller_one_sound(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 2)
    states = Relaxation(network, lower, upper).states()
    middle = (lower + upper) / 2
    for low, high in ((lower, middle), (middle, upper)):
        relaxation = Relaxation(network, low, high, states)
        assert (np.abs(relaxation.states()) >= np.abs(states)).all()
        for box in range(2):
            points = sample(rng, low[box], high[box], 100)
            for index, value in enumerate(network.preactivations(points)):
                assert (value >= relaxation.lower[index][box]).all()
                assert (value <= relaxation.upper[index][box]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_chosen_slopes_only_improve_and_stay_sound_with_costs_on_inputs(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 2)
    relaxation = Relaxation(network, lower, upper)
    weights, costs = rng.normal(size=(2, network.n_outputs)), rng.normal(size=(2, network.n_inputs))
    boxes = np.arange(2)
    plain = optimize_lower_slopes(relaxation, weights, boxes, steps=0, input_costs=costs)
    better = optimize_lower_slopes(relaxation, weights, boxes, steps=6, input_costs=costs)
    assert (better.functions.minima >= plain.functions.minima).all()
    assert ((better.lower_slopes >= 0) & (better.lower_slopes <= 1)).all()
    for box in range(2):
        points = sample(rng, lower[box], upper[box], 200)
        values = network.value(points) @ weights[box] + points @ costs[box]
        assert (values >= better.functions.minima[box]).all()


def test_slopes_of_a_larger_box_are_not_lost_by_long_steps(monkeypatch):
    """Quarters of a box, from its slopes: a few short steps bound them better than longer ones."""

    def means(first_step, steps):
        monkeypatch.setattr(lower_slopes, "FIRST_STEP_FROM_START", first_step)
        for slopes, quarters in cases:
            found = optimize_lower_slopes(quarters, np.ones((16, 1)), None, steps=steps, start=slopes)
            yield found.functions.minima.mean()

    cases = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        network = random_chain((4, 24, 24, 1), seed)
        whole = optimize_lower_slopes(Relaxation(network, -np.ones((1, 4)), np.ones((1, 4))), np.ones((1, 1)), None)
        lower, upper = -np.ones((16, 4)), np.ones((16, 4))
        for box in range(16):
            columns = rng.permutation(4)[:2]
            lower[box, columns[0]] = upper[box, columns[1]] = 0.0
        cases.append((np.repeat(whole.lower_slopes, 16, axis=0), Relaxation(network, lower, upper)))
    now = list(means(lower_slopes.FIRST_STEP_FROM_START, LATER_STEPS))
    assert (np.array(now) > np.array(list(means(0.3, 3))) + 0.005).all()


def test_chosen_slopes_close_much_of_the_gap():
    network = trained_like(3, (4, 50, 50, 1))
    box = np.full((1, 4), 0.5)
    plain, better = (crown_bounds(network, -box, box, slope_steps=steps) for steps in (0, 10))
    sampled = network.value(np.random.default_rng(0).uniform(-0.5, 0.5, size=(20_000, 4)))
    assert (better.output_upper[0, 0] - sampled.max()) < 0.9 * (plain.output_upper[0, 0] - sampled.max())


def test_many_rows_are_bounded_in_pieces():
    """A layer of thousands of neurons is bounded as its first and its last ones alone are."""
    wide = trained_like(3, (6, 40, 40, 3 * CHUNK_ENTRIES // 100, 2))
    weights, biases = zip(*((layer.weights[0], layer.bias) for layer in wide.layers), strict=True)
    box, kept = np.full((1, 6), 0.5), [0, 1, -2, -1]
    narrow = Network.from_layers(
        [*weights[:2], weights[2][kept], weights[3][:, kept]], [*biases[:2], biases[2][kept], biases[3]]
    )
    pieces, whole = (crown_bounds(network, -box, box) for network in (wide, narrow))
    np.testing.assert_allclose(pieces.lower[2][:, kept], whole.lower[2], rtol=1e-12)
    np.testing.assert_allclose(pieces.upper[2][:, kept], whole.upper[2], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(1, 3, 9, 1), (5, 30, 20, 4, 2), (12, 8, 40, 3)])
def test_a_second_layer_by_products_has_the_bounds_of_single_functions(sizes, dtype, monkeypatch):
    """Over many boxes, some of them points, in pieces: as by substitution, and around samples."""
    network, rng = trained_like(7, sizes).astype(dtype), np.random.default_rng(7)
    centre, width = rng.normal(size=(2, 23, sizes[0]))
    width[:3] = 0
    lower, upper = centre - np.abs(width), centre + np.abs(width)
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return second_layer_bounds(*arguments)

    monkeypatch.setattr(relaxation_module, "second_layer_bounds", counted)
    monkeypatch.setattr(relaxation_module, "suits", lambda *_: True)
    monkeypatch.setattr(relaxation_module, "CHUNK_ENTRIES", 5 * max(sizes[1:3]) * (sizes[0] + 1))
    quick = Relaxation(network, lower, upper)
    assert len(calls) > 2
    monkeypatch.setattr(relaxation_module, "suits", lambda *_: False)
    single = Relaxation(network, lower, upper)
    for one, other in ((quick.lower[1], single.lower[1]), (quick.upper[1], single.upper[1])):
        np.testing.assert_allclose(one, other, rtol=0, atol=200 * np.finfo(dtype).eps * np.abs(other).max())
    for box in range(len(lower)):
        values = network.preactivations(sample(rng, quick.boxes.lower[box], quick.boxes.upper[box], 50))[1]
        assert (quick.lower[1][box] <= values).all()
        assert (values <= quick.upper[1][box]).all()


def test_a_second_layer_by_products_takes_the_lines_as_they_are():
    network, rng = trained_like(7, (3, 8, 5, 1)), np.random.default_rng(7)
    relaxation = Relaxation(network, -np.ones((4, 3)), rng.random((4, 3)))
    lines = replace(relaxation.lines[0], lower_intercept=-rng.random((4, 8)), lower_slope=rng.random((4, 8)))
    found = second_layer_bounds(network.layers, lines, np.array([0, 3]), relaxation.boxes)
    (first, weight), bias = (layer.weights[0] for layer in network.layers[:2]), network.layers[0].bias
    for sign, side in ((1.0, found[0]), (-1.0, -found[1])):
        positive, negative = (part(sign * weight[[0, 3]], 0.0) for part in (np.maximum, np.minimum))
        for box in range(4):
            slopes = positive * lines.lower_slope[box] + negative * lines.upper_slope[box]
            constants = positive @ lines.lower_intercept[box] + negative @ lines.upper_intercept[box] + slopes @ bias
            ends = relaxation.boxes.lower[box], relaxation.boxes.upper[box]
            smallest = np.minimum(*(slopes @ first * end for end in ends)).sum(axis=1)
            expected = smallest + constants + sign * network.layers[1].bias[[0, 3]]
            np.testing.assert_allclose(side[:, box], expected, rtol=1e-12)
