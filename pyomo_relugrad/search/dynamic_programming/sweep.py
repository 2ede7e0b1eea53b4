"""The best sequence of decisions that can be put together from those of given points, by dynamic programming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.run import Budget
from pyomo_relugrad.search.dynamic_programming.cells import CostToGo, kept_states
from pyomo_relugrad.search.dynamic_programming.stage_rows import StageRows, rows_of_stages
from pyomo_relugrad.search.dynamic_programming.stages import HorizonStage
from pyomo_relugrad.search.sequential.merit import Merit


class Sweeps:
    """Forward dynamic programming over the stages of a problem, again and again.

    After each stage the states fall into cells, and of each cell the cheapest goes on. All of them were reached by
    decisions, so that nothing is interpolated. What a state costs later, as known from the last sweep, counts as well.
    What is chosen keeps to the rows where it can; costs are those of `Merit`.

    Parameters
    ----------
    problem : Problem
    stages : tuple of HorizonStage
    lower, upper : (n,) arrays
        Bounds of all columns, those of outputs included.
    n_states : int
        States that are kept after a stage.
    """

    def __init__(
        self, problem: Problem, stages: tuple[HorizonStage, ...], lower: Array, upper: Array, n_states: int
    ) -> None:
        self._problem, self._n_states = problem, n_states
        self._stages = rows_of_stages(problem, stages, lower, upper)
        self._fixed = np.where(problem.lower == problem.upper, problem.lower, 0.0)
        self._costs_to_go: list[CostToGo | None] = [None] * len(stages)

    def recombine(self, points: Array, merit: Merit, random: np.random.Generator, budget: Budget) -> Array | None:
        """The best point found whose decisions at each stage are those of some given point, as far as rows allow them.

        Parameters
        ----------
        points : (M, n) array
            The sequence of the first one's decisions is never left out on the way.
        merit : Merit
        random : numpy.random.Generator
        budget : Budget
            Each stage counts as one iteration.

        Returns
        -------
        (n,) array or None
            With propagated outputs; None where the budget is exhausted before the last stage.
        """
        fixed = self._fixed[None]
        states, steps = _States(fixed, self._problem.row_activity(fixed), np.zeros(1)), list[_Step]()
        for rows, cost_to_go in zip(self._stages, self._costs_to_go, strict=True):
            if budget.is_exhausted():
                return None
            step = _Step(self._problem, rows, states, points, merit)
            states = step.survivors(cost_to_go, self._n_states, random)
            budget.count(points=step.size)
            steps.append(step)
        self._costs_to_go = [*reversed(list(_costs_backward(steps)))]
        return self._problem.propagate(states.V[states.cost.argmin()][None])[0]


def _costs_backward(steps: list[_Step]) -> Iterator[CostToGo | None]:
    """What the stages after each stage cost, from the last stage to the first."""
    cost_to_go: CostToGo | None = None
    yield cost_to_go
    for step, before in zip(reversed(steps[1:]), reversed(steps[:-1]), strict=True):
        cost_to_go = CostToGo(before.features[:, before.kept], step.least_costs(cost_to_go))
        yield cost_to_go


@dataclass(frozen=True, eq=False)
class _States:
    """States after a stage: the points (k, n) that reached them, their rows' activity (k, m) and cost (k,)."""

    V: Array
    activity: Array
    cost: Array


class _Step:
    """All states with all decisions of one stage: `size` candidates, those of the first state first."""

    kept: Array

    def __init__(self, problem: Problem, rows: StageRows, states: _States, points: Array, merit: Merit) -> None:
        self._problem, self._rows, self._states, self._merit = problem, rows, states, merit
        self._count = len(points)
        self.size = len(states.V) * self._count
        self._known: dict[int, Array] = {}
        self._activity = self._spread(states.activity[:, rows.numbers]).T.copy()
        self._cost = self._spread(states.cost) - self._penalty(rows.before)
        for column in rows.stage.before.tolist():
            self._choose(column, np.tile(points[:, column], len(states.V)))
        self._propagate()
        for column in rows.stage.after.tolist():
            self._choose(column, self._cheapest(column, points))
        self._cost += self._penalty(rows.after)

    def survivors(self, cost_to_go: CostToGo | None, count: int, random: np.random.Generator) -> _States:
        """The states that go on; the first one is that of the first point's decisions."""
        total = self._cost if cost_to_go is None else self._cost + cost_to_go.at(self.features)
        self.kept = kept_states(self.features, total, count, random)
        state = self.kept // self._count
        V, activity = self._states.V[state], self._states.activity[state]
        for column in self._rows.stage.columns.tolist():
            V[:, column] = self._known[column][self.kept]
        activity[:, self._rows.numbers] = self._activity[:, self.kept].T
        return _States(V, activity, self._cost[self.kept])

    def least_costs(self, cost_to_go: CostToGo | None) -> Array:
        """What the stage and those after it cost from each state, at least: (k,)."""
        costs = self._cost - self._spread(self._states.cost)
        costs = costs if cost_to_go is None else costs + cost_to_go.at(self.features)
        return costs.reshape(-1, self._count).min(axis=1)

    @cached_property
    def features(self) -> Array:
        """What the later stages depend on: (d, B)."""
        stage, number = self._rows.stage, {int(row): index for index, row in enumerate(self._rows.numbers)}
        features = [self._value(column) for column in stage.state_columns.tolist()]
        features += [
            self._activity[number[row]] if row in number else self._spread(self._states.activity[:, row])
            for row in stage.state_rows.tolist()
        ]
        return np.array(features).reshape(len(features), self.size)

    def _spread(self, values: Array) -> Array:
        """Values of states as values of candidates."""
        return np.repeat(values, self._count, axis=0)

    def _penalty(self, sides: tuple[Array, Array]) -> Array:
        violations = np.maximum(np.maximum(sides[0] - self._activity, self._activity - sides[1]), 0.0)
        return self._merit.row_penalties[self._rows.numbers] @ violations

    def _value(self, column: int) -> Array:
        if column not in self._known:
            self._known[column] = self._spread(self._states.V[:, column])
        return self._known[column]

    def _slope(self, column: int) -> Array | float:
        """Derivative of the objective at zero, as far as it depends on known columns."""
        others = self._rows.couplings.get(column, ())
        return self._problem.cost[column] + sum(factor * self._value(other) for other, factor in others)

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
        for entry in self._rows.entries[column]:
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
        slope, curvature = np.broadcast_to(self._slope(column), self.size), self._rows.curvatures[column]
        if curvature > 0:
            return -slope / curvature
        given = np.tile(points[:, column], len(self._states.V))
        return np.where(slope == 0, given, np.where(slope > 0, -np.inf, np.inf))

    def _set(self, column: int, value: Array) -> None:
        slope, curvature = self._slope(column), self._rows.curvatures[column]
        self._known[column] = value
        self._cost += self._merit.weight * (slope + 0.5 * curvature * value) * value
        for entry in self._rows.entries[column]:
            self._activity[entry.row] += entry.coefficient * value

    def _propagate(self) -> None:
        """Evaluate the network."""
        problem, embedded = self._problem, self._rows.stage.network
        inputs = np.stack([self._value(column) for column in embedded.inputs.tolist()], axis=1)
        for column, value in zip(embedded.outputs.tolist(), embedded.network.value(inputs).T, strict=True):
            self._set(column, value)
            beyond = np.maximum(np.maximum(problem.lower[column] - value, value - problem.upper[column]), 0.0)
            self._cost += self._merit.output_penalties[column] * beyond
