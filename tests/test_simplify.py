"""Rewritten networks: the same values where they must be, smaller where they should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_bounds import random_boxes, random_network, sample
from test_crown import trained_like

from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network import Layer, Network, count_regions, crown_bounds, interval_bounds, network_statistics
from pyomo_relugrad.network.building import prune_weights, rescale_neurons, without_stable_neurons
from pyomo_relugrad.programs import network_bounds


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_without_stable_neurons_the_values_on_the_box_stay(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 1)
    smaller = without_stable_neurons(network, lower[0], upper[0])
    points = sample(rng, lower[0], upper[0], 100)
    np.testing.assert_allclose(smaller.value(points), network.value(points), atol=1e-9)
    assert smaller.n_relus == sum(mask.sum() for mask in crown_bounds(network, lower, upper).unstable)


def test_layers_that_are_affine_everywhere_are_merged():
    network = Network.from_layers([[[1.0], [-1.0]], np.eye(2), [[1.0, 1.0]]], [[0.0, 0.0], [0.0, 1.0], [0.0]])
    merged = without_stable_neurons(network, [-np.inf], [np.inf])
    assert merged.widths == (2,)
    points = np.linspace(-3, 3, 31)[:, None]
    np.testing.assert_allclose(merged.value(points), network.value(points))


def test_other_bounds_may_be_used():
    network = trained_like(0, (3, 20, 20, 1))
    box = np.full((1, 3), 0.02)
    loose = without_stable_neurons(network, -box[0], box[0], interval_bounds(network, -box, box))
    assert loose.n_relus > without_stable_neurons(network, -box[0], box[0]).n_relus


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rescaling_changes_no_bit_of_the_values(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seed)
    lower, upper = random_boxes(network, rng, 1)
    rescaled = rescale_neurons(network, lower[0], upper[0])
    points = rng.normal(size=(50, network.n_inputs)) * 3
    np.testing.assert_array_equal(rescaled.value(points), network.value(points))
    before, after = interval_bounds(network, lower, upper), interval_bounds(rescaled, lower, upper)
    tight = crown_bounds(rescaled, lower, upper)
    for low, high, old in zip(tight.lower, tight.upper, before.lower, strict=True):
        sizes = np.maximum(np.abs(low), np.abs(high))[:, np.abs(old[0]) > 0]
        assert (sizes < 2.001).all()
    np.testing.assert_allclose(after.output_lower, before.output_lower, rtol=1e-9, atol=1e-12)


def test_rescaling_shrinks_the_big_m_of_deep_networks():
    network = trained_like(2, (4, 30, 30, 30, 30, 1))
    before = network_statistics(network, -1, 1).stability["crown"]
    after = network_statistics(rescale_neurons(network, np.full(4, -1.0), np.full(4, 1.0)), -1, 1).stability["crown"]
    assert after.largest_big_m < 2.001 < before.largest_big_m
    assert after.unstable == before.unstable


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_pruning_removes_the_smallest_weights_of_each_layer(rate, form):
    dense = trained_like(1, (6, 20, 15, 2))
    network = Network(6, tuple(Layer(lay.sources, tuple(map(form, lay.weights)), lay.bias) for lay in dense.layers))
    pruned = prune_weights(network, rate)
    for old, new in zip(dense.layers, pruned.layers, strict=True):
        weight = new.weights[0].toarray() if sparse.issparse(new.weights[0]) else new.weights[0]
        kept = weight != 0
        assert kept.sum() == kept.size - round(rate * kept.size)
        np.testing.assert_array_equal(weight[kept], old.weights[0][kept])
        if kept.any() and not kept.all():
            assert np.abs(old.weights[0][~kept]).max() <= np.abs(old.weights[0][kept]).min()
        np.testing.assert_array_equal(new.bias, old.bias)


@pytest.mark.parametrize(
    ("rate", "kept"), [(0.0, [1, 2, 4, 5]), (0.25, [1, 2, 5]), (0.5, [2, 5]), (0.75, [5]), (1.0, [])]
)
def test_of_equal_weights_the_first_are_removed_and_zeros_do_not_count(rate, kept):
    weight = [[0.0, 1.0, -1.0, 0.0, 0.5, -1.0]]
    layer = prune_weights(Network.from_layers([weight], [[0.5]]), rate).layers[0]
    assert np.flatnonzero(layer.weights[0]).tolist() == kept


def test_a_wrong_rate_is_refused():
    with pytest.raises(NetworkValueError, match=r"between 0 and 1, got 1\.5"):
        prune_weights(trained_like(0, (2, 3, 1)), 1.5)


# --- statistics --------------------------------------------------------------------------------------------------


def test_statistics_count_what_is_there():
    layers = (
        Layer((0,), (sparse.csr_array([[1.0, 0.0], [0.0, 2.0]]),), np.array([3.0, 0.0])),
        Layer((0, 1), (np.array([[1.0, 0.0]]), np.array([[1.0, -1.0]])), np.array([-9.0])),
        Layer((2,), (np.array([[1.0]]),), np.array([0.0])),
    )
    statistics = network_statistics(Network(2, layers), [-1, -1], [1, 1])
    assert (statistics.n_inputs, statistics.n_outputs, statistics.n_relus, statistics.widths) == (2, 1, 3, (2, 1))
    assert (statistics.n_weights, statistics.n_nonzeros) == (9, 6)
    assert statistics.sparsity == pytest.approx(1 / 3)
    for stability in statistics.stability.values():
        assert (stability.active, stability.inactive, stability.unstable) == (1, 1, 1)
        assert stability.stable_share == pytest.approx(2 / 3)
        assert stability.largest_big_m == pytest.approx(2.0)
        assert stability.mean_big_m == pytest.approx(2.0)


def test_statistics_of_further_bounds():
    network = trained_like(0, (3, 8, 8, 1))
    side = np.full(3, 0.1)
    tightened = network_bounds(network, -side, side, "lp")
    stability = network_statistics(network, -0.1, 0.1, further_bounds={"lp": tightened}).stability
    assert list(stability) == ["interval", "crown", "lp"]
    shares = [stability[name].stable_share for name in stability]
    assert shares == sorted(shares)
    assert shares[0] < shares[2]
    sizes = [stability[name].largest_big_m for name in stability]
    assert sizes[2] <= sizes[1] <= sizes[0]
    assert stability["lp"].unstable == sum(int(layer.sum()) for layer in tightened.unstable)


def test_statistics_without_a_box_or_relus():
    network = Network.from_layers([[[1.0, 2.0]]], [[0.0]])
    assert network_statistics(network).stability == {}
    assert network_statistics(network).regions_per_segment is None
    assert network_statistics(network, 0, np.inf).regions_per_segment is None
    statistics = network_statistics(network, 0, 1)
    assert statistics.regions_per_segment == 1.0
    assert statistics.stability["crown"].stable_share == 1.0


@pytest.mark.parametrize("seed", range(10))
def test_regions_on_segments_are_counted_as_on_a_fine_grid(seed):
    network = trained_like(seed, (2, 6, 6, 1))
    begin, end = np.random.default_rng(seed).uniform(-1, 1, size=(2, 4, 2))
    counts = count_regions(network, begin, end)
    for segment in range(4):
        t = np.linspace(0, 1, 200_001)[:, None]
        pattern = network.activation_pattern(begin[segment] + t * (end[segment] - begin[segment]))
        assert counts[segment] == 1 + (pattern[1:] != pattern[:-1]).any(axis=1).sum()
