"""CROWN: linear functions of the input below what a network computes over a box.

Every neuron is enclosed between two lines over the range of its input. A linear function of a layer is then substituted
backwards (`substitution`), for any number of functions over any number of boxes.

The slope of a ReLU's lower line may be any number between 0 and 1: `lower_slopes` looks for good ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np

from pyomo_relugrad.arrays import Array, ArrayLike, at_home, row_products
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.network.activations import Lines
from pyomo_relugrad.network.bounds.boxes import Boxes
from pyomo_relugrad.network.bounds.intervals import affine_range, check_boxes, rounding_factor
from pyomo_relugrad.network.bounds.second_layer import second_layer_bounds, suits
from pyomo_relugrad.network.bounds.substitution import LinearFunctions, Substitution
from pyomo_relugrad.network.device import Device, weights_on
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.network import Network
from pyomo_relugrad.network.sweeps import coefficients_of, coefficients_of_neurons, tangent

#: Entries of the largest array that a substitution holds: small enough for a processor's cache, large enough for BLAS.
CHUNK_ENTRIES = 1 << 17
#: Arrays of that size for which a device's free memory is asked.
ARRAYS_PER_CHUNK = 32


class Relaxation:
    """A network's neurons enclosed between lines, over each of B boxes.

    The bounds of every pre-activation, `lower` and `upper` (one (B, n_k) array per hidden layer), are the better of
    interval arithmetic and CROWN; the lines rest on them.

    Parameters
    ----------
    network : Network
    box_lower, box_upper : (B, n_inputs) arrays
        The boxes; they may be infinite.
    states : (B, n_neurons) int8 array, optional
        What is known of the ReLUs, as from a larger box: 1 active, -1 inactive, 0 unknown, as smooth neurons are.
    device : Device, optional
        Where the pre-activations are bounded, which is most of the work; it computes in the network's type.

    Raises
    ------
    NetworkValueError
        If shapes disagree, a bound is NaN, or a box is empty.
    """

    def __init__(
        self,
        network: Network,
        box_lower: ArrayLike,
        box_upper: ArrayLike,
        states: Array | None = None,
        device: Device | None = None,
    ) -> None:
        self.network = network
        self.boxes = Boxes(*check_boxes(network, box_lower, box_upper))
        self.lower: list[Array] = []
        self.upper: list[Array] = []
        self.lines: list[Lines] = []
        self._ranges: tuple[list[Array], list[Array]] = ([self.boxes.lower], [self.boxes.upper])
        self._here = Substitution(network.layers, self.boxes, self.lines)
        self._device, self._there = device, self._here if device is None else self._on(device)
        known = (None,) * len(network.widths) if states is None else network.split_pattern(states)
        for index, layer_states in enumerate(known):
            self._add_layer(index, layer_states)

    @property
    def n_boxes(self) -> int:
        """Number of boxes."""
        return self.boxes.count

    def take(self, boxes: Array) -> Relaxation:
        """The relaxation over some of the boxes, given by index."""
        chosen = object.__new__(Relaxation)
        chosen.network = self.network
        chosen.boxes = Boxes(self.boxes.lower[boxes], self.boxes.upper[boxes])
        chosen.lower, chosen.upper = ([values[boxes] for values in side] for side in (self.lower, self.upper))
        chosen._ranges = ([values[boxes] for values in self._ranges[0]], [values[boxes] for values in self._ranges[1]])
        chosen.lines = [lines.take(boxes) for lines in self.lines]
        chosen._here = chosen._there = Substitution(self.network.layers, chosen.boxes, chosen.lines)
        chosen._device = None
        return chosen

    def states(self) -> Array:
        """(B, n_neurons) int8 array: 1 where a ReLU is active over its box, -1 inactive, 0 unknown."""
        activations = self.network.hidden_activations
        parts = [own.states(*sides) for own, *sides in zip(activations, self.lower, self.upper, strict=True)]
        return np.concatenate([np.zeros((self.n_boxes, 0), np.int8), *parts], axis=1)

    def output_range(self) -> tuple[Array, Array]:
        """Bounds (B, n_outputs) of the outputs by interval arithmetic on the last layer."""
        low, high, _ = self._output_range
        return low, high

    @property
    def output_margin(self) -> Array:
        """(B, n_outputs): how far rounding can move the outputs."""
        return self._output_range[2]

    @cached_property
    def _output_range(self) -> tuple[Array, Array, Array]:
        """The bounds of the outputs by interval arithmetic, and the rounding of the last layer (B, n_outputs)."""
        layer = self.network.layers[-1]
        low, high, size = affine_range(layer, *self._ranges)
        return low, high, self._rounding(layer, size)

    def _rounding(self, layer: Layer, size: Array) -> Array:
        """How far rounding can move the values of a layer of which the largest sums are `size`."""
        return rounding_factor(layer, len(self.network.layers)) * size

    @cached_property
    def sensitivities(self) -> tuple[Array, ...]:
        """Per hidden layer (B, n_inputs, n_k): absolute slopes of pre-activations in the inputs, along upper lines."""
        n = self.network.n_inputs
        directions = np.broadcast_to(np.eye(n), (self.n_boxes, n, n))
        gates = [lines.upper_slope[:, None] for lines in self.lines]
        result = []
        for slopes in islice(tangent(self.network.layers, directions, gates), len(gates)):
            checkpoint()
            result.append(np.abs(slopes))
        return tuple(result)

    # --- lines, layer by layer ----------------------------------------------------------------------------------

    def _add_layer(self, index: int, states: Array | None) -> None:
        checkpoint()
        layer = self.network.layers[index]
        low, high, size = affine_range(layer, *self._ranges)
        if states is not None:
            low = np.where(states > 0, low.clip(min=0), low)
            high = np.maximum(np.where(states < 0, high.clip(max=0), high), low)
        margin = self._rounding(layer, size)
        if index > 0:
            boxes, neurons = np.nonzero(layer.activation.bends(low, high))
            minima, maxima = self._preactivation_bounds(index, boxes, neurons)
            minima, maxima = minima - margin[boxes, neurons], maxima + margin[boxes, neurons]
            low[boxes, neurons] = np.maximum(low[boxes, neurons], minima)
            high[boxes, neurons] = np.maximum(np.minimum(high[boxes, neurons], maxima), low[boxes, neurons])
        self.lower.append(low)
        self.upper.append(high)
        for ranges, side in zip(self._ranges, layer.activation.range(low, high), strict=True):
            ranges.append(side)
        self.lines.append(layer.activation.lines(low, high, margin))
        if self._device is not None:
            self._there.lines.append(self._device.moved(self.lines[-1]))

    def _preactivation_bounds(self, index: int, boxes: Array, neurons: Array) -> tuple[Array, Array]:
        """CROWN bounds (R,) below and above the given neurons' pre-activations."""
        layer = self.network.layers[index]
        if index == 1 and self._device is None and (found := self._by_products(boxes, neurons)) is not None:
            return found
        result = np.empty((2, boxes.size), self.boxes.lower.dtype)
        for part in self._chunks(2 * boxes.size):
            checkpoint()
            start = coefficients_of_neurons(layer, neurons[part])
            start = {source: self._move(_both_signs(rows)) for source, rows in start.items()}
            constants = self._move(_both_signs(layer.bias[neurons[part]]))
            functions = self._there.descend(start, constants, self._move(boxes[part]))
            result[:, part] = at_home(functions.minima)
        return result[0], -result[1]

    def _by_products(self, boxes: Array, neurons: Array) -> tuple[Array, Array] | None:
        """The same of the second layer, all boxes at once, where that is faster."""
        is_wanted = np.zeros(self.network.widths[1], bool)
        is_wanted[neurons] = True
        rows, places = np.flatnonzero(is_wanted), (np.cumsum(is_wanted) - 1)[neurons]
        layers, entries = self.network.layers, max(self.network.widths[0], rows.size) * (self.network.n_inputs + 1)
        wanted = boxes.size / max(rows.size * self.n_boxes, 1)
        if entries > CHUNK_ENTRIES or not suits(layers, self.lines[0], rows.size, wanted):
            return None
        below, above = np.empty((2, rows.size, self.n_boxes), self.boxes.lower.dtype)
        step = CHUNK_ENTRIES // entries
        for begin in range(0, self.n_boxes, step):
            checkpoint()
            part = slice(begin, begin + step)
            some = Boxes(self.boxes.lower[part], self.boxes.upper[part])
            found = second_layer_bounds(layers, self.lines[0].take(part), rows, some)
            below[:, part], above[:, part] = found
        return below[places, boxes], above[places, boxes]

    def _chunks(self, count: int) -> Iterator[slice]:
        widest = max(self.network.n_inputs, *self.network.widths)
        free = None if self._device is None else self._device.free_bytes
        entries = CHUNK_ENTRIES if free is None else free // (ARRAYS_PER_CHUNK * self.network.dtype.itemsize)
        size = max(entries // widest, 8)
        return (slice(begin, begin + size) for begin in range(0, count, size))

    def _on(self, device: Device) -> Substitution:
        dtype = self.network.dtype
        boxes = Boxes(device.array(self.boxes.lower, dtype), device.array(self.boxes.upper, dtype))
        return Substitution(weights_on(self.network, device, dtype), boxes, [])

    def _move(self, values: Array) -> Array:
        return values if self._device is None else self._device.array(values, values.dtype)

    # --- substitution -------------------------------------------------------------------------------------------

    def substitute(
        self, weights: Array, boxes: Array | None, lower_slopes: Array | None = None, keep_adjoints: bool = False
    ) -> LinearFunctions:
        """Linear functions of the input that are below functions of the output.

        Parameters
        ----------
        weights : (R, n_outputs) array
            Function ``i`` is ``weights[i] @ y``; for a bound from above give ``-weights``.
        boxes : (R,) int array or None
            The box of each function; None where function ``i`` is over box ``i``.
        lower_slopes : (R, n_neurons) array, optional
            Slopes of the lower lines: between 0 and 1 where a ReLU is unstable, those of `lines` elsewhere.
        keep_adjoints : bool, optional
            Whether the result has its `adjoints`.
        """
        layer = self.network.layers[-1]
        slopes = None if lower_slopes is None else self.network.split_pattern(lower_slopes)
        start = coefficients_of(layer, weights[None])
        margins = np.broadcast_to(self.boxes.pick(self.output_margin, boxes), weights.shape)
        margin = row_products(np.abs(weights), margins)
        functions = self._here.descend(start, (weights @ layer.bias - margin)[None], boxes, slopes)
        kept = tuple(None if own is None else own[0] for own in functions.adjoints) if keep_adjoints else ()
        return LinearFunctions(functions.coefficients[0], functions.constants[0], functions.minima[0], kept)


def _both_signs(values: Array) -> Array:
    return np.stack([values, -values])
