"""Whether a network has the values of what it was read from, as far as the original's rounding lets one tell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Layer, Network


@dataclass(frozen=True)
class Rounding:
    """How an original rounds.

    Parameters
    ----------
    unit : float
        Relative error of a sum, as a part of the absolute values that are added up.
    overflow : float
        Where values begin to overflow.
    is_by_layer : bool
        Whether the error is a part of the layer's largest sum rather than of each.
    """

    unit: float
    overflow: float = 1e30
    is_by_layer: bool = False


SINGLE = Rounding(2.0**-21)
"""Originals that compute in float32, or that were converted from such: eight units in the last place."""

COMPUTED_WEIGHTS = Rounding(2.0**-17, is_by_layer=True)
"""The same with weights that they compute, such as those of positions between pixels: none of them is exactly zero."""

HALF = Rounding(2.0**-8, overflow=1e4)
"""Originals in float16 or bfloat16."""

DOUBLE = Rounding(2.0**-36)
"""Originals that compute in float64, with some numbers that are stored in float32."""

_SAMPLES, _MANY_SAMPLES = 3, 32
_SAFETY = 4.0
_COMPOSITION = 2.0**-44
"""Rounding of the network's own weights, relative to what the outputs add up: parts of a bias cancel."""

_BLOCK = 2**16
_MIN_POINTS, _MAX_POINTS, _WORK = 6, 48, 3e7
_MAX_VALUES = 2**23
"""Most values of one layer that are compared or disturbed at once: a layer of millions takes few points."""

_KINDS: tuple[Callable[[np.random.Generator, int], Array], ...] = (
    lambda rng, n: np.zeros(n),
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.uniform(size=n),
    lambda rng, n: 1e3 * rng.normal(size=n),
    lambda rng, n: 300.0 + 100.0 * rng.normal(size=n),
    lambda rng, n: rng.choice([-1.0, 1.0], n) * 10.0 ** rng.uniform(-4, 6, n),
    lambda rng, n: 1e-3 * rng.normal(size=n),
    lambda rng, n: rng.choice([-1.0, 0.0, 1.0, 6.0], n),
    lambda rng, n: 1e6 * rng.normal(size=n),
    lambda rng, n: np.rint(255.0 * rng.uniform(size=n)),
    lambda rng, n: -rng.uniform(size=n),
    lambda rng, n: 1e4 * rng.normal() * np.ones(n),
)
"""Random, large, tiny and boundary inputs, in the order of what they show."""


@dataclass(frozen=True)
class Disagreement:
    """Where a network differs most from its original, in terms of what rounding allows.

    Parameters
    ----------
    difference : float
    allowed : float
        What the original's rounding explains there.
    points : (B, n_inputs) array
        Some points at which they differ, the worst first.
    """

    difference: float
    allowed: float
    points: Array

    def __str__(self) -> str:
        size = abs(self.points[0]).max()
        return (
            f"differs by {self.difference:.3g} at inputs of size {size:.3g}, where rounding explains {self.allowed:.1g}"
        )


def comparison_points(network: Network) -> Array:
    """Points (B, n_inputs) at which to compare a network with its original; fewer for large networks."""
    count = int(np.clip(_WORK / (network.n_weights * (_SAMPLES + 2) + 1), _MIN_POINTS, _MAX_POINTS))
    count = min(count, max(2, _MAX_VALUES // max(layer.width for layer in network.layers)))
    rng = np.random.default_rng(0)
    rows = [_KINDS[row % len(_KINDS)](rng, network.n_inputs) for row in range(count)]
    return np.array(rows, np.float32).astype(np.float64)


def disagreement(network: Network, points: Array, expected: Array, rounding: Rounding = SINGLE) -> Disagreement | None:
    """Where the network differs from its original by more than rounding explains, or None.

    Parameters
    ----------
    network : Network
    points : (B, n_inputs) array
    expected : (B, n_outputs) array
        The original's values there.
    rounding : Rounding

    Notes
    -----
    What rounding explains is measured: each sum of the network is disturbed at random, in proportion to the absolute
    values that are added up, and the outputs are seen to move. A bound by absolute values throughout would grow so
    fast with the depth that it tells nothing.
    """
    for samples in (_SAMPLES, _MANY_SAMPLES):
        with np.errstate(over="ignore", invalid="ignore"):  # exponentials
            differences, allowed = _largest_differences(network, points, expected, rounding, samples)
        order = np.argsort(allowed - differences)[:_MIN_POINTS]
        doubtful = order[differences[order] > allowed[order]]
        if not doubtful.size:
            return None
        points, expected = points[doubtful], expected[doubtful]
    return Disagreement(float(differences[doubtful[0]]), float(allowed[doubtful[0]]), points)


def _largest_differences(
    network: Network, points: Array, expected: Array, rounding: Rounding, samples: int
) -> tuple[Array, Array]:
    """At each point the difference of the output that differs most, in terms of what is allowed, and what that is."""
    found, allowed, largest = _values_and_rounding(network, points, rounding, samples)
    differences = abs(found - expected)
    differences[np.isnan(differences)] = np.inf
    differences[largest > rounding.overflow] = 0.0  # the original overflows before the network does
    with np.errstate(over="ignore"):
        worst = (differences / np.maximum(allowed, np.finfo(np.float64).tiny)).argmax(axis=1)
    rows = np.arange(len(points))
    return differences[rows, worst], allowed[rows, worst]


def _values_and_rounding(
    network: Network, points: Array, rounding: Rounding, samples: int
) -> tuple[Array, Array, Array]:
    """Outputs, how far rounding may move them, and the largest value that occurs on the way, for each point."""
    points = np.concatenate([points, np.ones((1, network.n_inputs))])
    rng, count = np.random.default_rng(0), len(points)
    activations = [np.tile(points, (1 + samples, 1))]
    sizes = [abs(points)]
    largest = abs(points).max(axis=1)
    for layer in network.layers:
        values, terms = layer.apply(activations), _absolute_sums(layer, sizes)
        errors = rounding.unit * (terms.max(axis=1, keepdims=True) if rounding.is_by_layer else terms)
        signs = 2 * rng.integers(0, 2, size=(samples, *terms.shape), dtype=np.int8) - 1
        disturbance = signs * errors
        values[count:] += disturbance.reshape(-1, layer.width)
        largest = np.maximum(largest, terms.max(axis=1))
        activations.append(layer.activation.value(values))
        inner = 0.0 if layer.activation.is_piecewise_linear else 1.0  # as in exp(z) - 1
        sizes.append(abs(activations[-1][:count]) + inner)
    found, moved = values[:count], values[count:].reshape(samples, *terms.shape)
    allowed = _SAFETY * (abs(moved - found).max(axis=0) + errors) + _COMPOSITION * terms.max(axis=0)
    return found[:-1], allowed[:-1], largest[:-1]


def _absolute_sums(layer: Layer, sizes: list[Array]) -> Array:
    """What the layer adds up, in absolute values: (B, n_k)."""
    total = np.tile(abs(layer.bias), (len(sizes[0]), 1))
    for source, weight in layer.terms:
        if sparse.issparse(weight):
            total += sizes[source] @ sparse.csr_array((abs(weight.data), weight.indices, weight.indptr), weight.shape).T
            continue
        for rows in np.array_split(np.arange(layer.width), weight.size // _BLOCK + 1):
            total[:, rows] += sizes[source] @ abs(weight[rows]).T
    return total
