"""Who works in an exact solve, for which share of the time, and who joins when: a value."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Problem, is_linear_program
from pyomo_relugrad.proof import (
    HorizonProof,
    HullsFirst,
    LagrangianBound,
    LatticeTree,
    is_convex_around_networks,
    misfit,
)
from pyomo_relugrad.run import Route


@dataclass(frozen=True)
class Portfolio:
    """Which proofs run beside local searches, and how they share the time.

    It starves nobody: while there is no incumbent the searches have at least half of the time, and proofs and searches
    in vain never stop for good.

    Parameters
    ----------
    routes : tuple of Route, optional
        The proofs, the first one first; None leaves them to the structure of the problem (see `routes_for`).
    few_inputs : int, optional
        Inputs that vary, up to which branch and bound over them goes first.
    few_relus : int, optional
        ReLUs up to which the MILP joins branch and bound early, at once where there is a second core for it: it is
        built in no time then, and often proves in less than a second what branch and bound does not, as where rows on
        outputs bind. With many it mostly takes time from it.
    short_lead, long_lead : float, optional
        Seconds that the first proof has for itself.
    first_seconds, first_share : float, optional
        Seconds of the search that comes before any proof, and its largest share of the time limit.
    proof_turn, search_turn, turn_share : float, optional
        Seconds of a proof's turn, and of the shortest turn of searches; no more than this share of the time limit.
        While searches are owed no more than ``owed_seconds``, they wait where a proof is expected to end within three
        times their turn.
    search_share, late_share : float, optional
        The searches' share of the time while there is no incumbent, and while they go on to find better ones; little
        by little the larger one if that is still so after ``late_seconds``.
    open_share : float, optional
        The searches' share at least while no proof is about to close the gap in time.
    vain_share : float, optional
        In place of that, if it is smaller, where searches have a point, are in vain, and expect no gain.
    core_share : float, optional
        Share of the time limit that a proof in a thread of its own has a core for itself, where the gap is not large;
        after that a search on that core works beside it, unless it is about to close the gap.
    late_seconds : tuple of two floats, optional
        Seconds of searching between which the share grows. What is proven at once does not come to that.
    patience : float, optional
        Searches count as in vain after this many times the time that they had taken to their last success.
    owed_seconds : float, optional
        A step of a proof earns the searches no more than this, or the time that it took if that is longer: slow steps,
        of which a proof needs a few only, do not wait for ever longer searches.
    far_share : float, optional
        Where the gap is this multiple of the objective or more, and a proof is not about to close it, it stands still
        as long as searches go on gaining.
    closing_share, young_seconds, young_share : float, optional
        A proof stands still where the second half of its time has not brought the gap down to this share; one that has
        worked for less than so many seconds, and less than this share of the time, is not judged yet.
    blocks_share : float, optional
        Share of the time that bounds of blocks have where another proof has a better bound.
    others_share : float, optional
        Time of a proof without prospect, as a share of that of those that may close the gap some day; where there are
        none, of that with the best bound.

    Raises
    ------
    ModelError
        If a share is not one, or a number is negative or NaN.
    """

    routes: tuple[Route, ...] | None = None
    few_inputs: int = 30
    few_relus: int = 64
    short_lead: float = 0.5
    long_lead: float = 5.0
    first_seconds: float = 0.05
    first_share: float = 0.1
    proof_turn: float = 0.5
    search_turn: float = 0.2
    turn_share: float = 0.05
    search_share: float = 0.5
    late_share: float = 0.95
    open_share: float = 0.9
    vain_share: float = 0.6
    core_share: float = 0.25
    late_seconds: tuple[float, float] = (0.1, 0.5)
    patience: float = 1.0
    owed_seconds: float = 1.0
    far_share: float = 1.0
    closing_share: float = 0.9
    young_seconds: float = 2.0
    young_share: float = 0.03
    blocks_share: float = 0.1
    others_share: float = 0.25

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "routes" and not np.all(np.asarray(getattr(self, field.name)) >= 0):
                raise ModelError(f"the portfolio's {field.name} is {getattr(self, field.name)}: give 0 or more")
        if not (0.5 <= self.search_share <= self.late_share < 1.0 and self.open_share < 1.0):
            raise ModelError(
                f"the portfolio's shares of the searches are {self.search_share}, {self.late_share} and "
                f"{self.open_share}: give a half or more, the late share not below the first one, and less than 1"
            )
        if self.routes == ():
            raise ModelError("the portfolio has no proof: name a route, or search without proof")

    def within(self, time_limit: float) -> Portfolio:
        """The portfolio with turns for a time limit: where there is little time they are short."""
        longest = self.turn_share * time_limit
        return replace(
            self,
            proof_turn=min(self.proof_turn, longest),
            search_turn=min(self.search_turn, longest),
            owed_seconds=min(self.owed_seconds, 2.0 * longest),
        )

    def routes_for(self, problem: Problem) -> tuple[Route, ...]:
        """The proofs of a presolved problem, the more promising one first.

        - Few integers from which all else follows are for branch and bound over these; a MILP joins.
        - Smooth functions are for branch and bound alone, which relaxes them over its boxes; around networks of ReLUs,
          and where tangents meet them, the MILP joins.
        - Without networks the problem is a MILP already, or a few of them where the objective is quadratic; around
          networks that are convex in the objective's sense it may be a linear program.
        - Horizons whose stages hand on a single number are for dynamic programming over ranges of it.
        - Inputs without finite bounds are for branch and bound alone, since big-M needs them.
        - Branch and bound over inputs goes first where few of them vary: it works in their space however many neurons
          there are. With more inputs branch and bound over ReLUs does, where the problem is one for it, beside the
          MILP; else the MILP goes first.
        - Where curves of one input are hulls first, the MILP goes first.
        - Blocks that few rows link are bounded by themselves besides.
        """
        if self.routes is not None:
            return self.routes
        if LatticeTree.suits(problem):
            return (Route.BRANCH, Route.MILP) if self._is_for_milp(problem) else (Route.BRANCH,)
        if not self._is_for_milp(problem):
            return (Route.BRANCH,)
        if not problem.networks or is_linear_program(problem):
            return (Route.MILP,)
        blocks = (Route.BLOCKS,) if LagrangianBound.suits(problem) else ()
        if HorizonProof.suits(problem):
            return (Route.STAGES, Route.MILP, *blocks)
        inputs = problem.is_input & ~problem.is_output
        low, high = problem.lower[inputs], problem.upper[inputs]
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            return (Route.BRANCH,)
        if HullsFirst.suits(problem):
            return (Route.MILP, Route.BRANCH, *blocks)
        n_varying = int((low < high).sum())
        if n_varying <= self.few_inputs:
            return (Route.BRANCH, Route.MILP, *blocks)
        unfit = problem.expressions or misfit(problem)
        return (Route.MILP, Route.BRANCH if unfit else Route.RELUS, *blocks)

    @staticmethod
    def _is_for_milp(problem: Problem) -> bool:
        """Whether planes that touch its functions lead to the optimum."""
        return problem.is_piecewise_linear or is_convex_around_networks(problem)

    def has_few_relus(self, problem: Problem) -> bool:
        """Whether the MILP is a small one, which HiGHS is likely to prove."""
        return sum(embedded.network.n_relus for embedded in problem.networks) <= self.few_relus

    def lead_of(self, first: Route, problem: Problem, cores: int) -> float:
        """Seconds that the first proof has before the second joins: few beside the MILP, which has its own thread."""
        if first is Route.STAGES and not self.has_few_relus(problem):  # it proves what the MILP does not come near to
            return self.long_lead
        lead = self.short_lead if first is Route.MILP or self.has_few_relus(problem) else self.long_lead
        return 0.0 if lead == self.short_lead and cores > 1 else lead

    def lead_of_search(self, problem: Problem, time_limit: float) -> float:
        """Seconds of the search that comes before any proof; none before that of a linear program."""
        if is_linear_program(problem):
            return 0.0
        return float(np.fmin(self.first_seconds, self.first_share * time_limit))
