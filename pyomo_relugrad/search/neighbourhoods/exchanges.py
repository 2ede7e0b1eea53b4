"""Local search in the integers: each exchange of a few is judged by the descent that everything else makes after it."""

from collections.abc import Generator, Iterator

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.problem import Incumbent
from pyomo_relugrad.search.following import Following
from pyomo_relugrad.search.neighbourhoods.integer_exchanges import IntegerExchanges
from pyomo_relugrad.search.neighbourhoods.shared import Shared

#: Pairs of moves that are tried once single ones bring nothing.
MAX_PAIRS = 300
#: Pairs of which these are the likeliest.
PAIRS_DRAWN = 1000
#: Moves that are looked at together.
BATCH = 32
#: How often moves are repeated where integers go far, and how many groups of moves are drawn for each.
FAR, FAR_DRAWN = (2, 3, 5, 8, 13, 21), 64
#: Moves of a jump, at random, away from where nothing better is near.
LEAST_JUMP, LARGEST_JUMP = 3, 5


class Exchanges:
    """Moves on to the first better integers, with all else settled anew from where it stood; then jumps.

    Parameters
    ----------
    shared : Shared
        Its elite has a centre.
    """

    def __init__(self, shared: Shared) -> None:
        self._problem, self._elite, self._context = shared.problem, shared.elite, shared.context
        self._descent, self._polish = shared.descent(), shared.polish
        self._exchanges = IntegerExchanges(shared.problem)
        self._following = Following(shared.problem)
        self._tried = set[bytes]()
        #: Whether the first local search goes on: it has its time before all others.
        self.is_first = True
        #: (n_moves,) by how much the merit was worse after each move alone, when last tried.
        self._losses = np.zeros(2 * self._exchanges.columns.size)

    def steps(self) -> Iterator[Incumbent | None]:
        """Points of one local search after the other, and None between them."""
        start = self._elite.centre
        while start is not None and not self._context.budget.is_exhausted():
            point = yield from self._settled(start.values, np.inf)
            # Points that steps along tangents leave near curved rows alone may wait.
            self.is_first &= point.is_feasible or self._problem.is_piecewise_linear
            point = yield from self._local_search(point)
            self.is_first = False
            for better in self._polish.points(point):
                point = point if better is None else better
                yield better
            if not point.is_feasible:
                self._descent.merit = self._descent.merit.sharpened(2.0)
                self._tried.clear()
            start = self._jump()
            yield None

    def _local_search(self, point: Incumbent) -> Generator[Incumbent | None, None, Incumbent]:
        """Go to better neighbours until there is none."""
        better: Incumbent | None = point
        while better is not None:
            point, better = better, None
            for moves, stride in self._neighbourhood(self._exchanges.moves(point.values)):
                better = yield from self._first_better(point, moves, stride)
                if better is not None or self._context.budget.is_exhausted():
                    break
        return point

    def _first_better(
        self, point: Incumbent, moves: Array, stride: int
    ) -> Generator[Incumbent | None, None, Incumbent | None]:
        value = self._value(point)
        points, kept = self._exchanges.points(point.values, moves, stride, self._context.random)
        if self._following.is_all:
            return (yield from self._best_of(points, moves[kept], value))
        for values, made in zip(points, moves[kept], strict=True):
            if self._context.budget.is_exhausted():
                break
            if self._is_new(values):
                trial = yield from self._settled(values, value)
                if made.size == 1:
                    self._losses[made] = max(self._value(trial) - value, 0.0)
                if self._value(trial) < value - 1e-9 * (1.0 + abs(value)):
                    return (yield from self._farther(trial, made))
        return None

    def _best_of(
        self, points: Array, moves: Array, value: float
    ) -> Generator[Incumbent | None, None, Incumbent | None]:
        """The best point (n,) of points (N, n) with new integers, which decide all, where its merit is lower."""
        new = [index for index, values in enumerate(points) if self._is_new(values)]
        V = self._following.moved(points[new])
        merits = self._descent.merit.of(self._problem, V)
        self._context.budget.count(points=len(new))
        if not merits.min(initial=np.inf) < value - 1e-9 * (1.0 + abs(value)):
            yield None
            return None
        best = int(merits.argmin())
        better = self._problem.incumbent(V[best])
        yield better
        return (yield from self._farther(better, moves[new[best]]))

    def _farther(self, point: Incumbent, made: Array) -> Generator[Incumbent | None, None, Incumbent]:
        """Make moves that were better again, twice as far each time, as long as they are."""
        stride = 2
        while self._exchanges.go_far(made) and not self._context.budget.is_exhausted():
            points, _ = self._exchanges.points(point.values, made[None], stride)
            if not len(points) or not self._is_new(points[0]):
                break
            value, stride = self._value(point), 2 * stride
            trial = yield from self._settled(points[0], value)
            if self._value(trial) >= value - 1e-9 * (1.0 + abs(value)):
                break
            point = trial
        return point

    def _neighbourhood(self, moves: Array) -> Iterator[tuple[Array, int]]:
        """All single moves in random order, then pairs, those first that lose least alone: (N, m) int arrays.

        Each with how far the moves go: once and, where integers that decide all go far, several times at random.
        """
        random = self._context.random
        singles = random.permutation(moves)[:, None]
        for begin in range(0, len(singles), BATCH):
            yield singles[begin : begin + BATCH], 1
        pairs = random.choice(moves, size=(PAIRS_DRAWN, 2)) if moves.size else np.zeros((0, 2), int)
        likely = np.argsort(self._losses[pairs].sum(axis=1), kind="stable")[:MAX_PAIRS]
        for begin in range(0, likely.size, BATCH):
            yield pairs[likely[begin : begin + BATCH]], 1
        for stride in FAR if self._following.is_all and moves.size and self._exchanges.go_far(moves) else ():
            yield singles, stride
            for count in (2, 2, 3):
                yield random.choice(moves, size=(FAR_DRAWN, count)), stride

    def _jump(self) -> Incumbent | None:
        """Some moves away from the best point."""
        centre, random = self._elite.centre, self._context.random
        if centre is None:
            return None
        moves = self._exchanges.moves(centre.values)
        likely = moves[np.argsort(self._losses[moves], kind="stable")][: max(moves.size // 2, LARGEST_JUMP)]
        count = min(int(random.integers(LEAST_JUMP, LARGEST_JUMP + 1)), likely.size)
        drawn = np.array([random.permutation(likely)[:count] for _ in range(BATCH)])
        new = (
            values for values in self._exchanges.points(centre.values, drawn, random=random)[0] if self._is_new(values)
        )
        values = next(new, None)
        return centre if values is None else self._problem.incumbent(values)

    def _settled(self, v: Array, target: float) -> Generator[Incumbent | None, None, Incumbent]:
        """Where the descent from a point leads, its integers held."""
        if self._following.is_all:
            v = self._following.moved(v[None])[0]
        else:
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
