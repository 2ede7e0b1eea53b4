"""The rows of the partition formulation, of OMLT's and of the one that ``relugrad.omlt`` writes, recognised."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.errors import NotANetwork
from pyomo_relugrad.modeling.omlt.block_rows import COEFFICIENT_TOLERANCE, RowSet
from pyomo_relugrad.modeling.omlt.layers import PARTS
from pyomo_relugrad.modeling.omlt.relu_rows import Auxiliaries, LayerBlock, Neurons, summing, switches
from pyomo_relugrad.network.bounds import sign_parts


@dataclass(frozen=True, eq=False)
class _Parts:
    """The parts into which the weighted sums of a layer are split.

    Parameters
    ----------
    neuron : (n_parts,) int array
        The neuron of each.
    weight : (n_parts, n_sources) csr_array
    lower, upper : (n_parts,) arrays
        What a part lies between.
    """

    neuron: Array
    weight: Weight
    lower: Array
    upper: Array

    @classmethod
    def of(cls, layer: LayerBlock, neuron: Array, rows: RowSet) -> _Parts:
        """Read the parts off rows that are solved for them; they must add up to the layer's weights."""
        weight = -rows.matrix(layer.sources.columns)
        whole = sparse.csr_array(layer.weight)
        difference = abs(summing(neuron, layer.width) @ weight - whole) - COEFFICIENT_TOLERANCE * abs(whole)
        is_wrong = np.zeros(layer.width, bool)
        is_wrong[sparse.coo_array(difference).coords[0][sparse.coo_array(difference).data > 0]] = True
        rows.demand(~is_wrong[neuron])
        positive, negative = sign_parts(weight)
        low, high = layer.sources.lower, layer.sources.upper
        return cls(neuron, weight, positive @ low + negative @ high, positive @ high + negative @ low)

    def auxiliaries(self, variables: list[Any]) -> Auxiliaries:
        """Variables that each are a part of an active neuron, or of an inactive one, and otherwise zero."""
        return Auxiliaries(variables, self.neuron, self.lower.clip(max=0), self.upper.clip(min=0), False)

    def is_enough(self, layer: LayerBlock, lower: Array, upper: Array) -> Array:
        """Whether constants (n_parts,) allow every value of every part: (n,) for the neurons."""
        enough = layer.is_enough(-lower, -self.lower) & layer.is_enough(upper, self.upper)
        return np.asarray(np.bincount(self.neuron, ~enough, layer.width) == 0)


def partition(layer: LayerBlock) -> Neurons:
    """OMLT's rows: equations 13 to 17 of the paper, a block for each neuron, whatever function split the weights."""
    reader, blocks = layer.reader, list(layer.block.component("output_node_block").values())
    binaries = [variable for block in blocks for variable in reader.variables(block, "sig", 1)]
    lists = [reader.variables(block, "z2") for block in blocks]
    neuron = np.repeat(np.arange(len(blocks)), [len(variables) for variables in lists])
    variables = list(chain.from_iterable(lists))
    sig, z2 = reader.columns(binaries), reader.columns(variables)

    def rows(name: str, size: int) -> RowSet:
        constraints = [constraint for block in blocks for constraint in reader.constraints(block, name)]
        if len(constraints) != size:
            raise NotANetwork(f"its constraints '{name}' in '{layer.block.name}' are not those that OMLT built")
        return reader.rows(constraints)

    inactive = [rows(name, z2.size).normalised(z2) for name in ("eq_16_lb", "eq_16_ub")]
    (lower, below), (upper, above) = (one.split(sig[neuron]) for one in inactive)
    parts = _Parts.of(layer, neuron, below)
    above.demand_equal(layer.sources.columns, -parts.weight)
    below.demand_sides(-np.inf, 0.0)
    above.demand_sides(0.0, np.inf)
    active, limits = _while_active(rows("eq_17_lb", z2.size), rows("eq_17_ub", z2.size), z2, sig[neuron])
    total, eq_13 = summing(neuron, layer.width), rows("eq_13", layer.width)
    columns = np.concatenate([layer.sources.columns, z2, sig])
    eq_13.demand_equal(columns, sparse.hstack([layer.weight, -total, sparse.diags_array(layer.bias)]))
    eq_13.demand_sides(-np.inf, 0.0)
    sums = _active_sums(layer, rows("eq_14", layer.width), rows("eq_15", layer.width), total, z2, sig)
    switch, halves = switches(layer, binaries, active=0), parts.auxiliaries(variables)

    def values(zhat: Array, source: Array) -> tuple[Array, ...]:
        is_inactive = switch.held(zhat <= 0)
        return is_inactive, (parts.weight @ source) * (1 - is_inactive[neuron])

    return Neurons(
        rows=_by_neuron((eq_13, *sums), (*inactive, *active), neuron),
        holds=parts.is_enough(layer, lower, upper) & parts.is_enough(layer, *limits),
        auxiliaries=(switch, halves),
        values=values,
    )


def written_partition(layer: LayerBlock) -> Neurons:
    """The rows of ``relugrad.omlt``, with variables ``z1`` for the parts of inactive neurons."""
    reader, block, n = layer.reader, layer.block, layer.width
    binaries = reader.variables(block, "sig", n)
    lists = [reader.variables(block, name, PARTS * n) for name in ("z1", "z2")]
    neuron = np.repeat(np.arange(n), PARTS)
    sig, z1, z2 = reader.columns(binaries), reader.columns(lists[0]), reader.columns(lists[1])
    of_z1, sums = reader.read(block, "parts", z2).split(z1)
    sums.demand(of_z1 == 1.0)
    sums.demand_sides(0.0, 0.0)
    parts = _Parts.of(layer, neuron, sums)
    inactive = [reader.read(block, name, z1) for name in ("eq_16_lb", "eq_16_ub")]
    lower, upper = (-one.only(sig[neuron])[0] for one in inactive)
    inactive[0].demand_sides(0.0, np.inf)
    inactive[1].demand_sides(-np.inf, 0.0)
    lower_rows, upper_rows = (reader.rows(reader.constraints(block, f"eq_17_{side}", z2.size)) for side in ("lb", "ub"))
    active, limits = _while_active(lower_rows, upper_rows, z2, sig[neuron])
    total = summing(neuron, n)
    whole = reader.read(block, "sum_of_parts", layer.zhat.columns)
    whole.demand_equal(np.concatenate([z1, z2]), sparse.hstack([-total, -total]))
    whole.demand_sides(layer.bias, layer.bias)
    eq_13, eq_14, eq_15 = (reader.rows(reader.constraints(block, f"eq_{number}", n)) for number in (13, 14, 15))
    eq_13.demand_equal(np.concatenate([z1, sig]), sparse.hstack([total, sparse.diags_array(layer.bias)]))
    eq_13.demand_sides(-np.inf, 0.0)
    active_sums = _active_sums(layer, eq_14, eq_15, total, z2, sig)
    limiting, holds = _limiting_rows(layer, sig)
    switch = switches(layer, binaries, active=0)

    def values(zhat: Array, source: Array) -> tuple[Array, ...]:
        is_inactive, found = switch.held(zhat <= 0), parts.weight @ source
        return is_inactive, found * is_inactive[neuron], found * (1 - is_inactive[neuron])

    return Neurons(
        rows=_by_neuron((whole, eq_13, *active_sums, *limiting), (sums, *inactive, *active), neuron),
        holds=holds & parts.is_enough(layer, lower, upper) & parts.is_enough(layer, *limits),
        auxiliaries=(switch, *(parts.auxiliaries(variables) for variables in lists)),
        values=values,
    )


def _while_active(lower: RowSet, upper: RowSet, z2: Array, sig: Array) -> tuple[tuple[RowSet, RowSet], list[Array]]:
    """``z2`` between constants times ``1 - sig``: the rows, and the constants (n_parts,)."""
    lower, upper = lower.normalised(z2), upper.normalised(z2)
    limits = [rows.only(sig)[0] for rows in (lower, upper)]
    lower.demand_sides(limits[0], np.inf)
    upper.demand_sides(-np.inf, limits[1])
    return (lower, upper), limits


def _limiting_rows(layer: LayerBlock, sig: Array) -> tuple[tuple[RowSet, RowSet], Array]:
    """``z <= upper * (1 - sig)`` and ``z - zhat <= depth * sig``: the rows, and whether they hold (n,)."""
    bound_z = layer.reader.read(layer.block, "bound_z", layer.z.columns)
    upper = bound_z.only(sig)[0]
    bound_z.demand_sides(-np.inf, upper)
    bound_zhat = layer.reader.read(layer.block, "bound_zhat", layer.z.columns)
    of_zhat, minus_depth = bound_zhat.only(layer.zhat.columns, sig)
    bound_zhat.demand(of_zhat == -1.0)
    bound_zhat.demand_sides(-np.inf, 0.0)
    high, deep = layer.zhat.upper.clip(min=0), (-layer.zhat.lower).clip(min=0)
    return (bound_z, bound_zhat), layer.is_enough(upper, high) & layer.is_enough(-minus_depth, deep)


def _active_sums(
    layer: LayerBlock, above_zero: RowSet, equal: RowSet, total: Weight, z2: Array, sig: Array
) -> tuple[RowSet, RowSet]:
    """``0 <= sum of z2 + bias * (1 - sig)``, and ``z`` equal to it."""
    bias, columns = layer.bias, np.concatenate([z2, sig])
    above_zero.demand_equal(columns, sparse.hstack([total, -sparse.diags_array(bias)]))
    above_zero.demand_sides(-bias, np.inf)
    equal = equal.normalised(layer.z.columns)
    equal.demand_equal(columns, sparse.hstack([-total, sparse.diags_array(bias)]))
    equal.demand_sides(bias, bias)
    return above_zero, equal


def _by_neuron(of_all: tuple[RowSet, ...], of_parts: tuple[RowSet, ...], neuron: Array) -> list[list[Any]]:
    """The constraints of each neuron: one of each of `of_all`, and those of its parts."""
    result = [list(constraints) for constraints in zip(*(rows.constraints for rows in of_all), strict=True)]
    for rows in of_parts:
        for owner, constraint in zip(neuron.tolist(), rows.constraints, strict=True):
            result[owner].append(constraint)
    return result
