"""Bounds of nodes of any problem: one linear program per node, in the columns of the problem alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Problem
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, batch_size, centres
from pyomo_relugrad.proof.boxes.branching import split_scores
from pyomo_relugrad.proof.boxes.node_program import NodeProgram
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.objective import ObjectiveBound
from pyomo_relugrad.proof.boxes.outputs import OutputBounds, StageFunctions
from pyomo_relugrad.proof.boxes.relaxations import Relaxations, n_states

MAX_BATCH = 48
# Linear programs that follow the networks' linearizations from a node's point to a feasible one, and from how many
# nodes of a batch while nothing feasible is known.
REPAIR_STEPS, REPAIRED_NODES = 3, 4
# A split of a fractional integer goes before every other.
FRACTION_SCORE = 1e12


class ProgramBounder:
    """Bounds a problem by linear programs and by their multipliers.

    A node's program has the rows of the problem and two rows for each output, the linear functions below and above it
    over the node's box; neurons do not occur. Its multipliers make one objective of costs and rows, and that objective
    is substituted back through the networks as in a box problem: since it is one function, its slopes can be chosen
    for it, and the bound is often the better one. Children begin with their parent's multipliers. Integers are relaxed
    and split where they are fractional; a convex quadratic objective is replaced by tangents.

    Parameters
    ----------
    problem : Problem
        Presolved and without chains.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.batch = batch_size(problem, MAX_BATCH)
        self._tighten_by_rows = RowTightening(problem)
        self._outputs = OutputBounds(problem)
        self._objective = ObjectiveBound(problem)
        self._program = NodeProgram(problem)

    def root(self) -> Nodes:
        """The whole problem, its columns tightened by the rows; no node where these cannot be met."""
        lower, upper = self.problem.lower[None].copy(), self.problem.upper[None].copy()
        possible = np.array([self._program.tighten(lower[0], upper[0])])
        lower, upper, still = self._tighten_by_rows(lower, upper)
        relus = n_states(self.problem)
        nodes = Nodes.whole(lower[0], upper[0], relus, self.problem.cost, self.problem.constant)
        return nodes.take(possible & still)

    def __call__(self, nodes: Nodes, cutoff: float) -> BoundedNodes:
        """Bound by the parents' multipliers, then by linear programs and their multipliers; score the columns."""
        lower, upper, possible = self._tighten_by_rows(nodes.lower, nodes.upper)
        nodes = replace(nodes, lower=lower, upper=upper).take(possible)
        if not len(nodes):
            return self._nothing(nodes)
        relaxations = Relaxations(self.problem, nodes.lower, nodes.upper, nodes.states)
        nodes, _ = self._bound_by_multipliers(nodes, relaxations, cutoff)
        hopeful = np.flatnonzero(nodes.bound < cutoff)
        if not hopeful.size:
            return self._nothing(nodes.take(hopeful))
        nodes, relaxations = nodes.take(hopeful), relaxations.take(hopeful)
        functions = self._outputs.functions(relaxations)
        nodes, points, possible = self._bound_by_programs(nodes, relaxations, functions, cutoff)
        nodes, gaps = self._bound_by_multipliers(nodes, relaxations, cutoff)
        bounded = BoundedNodes(
            nodes,
            points,
            self._scores(relaxations, functions, nodes, points, gaps),
            self._candidates(nodes, points, possible, cutoff),
        )
        return bounded.take(possible)

    # --- bounds -------------------------------------------------------------------------------------------------

    def _bound_by_multipliers(self, nodes: Nodes, relaxations: Relaxations, cutoff: float) -> tuple[Nodes, Array]:
        """Nodes bounded by their linear objective, and what each column matters for that bound."""
        functions = self._objective(relaxations, nodes.costs, nodes.constant, nodes.slopes)
        lower, upper = functions.cut(nodes.lower, nodes.upper, cutoff)
        bound = np.maximum(nodes.bound, functions.minima)
        nodes = replace(
            nodes, lower=lower, upper=upper, bound=bound, slopes=functions.slopes, states=relaxations.states()
        )
        return nodes, functions.gaps

    def _bound_by_programs(
        self, nodes: Nodes, relaxations: Relaxations, functions: list[StageFunctions], cutoff: float
    ) -> tuple[Nodes, Array, Array]:
        """Nodes bounded by their programs, with new multipliers; the programs' points; and which nodes are possible."""
        lower, upper, possible = self._outputs.tighten(relaxations, functions, nodes.lower, nodes.upper)
        lower, upper, still = self._tighten_by_rows(lower, upper)
        possible = possible & still
        links = [self._outputs.rows(functions, node) if possible[node] else None for node in range(len(nodes))]
        solutions = self._program.solve(links, lower, upper, cutoff)
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

    # --- points and splits --------------------------------------------------------------------------------------

    def _candidates(self, nodes: Nodes, points: Array, possible: Array, cutoff: float) -> Array:
        """The programs' points, and from the best of them a short way along the networks' linearizations."""
        order = np.argsort(np.where(possible, nodes.bound, np.inf), kind="stable")
        tried = order[: 1 if np.isfinite(cutoff) else REPAIRED_NODES]
        steps = [points[possible]]
        for node in tried[possible[tried]].tolist():
            way = self._program.follow(points[node], nodes.lower[node], nodes.upper[node], REPAIR_STEPS)
            steps.append(np.reshape(way, (-1, points.shape[1])))
        return np.concatenate(steps)

    def _scores(
        self, relaxations: Relaxations, functions: list[StageFunctions], nodes: Nodes, points: Array, gaps: Array
    ) -> Array:
        """Fractional integers first; then inputs by their parts in two distances, each making half of the score.

        One is the distance between the multipliers' objective and its bound; the other is how far the outputs are from
        the networks' values at the programs' points.
        """
        problem, columns = self.problem, self._outputs.columns
        error = points[:, columns] - problem.propagate(points)[:, columns]
        distance = np.concatenate([np.maximum(-error, 0), np.maximum(error, 0)], axis=1)
        parts = (gaps, self._outputs.gaps(relaxations, functions, distance))
        scores = sum(_shares(split_scores(problem, part, nodes.lower, nodes.upper)) for part in parts)
        fraction = np.abs(points - np.round(points)) * problem.integers
        fractional = (fraction > FEASIBILITY_TOLERANCE) & (nodes.upper - nodes.lower > 0.5)
        return np.where(fractional, FRACTION_SCORE * (1 + fraction), scores)

    def _nothing(self, nodes: Nodes) -> BoundedNodes:
        empty = np.zeros((0, self.problem.n_columns))
        return BoundedNodes(nodes, empty, empty, empty)


def _shares(values: Array) -> Array:
    """Rows scaled to a sum of one; rows of zeros stay."""
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)
