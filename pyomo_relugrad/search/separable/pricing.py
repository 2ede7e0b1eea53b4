"""Points of blocks that are good at given multipliers of the rows that link them, for all blocks at once."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.programs import Linearization
from pyomo_relugrad.run import SearchContext
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.separable.blocks import Blocks
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.step_model import StepModel, column_scale

#: Points by which penalties are scaled, and the penalty of the largest violation in units of the objective's spread.
SAMPLES, PENALTY = 64, 10.0
#: Steps of a descent, its first trust region relative to the columns' ranges, and the last one.
MAX_STEPS, FIRST_RADIUS, LAST_RADIUS = 30, 0.3, 1e-3
#: Share of the blocks whose prices are varied, each by factors of a lognormal distribution of this spread: at the same
#: prices a block comes to the same points again and again.
VARIED_SHARE, PRICE_SPREAD = 0.8, 0.7
#: What is left of a block's trust region after a step that brings nothing.
SHRINKING = 0.3


class Pricing:
    """Descents in which each block moves for itself: one linear program makes a step of all blocks.

    Parameters
    ----------
    problem : Problem
    blocks : Blocks
    context : SearchContext
    moved_share : float
        Share of the blocks that a descent begins at random.
    """

    def __init__(self, problem: Problem, blocks: Blocks, context: SearchContext, moved_share: float) -> None:
        self._problem, self._blocks, self._context, self._moved_share = problem, blocks, context, moved_share
        self._own_rows = blocks.of_row >= 0
        self._in_block = blocks.of_column >= 0
        self._scale = column_scale(problem)
        self._surroundings, self._linearization = LinearRelaxation(problem), Linearization(problem)

    @cached_property
    def start(self) -> Array:
        """The best point that is known, or else the relaxation's (n,)."""
        problem, context = self._problem, self._context
        if context.known:
            return min(context.known, key=lambda point: point.objective).values
        v = np.clip(0.0, problem.lower, problem.upper) if context.relaxed is None else context.relaxed
        return np.asarray(problem.propagate(v[None])[0])

    def first_duals(self) -> Array:
        """Multipliers (m,) with which all of each linking row costs the same."""
        problem = self._problem
        sides = [np.where(np.isfinite(side), np.abs(side), 0.0) for side in (problem.row_lower, problem.row_upper)]
        size = np.maximum(*sides)
        sign = np.isfinite(problem.row_lower) * 1.0 - np.isfinite(problem.row_upper)
        return np.where(self._own_rows, 0.0, sign / np.where(size > 0, size, 1.0))

    def descend(self, duals: Array, integers: Array) -> Array:
        """A point (n,) whose blocks are good for themselves at the multipliers (m,) of the rows that link them.

        Some blocks begin where the best known point is, others at random around it.

        Parameters
        ----------
        duals : (m,) array
        integers : (k,) array
            Values of all integer columns, which are kept.
        """
        problem, budget, random = self._priced(duals), self._context.budget, self._context.random
        model = StepModel(problem, self._linearization, np.inf, holds_integers=True)
        samples = self._surroundings.random_points(SAMPLES, random)
        merit = Merit.scaled_to(problem, problem.propagate(samples), PENALTY)
        count, block = self._blocks.count, self._blocks.of_column
        spread = 10.0 ** random.uniform(-2, 0, count) * (random.random(count) < self._moved_share)
        v = self.start + spread[block] * (samples[0] - self.start)
        v[problem.integers] = integers
        v = problem.propagate(v[None])[0]
        first = model.step(v, 0.0, merit, self._scale, budget)
        v = v if first is None else first.values
        value, radius = self._merits(problem, v, merit), np.full(count, FIRST_RADIUS)
        for _ in range(MAX_STEPS):
            if budget.is_exhausted() or radius.max() < LAST_RADIUS:
                break
            step = model.step(v, 1.0, merit, self._scale * radius[block], budget)
            if step is None:
                break
            trial = self._merits(problem, step.values, merit)
            better = trial < value - 1e-9 * (1.0 + np.abs(value))
            v = np.where(better[block] & self._in_block, step.values, v)
            value, radius = np.where(better, trial, value), np.where(better, radius, SHRINKING * radius)
        return v

    def _priced(self, duals: Array) -> Problem:
        """The problem without the rows that link blocks, which the objective pays for by about their multipliers."""
        problem, own, random = self._problem, self._own_rows, self._context.random
        varies = (random.random(self._blocks.count) < VARIED_SHARE)[self._blocks.of_column]
        factors = np.exp(PRICE_SPREAD * varies * random.normal(size=varies.size))
        cost = problem.cost - factors * ((duals * ~own) @ problem.rows)
        return replace(
            problem,
            cost=np.where(self._in_block, cost, 0.0),
            rows=problem.rows[own],
            row_lower=problem.row_lower[own],
            row_upper=problem.row_upper[own],
            row_names=(),
        )

    def _merits(self, priced: Problem, v: Array, merit: Merit) -> Array:
        """The part (blocks,) of the merit that each block has."""
        rows = np.zeros(self._own_rows.size)
        rows[self._own_rows] = priced.row_violations(v[None])[0] * merit.row_penalties
        return self._by_block(priced.cost * v + _beyond_bounds(priced, v) * merit.output_penalties, rows)

    def feasible_blocks(self, v: Array) -> Array:
        """(blocks,) booleans: whose rows and bounds hold at a point."""
        columns = _beyond_bounds(self._problem, v) > FEASIBILITY_TOLERANCE
        rows = self._problem.row_violations(v[None])[0] > FEASIBILITY_TOLERANCE
        return self._by_block(columns * 1.0, rows * 1.0) == 0

    def _by_block(self, of_columns: Array, of_rows: Array) -> Array:
        """Sums (blocks,) of what the columns (n,) and the rows (m,) of each block have."""
        blocks = self._blocks
        columns = np.bincount(blocks.of_column[self._in_block], of_columns[self._in_block], blocks.count)
        return columns + np.bincount(blocks.of_row[self._own_rows], of_rows[self._own_rows], blocks.count)


def _beyond_bounds(problem: Problem, v: Array) -> Array:
    """(n,) how far each column is outside its bounds."""
    return np.maximum(np.maximum(problem.lower - v, v - problem.upper), 0.0)
