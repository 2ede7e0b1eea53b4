"""Best-first branch and bound over the ReLUs of a network with many inputs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network.bounds import Boxes, Relaxation
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.problem.presolve.integer_bounds import rounded_bounds
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening, cut_boxes
from pyomo_relugrad.proof.boxes.bounding import bound_seconds
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.proof.queue import NodeQueue
from pyomo_relugrad.proof.relus.ascent import FEASIBILITY_STEPS, ROOT_STEPS, STEPS, Ascended, Scales, ascend
from pyomo_relugrad.proof.relus.branching import branched, range_scores, split_scores
from pyomo_relugrad.proof.relus.dual import Dual, DualPoint
from pyomo_relugrad.proof.relus.leaves import LeafProgram
from pyomo_relugrad.proof.relus.nodes import SplitNodes
from pyomo_relugrad.run import Options, Prover

# Work in one batch, in multiplications for one step of all of its nodes, and the most nodes of one.
BATCH_WORK, MAX_BATCH = 1e8, 128
# Seconds that the relaxation and the first bound take at least.
MIN_SECONDS = 0.02
# How far above all objectives the first cutoff is, relative to one plus its size.
ABOVE = 1e-6


class ReluTree(Prover):
    """The state of one branch and bound; `steps` bounds batch after batch.

    Nodes say of some ReLUs whether they are active. They are bounded by beta-CROWN with the bounds of pre-activations
    at the root, so a node costs some passes through the network, however many inputs there are. Rows are in the bound
    by their multipliers.

    Parameters
    ----------
    problem : Problem
        One that `fits`.
    options : Options
        The gaps count.
    start : Incumbent, optional
        A point to begin with; ignored where it is not feasible.

    Raises
    ------
    ModelError
        If the problem does not fit.
    """

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        reason = misfit(problem)
        if reason:
            raise ModelError(f"branch and bound over ReLUs is not for this problem: {reason}")
        self._candidates = Candidates(problem)
        self._queue: NodeQueue[SplitNodes] = NodeQueue()
        # Smallest bounds of nodes in hand, given up for an incumbent, and of solved leaves.
        self._in_hand, self._discarded, self._solved = -np.inf, np.inf, np.inf
        self._largest = np.inf

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the requested gap, or do not exist."""
        return min(self.options.cutoff(self.incumbent_value), self._largest)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        least = min(self._queue.bound, self._in_hand, self._discarded, self._solved)
        return float(self.bound_if_empty if least > self._largest else min(least, self.incumbent_value))

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes."""
        return MIN_SECONDS + bound_seconds(self.problem)

    def steps(self) -> Generator[None, None, None]:
        """Bound one batch after another until nothing is left to prove."""
        if bound_seconds(self.problem) > deadline.remaining():
            raise OutOfTime
        self._bound(self._prepared(), ROOT_STEPS)
        yield
        while len(self._queue) and self._queue.bound < self.cutoff:
            self._bound(self._queue.take(self._batch), STEPS)
            yield

    def _prepared(self) -> SplitNodes:
        """The whole problem as one node; sizes that steps are measured in."""
        problem, (embedded,) = self.problem, self.problem.networks
        self._integers = np.flatnonzero(problem.integers)
        self._tighten = RowTightening(problem)
        self._duals = duals = _Duals.over(problem, problem.lower[None], problem.upper[None])
        self._leaf = LeafProgram(problem, duals.exact)
        functions = np.concatenate([problem.cost[None], duals.exact.rows])
        sizes = -duals.exact.minima(functions) - duals.exact.minima(-functions)
        sizes = np.where(sizes > 0, sizes, 1.0)
        largest = problem.constant - float(duals.exact.minima(-problem.cost[None])[0])
        self._largest = largest + ABOVE * (1 + abs(largest))  # a constant objective is below it
        self._scales = Scales(np.ones(duals.exact.n_relus), sizes[0] / sizes[1:], sizes[0])
        work = embedded.network.bounding_work if self._integers.size else embedded.network.n_weights
        self._batch = int(np.clip(BATCH_WORK / max(work, 1), 1, MAX_BATCH))
        lower, upper = (side[None, self._integers] for side in (problem.lower, problem.upper))
        splits, bound = np.zeros((1, duals.exact.n_relus), np.int8), np.array([-np.inf])
        return SplitNodes(splits, lower, upper, *duals.fast.first_multipliers(1).parts, bound)

    def _bound(self, nodes: SplitNodes, steps: int) -> None:
        """Bound nodes, try the points that this leads to, and split what is left."""
        self._in_hand = float(nodes.bound.min())
        nodes, duals = self._enclosed(nodes)
        if len(nodes):
            self._bound_and_branch(nodes, duals, steps)
        self._in_hand = np.inf

    def _enclosed(self, nodes: SplitNodes) -> tuple[SplitNodes, _Duals]:
        """The nodes whose ranges of integers the rows allow, tightened, and the dual functions over their boxes."""
        if not self._integers.size:
            return nodes, self._duals
        lower, upper = (np.tile(side, (len(nodes), 1)) for side in (self.problem.lower, self.problem.upper))
        lower[:, self._integers], upper[:, self._integers] = nodes.lower, nodes.upper
        lower, upper, possible = self._tighten(lower, upper)
        nodes = replace(nodes, lower=lower[:, self._integers], upper=upper[:, self._integers]).take(possible)
        lower, upper = lower[possible], upper[possible]
        return nodes, _Duals.over(self.problem, lower, upper, nodes.splits) if len(nodes) else self._duals

    def _may_have_points(self, nodes: SplitNodes, duals: _Duals) -> Array:
        """(N,) booleans: false where multipliers of splits and rows alone prove that no point meets them.

        Where a point is known, bounds of the objective exclude more.
        """
        if self.incumbent is not None or not duals.exact.n_rows:
            return np.ones(len(nodes), bool)
        start = duals.fast_feasibility.first_multipliers(len(nodes))
        found = ascend(duals.fast_feasibility, nodes.splits, start, self._scales.relative, 1e-6, FEASIBILITY_STEPS)
        return duals.exact_feasibility(nodes.splits, found.multipliers).bound <= 0.0

    def _bound_and_branch(self, nodes: SplitNodes, duals: _Duals, steps: int) -> None:
        cutoff, possible = self.cutoff, self._may_have_points(nodes, duals)
        # What bounds in float32 should reach, so that those in float64 reach the cutoff.
        target = cutoff + 1e-5 * abs(cutoff) + 1e-7 if np.isfinite(cutoff) else np.inf
        found = ascend(duals.fast, nodes.splits, nodes.multipliers, self._scales, target, steps)
        exact = duals.exact(nodes.splits, found.multipliers)
        bound = np.maximum(exact.bound, nodes.bound)
        self.nodes += len(nodes)
        if steps == ROOT_STEPS:
            self._note_adjoints(found.last.adjoints[0])
        # Points that may be feasible, outputs not yet propagated.
        self._candidates.try_on(self, np.concatenate([found.columns, found.last.columns]).astype(np.float64))
        self._discarded = min(self._discarded, bound[possible & (bound >= self.cutoff)].min(initial=np.inf))
        self._branch(nodes.bounded(found.multipliers, bound), duals, found, exact, possible & (bound < self.cutoff))

    def _note_adjoints(self, adjoints: Array) -> None:
        """Measure multipliers of splits by the coefficients of their layer at the root."""
        parts = self.problem.networks[0].network.split_pattern(np.abs(adjoints).astype(np.float64))
        sizes = [np.full(part.size, part.mean() if part.any() else 1.0) for part in parts]
        self._scales = replace(self._scales, beta=np.concatenate([np.zeros(0), *sizes]))

    def _branch(self, bounded: SplitNodes, duals: _Duals, found: Ascended, exact: DualPoint, is_open: Array) -> None:
        """Split the open nodes; those with nothing left to split are solved."""
        dual, integers = duals.exact, self._integers
        if integers.size:
            bounded = self._cut(bounded, exact)
            is_open = is_open & (bounded.lower <= bounded.upper).all(axis=1)
        relu_scores = split_scores(dual, bounded.splits, found.last.adjoints)
        integer_scores = range_scores(bounded, exact.slopes[:, integers])
        is_leaf = (relu_scores < 0).all(axis=1) & (integer_scores < 0).all(axis=1)
        for node in np.flatnonzero(is_open & is_leaf).tolist():
            self._solve(bounded.take(np.array([node])), dual.states[node if len(dual.states) > 1 else 0])
        chosen = is_open & ~is_leaf
        if chosen.any():
            points = found.columns[chosen][:, integers]
            self._queue.add(branched(bounded.take(chosen), relu_scores[chosen], integer_scores[chosen], points))

    def _cut(self, bounded: SplitNodes, exact: DualPoint) -> SplitNodes:
        """Nodes with ranges of integers without what the bound's linear function says is above the cutoff."""
        limit = np.full(len(bounded), self.cutoff)
        if self.cutoff < self._largest:  # else nothing is cut off that exists
            self._discarded = min(self._discarded, self.cutoff)
        slopes = exact.slopes[:, self._integers]
        lower, upper = cut_boxes(slopes, exact.bound, limit, bounded.lower, bounded.upper)
        lower, upper = rounded_bounds(lower, upper, np.ones(self._integers.size, bool))
        return replace(bounded, lower=lower, upper=upper)

    def _solve(self, leaf: SplitNodes, states: Array) -> None:
        """Solve a node on which the network is affine."""
        bound = float(leaf.bound[0])
        if bound >= self.cutoff:
            self._discarded = min(self._discarded, bound)
            return
        lower, upper = self.problem.lower.copy(), self.problem.upper.copy()
        lower[self._integers], upper[self._integers] = leaf.lower[0], leaf.upper[0]
        value, point = self._leaf.solve(leaf.splits[0], states, lower, upper)
        if point is not None:
            self._candidates.try_on(self, point[None])
        self._solved = min(self._solved, max(value, bound))


@dataclass(frozen=True, eq=False)
class _Duals:
    """The dual functions of nodes, with and without the objective, in float64 and in float32."""

    exact: Dual
    fast: Dual
    exact_feasibility: Dual
    fast_feasibility: Dual

    @classmethod
    def over(cls, problem: Problem, lower: Array, upper: Array, splits: Array | None = None) -> _Duals:
        """Over boxes (N, n) of nodes, whose splits may bound pre-activations."""
        (embedded,) = problem.networks
        relaxation = Relaxation(embedded.network, lower[:, embedded.inputs], upper[:, embedded.inputs], splits)
        boxes, free = Boxes(lower, upper), replace(problem, cost=np.zeros(problem.n_columns), constant=0.0)
        types = np.float64, np.float32
        return cls(*(Dual(asked, relaxation, dtype, boxes) for asked in (problem, free) for dtype in types))


def misfit(problem: Problem) -> str:
    """Why branch and bound over ReLUs cannot do a problem, in words; empty where it can."""
    decisions = ~problem.is_output
    if len(problem.networks) != 1:
        return f"it has {len(problem.networks)} networks"
    if not problem.is_piecewise_linear:
        return f"{problem.smooth_part} is smooth"
    if not problem.networks[0].network.n_relus:
        return "its network has no ReLUs"
    if problem.quadratic is not None:
        return "its objective is quadratic"
    unbounded = decisions & ~(np.isfinite(problem.lower) & np.isfinite(problem.upper))
    if unbounded.any():
        return f"{problem.describe_column(int(unbounded.argmax()))} has no finite bounds"
    return ""
