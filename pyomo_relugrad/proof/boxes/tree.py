"""Best-first branch and bound over the inputs of the networks."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve import FOR_RELAXATIONS, Reduction, reduce_by
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, Bounder, bound_seconds
from pyomo_relugrad.proof.boxes.branching import split_nodes
from pyomo_relugrad.proof.boxes.crown_bounder import CrownBounder
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.program_bounder import ProgramBounder
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.proof.queue import NodeQueue
from pyomo_relugrad.run import Callback, Options, Prover, SearchResult, run_proof

# A node with a program is bounded by its parent's multipliers, by the program, and by the program's multipliers.
BOUNDS_PER_PROGRAM = 3


@solver_threads()
def prove(
    problem: Problem,
    *,
    start: Incumbent | None = None,
    time_limit: float = np.inf,
    node_limit: int | None = None,
    relative_gap: float = Options.relative_gap,
    absolute_gap: float = Options.absolute_gap,
    callback: Callback | None = None,
) -> SearchResult:
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
        Called with a `Progress` after each batch of nodes; the proof ends when it returns True.

    Returns
    -------
    SearchResult
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
    >>> result.stop.value, round(problem.reported(result.incumbent.objective), 4)
    ('optimal', 0.5)
    """
    options = Options(time_limit=time_limit, relative_gap=relative_gap, absolute_gap=absolute_gap)
    tree = SearchTree(problem, options, start)
    return run_proof(tree, time_limit=time_limit, node_limit=node_limit, callback=callback)


class SearchTree(Prover):
    """The state of one branch and bound; `steps` bounds batch after batch.

    Parameters
    ----------
    problem : Problem
    options : Options
        The gaps count.
    start : Incumbent, optional
        As in `prove`.
    """

    #: What the problem goes through before it is relaxed.
    reductions: tuple[Reduction, ...] = FOR_RELAXATIONS

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._candidates = Candidates(problem)
        self._queue: NodeQueue[Nodes] = NodeQueue()
        # Smallest bounds of nodes in hand, given up for an incumbent, and too small to split. The root is in hand.
        self._in_hand, self._discarded, self._unresolved = -np.inf, np.inf, np.inf

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the requested gap."""
        return self.options.cutoff(self.incumbent_value)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return float(min(self._queue.bound, self._in_hand, self._discarded, self._unresolved, self.incumbent_value))

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes; longer where networks feed networks, which is not looked at here."""
        seconds = bound_seconds(self.problem, self.options.device)
        return seconds if self.problem.shape is Shape.BOX else BOUNDS_PER_PROGRAM * seconds

    def steps(self) -> Generator[None, None, None]:
        """Bound one batch after another until nothing is left to prove."""
        self._bounder = self._make_bounder()
        root = self._bounder.root()
        self._queue.add(root)
        self._in_hand = np.inf if len(root) else self.bound_if_empty
        while len(self._queue) and self._queue.bound < self.cutoff:
            self._step()
            yield

    def _make_bounder(self) -> Bounder:
        """What bounds the nodes; not begun where the bounds of a single node would outlast the time."""
        flat = reduce_by(self.problem, self.reductions).problem
        if bound_seconds(flat, self.options.device) > deadline.remaining():
            raise OutOfTime
        if flat.shape is Shape.BOX and not flat.links_networks.any():
            return CrownBounder(flat, self.options.cores, self.options.device)
        return ProgramBounder(flat)

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
        self._candidates.try_on(self, bounded.candidates)
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
