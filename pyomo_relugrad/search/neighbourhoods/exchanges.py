"""Local search in the integers: each exchange of a few is judged by the descent that everything else makes after it."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent, Problem
from pyomo_relugrad.run.context import SearchContext
from pyomo_relugrad.search.neighbourhoods.integer_exchanges import IntegerExchanges
from pyomo_relugrad.search.neighbourhoods.polish import Polish
from pyomo_relugrad.search.sequential.elite import Elite
from pyomo_relugrad.search.sequential.sequential_lp import Descent

#: Pairs of moves that are tried once single ones bring nothing.
MAX_PAIRS = 100
#: Pairs of which these are the likeliest.
PAIRS_DRAWN = 1000
#: Moves that are looked at together.
BATCH = 32
#: Moves of a jump, at random, away from where nothing better is near.
LEAST_JUMP, LARGEST_JUMP = 2, 6


class Exchanges:
    """Moves on to the first better integers, with all else settled anew from where it stood; then jumps.

    Parameters
    ----------
    problem : Problem
    elite : Elite
        Has a centre.
    context : SearchContext
    descent : Descent
    polish : Polish
    """

    def __init__(
        self, problem: Problem, elite: Elite, context: SearchContext, descent: Descent, polish: Polish
    ) -> None:
        self._problem, self._elite, self._context = problem, elite, context
        self._descent, self._polish = descent, polish
        self._exchanges = IntegerExchanges(problem)
        self._tried = set[bytes]()
        #: (n_moves,) by how much the merit was worse after each move alone, when last tried.
        self._losses = np.zeros(self._exchanges.n_moves)

    def steps(self) -> Iterator[Incumbent | None]:
        """Points of one local search after the other, and None between them."""
        start = self._elite.centre
        while start is not None and not self._context.budget.is_exhausted():
            point = yield from self._settled(start.values, np.inf)
            point = yield from self._local_search(point)
            if point.is_feasible:
                yield from self._polish.points(point)
            else:
                self._descent.merit = self._descent.merit.sharpened(2.0)
                self._tried.clear()
            start = self._jump()
            yield None

    def _local_search(self, point: Incumbent) -> Generator[Incumbent | None, None, Incumbent]:
        """Go to better neighbours until there is none."""
        better: Incumbent | None = point
        while better is not None:
            point, better = better, None
            for moves in self._neighbourhood():
                better = yield from self._first_better(point, moves)
                if better is not None or self._context.budget.is_exhausted():
                    break
        return point

    def _first_better(self, point: Incumbent, moves: Array) -> Generator[Incumbent | None, None, Incumbent | None]:
        value = self._value(point)
        points, kept = self._exchanges.points(point.values, moves)
        for values, made in zip(points, moves[kept], strict=True):
            if self._context.budget.is_exhausted():
                break
            if self._is_new(values):
                trial = yield from self._settled(values, value)
                if made.size == 1:
                    self._losses[made] = max(self._value(trial) - value, 0.0)
                if self._value(trial) < value - 1e-9 * (1.0 + abs(value)):
                    return trial
        return None

    def _neighbourhood(self) -> Iterator[Array]:
        """All single moves in random order, then pairs, those first that lose least alone: (N, m) int arrays."""
        random, n_moves = self._context.random, self._exchanges.n_moves
        singles = random.permutation(n_moves)[:, None]
        for begin in range(0, n_moves, BATCH):
            yield singles[begin : begin + BATCH]
        first, second = random.integers(n_moves, size=(2, PAIRS_DRAWN))
        likely = np.argsort(self._losses[first] + self._losses[second], kind="stable")[:MAX_PAIRS]
        for begin in range(0, likely.size, BATCH):
            pairs = likely[begin : begin + BATCH]
            yield np.stack([first[pairs], second[pairs]], axis=1)

    def _jump(self) -> Incumbent | None:
        """Some moves away from the best point."""
        centre, random = self._elite.centre, self._context.random
        if centre is None:
            return None
        count = min(int(random.integers(LEAST_JUMP, LARGEST_JUMP + 1)), self._exchanges.n_moves)
        likely = np.argsort(self._losses, kind="stable")[: max(self._exchanges.n_moves // 2, count)]
        moves = np.stack([random.permutation(likely)[:count] for _ in range(BATCH)])
        points, _ = self._exchanges.points(centre.values, moves)
        new = next((values for values in points if self._is_new(values)), None)
        return centre if new is None else self._problem.incumbent(new)

    def _settled(self, v: Array, target: float) -> Generator[Incumbent | None, None, Incumbent]:
        """Where the descent from a point leads, its integers held."""
        v = yield from self._descent.settle(self._problem.propagate(v[None])[0], target)
        point = self._problem.incumbent(v)
        yield point
        return point

    def _value(self, point: Incumbent) -> float:
        return float(self._descent.merit.of(self._problem, point.values[None])[0])

    def _is_new(self, values: Array) -> bool:
        """Whether no such integers have been tried; they count as tried from now on."""
        key = values[self._exchanges.columns].tobytes()
        is_new = key not in self._tried
        self._tried.add(key)
        return is_new
