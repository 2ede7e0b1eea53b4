"""Batches of nodes that other processes bound: threads would wait for each other, since Python has one lock."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeAlias

from pyomo_relugrad import deadline
from pyomo_relugrad.problem import Problem, Shape
from pyomo_relugrad.programs import solver_threads
from pyomo_relugrad.proof.boxes.bounding import Bounder
from pyomo_relugrad.proof.boxes.crown_bounder import CrownBounder
from pyomo_relugrad.proof.boxes.frontier import Explored, explore
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.boxes.program_bounder import ProgramBounder
from pyomo_relugrad.run import Parcel, packed, worker_processes

logger = logging.getLogger(__name__)

#: Seconds of a proof after which processes are started for it, which take most of a second.
START_SECONDS = 0.3
#: Batches for each process: while it bounds one, the next is on its way, or this process searches.
DEPTH = 2
#: Batches lost after which no others are given away.
MAX_LOST = 3
#: Times the expected length of a batch after which a process gives it up, and seconds at least.
LONGEST, MIN_LONGEST = 10.0, 1.0

#: The number of the process, and what became of the nodes, on their way.
_Answer: TypeAlias = "Future[tuple[int, Explored | None]]"


def bounder_for(problem: Problem, device: str | None = None) -> Bounder:
    """What bounds the nodes of a problem."""
    if problem.shape is Shape.BOX and not problem.links_networks.any():
        return CrownBounder(problem, device)
    return ProgramBounder(problem)


@dataclass(frozen=True)
class NodeBatch:
    """Nodes for another process to bound.

    Parameters
    ----------
    parcel : Parcel
        The problem that the nodes are of.
    nodes : Nodes or None
        None where the process is only to get ready.
    cutoff : float
    turn : float
        Seconds for which they and what comes of them are bounded.
    seconds : float
        After so many it is given up.
    """

    parcel: Parcel
    nodes: Nodes | None = None
    cutoff: float = math.inf
    turn: float = 0.0
    seconds: float = math.inf


class _Kept(threading.local):
    """The bounder that a process keeps from one batch to the next, and the parcel that its problem came in."""

    parcel: str = ""
    bounder: Bounder | None = None


_kept = _Kept()


def bound_batch(batch: NodeBatch) -> tuple[int, Explored | None]:
    """Bound a batch, in whichever process; its number, and what became of the nodes."""
    with solver_threads(), deadline.time_limit(batch.seconds):
        if _kept.bounder is None or _kept.parcel != batch.parcel.name:
            _kept.bounder, _kept.parcel = bounder_for(batch.parcel.open()), batch.parcel.name
        if batch.nodes is None:
            return os.getpid(), None
        return os.getpid(), explore(_kept.bounder, batch.nodes, batch.cutoff, batch.turn)


class BatchesElsewhere:
    """Batches on their way to other processes of this machine, and back.

    Processes are started for a proof that is long, and asked at once where there are some.

    Parameters
    ----------
    count : int
        Other processes at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._begin, self._stack = time.perf_counter(), ExitStack()
        self._parcel: Parcel | None = None
        self._asked: _Answer | None = None
        # With the nodes of each batch, and when it is given up.
        self._under_way: dict[_Answer, tuple[Nodes, float]] = {}
        self._ready: set[int] = set()
        self._n_lost = 0

    @property
    def bound(self) -> float:
        """The smallest bound of a node under way; infinite where there is none."""
        return min((float(nodes.bound.min()) for nodes, _ in self._under_way.values()), default=math.inf)

    @property
    def cores(self) -> int:
        """Those of the processes that help, or get ready to."""
        return self._count if self._parcel is not None and self._n_lost < MAX_LOST else 0

    @property
    def under_way(self) -> int:
        """Batches that are not back."""
        return len(self._under_way)

    @property
    def has_answers(self) -> bool:
        """Whether a batch is back."""
        return any(future.done() for future in self._under_way)

    @property
    def is_shared(self) -> bool:
        """Whether there are processes that know the problem."""
        return self._parcel is not None and bool(self._ready)

    @property
    def idle(self) -> int:
        """Processes that are ready and have nothing to do."""
        return max(len(self._ready) - len(self._under_way), 0)

    def room(self, problem: Problem, most: float, may_start: bool) -> int:
        """How many more batches of a problem's nodes processes take.

        Parameters
        ----------
        problem : Problem
        most : float
            Processes that may be asked now.
        may_start : bool
            Whether the proof may take long, so that it is worth starting processes.
        """
        most = min(most, self._count)
        if most < 1 or self._n_lost >= MAX_LOST:
            return 0
        if self._parcel is None:
            is_time = may_start and time.perf_counter() - self._begin >= START_SECONDS
            if not is_time and not worker_processes(self._count).are_at_hand:
                return 0
        if not self._is_packed(problem):
            return 0
        self._get_ready()
        return max(DEPTH * int(min(len(self._ready), most)) - len(self._under_way), 0)

    def begin_at_once(self, problem: Problem) -> bool:
        """Whether a batch may be sent now, before it is known who is ready: where a process is at hand."""
        if self._count < 1 or self._n_lost or not worker_processes(self._count).are_at_hand:
            return False
        return self._is_packed(problem)

    def call_back(self) -> list[Nodes]:
        """The batches that no process has begun with, which none will."""
        waiting = [future for future in self._under_way if future.cancel()]
        return [self._under_way.pop(future)[0] for future in waiting]

    def send(self, nodes: Nodes, cutoff: float, turn: float, seconds: float = 0.0) -> None:
        """Let a process bound nodes, and what comes of them, for a turn; the nodes are expected to take so long."""
        assert self._parcel is not None
        longest = max(LONGEST * seconds, MIN_LONGEST)
        batch = NodeBatch(self._parcel, nodes, cutoff, turn, longest)
        future = worker_processes(self._count).submit(bound_batch, batch)
        self._under_way[future] = nodes, time.perf_counter() + DEPTH * longest

    def back(self, seconds: float = 0.0) -> list[tuple[Nodes, Explored | None]]:
        """The batches that are back, None in place of what was lost or is overdue; wait up to so long for one."""
        if seconds > 0.0 and self._under_way:
            wait(self._under_way, seconds, FIRST_COMPLETED)
        now = time.perf_counter()
        due = [future for future, (_, end) in self._under_way.items() if future.done() or now >= end]
        return [(self._under_way.pop(future)[0], self._outcome(future)) for future in due]

    def close(self) -> None:
        """Leave the others."""
        for future in (*self._under_way, *filter(None, [self._asked])):
            future.cancel()
        self._stack.close()

    def _is_packed(self, problem: Problem) -> bool:
        """Whether processes can be given the problem."""
        if self._parcel is None:
            try:
                self._parcel = self._stack.enter_context(packed(problem))
            except Exception as error:  # what cannot be pickled, a folder that is full
                logger.info("the proof goes on alone: %s: %s", type(error).__name__, error)
                self._n_lost = MAX_LOST
        return self._parcel is not None

    def _get_ready(self) -> None:
        """Hand the problem to processes, to one after another, until as many as there may be have answered."""
        if self._asked is not None and self._asked.done():
            self._outcome(self._asked)
            self._asked = None
        if self._asked is None and len(self._ready) < self._count:
            assert self._parcel is not None
            self._asked = worker_processes(self._count).submit(bound_batch, NodeBatch(self._parcel))

    def _outcome(self, future: _Answer) -> Explored | None:
        """What came of a batch; after a loss, who is there has to be asked again."""
        try:
            process, explored = future.result(timeout=0.0)
        except Exception as error:
            future.cancel()
            logger.info("a batch of nodes was lost: %s: %s", type(error).__name__, error)
            self._n_lost += 1
            self._ready.clear()
            return None
        self._ready.add(process)
        return explored
