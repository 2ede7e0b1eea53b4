"""The linear relaxation of the big-M model, over all columns and neurons, on one HiGHS model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.network import Layer, Network, interval_bounds
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution


@dataclass(frozen=True, eq=False)
class _Block:
    """Columns of one hidden layer of one embedding: pre-activation, activation, binary, each in [-1, 1] or [0, 1].

    Parameters
    ----------
    first : int
        The first column; ``width`` of each kind follow each other.
    scale : (width,) array
        What one unit of pre-activation and activation stands for.
    lower, upper : (width,) arrays
        Interval bounds of the scaled pre-activations.
    """

    first: int
    scale: Array
    lower: Array
    upper: Array

    @property
    def width(self) -> int:
        return self.scale.size

    def columns(self, kind: int) -> Array:
        return self.first + kind * self.width + np.arange(self.width)


class Relaxation:
    """``h >= z, h >= 0, h <= z - L (1 - q), h <= U q`` with ``0 <= q <= 1`` for every ReLU, beside the problem's rows.

    Neurons are measured in units of their own bounds, so that a rescaled network gives the same program. They are
    counted as in `Region`.

    Parameters
    ----------
    problem : Problem
    lower, upper : (n,) arrays
        Finite bounds of the decision columns; what they say of outputs is not used.
    integral : bool, optional
        Ask for integral binaries: the big-M model itself.
    """

    def __init__(self, problem: Problem, lower: Array, upper: Array, integral: bool = False) -> None:
        self._problem, self._integral = problem, integral
        self._blocks: list[_Block] = []
        self._triplets: list[tuple[Array, Array, Array]] = []
        self._sides: list[tuple[Array, Array]] = []
        self._n_rows, self._n_columns = 0, problem.n_columns
        lower, upper = lower.copy(), upper.copy()
        for stage in problem.stages:
            bounds = interval_bounds(stage.network, lower[stage.inputs], upper[stage.inputs])
            lower[stage.outputs], upper[stage.outputs] = bounds.output_lower, bounds.output_upper
            for member, (inputs, outputs) in enumerate(zip(stage.inputs, stage.outputs, strict=True)):
                layers = [(low[member], high[member]) for low, high in zip(bounds.lower, bounds.upper, strict=True)]
                self._embed(stage.network, inputs, outputs, layers)
        self._program = self._build()

    @property
    def free(self) -> Array:
        """(N,) booleans: neurons whose state is not decided by their bounds."""
        return np.concatenate([np.zeros(0, bool), *((b.lower < 0) & (b.upper > 0) for b in self._blocks)])

    @property
    def layer_of(self) -> Array:
        """(N,) array: the number of each neuron's block (stage, embedding, layer)."""
        return np.concatenate([np.zeros(0, int), *(np.full(b.width, i) for i, b in enumerate(self._blocks))])

    def solve(self, time_limit: float) -> LinearSolution:
        """Solve the relaxation as it stands."""
        return self._program.solve(time_limit)

    def binaries(self, values: Array) -> Array:
        """(N,) values of the neurons' binaries."""
        return values[self._binary_columns]

    def fix(self, neuron: int, state: bool) -> None:
        """Hold a neuron's binary."""
        self._program.change_bounds(np.full(1, state), np.full(1, state), self._binary_columns[[neuron]])

    def release(self, neuron: int) -> None:
        """Let a neuron's binary range over [0, 1] again."""
        self._program.change_bounds(np.zeros(1), np.ones(1), self._binary_columns[[neuron]])

    @property
    def _binary_columns(self) -> Array:
        return np.concatenate([np.zeros(0, int), *(block.columns(2) for block in self._blocks)])

    def _integers(self) -> Array | None:
        if not self._integral:
            return None
        integers = np.zeros(self._n_columns, bool)
        integers[self._binary_columns] = True
        return integers

    def _embed(self, network: Network, inputs: Array, outputs: Array, bounds: list[tuple[Array, Array]]) -> None:
        sources: list[tuple[Array, Array]] = [(inputs, np.ones(inputs.size))]
        for layer, (low, high) in zip(network.layers[:-1], bounds, strict=True):
            scale = np.maximum(np.maximum(np.abs(low), np.abs(high)), np.finfo(float).tiny)
            block = _Block(self._n_columns, scale, low / scale, high / scale)
            self._n_columns += 3 * block.width
            self._blocks.append(block)
            self._equation(layer, sources, block.columns(0), scale)
            self._big_m(block)
            sources.append((block.columns(1), scale))
        self._equation(network.layers[-1], sources, outputs, np.ones(outputs.size))

    def _equation(self, layer: Layer, sources: list[tuple[Array, Array]], result: Array, scale: Array) -> None:
        """Rows ``result - sum(W h) / scale = b / scale``."""
        parts = [(np.arange(result.size), result, np.ones(result.size))]
        for source, weight in zip(layer.sources, layer.weights, strict=True):
            columns, unit = sources[source]
            part = sparse.coo_array(weight)
            row, column = part.coords
            parts.append((row, columns[column], -part.data * unit[column] / scale[row]))
        self._append(parts, layer.bias / scale, layer.bias / scale)

    def _big_m(self, block: _Block) -> None:
        z, h, q = (block.columns(kind) for kind in range(3))
        rows, ones, infinite = np.arange(block.width), np.ones(block.width), np.full(block.width, np.inf)
        low, high = np.minimum(block.lower, 0.0), np.maximum(block.upper, 0.0)
        self._append([(rows, h, ones), (rows, z, -ones)], np.zeros(block.width), infinite)
        self._append([(rows, h, ones), (rows, z, -ones), (rows, q, -low)], -infinite, -low)
        self._append([(rows, h, ones), (rows, q, -high)], -infinite, np.zeros(block.width))

    def _append(self, parts: list[tuple[Array, Array, Array]], lower: Array, upper: Array) -> None:
        self._triplets += [(row + self._n_rows, column, value) for row, column, value in parts]
        self._sides.append((lower, upper))
        self._n_rows += lower.size

    def _build(self) -> LinearProgram:
        problem, extra = self._problem, self._n_columns - self._problem.n_columns
        rows, columns, values = (np.concatenate([np.zeros(0), *part]) for part in zip(*self._triplets, strict=True))
        matrix = sparse.csr_array(
            (values, (rows.astype(np.int64), columns.astype(np.int64))), shape=(self._n_rows, self._n_columns)
        )
        surrounding: Weight = sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, extra))])
        lower, upper = [problem.lower], [problem.upper]
        for block in self._blocks:
            lower += [block.lower, np.zeros(block.width), np.zeros(block.width)]
            upper += [block.upper, np.maximum(block.upper, 0.0), np.ones(block.width)]
        return LinearProgram(
            np.concatenate([problem.cost, np.zeros(extra)]),
            np.concatenate(lower),
            np.concatenate(upper),
            sparse.vstack([surrounding, matrix], format="csr"),
            np.concatenate([problem.row_lower, *(low for low, _ in self._sides)]),
            np.concatenate([problem.row_upper, *(high for _, high in self._sides)]),
            integers=self._integers(),
        )
