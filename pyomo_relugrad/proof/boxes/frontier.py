"""The open nodes of a tree over boxes, and a part of a tree that is explored for a while."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Problem, Shape
from pyomo_relugrad.proof.boxes.bounding import BoundedNodes, Bounder
from pyomo_relugrad.proof.boxes.branching import split_nodes
from pyomo_relugrad.proof.boxes.nodes import Nodes
from pyomo_relugrad.proof.candidates import placed
from pyomo_relugrad.proof.queue import NodeQueue


class Frontier:
    """Nodes that wait to be bounded.

    Parameters
    ----------
    integers : (n,) boolean array

    Attributes
    ----------
    given_up : float
        The smallest bound of a node that was given up for a cutoff, or is too small to split.
    """

    def __init__(self, integers: Array) -> None:
        self._integers = integers
        self._queue: NodeQueue[Nodes] = NodeQueue()
        self.given_up = np.inf

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def bound(self) -> float:
        """The smallest bound of a waiting node; infinite where none waits."""
        return self._queue.bound

    def add(self, nodes: Nodes) -> None:
        """Let nodes wait."""
        self._queue.add(nodes)

    def take(self, count: int, cutoff: float) -> Nodes:
        """The best waiting nodes that may have points below the cutoff."""
        nodes = self._queue.take(count)
        # Boxes are cut where nothing better than the cutoff can be.
        self.given_up = min(self.given_up, cutoff)
        return nodes.take(self._hopeful(nodes, cutoff))

    def deal(self, size: int, others: int, cutoff: float) -> list[Nodes]:
        """As many of the best nodes, good and bad ones, for each of so many others; as many stay here."""
        nodes = self.take(size * (1 + others), cutoff)
        shares = [nodes.take(np.arange(first, len(nodes), 1 + others)) for first in range(1 + others)]
        self.add(shares[0])
        return [share for share in shares[1:] if len(share)]

    def split(self, bounded: BoundedNodes, cutoff: float, wide: int = 0) -> None:
        """Let the children of nodes wait that have been bounded, where these are open.

        They are split further where no more than ``wide`` nodes wait after that.
        """
        open_ones = bounded.take(self._hopeful(bounded.nodes, cutoff))
        children, leaves = split_nodes(open_ones, self._integers, wide - len(self))
        self._queue.add(children)
        self.given_up = min(self.given_up, leaves.bound.min(initial=np.inf))

    def _hopeful(self, nodes: Nodes, cutoff: float) -> Array:
        """Which nodes are below the cutoff; note the bounds of the others, which no longer matter."""
        below = nodes.bound < cutoff
        self.given_up = min(self.given_up, nodes.bound[~below].min(initial=np.inf))
        return below


@dataclass(frozen=True, eq=False)
class Explored:
    """What has become of some nodes.

    Parameters
    ----------
    nodes : Nodes
        Those that are open now.
    given_up : float
        As of `Frontier`.
    count : int
        How many have been bounded.
    seconds : float
        What each of the last ones took.
    candidates : (M, n) array
        Points that may be feasible, outputs not yet propagated.
    """

    nodes: Nodes
    given_up: float
    count: int
    seconds: float
    candidates: Array


def explore(bounder: Bounder, nodes: Nodes, cutoff: float, seconds: float) -> Explored:
    """Bound nodes, then their children and so on, for no more than some seconds, a batch at least."""
    frontier, candidates = Frontier(bounder.problem.integers), [np.zeros((0, bounder.problem.n_columns))]
    frontier.add(nodes)
    end, last, count, each = time.perf_counter() + seconds, -np.inf, 0, 0.0
    while frontier.bound < cutoff and (begin := time.perf_counter()) + last <= end:
        batch = frontier.take(bounder.batch, cutoff)
        bounded = bounder(batch, cutoff)
        count += len(batch)
        candidates.append(bounded.candidates)
        frontier.split(bounded, cutoff, bounder.wide)
        last = time.perf_counter() - begin
        each = last / max(len(batch), 1)
    is_open = len(frontier) > 0
    rest = frontier.take(len(frontier), cutoff) if is_open else nodes.take(np.zeros(len(nodes), bool))
    best = _most_promising(bounder.problem, np.concatenate(candidates))
    return Explored(rest, frontier.given_up, count, each, best)


def _most_promising(problem: Problem, candidates: Array) -> Array:
    """The candidate with the best objective, where all are feasible; else all of them, which others measure."""
    if problem.shape is not Shape.BOX or problem.expressions or not len(candidates):
        return candidates
    return candidates[[problem.objective(placed(problem, candidates)).argmin()]]
