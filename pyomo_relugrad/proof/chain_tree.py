"""Branch and bound for networks in a row: in two ways for some nodes, then in the better one.

Joined in one network, a chain is bounded by functions through all of its networks at once. Split where they meet, by
the columns between them as well as by inputs, each network is bounded by itself, and little is lost from one to the
next. Long chains need the second way, short ones mostly the first.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.problem.presolve import tighten_through_networks
from pyomo_relugrad.proof.boxes.tree import SearchTree
from pyomo_relugrad.run import Options, Prover

# Networks in a row up to which chains without constraints on outputs are joined at once.
MAX_JOINED = 4
# Nodes of each way after which the one with the better bound goes on.
TRIAL_NODES = 150


class LinkTree(SearchTree):
    """A `SearchTree` that splits the columns between networks, too."""

    reductions = (tighten_through_networks,)


class ChainTree(Prover):
    """The state of one branch and bound in two ways; their bounds and incumbents count together.

    Parameters
    ----------
    problem : Problem
    options : Options
    start : Incumbent, optional
    """

    def __init__(self, problem: Problem, options: Options, start: Incumbent | None = None) -> None:
        super().__init__(problem, options, start)
        self._trees = [SearchTree(problem, options, start), LinkTree(problem, options, start)]

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Whether networks feed networks, in long chains or with constraints on outputs."""
        if not problem.links_networks.any():
            return False
        return problem.shape is Shape.GENERAL or _longest_chain(problem) > MAX_JOINED

    @property
    def bound(self) -> float:
        """The better one of the two."""
        return min(max(tree.bound for tree in self._trees), self.incumbent_value)

    @property
    def cores_beside(self) -> int:
        """Those of the way that goes on, or of both."""
        return max(tree.cores_beside for tree in self._trees)

    @property
    def first_seconds(self) -> float:  # type: ignore[override]
        """About how long the first step takes."""
        return self._trees[0].first_seconds

    def steps(self) -> Generator[None, None, None]:
        """A step of the way with fewer nodes, in turn; one of them after its trial."""
        running = [(tree, tree.steps()) for tree in self._trees]
        while True:
            tree, steps = min(running, key=lambda way: way[0].nodes)
            tree.spare_cores = self.spare_cores
            if self.incumbent is not None:
                tree.offer(self.incumbent)
            before, has_ended = tree.nodes, next(steps, True)
            self.nodes += tree.nodes - before
            if tree.incumbent is not None:
                self.offer(tree.incumbent)
            yield
            if has_ended:
                return
            if min(way.nodes for way, _ in running) >= TRIAL_NODES:
                running = [max(running, key=lambda way: way[0].bound)]


def _longest_chain(problem: Problem) -> int:
    """How many functions follow each other at most."""
    length = np.zeros(problem.n_columns, int)
    for stage in problem.stages:
        length[stage.outputs] = 1 + length[stage.inputs].max(axis=1, initial=0, keepdims=True)
    return int(length.max(initial=0))
