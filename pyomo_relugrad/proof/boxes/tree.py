"""Best-first branch and bound over the inputs of the networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve.chains import without_chains
from pyomo_relugrad.programs.threads import solver_threads
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, Bounder
from pyomo_relugrad.proof.boxes.branching import split_nodes
from pyomo_relugrad.proof.boxes.crown_bounder import CrownBounder
from pyomo_relugrad.proof.boxes.nodes import NodeQueue
from pyomo_relugrad.proof.boxes.polish import Polish
from pyomo_relugrad.proof.boxes.program_bounder import ProgramBounder
from pyomo_relugrad.proof.root_bound import bound_seconds
from pyomo_relugrad.run.worker import ProofProgress, ProofResult, ProofStatus, run_proof

# Points that are to replace an incumbent miss rows by no more than this, so that none is better by its violation alone.
BETTER_TOLERANCE = 1e-7


@solver_threads()
def prove(
    problem: Problem,
    *,
    start: Incumbent | None = None,
    time_limit: float = np.inf,
    node_limit: int | None = None,
    relative_gap: float = 1e-4,
    absolute_gap: float = 1e-6,
    callback: Callable[[ProofProgress], bool | None] | None = None,
) -> ProofResult:
    """Search for the optimum of a problem and prove it, by branch and bound over the networks' inputs.

    Nodes are boxes. Each network is relaxed to linear functions of its inputs (CROWN), so no neuron is a variable; a
    problem whose only constraints are bounds needs no linear program at all. Meant for networks with up to some tens of
    inputs and any number of neurons: the number of nodes can grow exponentially with the inputs that matter.

    Parameters
    ----------
    problem : Problem
    start : Incumbent, optional
        A point to begin with; ignored where it is not feasible.
    time_limit : float, optional
        Seconds.
    node_limit : int, optional
    relative_gap, absolute_gap : float, optional
        The proof ends when incumbent minus bound is at most ``max(absolute_gap, relative_gap * |incumbent|)``.
    callback : callable, optional
        Called with a `ProofProgress` after each batch of nodes; the proof ends when it returns True.

    Returns
    -------
    ProofResult
        Ctrl-C ends the proof and returns incumbent and bound. Bounds of box problems hold in floating point; those of
        other problems hold to the tolerances of HiGHS.

    Examples
    --------
    >>> from pyomo_relugrad.network import Network
    >>> from pyomo_relugrad.problem import EmbeddedNetwork
    >>> network = Network.from_layers([[[1.0], [-1.0]], [[1.0, 0.5]]], [[-0.5, 0.2], [0.0]])
    >>> problem = Problem(
    ...     cost=np.array([0.0, -1.0]), lower=np.array([0.0, -np.inf]), upper=np.array([1.0, np.inf]),
    ...     networks=(EmbeddedNetwork(network, [0], [1]),), maximize=True)
    >>> result = prove(problem)
    >>> result.status.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    tree = SearchTree(problem, relative_gap, absolute_gap)
    if start is not None:
        tree.offer(start)
    return run_proof(tree, time_limit=time_limit, node_limit=node_limit, callback=callback)


class SearchTree:
    """The state of one branch and bound; `steps` bounds batch after batch.

    Parameters
    ----------
    problem : Problem
    relative_gap, absolute_gap
        As in `prove`.
    """

    def __init__(self, problem: Problem, relative_gap: float = 1e-4, absolute_gap: float = 1e-6) -> None:
        self.problem = problem
        self.incumbent: Incumbent | None = None
        self.nodes = 0
        self._gaps = (relative_gap, absolute_gap)
        self._polish = Polish(problem)
        self._queue = NodeQueue()
        # Smallest bounds of nodes in hand, given up for an incumbent, and too small to split. The root is in hand.
        self._in_hand, self._discarded, self._unresolved = -np.inf, np.inf, np.inf

    @property
    def incumbent_value(self) -> float:
        """Objective of the incumbent; infinite where there is none."""
        return np.inf if self.incumbent is None else self.incumbent.objective

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the asked gap."""
        relative, absolute = self._gaps
        value = self.incumbent_value
        return value - max(absolute, relative * abs(value)) if np.isfinite(value) else np.inf

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return float(min(self._queue.bound, self._in_hand, self._discarded, self._unresolved, self.incumbent_value))

    def conclusion(self) -> ProofStatus | None:
        """OPTIMAL or INFEASIBLE where that is proven."""
        if self.incumbent is not None and self.bound >= self.cutoff - 1e-12 * (1 + abs(self.cutoff)):
            return ProofStatus.OPTIMAL
        if self.incumbent is None and self.bound == np.inf:
            return ProofStatus.INFEASIBLE
        return None

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better; return whether it was."""
        if not point.is_feasible or point.objective >= self.incumbent_value:
            return False
        self.incumbent = point
        return True

    def steps(self) -> Iterator[ProofProgress]:
        """Bound one batch after another until nothing is left to prove."""
        begin = time.perf_counter()
        self._bounder = self._make_bounder()
        self._queue.add(self._bounder.root())
        self._in_hand = np.inf
        while len(self._queue) and self._queue.bound < self.cutoff:
            known = self.incumbent
            self._step()
            yield ProofProgress(
                elapsed=time.perf_counter() - begin,
                nodes=self.nodes,
                open_nodes=len(self._queue),
                bound=self.bound,
                incumbent=self.incumbent,
                is_new=self.incumbent is not known,
            )

    def _make_bounder(self) -> Bounder:
        """What bounds the nodes; not begun where the bounds of a single node would outlast the time."""
        flat = without_chains(self.problem)
        if bound_seconds(flat) > deadline.remaining():
            raise OutOfTime
        return CrownBounder(flat) if self.problem.shape is Shape.BOX else ProgramBounder(flat)

    def _step(self) -> None:
        nodes = self._queue.take(self._bounder.batch)
        self._in_hand = float(nodes.bound.min())
        self._discard(nodes.bound)
        nodes = nodes.take(nodes.bound < self.cutoff)
        cutoff = self.cutoff
        bounded = self._bounder(nodes, cutoff)
        # Boxes are cut where nothing better than the cutoff can be.
        self._discarded = min(self._discarded, cutoff)
        self.nodes += len(nodes)
        self._try(bounded.candidates)
        self._discard(bounded.nodes.bound)
        self._branch(bounded.take(bounded.nodes.bound < self.cutoff))
        self._in_hand = np.inf

    def _branch(self, bounded: BoundedNodes) -> None:
        children, leaves = split_nodes(bounded, self.problem.integers)
        self._queue.add(children)
        self._unresolved = min(self._unresolved, leaves.bound.min(initial=np.inf))

    def _discard(self, bounds: Array) -> None:
        """Note the bounds that no longer matter."""
        self._discarded = min(self._discarded, bounds[bounds >= self.cutoff].min(initial=np.inf))

    def _try(self, candidates: Array) -> None:
        """Evaluate points; take the best feasible one, polished, where it is better than the incumbent."""
        if not len(candidates):
            return
        problem = self.problem
        V = np.clip(candidates, problem.lower, problem.upper)
        V = problem.propagate(np.where(problem.integers, np.round(V), V))
        objective = problem.objective(V)
        allowed = FEASIBILITY_TOLERANCE if self.incumbent is None else BETTER_TOLERANCE
        feasible = np.ones(len(V), bool) if problem.shape is Shape.BOX else problem.violation(V) <= allowed
        objective = np.where(feasible, objective, np.inf)
        best = int(np.argmin(objective))
        if objective[best] < self.incumbent_value and self.offer(problem.incumbent(V[best])):
            self.offer(problem.incumbent(self._polish(V[best])))
