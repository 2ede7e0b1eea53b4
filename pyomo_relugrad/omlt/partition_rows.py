"""The rows of the partition formulation, of OMLT's and of the one that ``relugrad.omlt`` writes, recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network.bounds import sign_parts
from pyomo_relugrad.omlt.block_rows import COEFFICIENT_TOLERANCE, RowSet
from pyomo_relugrad.omlt.relu_rows import Auxiliaries, LayerBlock, Neurons, summing, switches


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
    reader, neurons = layer.reader, list(layer.block.component("output_node_block").values())
    binaries = [variable for neuron in neurons for variable in reader.variables(neuron, "sig", 1)]
    listed = [reader.variables(neuron, "z2") for neuron in neurons]
    neuron = np.repeat(np.arange(len(neurons)), [len(variables) for variables in listed])
    variables = [variable for of_neuron in listed for variable in of_neuron]
    sig, z2 = reader.columns(binaries), reader.columns(variables)

    def rows(name: str) -> RowSet:
        return reader.rows([c for block in neurons for c in reader.constraints(block, name)])

    remainder = {name: rows(name) for name in ("eq_16_lb", "eq_16_ub")}
    remainder["eq_16_lb"].demand(np.array(len(remainder["eq_16_lb"]) == len(remainder["eq_16_ub"]) == z2.size))
    lower, below = remainder["eq_16_lb"].normalised(z2).split(sig[neuron])
    upper, above = remainder["eq_16_ub"].normalised(z2).split(sig[neuron])
    parts = _Parts.of(layer, neuron, below)
    above.demand_equal(layer.sources.columns, -parts.weight)
    below.demand_sides(-np.inf, 0.0)
    above.demand_sides(0.0, np.inf)
    active = [rows(name).normalised(z2) for name in ("eq_17_lb", "eq_17_ub")]
    limits = [one.only(sig[neuron])[0] for one in active]
    active[0].demand_sides(limits[0], np.inf)
    active[1].demand_sides(-np.inf, limits[1])
    eq_13 = rows("eq_13")
    total = summing(neuron, layer.width)
    columns = np.concatenate([layer.sources.columns, z2, sig])
    eq_13.demand_equal(columns, sparse.hstack([layer.weight, -total, sparse.diags_array(layer.bias)]))
    eq_13.demand_sides(-np.inf, 0.0)
    of_all = (eq_13, *_active_rows(layer, rows("eq_14"), rows("eq_15"), total, z2, sig))
    holds = parts.is_enough(layer, lower, upper) & parts.is_enough(layer, *limits)
    of_parts = (below, above, *active)
    switch, halves = switches(layer, binaries, active=0), parts.auxiliaries(variables)

    def values(zhat: Array, source: Array) -> tuple[Array, ...]:
        inactive = switch.held(zhat <= 0)
        return inactive, (parts.weight @ source) * (1 - inactive[neuron])

    return Neurons(_by_neuron(of_all, of_parts, neuron), holds, (switch, halves), values)


def written_partition(layer: LayerBlock) -> Neurons:
    """The rows of ``relugrad.omlt``, with variables ``z1`` for the parts of inactive neurons."""
    reader, block, n = layer.reader, layer.block, layer.width
    binaries = reader.variables(block, "sig", n)
    lists = [reader.variables(block, name) for name in ("z1", "z2")]
    neuron = np.repeat(np.arange(n), len(lists[0]) // n)
    sig, z1, z2 = reader.columns(binaries), reader.columns(lists[0]), reader.columns(lists[1])
    of_z1, sums = reader.read(block, "parts", z2).split(z1)
    sums.demand(of_z1 == 1.0)
    sums.demand_sides(0.0, 0.0)
    parts = _Parts.of(layer, neuron, sums)
    inactive = [reader.read(block, name, z1) for name in ("eq_16_lb", "eq_16_ub")]
    limits = [-one.only(sig[neuron])[0] for one in inactive]
    inactive[0].demand_sides(0.0, np.inf)
    inactive[1].demand_sides(-np.inf, 0.0)
    active = [reader.read(block, name, z2) for name in ("eq_17_lb", "eq_17_ub")]
    active_limits = [one.only(sig[neuron])[0] for one in active]
    active[0].demand_sides(active_limits[0], np.inf)
    active[1].demand_sides(-np.inf, active_limits[1])
    total, bias = summing(neuron, n), sparse.diags_array(layer.bias)
    whole = reader.read(block, "sum_of_parts", layer.zhat.columns)
    whole.demand_equal(np.concatenate([z1, z2]), sparse.hstack([-total, -total]))
    whole.demand_sides(layer.bias, layer.bias)
    eq_13 = reader.rows(reader.constraints(block, "eq_13", n))
    eq_13.demand_equal(np.concatenate([z1, sig]), sparse.hstack([total, bias]))
    eq_13.demand_sides(-np.inf, 0.0)
    others = [reader.rows(reader.constraints(block, name, n)) for name in ("eq_14", "eq_15")]
    above_zero, equal = _active_rows(layer, *others, total, z2, sig)
    bound_z = reader.read(block, "bound_z", layer.z.columns)
    upper = bound_z.only(sig)[0]
    bound_z.demand_sides(-np.inf, upper)
    bound_zhat = reader.read(block, "bound_zhat", layer.z.columns)
    of_zhat, lower = bound_zhat.only(layer.zhat.columns, sig)
    bound_zhat.demand(of_zhat == -1.0)
    bound_zhat.demand_sides(-np.inf, 0.0)
    low, high = layer.zhat.lower.clip(max=0), layer.zhat.upper.clip(min=0)
    holds = layer.is_enough(upper, high) & layer.is_enough(-lower, -low)
    holds &= parts.is_enough(layer, *limits) & parts.is_enough(layer, *active_limits)
    switch = switches(layer, binaries, active=0)

    def values(zhat: Array, source: Array) -> tuple[Array, ...]:
        sig = switch.held(zhat <= 0)
        found = parts.weight @ source
        return sig, found * sig[neuron], found * (1 - sig[neuron])

    return Neurons(
        _by_neuron((whole, eq_13, above_zero, equal, bound_z, bound_zhat), (sums, *inactive, *active), neuron),
        holds,
        (switch, *(parts.auxiliaries(variables) for variables in lists)),
        values,
    )


def _active_rows(
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
