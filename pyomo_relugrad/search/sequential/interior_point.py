"""An interior-point descent of smooth problems: it comes to feasible points where steps of linear programs stall."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import splu

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.sequential.full_space import FullSpace
from pyomo_relugrad.search.sequential.last_digits import is_rounding
from pyomo_relugrad.search.sequential.merit import NEARLY_FEASIBLE

#: Iterations of one descent, of one restoration, and halvings of a step.
MAX_STEPS, MAX_RESTORING, MAX_HALVINGS = 100, 40, 12
#: Descents until one ends nearly feasible.
ROUNDS = 4
#: Share of a descent's time that is kept, where time ends, for what comes after it.
FOR_THE_END = 0.15
#: First parameters of the barrier and first multipliers of bounds, in turns: it is luck which lead where.
BEGINNINGS = ((0.1, 1.0), (1e-4, 1.0), (0.1, 0.01), (1e-3, 1e-3))
#: Barrier: last parameter, by what it falls, the error up to which one is kept, and the share of the way to a
#: bound that a step may go.
LAST_BARRIER, BARRIER_SHARE, BARRIER_POWER = 1e-9, 0.2, 1.5
BARRIER_ERROR, TO_BOUND = 10.0, 0.99
#: Added to the Hessian: the first value that is tried, the least, growth and largest. Added for dependent equations,
#: and the least curvature along a step.
FIRST_ADDED, LEAST_ADDED, ADDED_GROWTH, LARGEST_ADDED = 1e-4, 1e-14, 10.0, 1e10
DEPENDENT, LEAST_CURVATURE = 1e-9, 1e-10
#: Always added to the Hessian, so that pivots where there is no curvature leave digits to the others.
LEAST_DIAGONAL = 1e-8
#: By what a step must lower the violation or the barrier function; Armijo's share.
FILTER_MARGIN, ARMIJO = 1e-5, 1e-4
#: Pivots on the diagonal, whose signs are those of the eigenvalues; residual up to which a solution counts.
SYMMETRIC = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
ACCURATE = 1e-6
#: Rows of systems that are solved as dense ones: below that sparse matrices cost more than they save.
DENSE = 250
#: How far multipliers of bounds may be from those of the barrier.
MULTIPLIER_REACH = 1e10
#: Scaled violation and error at which a descent ends.
FEASIBLE, CONVERGED = 1e-9, 1e-8


def interior_descent(
    problem: Problem, v: Array, budget: Budget, given: Array | None = None, number: int = 0
) -> Generator[None, None, Array]:
    """Where a primal-dual interior-point method leads from a point (n,); integers are held.

    Newton steps on the barrier's optimality conditions, accepted by a filter (Waechter, Biegler, 2006), with a
    Levenberg-Marquardt restoration where the filter takes none. Where it ends at a violation it goes on from there in
    other units, and at last begins again with another barrier. A sign of life after each step. What values are `given`
    are where it begins, as those of states that equations write; the `number` chooses among barriers.

    Returns
    -------
    (n,) array
        With propagated outputs; the end of the least violation, which may violate rows.
    """
    best, least, first, start, begun = v, np.inf, (v, given), (v, given), budget.elapsed
    for attempt in range(ROUNDS):
        space = FullSpace(problem, *first)
        if not space.n_columns or not np.isfinite(space.start).all():
            break
        beginning = BEGINNINGS[(number + (attempt == ROUNDS - 1)) % len(BEGINNINGS)]
        descent = _InteriorPoint(space, *beginning)
        for _ in range(MAX_STEPS):
            if _is_late(budget, begun) or not descent.step():
                break
            budget.count(points=1)
            yield None
        there = space.values(descent.z)
        end = np.asarray(problem.propagate(there[None])[0])
        violation = float(problem.violation(end[None])[0])
        if violation < least or not np.isfinite(least):
            best, least = end, violation
        if _is_late(budget, begun) or not least > NEARLY_FEASIBLE or is_rounding(problem, best):
            break
        first = start if attempt == ROUNDS - 2 else (end, there if space.is_log.any() else None)
    return best


def _is_late(budget: Budget, begun: float) -> bool:
    """Whether what is left of the time is needed to move the end of a descent, as it stands, onto the rows."""
    return budget.is_exhausted() or budget.remaining < FOR_THE_END * (budget.elapsed - begun)


@dataclass(frozen=True, eq=False)
class _Solution:
    """Of a symmetric system: its two parts, and how many eigenvalues of the matrix are negative where that is known."""

    step: Array
    multipliers: Array
    negative: int | None


@dataclass
class _Filter:
    """Pairs of violation and barrier function that later points must not be dominated by."""

    pairs: list[tuple[float, float]] = field(default_factory=list)

    def takes(self, violation: float, value: float) -> bool:
        return all(violation < v or value < f for v, f in self.pairs)

    def add(self, violation: float, value: float) -> None:
        self.pairs.append(((1 - FILTER_MARGIN) * violation, value - FILTER_MARGIN * violation))


class _InteriorPoint:
    """The iteration: variables, multipliers of equations and bounds, barrier parameter."""

    def __init__(self, space: FullSpace, barrier: float = 0.1, price: float = 1.0) -> None:
        self._space = space
        self.z = space.start
        self._has_lower, self._has_upper = np.isfinite(space.lower), np.isfinite(space.upper)
        self._barrier, self._added = barrier, 0.0
        self._below_price, self._above_price = self._has_lower * price, self._has_upper * price
        self._read()
        self._multipliers = self._least_squares_multipliers()
        self._filter, self._most = _Filter(), 1e4 * max(1.0, float(np.abs(self._c).sum()))

    def _slacks(self, z: Array) -> tuple[Array, Array]:
        """Distances to the bounds, one where there is none."""
        space = self._space
        below = np.where(self._has_lower, z - space.lower, 1.0)
        return below, np.where(self._has_upper, space.upper - z, 1.0)

    def _read(self) -> None:
        self._c, self._jacobian = self._space.constraints(self.z), self._space.jacobian(self.z)
        self._gradient = self._space.gradient(self.z)
        self._dense_jacobian = self._jacobian.toarray() if sum(self._jacobian.shape) <= DENSE else np.zeros((0, 0))

    def _least_squares_multipliers(self) -> Array:
        slope = self._gradient - self._below_price + self._above_price
        solution = self._solve(sparse.eye_array(self.z.size, format="csr"), slope, np.zeros(self._c.size), DEPENDENT)
        found = np.zeros(self._c.size) if solution is None else solution.multipliers
        return found if np.abs(found).max(initial=0.0) <= 1e3 else np.zeros(self._c.size)

    def _solve(self, upper_left: Weight, first: Array, second: Array, added: float) -> _Solution | None:
        """The solution of the symmetric system with the Jacobian; None where it is singular."""
        m, right = self._c.size, -np.concatenate([first, second])
        if right.size <= DENSE:
            return _dense_solution(upper_left, self._dense_jacobian, added, right)
        matrix = sparse.block_array(
            [[upper_left, self._jacobian.T], [self._jacobian, -added * sparse.eye_array(m)]], format="csc"
        )
        for options in SYMMETRIC, {}:
            try:
                factors = splu(matrix, **options)
            except (RuntimeError, ValueError):
                continue
            solution = factors.solve(right)
            solution += factors.solve(right - matrix @ solution)
            error = np.abs(right - matrix @ solution).max(initial=0.0)
            if np.isfinite(error) and error <= ACCURATE * (1.0 + np.abs(right).max(initial=0.0)):
                negative = None
                if options and (factors.perm_r == factors.perm_c).all():
                    negative = int((factors.U.diagonal() < 0).sum())
                return _Solution(solution[: first.size], solution[first.size :], negative)
        return None

    def _value(self, z: Array) -> tuple[float, float]:
        """Violation and barrier function."""
        c = self._space.constraints(z)
        below, above = self._slacks(z)
        if not np.isfinite(c).all() or min(below.min(), above.min()) <= 0:
            return np.inf, np.inf
        value = self._space.objective(z) - self._barrier * float(np.log(below).sum() + np.log(above).sum())
        return float(np.abs(c).sum()), value if np.isfinite(value) else np.inf

    def _error(self, barrier: float) -> float:
        """How far the barrier's optimality conditions are from holding."""
        below, above = self._slacks(self.z)
        slope = self._gradient + self._jacobian.T @ self._multipliers - self._below_price + self._above_price
        prices = np.concatenate([self._multipliers, self._below_price, self._above_price])
        size = max(1.0, float(np.abs(prices).mean()) / 100.0)
        ends = [
            self._has_lower * (below * self._below_price - barrier),
            self._has_upper * (above * self._above_price - barrier),
        ]
        largest = max(np.abs(slope).max(), *(np.abs(end).max() for end in ends)) / size
        return float(max(largest, np.abs(self._c).max(initial=0.0)))

    def step(self) -> bool:
        """One iteration; whether to go on."""
        if self._error(0.0) <= CONVERGED:
            return False
        while self._barrier > LAST_BARRIER and self._error(self._barrier) <= BARRIER_ERROR * self._barrier:
            self._barrier = max(LAST_BARRIER, min(BARRIER_SHARE * self._barrier, self._barrier**BARRIER_POWER))
            self._filter = _Filter()
        direction = self._direction()
        if direction is not None and self._search(*direction):
            self._read()
            return bool(np.isfinite(self._c).all())
        return self._restore()

    def _direction(self) -> tuple[Array, Array] | None:
        """Newton's step, also of the multipliers, with enough added to the Hessian for a positive curvature."""
        below, above = self._slacks(self.z)
        bounds = self._below_price / below + self._above_price / above
        hessian = self._space.hessian(self.z, self._multipliers) + sparse.diags_array(bounds)
        slope = self._gradient - self._barrier * (self._has_lower / below - self._has_upper / above)
        first = slope + self._jacobian.T @ self._multipliers
        added = 0.0
        while added <= LARGEST_ADDED:
            checkpoint()
            upper_left = hessian + sparse.diags_array(np.full(self.z.size, added + LEAST_DIAGONAL))
            solution = self._solve(upper_left, first, self._c, DEPENDENT * self._barrier**0.25)
            if solution is not None:
                step = solution.step
                curvature = float(step @ (upper_left @ step))
                is_convex = curvature >= LEAST_CURVATURE * float(step @ step)
                if solution.negative is not None:
                    is_convex = solution.negative == self._c.size
                if is_convex:
                    self._added = added or self._added
                    return step, solution.multipliers
            if added == 0.0:
                added = max(self._added / 3.0, LEAST_ADDED) if self._added else FIRST_ADDED
            else:
                added *= ADDED_GROWTH
        return None

    def _search(self, step: Array, multipliers: Array) -> bool:
        """Go along a step as far as bounds and filter allow; whether any length is allowed."""
        below, above = self._slacks(self.z)
        keep = max(TO_BOUND, 1.0 - self._barrier)
        longest = min(_longest(self._has_lower * below, step, keep), _longest(self._has_upper * above, -step, keep))
        slope = float((self._gradient - self._barrier * (self._has_lower / below - self._has_upper / above)) @ step)
        violation, value = self._value(self.z)
        length = longest
        for number in range(MAX_HALVINGS):
            trial = self.z + length * step
            if self._accepts(trial, violation, value, length * slope):
                break
            if number == 0:
                corrected = self._corrected(step, length, keep, violation)
                if corrected is not None and self._accepts(corrected, violation, value, length * slope):
                    trial = corrected
                    break
            length *= 0.5
        else:
            return False
        self._move(trial, step, multipliers, length)
        return True

    def _accepts(self, trial: Array, violation: float, value: float, promised: float) -> bool:
        """Whether the filter takes a trial point; where it is one that lowers the value alone, nothing is added."""
        after, there = self._value(trial)
        if not np.isfinite(after) or after > self._most or not self._filter.takes(after, there):
            return False
        rounding = 1e-13 * (1.0 + abs(value))
        if promised < 0 and violation <= 1e-4 * max(1.0, self._most / 1e4) and (-promised) ** 2.3 > violation**1.1:
            return there <= value + ARMIJO * promised + rounding
        is_better = after <= (1 - FILTER_MARGIN) * violation or there <= value - FILTER_MARGIN * violation
        if is_better:
            self._filter.add(violation, value)
        return is_better or (violation <= FEASIBLE and there <= value + rounding)

    def _corrected(self, step: Array, length: float, keep: float, violation: float) -> Array | None:
        """The step corrected for the curvature of the constraints at its end."""
        trial = self.z + length * step
        c = self._space.constraints(trial)
        if not np.isfinite(c).all() or np.abs(c).sum() < violation:
            return None
        below, above = self._slacks(self.z)
        weights = sparse.diags_array(self._below_price / below + self._above_price / above + 1.0)
        solution = self._solve(weights, np.zeros(step.size), c, DEPENDENT)
        if solution is None:
            return None
        whole = length * step + solution.step
        longest = min(_longest(self._has_lower * below, whole, keep), _longest(self._has_upper * above, -whole, keep))
        return self.z + longest * whole

    def _move(self, trial: Array, step: Array, multipliers: Array, length: float) -> None:
        """Take a step, with its multipliers."""
        below, above = self._slacks(self.z)
        keep = max(TO_BOUND, 1.0 - self._barrier)
        low = self._has_lower * (self._barrier / below - self._below_price - self._below_price / below * step)
        high = self._has_upper * (self._barrier / above - self._above_price + self._above_price / above * step)
        dual = min(_longest(self._below_price, low, keep), _longest(self._above_price, high, keep))
        self._multipliers = self._multipliers + length * multipliers
        self.z = trial
        below, above = self._slacks(trial)
        self._below_price = self._near_barrier(self._below_price + dual * low, below) * self._has_lower
        self._above_price = self._near_barrier(self._above_price + dual * high, above) * self._has_upper

    def _near_barrier(self, prices: Array, slacks: Array) -> Array:
        central = self._barrier / slacks
        return np.clip(prices, central / MULTIPLIER_REACH, central * MULTIPLIER_REACH)

    def _restore(self) -> bool:
        """Levenberg-Marquardt steps on the violation alone, bounds farther away than they are near; whether it fell."""
        violation, value = self._value(self.z)
        if violation <= FEASIBLE:
            return False
        self._filter.add(violation, value)
        z, damping = self.z, 1e-4
        for _ in range(MAX_RESTORING):
            checkpoint()
            self._read()
            below, above = self._slacks(self.z)
            near = damping * (1.0 + self._has_lower / below**2 + self._has_upper / above**2)
            found = self._solve(sparse.diags_array(near), np.zeros(z.size), self._c, 1.0)
            before = float(self._c @ self._c)
            trial, after = self.z, np.inf
            if found is not None:
                step = found.step
                most = min(
                    _longest(self._has_lower * below, step, TO_BOUND),
                    _longest(self._has_upper * above, -step, TO_BOUND),
                )
                trial = self.z + most * step
                c = self._space.constraints(trial)
                after = float(c @ c) if np.isfinite(c).all() else np.inf
            if after < (1.0 - 1e-4) * before:
                self.z, damping = trial, max(damping * 0.2, 1e-12)
                after_violation, after_value = self._value(self.z)
                if after_violation <= 0.5 * violation and self._filter.takes(after_violation, after_value):
                    break
            else:
                damping *= 10.0
                if damping > 1e8:
                    break
        self._read()
        is_lower = float(np.abs(self._c).sum()) < 0.999 * violation
        if is_lower:
            below, above = self._slacks(self.z)
            self._below_price = self._has_lower * np.minimum(self._barrier / below, 1e3)
            self._above_price = self._has_upper * np.minimum(self._barrier / above, 1e3)
            self._multipliers = np.zeros(self._c.size)
        return is_lower


def _dense_solution(upper_left: Weight, jacobian: Array, added: float, right: Array) -> _Solution | None:
    """The solution of a symmetric system of few rows by Bunch and Kaufman's pivots, with one refinement."""
    m, n = jacobian.shape
    matrix = np.zeros((n + m, n + m))
    matrix[:n, :n] = upper_left.toarray()
    matrix[n:, :n], matrix[:n, n:] = jacobian, jacobian.T
    matrix[np.arange(n, n + m), np.arange(n, n + m)] = -added
    if not np.isfinite(matrix).all():
        return None
    factors, pivots, info = lapack.dsytrf(matrix, lower=1)
    if info != 0:
        return None
    solution = lapack.dsytrs(factors, pivots, right, lower=1)[0]
    solution = solution + lapack.dsytrs(factors, pivots, right - matrix @ solution, lower=1)[0]
    error = np.abs(right - matrix @ solution).max(initial=0.0)
    if not error <= ACCURATE * (1.0 + np.abs(right).max(initial=0.0)):
        return None
    # Of each pair of pivots one is negative.
    negative = int((factors.diagonal()[pivots > 0] < 0).sum()) + int((pivots < 0).sum()) // 2
    return _Solution(solution[:n], solution[n:], negative)


def _longest(room: Array, step: Array, keep: float) -> float:
    """The longest share of a step, at most one, that leaves a share of the room; zero room stands for none to leave."""
    towards = (step < 0) & (room > 0)
    if not towards.any():
        return 1.0
    return float(min(1.0, keep * (room[towards] / -step[towards]).min()))
