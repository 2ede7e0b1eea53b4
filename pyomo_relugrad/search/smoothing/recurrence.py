"""Networks that feed each other, evaluated and differentiated with few operations on arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import NetworkStage


class Outputs:
    """All outputs of a chain's networks, in an order in which they can be computed.

    Parameters
    ----------
    together : sequence of NetworkStage
        All networks of the same weights together.
    order : sequence of (int, int)
        Numbers of the embeddings: of the stage in `together`, and of the row in it.
    """

    def __init__(self, together: Sequence[NetworkStage], order: Sequence[tuple[int, int]]) -> None:
        self.order = order
        self.columns = np.concatenate([together[kind].outputs[row] for kind, row in order])

    def numbers(self, columns: Array) -> Array:
        """Of some columns among the outputs, -1 for others."""
        return _numbers(columns, self.columns)


class Recurrence:
    """The values of networks in which each layer reads the one before.

    First layers see at once all columns that no network writes.

    Parameters
    ----------
    together : sequence of NetworkStage
    outputs : Outputs
        Of these.
    """

    def __init__(self, together: Sequence[NetworkStage], outputs: Outputs) -> None:
        self._together, self._columns = together, outputs.columns
        self._steps, end = [], 0
        for kind, row in outputs.order:
            stage = together[kind]
            begin, end = end, end + stage.outputs.shape[1]
            numbers = outputs.numbers(stage.inputs[row])
            weight = np.ascontiguousarray(stage.network.layers[0].weights[0][:, numbers >= 0].T)
            self._steps.append((kind, row, _as_slice(numbers[numbers >= 0]), weight, slice(begin, end)))

    @staticmethod
    def suits(together: Sequence[NetworkStage]) -> bool:
        """Whether all layers read the one before, and nothing else."""
        layers = ((number, layer) for stage in together for number, layer in enumerate(stage.network.layers))
        return all(layer.sources == (number,) for number, layer in layers)

    def propagate(self, V: Array) -> None:
        """Replace the outputs of points (B, n) by the networks' values, in place."""
        V[:, self._columns] = 0.0
        inputs = [V.T[stage.inputs].transpose(0, 2, 1) for stage in self._together]
        first = [stage.network.layers[0].apply([X]) for stage, X in zip(self._together, inputs, strict=True)]
        values = np.empty((len(V), self._columns.size))
        for kind, row, read, weight, written in self._steps:
            z = first[kind][row]
            z += values[:, read] @ weight
            layers = self._together[kind].network.layers
            for layer, following in pairwise(layers):
                z = layer.activation.value_in_place(z) @ following.weights[0].T
                z += following.bias
            values[:, written] = z
        V[:, self._columns] = values


class Sensitivities:
    """Derivatives of outputs in the columns that move, through all networks between them.

    With the derivatives J of outputs in outputs and D in the columns that move, network by network, they solve the
    triangular system ``(I - J) S = D``.

    Parameters
    ----------
    together : sequence of NetworkStage
    outputs : Outputs
        Of these.
    moving : (d,) int array
    """

    def __init__(self, together: Sequence[NetworkStage], outputs: Outputs, moving: Array) -> None:
        self._columns, self._d = outputs.columns, moving.size
        self._in_outputs = [list(_entries(stage, outputs, outputs.numbers(stage.inputs))) for stage in together]
        self._in_moving = [list(_entries(stage, outputs, _numbers(stage.inputs, moving))) for stage in together]

    def of(self, derivatives: Sequence[Array]) -> tuple[Array, Array]:
        """The systems' matrices (B, N, N), and the solutions (B, N, d).

        Parameters
        ----------
        derivatives : sequence of (B, k, n_outputs, n_inputs) arrays
            Of each of `together`.
        """
        count, size = len(derivatives[0]), self._columns.size
        matrices, solutions = np.zeros((count, size, size)), np.zeros((count, size, self._d))
        for own, in_outputs, in_moving in zip(derivatives, self._in_outputs, self._in_moving, strict=True):
            for entries in in_outputs:
                entries.subtract(matrices, own)
            for entries in in_moving:
                entries.subtract(solutions, own)
        for matrix, solution in zip(matrices, solutions, strict=True):
            solution[:], _ = lapack.dtrtrs(matrix.T, -solution, trans=1, unitdiag=1)
        return matrices, solutions

    @staticmethod
    def pulled_back(matrices: Array, weights: Array) -> Array:
        """Derivatives (B, N) in outputs of ``weights @ outputs``, through all that follow them."""
        pairs = zip(matrices.transpose(0, 2, 1), weights, strict=True)
        return np.stack([lapack.dtrtrs(matrix, own, unitdiag=1)[0] for matrix, own in pairs])


class _Entries(NamedTuple):
    """Derivatives in inputs of some embeddings, none twice, and the row and column of a matrix for each."""

    members: Array
    inputs: Array
    rows: Array
    columns: Array

    def subtract(self, matrices: Array, derivatives: Array) -> None:
        """Subtract them from matrices (B, N, m), in place; derivatives are (B, k, n_outputs, n_inputs)."""
        matrices[:, self.rows, self.columns] -= derivatives.transpose(0, 1, 3, 2)[:, self.members, self.inputs]


def _entries(stage: NetworkStage, outputs: Outputs, numbers: Array) -> Iterator[_Entries]:
    """Where derivatives go whose inputs (k, n_inputs) have numbers; -1 is nowhere."""
    rows = outputs.numbers(stage.outputs)
    earlier = np.zeros(numbers.shape, int)  # how often an input stands before in the same embedding
    for place in range(1, numbers.shape[1]):
        earlier[:, place] = (numbers[:, :place] == numbers[:, [place]]).sum(axis=1)
    for count in range(int(earlier[numbers >= 0].max(initial=-1)) + 1):
        members, inputs = np.nonzero((numbers >= 0) & (earlier == count))
        yield _Entries(members, inputs, rows[members], numbers[members, inputs][:, None])


def _numbers(columns: Array, among: Array) -> Array:
    """The place of each column in a list of distinct ones, -1 where it is not there."""
    order = np.argsort(among)
    nearest = np.minimum(np.searchsorted(among, columns, sorter=order), among.size - 1)
    return np.where(among[order[nearest]] == columns, order[nearest], -1)


def _as_slice(numbers: Array) -> slice | Array:
    """Consecutive numbers as a slice, which is read without a copy."""
    if numbers.size and (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers
