"""The rows by which OMLT's formulations state ReLUs, recognised neuron by neuron.

Each function here refuses rows that do not say ``z = relu(zhat)`` (or ``zhat = max(...)``), given that binaries are 0
or 1, and tells which rows say nothing more. Constants (big-M) may be any: where one is too small for what the network's
values can be, the row merely says more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.errors import NotANetwork
from pyomo_relugrad.modeling.omlt.block_rows import BlockReader
from pyomo_relugrad.modeling.variables import nearest_values

#: Rounding of a bound, relative to its size, in OMLT's arithmetic on weights of each type.
ROUNDING = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}


@dataclass(frozen=True, eq=False)
class Quantities:
    """Variables that stand for values of the network, and what these lie between.

    Parameters
    ----------
    columns : (n,) int array
        As numbered by the `BlockReader`.
    lower, upper : (n,) arrays
    """

    columns: Array
    lower: Array
    upper: Array

    @classmethod
    def joined(cls, parts: Sequence[Quantities]) -> Quantities:
        """Several one after another."""
        columns = np.concatenate([np.zeros(0, np.int64), *(part.columns for part in parts)])
        lower = np.concatenate([np.zeros(0), *(part.lower for part in parts)])
        return cls(columns, lower, np.concatenate([np.zeros(0), *(part.upper for part in parts)]))

    def taken(self, indices: Array) -> Quantities:
        """Some of them, in any order."""
        return Quantities(self.columns[indices], self.lower[indices], self.upper[indices])


@dataclass(frozen=True, eq=False)
class LayerBlock:
    """One layer's block with its variables and what it computes.

    Parameters
    ----------
    reader : BlockReader
    block : BlockData
    zhat, z, sources : Quantities
        Pre-activations, activations, and the activations that the layer reads.
    weight : (n, n_sources) dense or CSR array
    bias : (n,) array
    rounding : float
        See `ROUNDING`.
    """

    reader: BlockReader
    block: Any
    zhat: Quantities
    z: Quantities
    sources: Quantities
    weight: Weight
    bias: Array
    rounding: float

    @property
    def width(self) -> int:
        """Number of neurons."""
        return int(self.z.columns.size)

    def is_enough(self, limit: Array, needed: Array) -> Array:
        """Whether limits are at least what is needed, up to rounding."""
        return is_enough(limit, needed, self.rounding)


def is_enough(limit: Array, needed: Array, rounding: float) -> Array:
    """Whether limits are at least what is needed, up to rounding."""
    size = np.where(np.isfinite(needed), np.abs(needed), 0.0)
    return np.asarray(limit >= needed - rounding * np.maximum(1.0, size))


@dataclass(frozen=True, eq=False)
class Auxiliaries:
    """Variables that only the rows of a layer's neurons contain.

    Parameters
    ----------
    variables : list of VarData
    neuron : (n,) int array
        The neuron of each.
    lower, upper : (n,) arrays
        A variable's bounds say nothing more if it may lie between these.
    is_binary : bool
        Whether the variables must be 0 or 1.
    """

    variables: list[Any]
    neuron: Array
    lower: Array
    upper: Array
    is_binary: bool

    def held(self, wanted: Array) -> Array:
        """Values as near to the wanted ones as the variables may have."""
        return nearest_values(self.variables, wanted)


@dataclass(frozen=True, eq=False)
class Neurons:
    """The rows that state the nonlinear functions of a layer.

    Parameters
    ----------
    rows : sequence of sequences of ConstraintData
        For each neuron.
    holds : (n,) boolean array
        Whether a neuron's rows hold for all values of the network, if its auxiliary variables are free.
    auxiliaries : tuple of Auxiliaries
    values : function
        Takes ``zhat`` (n,) and the activations that the layer reads, and returns the values of each of the auxiliaries.
    """

    rows: Sequence[Sequence[Any]]
    holds: Array
    auxiliaries: tuple[Auxiliaries, ...]
    values: Callable[[Array, Array], tuple[Array, ...]]


def switches(layer: LayerBlock, variables: list[Any], active: int) -> Auxiliaries:
    """Binaries that are `active` where a ReLU passes its input on; those of stable ReLUs need only one value."""
    needs_one, needs_zero = layer.zhat.upper > 0, layer.zhat.lower < 0
    if not active:
        needs_one, needs_zero = needs_zero, needs_one
    lower, upper = np.where(needs_zero, 0.0, 1.0), np.where(needs_one, 1.0, 0.0)
    return Auxiliaries(variables, np.arange(layer.width), lower, upper, is_binary=True)


def big_m(layer: LayerBlock) -> Neurons:
    """``0 <= z``, ``zhat <= z``, ``z <= upper * q`` and ``z <= zhat - lower * (1 - q)``, as of OMLT's big-M."""
    reader, block, z, zhat = layer.reader, layer.block, layer.z.columns, layer.zhat.columns
    binaries = reader.variables(block, "q_relu", layer.width)
    q = reader.columns(binaries)
    above_zero = reader.read(block, "_z_lower_bound_relu", z)
    above_zero.only()
    above_zero.demand_sides(0.0, np.inf)
    above_input = reader.read(block, "_z_lower_bound_zhat_relu", z)
    above_input.demand(above_input.only(zhat)[0] == -1.0)
    above_input.demand_sides(0.0, np.inf)
    inactive = reader.read(block, "_z_upper_bound_relu", z)
    upper = -inactive.only(q)[0]
    inactive.demand_sides(-np.inf, 0.0)
    active = reader.read(block, "_z_upper_bound_zhat_relu", z)
    of_zhat, depth = active.only(zhat, q)  # the depth is minus the lower bound
    active.demand(of_zhat == -1.0)
    active.demand_sides(-np.inf, depth)
    sets = (above_zero, above_input, inactive, active)
    low, high = layer.zhat.lower, layer.zhat.upper
    holds = ((high <= 0) | layer.is_enough(upper, high)) & ((low >= 0) | layer.is_enough(depth, -low))
    q_relu = switches(layer, binaries, active=1)
    return Neurons(
        rows=list(zip(*(rows.constraints for rows in sets), strict=True)),
        holds=holds,
        auxiliaries=(q_relu,),
        values=lambda zhat, _: (q_relu.held(zhat > 0),),
    )


def maximum(layer: LayerBlock, windows: Array) -> Neurons:
    """``zhat >= z_k`` and ``zhat <= z_k + sum of constants * q_j`` with one ``q`` of 1, as of OMLT's pooling layers.

    Parameters
    ----------
    layer : LayerBlock
        Its `zhat` are the maxima.
    windows : (n, k) int array
        What each maximum is taken over: positions among `layer.sources`.
    """
    reader, block, (n, k) = layer.reader, layer.block, windows.shape
    if (windows < 0).any():
        raise NotANetwork(f"windows of '{block.name}' reach beyond what they are taken from")
    binaries = reader.variables(block, "q_maxpool", n * k)
    q = reader.columns(binaries)
    neuron, place = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
    zhat, members = layer.zhat.columns[neuron], layer.sources.taken(windows.ravel())
    choice = reader.rows(reader.constraints(block, "_q_sum_maxpool", n))
    choice.demand_equal(q, summing(neuron, n))
    choice.demand_sides(1.0, 1.0)
    above = reader.read(block, "_zhat_lower_bound", zhat)
    above.demand(above.only(members.columns)[0] == -1.0)
    above.demand_sides(0.0, np.inf)
    of_member, below = reader.read(block, "_zhat_upper_bound", zhat).split(members.columns)
    below.demand(of_member == -1.0)
    below.demand_sides(-np.inf, 0.0)
    entries = sparse.coo_array(below.matrix(q))
    (row, column), constants = entries.coords, np.zeros((n, k, k))
    below.demand(~np.isin(np.arange(n * k), row[neuron[row] != neuron[column]]))
    constants[neuron[row], place[row], place[column]] = -entries.data
    below.demand(constants[:, np.arange(k), np.arange(k)].ravel() == 0.0)
    low, high = (side.reshape(n, k) for side in (members.lower, members.upper))
    needed = np.where(np.eye(k, dtype=bool), -np.inf, high[:, None, :] - low[:, :, None])
    parts = (tuple(part[i * k : (i + 1) * k] for part in (above.constraints, below.constraints)) for i in range(n))
    q_maxpool = Auxiliaries(binaries, neuron, np.zeros(n * k), np.ones(n * k), True)

    def values(zhat: Array, source: Array) -> tuple[Array, ...]:
        first = source[windows].argmax(axis=1)  # the first of the largest elements is chosen
        return ((place == first[neuron]).astype(np.float64),)

    return Neurons(
        rows=[(one, *lower, *upper) for one, (lower, upper) in zip(choice.constraints, parts, strict=True)],
        holds=np.asarray(layer.is_enough(constants, needed).all(axis=(1, 2))),
        auxiliaries=(q_maxpool,),
        values=values,
    )


def summing(group: Array, n_groups: int) -> Weight:
    """(n_groups, n) csr_array that sums the entries of each group."""
    return sparse.csr_array((np.ones(group.size), (group, np.arange(group.size))), shape=(n_groups, group.size))
