"""The Lagrangian relaxation of the rows that link the blocks of a problem."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.proof.boxes.node_program import priced
from pyomo_relugrad.search.separable.blocks import Block, Blocks
from pyomo_relugrad.search.separable.choice import ChoiceProgram
from pyomo_relugrad.search.separable.tables import Table

# Points with larger numbers are no part of linear programs, which HiGHS would refuse.
MAX_VALUE = 1e9
# Seconds of a choice from the points that were found.
CHOICE_SECONDS = 0.2


class Lagrangian:
    """A problem without the rows that link its blocks, which the objective pays for by their multipliers.

    Parameters
    ----------
    problem : Problem
        One that `falls_apart`.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, self._blocks = problem, Blocks.of(problem)
        self.parts = list(Block.all_of(problem, self._blocks))

    @cached_property
    def linked(self) -> Problem:
        """The problem with no other rows than those that link blocks."""
        problem, links = self.problem, self._blocks.of_row < 0
        return replace(
            problem,
            rows=problem.rows[links],
            row_lower=problem.row_lower[links],
            row_upper=problem.row_upper[links],
            row_names=(),
        )

    @property
    def links(self) -> Array:
        """(m,) booleans: the rows that link blocks."""
        return self._blocks.of_row < 0

    @property
    def in_block(self) -> Array:
        """(n,) booleans: the columns that a block has."""
        return self._blocks.of_column >= 0

    def costs(self, duals: Array) -> Array:
        """Costs (n,) at multipliers of the linking rows."""
        return self.problem.cost - self.linked.rows.T @ duals

    def bound(self, duals: Array, blocks: float) -> float:
        """The bound at multipliers, from the sum of the blocks' bounds; for points feasible within the tolerance."""
        linked = self.linked
        kept, sides = priced(duals[None], linked.row_lower, linked.row_upper)
        if not np.array_equal(kept[0], duals):
            return -np.inf
        costs = self.costs(duals)[~self.in_block]
        lower, upper = linked.lower[~self.in_block], linked.upper[~self.in_block]
        ends = np.where(costs > 0, lower, upper)
        rest = float((costs * np.where(costs == 0, 0.0, ends)).sum())
        slack = FEASIBILITY_TOLERANCE * float(np.abs(duals).sum())
        return below_tolerance(blocks + float(sides[0]) + rest + linked.constant - slack)

    def choose(self, points: list[list[Array]]) -> tuple[Array, float, Incumbent | None] | None:
        """Multipliers of the best mixture of points of the blocks, its objective, and the best choice of one of each.

        None where there is no mixture.
        """
        if not all(points):
            return None
        tables = []
        for part, found in zip(self.parts, points, strict=True):
            values = np.array(found)[:, part.own]
            tables.append(Table(part.columns[part.own], values, np.zeros(len(values), bool)))
        program = ChoiceProgram(self.linked, tables)
        relaxed = program.relax(np.inf)
        if relaxed is None:
            return None
        choice = program.choose(np.ones(program.n_points, bool), CHOICE_SECONDS)
        point = None if choice.values is None else self.problem.incumbent(choice.values)
        return self.existing(relaxed.row_duals), relaxed.objective, point

    def existing(self, duals: Array) -> Array:
        """Multipliers of the linking rows without those of sides that do not exist."""
        return np.asarray(priced(duals[None], self.linked.row_lower, self.linked.row_upper)[0][0])


def falls_apart(problem: Problem, links_per_block: float) -> bool:
    """Whether the objective is linear, and rows link several blocks that leave no column without bounds."""
    if problem.quadratic is not None:
        return False
    blocks = Blocks.of(problem)
    loose = (blocks.of_column < 0) & ~problem.is_output
    is_bounded = np.isfinite(problem.lower[loose]).all() and np.isfinite(problem.upper[loose]).all()
    n_links = int((blocks.of_row < 0).sum())
    in_one = (blocks.of_column >= 0)[problem.is_output].all()
    return bool(blocks.count > 1 and n_links <= links_per_block * blocks.count and is_bounded and in_one)


def keep(found: list[Array], point: Array) -> None:
    """Add a point to those found, where a linear program can hold it."""
    if np.abs(point).max(initial=0.0) <= MAX_VALUE:
        found.append(point)
