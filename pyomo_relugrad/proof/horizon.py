"""A proof for problems in stages: dynamic programming over ranges of the states, cut where the cheapest paths go.

Each stage has arcs: boxes of the state before it and of its decisions, with a number that no point of the box costs
less than, and a range of the state after it. The cheapest path through arcs whose ranges meet is a bound. Arcs through
which no path is cheaper than the incumbent are left out, and those of the cheapest paths are cut into smaller ones
(after Raphael, "Coarse-to-fine dynamic programming", IEEE Transactions on Pattern Analysis and Machine Intelligence 23,
2001).

A state's potential, a slope times the state, is added to the costs of the stage before it and taken from those of the
stage after it: paths cost the same. With the slope of what the later stages cost, that cost hardly depends on the state
any more, and a range of it is worth as much as a number.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem, ProblemBounds, bound_problem
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.proof.boxes.bounding import DENSE_RATE
from pyomo_relugrad.proof.range_minima import RangeMinima, lowered
from pyomo_relugrad.proof.stage_arcs import FIRST_CELLS, FIRST_SLICES, Arcs, RelaxedStage, State
from pyomo_relugrad.run import Options, Prover
from pyomo_relugrad.search.dynamic_programming.stages import HorizonStage, stages_in_order

# Cells of each state's range by which arcs meet, and by how much of a cell arcs are widened for that.
CELLS, MARGIN = 4096, 1e-3
# Columns of a stage that are cut, at most.
MAX_CUT = 3
# Arcs up to which all are cut in a round; of more only those of paths that close to the best, as a share of the gap.
MAX_REFINED, REFINED_SHARE = 20_000, 0.3
# Arcs in all.
MAX_ARCS = 500_000


class HorizonProof(Prover):
    """The state of one proof, for stages between which a single number is all that later ones depend on.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it. Nothing is proven where it has no such stages, or a quadratic term joins two of them.
    options : Options
    start : Incumbent, optional
    """

    works_in_rounds = True

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._proven = -np.inf

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Whether there are stages between which one number is all that counts."""
        horizon = cls(problem, Options())._horizon
        if not horizon:
            return False
        # Mostly the columns' own bounds are enough, and networks need not be bounded to know.
        own = ProblemBounds(problem.lower, problem.upper, (), possible=True)
        return bool(_relaxations(problem, horizon, own) or _relaxations(problem, horizon, bound_problem(problem)))

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return min(self._proven, self.incumbent_value)

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes."""
        work = max((s.network.network.bounding_work * FIRST_SLICES**s.before.size for s in self._horizon), default=0)
        return FIRST_CELLS * work / DENSE_RATE

    @cached_property
    def _horizon(self) -> tuple[HorizonStage, ...]:
        """The stages, if they suit."""
        stages = () if self.problem.expressions else stages_in_order(self.problem)
        are_narrow = all(stage.state_rows.size == 0 and stage.state_columns.size <= 1 for stage in stages)
        return stages if are_narrow else ()

    def steps(self) -> Generator[None, None, None]:
        """Rounds of bounding the stages' arcs, finding the cheapest paths, and cutting the arcs on them."""
        problem = _loosened(_without_fixed_costs(self.problem))
        stages = _relaxations(problem, self._horizon, bound_problem(problem)) if self._horizon else []
        if not stages:
            return
        arcs, slopes = list[Arcs](), np.zeros(len(stages) + 1)
        for stage in stages:
            arcs.append((yield from self._bounded(stage, stage.first(), (0.0, 0.0))))
        for number in itertools.count():
            paths = _Paths(stages, arcs, problem.constant)
            least, cutoff = below_tolerance(paths.least), self.options.cutoff(self.incumbent_value)
            self._proven = max(self._proven, min(least, cutoff if self.incumbent else self.bound_if_empty))
            hopeful = [total < cutoff for total in paths.totals]
            count = sum(map(np.count_nonzero, hopeful))
            if count == 0 or count > MAX_ARCS:
                return
            wanted = cutoff
            if count <= MAX_REFINED:
                slopes = paths.slopes(slopes, max(CELLS // FIRST_CELLS >> number, 4))
            elif np.isfinite(cutoff):
                wanted = least + REFINED_SHARE * (cutoff - least)
            for index, stage in enumerate(stages):
                total = paths.totals[index]
                finer = stage.halves(arcs[index].take(total < min(wanted, cutoff)))
                found = yield from self._bounded(stage, finer, (slopes[index], slopes[index + 1]))
                arcs[index] = Arcs.joined([arcs[index].take(hopeful[index] & (total >= wanted)), found])

    def _bounded(
        self, stage: RelaxedStage, boxes: tuple[Array, Array], slopes: tuple[float, float]
    ) -> Generator[None, None, Arcs]:
        """The arcs of boxes, batch by batch: all at once would take more memory than there is."""
        parts = list[Arcs]()
        for first in range(0, max(len(boxes[0]), 1), stage.batch):
            lower, upper = (side[first : first + stage.batch] for side in boxes)
            parts.append(stage.bound(lower, upper, slopes))
            self.nodes += len(parts[-1])
            yield
        return Arcs.joined(parts)


class _Paths:
    """The cheapest paths through arcs, by the cells of the states in which they meet.

    Parameters
    ----------
    stages : list of RelaxedStage
    arcs : list of Arcs
        Of each stage.
    constant : float
        What every path costs besides.
    """

    def __init__(self, stages: list[RelaxedStage], arcs: list[Arcs], constant: float) -> None:
        self._stages = stages
        here, there = (
            [
                _cells(stage.ends(arc, state), stage.range(state), len(arc))
                for stage, arc in zip(stages, arcs, strict=True)
            ]
            for state in State
        )
        to_go, onward = [np.zeros(CELLS)], list[Array]()
        for arc, before, after in zip(arcs[::-1], here[::-1], there[::-1], strict=True):
            onward.append(arc.cost + RangeMinima(to_go[-1])(*after))
            to_go.append(lowered(CELLS, *before, onward[-1]))
        #: Per state before a stage what the later stages cost, by cells, and what all stages do.
        self._to_go, self._in_all = to_go[:0:-1], list[Array]()
        #: Per stage the cost (N,) of the cheapest path through each of its arcs.
        self.totals: list[Array] = []
        so_far = np.full(CELLS, constant)
        for arc, before, after, rest in zip(arcs, here, there, onward[::-1], strict=True):
            until = RangeMinima(so_far)(*before)
            self._in_all.append(so_far + self._to_go[len(self._in_all)])
            self.totals.append(until + rest)
            so_far = lowered(CELLS, *after, until + arc.cost)
        #: The cost of the cheapest one, infinite where there is none.
        self.least = float(self.totals[0].min(initial=np.inf))

    def slopes(self, slopes: Array, width: int) -> Array:
        """Slopes of the potentials by what later stages cost around the cheapest path, from the present ones."""
        new = slopes.copy()
        for index, (stage, in_all, costs) in enumerate(zip(self._stages, self._in_all, self._to_go, strict=True)):
            ends = stage.range(State.BEFORE)
            if ends is None:
                continue
            best = int(np.argmin(in_all))
            left, right = max(best - width, 0), min(best + width, CELLS - 1)
            with np.errstate(invalid="ignore"):
                rise = costs[right] - costs[left]
            if np.isfinite(rise):
                new[index] += rise / ((right - left) * (ends[1] - ends[0]) / CELLS)
        return new


def _cells(ends: tuple[Array, Array] | None, limits: tuple[float, float] | None, count: int) -> tuple[Array, Array]:
    """The first and the last cell (N,) of ranges of a state; all cells where there is no state."""
    if ends is None or limits is None:
        return np.zeros(count, np.int64), np.full(count, CELLS - 1)
    scale = CELLS / (limits[1] - limits[0])
    first, last = (
        np.floor((side - limits[0]) * scale + margin).clip(0, CELLS - 1).astype(np.int64)
        for side, margin in zip(ends, (-MARGIN, MARGIN), strict=True)
    )
    return first, last


def _without_fixed_costs(problem: Problem) -> Problem:
    """The problem with the costs of columns that have one value in its constant, and in the costs of others."""
    fixed = problem.lower == problem.upper
    held = np.where(fixed, problem.lower, 0.0)
    quadratic, on_others = problem.quadratic, np.zeros(problem.n_columns)
    if quadratic is not None:
        on_others, free = quadratic @ held, sparse.diags_array(1.0 - fixed)
        quadratic = sparse.csr_array(free @ quadratic @ free)
    constant = problem.constant + float((problem.cost + 0.5 * on_others) @ held)
    cost = np.where(fixed, 0.0, problem.cost + on_others)
    return replace(problem, cost=cost, constant=constant, quadratic=quadratic)


def _loosened(problem: Problem) -> Problem:
    """The problem with rows that hold wherever a point counts as feasible: nothing else is called infeasible."""
    sides = problem.row_lower - FEASIBILITY_TOLERANCE, problem.row_upper + FEASIBILITY_TOLERANCE
    return replace(problem, row_lower=sides[0], row_upper=sides[1])


def _relaxations(problem: Problem, horizon: tuple[HorizonStage, ...], bounds: ProblemBounds) -> list[RelaxedStage]:
    """The stages with their rows; none where one of them depends on more than the state before it."""
    if not bounds.possible:
        return []
    place = np.full(problem.n_columns, -1)
    for index, stage in enumerate(horizon):
        place[stage.columns] = index
    last = np.full(problem.n_rows, -1)
    entries = problem.rows.tocoo()
    np.maximum.at(last, entries.coords[0], place[entries.coords[1]])
    states = [None, *(int(stage.state_columns[0]) if stage.state_columns.size else None for stage in horizon)]
    if problem.quadratic is not None:
        row, column = problem.quadratic.tocoo().coords
        if (place[row] != place[column])[(place[row] >= 0) & (place[column] >= 0)].any():
            return []
    relaxations = []
    for index, stage in enumerate(horizon):
        rows, ends = np.flatnonzero(last == index), (states[index], states[index + 1])
        relaxation = RelaxedStage(problem, stage, rows, ends, bounds)
        is_known = (place == index) | (problem.lower == problem.upper)
        is_known[[column for column in ends[:1] if column is not None]] = True
        is_whole = is_known[relaxation.columns].all()
        if not is_whole or relaxation.n_cut > MAX_CUT or not relaxation.is_bounded:
            return []
        relaxations.append(relaxation)
    return relaxations
