"""A problem with its networks written out as a mixed-integer program (big-M), built as arrays.

A ReLU is free to switch where its bounds ``L <= W h_before + b <= U`` are on both sides of zero. It is
``h - s = W h_before + b`` with ``h, s >= 0``, ``h <= U q`` and ``s <= -L (1 - q)``, where ``q`` is binary (Fischetti,
Jo, Deep neural networks and mixed integer linear optimization, 2018). Where bounds decide its state, an active one is a
column ``h`` without ``s`` and ``q``; an inactive one has no column at all. One whose epigraph is enough is written
without ``q``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem, ProblemBounds, ReluMask
from pyomo_relugrad.programs.certificate import proven_minimum
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution


@dataclass(frozen=True, eq=False)
class HiddenColumns:
    """Columns of one embedding's hidden layer; -1 where a neuron has none.

    Parameters
    ----------
    activation, slack, binary : (n_k,) int arrays
    """

    activation: Array
    slack: Array
    binary: Array


@dataclass(frozen=True, eq=False)
class BigMModel:
    """``min cost @ w + constant`` over rows, bounds and integrality; the first columns are the problem's.

    Parameters
    ----------
    problem : Problem
    cost, lower, upper : (N,) arrays
    rows : (M, N) csr_array
    row_lower, row_upper : (M,) arrays
    integers : (N,) boolean array
    hidden : tuple of (stage, member, columns of each hidden layer)
    """

    problem: Problem
    cost: Array
    lower: Array
    upper: Array
    rows: Weight
    row_lower: Array
    row_upper: Array
    integers: Array
    hidden: tuple[tuple[int, int, tuple[HiddenColumns, ...]], ...]

    def program(self, relaxed: bool, options: dict[str, Any] | None = None) -> LinearProgram:
        """The model in HiGHS.

        Parameters
        ----------
        relaxed : bool
            Whether integer columns may take every value between their bounds.
        options : dict, optional
            HiGHS options.
        """
        return LinearProgram(
            self.cost,
            self.lower,
            self.upper,
            self.rows,
            self.row_lower,
            self.row_upper,
            integers=None if relaxed else self.integers,
            options=options,
        )

    def relaxed_minimum(self, time_limit: float) -> LinearSolution:
        """The optimum where integer columns may take every value, and what is proven of it."""
        solution = self.program(relaxed=True).solve(time_limit)
        return replace(solution, bound=-np.inf if solution.row_duals is None else self.proven_by(solution.row_duals))

    def proven_by(self, multipliers: Array) -> float:
        """What multipliers (M,) of the rows prove of the optimum, see `proven_minimum`."""
        sides = self.lower, self.upper, self.rows, self.row_lower, self.row_upper
        return proven_minimum(self.cost, *sides, multipliers)

    def start(self, v: Array) -> Array:
        """Values (N,) of all columns at a point (n,) whose outputs are propagated; no column is left open."""
        values = np.zeros(self.cost.size)
        values[: v.size] = v
        for stage_index, member, layers in self.hidden:
            stage = self.problem.relu_stages[stage_index]
            preactivations = stage.network.preactivations(v[stage.inputs[member]][None])
            for columns, (z,) in zip(layers, preactivations, strict=True):
                parts = (
                    (columns.activation, np.maximum(z, 0)),
                    (columns.slack, np.maximum(-z, 0)),
                    (columns.binary, (z > 0).astype(np.float64)),
                )
                for places, value in parts:
                    values[places[places >= 0]] = value[places >= 0]
        return values


def build_big_m(problem: Problem, bounds: ProblemBounds, epigraphs: ReluMask | None = None) -> BigMModel:
    """Write the networks of a problem out as rows and binaries.

    Parameters
    ----------
    problem : Problem
        A quadratic part of its objective is left out.
    bounds : ProblemBounds
        As of `bound_problem`; possible. ReLUs whose bounds they leave on both sides of zero are free to switch.
    epigraphs : ReluMask, optional
        The ReLUs whose epigraph is enough, as of `epigraph_relus`; by default none is.

    Returns
    -------
    BigMModel
        Its first columns are those of the problem; its `program` is what HiGHS solves.

    Raises
    ------
    ModelError
        If a ReLU that is free to switch has no finite bounds, because an input has none.
    """
    builder = _Builder(problem, bounds)
    hidden = []
    for index, stage in enumerate(problem.relu_stages):
        for member in range(len(stage.inputs)):
            convex = None if epigraphs is None else [layer[member] for layer in epigraphs[index]]
            hidden.append((index, member, builder.add_network(stage.network, index, member, convex)))
    return builder.model(tuple(hidden))


class _Builder:
    """Collects columns and rows as arrays."""

    def __init__(self, problem: Problem, bounds: ProblemBounds) -> None:
        self.problem, self.bounds = problem, bounds
        self.n_columns, self.n_rows = problem.n_columns, problem.n_rows
        written = problem.is_output
        self.lower = [np.where(written, np.maximum(problem.lower, _below(bounds.lower)), bounds.lower)]
        self.upper = [np.where(written, np.minimum(problem.upper, _above(bounds.upper)), bounds.upper)]
        self.integers = [problem.integers]
        self.row_lower, self.row_upper = [problem.row_lower], [problem.row_upper]
        rows = problem.rows.tocoo()
        self.entries: list[tuple[Array, Array, Array]] = [(*rows.coords, rows.data)]

    def model(self, hidden: tuple[tuple[int, int, tuple[HiddenColumns, ...]], ...]) -> BigMModel:
        row, column, value = (np.concatenate(parts) for parts in zip(*self.entries, strict=True))
        matrix = sparse.csr_array((value, (row, column)), shape=(self.n_rows, self.n_columns))
        extra = np.zeros(self.n_columns - self.problem.n_columns)
        return BigMModel(
            problem=self.problem,
            cost=np.concatenate([self.problem.cost, extra]),
            lower=np.concatenate(self.lower),
            upper=np.concatenate(self.upper),
            rows=matrix,
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            integers=np.concatenate(self.integers),
            hidden=hidden,
        )

    def add_network(
        self, network: Network, stage_index: int, member: int, convex: list[Array] | None
    ) -> tuple[HiddenColumns, ...]:
        stage, bounds = self.problem.relu_stages[stage_index], self.bounds.networks[stage_index]
        activations = [stage.inputs[member]]
        layers = []
        for index, layer in enumerate(network.layers[:-1]):
            checkpoint()
            low, high = bounds.lower[index][member], bounds.upper[index][member]
            undecided = (low < 0) & (high > 0)
            switching = undecided if convex is None else undecided & ~convex[index]
            self._refuse_infinite(low[switching], high[switching], stage.inputs[member])
            columns = self._add_hidden_columns(low, high, undecided, switching)
            kept, open_ = np.flatnonzero(columns.activation >= 0), np.flatnonzero(undecided)
            first = self._add_rows(layer.bias[kept], layer.bias[kept])
            self._add_affine(first, layer.sources, [weight[kept] for weight in layer.weights], activations)
            self._add_entries(first + np.arange(kept.size), columns.activation[kept], 1.0)
            self._add_entries(first + np.searchsorted(kept, open_), columns.slack[open_], -1.0)
            self._add_switches(columns, np.flatnonzero(switching), low, high)
            activations.append(columns.activation)
            layers.append(columns)
        last = network.layers[-1]
        first = self._add_rows(last.bias, last.bias)
        self._add_affine(first, last.sources, list(last.weights), activations)
        self._add_entries(first + np.arange(last.width), stage.outputs[member], 1.0)
        return tuple(layers)

    def _add_hidden_columns(self, low: Array, high: Array, undecided: Array, switching: Array) -> HiddenColumns:
        activation = self._add_columns(high > 0, np.maximum(_below(low), 0.0), _above(high), False)
        slack = self._add_columns(undecided, np.zeros(low.size), _above(-low), False)
        binary = self._add_columns(switching, np.zeros(low.size), np.ones(low.size), True)
        return HiddenColumns(activation, slack, binary)

    def _add_switches(self, columns: HiddenColumns, open_: Array, low: Array, high: Array) -> None:
        """``h - U q <= 0`` and ``s - L q <= -L`` for the open ReLUs."""
        for part, factor, side in (
            (columns.activation, -high, np.zeros(open_.size)),
            (columns.slack, -low, -low[open_]),
        ):
            first = self._add_rows(np.full(open_.size, -np.inf), side)
            rows = first + np.arange(open_.size)
            self._add_entries(rows, part[open_], 1.0)
            self._add_entries(rows, columns.binary[open_], factor[open_])

    def _add_affine(
        self, first: int, sources: tuple[int, ...], weights: list[Weight], activations: list[Array]
    ) -> None:
        """Minus the affine map's linear part, in rows from `first` on."""
        for source, weight in zip(sources, weights, strict=True):
            entries = sparse.coo_array(weight)
            columns = activations[source][entries.coords[1]]
            exists = (columns >= 0) & (entries.data != 0)
            self.entries.append((first + entries.coords[0][exists], columns[exists], -entries.data[exists]))

    def _add_columns(self, wanted: Array, lower: Array, upper: Array, integer: bool) -> Array:
        columns = np.full(wanted.size, -1)
        count = int(wanted.sum())
        columns[wanted] = self.n_columns + np.arange(count)
        self.n_columns += count
        self.lower.append(lower[wanted])
        self.upper.append(upper[wanted])
        self.integers.append(np.full(count, integer))
        return columns

    def _add_rows(self, lower: Array, upper: Array) -> int:
        first = self.n_rows
        self.n_rows += lower.size
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        return first

    def _add_entries(self, rows: Array, columns: Array, values: Array | float) -> None:
        self.entries.append((rows, columns, np.broadcast_to(np.asarray(values, np.float64), rows.shape)))

    def _refuse_infinite(self, low: Array, high: Array, inputs: Array) -> None:
        if np.isfinite(low).all() and np.isfinite(high).all():
            return
        unbounded = inputs[np.isinf(self.bounds.lower[inputs]) | np.isinf(self.bounds.upper[inputs])]
        names = self.problem.column_names
        shown = ", ".join(names[column] if names else f"column {column}" for column in unbounded[:5].tolist())
        raise ModelError(
            f"the mixed-integer formulation needs finite bounds on the networks' inputs; set bounds on: {shown}"
        )


def _below(bounds: Array) -> Array:
    """Bounds that rows imply, with room: without any HiGHS's presolve finds no point, or only the start's."""
    return bounds - FEASIBILITY_TOLERANCE * (1 + np.abs(bounds))


def _above(bounds: Array) -> Array:
    """The same from above."""
    return bounds + FEASIBILITY_TOLERANCE * (1 + np.abs(bounds))
