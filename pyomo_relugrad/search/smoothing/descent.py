"""Sequential quadratic programming in the columns that move, on a chain that is rounded off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import lapack

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.programs import PricedMinimum, dense_quadratic_minimum, priced_quadratic_minimum
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.smoothing.chain import Chain, Kinks, no_kinks
from pyomo_relugrad.search.smoothing.prices import Prices

#: Shares of a step that are compared at once.
SHARES = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01])
#: Curvature, relative to the largest, that every direction has at least.
LEAST_CURVATURE = 1e-8
#: By what the damping is multiplied after a step, by the share of it that was best.
CHANGES = np.array([0.1, 0.5, 2.0, 4.0, 10.0, 30.0])
#: Corrections of the first damping, and the excess of the step over its length below which none is made.
MAX_CORRECTIONS, EXCESS = 4, 1.5
#: By what the penalties of bounds of outputs are raised in quadratic programs, which then break none without need.
FIRM = 100.0
#: Linearizations by which a point is moved onto sides, and the violation, less than any tolerance, that is left.
MAX_REPAIRS, REPAIRED = 3, 1e-7
#: By what the length of a step on sharp kinks falls after one in vain, and how often before a point rests.
SHORTER, MAX_SHORTER = 0.1, 2.5
#: Share of its model's gain that a step may lack: the model itself is no better.
GAP = 0.05
#: Gain, relative to 1 + |merit|, below which a descent ends.
LEAST_GAIN = 1e-5


class ChainDescent:
    """Steps by quadratic programs over the moving columns; states follow from them.

    Points descend side by side: what is done once for all of them costs little more than for one. Near sharp kinks are
    sides of the program, which a step crosses at a price: with these, points come to rest where many kinks meet. Where
    kinks are narrow or sharp, a model holds for short steps alone: there the Hessian is damped (Levenberg 1944), less
    after whole steps and more after others, since a step that is short from the beginning is better than a small
    share of a long one.

    Parameters
    ----------
    problem : Problem
    moving : (d,) int array
    prices : Prices
        What a step must lower: the objective, and what violations cost.
    budget : Budget
    ranges : (d,) array
        Widths of the intervals in which the moving columns are, finite: the units of their steps.
    """

    def __init__(self, problem: Problem, moving: Array, prices: Prices, budget: Budget, ranges: Array) -> None:
        #: What the last step took.
        self.seconds = 0.0
        self._problem, self._moving, self._prices, self._budget = problem, moving, prices, budget
        self._metric = 1.0 / ranges**2
        is_moving = np.isin(np.arange(problem.n_columns), moving)
        self._columns = np.flatnonzero(is_moving | problem.is_output)
        self._lower = np.concatenate([problem.lower[self._columns], problem.row_lower])
        self._upper = np.concatenate([problem.upper[self._columns], problem.row_upper])
        self._below, self._above = np.flatnonzero(np.isfinite(self._lower)), np.flatnonzero(np.isfinite(self._upper))
        of_columns = np.where(is_moving, np.inf, FIRM * prices.outputs)[self._columns]
        below, above = (np.concatenate([of_columns, rows]) for rows in prices.of_rows)
        self._side_prices = np.concatenate([above[self._above], below[self._below]])
        below, above = (np.concatenate([np.zeros(self._columns.size, bool), rows]) for rows in prices.is_paid)
        self._is_loose = np.concatenate([above[self._above], below[self._below]])
        # Where the last descent ended, and those of the sides in its last programs: there the next one may go on.
        self._ends, self._multipliers = np.zeros((0, problem.n_columns)), np.zeros((0, self._side_prices.size))

    def run(self, chain: Chain, V: Array, count: int, length: float = np.inf) -> Iterator[Array]:
        """Yield the points (B, n) after each of some steps from points, as long as one of them is lowered.

        The first step is damped to about a length, the root of the mean square over the columns, in shares of their
        ranges.

        A point that a step did not lower by much rests from then on. No step begins that would take longer than the
        time left.
        """
        multipliers = self._multipliers_at(V)
        self._ends, self._multipliers = V, multipliers
        V = chain.propagate(V)
        values, moved = self._values(V), np.arange(len(V))
        of_kinks = np.zeros((len(V), chain.n_neurons if chain.is_sharp else 0))
        damping = np.full(len(V), np.nan if np.isfinite(length) else 0.0)  # NaN: to be found
        lengths, shortest = np.full(len(V), length), SHORTER**MAX_SHORTER * length if chain.is_sharp else np.inf
        for _ in range(count):
            if self._budget.is_exhausted() or self._budget.remaining < self.seconds:
                return
            begin = self._budget.elapsed
            steps = self._steps(chain, V, values, moved, damping, lengths, multipliers, of_kinks)
            tried, least, best = self._best_shares(chain, V[moved], steps)
            self._budget.count(points=SHARES.size * moved.size)
            self.seconds = self._budget.elapsed - begin
            gain = values[moved] - least
            better = gain > 0
            damping[moved] *= CHANGES[best]
            if better.any():
                V, values = V.copy(), values.copy()
                V[moved[better]], values[moved[better]] = tried[better], least[better]
                self._ends = V
                yield V
            is_vain = gain <= LEAST_GAIN * (1.0 + np.abs(values[moved]))
            lengths[moved[is_vain]] *= SHORTER
            damping[moved[is_vain]] = np.nan
            moved = moved[~is_vain | (lengths[moved] > shortest)]
            if not moved.size:
                return

    def repaired(self, chain: Chain, v: Array) -> Array:
        """The point (n,) moved as little as a few linearizations need to hold all sides that no slack loosens."""
        (v,) = chain.propagate(v[None])
        moving, is_firm = self._moving, ~self._is_loose
        for _ in range(MAX_REPAIRS):
            limits = self._limits(v[None])[0]
            if (limits[is_firm] >= -REPAIRED).all():
                break
            normals = self._sides(chain.models(v[None], np.zeros((1, v.size))).slopes[0])[is_firm]
            step = dense_quadratic_minimum(np.diag(self._metric), np.zeros(moving.size), normals, limits[is_firm])
            if step is None:
                break
            moved = v.copy()
            moved[moving] = np.clip(v[moving] + step, self._problem.lower[moving], self._problem.upper[moving])
            (v,) = chain.propagate(moved[None])
        return v

    def _multipliers_at(self, V: Array) -> Array:
        """Those (B, m) of points at which the last descent ended; of others none are known."""
        multipliers = np.zeros((len(V), self._side_prices.size))
        own, ends = V[:, None, self._moving], self._ends[None, :, self._moving]
        point, end = np.nonzero((own == ends).all(axis=2))
        multipliers[point] = self._multipliers[end]
        return multipliers

    def _values(self, V: Array) -> Array:
        return self._prices.of(self._problem, V)

    def _best_shares(self, chain: Chain, V: Array, steps: Array) -> tuple[Array, Array, Array]:
        """Of each point's shares of its step (B, d) the best point (B, n), its merit (B,), and the share's number."""
        problem, moving = self._problem, self._moving
        tried = np.repeat(V, SHARES.size, axis=0)
        moved = (V[:, None, moving] + SHARES[:, None] * steps[:, None]).reshape(len(tried), -1)
        tried[:, moving] = np.minimum(np.maximum(moved, problem.lower[moving]), problem.upper[moving])
        tried = chain.propagate(tried)
        values = self._values(tried).reshape(len(V), -1)
        best, numbers = values.argmin(axis=1), np.arange(len(V))
        return tried.reshape(len(V), SHARES.size, -1)[numbers, best], values[numbers, best], best

    def _steps(
        self,
        chain: Chain,
        V: Array,
        values: Array,
        moved: Array,
        damping: Array,
        lengths: Array,
        multipliers: Array,
        of_kinks: Array,
    ) -> Array:
        """For each of the points that move the step (d,) to its model's minimum; zero where none is found.

        A damping that is NaN is found, so that the step has about the point's length, which becomes zero where the
        minimum promises next to nothing. Multipliers, of sides and of kinks, become those at the minimum.
        """
        limits, prices = self._limits(V[moved]), self._side_prices
        paid = np.isfinite(prices) & (limits < 0)
        pull = self._pull(
            np.where(multipliers[moved].any(axis=1, keepdims=True), multipliers[moved], np.where(paid, prices, 0.0))
        )
        models = chain.models(V[moved], pull)
        steps, least = np.zeros((moved.size, self._moving.size)), LEAST_GAIN * (1.0 + np.abs(values[moved]))
        for k, (point, gradient, hessian, slopes) in enumerate(zip(moved, *models[:3], strict=True)):
            if self._budget.is_over:
                break
            sides = self._sides(slopes)
            hessian.flat[:: len(hessian) + 1] += LEAST_CURVATURE * _scale(hessian, gradient)
            if np.isnan(damping[point]):
                damping[point] = self._damping(hessian, gradient + prices[paid[k]] @ sides[paid[k]], lengths[point])
            hessian.flat[:: len(hessian) + 1] += damping[point] * self._metric
            if chain.is_sharp or self._is_loose.any():
                kinks = models.kinks[k] if models.kinks else no_kinks(len(hessian))
                minimum = self._priced_minimum(
                    hessian, gradient, sides, limits[k], kinks, multipliers[point], of_kinks[point], least[k]
                )
                if minimum is not None:
                    steps[k] = minimum.point
                    lengths[point] = lengths[point] if minimum.gain > least[k] else 0.0
            else:
                step = self._hard_step(hessian, gradient, sides, limits[k])
                if step is not None:
                    steps[k] = step
        return steps

    def _priced_minimum(
        self,
        hessian: Array,
        gradient: Array,
        sides: Array,
        limits: Array,
        kinks: Kinks,
        multipliers: Array,
        of_kinks: Array,
        least: float,
    ) -> PricedMinimum | None:
        """The step where sides and kinks may be crossed at their prices; sets their multipliers, in place."""
        before = of_kinks[kinks.numbers]
        minimum = priced_quadratic_minimum(
            hessian,
            gradient,
            np.concatenate([sides, kinks.normals]),
            np.concatenate([limits, kinks.distances]),
            np.concatenate([self._side_prices, kinks.prices]),
            np.concatenate([multipliers, np.minimum(before, 0.99 * kinks.prices)]),
            gap=GAP,
            least=least,
        )
        if minimum is None:
            return None
        multipliers[:], after = np.split(minimum.multipliers, [limits.size])
        of_kinks[:] = 0.0
        of_kinks[kinks.numbers] = np.where(after < kinks.prices, after, 0.0)
        return minimum

    def _pull(self, multipliers: Array) -> Array:
        """Derivatives (B, n) in the columns of what the sides cost by their multipliers."""
        problem, size = self._problem, self._columns.size
        above, below = np.split(multipliers, [self._above.size], axis=1)
        activity = np.zeros((len(multipliers), size + problem.n_rows))
        activity[:, self._above] += above
        activity[:, self._below] -= below
        pull = activity[:, size:] @ problem.rows
        pull[:, self._columns] += activity[:, :size]
        return np.asarray(pull)

    def _hard_step(self, hessian: Array, gradient: Array, sides: Array, limits: Array) -> Array | None:
        """The step (d,) within all sides; where states cannot be held to all of theirs at once, within the others."""
        step = dense_quadratic_minimum(hessian, gradient, sides, limits)
        plain = np.isinf(self._side_prices)
        return dense_quadratic_minimum(hessian, gradient, sides[plain], limits[plain]) if step is None else step

    def _damping(self, hessian: Array, gradient: Array, wanted: float) -> float:
        """The damping under which a step without sides has about the wanted length, or less where it is zero.

        Newton's method on the inverse of the length (Moré and Sorensen, "Computing a trust region step", 1983).
        """
        damping = 0.0
        for _ in range(MAX_CORRECTIONS):
            damped = hessian.copy()
            damped.flat[:: len(hessian) + 1] += damping * self._metric
            factor, failed = lapack.dpotrf(damped, lower=1)
            if failed:
                break
            step, _ = lapack.dpotrs(factor, gradient, lower=1)
            length = np.sqrt((step * step * self._metric).mean())
            if length <= EXCESS * wanted:
                break
            slope, _ = lapack.dtrtrs(factor, step * self._metric, lower=1)
            damping += step.size * length**2 / (slope @ slope) * (length - wanted) / wanted
        return float(damping)

    def _sides(self, slopes: Array) -> Array:
        """Bounds of columns and rows, linearized by slopes (n, d): normals (m, d) of ``normals @ step <= limits``."""
        normals = np.concatenate([slopes[self._columns], self._problem.rows @ slopes])
        return np.concatenate([normals[self._above], -normals[self._below]])

    def _limits(self, V: Array) -> Array:
        """The limits (B, m) of `_sides`."""
        activity = np.concatenate([V[:, self._columns], self._problem.row_activity(V)], axis=1)
        above, below = (self._upper - activity)[:, self._above], (activity - self._lower)[:, self._below]
        return np.concatenate([above, below], axis=1)


def _scale(hessian: Array, gradient: Array) -> float:
    """What a small curvature is measured by."""
    return float(np.abs(hessian).max(initial=0.0)) or float(np.abs(gradient).max(initial=0.0)) or 1.0
