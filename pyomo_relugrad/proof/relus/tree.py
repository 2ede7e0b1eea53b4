"""Best-first branch and bound over the ReLUs of a network with many inputs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network.bounds import Relaxation
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.proof.boxes.bounding import bound_seconds
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.proof.queue import NodeQueue
from pyomo_relugrad.proof.relus.ascent import FEASIBILITY_STEPS, ROOT_STEPS, STEPS, Ascended, Scales, ascend
from pyomo_relugrad.proof.relus.dual import Dual
from pyomo_relugrad.proof.relus.leaves import LeafProgram
from pyomo_relugrad.proof.relus.nodes import SplitNodes
from pyomo_relugrad.run import Options, Prover

# Work in one batch, in multiplications for one step of all of its nodes, and the most nodes of one.
BATCH_WORK, MAX_BATCH = 1e8, 128
# Seconds that the relaxation and the first bound take at least.
MIN_SECONDS = 0.02


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
        self._prepare()
        root = self._exact.first_multipliers(1)
        whole = SplitNodes.of(np.zeros((1, self._exact.states.size), np.int8), root, np.array([-np.inf]))
        self._bound(whole, ROOT_STEPS)
        yield
        while len(self._queue) and self._queue.bound < self.cutoff:
            self._bound(self._queue.take(self._batch), STEPS)
            yield

    def _prepare(self) -> None:
        """The dual functions, and sizes that steps are measured in."""
        problem, (embedded,) = self.problem, self.problem.networks
        relaxation = Relaxation(
            embedded.network, problem.lower[None, embedded.inputs], problem.upper[None, embedded.inputs]
        )
        self._fast, self._exact = Dual(problem, relaxation, np.float32), Dual(problem, relaxation)
        free = replace(problem, cost=np.zeros(problem.n_columns), constant=0.0)
        self._fast_feasibility, self._exact_feasibility = Dual(free, relaxation, np.float32), Dual(free, relaxation)
        self._leaf = LeafProgram(problem, self._exact)
        functions = np.concatenate([problem.cost[None], self._exact.rows])
        sizes = -self._exact.minima(functions) - self._exact.minima(-functions)
        sizes = np.where(sizes > 0, sizes, 1.0)
        self._largest = problem.constant - float(self._exact.minima(-problem.cost[None])[0])
        self._scales = Scales(np.ones(self._exact.states.size), sizes[0] / sizes[1:], sizes[0])
        self._batch = int(np.clip(BATCH_WORK / max(embedded.network.n_weights, 1), 1, MAX_BATCH))

    def _bound(self, nodes: SplitNodes, steps: int) -> None:
        """Bound nodes, try the points that this leads to, and split what is left."""
        self._in_hand = float(nodes.bound.min())
        nodes = nodes.take(self._may_have_points(nodes))
        if len(nodes):
            self._bound_and_branch(nodes, steps)
        self._in_hand = np.inf

    def _may_have_points(self, nodes: SplitNodes) -> Array:
        """(N,) booleans: false where multipliers of splits and rows alone prove that no point meets them.

        Where a point is known, bounds of the objective exclude more.
        """
        if self.incumbent is not None or not self._exact.n_rows:
            return np.ones(len(nodes), bool)
        start = self._fast_feasibility.first_multipliers(len(nodes))
        found = ascend(self._fast_feasibility, nodes.splits, start, self._scales.relative, 1e-6, FEASIBILITY_STEPS)
        return self._exact_feasibility(nodes.splits, found.multipliers).bound <= 0.0

    def _bound_and_branch(self, nodes: SplitNodes, steps: int) -> None:
        cutoff = self.cutoff
        found = ascend(self._fast, nodes.splits, nodes.multipliers, self._scales, _above(cutoff), steps)
        bound = np.maximum(self._exact(nodes.splits, found.multipliers).bound, nodes.bound)
        self.nodes += len(nodes)
        if steps == ROOT_STEPS:
            self._note_adjoints(found.last.adjoints[0])
        self._candidates.try_on(self, self._restored(found))
        self._discarded = min(self._discarded, bound[bound >= self.cutoff].min(initial=np.inf))
        bounded = SplitNodes.of(nodes.splits, found.multipliers, bound)
        self._branch(bounded, found.last.adjoints, bound < self.cutoff)

    def _note_adjoints(self, adjoints: Array) -> None:
        """Measure multipliers of splits by the coefficients of their layer at the root."""
        parts = self.problem.networks[0].network.split_pattern(np.abs(adjoints).astype(np.float64))
        sizes = [np.full(part.size, part.mean() if part.any() else 1.0) for part in parts]
        self._scales = replace(self._scales, beta=np.concatenate([np.zeros(0), *sizes]))

    def _branch(self, bounded: SplitNodes, adjoints: Array, is_open: Array) -> None:
        """Split the open nodes; those with nothing left to split are solved."""
        is_leaf = ~self._exact.is_undecided(bounded.splits).any(axis=1)
        self._solve(bounded.take(is_open & is_leaf))
        chosen = np.flatnonzero(is_open & ~is_leaf)
        if chosen.size:
            scores = self._exact.split_scores(bounded.splits[chosen], adjoints[chosen])
            self._queue.add(bounded.take(chosen).split(scores.argmax(axis=1)))

    def _solve(self, leaves: SplitNodes) -> None:
        """Solve nodes on which the network is affine."""
        for splits, bound in zip(leaves.splits, leaves.bound.tolist(), strict=True):
            if bound >= self.cutoff:
                self._discarded = min(self._discarded, bound)
                continue
            value, point = self._leaf.solve(splits)
            if point is not None:
                self._candidates.try_on(self, point[None])
            self._solved = min(self._solved, max(value, bound))

    def _restored(self, found: Ascended) -> Array:
        """Points that may be feasible, outputs not yet propagated."""
        return np.concatenate([found.columns, found.last.columns]).astype(np.float64)


def _above(cutoff: float) -> float:
    """What bounds in float32 should reach, so that those in float64 reach the cutoff."""
    return cutoff + 1e-5 * abs(cutoff) + 1e-7 if np.isfinite(cutoff) else np.inf


def misfit(problem: Problem) -> str:
    """Why branch and bound over ReLUs cannot do a problem, in words; empty where it can."""
    decisions = ~problem.is_output
    if len(problem.networks) != 1:
        return f"it has {len(problem.networks)} networks"
    if not problem.is_piecewise_linear:
        return f"{problem.smooth_part} is smooth"
    if problem.quadratic is not None:
        return "its objective is quadratic"
    if problem.integers.any():
        return f"{problem.describe_column(int(problem.integers.argmax()))} is an integer"
    unbounded = decisions & ~(np.isfinite(problem.lower) & np.isfinite(problem.upper))
    if unbounded.any():
        return f"{problem.describe_column(int(unbounded.argmax()))} has no finite bounds"
    return ""
