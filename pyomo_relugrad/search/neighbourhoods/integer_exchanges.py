"""Integer points near another one: one or a few integers move by one, and the rows move others after them."""

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem, Product
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.relaxation import output_ranges


class IntegerExchanges:
    """Integers that move together so that the rows can still hold.

    Examples
    --------
    Of two binaries just one is 1: to move either is to exchange both.

    >>> from pyomo_relugrad.problem import Problem, Product
    >>> choice = Problem(
    ...     np.zeros(2), np.zeros(2), np.ones(2), np.ones((1, 2)), np.ones(1), np.ones(1), np.array([True, True]))
    >>> exchanges = IntegerExchanges(choice)
    >>> exchanges.points(np.array([1.0, 0.0]), exchanges.moves(np.array([1.0, 0.0]))[:, None])[0].tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """

    def __init__(self, problem: Problem) -> None:
        self._lower, self._upper = output_ranges(problem)
        self._tighten = RowTightening(problem)
        self._is_integer, self._following = problem.integers, Following(problem)
        #: (k,) columns that may move.
        self.columns = self._following.columns
        binaries = set(self.columns[problem.upper[self.columns] - problem.lower[self.columns] == 1].tolist())
        products = [each for each in problem.followers if isinstance(each, Product)]
        kept = [each.output for each in products if not binaries.isdisjoint((each.first, each.second))]
        self._keeps = np.isin(np.arange(problem.n_columns), kept) & ~problem.integers

    def go_far(self, moves: Array) -> bool:
        """Whether moves (m,) may be made several times."""
        columns = self.columns[moves % self.columns.size]
        return bool((self._upper - self._lower)[columns].max() > 1.5)

    def moves(self, v: Array) -> Array:
        """The moves that the bounds leave a point `v`: column `i` may go down (move `i`) or up (move ``i + k``)."""
        values = np.round(v[self.columns])
        can_move = [values > self._lower[self.columns], values < self._upper[self.columns]]
        return np.flatnonzero(np.concatenate(can_move))

    def points(
        self, v: Array, moves: Array, stride: int = 1, random: np.random.Generator | None = None
    ) -> tuple[Array, Array]:
        """The points that moves lead to, and which moves these are: those are left out that rows exclude.

        Where the integers of `v` do not fit beside those that moved, as in a full knapsack, those at the end of a
        random order make way.

        Parameters
        ----------
        v : (n,) array
        moves : (N, m) int array
            Of those of `moves`, made together.
        stride : int, optional
            By how much a move changes a column, where its bounds let it.
        random : Generator, optional
            Without one no integers make way.

        Returns
        -------
        points : (K, n) array
            Continuous columns that do not follow from integers have their values in `v`.
        kept : (K,) int array
            Rows of `moves`.
        """
        k = self.columns.size
        columns = self.columns[moves % k]
        values = np.round(v[columns]) + np.where(moves < k, -stride, stride)
        values = np.clip(values, self._lower[columns], self._upper[columns]) if stride > 1 else values
        row = np.arange(len(moves))[:, None]
        lower, upper = (np.repeat(side[None], len(values), axis=0) for side in (self._lower, self._upper))
        lower[row, columns] = upper[row, columns] = values
        lower, upper, possible = self._tighten(lower, upper)
        lower, upper = lower[possible], upper[possible]
        if random is not None:
            lower, upper = self._made_way(v, lower, upper, random)
        V = np.where(self._is_integer, np.clip(np.round(v), lower, upper), v)
        # Products with binaries keep their values: a descent that must move them goes farther with its first step.
        V = np.where(self._keeps, V, self._following.moved(V))
        fits = self._tighten(np.where(self._is_integer, V, self._lower), np.where(self._is_integer, V, self._upper))[2]
        return V[fits], np.flatnonzero(possible)[fits]

    def _made_way(self, v: Array, lower: Array, upper: Array, random: np.random.Generator) -> tuple[Array, Array]:
        """Boxes (K, n) in which integers are fixed at their values in `v`, or next to them, one after another."""
        values = np.clip(np.round(v), lower, upper)
        held = np.where(self._is_integer, values, lower), np.where(self._is_integer, values, upper)
        stuck = np.flatnonzero(~self._tighten(*held)[2])
        low, high = lower[stuck], upper[stuck]
        for column in random.permutation(self.columns) if stuck.size else ():
            is_open = low[:, column] < high[:, column]
            if is_open.any():
                value = np.clip(np.round(v[column]), low[is_open, column], high[is_open, column])
                low[is_open, column] = high[is_open, column] = value
                low[is_open], high[is_open], _ = self._tighten(low[is_open], high[is_open])
        lower[stuck], upper[stuck] = low, high
        return lower, upper
