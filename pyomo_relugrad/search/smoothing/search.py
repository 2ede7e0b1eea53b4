"""Descents over chains of networks whose kinks are rounded off, less and less."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run import Method, SearchContext, Stop, between
from pyomo_relugrad.search.regions.walk import improves
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.smoothing.chain import Chain
from pyomo_relugrad.search.smoothing.descent import ChainDescent
from pyomo_relugrad.search.smoothing.prices import Prices
from pyomo_relugrad.search.smoothing.tails import Tails
from pyomo_relugrad.search.soft_rows import SoftRows

#: Columns that may move, and entries of their derivatives, above which other searches are better.
MAX_MOVING, MAX_ENTRIES = 200, 200_000
#: Networks one after another from which on a problem is a chain.
LEAST_DEPTH = 3
#: Random points by which penalties are scaled, and by which kinks are rounded off.
SAMPLES = 16


class Leg(NamedTuple):
    """So many steps of so many points at one width."""

    width: float
    steps: int
    points: int

    @property
    def work(self) -> float:
        """What it takes, in steps of a point: a step of several costs less."""
        return self.steps * (SHARED_WORK + self.points)

    @property
    def length(self) -> float:
        """Of the first step: later ones are as long as the last one was good."""
        if not self.width:
            return SHARP_LENGTH
        return NEAR_LENGTH * self.width if self.width < NEAR else WIDE_LENGTH


#: What a step of points together costs beside the points, in steps of one point.
SHARED_WORK = 4.0
#: Plans with other tails, each the best of so many that are drawn, how many of them have moved tails, and how they
#: descend before the best one goes on.
TAILS, DRAWN, MOVED = 8, 32, 4
WIDE_WIDTH, WIDE_STEPS = 0.1, 2
#: How a descent ends: on the networks as they are.
SHARP = Leg(0.0, 12, 1)
#: How a known plan leaves small valleys before that, where its limits are hard.
NARROW = Leg(0.02, 4, 1)
#: Length of the first step: on sharp networks, where kinks are rounded off, and, in widths, below a width: ranges moved
#: by the share at which kinks are rounded off move about as many neurons over their kinks as lie within the rounding.
SHARP_LENGTH, WIDE_LENGTH, NEAR, NEAR_LENGTH = 0.1, 0.3, 0.1, 0.3
#: Share of what the known plan leaves of the time for plans with other tails, and by what their measured work falls
#: where there is no time for one: it may have been high by chance.
WIDE_SHARE, FORGETTING = 0.8, 0.9
#: Gain, relative to 1 + |objective|, for which a point is made feasible a millisecond or two after the time is over.
MUCH = 1e-3
#: Rounds in vain after which the search goes on at least.
LEAST_PATIENCE = 2


@dataclass(frozen=True)
class SmoothingDescent(Method):
    """Horizons and chains of networks: states eliminated, kinks rounded off, less and less.

    A chain of networks has very many small kinks, at each of which a descent may come to rest. A round begins with
    networks whose ReLUs are parabolas around zero, so wide that few local optima are left, and goes on with narrower
    ones down to the networks themselves. Each step is a quadratic program over the decisions alone, with the exact
    Hessian of a quadratic objective and the curvature of the rounded kinks. The first round begins at the known point;
    later ones there and at random points in turns. Where the model was solved before, with other numbers, two rounds of
    three begin at its plan and, beside it, at plans with other tails. Nothing is yielded where networks make no chain.

    Condensing of states as in Bock and Plitt (1984); smoothing as in Chen, "Smoothing methods for nonsmooth, nonconvex
    minimization" (Mathematical Programming 134, 2012).

    Parameters
    ----------
    first_widths : tuple of float, optional
        How far ReLUs are rounded off at the beginning of a round, in turns, in shares of how much their
        pre-activations vary (0.3, 1, 0.1).
    last_width : float, optional
        The last such share, after which the networks are as they are (0.01).
    shrinkage : float, optional
        By which the share falls (0.316).
    steps : int, optional
        Steps of one width; fewer where the time left does not allow them (8).
    patience : int, optional
        Rounds in vain after which the search is done (8); fewer where earlier searches of the same model had found
        their best points after fewer.
    penalty : float, optional
        Penalty of a violation, in units of the objective's spread over the largest violation at some points (10).
    """

    name = "smoothing"

    first_widths: tuple[float, ...] = between((0.3, 1.0, 0.1), 1e-6)
    last_width: float = between(1e-2, 1e-6)
    shrinkage: float = between(0.316, 0.01, 0.9)
    steps: int = 8
    patience: int = 8
    penalty: float = 10.0

    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Run rounds until several have brought nothing; yield nothing where the problem is no chain."""
        soft = SoftRows.of(problem)
        if is_chain(soft.without):
            yield from _Rounds(self, soft, context).run()

    def widths(self, first: float) -> list[float]:
        """The shares of one round."""
        count = 1 + max(int(np.ceil(np.log(self.last_width / first) / np.log(self.shrinkage))), 0)
        return list((first * self.shrinkage ** np.arange(count)).tolist())


def is_chain(problem: Problem) -> bool:
    """Whether networks feed each other, and few columns decide."""
    if not problem.is_piecewise_linear or problem.integers.any() or len(problem.stages) < LEAST_DEPTH:
        return False
    moving = int((~problem.is_output & (problem.lower < problem.upper)).sum())
    if not 0 < moving <= MAX_MOVING or moving * problem.n_columns > MAX_ENTRIES:
        return False
    layers = (layer for embedded in problem.networks for layer in embedded.network.layers)
    return all(isinstance(weight, np.ndarray) for layer in layers for weight in layer.weights)


class _Rounds:
    """The state of one search."""

    def __init__(self, method: SmoothingDescent, soft: SoftRows, context: SearchContext) -> None:
        problem = soft.without
        self._method, self._problem, self._context, self._soft = method, problem, context, soft
        self._moving = np.flatnonzero(~problem.is_output & (problem.lower < problem.upper))
        self._surroundings = LinearRelaxation(soft.problem)
        random = np.clip(self._surroundings.random_points(SAMPLES, context.random), problem.lower, problem.upper)
        self._samples = problem.propagate(random)
        merit = Merit.scaled_to(soft.problem, soft.loosened(self._samples), method.penalty)
        self._prices = Prices.of_problem(problem, merit, soft)
        lower, upper = self._surroundings.ranges
        ranges = (upper - lower)[self._moving]
        self._descent = ChainDescent(problem, self._moving, self._prices, context.budget, ranges)
        self._tails = Tails(problem, self._moving, lower, upper)
        self._chains: dict[float, Chain] = context.past.chains
        if not self._chains or not self._chains[0.0].fits(problem, self._moving):
            self._chains.clear()
            self._chains[0.0] = Chain.of(problem, self._moving, self._samples)
        self._best = min(context.known, key=lambda point: point.objective, default=None)

    def run(self) -> Iterator[Incumbent | None]:
        """Yield better points."""
        method, past, budget = self._method, self._context.past, self._context.budget
        patience = max(past.begin(method.name, method.patience), LEAST_PATIENCE)
        number = fruitless = 0
        while fruitless < patience and not budget.is_exhausted():
            if budget.remaining < self._descent.seconds:
                budget.stop = Stop.TIME_LIMIT
                return
            fruitless += 1
            for point in self._round(number):
                if point is not None and (self._best is None or improves(point, self._best)):
                    self._best, fruitless = point, 0
                    past.note(method.name, number + 1)
                yield point
            number += 1

    def _round(self, number: int) -> Iterator[Incumbent | None]:
        """The points of a round: where the model was solved before, from its plan in two rounds of three."""
        method = self._method
        known = self._known
        if self._context.past.solves > 1 and known is not None and (self._context.beside or number % 3 < 2):
            yield from self._again(np.clip(known, self._problem.lower, self._problem.upper))
            return
        widths = method.widths(method.first_widths[number % len(method.first_widths)])
        legs = [*(Leg(width, method.steps, 1) for width in widths), SHARP]
        V = yield from self._descend(self._start(number)[None], legs)
        yield from self._repaired(V)

    def _again(self, v: Array) -> Iterator[Incumbent | None]:
        """Descend from a plan of the same model with other numbers, then, given the time, from it with other tails.

        Beside another search, which begins at the plan, from it with other tails alone.
        """
        if not self._context.beside:
            legs = (SHARP,) if self._soft.columns.size else (NARROW, SHARP)
            V = yield from self._descend(v[None], legs)
            yield from self._repaired(V)
        tails = self._affordable_tails()
        if tails == 0:
            return
        v = v if self._best is None else self._best.values
        V = yield from self._descend(self._other_tails(v)[:tails], (Leg(WIDE_WIDTH, WIDE_STEPS, tails),), (SHARP,))
        V = yield from self._descend(self._best_of(V, 1), (SHARP,))
        yield from self._repaired(V)

    def _affordable_tails(self) -> int:
        """Plans with other tails for which there is time, by what such steps took."""
        past = self._context.past
        work = WIDE_SHARE * self._context.budget.remaining / max(past.seconds_of_work * WIDE_STEPS, 1e-9)
        tails = int(np.clip(work - SHARED_WORK, 0, TAILS))
        if tails == 0:
            past.seconds_of_work *= FORGETTING
        return tails

    @property
    def _known(self) -> Array | None:
        """The best point; where there are slacks else the start, even where it is not feasible."""
        start = self._context.start
        if self._best is not None or start is None or not self._soft.columns.size or np.isnan(start).any():
            return None if self._best is None else self._best.values
        return start

    def _start(self, number: int) -> Array:
        """The best point, or one that the rows allow near a random one."""
        problem = self._problem
        if self._best is not None and number % 2 == 0:
            return np.clip(self._best.values, problem.lower, problem.upper)
        start = self._context.start if number == 0 else None
        v = self._surroundings.random_points(1, self._context.random)[0] if start is None else start
        v = np.clip(v, problem.lower, problem.upper)
        nearest = self._surroundings.nearest(v, np.isin(np.arange(v.size), self._moving), self._context.budget)
        return v if nearest is None else np.clip(nearest, problem.lower, problem.upper)

    def _other_tails(self, v: Array) -> Array:
        """Of groups of plans with other tails the best of each, as far as rows on decisions may be repaired."""
        random, moved = self._context.random, MOVED * DRAWN
        tails = self._tails.moved(v, moved, random), self._tails.levelled(v, TAILS * DRAWN - moved, random)
        V = self._problem.propagate(np.concatenate(tails))
        values = self._prices.repairable.of(self._problem, V).reshape(TAILS, -1)
        self._context.budget.count(points=len(V))
        return V.reshape(TAILS, -1, v.size)[np.arange(TAILS), values.argmin(axis=1)]

    def _descend(
        self, V: Array, legs: Sequence[Leg], later: Sequence[Leg] = ()
    ) -> Generator[Incumbent | None, None, Array]:
        """Descend at each width, each for its share of the time; yield where single points are on the networks."""
        budget = self._context.budget
        for index, leg in enumerate(legs):
            if budget.is_exhausted():
                break
            end = budget.elapsed + budget.remaining * leg.work / sum(each.work for each in (*legs[index:], *later))
            V = self._best_of(V, leg.points)
            for lower in self._descent.run(self._chain(leg.width), V, leg.steps, leg.length):
                V = lower
                yield None
                if budget.elapsed > end:
                    break
            self._note(leg)
            if leg.points == 1 and leg.width:
                yield self._soft.incumbent(V[0])
        return V

    def _repaired(self, V: Array) -> Iterator[Incumbent]:
        """The best point, moved onto the sides that it misses where there is time, or much to gain."""
        (v,) = self._best_of(V, 1)
        point = self._soft.incumbent(v)
        known = None if self._best is None else self._best.objective
        is_worthwhile = known is None or known - point.objective > MUCH * (1.0 + abs(known))
        if not point.is_feasible and (is_worthwhile or not self._context.budget.is_exhausted()):
            point = self._soft.incumbent(self._descent.repaired(self._chain(0.0), v))
        yield point

    def _note(self, leg: Leg) -> None:
        """Leave to later searches what the last step took."""
        if leg.width >= NEAR:
            self._context.past.seconds_of_work = self._descent.seconds * leg.steps / leg.work

    def _best_of(self, V: Array, count: int) -> Array:
        """So many points, the best ones on the networks themselves."""
        if len(V) <= count:
            return V
        return V[self._prices.of(self._problem, self._problem.propagate(V)).argsort()[:count]]

    def _chain(self, width: float) -> Chain:
        """The problem's chain at a width; all but the problem's numbers is from earlier searches."""
        if width not in self._chains:
            self._chains[width] = self._chains[0.0].rounded(width)
        chain = self._chains[width] = replace(self._chains[width], problem=self._problem)
        return chain
