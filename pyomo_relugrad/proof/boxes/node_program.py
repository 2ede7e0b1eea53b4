"""The linear program of a node: one HiGHS model whose bounds and output rows change from node to node."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, RowBlock, SparseRows
from pyomo_relugrad.deadline import checkpoint
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.problem.presolve.row_tightening import cut_boxes
from pyomo_relugrad.programs import (
    Linearization,
    LinearProgram,
    LinearSolution,
    LinearStatus,
    TangentCuts,
    certified,
    free_huge_rows,
    tangents,
    two_sided,
)
from pyomo_relugrad.proof.boxes.bounding import centres

# Columns whose range over the rows is found by linear programs, at the root.
MAX_TIGHTENED = 100
# In place of a node's row for the objective: with as many rows as before, the basis stays.
FREE_ROW = RowBlock(
    SparseRows(np.zeros(2, int), np.zeros(0, int), np.zeros(0)), np.array([-np.inf]), np.array([np.inf])
)


@dataclass(frozen=True, eq=False)
class ProgramSolutions:
    """What the programs of N nodes gave; NaN where a program has no optimum.

    Parameters
    ----------
    possible : (N,) booleans
        False where a program is infeasible.
    bound : (N,) array
        What the programs' multipliers prove, the objective's constant included.
    points : (N, n) array
    reduced_costs : (N, n) array
    costs : (N, n) array
    constant : (N,) array
        The linear functions of the columns that the multipliers of rows, tangents, expressions and outputs' bounds make
        of the objective: below it in the node's box wherever the problem's constraints are met. The rows of networks
        are left out, since such a function is substituted through the networks instead.
    """

    possible: Array
    bound: Array
    points: Array
    reduced_costs: Array
    costs: Array
    constant: Array

    def updated(self, nodes: Array, solutions: ProgramSolutions) -> ProgramSolutions:
        """With the solutions of some nodes, given by index, in place of their own."""
        parts = {}
        for field in fields(self):
            parts[field.name] = getattr(self, field.name).copy()
            parts[field.name][nodes] = getattr(solutions, field.name)
        return ProgramSolutions(**parts)

    def cut(self, lower: Array, upper: Array, cutoff: float) -> tuple[Array, Array]:
        """The nodes' boxes (N, n) without what the reduced costs say is above the cutoff."""
        reduced = np.nan_to_num(self.reduced_costs)
        reduced = np.where(np.abs(reduced) > FEASIBILITY_TOLERANCE, reduced, 0.0)
        limit = np.full(len(lower), cutoff + FEASIBILITY_TOLERANCE * (1 + abs(cutoff)))
        lower, upper = cut_boxes(reduced, np.nan_to_num(self.bound, nan=-np.inf), limit, lower, upper)
        return lower, np.maximum(lower, upper)


class NodeRows(NamedTuple):
    """The rows of one node.

    Parameters
    ----------
    links : RowBlock
        What networks are, and the objective.
    expressions : RowBlock
        What expressions are.
    """

    links: RowBlock
    expressions: RowBlock

    @property
    def stacked(self) -> RowBlock:
        """All of them."""
        return RowBlock.stacked([self.links, self.expressions]) if self.expressions.lower.size else self.links

    def with_expressions(self, more: RowBlock) -> NodeRows:
        """With more rows of expressions."""
        return self._replace(expressions=RowBlock.stacked([self.expressions, more]))

    def priced_expressions(self, duals: Array, n_columns: int) -> tuple[Array, float]:
        """Multipliers of all rows, on the columns (n,) and on the sides of the expressions' rows."""
        if not self.expressions.lower.size:
            return np.zeros(n_columns), 0.0
        (indptr, indices, data), lower, upper = self.expressions
        begin = self.links.lower.size
        kept, parts = priced(duals[None, begin : begin + lower.size], lower, upper)
        return np.bincount(indices, np.repeat(kept[0], np.diff(indptr)) * data, n_columns), float(parts[0])


class NodeProgram:
    """Rows of the problem and of its nodes, and tangents of a quadratic objective."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._tangents = TangentCuts(problem)
        # One more column, above the quadratic part of the objective: that part is never negative.
        self._epigraph_upper = 0.0 if problem.quadratic is None else np.inf
        self._cost = np.append(problem.cost, 1.0)
        rows = SparseRows(problem.rows.indptr, problem.rows.indices, problem.rows.data)
        self._rows = RowBlock(rows, problem.row_lower, problem.row_upper)
        matrix = sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=(problem.n_rows, self._cost.size))
        box = self._box(problem.lower, problem.upper)
        self._program = LinearProgram(self._cost, *box, matrix, *self._rows[1:])

    @cached_property
    def _linearization(self) -> Linearization:
        return Linearization(self.problem)

    @property
    def needs_tangent(self) -> bool:
        """Whether the objective is quadratic and nothing is known of its quadratic part."""
        return self._tangents.rounds > 0 and not len(self._tangents)

    def first_tangent(self, links: RowBlock, lower: Array, upper: Array) -> tuple[Array, float]:
        """Slope (n,) and constant of the quadratic part's tangent at the optimum over a node's box (n,)."""
        problem, links = self.problem, free_huge_rows(links)
        rows = links.rows
        matrix = sparse.csr_array((rows.data, rows.indices, rows.indptr), (links.lower.size, problem.n_columns))
        program = LinearProgram(
            problem.cost,
            lower,
            upper,
            sparse.vstack([problem.rows, matrix]),
            np.concatenate([problem.row_lower, links.lower]),
            np.concatenate([problem.row_upper, links.upper]),
            quadratic=problem.quadratic,
        )
        values = program.solve().values
        point = centres(lower, upper) if values is None else np.clip(values, lower, upper)
        self._tangents.add(np.append(point, -np.inf))
        slopes, constants = tangents(problem.quadratic, point[None])
        return slopes[0], float(constants[0])

    def tighten(self, lower: Array, upper: Array) -> bool:
        """Tighten the networks' inputs in a box (n,) over the rows, in place; whether the rows can be met."""
        columns = np.flatnonzero(self.problem.is_input & (lower < upper))
        self._program.change_bounds(*self._box(lower, upper))
        possible = self._least(np.zeros_like(self._cost), lower, upper) < np.inf
        if possible and self.problem.n_rows and columns.size <= MAX_TIGHTENED:
            for column in columns.tolist():
                checkpoint()
                lower[column] = max(lower[column], self._extreme(column, 1.0, lower, upper))
                upper[column] = max(min(upper[column], -self._extreme(column, -1.0, lower, upper)), lower[column])
        self._program.change_costs(self._cost)
        return possible

    def _extreme(self, column: int, sign: float, lower: Array, upper: Array) -> float:
        """Smallest value of a column, or of its negative, over the rows; minus infinity where none is found."""
        cost = np.zeros_like(self._cost)
        cost[column] = sign
        least = self._least(cost, lower, upper)
        return least - 1e-7 * (1 + abs(least)) if np.isfinite(least) else -np.inf

    def _least(self, cost: Array, lower: Array, upper: Array) -> float:
        """What costs are not below over the problem's rows and a box; infinite where that is empty."""
        self._program.change_costs(cost)
        rows = self._rows
        box = self._box(lower, upper)
        return certified(self._program.solve(), cost, *box, rows.rows, rows.lower, rows.upper).bound

    def solve(self, blocks: list[NodeRows | None], lower: Array, upper: Array, cutoff: float) -> ProgramSolutions:
        """The programs of nodes with boxes (N, n); None in place of the rows of a node without points."""
        n_columns = self.problem.n_columns
        size = n_columns + self.problem.n_rows
        # Point, reduced costs and the rows' multipliers of each node side by side.
        table = np.full((len(blocks), n_columns + size), np.nan)
        bound, possible = np.full(len(blocks), np.nan), np.ones(len(blocks), bool)
        slope, sides = np.zeros((len(blocks), n_columns)), np.zeros(len(blocks))
        for node, rows in enumerate(blocks):
            checkpoint()
            if rows is None:
                possible[node] = False
                continue
            solution = self._solve_node(rows.stacked, lower[node], upper[node], cutoff)
            possible[node] = solution.status is not LinearStatus.INFEASIBLE
            if not solution.is_optimal or solution.values is None or solution.row_duals is None:
                continue
            bound[node] = solution.bound + self.problem.constant
            duals = solution.row_duals
            table[node] = np.concatenate([solution.values[:-1], _columns(solution)[:-1], duals[: self.problem.n_rows]])
            slope[node], sides[node] = self._tangents.combine(duals[duals.size - len(self._tangents) :])
            on_expressions, part = rows.priced_expressions(duals[self.problem.n_rows :], n_columns)
            slope[node] -= on_expressions
            sides[node] += part
        points, reduced, duals = np.split(table, [n_columns, 2 * n_columns], axis=1)
        costs, constant = self._multiplied(duals, reduced, lower, upper)
        return ProgramSolutions(possible, bound, points, reduced, costs + slope, constant + sides)

    def _solve_node(self, links: RowBlock, lower: Array, upper: Array, cutoff: float) -> LinearSolution:
        """The program of one node, with new tangents until the quadratic part is met or the cutoff is reached."""
        solution = self._solve(links, lower, upper)
        for _ in range(self._tangents.rounds):
            if solution.values is None or solution.bound + self.problem.constant >= cutoff:
                break
            if not self._tangents.add(solution.values):
                break
            solution = self._solve(links, lower, upper)
        return solution

    def _multiplied(self, duals: Array, reduced: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Costs (N, n) and constants (N,) from multipliers (N, m) of rows and reduced costs (N, n).

        Bounds of outputs are those of the problem, which stand for children as well, but where nodes are split by them.
        """
        problem = self.problem
        lower, upper = (
            np.where(problem.links_networks, own, side)
            for own, side in ((lower, problem.lower), (upper, problem.upper))
        )
        on_rows, row_part = priced(duals, problem.row_lower, problem.row_upper)
        on_outputs, output_part = priced(np.where(problem.is_output, reduced, 0.0), lower, upper)
        costs = problem.cost - (problem.rows.T @ on_rows.T).T - on_outputs
        return costs, problem.constant + row_part + output_part

    def follow(self, v: Array, lower: Array, upper: Array, steps: int) -> list[Array]:
        """Points (n,) on the way to a feasible one: optima on the networks' linearizations, integers held."""
        integers, is_output = self.problem.integers, self.problem.is_output
        whole = np.clip(np.round(v), lower, upper)
        # The box of the outputs is the problem's: a linearization may leave the node's.
        lower = np.where(is_output, self.problem.lower, np.where(integers, whole, lower))
        upper = np.where(is_output, self.problem.upper, np.where(integers, whole, upper))
        points: list[Array] = []
        for _ in range(steps):
            checkpoint()
            rows, right = self._linearization.links(np.where(integers, whole, v))
            links = two_sided(SparseRows.stacked([rows, rows]), np.concatenate([right, right]))
            solution = self._solve(RowBlock.stacked([links, FREE_ROW]), lower, upper)
            if solution.values is None:
                break
            v = solution.values[:-1]
            points.append(v)
        return points

    def _solve(self, links: RowBlock, lower: Array, upper: Array) -> LinearSolution:
        box, tail = self._box(lower, upper), free_huge_rows(self._tangents.below(links))
        self._program.change_bounds(*box)
        self._program.replace_tail(self.problem.n_rows, *tail)
        rows = RowBlock.stacked([self._rows, tail])
        return certified(self._program.solve(), self._cost, *box, rows.rows, rows.lower, rows.upper)

    def _box(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """A box of the problem's columns with the range of the quadratic part."""
        return np.append(lower, 0.0), np.append(upper, self._epigraph_upper)


def _columns(solution: LinearSolution) -> Array:
    """Reduced costs; there are some wherever there are multipliers of rows."""
    return np.zeros(0) if solution.column_duals is None else solution.column_duals


def priced(duals: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Multipliers (N, m) without those of sides that do not exist, and their sums (N,) over the sides."""
    sides = np.where(duals > 0, lower, upper)
    exists = np.isfinite(sides)
    kept = np.where(exists, duals, 0.0)
    return kept, (kept * np.where(exists, sides, 0.0)).sum(axis=1)
