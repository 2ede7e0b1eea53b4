"""Best-first branch and bound over the inputs of the networks."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve import FOR_RELAXATIONS, Reduction, reduce_by
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.proof.boxes.batches_elsewhere import BatchesElsewhere, bounder_for
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, Bounder, bound_seconds
from pyomo_relugrad.proof.boxes.branching import split_nodes
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.proof.queue import NodeQueue
from pyomo_relugrad.run import Callback, Options, Prover, SearchResult, run_proof

# A node with a program is bounded by its parent's multipliers, by the program, and by the program's multipliers.
BOUNDS_PER_PROGRAM = 3
# Seconds of the waiting nodes that are worth dividing among processes, and of a part while another is under way.
DIVIDED_SECONDS, PART_SECONDS = 0.08, 0.025
# How long batches of others are waited for: where less than a batch waits, in units of the last one here; and, in
# seconds, where nothing does.
SHORT_WAIT, LONG_WAIT = 0.3, 0.1


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
        Ctrl-C ends the proof and returns incumbent and bound. Bounds hold in floating point, but that multipliers which
        should cancel out on a column without bounds count as zero below 1e-9 of their terms.

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
        is_alone = options.device is not None or options.executor is not None
        self._elsewhere = BatchesElsewhere(0 if is_alone else options.cores - 1)
        self._seconds = self._seconds_per_node = 0.0

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the requested gap."""
        return self.options.cutoff(self.incumbent_value)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        waiting = min(self._queue.bound, self._elsewhere.bound)
        return float(min(waiting, self._in_hand, self._discarded, self._unresolved, self.incumbent_value))

    @property
    def cores_beside(self) -> int:
        """Those of the processes that bound batches."""
        return int(min(self._elsewhere.cores, self.spare_cores))

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes; longer where networks feed networks, which is not looked at here."""
        seconds = bound_seconds(self.problem, self.options.device)
        return seconds if self.problem.shape is Shape.BOX else BOUNDS_PER_PROGRAM * seconds

    def steps(self) -> Generator[None, None, None]:
        """Bound one batch after another until nothing is left to prove."""
        flat = reduce_by(self.problem, self.reductions).problem
        bounder = self._make_bounder(flat)
        root = bounder.root()
        self._queue.add(root)
        self._in_hand = np.inf if len(root) else self.bound_if_empty
        with closing(self._elsewhere):
            while min(self._queue.bound, self._elsewhere.bound) < self.cutoff:
                self._step(flat, bounder)
                yield

    def _make_bounder(self, flat: Problem) -> Bounder:
        """What bounds the nodes; not begun where the bounds of a single node would outlast the time."""
        if bound_seconds(flat, self.options.device) > deadline.remaining():
            raise OutOfTime
        return bounder_for(flat, self.options.device)

    def _step(self, problem: Problem, bounder: Bounder) -> None:
        """Bound a batch here, and others elsewhere."""
        self._in_hand = min(self._queue.bound, self._elsewhere.bound)  # no node of the step has a smaller one
        self._give_away(problem, bounder.batch)
        if self._queue.bound < self.cutoff:
            self._bound(bounder)
        self._take_back(bounder.batch)
        self._in_hand = np.inf

    def _bound(self, bounder: Bounder) -> None:
        """Bound a batch here."""
        nodes, begin = self._taken(bounder.batch), time.perf_counter()
        bounded = bounder(nodes, self.cutoff)
        self._seconds = time.perf_counter() - begin
        self._seconds_per_node = self._seconds / len(nodes)
        self._split(nodes, bounded)

    def _give_away(self, problem: Problem, batch: int) -> None:
        """Let other processes bound batches, where there are nodes enough."""
        elsewhere = self._elsewhere
        if len(self._queue) * self._seconds_per_node < DIVIDED_SECONDS:
            return
        room = elsewhere.room(problem, self.spare_cores, may_start=len(self._queue) >= batch)
        if len(self._queue) * self._seconds_per_node < (1 + room) * PART_SECONDS:
            room = min(room, elsewhere.idle)
        size = min(batch, len(self._queue) // (1 + room))
        for _ in range(room if size else 0):
            if self._queue.bound < self.cutoff:
                nodes = self._taken(size)
                elsewhere.send(nodes, self.cutoff, self._seconds_per_node * len(nodes))

    def _take_back(self, batch: int) -> None:
        """Split what others have bounded; they are waited for where there is little to go on with."""
        if self._queue.bound < self.cutoff:
            patience = 0.0 if len(self._queue) >= batch else SHORT_WAIT * self._seconds
        else:
            patience = LONG_WAIT
        for nodes, bounded in self._elsewhere.back(patience):
            if bounded is None:
                self._queue.add(nodes)
            else:
                self._split(nodes, bounded)

    def _taken(self, count: int) -> Nodes:
        """The best waiting nodes that may have points below the cutoff."""
        nodes, cutoff = self._queue.take(count), self.cutoff
        self._discard(nodes.bound)
        # Boxes are cut where nothing better than the cutoff can be.
        self._discarded = min(self._discarded, cutoff)
        return nodes.take(nodes.bound < cutoff)

    def _split(self, nodes: Nodes, bounded: BoundedNodes) -> None:
        """Try the points of nodes that have been bounded, and split those that are open."""
        self.nodes += len(nodes)
        self._candidates.try_on(self, bounded.candidates)
        self._discard(bounded.nodes.bound)
        self._branch(bounded.take(bounded.nodes.bound < self.cutoff))

    def _branch(self, bounded: BoundedNodes) -> None:
        children, leaves = split_nodes(bounded, self.problem.integers)
        self._queue.add(children)
        self._unresolved = min(self._unresolved, leaves.bound.min(initial=np.inf))

    def _discard(self, bounds: Array) -> None:
        """Note the bounds that no longer matter."""
        self._discarded = min(self._discarded, bounds[bounds >= self.cutoff].min(initial=np.inf))
