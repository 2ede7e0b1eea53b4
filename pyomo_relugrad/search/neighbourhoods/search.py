"""Large neighbourhood search: descents, local branching and exact programs, each with the time that its gains earn."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Budget, Method, SearchContext, between
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.neighbourhoods.alternations import Alternations
from pyomo_relugrad.search.neighbourhoods.bandit import Bandit
from pyomo_relugrad.search.neighbourhoods.boxes import SearchBoxes
from pyomo_relugrad.search.neighbourhoods.enclosures import Enclosures
from pyomo_relugrad.search.neighbourhoods.exact_steps import ExactSteps
from pyomo_relugrad.search.neighbourhoods.exchanges import Exchanges
from pyomo_relugrad.search.neighbourhoods.flips import Flips, switchable
from pyomo_relugrad.search.neighbourhoods.pace import Pace
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.neighbourhoods.subproblem import MAX_ENTRIES, is_small
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.search import SequentialLp

#: The arms that go far from the best point, and the others.
WIDE = ("descents", "flips", "exchanges", "alternations", "enclosures")
NARROW = ("window", "integers", "box", "whole")
#: Coefficients of programs over networks for each second that is left: HiGHS takes seconds for large ones, whatever its
#: time limit is.
ENTRIES_PER_SECOND = 40_000


@dataclass(frozen=True)
class Neighbourhoods(Method):
    """Large neighbourhood search: descents, local branching, and MILPs over networks within boxes.

    The neighbourhoods: descents of sequential linear programming; local branching on slopes of the networks (`Flips`);
    mixed-integer programs over the networks themselves, within boxes around good points or over the whole problem
    (`ExactSteps`); such programs with planes around smooth functions (`Enclosures`); and integers and the places of
    what smooth functions read in turn (`Alternations`). Whose turn it is follows from what each has gained in its time
    (`Bandit`).

    Parameters
    ----------
    sequential : SequentialLp, optional
    turn_seconds : float, optional
        A turn ends with a gain or after so many seconds (0.1).
    turn_steps : int, optional
        The same in steps, where time is not limited (10).
    floor : float, optional
        Share of the time that goes to the descents, to local branching, to exchanges, to alternations and to programs
        with planes, each, and less where there are all of them: they go far, and may find nothing for long (0.25).
    convex_share : float, optional
        Share of the time that goes to programs with planes where these lead to the best integers (0.5).
    few_integers : int, optional
        So many integers at most are exchanged (24).
    exploration : float, optional
        Share of the time that goes to all others together, in equal parts (0.15).
    much : float, optional
        A gain of this share of the objective counts as much as any larger one: first points are bettered with ease
        (0.01).
    patience : int, optional
        Turns in vain that end the search once the descents have ended, and at least as many as it took to the last
        gain (50).
    without : frozenset of str, optional
        Neighbourhoods that are left out, to see what they bring: any of ``flips``, ``exchanges``, ``alternations``,
        ``enclosures``, ``window``, ``integers``, ``box`` and ``whole``.

    Raises
    ------
    ModelError
        If a setting is out of its range, or there is no such neighbourhood to leave out.
    """

    name = "neighbourhoods"
    cooperates = True
    handles_smooth = True

    sequential: SequentialLp = SequentialLp()
    turn_seconds: float = 0.1
    turn_steps: int = 10
    floor: float = between(0.25, 0.01, 1)
    convex_share: float = between(0.5, 0.01, 0.8)
    few_integers: int = 24
    exploration: float = between(0.15, 0.01, 1)
    much: float = 0.01
    patience: int = 50
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.refuse_unknown_parts(self.without, [*WIDE[1:], *NARROW])

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Let the neighbourhoods take turns."""
        shared = Shared(problem, Elite(self.sequential.elite_size), context, self.sequential)
        elite, pace = shared.elite, shared.pace
        for point in (*context.known, *context.near):
            elite.learn(point)
        descents = self.sequential.descents(problem, context, elite)
        yield from _first_points(descents, elite, context)
        exact, exchanges = ExactSteps(shared), self._exchanges(shared)
        arms = {} if exchanges is None else {"exchanges": exchanges.steps()}
        arms |= {"descents": descents} | _neighbourhoods(shared, exact)
        arms = {name: arm for name, arm in arms.items() if name not in self.without}
        floors = self._floors(arms, shared)
        bandit = Bandit({name: floors.get(name, self.exploration / len(arms)) for name in arms})
        vain, turns = 0, 0
        while arms and not context.budget.is_exhausted() and not exact.is_complete:
            if "descents" not in arms and vain >= max(self.patience, turns - vain):
                return
            for point in context.take_offered():
                elite.learn(point)
            is_first = exchanges is not None and exchanges.is_first and "exchanges" in arms
            name, before, begin = "exchanges" if is_first else bandit.choose(), elite.best, context.budget.spent
            goes_on = yield from self._turn(arms[name], elite, pace, context.budget)
            gain = before - elite.best if elite.points else 0.0
            worth = min(gain / (self.much * (1.0 + abs(elite.best))), 1.0) if gain > 0 else 0.0
            bandit.book(name, context.budget.spent - begin, worth)
            turns, vain = turns + 1, 0 if gain > 0 else vain + 1
            if not goes_on:
                del arms[name]
                bandit.drop(name)

    def _floors(self, arms: Iterable[str], shared: Shared) -> dict[str, float]:
        """The shares of the time that arms have in any case, a tenth being left for what gains most."""
        leading = {"enclosures": self.convex_share} if "enclosures" in arms and shared.is_convex else {}
        wide = [name for name in WIDE if name in arms and name not in leading]
        rest = 0.9 - sum(leading.values())
        return dict.fromkeys(wide, min(self.floor, rest / max(len(wide), 1))) | leading

    def _turn(
        self, arm: Iterator[Incumbent | None], elite: Elite, pace: Pace, budget: Budget
    ) -> Generator[Incumbent | None, None, bool]:
        """Yield what an arm yields in its turn; False where it has ended."""
        longest, begin, best = self.turn_seconds if budget.is_timed else self.turn_steps, budget.spent, elite.best
        while budget.spent - begin < longest and elite.best == best and not budget.is_exhausted():
            try:
                point = next(arm)
            except StopIteration:
                return False
            if point is not None:
                elite.learn(point)
            yield point
        if elite.best < best:
            pace.note_gain()
        return True

    def _exchanges(self, shared: Shared) -> Exchanges | None:
        """Exchanges, where there are integers, and few of them."""
        problem = shared.problem
        if (
            not (problem.functions or problem.followers or problem.quadratic is not None)
            or shared.elite.centre is None
            or not 0 < Following(problem).columns.size <= self.few_integers
        ):
            return None
        return Exchanges(shared)


def _first_points(
    descents: Iterator[Incumbent | None], elite: Elite, context: SearchContext
) -> Iterator[Incumbent | None]:
    """Descend until there is a point at which neighbourhoods can begin."""
    while elite.centre is None and not context.budget.is_exhausted():
        try:
            point = next(descents)
        except StopIteration:
            return
        if point is not None:
            elite.learn(point)
        yield point


def _neighbourhoods(shared: Shared, exact: ExactSteps) -> dict[str, Iterator[Incumbent | None]]:
    """The neighbourhoods that suit the problem, beside descents and exchanges."""
    problem, elite, context = shared.problem, shared.elite, shared.context
    arms: dict[str, Iterator[Incumbent | None]] = {}
    if elite.centre is None:
        return arms
    if problem.functions and switchable(problem).size:
        arms["flips"] = Flips(shared).steps()
    most = min(MAX_ENTRIES, ENTRIES_PER_SECOND * context.budget.remaining)
    if problem.is_piecewise_linear and is_small(problem, most):
        arms |= {name: exact.within(maker) for name, maker in SearchBoxes(problem, elite).makers().items()}
        if context.solves_whole:
            arms["whole"] = exact.whole()
    if Enclosures.suit(problem):
        arms["enclosures"] = Enclosures(shared).steps()
    if Alternations.suit(problem):
        arms["alternations"] = Alternations(shared).steps()
    return arms
