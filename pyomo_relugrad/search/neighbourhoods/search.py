"""Large neighbourhood search: descents, local branching and exact programs, each with the time that its gains earn."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.neighbourhoods.bandit import Bandit
from pyomo_relugrad.search.neighbourhoods.boxes import Boxes
from pyomo_relugrad.search.neighbourhoods.exact_steps import ExactSteps
from pyomo_relugrad.search.neighbourhoods.flips import Flips, switchable
from pyomo_relugrad.search.neighbourhoods.pace import Pace
from pyomo_relugrad.search.neighbourhoods.subproblem import is_small
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.sequential_lp import sequential_lp

#: A turn ends with a gain, or after so many seconds; after so many steps where time is not limited.
TURN_SECONDS, TURN_STEPS = 0.1, 10
#: A gain of this share of the objective counts as much as any larger one: first points are bettered with ease.
MUCH = 0.01
#: Turns in vain that end the search once the descents have ended; as many again as it took to the last gain.
PATIENCE = 50


def neighbourhood_search(problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
    """Search by neighbourhoods of the good points found so far.

    The neighbourhoods: `sequential_lp`; local branching on slopes of the networks (`Flips`); and mixed-integer programs
    over the networks themselves, within boxes around good points or over the whole problem (`ExactSteps`). Whose turn
    it is follows from what each has gained in its time (`Bandit`).
    """
    elite, pace = Elite(), Pace(context.budget)
    for point in context.known:
        elite.learn(point)
    exact = ExactSteps(problem, elite, context, pace)
    arms = _arms(problem, context, elite, exact)
    if len(arms) == 1:
        yield from arms["descents"]
        return
    bandit = Bandit(list(arms), context.random)
    vain, turns = 0, 0
    while elite.centre is None:  # all others begin at a point
        point = next(arms["descents"], None)
        if point is not None:
            elite.learn(point)
        yield point
        if context.budget.is_exhausted():
            return
    while not context.budget.is_exhausted() and not exact.is_complete:
        if "descents" not in arms and vain >= max(PATIENCE, turns - vain):
            return
        name = bandit.choose()
        before, begin = elite.best, pace.now()
        goes_on = yield from _turn(arms[name], elite, pace)
        gain = before - elite.best if elite.points else 0.0
        worth = min(gain / (MUCH * (1.0 + abs(elite.best))), 1.0) if gain > 0 else 0.0
        bandit.book(name, pace.now() - begin, worth)
        turns, vain = turns + 1, 0 if gain > 0 else vain + 1
        if not goes_on:
            del arms[name]
            if not bandit.drop(name):
                return


def _arms(
    problem: Problem, context: SearchContext, elite: Elite, exact: ExactSteps
) -> dict[str, Iterator[Incumbent | None]]:
    """The neighbourhoods that suit the problem."""
    arms = {"descents": sequential_lp(problem, context, elite)}
    if not problem.networks:
        return arms
    if switchable(problem).size:
        arms["flips"] = Flips(problem, elite, context).steps()
    if is_small(problem):
        arms |= {name: exact.within(maker) for name, maker in Boxes(problem, elite).makers().items()}
        arms["whole"] = exact.whole()
    return arms


def _turn(arm: Iterator[Incumbent | None], elite: Elite, pace: Pace) -> Generator[Incumbent | None, None, bool]:
    """Yield what an arm yields in its turn; False where it has ended."""
    longest, begin, best = TURN_SECONDS if pace.is_timed else TURN_STEPS, pace.now(), elite.best
    while pace.now() - begin < longest and elite.best == best:
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
