"""How good decisions are: the objective, and penalties of what they violate."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pyomo_relugrad.arrays import Array, DTypeLike
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.search.decisions.decisions import Decisions
from pyomo_relugrad.search.decisions.relaxed_rows import RelaxedRows
from pyomo_relugrad.search.decisions.steps import Switches
from pyomo_relugrad.search.sequential.merit import Merit

#: Blocks above which what rows cost is computed together.
MAX_BLOCKS = 64
#: Costs of blocks that are kept, a power of two.
KEPT = 2**20
#: Rounding errors in single precision that are accepted, in units of the objective's spread.
ROUNDING = 1e-5


class Landscape:
    """The merit of decisions: the objective, and penalties of what is violated.

    Parameters
    ----------
    decisions : Decisions
    X : (B, d) array
        Decisions by which the penalties are scaled.
    penalty : float
    """

    def __init__(self, decisions: Decisions, X: Array, penalty: float) -> None:
        problem = decisions.problem
        self._decisions, self._problem = decisions, problem
        V = decisions.points(X)
        merit = Merit.scaled_to(problem, V, penalty)
        # Decisions are within their bounds, and so are binaries that are switched.
        is_limited = (np.isfinite(problem.lower) | np.isfinite(problem.upper)) & (problem.lower < problem.upper)
        within = [decisions.columns, *(step.binaries for step in decisions.steps if isinstance(step, Switches))]
        followers = np.setdiff1d(np.flatnonzero(is_limited), np.concatenate(within))
        penalties = np.concatenate([merit.row_penalties, np.full(followers.size, merit.row_penalties.max())])
        bounds = sparse.eye_array(problem.n_columns, format="csr")[followers]
        rows = sparse.csr_array(sparse.vstack([problem.rows, bounds]))
        lower = np.concatenate([problem.row_lower, problem.lower[followers]])
        upper = np.concatenate([problem.row_upper, problem.upper[followers]])
        below, above = np.isfinite(lower), np.isfinite(upper)
        self._rows = sparse.csr_array(sparse.vstack([-rows[below], rows[above]]))
        self._limits = np.concatenate([-lower[below], upper[above]])[:, None]
        self._penalties = np.concatenate([penalties[below], penalties[above]])
        self._priced, self._constant = np.flatnonzero(problem.cost), problem.constant
        self._prices = problem.cost[self._priced]
        self._may_fail = np.zeros(len(self._limits), bool)
        self.learns(V)

    #: By how much the costs of rows may grow in a move.
    reach = np.inf

    def points(self, X: Array) -> Array:
        """All columns (B, n) that follow from decisions (B, d)."""
        return self._decisions.points(X)

    def row_costs(self, X: Array) -> Array:
        """The part (B,) of the merits of decisions (B, d) that is told without networks."""
        return np.zeros(len(X))

    def rest(self, X: Array) -> Array:
        """The other part (B,)."""
        return self.merit(self.points(X))

    def slopes(self, X: Array) -> Array:
        """Derivatives (B, d) of the objective in the decisions, other columns held."""
        V = self.points(X)
        return self._problem.pull_back(V, self._problem.objective_gradient(V))[:, self._decisions.columns]

    def objective(self, V: Array) -> Array:
        """Objectives (B,) of points (B, n)."""
        return self._problem.objective(V)

    def merit(self, V: Array) -> Array:
        """Merits (B,) of points (B, n)."""
        return np.asarray(V[:, self._priced] @ self._prices + self._constant + self._penalties @ self._excess(V))

    def limited(self, changed: Array) -> Landscape:
        """What some columns (k,) add to the merit, and others in their rows, of those rows that are known to fail."""
        part, touched = copy(self), self._may_fail & (np.diff(self._rows[:, changed].indptr) > 0)
        part._rows, part._limits, part._penalties = self._rows[touched], self._limits[touched], self._penalties[touched]
        part._priced, part._constant = np.intersect1d(self._priced, changed), 0.0
        part._prices = self._problem.cost[part._priced]
        return part

    def learns(self, V: Array) -> bool:
        """Whether points (B, n) violate a row that never failed before, as most rows by which columns follow do not."""
        fails, before = self._excess(V).any(axis=1), self._may_fail
        self._may_fail = before | fails
        return bool((fails & ~before).any())

    @property
    def reads(self) -> Array:
        """Columns (k,) that the merit depends on."""
        return np.union1d(self._priced, self._rows.indices)

    def _excess(self, V: Array) -> Array:
        """How far rows are violated (m, B)."""
        excess = np.asarray(self._rows @ V.T)
        excess -= self._limits
        excess *= excess > FEASIBILITY_TOLERANCE / 10
        return excess


class BlockLandscape(Landscape):
    """The same where rows tie decisions in blocks, and networks read nothing that follows from them.

    What the rows cost is a sum over the blocks, and is computed once for each state of a block: moves meet the same
    ones again and again. Networks are evaluated in single precision where that does not matter.

    Parameters
    ----------
    decisions : Decisions
        All of them binary.
    X : (B, d) array
    penalty : float
    """

    def __init__(self, decisions: Decisions, X: Array, penalty: float) -> None:
        super().__init__(decisions, X, penalty)
        problem, columns = self._problem, decisions.columns
        labels = _labels(problem)
        blocks = _blocks(decisions, labels)
        of_columns = (blocks[:, None] == labels) & ~problem.is_output
        of_columns[:, columns] = False
        touched = np.abs(self._rows) @ (blocks[:, None] == labels).T.astype(float) > 0
        self._shares = sparse.csr_array(touched.T * self._penalties), sparse.csr_array(of_columns * problem.cost)
        random, member = np.random.default_rng(0), labels[columns][:, None] == blocks
        largest = max(1.0, float(np.abs(decisions.bounds).max()))  # so that sums are exact
        self._codes = random.integers(int(2**51 / columns.size / largest), size=member.shape) * member.astype(float)
        self._offsets = random.integers(2**51, size=blocks.size) - decisions.bounds[0] @ self._codes
        self._keys, self._costs = np.zeros(KEPT, np.int64), np.zeros(KEPT)
        objective = self.objective(self.points(X))
        self.reach = float(np.ptp(objective))
        self._networks = self._precise(X, objective)

    @staticmethod
    def may_suit(problem: Problem) -> bool:
        """Whether a problem's decisions, which take time to find, may be of this kind."""
        has_limits = (np.isfinite(problem.lower) | np.isfinite(problem.upper)) & problem.is_output
        is_apart = not (has_limits.any() or problem.rows_touch_output.any())
        return bool(is_apart and problem.integers.any() and problem.is_defined_everywhere)

    @classmethod
    def suits(cls, decisions: Decisions) -> bool:
        """Whether decisions are of this kind."""
        problem = decisions.problem
        is_open = problem.is_input & (problem.lower < problem.upper) & ~problem.is_output
        is_open[decisions.columns] = False
        is_apart = decisions.are_binaries and cls.may_suit(problem) and not is_open.any()
        return is_apart and len(_blocks(decisions, _labels(problem))) <= MAX_BLOCKS

    def row_costs(self, X: Array) -> Array:
        """The part (B,) of the merits of decisions (B, d) that is told without networks."""
        keys = (self._codes.T @ X.T.astype(np.float64) + self._offsets[:, None]).astype(np.int64)
        slots = keys & (KEPT - 1)
        costs, missing = self._costs[slots], (self._keys[slots] != keys).any(axis=0)
        if missing.any():
            costs[:, missing] = self._block_costs(X[missing])
            self._keys[slots[:, missing]], self._costs[slots[:, missing]] = keys[:, missing], costs[:, missing]
        return np.asarray(costs.sum(axis=0))

    def rest(self, X: Array) -> Array:
        """The other part (B,)."""
        return self._networks.value(X).astype(np.float64)

    def slopes(self, X: Array) -> Array:
        """Derivatives (B, d) of the objective in the decisions, other columns held."""
        return self._networks.gradient(X)

    @cached_property
    def relaxed_rows(self) -> RelaxedRows | None:
        """The rows where decisions may be fractions, None where something follows from them in another way."""
        return RelaxedRows(self._decisions, self._rows, self._limits) if RelaxedRows.suit(self._decisions) else None

    def _block_costs(self, X: Array) -> Array:
        """Costs (blocks, B) of decisions."""
        V = self._decisions.surroundings(X)
        by_rows, by_columns = self._shares
        return np.asarray(by_rows @ self._excess(V) + by_columns @ V.T)

    def _precise(self, X: Array, objective: Array) -> NetworkPart:
        """The networks in single precision, unless rounding is felt at some decisions."""
        exact = NetworkPart(self._decisions, np.float64)
        quick = NetworkPart(self._decisions, np.float32)
        error = np.abs(quick.value(X) - exact.value(X)).max()
        return quick if error <= ROUNDING * np.ptp(objective) else exact


class NetworkPart:
    """What networks and decisions themselves add to the objective, as a function of the decisions.

    Parameters
    ----------
    decisions : Decisions
        Networks read these, fixed columns and each other.
    dtype : floating-point type
    """

    def __init__(self, decisions: Decisions, dtype: DTypeLike) -> None:
        problem, self._size = decisions.problem, decisions.columns.size
        others = np.setdiff1d(np.flatnonzero(problem.is_input | problem.is_output), decisions.columns)
        columns = np.concatenate([decisions.columns, others])
        place = np.zeros(problem.n_columns, int)
        place[columns] = np.arange(columns.size)
        self._stages = tuple(
            replace(stage, inputs=place[stage.inputs], outputs=place[stage.outputs]).astype(dtype)
            for stage in problem.network_stages
        )
        self._cost = np.where(problem.is_output, problem.cost, 0.0)[columns].astype(dtype)
        self._cost[: self._size] = problem.cost[decisions.columns]
        self._others = np.where(problem.is_output, 0.0, problem.lower)[others].astype(dtype)

    def value(self, X: Array) -> Array:
        """Values (B,)."""
        V = self._columns(X)
        for stage in self._stages:
            stage.propagate(V)
        return np.asarray(V @ self._cost)

    def gradient(self, X: Array) -> Array:
        """Derivatives (B, d)."""
        V, gradient = self._columns(X), np.tile(self._cost, (len(X), 1))
        states = [stage.propagate_with_state(V) for stage in self._stages]
        for stage, state in zip(reversed(self._stages), reversed(states), strict=True):
            stage.pull_back(gradient, state)
        return gradient[:, : self._size]

    def _columns(self, X: Array) -> Array:
        V = np.empty((len(X), self._cost.size), self._cost.dtype)
        V[:, : self._size], V[:, self._size :] = X, self._others
        return V


def _labels(problem: Problem) -> Array:
    """For each column the block that rows tie it to, -1 for none; columns that are fixed tie nothing."""
    rows = sparse.coo_array(problem.rows)
    is_tie = (rows.data != 0) & (problem.lower < problem.upper)[rows.col]
    first, second = rows.row[is_tie], problem.n_rows + rows.col[is_tie]
    size = problem.n_rows + problem.n_columns
    graph = sparse.coo_array((np.ones(first.size), (first, second)), shape=(size, size))
    labels = np.asarray(connected_components(graph, directed=False)[1][problem.n_rows :])
    labels[np.setdiff1d(np.arange(labels.size), rows.col[is_tie])] = -1
    return labels


def _blocks(decisions: Decisions, labels: Array) -> Array:
    """The blocks that hold decisions."""
    blocks = np.unique(labels[decisions.columns])
    return blocks[blocks >= 0]
