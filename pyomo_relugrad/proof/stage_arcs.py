"""Steps from one state to the next, as boxes of a stage's columns: what each costs at least, and where it may lead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.bounds import Relaxation, optimize_lower_slopes
from pyomo_relugrad.problem import Problem, ProblemBounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.proof.boxes.bounding import centres
from pyomo_relugrad.proof.boxes.relaxations import output_range
from pyomo_relugrad.search.dynamic_programming.stages import HorizonStage

# Ranges into which the state before a stage is cut at first, and each decision.
FIRST_CELLS, FIRST_SLICES = 16, 8
# Neurons of all boxes that are bounded at once: some 50 MB.
NEURONS_AT_ONCE = 2**18


class State(IntEnum):
    """Which state of a stage."""

    BEFORE = 0
    AFTER = 1


@dataclass(frozen=True, eq=False)
class Arcs:
    """Boxes of a stage's columns.

    Parameters
    ----------
    lower, upper : (N, k) arrays
    cost : (N,) array
        What no feasible point of the box is below.
    """

    lower: Array
    upper: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.cost)

    def take(self, which: Array) -> Arcs:
        """Some of them."""
        return Arcs(self.lower[which], self.upper[which], self.cost[which])

    @classmethod
    def joined(cls, parts: list[Arcs]) -> Arcs:
        """One after another."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("lower", "upper", "cost")))


class RelaxedStage:
    """One stage of a problem, with the rows that hold its columns.

    Parameters
    ----------
    problem : Problem
    stage : HorizonStage
    rows : (r,) int array
    states : pair of ints or None
        The columns that are the states before the stage and after it; None where there is none.
    bounds : ProblemBounds
    """

    def __init__(
        self,
        problem: Problem,
        stage: HorizonStage,
        rows: Array,
        states: tuple[int | None, int | None],
        bounds: ProblemBounds,
    ) -> None:
        ends = np.array([column for column in states if column is not None], np.int64)
        #: (k,) ints: the problem's columns that the stage has to do with, fixed ones included.
        parts = [stage.columns, stage.network.inputs, problem.rows[rows].indices, ends]
        self.columns = columns = np.unique(np.concatenate(parts))
        place = np.full(problem.n_columns, -1)
        place[columns] = np.arange(columns.size)
        self._network = stage.network.network
        self._inputs, self._outputs = place[stage.network.inputs], place[stage.network.outputs]
        self._of_network = np.zeros(columns.size, bool)
        self._of_network[self._inputs] = self._of_network[self._outputs] = True
        self._lower, self._upper = bounds.lower[columns], bounds.upper[columns]
        self._integers = problem.integers[columns]
        is_own = np.isin(columns, stage.columns)
        self._costs = np.where(is_own, problem.cost[columns], 0.0)
        self._quadratic = np.zeros((0, 0))
        if problem.quadratic is not None:
            self._quadratic = problem.quadratic[columns][:, columns].toarray() * np.outer(is_own, is_own)
        self._states = tuple(None if column is None else int(place[column]) for column in states)
        matrix = problem.rows[rows][:, columns]
        sides = problem.row_lower[rows], problem.row_upper[rows]
        self._tighten = RowTightening(
            Problem(self._costs, self._lower, self._upper, matrix, *sides, integers=self._integers)
        )
        cut = [*place[stage.before].tolist(), *(place for place in self._states[:1] if place is not None)]
        self._cut = [column for column in cut if self._lower[column] < self._upper[column]]

    @property
    def n_cut(self) -> int:
        """How many columns are cut into ranges: decisions and the state before them."""
        return len(self._cut)

    @property
    def batch(self) -> int:
        """How many boxes to bound at once."""
        return max(NEURONS_AT_ONCE // max(self._network.n_neurons, 1), 1)

    @property
    def is_bounded(self) -> bool:
        """Whether the states and all columns that are cut have bounds."""
        columns = [*self._cut, *(column for column in self._states if column is not None)]
        return bool(np.isfinite([self._lower[columns], self._upper[columns]]).all())

    def range(self, state: State) -> tuple[float, float] | None:
        """Between which numbers a state is; None where there is no state, or it has one value."""
        column = self._states[state]
        if column is None or self._lower[column] >= self._upper[column]:
            return None
        return float(self._lower[column]), float(self._upper[column])

    def ends(self, arcs: Arcs, state: State) -> tuple[Array, Array] | None:
        """Between which numbers (N,) a state is on arcs, if there is one."""
        column = self._states[state]
        return None if column is None else (arcs.lower[:, column], arcs.upper[:, column])

    # --- boxes ---------------------------------------------------------------------------------------------------

    def first(self) -> tuple[Array, Array]:
        """Boxes (N, k) that cover everything."""
        lower, upper = self._lower[None], self._upper[None]
        for column in self._cut:
            low, high = self._lower[column], self._upper[column]
            edges = np.linspace(low, high, (FIRST_CELLS if column == self._states[0] else FIRST_SLICES) + 1)
            ends = edges[:-1], edges[1:]
            if self._integers[column]:
                middles = np.unique(np.floor(edges[1:-1]))
                ends = np.append(low, middles + 1.0), np.append(middles, high)
            count = len(lower)
            lower, upper = (np.repeat(side, ends[0].size, axis=0) for side in (lower, upper))
            lower[:, column], upper[:, column] = (np.tile(values, count) for values in ends)
        return lower, upper

    def halves(self, arcs: Arcs) -> tuple[Array, Array]:
        """Boxes (M, k) that cover those of arcs, cut in two along every column that is cut."""
        lower, upper = arcs.lower, arcs.upper
        for column in self._cut:
            middle = lower[:, column] + (upper[:, column] - lower[:, column]) / 2
            if self._integers[column]:
                middle = np.floor(middle)
            wide = middle < upper[:, column]
            left, right = upper.copy(), lower[wide]
            left[wide, column] = middle[wide]
            right[:, column] = middle[wide] + self._integers[column]
            lower, upper = np.concatenate([lower, right]), np.concatenate([left, upper[wide]])
        return lower, upper

    # --- bounds --------------------------------------------------------------------------------------------------

    def bound(self, lower: Array, upper: Array, slopes: tuple[float, float]) -> Arcs:
        """Arcs of the boxes (N, k) that may have feasible points.

        Parameters
        ----------
        lower, upper : (N, k) arrays
        slopes : pair of floats
            Those of the potentials of the states before and after: the first one is taken from the costs.
        """
        lower, upper, possible = self._tighten(lower, upper)
        lower, upper = lower[possible], upper[possible]
        relaxation = Relaxation(self._network, lower[:, self._inputs], upper[:, self._inputs])
        low, high = output_range(relaxation)
        lower[:, self._outputs] = np.maximum(lower[:, self._outputs], low)
        upper[:, self._outputs] = np.minimum(upper[:, self._outputs], high)
        lower, upper, possible = self._tighten(lower, upper)
        kept = np.flatnonzero(possible)
        lower, upper = lower[kept], upper[kept]
        costs, constants = self._linear(self._with_potentials(slopes), lower, upper)
        return Arcs(lower, upper, constants + self._least(relaxation.take(kept), costs, lower, upper))

    def _with_potentials(self, slopes: tuple[float, float]) -> Array:
        costs = self._costs.copy()
        for column, slope in zip(self._states, (-slopes[0], slopes[1]), strict=True):
            if column is not None:
                costs[column] += slope
        return costs

    def _linear(self, costs: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Costs (N, k) and constants (N,) below costs (k,) and the quadratic part: tangents over boxes.

        They meet it at the boxes' centres, or where a column beside the network costs least.
        """
        costs = np.tile(costs, (len(lower), 1))
        if not self._quadratic.any():
            return costs, np.zeros(len(lower))
        points, curvature = centres(lower, upper), np.diag(self._quadratic)
        alone = np.flatnonzero(~self._of_network & (curvature > 0.0))
        points[:, alone] = np.clip(-costs[:, alone] / curvature[alone], lower[:, alone], upper[:, alone])
        slopes = points @ self._quadratic
        return costs + slopes, -0.5 * (slopes * points).sum(axis=1)

    def _least(self, relaxation: Relaxation, costs: Array, lower: Array, upper: Array) -> Array:
        """The least of linear costs over boxes: of inputs and outputs together through the network, or of each."""
        ends = costs * np.where(costs == 0.0, 0.0, np.where(costs > 0.0, lower, upper))
        places, first = np.unique(self._inputs, return_index=True)
        on_inputs = np.zeros((len(lower), self._inputs.size))
        on_inputs[:, first] = costs[:, places]
        functions = optimize_lower_slopes(
            relaxation, costs[:, self._outputs], None, steps=0, input_costs=on_inputs
        ).functions
        return np.maximum(functions.minima + ends[:, ~self._of_network].sum(axis=1), ends.sum(axis=1))
