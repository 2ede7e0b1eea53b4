"""Best-first branch and bound over the inputs of the networks."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

import numpy as np

from pyomo_relugrad import deadline
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve import FOR_RELAXATIONS, Reduction, reduce_by
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.proof.boxes.batches_elsewhere import BatchesElsewhere, bounder_for
from pyomo_relugrad.proof.boxes.bounding import Bounder, bound_seconds
from pyomo_relugrad.proof.boxes.frontier import Frontier
from pyomo_relugrad.proof.candidates import Candidates
from pyomo_relugrad.run import Callback, Options, Prover, Report, SearchResult, run_proof

# A node with a program is bounded by its parent's multipliers, by the program, and by the program's multipliers.
BOUNDS_PER_PROGRAM = 3
# Seconds of the waiting nodes that are worth dividing among processes, and of a part while another is under way.
DIVIDED_SECONDS, PART_SECONDS = 0.008, 0.01
# Seconds for which others go on with what they are given, and with the root while a search is under way here; seconds
# of the root up to which they do.
TURN_SECONDS, AHEAD_SECONDS, LONGEST_AHEAD = 0.03, 0.025, 0.1
# How long others are waited for where nothing waits here.
LONG_WAIT = 0.1


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
        self._open = Frontier(problem.integers)
        self._in_hand = -np.inf  # the smallest bound of nodes in hand, as the root is
        self._bounder: Bounder | None = None
        is_alone = options.device is not None or options.executor is not None
        self._elsewhere = BatchesElsewhere(0 if is_alone else options.cores - 1)
        self._seconds_per_node = 0.0

    @property
    def cutoff(self) -> float:
        """Objectives at or above this do not improve the incumbent by more than the requested gap."""
        return self.options.cutoff(self.incumbent_value)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        return float(min(self._waiting, self._in_hand, self._open.given_up, self.incumbent_value))

    @property
    def _waiting(self) -> float:
        """The smallest bound of a node that waits, here or elsewhere."""
        return min(self._open.bound, self._elsewhere.bound)

    @property
    def cores_beside(self) -> int:
        """Those of the processes that bound batches."""
        return int(min(self._elsewhere.cores, self.spare_cores))

    def close(self) -> tuple[Report, ...]:
        """Leave what others do, also where no step has been taken."""
        self._elsewhere.close()
        return super().close()

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes; longer where networks feed networks, which is not looked at here."""
        seconds = bound_seconds(self.problem, self.options.device)
        return seconds if self.problem.shape is Shape.BOX else BOUNDS_PER_PROGRAM * seconds

    @property
    def has_news(self) -> bool:
        """Whether something has come back from elsewhere."""
        return self._elsewhere.has_answers

    def get_ahead(self) -> None:
        """Let a process that is there begin with the root, where that is quick and the problem is a box."""
        is_quick = self.problem.shape is Shape.BOX and bound_seconds(self.problem) <= LONGEST_AHEAD
        if not is_quick or not self._elsewhere.begin_at_once(flat := reduce_by(self.problem, self.reductions).problem):
            return
        root = bounder_for(flat).root()
        if len(root):
            self._elsewhere.send(root, self.cutoff, AHEAD_SECONDS)

    def keep_others_busy(self) -> None:
        """Let processes that have nothing left to do go on with the nodes that wait here."""
        if self._bounder is None or not self._elsewhere.is_shared:
            return
        self._take_back(0.0)
        others = int(min(self._elsewhere.idle, self.spare_cores))
        size = min(self._bounder.batch, -(-len(self._open) // (1 + others)))
        for nodes in self._open.deal(size, others, self.cutoff) if others and size else ():
            self._elsewhere.send(nodes, self.cutoff, TURN_SECONDS, self._seconds_per_node * len(nodes))

    def steps(self) -> Generator[None, None, None]:
        """Bound one batch after another until nothing is left to prove."""
        flat = reduce_by(self.problem, self.reductions).problem
        self._bounder = bounder = self._make_bounder(flat)
        roots = self._elsewhere.call_back() or ([] if self._elsewhere.under_way else [bounder.root()])
        for root in roots:
            self._open.add(root)
        self._in_hand = np.inf if all(len(root) for root in roots) else self.bound_if_empty
        with closing(self._elsewhere):
            while self._waiting < self.cutoff:
                self._step(flat, bounder)
                yield

    def _make_bounder(self, flat: Problem) -> Bounder:
        """What bounds the nodes; not begun where the bounds of a single node would outlast the time."""
        if bound_seconds(flat, self.options.device) > deadline.remaining():
            raise OutOfTime
        return bounder_for(flat, self.options.device)

    def _step(self, problem: Problem, bounder: Bounder) -> None:
        """Bound a batch here, and others elsewhere."""
        self._in_hand = self._waiting  # no node of the step has a smaller one
        self._give_away(problem, bounder.batch)
        if self._open.bound < self.cutoff:
            self._bound(bounder)
        self._take_back(0.0 if self._open.bound < self.cutoff else LONG_WAIT)
        self._in_hand = np.inf

    def _bound(self, bounder: Bounder) -> None:
        """Bound a batch here, try its points, and split the nodes that are open."""
        nodes, begin = self._open.take(bounder.batch, self.cutoff), time.perf_counter()
        bounded = bounder(nodes, self.cutoff)
        self._seconds_per_node = (time.perf_counter() - begin) / len(nodes)
        self.nodes += len(nodes)
        self._candidates.try_on(self, bounded.candidates)
        self._open.split(bounded, self.cutoff, bounder.wide)

    def _give_away(self, problem: Problem, batch: int) -> None:
        """Let other processes bound nodes, where there are enough of them."""
        elsewhere = self._elsewhere
        if len(self._open) * self._seconds_per_node < DIVIDED_SECONDS:
            return
        room = elsewhere.room(problem, self.spare_cores, may_start=len(self._open) >= batch)
        if len(self._open) * self._seconds_per_node < (1 + room) * PART_SECONDS:
            room = min(room, elsewhere.idle)
        size = min(batch, len(self._open) // (1 + room))
        for nodes in self._open.deal(size, room, self.cutoff) if room and size else ():
            elsewhere.send(nodes, self.cutoff, TURN_SECONDS, self._seconds_per_node * len(nodes))

    def _take_back(self, seconds: float) -> None:
        """Take what has become of nodes elsewhere; wait so long for it."""
        for nodes, explored in self._elsewhere.back(seconds):
            if explored is None:
                self._open.add(nodes)
                continue
            self.nodes += explored.count
            self._seconds_per_node = self._seconds_per_node or explored.seconds
            self._candidates.try_on(self, explored.candidates)
            self._open.add(explored.nodes)
            self._open.given_up = min(self._open.given_up, explored.given_up)
