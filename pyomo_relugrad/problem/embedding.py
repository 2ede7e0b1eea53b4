"""Networks inside a problem: which columns they read and which they write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network

#: What to do about networks that have no order.
REMEDY = "presolve(problem).problem gives one of them columns of its own"


@dataclass(frozen=True, eq=False)
class EmbeddedNetwork:
    """One network inside a problem: ``v[outputs] = network(v[inputs])``.

    Parameters
    ----------
    network : Network
    inputs : (n_inputs,) int array
        Columns of the inputs; a column may occur more than once.
    outputs : (n_outputs,) int array
        Columns of the outputs.
    name : str, optional
        Name of the block, for messages.
    """

    network: Network
    inputs: Array
    outputs: Array
    name: str = ""

    def __post_init__(self) -> None:
        for attribute, expected in (("inputs", self.network.n_inputs), ("outputs", self.network.n_outputs)):
            columns = np.array(getattr(self, attribute), dtype=np.int64, ndmin=1)
            if columns.shape != (expected,):
                raise ModelError(f"network '{self.name}' has {expected} {attribute}, got {columns.size} columns")
            object.__setattr__(self, attribute, columns)


@dataclass(frozen=True, eq=False)
class NetworkStage:
    """Embeddings of one network that can be evaluated together: row ``i`` of the arrays is one of them.

    Batches of points ``V`` are (B, n). Arrays of the network's inputs, outputs or ReLUs have (B * k) rows: all
    embeddings at the first point, then all at the second one.

    Parameters
    ----------
    network : Network
    inputs : (k, n_inputs) int array
    outputs : (k, n_outputs) int array
    """

    network: Network
    inputs: Array
    outputs: Array

    def astype(self, dtype: DTypeLike) -> NetworkStage:
        """The stage with its network in another floating-point type."""
        return replace(self, network=self.network.astype(dtype))

    @cached_property
    def members(self) -> tuple[NetworkStage, ...]:
        """Each embedding as a stage of its own."""
        return tuple(NetworkStage(self.network, self.inputs[[i]], self.outputs[[i]]) for i in range(len(self.inputs)))

    @cached_property
    def _input_columns(self) -> Array | slice:
        return columns_or_slice(self.inputs.ravel())

    @cached_property
    def _output_columns(self) -> Array | slice:
        return columns_or_slice(self.outputs.ravel())

    @cached_property
    def _inputs_repeat(self) -> bool:
        return np.unique(self.inputs).size != self.inputs.size

    def gather(self, V: Array) -> Array:
        """Inputs (B * k, n_inputs) of the embeddings at the points."""
        return V[:, self._input_columns].reshape(-1, self.network.n_inputs)

    def gather_outputs(self, V: Array) -> Array:
        """Output columns (B * k, n_outputs) at the points."""
        return V[:, self._output_columns].reshape(-1, self.network.n_outputs)

    def scatter(self, total: Array, parts: Array) -> None:
        """Add numbers (B * k, n_inputs) for the inputs to their columns in `total` (B, n), in place."""
        parts = parts.reshape(len(total), self.inputs.size)
        if self._inputs_repeat:
            np.add.at(total.T, self.inputs.ravel(), parts.T)
        else:
            total[:, self._input_columns] += parts

    def set_outputs(self, V: Array, values: Array) -> None:
        """Replace the output columns of the points by values (B * k, n_outputs), in place."""
        V[:, self._output_columns] = values.reshape(len(V), self.outputs.size)

    def propagate(self, V: Array) -> None:
        """Replace the output columns by the network's values, in place."""
        self.set_outputs(V, self.network.value(self.gather(V)))

    def propagate_with_pattern(self, V: Array) -> Array:
        """`propagate`, and the activation patterns (B * k, n_neurons)."""
        outputs, pattern = self.network.value_and_pattern(self.gather(V))
        self.set_outputs(V, outputs)
        return pattern

    def pull_back(self, gradient: Array, pattern: Array) -> None:
        """Replace derivatives in the output columns by what they give in the input columns, in place.

        Parameters
        ----------
        gradient : (B, n) array
        pattern : (B * k, n_neurons) array
            Which ReLUs pass their input on, or the neurons' slopes.
        """
        seeds = self.gather_outputs(gradient)
        self.scatter(gradient, self.network.pull_back(pattern, len(self.network.layers) - 1, seeds))
        gradient[:, self._output_columns] = 0.0

    def pull_back_rows(self, rows: Array, pattern: Array) -> None:
        """`pull_back` under one pattern (k, n_neurons) for all rows, of which few may use many of the embeddings."""
        seeds = self.gather_outputs(rows)
        used = np.flatnonzero(seeds.any(axis=1))
        if used.size == 0:
            return
        row, member = np.divmod(used, len(self.inputs))
        parts = self.network.pull_back(pattern[member], len(self.network.layers) - 1, seeds[used])
        rows[:, self._output_columns] = 0.0
        np.add.at(rows, (row[:, None], self.inputs[member]), parts)


def stages_of(networks: Sequence[EmbeddedNetwork], n_columns: int) -> tuple[NetworkStage, ...]:
    """The networks in the order in which they can be evaluated, equal ones of one depth together.

    Raises
    ------
    ModelError
        If a column is written twice, or networks feed each other in a circle.
    """
    _check_outputs(networks)
    return stacked(networks, _depths(networks, n_columns))


def stacked(networks: Sequence[EmbeddedNetwork], depths: Sequence[int]) -> tuple[NetworkStage, ...]:
    """Equal networks of one depth together, by depth."""
    groups: dict[tuple[int, int], list[EmbeddedNetwork]] = {}
    for embedded, depth in zip(networks, depths, strict=True):
        groups.setdefault((depth, id(embedded.network)), []).append(embedded)
    return tuple(
        NetworkStage(
            members[0].network,
            np.stack([member.inputs for member in members]),
            np.stack([member.outputs for member in members]),
        )
        for _, members in sorted(groups.items(), key=lambda item: item[0][0])
    )


def _check_outputs(networks: Sequence[EmbeddedNetwork]) -> None:
    """Refuse columns that are written twice."""
    outputs = np.concatenate([np.zeros(0, np.int64), *(embedded.outputs for embedded in networks)])
    repeated = np.flatnonzero(np.bincount(outputs) > 1)
    if repeated.size:
        writers = [f"'{e.name}'" for e in networks for column in e.outputs.tolist() if column == repeated[0]]
        raise ModelError(f"networks {' and '.join(writers)} write the same column: {REMEDY}")


def _depths(networks: Sequence[EmbeddedNetwork], n_columns: int) -> list[int]:
    """How many networks lie before each network."""
    writer = np.full(n_columns, -1)
    for index, embedded in enumerate(networks):
        writer[embedded.outputs] = index
    before = [set(writer[embedded.inputs].tolist()) - {-1} for embedded in networks]
    depth = [-1] * len(networks)
    level = 0
    while (waiting := [index for index, value in enumerate(depth) if value < 0]) != []:
        ready = [i for i in waiting if all(depth[j] >= 0 for j in before[i])]
        if not ready:
            names = ", ".join(networks[i].name for i in waiting)
            raise ModelError(f"networks feed each other in a circle: {names}; {REMEDY}")
        for i in ready:
            depth[i] = level
        level += 1
    return depth


def columns_or_slice(columns: Array) -> Array | slice:
    """The columns as a slice where they are consecutive, which indexes faster."""
    if columns.size and np.array_equal(columns, np.arange(columns[0], columns[0] + columns.size)):
        return slice(int(columns[0]), int(columns[0]) + columns.size)
    return columns
