"""How networks are put together: layers are added one by one, and maxima, kinks and limits are made of ReLUs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.errors import NetworkFileError
from pyomo_relugrad.network.activations import RELU, Activation
from pyomo_relugrad.network.building.affine import Affine, either, stands_for_infinity
from pyomo_relugrad.network.layer import Layer
from pyomo_relugrad.network.linear_maps import MAX_ENTRIES, entry_count, explicit, is_nonnegative, row_sizes
from pyomo_relugrad.network.widened import WidenedMatrix

MAX_SKIPS = 8
"""A tensor that reads more activation vectors than this is not carried past a ReLU layer, but split in two ReLUs."""


FAR = 1e50
"""Intervals of activations end here: powers of larger numbers may overflow."""

LARGE = 1e4
"""A constant above this is not added to a variable and taken off again: that costs digits of the variable."""


class HiddenLayers:
    """Collects layers, after those that are there already: `relu` adds one and returns its activation."""

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self.layers = list(layers)
        self._entries = 0
        self._ranges = list[tuple[Array, Array]]()

    def relu(self, tensor: Affine) -> Affine:
        """The activation ``relu(tensor)``: a new layer, unless the tensor is constant or never negative."""
        if not tensor.size or self.is_at_least(tensor, 0.0):
            return tensor
        if not tensor.terms:
            return Affine(tensor.shape, {}, RELU.value(tensor.offset))
        masked = stands_for_infinity(tensor.offset, tensor)
        if masked.any():
            return self._relu_of_masked(tensor, masked)
        return self._counted(tensor, RELU)

    def smooth(self, tensor: Affine, activation: Activation) -> Affine:
        """A smooth activation of the tensor: a new layer, unless the tensor is constant."""
        if not tensor.terms:
            return Affine(tensor.shape, {}, activation.value(tensor.offset))
        return self._counted(tensor, activation)

    def add(self, tensor: Affine, activation: Activation = RELU) -> Affine:
        """The activation of the tensor as a new layer, whatever the tensor is."""
        self.layers.append(replace(as_layer(tensor), activation=activation))
        return Affine.variable(len(self.layers), tensor.shape)

    def is_at_least(self, tensor: Affine, bound: float) -> bool:
        """Whether the elements are seen to be at least `bound` from activations that are never negative.

        False says nothing: the check looks at signs only.
        """
        if 0 in tensor.terms or not (tensor.offset >= bound).all():
            return False
        if not all(self.layers[source - 1].activation.is_nonnegative for source in tensor.terms):
            return False
        return all(is_nonnegative(matrix) for matrix in tensor.terms.values())

    def spans(self, tensor: Affine) -> Array:
        """How far each element (size,) moves to either side over inputs between -1 and 1, by interval arithmetic.

        It is no less than a hundredth of what it moves about: a factor that all but stands still counts by its size.
        """
        middle, reach = self._interval(tensor)
        return np.maximum(reach, 0.01 * abs(middle))

    def _interval(self, tensor: Affine) -> tuple[Array, Array]:
        """The middle of each element's interval, and half its width."""
        for layer in self.layers[len(self._ranges) : max(tensor.terms, default=0)]:
            middle, reach = self._interval(affine_of(layer))
            least, most = (np.clip(side, -FAR, FAR) for side in layer.activation.range(middle - reach, middle + reach))
            self._ranges.append((0.5 * (least + most), 0.5 * (most - least)))
        middle, reach = tensor.offset, np.zeros(tensor.size)
        for source, matrix in tensor.terms.items():
            if source:
                middles, sides = self._ranges[source - 1]
                middle = middle + explicit(matrix) @ middles
                reach = reach + row_sizes(matrix, sides)
            else:
                reach = reach + row_sizes(matrix)
        return middle, reach

    def with_output(self, tensor: Affine, dtype: DTypeLike = np.float64) -> tuple[Layer, ...]:
        """All layers of the network with this output, in a floating-point type."""
        return tuple(layer.astype(dtype) for layer in (*self.layers, as_layer(tensor)))

    def _counted(self, tensor: Affine, activation: Activation) -> Affine:
        """`add`, if the weights of all layers are not too many."""
        self._entries += tensor.entry_count + tensor.size
        if self._entries > MAX_ENTRIES:
            raise NetworkFileError(f"the network needs more than {MAX_ENTRIES:.3g} stored weights")
        return self.add(tensor, activation)

    def _relu_of_masked(self, tensor: Affine, masked: Array) -> Affine:
        """The same where some elements stand for infinity, so that the side of zero that they are on is known."""
        places = np.flatnonzero(masked)
        kept = tensor.reshaped((tensor.size,)).taken(np.where(tensor.offset[places] > 0.0, places, -1))
        return either(masked, kept, self.relu(tensor.elements(~masked))).reshaped(tensor.shape)


def is_carried(tensor: Affine) -> bool:
    """Whether later layers may read what the tensor reads: dense maps, or at most two coefficients per element."""
    maps = tensor.terms.values()
    small = all(isinstance(own, np.ndarray | WidenedMatrix) or entry_count(own) <= 2 * tensor.size for own in maps)
    return small and len(tensor.terms) <= MAX_SKIPS


def as_layer(tensor: Affine) -> Layer:
    """A layer that computes the tensor, flattened row-major."""
    weights = {source: explicit(matrix) for source, matrix in sorted(tensor.terms.items())}
    return Layer(tuple(weights), tuple(weights.values()), tensor.offset)


def affine_of(layer: Layer) -> Affine:
    """The values of a layer before its activation, as a vector."""
    return Affine((layer.width,), dict(layer.terms), layer.bias)


def through(layer: Layer, activations: Sequence[Affine] | Mapping[int, Affine]) -> Affine:
    """The values of a layer before its activation, where what it reads are these functions of something else."""
    total = Affine.constant(layer.bias)
    for source, weight in layer.terms:
        total = total.plus(activations[source].mapped(weight, (layer.width,)))
    return total


def without_unread(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that the last one reads, by way of others or itself.

    A choice that is followed back to its variable leaves behind the ReLUs on the way.
    """
    read: set[int] = set()
    for position in range(len(layers), 0, -1):
        if position == len(layers) or position in read:
            read.update(layers[position - 1].sources)
    kept = [position for position in range(1, len(layers) + 1) if position == len(layers) or position in read]
    number = {0: 0, **{position: index + 1 for index, position in enumerate(kept)}}
    result = []
    for position in kept:
        layer = layers[position - 1]
        result.append(replace(layer, sources=tuple(number[source] for source in layer.sources)))
    return tuple(result)


def maximum(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Element-wise maximum ``right + relu(left - right)``; the side with fewer coefficients is carried along.

    Where one side's offset is large, the other side is carried, and passes exactly. An offset that stands for infinity
    decides alone: that is how elements are masked out.
    """
    if max(abs(left.offset).max(initial=0.0), abs(right.offset).max(initial=0.0)) > LARGE:
        shape = np.broadcast_shapes(left.shape, right.shape)
        left, right = (side.broadcast(shape).reshaped((prod(shape),)) for side in (left, right))
        return _maximum_with_large_offsets(left, right, hidden).reshaped(shape)
    if left.entry_count < right.entry_count:
        left, right = right, left
    return right.plus(hidden.relu(left.minus(right)))


def _maximum_with_large_offsets(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Maximum of two vectors. Where one side stands for infinity, the larger offset wins."""
    n = left.size
    decided = stands_for_infinity(np.maximum(abs(left.offset), abs(right.offset)), left, right)
    if not decided.any():
        return _ordered_maximum(left, right, hidden)
    source = np.where(left.offset >= right.offset, np.arange(n), n + np.arange(n))
    kept = np.flatnonzero(~decided)
    source[kept] = 2 * n + np.arange(kept.size)
    merged = maximum(left.taken(kept), right.taken(kept), hidden)
    return left.stacked([right, merged]).taken(source)


def _ordered_maximum(left: Affine, right: Affine, hidden: HiddenLayers) -> Affine:
    """Maximum of two vectors, of which the element with the smaller offset is carried along."""
    n = left.size
    both, own = left.stacked([right]), np.arange(n)
    left_is_carried = abs(left.offset) < abs(right.offset)
    carried = both.taken(np.where(left_is_carried, own, own + n))
    other = both.taken(np.where(left_is_carried, own + n, own))
    return carried.plus(hidden.relu(other.minus(carried)))


def largest(tensor: Affine, table: Array, hidden: HiddenLayers) -> Affine:
    """Largest element of each window, (n,), by a tree of pairwise maxima.

    `table` is (n, k_1, ..., k_d), -1 where a window has no element. It is reduced axis by axis, last first, and pairs
    that several windows share are computed once.
    """
    vector = tensor.reshaped((tensor.size,))
    while table.ndim > 1:
        if table.shape[-1] == 1:
            table = table[..., 0]
            continue
        vector, table = _paired(vector, table, hidden)
    if (table < 0).any():
        raise NetworkFileError("a window lies in the padding alone")
    return vector.taken(table)


def smallest(tensor: Affine, table: Array, hidden: HiddenLayers) -> Affine:
    """Smallest element of each window, see `largest`."""
    minus = np.array(-1.0)
    return largest(tensor.scaled(minus), table, hidden).scaled(minus)


def _paired(vector: Affine, table: Array, hidden: HiddenLayers) -> tuple[Affine, Array]:
    """One level of the tree: neighbours along the last axis are replaced by their maximum."""
    if table.shape[-1] % 2:
        table = np.concatenate([table, np.full((*table.shape[:-1], 1), -1)], axis=-1)
    left, right = table[..., 0::2], table[..., 1::2]
    both = (left >= 0) & (right >= 0) & (left != right)
    pairs, pair_of = np.unique(left[both] * vector.size + right[both], return_inverse=True)
    single = np.maximum(left, right)
    used = np.unique(single[~both & (single >= 0)])
    result = np.where(single >= 0, np.searchsorted(used, single), -1)
    result[both] = used.size + pair_of.ravel()
    lefts, rights = np.divmod(pairs, vector.size)
    merged = maximum(vector.taken(lefts), vector.taken(rights), hidden)
    return (vector.taken(used).stacked([merged]) if used.size else merged), result


def two_slopes(tensor: Affine, slope: Array, hidden: HiddenLayers) -> Affine:
    """`tensor` where it is positive, ``slope * tensor`` where it is negative.

    One ReLU per element, ``slope * z + (1 - slope) * relu(z)``, makes later layers read what `tensor` reads as well.
    Where that would fill up sparse maps, or skips pile up, two ReLUs are cheaper: ``relu(z) - slope * relu(-z)``. With
    large slopes they are more exact.
    """
    if not slope.any() or hidden.is_at_least(tensor, 0.0):
        return hidden.relu(tensor)
    if is_carried(tensor) and abs(slope).max() <= LARGE:
        return tensor.scaled(slope).plus(hidden.relu(tensor).scaled(1.0 - slope))
    halves = hidden.relu(tensor.reshaped((tensor.size,)).stacked([tensor.scaled(np.array(-1.0))]))
    positions = np.arange(2 * tensor.size).reshape(2, *tensor.shape)
    return halves.taken(positions[0]).minus(halves.taken(positions[1]).scaled(slope))


def clip(tensor: Affine, lower: float, upper: float, hidden: HiddenLayers) -> Affine:
    """`tensor` limited to ``[lower, upper]``, either of which may be infinite."""
    if lower >= upper:  # as ONNX has it: min(max(x, lower), upper)
        return Affine.constant(np.full(tensor.shape, upper))
    large = abs(tensor.offset) > LARGE
    settled = large & ((tensor.row_sizes == 0.0) | stands_for_infinity(tensor.offset, tensor)) if large.any() else large
    if settled.any():  # what is so large would not leave a difference of limits behind
        free = clip(tensor.elements(~settled), lower, upper, hidden)
        constants = Affine.constant(np.clip(tensor.offset[settled], lower, upper))
        return either(settled, constants, free).reshaped(tensor.shape)
    below_all = lower < 0.0 and stands_for_infinity(np.array(lower), tensor).all()
    above_all = upper > 0.0 and stands_for_infinity(np.array(upper), tensor).all()
    lower = -np.inf if below_all or hidden.is_at_least(tensor, lower) else lower
    upper = np.inf if above_all else upper
    return tensor if np.isinf([lower, upper]).all() else _between(tensor, lower, upper, hidden)


def _between(tensor: Affine, lower: float, upper: float, hidden: HiddenLayers) -> Affine:
    """One ReLU per element and finite limit, in one layer, added to the smaller limit.

    Where that is large too, they are added to the tensor itself, which passes exactly.
    """
    if min(abs(lower), abs(upper)) > LARGE:
        base, kinks = tensor, [(1.0, -1.0, lower), (-1.0, 1.0, upper)]
    elif abs(lower) <= abs(upper):
        base, kinks = Affine.constant(np.full(tensor.shape, lower)), [(1.0, 1.0, lower), (-1.0, 1.0, upper)]
    else:
        base, kinks = Affine.constant(np.full(tensor.shape, upper)), [(-1.0, -1.0, upper), (1.0, -1.0, lower)]
    kinks = [kink for kink in kinks if np.isfinite(kink[2])]  # (sign, slope, limit): sign * relu(slope * (x - limit))
    vector = tensor.reshaped((tensor.size,))
    arguments = [vector.shifted(np.array(-limit)).scaled(np.array(slope)) for _, slope, limit in kinks]
    activations = hidden.relu(arguments[0].stacked(arguments[1:]))
    positions = np.arange(activations.size).reshape(len(kinks), *tensor.shape)
    for (sign, _, _), own in zip(kinks, positions, strict=True):
        base = base.plus(activations.taken(own).scaled(np.array(sign)))
    return base
