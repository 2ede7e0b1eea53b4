"""Bounds of nodes of any problem: one linear program per node, in the columns of the problem alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad.arrays import Array, RowBlock
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.problem.presolve.mixing_sets import MixingTightening
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.problem.presolve.through_expressions import ExpressionTightening
from pyomo_relugrad.programs import ExpressionRows
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, batch_size, centres
from pyomo_relugrad.proof.boxes.branching import split_scores
from pyomo_relugrad.proof.boxes.expressions import MAX_ERROR
from pyomo_relugrad.proof.boxes.node_program import FREE_ROW, NodeProgram, NodeRows, ProgramSolutions
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.objective import ObjectiveBound, ObjectiveFunctions
from pyomo_relugrad.proof.boxes.outputs import OutputBounds, StageFunctions
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, n_states

MAX_BATCH = 48
# Linear programs that follow the networks' linearizations from a node's point to a feasible one, and from how many
# nodes of a batch while nothing feasible is known.
REPAIR_STEPS, REPAIRED_NODES = 3, 4
# How often a program is solved again with planes of expressions at its point, and the relative error that is left.
EXPRESSION_ROUNDS, EXPRESSION_TOLERANCE = 2, 1e-6
# A split of a fractional integer goes before every other.
FRACTION_SCORE = 1e12
# One whose best choice is known at any values of the other columns comes last.
LAST_SCORE = 1e-12


@dataclass(frozen=True, eq=False)
class _BoundedNodes:
    """Nodes with their programs' points, and the functions that scores are made of.

    Parameters
    ----------
    nodes : Nodes
    possible : (N,) booleans
        False where a program is infeasible.
    points : (N, n) array
    relaxations : Relaxations
    outputs : list of StageFunctions
    objective : ObjectiveFunctions
    """

    nodes: Nodes
    possible: Array
    points: Array
    relaxations: Relaxations
    outputs: list[StageFunctions]
    objective: ObjectiveFunctions


class ProgramBounder:
    """Bounds a problem by linear programs and by their multipliers.

    A node's program has the rows of the problem and two rows for each output, the linear functions below and above it
    over the node's box; that of the root has a row for the function below the objective besides. Neurons do not occur.
    Its multipliers make one objective of costs and rows, and that objective is substituted back through the networks as
    in a box problem: since it is one function, its slopes can be chosen for it, and the bound is often the better one.
    Children begin with their parent's multipliers. Integers are relaxed and split where they are fractional; a convex
    quadratic objective is replaced by tangents.

    Parameters
    ----------
    problem : Problem
        Presolved.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.batch, self.wide = batch_size(problem, MAX_BATCH), 0
        self._tighten_by_rows = RowTightening(problem)
        self._tighten_by_expressions = ExpressionTightening(problem)
        self._tighten_by_sets = MixingTightening(problem)
        self._outputs = OutputBounds(problem)
        self._objective = ObjectiveBound(problem)
        self._expressions = ExpressionRows(problem)
        self._program = NodeProgram(problem)

    def root(self) -> Nodes:
        """The whole problem, its columns tightened by the rows; no node where these cannot be met."""
        lower, upper = self.problem.lower[None].copy(), self.problem.upper[None].copy()
        possible = np.array([self._program.tighten(lower[0], upper[0])])
        lower, upper, still = self._tighten_by_rows(lower, upper)
        return self._whole(lower[0], upper[0]).take(possible & still)

    def lower_bound(self) -> float:
        """Of the whole problem, without tightening it by programs; minus infinity where there is none."""
        bounded = self._bound(self._whole(self.problem.lower, self.problem.upper), np.inf)
        return -np.inf if bounded is None else float(bounded.nodes.bound[0])

    def __call__(self, nodes: Nodes, cutoff: float) -> BoundedNodes:
        """Bound by the parents' multipliers, then by linear programs and their multipliers; score the columns."""
        bounded = self._bound(nodes, cutoff)
        if bounded is None:
            empty = np.zeros((0, self.problem.n_columns))
            return BoundedNodes(nodes.take(np.zeros(len(nodes), bool)), empty, empty, empty)
        candidates = self._candidates(bounded, cutoff)
        return BoundedNodes(bounded.nodes, bounded.points, self._scores(bounded), candidates).take(bounded.possible)

    def _whole(self, lower: Array, upper: Array) -> Nodes:
        return Nodes.whole(lower, upper, n_states(self.problem), self.problem.cost, self.problem.constant)

    # --- bounds -------------------------------------------------------------------------------------------------

    def _bound(self, nodes: Nodes, cutoff: float) -> _BoundedNodes | None:
        """The nodes that may have points below the cutoff; None where there are none."""
        lower, upper, possible = self._tighten_by_rows(nodes.lower, nodes.upper)
        nodes = replace(nodes, lower=lower, upper=upper).take(possible)
        if not len(nodes):
            return None
        relaxations = Relaxations(self.problem, nodes.lower, nodes.upper, nodes.states)
        if self._program.needs_tangent:
            nodes = self._above_tangent(nodes, relaxations)
        bounded, objective = self._bound_by_multipliers(nodes, relaxations, cutoff)
        hopeful = np.flatnonzero(bounded.bound < cutoff)
        if not hopeful.size:
            return None
        # Later nodes have the multipliers that the row has led to.
        objective_rows = [
            objective.row(node, nodes.costs[node], nodes.constant[node]) if np.isinf(nodes.bound[node]) else FREE_ROW
            for node in hopeful.tolist()
        ]
        nodes, relaxations = bounded.take(hopeful), relaxations.take(hopeful)
        outputs = self._outputs.functions(relaxations)
        nodes, points, possible = self._bound_by_programs(nodes, relaxations, outputs, objective_rows, cutoff)
        nodes, objective = self._bound_by_multipliers(nodes, relaxations, cutoff)
        return _BoundedNodes(nodes, possible, points, relaxations, outputs, objective)

    def _above_tangent(self, nodes: Nodes, relaxations: Relaxations) -> Nodes:
        """The nodes with a linear objective: a quadratic one is above its tangent at the optimum of the first node."""
        outputs = self._outputs.functions(relaxations)
        lower, upper, _ = self._outputs.tighten(relaxations, outputs, nodes.lower, nodes.upper)
        slope, constant = self._program.first_tangent(self._outputs.rows(outputs, 0), lower[0], upper[0])
        return replace(nodes, costs=nodes.costs + slope, constant=nodes.constant + constant)

    def _bound_by_multipliers(
        self, nodes: Nodes, relaxations: Relaxations, cutoff: float
    ) -> tuple[Nodes, ObjectiveFunctions]:
        """Nodes bounded by their linear objective, and the functions below it."""
        functions = self._objective(relaxations, nodes.costs, nodes.constant, nodes.slopes)
        lower, upper = functions.cut(nodes.lower, nodes.upper, cutoff)
        bound = np.fmax(nodes.bound, functions.minima)
        nodes = replace(
            nodes, lower=lower, upper=upper, bound=bound, slopes=functions.slopes, states=relaxations.states()
        )
        return nodes, functions

    def _bound_by_programs(
        self,
        nodes: Nodes,
        relaxations: Relaxations,
        outputs: list[StageFunctions],
        objective_rows: list[RowBlock],
        cutoff: float,
    ) -> tuple[Nodes, Array, Array]:
        """Nodes bounded by their programs, with new multipliers; the programs' points; and which nodes are possible."""
        lower, upper, possible = self._outputs.tighten(relaxations, outputs, nodes.lower, nodes.upper)
        for tighten in (self._tighten_by_sets, self._tighten_by_rows, self._tighten_by_expressions):
            lower, upper, still = tighten(lower, upper)
            possible = possible & still
        links = [RowBlock.stacked([self._outputs.rows(outputs, node), row]) for node, row in enumerate(objective_rows)]
        blocks = list(map(NodeRows, links, self._expressions.first(lower, upper)))
        solutions = self._solve(blocks, possible, lower, upper, cutoff)
        solved = ~np.isnan(solutions.bound)
        points = np.where(solved[:, None], solutions.points, centres(lower, upper))
        lower, upper = solutions.cut(lower, upper, cutoff)
        nodes = replace(
            nodes,
            lower=lower,
            upper=upper,
            bound=np.fmax(nodes.bound, solutions.bound),
            costs=np.where(solved[:, None], solutions.costs, nodes.costs),
            constant=np.where(solved, solutions.constant, nodes.constant),
        )
        return nodes, points, solutions.possible

    def _solve(
        self, blocks: list[NodeRows], possible: Array, lower: Array, upper: Array, cutoff: float
    ) -> ProgramSolutions:
        """Programs of nodes, solved again with expressions enclosed more closely where the points are."""
        rows = [block if is_possible else None for block, is_possible in zip(blocks, possible, strict=True)]
        solutions = self._program.solve(rows, lower, upper, cutoff)
        for _ in range(EXPRESSION_ROUNDS):
            wrong = self._expressions.errors(np.nan_to_num(solutions.points)) > EXPRESSION_TOLERANCE
            again = np.flatnonzero((solutions.bound < cutoff) & wrong)
            if not again.size:
                break
            closer = self._expressions.at(lower[again], upper[again], solutions.points[again])
            for node, block in zip(again.tolist(), closer, strict=True):
                blocks[node] = blocks[node].with_expressions(block)
            part = self._program.solve([blocks[node] for node in again.tolist()], lower[again], upper[again], cutoff)
            solutions = solutions.updated(again, part)
        return solutions

    # --- points and splits --------------------------------------------------------------------------------------

    def _candidates(self, bounded: _BoundedNodes, cutoff: float) -> Array:
        """The programs' points, and from the best of them a short way along the networks' linearizations."""
        nodes, points, possible = bounded.nodes, bounded.points, bounded.possible
        order = np.argsort(np.where(possible, nodes.bound, np.inf), kind="stable")
        tried = order[: 1 if np.isfinite(cutoff) else REPAIRED_NODES]
        steps = [points[possible]]
        for node in tried[possible[tried]].tolist():
            way = self._program.follow(points[node], nodes.lower[node], nodes.upper[node], REPAIR_STEPS)
            steps.append(np.reshape(way, (-1, points.shape[1])))
        return np.concatenate(steps)

    def _scores(self, bounded: _BoundedNodes) -> Array:
        """Fractional integers first; then inputs by their parts in two distances, each making half of the score.

        One is the distance between the multipliers' objective and its bound; the other is how far the outputs are from
        the networks' values at the programs' points.
        """
        problem, columns, nodes, points = self.problem, self._outputs.columns, bounded.nodes, bounded.points
        error = points[:, columns] - problem.propagate(points)[:, columns]
        error = np.nan_to_num(error, nan=1.0).clip(-MAX_ERROR, MAX_ERROR)  # NaN where a function is not defined
        distance = np.concatenate([np.maximum(-error, 0), np.maximum(error, 0)], axis=1)
        parts = (
            self._objective.gaps(bounded.relaxations, bounded.objective),
            self._outputs.gaps(bounded.relaxations, bounded.outputs, distance),
        )
        scores = sum(_shares(split_scores(problem, part, nodes.lower, nodes.upper)) for part in parts)
        fraction = np.abs(points - np.round(points)) * problem.integers
        fractional = (fraction > FEASIBILITY_TOLERANCE) & (nodes.upper - nodes.lower > 0.5)
        first = np.where(self._tighten_by_sets.decides, LAST_SCORE, FRACTION_SCORE)
        return np.where(fractional, first * (1 + fraction), scores)


def _shares(values: Array) -> Array:
    """Rows scaled to a sum of one; rows of zeros stay."""
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)
