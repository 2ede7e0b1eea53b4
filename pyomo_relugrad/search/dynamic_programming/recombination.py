"""The best sequence of decisions that can be put together from those of given points, by dynamic programming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.search.dynamic_programming.plan import StagePlan, plans_of
from pyomo_relugrad.search.dynamic_programming.stages import Stage
from pyomo_relugrad.search.sequential.merit import Merit

#: States that are kept after a stage.
MAX_STATES = 64
#: Cells in which the cheapest states are looked for.
SMALL_CELLS, LARGE_CELLS = 256, 16


class DynamicProgram:
    """Forward dynamic programming over the stages of a problem.

    After each stage the states fall into cells, and of each cell the cheapest goes on. All of them were reached by
    decisions, so that nothing is interpolated. What is chosen keeps to the rows where it can; costs are those of
    `Merit`.

    Parameters
    ----------
    problem : Problem
    stages : tuple of Stage
    lower, upper : (n,) arrays
        Bounds of all columns, those of outputs included.
    """

    def __init__(self, problem: Problem, stages: tuple[Stage, ...], lower: Array, upper: Array) -> None:
        self._problem = problem
        self._plans = plans_of(problem, stages, lower, upper)
        self._fixed = np.where(problem.lower == problem.upper, problem.lower, 0.0)
        self._values: list[ValueFunction] = [NOTHING] * len(stages)

    def recombine(self, points: Array, merit: Merit, random: np.random.Generator, budget: Budget) -> Array:
        """The best point whose decisions at each stage are those of some given point, as far as rows allow them.

        Parameters
        ----------
        points : (M, n) array
        merit : Merit
        random : numpy.random.Generator
        budget : Budget
            Each stage counts as one iteration. When it is exhausted, the rest of the decisions are those of the first
            point.

        Returns
        -------
        (n,) array
            With propagated outputs.
        """
        states, done = _States.at(self._problem, self._fixed), []
        for plan, value in zip(self._plans, self._values, strict=True):
            if budget.is_exhausted():
                points = points[:1]
            step = _Step(self._problem, plan, states, points, merit)
            states = step.survivors(value, random)
            budget.count(points=step.size)
            done.append(step)
        self._values = [*reversed(list(_values_backward(done)))]
        return self._problem.propagate(states.V[:1])[0]


class _States:
    """States after a stage: the points (k, n) that reached them, their rows' activity (k, m) and cost (k,)."""

    def __init__(self, V: Array, activity: Array, cost: Array) -> None:
        self.V, self.activity, self.cost = V, activity, cost

    @classmethod
    def at(cls, problem: Problem, v: Array) -> _States:
        """One state before the first stage."""
        return cls(v[None].copy(), problem.row_activity(v[None]), np.zeros(1))


class _Step:
    """All states with all decisions of one stage: `size` candidates, those of the first state first."""

    def __init__(self, problem: Problem, plan: StagePlan, states: _States, points: Array, merit: Merit) -> None:
        self._problem, self._plan, self._states, self._merit = problem, plan, states, merit
        self._count = len(points)
        self.size = len(states.V) * self._count
        self._known: dict[int, Array] = {}
        self._activity = self._spread(states.activity[:, plan.rows]).T.copy()
        self._cost = self._spread(states.cost) - self._penalty(plan.before)
        stage = plan.stage
        for column in stage.before.tolist():
            self._choose(column, np.tile(points[:, column], len(states.V)))
        self._propagate()
        for column in stage.after.tolist():
            self._choose(column, self._cheapest(column, points))
        self._cost += self._penalty(plan.after)

    def _spread(self, values: Array) -> Array:
        """Values of states as values of candidates."""
        return np.repeat(values, self._count, axis=0)

    def _penalty(self, sides: tuple[Array, Array]) -> Array:
        violations = np.maximum(np.maximum(sides[0] - self._activity, self._activity - sides[1]), 0.0)
        return self._merit.row_penalties[self._plan.rows] @ violations

    def _value(self, column: int) -> Array:
        if column not in self._known:
            self._known[column] = self._spread(self._states.V[:, column])
        return self._known[column]

    def _choose(self, column: int, target: Array) -> None:
        """Give a column the value nearest to its target that rows and bounds allow."""
        problem = self._problem
        low, high = self._interval(column)
        if problem.integers[column]:
            low, high = np.ceil(low - FEASIBILITY_TOLERANCE), np.floor(high + FEASIBILITY_TOLERANCE)
            target = np.round(target)
        value = np.minimum(np.maximum(target, low), high)
        self._set(column, np.clip(value, problem.lower[column], problem.upper[column]))

    def _interval(self, column: int) -> tuple[Array, Array]:
        """The values (B,) that bounds allow, and rows whatever comes later."""
        low, high = self._problem.lower[column], self._problem.upper[column]
        for entry in self._plan.entries[column]:
            activity, rising = self._activity[entry.row], entry.coefficient > 0
            if np.isfinite(entry.least):
                end = (entry.least - activity) / entry.coefficient
                low, high = (np.maximum(low, end), high) if rising else (low, np.minimum(high, end))
            if np.isfinite(entry.most):
                end = (entry.most - activity) / entry.coefficient
                low, high = (low, np.minimum(high, end)) if rising else (np.maximum(low, end), high)
        return low, high

    def _cheapest(self, column: int, points: Array) -> Array:
        """Where a column costs least, whatever the rows say; as in the points where it costs nothing."""
        cost = self._problem.cost[column]
        if cost == 0:
            return np.tile(points[:, column], len(self._states.V))
        return np.full(self.size, -np.sign(cost) * np.inf)

    def _set(self, column: int, value: Array) -> None:
        self._known[column] = value
        self._cost += self._merit.weight * self._problem.cost[column] * value
        for entry in self._plan.entries[column]:
            self._activity[entry.row] += entry.coefficient * value

    def _propagate(self) -> None:
        """Evaluate the network."""
        problem, network = self._problem, self._plan.stage.network
        inputs = np.stack([self._value(column) for column in network.inputs.tolist()], axis=1)
        outputs = network.network.value(inputs)
        for column, value in zip(network.outputs.tolist(), outputs.T, strict=True):
            self._set(column, value)
            beyond = np.maximum(np.maximum(problem.lower[column] - value, value - problem.upper[column]), 0.0)
            self._cost += self._merit.output_penalties[column] * beyond

    def survivors(self, value: ValueFunction, random: np.random.Generator) -> _States:
        """The cheapest state of each cell, the best of them first; that of the first point's decisions is among them.

        What is cheap is decided with what the later stages will cost.
        """
        stage = self._plan.stage
        total = self._cost + value.at(self.features)
        self.kept = kept = kept_states(self.features, total, random)
        state = kept // self._count
        V, activity = self._states.V[state], self._states.activity[state]
        for column in stage.columns.tolist():
            V[:, column] = self._known[column][kept]
        activity[:, self._plan.rows] = self._activity[:, kept].T
        return _States(V, activity, self._cost[kept])

    def value_before(self, value: ValueFunction) -> Array:
        """What the stage and those after it cost from each state: (k,), where `value` is that of those after it."""
        totals = self._cost - self._spread(self._states.cost) + value.at(self.features)
        return totals.reshape(-1, self._count).min(axis=1)

    @cached_property
    def features(self) -> Array:
        """What the later stages depend on: (d, B)."""
        stage = self._plan.stage
        number = {int(row): index for index, row in enumerate(self._plan.rows)}
        features = [self._value(column) for column in stage.state_columns.tolist()]
        features += [
            self._activity[number[row]] if row in number else self._spread(self._states.activity[:, row])
            for row in stage.state_rows.tolist()
        ]
        return np.array(features).reshape(len(features), self.size)


@dataclass(frozen=True, eq=False)
class ValueFunction:
    """What the stages after a state cost, as known at some states.

    Parameters
    ----------
    features : (d, k) array
    values : (k,) array
    """

    features: Array
    values: Array

    def at(self, features: Array) -> Array:
        """Values (B,) at states (d, B): interpolated where a state is one number, else those of the nearest state."""
        if len(self.features) == 0:
            return np.zeros(features.shape[1])
        if len(self.features) == 1:
            order = np.argsort(self.features[0])
            return np.interp(features[0], self.features[0, order], self.values[order])
        scale = np.ptp(self.features, axis=1)
        scale = np.where(scale > 0, scale, 1.0)[:, None]
        tree = cKDTree((self.features / scale).T)
        return self.values[tree.query((features / scale).T)[1]]


NOTHING = ValueFunction(np.zeros((0, 0)), np.zeros(0))


def _values_backward(steps: list[_Step]) -> Iterator[ValueFunction]:
    """The value function after each stage, from the last to the first."""
    value = NOTHING
    yield value
    for step, before in zip(reversed(steps[1:]), reversed(steps[:-1]), strict=True):
        value = ValueFunction(before.features[:, before.kept], step.value_before(value))
        yield value


def kept_states(features: Array, cost: Array, random: np.random.Generator) -> Array:
    """Numbers of the candidates that go on: the cheapest of many small cells, and of a few large ones.

    The large cells keep the value function known far from where it is small. Candidate 0 is always the first.

    Parameters
    ----------
    features : (d, B) array
    cost : (B,) array
        Of everything before the candidates and after them.
    random : numpy.random.Generator
        Shifts the cells.
    """
    least = features.min(axis=1, keepdims=True, initial=np.inf)
    spread = features.max(axis=1, keepdims=True, initial=-np.inf) - least
    moves = spread[:, 0] > 1e-9 * (1.0 + np.abs(least[:, 0]))
    if not moves.any():
        return cost.argmin()[None]
    places = (features[moves] - least[moves]) / spread[moves]
    fine = _cheapest_of_cells(places, cost, SMALL_CELLS, random)[:MAX_STATES]
    kept = np.union1d(fine, _cheapest_of_cells(places, cost, LARGE_CELLS, random))
    return np.append(0, kept[kept > 0])


def _cheapest_of_cells(places: Array, cost: Array, count: int, random: np.random.Generator) -> Array:
    """The cheapest candidate of each of about so many cells, cheapest first."""
    parts = max(round(count ** (1.0 / len(places))), 2)
    shifted = np.floor(parts * places + random.random((len(places), 1))).astype(np.int64)
    cell = np.ravel_multi_index(tuple(shifted), (parts + 2,) * len(places))
    order = np.lexsort((cost, cell))
    is_first = np.ones(order.size, bool)
    is_first[1:] = cell[order][1:] != cell[order][:-1]
    kept = order[is_first]
    return kept[np.argsort(cost[kept], kind="stable")]
