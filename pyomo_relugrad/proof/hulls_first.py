"""HiGHS with networks of one varying input as hulls of their curves, and then on the whole problem."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.programs import below_tolerance
from pyomo_relugrad.proof.hulls import has_curves, with_hulls
from pyomo_relugrad.proof.milp import MAX_ENTRIES, MilpProof
from pyomo_relugrad.run import Options, Prover, Report
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small

# Gap at which HiGHS ends on the relaxation, which has a gap of its own.
HULL_GAP = 1e-3
# Nodes on the relaxation that raise the bound by no share of the gap, as a multiple of those before and in number,
# after which the whole problem is taken up; and that share.
VAIN, LEAST_NODES, LEAST_SHARE = 1.0, 500, 0.02


class HullsFirst(Prover):
    """Two proofs by HiGHS, one after the other; the first one's points are tried in the whole problem.

    Parameters
    ----------
    problem : Problem
        One that it `suits`.
    options : Options
    start : Incumbent, optional
    gives_way : bool, optional
        As in `MilpProof`.
    """

    works_beside = True

    def __init__(
        self, problem: Problem, options: Options, start: Incumbent | None = None, gives_way: bool = False
    ) -> None:
        super().__init__(problem, options, start)
        self._gives_way, self._of_hulls, self._is_paused = gives_way, -np.inf, False
        self._present: MilpProof | None = None

    @classmethod
    def suits(cls, problem: Problem) -> bool:
        """Whether there are integers and such networks, and HiGHS may prove something in seconds."""
        is_program = problem.is_piecewise_linear and is_small(problem, MAX_ENTRIES)
        return is_program and bool(problem.integers.any()) and has_curves(problem)

    @property
    def bound(self) -> float:
        """No feasible point has a smaller objective."""
        present = -np.inf if self._present is None else self._bound_of(self._present)
        is_wrong = self.incumbent is not None and self.incumbent.refutes(self._of_hulls)  # HiGHS has cut off optima
        return min(present if is_wrong else max(self._of_hulls, present), self.incumbent_value)

    def _bound_of(self, proof: MilpProof) -> float:
        """A proof's bound; where its problem is a relaxation, one that holds beside the tolerances of HiGHS."""
        is_exact = proof.problem is self.problem or not np.isfinite(proof.bound)
        return proof.bound if is_exact else below_tolerance(proof.bound)

    @property
    def has_news(self) -> bool:
        """Whether HiGHS has ended."""
        return self._present is not None and self._present.has_news

    def offer(self, point: Incumbent) -> bool:
        """Take a feasible point as incumbent if it is better, and hand it to HiGHS; return whether it was."""
        is_better = super().offer(point)
        if is_better and self._present is not None:
            self._present.offer(point)
        return is_better

    def pause(self) -> None:
        """Let HiGHS stand still from its next line of log on."""
        self._is_paused = True
        if self._present is not None:
            self._present.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._is_paused = False
        if self._present is not None:
            self._present.resume()

    def steps(self) -> Generator[None, None, None]:
        """Run HiGHS on the relaxation, then on the problem."""
        relaxed = with_hulls(self.problem)
        if relaxed is not None:
            gap = max(HULL_GAP, self.options.relative_gap)
            of_hulls = MilpProof(relaxed, replace(self.options, relative_gap=gap), self.incumbent, self._gives_way)
            yield from self._run(of_hulls)
            self._of_hulls = self._bound_of(of_hulls)
        if self.conclusion() is None:
            yield from self._run(MilpProof(self.problem, self.options, self.incumbent, self._gives_way))

    def _run(self, proof: MilpProof) -> Iterator[None]:
        """Run one of the proofs to its end; the first one no longer than it raises its bound."""
        self._present, vain = proof, _Vain()
        if self._is_paused:
            proof.pause()
        with closing(proof):
            while self._taken(proof).stop is None:
                known = proof if self.incumbent is None else self
                if proof.problem is not self.problem and vain.is_so(proof, known.incumbent_value):
                    return
                yield

    def _taken(self, proof: MilpProof) -> Report:
        report = proof.step()
        self.nodes += report.nodes
        for point in report.points:
            Prover.offer(self, self.problem.incumbent(point.values))  # the proof knows it
        return report


class _Vain:
    """Whether a proof has worked in vain for long, by its nodes."""

    def __init__(self) -> None:
        self._bound, self._nodes = -np.inf, 0

    def is_so(self, proof: MilpProof, objective: float) -> bool:
        gap = objective - proof.bound
        if proof.bound - self._bound > LEAST_SHARE * gap or not np.isfinite(gap):
            self._bound, self._nodes = proof.bound, proof.nodes
        return proof.nodes - self._nodes > max(VAIN * self._nodes, LEAST_NODES)
