"""Bounds of pre-activations and outputs over boxes of inputs: the common result, and interval arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, ArrayLike, Weight
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.linear_maps import row_blocks
from pyomo_relugrad.network.network import Network, check_network

#: Boxes whose ranges a network remembers, and numbers in one of them up to which it does.
MAX_REMEMBERED, MAX_REMEMBERED_INPUTS = 64, 256


@dataclass(frozen=True, eq=False)
class PreactivationBounds:
    """What enters each neuron, and each output, lies between these over each of B boxes.

    Parameters
    ----------
    lower, upper : tuples of (B, n_k) arrays
        One pair per hidden layer.
    output_lower, output_upper : (B, n_outputs) arrays
    activations : tuple of Activation, optional
        What the hidden layers' neurons are, by default ReLUs.
    """

    lower: tuple[Array, ...]
    upper: tuple[Array, ...]
    output_lower: Array
    output_upper: Array
    _: KW_ONLY
    activations: tuple[Activation, ...] = ()

    @cached_property
    def _are_relus(self) -> tuple[bool, ...]:
        return tuple(own.is_piecewise_linear for own in self.activations or (RELU,) * len(self.lower))

    @cached_property
    def _states(self) -> tuple[Array, ...]:
        activations = self.activations or (RELU,) * len(self.lower)
        return tuple(own.states(*sides) for own, *sides in zip(activations, self.lower, self.upper, strict=True))

    @cached_property
    def active(self) -> tuple[Array, ...]:
        """Per hidden layer (B, n_k) booleans: ReLUs that pass their input on everywhere in the box."""
        return tuple(states > 0 for states in self._states)

    @cached_property
    def inactive(self) -> tuple[Array, ...]:
        """Per hidden layer (B, n_k) booleans: ReLUs that are zero everywhere in the box."""
        return tuple(states < 0 for states in self._states)

    @cached_property
    def unstable(self) -> tuple[Array, ...]:
        """Per hidden layer (B, n_k) booleans: ReLUs whose state is not decided."""
        return tuple((states == 0) & own for states, own in zip(self._states, self._are_relus, strict=True))

    def intersect(self, other: PreactivationBounds) -> PreactivationBounds:
        """The tighter of two sets of bounds, entry by entry."""
        return PreactivationBounds(
            tuple(np.maximum(a, b) for a, b in zip(self.lower, other.lower, strict=True)),
            tuple(np.minimum(a, b) for a, b in zip(self.upper, other.upper, strict=True)),
            np.maximum(self.output_lower, other.output_lower),
            np.minimum(self.output_upper, other.output_upper),
            activations=self.activations,
        )


def interval_bounds(network: Network, lower: ArrayLike, upper: ArrayLike) -> PreactivationBounds:
    """Bounds by interval arithmetic: layer by layer, every activation treated as independent.

    The bounds are moved outward by `rounding_factor`, so that no value computed in floating point leaves them.

    Parameters
    ----------
    network : Network
    lower, upper : (B, n_inputs) arrays
        The boxes; infinite where an input has no bound.

    Returns
    -------
    PreactivationBounds
        Of all pre-activations and outputs, a row for each box.

    Raises
    ------
    NetworkValueError
        If shapes disagree, a bound is NaN, or a box is empty.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.5], [0.0]])
    >>> bounds = interval_bounds(network, [[1.0]], [[2.0]])
    >>> bounds.lower[0].round(9), bounds.upper[0].round(9)
    (array([[ 1. , -1.5]]), array([[ 2. , -0.5]]))
    >>> bounds.active[0], bounds.inactive[0], bounds.output_upper.round(9)
    (array([[ True, False]]), array([[False,  True]]), array([[2.]]))
    """
    low, high = check_boxes(network, lower, upper)
    activation_lower, activation_upper = [low], [high]
    lowers, uppers = [], []
    for layer in network.layers:
        low, high, _ = affine_range(layer, activation_lower, activation_upper)
        lowers.append(low)
        uppers.append(high)
        for ranges, side in zip((activation_lower, activation_upper), layer.activation.range(low, high), strict=True):
            ranges.append(side)
    sides = tuple(lowers[:-1]), tuple(uppers[:-1]), lowers[-1], uppers[-1]
    return PreactivationBounds(*sides, activations=network.hidden_activations)


def interval_range(network: Network, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds (B, n_outputs) of the outputs by `interval_bounds`, read-only.

    Those of a few small boxes are remembered: a horizon asks for the same box step after step, and solve after solve.
    """
    key = lower.tobytes() + upper.tobytes() if lower.size <= MAX_REMEMBERED_INPUTS else b""
    known = network.remembered_ranges
    if (remembered := known.get(key)) is not None:
        return remembered
    found = interval_bounds(network, lower, upper)
    ranges = found.output_lower, found.output_upper
    if key:
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        for side in ranges:
            side.flags.writeable = False
        known[key] = ranges
    return ranges


def affine_range(layer: Layer, lower: Sequence[Array], upper: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Smallest and largest values (B, n_k) of one affine map, rounded outward, and the size of what is summed.

    Parameters
    ----------
    layer : Layer
    lower, upper : sequences of (B, n_s) arrays
        Bounds of the input and of the activations so far; they may be infinite.

    Returns
    -------
    lower, upper : (B, n_k) arrays
    size : (B, n_k) array
        The largest ``|W| @ |h| + |b|``, infinite bounds left out: what `rounding_factor` is relative to.
    """
    batch = lower[0].shape[0]
    sums = np.repeat(layer.bias[None, :], 3 * batch, axis=0)
    low, high, size = sums[:batch], sums[batch : 2 * batch], sums[2 * batch :]
    np.abs(size, out=size)
    without_low, without_high = np.zeros((2, *low.shape), bool)
    for source, weight in layer.terms:
        sides = lower[source], upper[source]
        ends = [np.isinf(side) for side in sides]
        is_bounded = not (ends[0].any() or ends[1].any())
        least, most = sides if is_bounded else (np.where(end, 0, side) for end, side in zip(ends, sides, strict=True))
        magnitude = np.maximum(np.abs(least), np.abs(most))
        under_positive = np.concatenate([least, most, magnitude])
        under_negative = np.concatenate([most, least, -magnitude])
        for rows, part in row_blocks(weight):
            positive, negative = sign_parts(part)
            sums[:, rows] += under_positive @ positive.T + under_negative @ negative.T
            if not is_bounded:
                no_low, no_high = ends
                without_low[:, rows] |= (no_low @ (positive > 0).T) | (no_high @ (negative < 0).T)
                without_high[:, rows] |= (no_high @ (positive > 0).T) | (no_low @ (negative < 0).T)
    margin = rounding_factor(layer) * size
    low, high = low - margin, high + margin
    low[without_low] = -np.inf
    high[without_high] = np.inf
    return low, high, size


def rounding_factor(layer: Layer, operations: int = 0) -> float:
    """How far floating point can move one value of the layer, relative to ``|W| @ |h| + |b|``.

    A sum of ``n`` products is computed with a relative error of at most ``n * eps / 2 / (1 - n * eps / 2)`` of the sum
    of their sizes, in any order of summation (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    The factor is twice that and a little more: once for the bound, once for the value that is held against it, and
    eight operations for what is done to a coefficient before it enters the sum.
    """
    terms = sum(weight.shape[1] for weight in layer.weights) + 8 + operations
    return float(terms * np.finfo(layer.bias.dtype).eps)


def sign_parts(weight: Weight) -> tuple[Weight, Weight]:
    """The positive and the negative part of a dense or CSR matrix: ``weight = positive + negative``."""
    if sparse.issparse(weight):
        return weight.maximum(0).tocsr(), weight.minimum(0).tocsr()
    return np.maximum(weight, 0), np.minimum(weight, 0)


def check_boxes(network: Network, lower: ArrayLike, upper: ArrayLike) -> tuple[Array, Array]:
    """The boxes as (B, n_inputs) arrays of the network's type.

    Raises
    ------
    NetworkValueError
        If shapes disagree, a bound is NaN, or a box is empty.
    """
    check_network(network)
    low, high = network.batch(lower), network.batch(upper)
    if low.shape != high.shape:
        raise NetworkValueError(
            f"the lower bounds have shape {low.shape}, the upper ones {high.shape}: give one of each for each box"
        )
    unknown = np.isnan(low) | np.isnan(high)
    if unknown.any():
        box, column = np.argwhere(unknown)[0].tolist()
        raise NetworkValueError(
            f"box {box} has a bound that is NaN, of input {column}: give a number, or an infinity where there is none"
        )
    if not (low <= high).all():
        box, column = np.argwhere(low > high)[0].tolist()
        raise NetworkValueError(
            f"box {box} is empty: input {column} has lower bound {low[box, column]} and upper bound "
            f"{high[box, column]}; give a lower bound that is not above the upper one"
        )
    return low, high
