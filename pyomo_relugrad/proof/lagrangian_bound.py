"""A bound of networks that rows link, by short runs of HiGHS on each of them at multipliers of these rows."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem, ProblemBounds, bound_problem, epigraph_relus
from pyomo_relugrad.programs import BigMModel, LinearStatus, below_tolerance, build_big_m, tighten_by_programs
from pyomo_relugrad.proof.lagrangian import Block, Lagrangian, falls_apart, keep
from pyomo_relugrad.proof.milp import PROOF_OPTIONS
from pyomo_relugrad.proof.milp_bound import MAX_ENTRIES
from pyomo_relugrad.run import Past
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small

# Rows that link blocks, per block, up to which multipliers help.
MAX_LINKS = 8.0
# Share of a block's time in which linear programs tighten it, and how often.
TIGHTENING_SHARE, TIGHTENING_ROUNDS = 0.1, 2
# Share of the open gap that all blocks together may leave.
OPEN_SHARE = 0.1
# Share of the best multipliers that the next ones keep.
SMOOTHING = 0.5


class LagrangianBound:
    """What HiGHS proves of all blocks within some seconds, in run after run.

    The first multipliers are those of the search, zero where it has none; the next ones are between the best so far
    and those of the best mixture of all points found (Dantzig and Wolfe, 1960). While time does not suffice for all
    blocks, the same ones have more of it. Blocks that are alike are bounded once.

    Parameters
    ----------
    problem : Problem
        As `presolve` leaves it.
    past : Past
        Has the search's multipliers.
    """

    # With short runs no block is bounded well.
    first_share, longest_first, growth = 0.2, 4.0, 2.0

    def __init__(self, problem: Problem, past: Past) -> None:
        self._problem, self._past = problem, past
        #: Whether another run may prove more.
        self.is_open = bool(problem.networks) and problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)
        self.is_open = self.is_open and falls_apart(problem, MAX_LINKS)
        self._bound = -np.inf
        self._best: Array | None = None
        self._next: Array | None = None

    def run(self, start: Incumbent, seconds: float) -> tuple[float, Incumbent | None]:
        """A number that no feasible point's objective is below, minus infinite where there is none; and a point.

        Parameters
        ----------
        start : Incumbent
            A feasible point.
        seconds : float
        """
        end, lagrangian = time.perf_counter() + seconds, self._lagrangian
        for block in self._distinct:
            for number in block.numbers:
                keep(block.points, start.values[lagrangian.parts[number].columns])
        duals, total = self._multipliers(), 0.0
        costs, gap = lagrangian.costs(duals), OPEN_SHARE * (start.objective - max(self._bound, self._trivial))
        for place, block in enumerate(self._distinct):
            left = (end - time.perf_counter()) / (len(self._distinct) - place)
            total += len(block.numbers) * block.bound(costs, gap / len(lagrangian.parts), left)
        bound = lagrangian.bound(duals, total)
        if bound > self._bound or self._best is None:
            self._bound, self._best = max(bound, self._bound), duals
        chosen = lagrangian.choose(self._points)
        self._next = duals
        if chosen is not None and all(block.is_solved for block in self._distinct):
            self._next = lagrangian.existing(SMOOTHING * self._best + (1.0 - SMOOTHING) * chosen[0])
        return self._bound, None if chosen is None else chosen[2]

    def _multipliers(self) -> Array:
        """The next ones: of this, of the search, or none at all."""
        lagrangian, known = self._lagrangian, self._past.multipliers
        if self._next is not None:
            return self._next
        if known is not None and known.size == self._problem.n_rows:
            return lagrangian.existing(known[lagrangian.links])
        return np.zeros(lagrangian.linked.n_rows)

    @cached_property
    def _lagrangian(self) -> Lagrangian:
        return Lagrangian(self._problem)

    @cached_property
    def _trivial(self) -> float:
        """The bound by columns' ranges alone."""
        return sum(_least(self._problem, bound_problem(self._problem)), self._problem.constant)

    @cached_property
    def _distinct(self) -> list[_BoundedBlock]:
        """The blocks, those that are alike as one."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for number, part in enumerate(self._lagrangian.parts):
            alike.setdefault(_key(part, self._lagrangian.linked), []).append(number)
        return [_BoundedBlock(self._lagrangian.parts[numbers[0]], numbers) for numbers in alike.values()]

    @property
    def _points(self) -> list[list[Array]]:
        """The points of each block that were found."""
        points: list[list[Array]] = [[] for _ in self._lagrangian.parts]
        for block in self._distinct:
            for number in block.numbers:
                points[number] = block.points
        return points


class _BoundedBlock:
    """A block, and the numbers of those that are like it."""

    def __init__(self, part: Block, numbers: list[int]) -> None:
        self._part, self.numbers = part, numbers
        self.points: list[Array] = []
        #: Whether HiGHS came to its end the last time.
        self.is_solved = False
        self._bounds: ProblemBounds | None = None

    def bound(self, costs: Array, gap: float, seconds: float) -> float:
        """A bound at costs (n,) of the whole problem's columns; what HiGHS finds joins the points."""
        end = time.perf_counter() + seconds
        problem = self._part.at(costs)
        bounds = self._bounds = self._bounds or self._tightened(TIGHTENING_SHARE * seconds)
        least = sum(_least(problem, bounds))
        model = self._model(problem, bounds)
        program = model.program(relaxed=False, options={**PROOF_OPTIONS, "mip_rel_gap": 0.0, "mip_abs_gap": gap})
        known = [point for point in map(problem.measure, self.points) if point.is_feasible]
        if known:
            best = min(known, key=lambda point: point.objective)
            program.start_from_values(model.start(problem.propagate(best.values[None])[0]))
        solution = program.solve(end - time.perf_counter())
        self.is_solved = solution.status is not LinearStatus.LIMIT
        if solution.values is not None:
            found = problem.incumbent(solution.values[: problem.n_columns])
            if found.is_feasible:
                keep(self.points, found.values)
        # Beside a point, a verdict of infeasibility says only that tolerances differ.
        is_bound = solution.status in (LinearStatus.LIMIT, LinearStatus.OPTIMAL) and np.isfinite(solution.bound)
        return max(least, below_tolerance(solution.bound)) if is_bound else least

    def _tightened(self, seconds: float) -> ProblemBounds:
        bounds = bound_problem(self._part.problem)
        for _ in range(TIGHTENING_ROUNDS):
            tighter = tighten_by_programs(self._part.problem, bounds, seconds)
            bounds = tighter if tighter.possible else bounds
        return bounds

    @staticmethod
    def _model(problem: Problem, bounds: ProblemBounds) -> BigMModel:
        return build_big_m(problem, bounds, epigraph_relus(problem, bounds))


def _least(problem: Problem, bounds: ProblemBounds) -> Array:
    """What each column (n,) costs at least."""
    ends = np.where(problem.cost > 0, bounds.lower, bounds.upper)
    return np.asarray(problem.cost * np.where(problem.cost == 0, 0.0, ends))


def _key(part: Block, linked: Problem) -> tuple[object, ...]:
    """What two blocks have in common that are alike."""
    problem = part.problem
    rows = (problem.rows, linked.rows[:, part.columns])
    arrays = [problem.cost, problem.lower, problem.upper, problem.row_lower, problem.row_upper, problem.integers]
    arrays += [part for matrix in rows for part in (matrix.indptr, matrix.indices, matrix.data)]
    networks = [(id(each.network), each.inputs.tobytes(), each.outputs.tobytes()) for each in problem.networks]
    return (*networks, *(array.tobytes() for array in arrays))
