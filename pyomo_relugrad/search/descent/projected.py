"""The default search over boxes and simple polytopes: batched descents from structured starts, polished to vertices."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyomo_relugrad.arrays import Array, at_home, namespace, stable_order
from pyomo_relugrad.problem import Incumbent, Problem, ReducedObjective
from pyomo_relugrad.run import Budget, SearchContext, between
from pyomo_relugrad.search.descent.batch import Batch, Objective, Schedule, descend, descend_by_halving
from pyomo_relugrad.search.descent.elite_pool import SAME_VALUE, ElitePool, PoolMember
from pyomo_relugrad.search.descent.image import BoxImage, ImageSearch
from pyomo_relugrad.search.descent.on_device import DeviceObjective, on_device
from pyomo_relugrad.search.descent.polishing import Polishing
from pyomo_relugrad.search.descent.starts import structured_starts
from pyomo_relugrad.search.domains.domain import Domain
from pyomo_relugrad.search.domains.feasible_set import feasible_start
from pyomo_relugrad.search.domains.method import DomainMethod
from pyomo_relugrad.search.regions.program import first_facets
from pyomo_relugrad.search.sequential.smooth_polish import polisher_of

#: Multiplications per batched step that keep the matrix products efficient and the steps short.
WORK_PER_STEP = 3e7
#: Weights above which fewer points start together, whose steps would be long, and their arrays large.
MANY_WEIGHTS = 1e7
#: Points that start together where the projection is an iteration of its own.
POLYTOPE_BATCH = 64
#: First and last step of the first round.
FIRST_ROUND = (0.3, 0.01)
#: Rounds over the image of the box, from offspring, before every other round from fresh starts.
IMAGE_ROUNDS = 4
#: First step of the vertices that are found so, their steps, and how many of them descend in the first round.
SEEN_STEP, SEEN_STEPS, FIRST_SEEN = 0.1, 40, 2
#: Relative gain below which a better point is no news.
NEWS = 1e-6
#: Relative difference up to which points may be the same after polishing.
NEARLY_SAME = 1e-2
#: Multiplications per second of a step of a walk (measured on one core), and Newton systems that it solves.
WALK_RATE, NEWTON_STEPS = 5e10, 15
#: Seconds of a step of a walk below which the point that it begins at is not reported before.
SHORT_STEP = 1e-4
#: Multiplications between two looks at a batch.
WORK_PER_LOOK = 2e6
#: Relative gain at which a point is reported while the batch still moves.
REPORTED_GAIN = 0.01
#: Time of steps between two such reports, in times of what a report takes.
STEPS_PER_REPORT = 4.0


@dataclass(frozen=True)
class ProjectedDescent(DomainMethod):
    """Batched projected descents from structured starts, the best points polished to vertices of regions.

    Steps are shares of the domain's widths; within a descent they fall geometrically. Where many inputs lead to few
    neurons, every other round from fresh starts, and the first one, begins over the box's image under the first layer.

    Parameters
    ----------
    batch : int, optional
        Points that start together. None: 16 to 512, fewer for larger networks, or 64 where a projection takes
        iterations of its own.
    first_steps, offspring_steps, last_step : two tuples of float, and float, optional
        First step of a round's descent, in turns. From fresh starts: longer than the box, so that points jump from
        corner to corner, or shorter (4, 1, 0.3, 0.1). From the offspring of good points: so short that they stay near
        the basins that they start in (0.3, 0.1, 1). Last step (0.003).
    momentum, offspring_momentum : float, optional
        Share of the old momentum that a step keeps, from fresh starts (0.5) and from offspring (0.8).
    explore_steps, recombine_steps : int, optional
        Steps from fresh starts (120), and from offspring (160), of which there are half as many as fresh starts.
    stages : tuple of int, optional
        Relative lengths of a descent's stages; after each but the last the best quarter goes on (1, 2, 3).
    refined, refine_steps, refined_step : int, int and float, optional
        How many of the best points descend to the kinks that they sit at (8), in how many steps (30), the last (1e-4).
    offspring_rounds : int, optional
        Rounds from offspring, at most, after one from fresh starts (2).
    polish_every : int, optional
        One round in so many is polished even without a better point (3).
    pool_size : int, optional
        Good points kept (24).
    first_batch, first_round_steps : int, optional
        Points of the first round (128), and its steps (24): a small round, whose points are good enough on small
        problems.
    repeated_round_steps : int, optional
        Its steps where a part of its points lie where many answers of the same model with other numbers lay (16).
    agreements : int, optional
        Rounds from fresh starts that come to the best point again, after which the search is done (4).
    patience : int, optional
        Rounds without a better point after which the search is done (40); fewer where earlier searches of the same
        model had found their best points after fewer rounds.
    """

    name = "projected-descent"
    cooperates = True
    handles_smooth = True
    moves_on_devices = True

    batch: int | None = None
    first_steps: tuple[float, ...] = between((4.0, 1.0, 0.3, 0.1), 1e-9)
    last_step: float = between(0.003, 1e-9)
    offspring_steps: tuple[float, ...] = between((0.3, 0.1, 1.0), 1e-9)
    momentum: float = between(0.5, 0, 1)
    offspring_momentum: float = between(0.8, 0, 1)
    explore_steps: int = 120
    recombine_steps: int = 160
    offspring_rounds: int = 2
    stages: tuple[int, ...] = (1, 2, 3)
    refined: int = 8
    refine_steps: int = 30
    refined_step: float = between(0.0001, 1e-9)
    pool_size: int = 24
    polish_every: int = 3
    first_batch: int = 128
    first_round_steps: int = 24
    repeated_round_steps: int = 16
    agreements: int = 4
    patience: int = 40

    def search(self, problem: Problem, domain: Domain, context: SearchContext) -> Iterator[Incumbent | None]:
        """Descend, polish and recombine until the budget is spent."""
        return ProjectedRounds(self, problem, domain, context).run()

    def batch_size(self, objective: Objective, domain: Domain, budget: Budget) -> int:
        """Points that start together; where they are to be the same everywhere, a device does not count."""
        if self.batch is not None:
            return self.batch
        if domain.projection_work:
            return POLYTOPE_BATCH
        fewest = 32 if objective.n_weights <= MANY_WEIGHTS else 16
        count = int(np.clip(WORK_PER_STEP / max(objective.n_weights, 1), fewest, 512))
        if isinstance(objective, DeviceObjective) and not budget.is_repeatable:
            return objective.batch_size(count)
        return count


class ProjectedRounds:
    """The state of one search, from what `ProjectedDescent.search` is given."""

    def __init__(self, method: ProjectedDescent, problem: Problem, domain: Domain, context: SearchContext) -> None:
        self.method, self.problem, self.domain = method, problem, domain
        self.context, self.budget, self.random = context, context.budget, context.random
        self.objective = ReducedObjective(problem)
        self.polish = polisher_of(problem, context.past)
        #: In float32, which halves a step, but where answers are to be the same on a device.
        is_alike = self.budget.iteration_limit is not None and domain.projection_work == 0
        dtype = np.float64 if is_alike else np.float32
        self.moving: Objective
        if context.device is None:
            self.moving, self.bounds = ReducedObjective(problem, dtype), domain
        else:
            self.moving, self.bounds = on_device(self.objective, domain, context.device, dtype)
        self.pool = ElitePool(method.pool_size)
        step_seconds = _walk_seconds(self.objective)
        self.polishing = Polishing(self._walk, self.objective.columns, self.pool, self.budget, step_seconds)
        #: Whether a walk begins no later than its start would be reported.
        self.walks_at_once = step_seconds < SHORT_STEP
        self.rounds, self.last_record, self.agreements, self.reported = 0, 0, 0, np.inf
        self.yielded = np.inf  # the smallest objective of a point that was yielded
        #: Rounds from offspring since the last one from fresh starts; they follow while they bring better points.
        self.in_a_row = -1
        self.n_descents = {True: 0, False: 0}  # from fresh starts, and from offspring
        #: Whether the last fresh starts were the image's turn, and the best values after its turns and after others.
        self.is_seen, self.best_fresh = False, {True: np.inf, False: np.inf}
        self.report_seconds = 0.0
        self.past, self.patience = context.past, context.past.begin(method.name, method.patience)
        self.has_known = bool(context.known)
        self.start = feasible_start(problem, domain, context.start)
        self.count = method.batch_size(self.moving, domain, self.budget)
        image = BoxImage.of(self.objective if isinstance(self.moving, DeviceObjective) else self.moving, domain)
        self.image = None if image is None else ImageSearch(image, self.random, self.budget)

    def run(self) -> Iterator[Incumbent | None]:
        """Rounds of descents and polishing until the budget is spent, or many rounds bring nothing."""
        try:
            for point in self._rounds():
                self.yielded = self.yielded if point is None else min(self.yielded, point.objective)
                yield point
        finally:
            self._remember()

    def _rounds(self) -> Iterator[Incumbent | None]:
        if not self.has_known:
            yield self._incumbent(at_home(self._fresh_starts(4)[0, :]))
        while not (self.budget.is_exhausted() or self._is_done):
            self.pool.learn(self.context.take_offered(), self.objective.columns)
            record = self.pool.best
            batch = yield from self._round()
            points = self.objective.in_float64(batch.best)
            values = self.objective.value(points)  # float32 may be better by its rounding
            elites = [PoolMember(u, value) for u, value in zip(points, values.tolist(), strict=True)]
            for elite in elites:
                self.pool.add(elite)
            if not self.walks_at_once:
                yield self._incumbent(batch.best[0])
            is_news = _is_news(self.pool.best, record)
            if self.rounds and is_news:
                self.last_record, self.agreements = self.rounds, 0
                self.past.note(self.method.name, self.rounds)
            is_near = not _is_news(record, float(values.min()), NEARLY_SAME)
            if self.is_fresh:
                self.best_fresh[self.is_seen] = min(self.best_fresh[self.is_seen], float(values.min()))
            if self.is_fresh and is_near and self.polishing.afford_whole():
                agreeing = self._agree(min(elites, key=lambda elite: elite.value), record)
                yield from self.polishing.booked(agreeing)
            elif self._deserves_polish(record):
                yield from self.polishing.run()
            if self.walks_at_once and self.pool.best < self.yielded:  # no walk has come to a better point
                yield self._incumbent(self.pool.members[0].u)
            self.rounds += 1
            is_over = self.in_a_row >= self.method.offspring_rounds or not (self.is_fresh or is_news)
            self.in_a_row = 0 if is_over else self.in_a_row + 1

    def _deserves_polish(self, record: float) -> bool:
        """Whether walks may go on after this round; points seen over an image alone are not worth one yet."""
        if self.image is not None and self.rounds == 0:
            return False
        return self.budget.has_time_limit or self.pool.best < record or self.rounds % self.method.polish_every == 0

    @property
    def is_fresh(self) -> bool:
        """Whether the present round begins from fresh starts."""
        return self.in_a_row == 0

    @property
    def _is_done(self) -> bool:
        """Whether many rounds were in vain, or several came to the same best point."""
        return self.rounds - self.last_record > self.patience or self.agreements >= self.method.agreements

    def _agree(self, elite: PoolMember, record: float) -> Generator[Incumbent | None, None, None]:
        """Polish the best point of a round from fresh starts, and count whether it is the best of all again."""
        vertex = yield from self._walk(elite.u)
        self.pool.polished(elite, vertex.values[self.objective.columns], vertex.objective)
        if _is_news(self.pool.best, record, SAME_VALUE):
            self.agreements = 0
        elif not _is_news(self.pool.best, vertex.objective, SAME_VALUE):
            self.agreements += 1

    def _round(self) -> Generator[Incumbent | None, None, Batch]:
        """The best points of a round of descents: a small one, then from fresh starts and offspring in turns."""
        method = self.method
        if self.rounds == 0:
            starts, stages = yield from self._first_descents()
            return (
                (yield from self._watched(self._halving(starts, stages, method.momentum)))
                .keep(method.refined)
                .at_home()
            )
        starts, stages = yield from self._descents()
        self.n_descents[self.is_fresh] += 1
        momentum = method.momentum if self.is_fresh else method.offspring_momentum
        batch = yield from self._watched(self._halving(starts, stages, momentum))
        best = Batch.at(batch.best[: method.refined, :])
        lengths = Schedule(method.last_step, method.refined_step, method.refine_steps).lengths()
        refining = descend(self.moving, self.bounds, best, lengths, method.momentum, self.budget)
        return (yield from self._watched(refining)).keep(method.refined).at_home()

    def _descents(self) -> Generator[None, None, tuple[Array, list[Array]]]:
        """Starts of a round, and the lengths of the steps of its stages."""
        method, number = self.method, self.n_descents[self.is_fresh]
        if not self.is_fresh:
            first = method.offspring_steps[number % len(method.offspring_steps)]
            starts = self.pool.offspring(self.domain, self.random, max(self.count // 2, 1))
            return starts, Schedule(first, method.last_step, method.recombine_steps).pieces(method.stages)
        self.is_seen = number % 2 == 0 or self._is_image_far_better
        if self.image is not None and self.is_seen:
            if number:
                self.image.restart()
            starts = yield from self._seen_starts(IMAGE_ROUNDS, method.refined)
            return starts, [Schedule(SEEN_STEP, method.last_step, SEEN_STEPS).lengths()]
        turn = number if self.image is None else number // 2
        first = method.first_steps[turn % len(method.first_steps)]
        lengths = Schedule(first, method.last_step, method.explore_steps)
        return self._fresh_starts(self.count), lengths.pieces(method.stages)

    @property
    def _is_image_far_better(self) -> bool:
        """Whether other fresh starts have led to far worse points than those seen over the image."""
        seen, others = self.best_fresh[True], self.best_fresh[False]
        return bool(np.isfinite(others)) and _is_news(seen, others, NEARLY_SAME)

    def _first_descents(self) -> Generator[None, None, tuple[Array, list[Array]]]:
        """Starts of the first round, and the lengths of the steps of its stages."""
        if self.image is None or self.past.answers:
            starts, steps = self._first_starts(min(self.count, self.method.first_batch))
            return starts, Schedule(*FIRST_ROUND, steps).pieces((1, 1))
        starts = yield from self._seen_starts(0, FIRST_SEEN)
        if self.start is not None:
            starts[0, :] = self.moving.cast(self.start)
        return starts, [Schedule(SEEN_STEP, FIRST_ROUND[1], self.method.first_round_steps).lengths()]

    def _seen_starts(self, n_rounds: int, count: int) -> Generator[None, None, Array]:
        """The best vertices found by rounds over the image: where the best descents end is nearly always among them."""
        assert self.image is not None
        starts = self.moving.cast((yield from self.image.rounds(n_rounds)))
        self.budget.count(points=starts.shape[0], iterations=0)
        return namespace(starts).take(starts, stable_order(self.moving.value(starts))[:count], axis=0)

    def _first_starts(self, count: int) -> tuple[Array, int]:
        """Starts of the first round, many of them where earlier answers lay, and how many steps are enough.

        The others are some of those from which the first searches of the model began: the vertices that they are do not
        depend on the bounds.
        """
        past, fresh = self.past, max(count // 4, 1)
        answers = [answer for answer in past.answers if answer.size == self.objective.size]
        earlier = past.starts if past.starts is not None and past.starts.shape[1] == self.objective.size else None
        if earlier is None or len(answers) < fresh or self.context.device is not None:
            starts = self._fresh_starts(count)
            past.starts = self._shares(at_home(starts))
            return starts, self.method.first_round_steps
        lower, upper = self.domain.lower, self.domain.upper
        rows = np.arange(past.solves * fresh, (past.solves + 1) * fresh) % len(earlier)
        known = np.concatenate([earlier[rows], np.array(answers)])
        starts = self.moving.cast(self.domain.project(lower + known * (upper - lower)))
        if self.start is not None:
            starts[0, :] = self.moving.cast(self.start)
        return starts, self.method.repeated_round_steps

    def _shares(self, U: Array) -> Array:
        """Where points (..., d) lie in the ranges of the columns: 0 at the lower bounds, 1 at the upper ones."""
        width = self.domain.upper - self.domain.lower
        return np.divide(U - self.domain.lower, width, out=np.zeros(U.shape), where=width > 0)

    def _remember(self) -> None:
        """Note where in the ranges of the columns the best point lies, for the next search of the same model."""
        if self.pool.members and self.budget.iteration_limit is None:
            self.past.answers.append(self._shares(self.pool.members[0].u))

    def _fresh_starts(self, count: int) -> Array:
        starts = structured_starts(self.moving, self.bounds, self.random, count)
        if self.start is not None and self.rounds == 0:
            starts[0, :] = self.moving.cast(self.start)
        return starts

    def _halving(self, starts: Array, stages: Sequence[Array], momentum: float) -> Generator[Batch, None, Batch]:
        keeps_valleys = self.rounds > 0  # few points, and few steps, in the first round
        return descend_by_halving(self.moving, self.bounds, starts, stages, momentum, self.budget, keeps_valleys)

    def _watched(self, steps: Generator[Batch, None, Batch]) -> Generator[Incumbent | None, None, Batch]:
        """Report the batch's best point whenever it is a good deal better than the last one reported."""
        looked, reported, n_weights = self.budget.points, self.budget.elapsed, self.objective.n_weights
        while True:
            try:
                batch = next(steps)
            except StopIteration as end:
                return end.value
            if (self.budget.points - looked) * n_weights < WORK_PER_LOOK:
                continue
            looked = self.budget.points
            value = float(namespace(batch.values).min(batch.values))
            may_report = self.budget.elapsed - reported >= STEPS_PER_REPORT * self.report_seconds
            if may_report and value < self.reported - REPORTED_GAIN * abs(value):
                self.reported = value
                best = int(namespace(batch.values).argmin(batch.values))
                yield self._incumbent(at_home(batch.best[best, :]))
                reported = self.budget.elapsed
            else:
                yield None

    def _walk(self, u: Array) -> Generator[Incumbent | None, None, Incumbent]:
        inside = np.clip(u, self.domain.lower, self.domain.upper)
        return (yield from self.polish(self.objective.points(inside[None, :])[0], self.budget))

    def _incumbent(self, u: Array) -> Incumbent:
        begin, v = self.budget.elapsed, np.zeros(self.problem.n_columns)
        v[self.objective.columns] = self.objective.in_float64(u)
        point = self.problem.incumbent(v)
        self.report_seconds = self.budget.elapsed - begin
        return point


def _walk_seconds(objective: ReducedObjective) -> float:
    """About how long a step of a walk takes: gradients of a good part of the ReLUs, and Newton systems."""
    gradients = max((stage.n_neurons * stage.work for stage in objective.stages), default=0)
    facets = first_facets(sum(stage.n_neurons for stage in objective.stages))
    return (gradients + NEWTON_STEPS * facets * facets * objective.size) / WALK_RATE


def _is_news(value: float, record: float, gain: float = NEWS) -> bool:
    """Whether a value is lower by more than a relative gain."""
    return bool(value < record - gain * max(1e-3, abs(record)))
