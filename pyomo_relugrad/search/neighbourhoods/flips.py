"""Descents by local branching: a few binaries switch at a time, by slopes of the networks that hold so far."""

from collections.abc import Generator, Iterator

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, SparseRows, Weight
from pyomo_relugrad.problem import Incumbent, Problem, Stage
from pyomo_relugrad.programs import Linearization, LinkRows
from pyomo_relugrad.search.neighbourhoods.shared import Shared
from pyomo_relugrad.search.relaxation import LinearRelaxation
from pyomo_relugrad.search.sequential.merit import Merit
from pyomo_relugrad.search.sequential.step_model import Step, StepModel, column_scale

#: Points around the present one whose slopes are averaged.
SAMPLES = 6
#: Share of the binaries that may switch in a first step, and the number below which that share does not fall.
FIRST_SHARE, FEWEST_FLIPS = 0.25, 1.5
#: How often a jump begins where the last descent ended, rather than at the best point.
WANDERING = 0.5
#: Largest share that may switch in a jump from the best point.
LARGEST_JUMP = 0.7
#: By what that number changes after a step that was better, or was not.
GROWTH, SHRINKAGE = 1.5, 0.5
#: Steps in vain, one after another, that end a descent.
MAX_FAILURES = 10
#: As how many a step in vain counts at the smallest share, where the slopes hardly change from step to step.
FAILURES_AT_SMALLEST = 5
#: Options of HiGHS: a good step soon beats the best step later.
OPTIONS = {"presolve": "off", "mip_max_nodes": 20, "mip_rel_gap": 1e-3}
#: Seconds that a step may take.
STEP_SECONDS = 0.15
#: Points by which the penalties of rows on outputs are scaled.
POINTS, INITIAL_PENALTY = 64, 10.0


def switchable(problem: Problem) -> Array:
    """The binaries that networks read, or else all binaries: columns, as an int array."""
    binaries = problem.integers & ~problem.is_output & (problem.upper - problem.lower == 1)
    read = binaries & problem.is_input
    return np.flatnonzero(read if read.any() else binaries)


class Flips:
    """Iterated descents: after each one a random jump from a good point.

    Parameters
    ----------
    shared : Shared
        Its elite has a centre.
    """

    def __init__(self, shared: Shared) -> None:
        problem, context = shared.problem, shared.context
        self._problem, self._elite, self._context = problem, shared.elite, context
        self._model = _FlipModel(problem, switchable(problem), context.random)
        self._scale = column_scale(problem)
        samples = problem.propagate(LinearRelaxation(problem).random_points(POINTS, context.random))
        self._merit = Merit.scaled_to(problem, samples, INITIAL_PENALTY)
        self._polish = shared.polish

    def steps(self) -> Iterator[Incumbent | None]:
        """Points of one descent after the other, and None after steps in vain."""
        random, n_switchable = self._context.random, self._model.n_switchable
        share = FIRST_SHARE
        centre = self._elite.centre
        while centre is not None:
            point = yield from self._descend(centre, share)
            yield from self._polish.points(point)
            if not point.is_feasible:
                self._merit = self._merit.sharpened(2.0)
            share = float(random.uniform(min(2.0 / n_switchable, LARGEST_JUMP), LARGEST_JUMP))
            # From where the last descent ended as well: far from a poor best point there may be better ones.
            base = point if random.random() < WANDERING else self._elite.centre
            centre = yield from self._jump(base, share)

    def _descend(self, centre: Incumbent, share: float) -> Generator[Incumbent | None, None, Incumbent]:
        point, value = centre, self._value(centre)
        failures, smallest = 0, FEWEST_FLIPS / self._model.n_switchable
        while failures < MAX_FAILURES and not self._context.budget.is_exhausted():
            step = self._step(point, share)
            trial = None if step is None else self._problem.incumbent(step.values)
            if trial is not None and self._value(trial) < value - 1e-9 * (1.0 + abs(value)):
                point, value, failures = trial, self._value(trial), 0
                share = min(GROWTH * share, 1.0)
            else:
                failures += 1 if share > smallest else FAILURES_AT_SMALLEST
                share = max(SHRINKAGE * share, smallest)
            yield trial
        return point

    def _jump(self, base: Incumbent | None, share: float) -> Generator[Incumbent | None, None, Incumbent | None]:
        """A step that need not be better."""
        step = None if base is None else self._step(base, share)
        point = base if step is None else self._problem.incumbent(step.values)
        yield point
        return point

    def _step(self, point: Incumbent, share: float) -> Step | None:
        return self._model.step(point.values, share, self._merit, self._scale, self._context.budget)

    def _value(self, point: Incumbent) -> float:
        return float(self._merit.of(self._problem, point.values[None])[0])


class _FlipModel(StepModel):
    """Steps in which a share of the binaries may switch.

    Parameters
    ----------
    problem : Problem
    columns : (k,) int array
        The binaries that count.
    random : numpy.random.Generator
    """

    def __init__(self, problem: Problem, columns: Array, random: np.random.Generator) -> None:
        super().__init__(problem, Linearization(problem), STEP_SECONDS, integer_options=OPTIONS)
        self._columns, self._random = columns, random
        self._rows = LinkRows(problem)
        self.n_switchable = columns.size

    def _trust_region(self, v: Array, radius: float, scale: Array) -> tuple[Array, Array]:
        """Continuous columns may follow even where few binaries switch."""
        return super()._trust_region(v, np.cbrt(radius), scale)

    def _links(self, v: Array, radius: float) -> tuple[Weight | SparseRows, Array, Array]:
        """Networks by slopes averaged around the point, and the row that limits how many binaries switch."""
        problem, columns = self._problem, self._columns
        V = self._samples(v, radius)
        V = V[np.isfinite(V).all(axis=1)] if np.isfinite(V).all(axis=1).any() else v[None]
        slopes, constants = [], []
        for stage, used in zip(problem.stages, self._rows.used, strict=True):
            mean = np.mean([_secants(problem, stage, w)[:, used] for w in V], axis=0)
            slopes.append(mean)
            constants.append(v[stage.outputs][:, used] - (mean @ v[stage.inputs][:, :, None])[:, :, 0])
        links, right = self._rows.build(slopes, constants)
        direction = np.where(v[columns] > problem.lower[columns] + 0.5, -1.0, 1.0)
        rows = sparse.csr_array((links.data, links.indices, links.indptr), shape=(right.size, v.size))
        branching = sparse.csr_array((direction, columns, [0, columns.size]), shape=(1, v.size))
        most = float(direction @ v[columns]) + max(radius * columns.size, 1.0)
        padding = sparse.csr_array((right.size + 1, self._model.n_columns - v.size))
        matrix = sparse.hstack([sparse.vstack([rows, branching]), padding], format="csr")
        return matrix, np.append(right, -np.inf), np.append(right, most)

    def _samples(self, v: Array, radius: float) -> Array:
        """Points in the trust region, rows not regarded, with propagated outputs."""
        problem, columns, random = self._problem, self._columns, self._random
        lower, upper = self._trust_region(v, radius, column_scale(problem))
        moves = self._trusted & ~problem.integers
        V = np.repeat(v[None], SAMPLES, axis=0)
        # NumPy's uniform refuses bounds of 0 and -0.
        V[:, moves] = lower[moves] + (upper - lower)[moves] * random.random((SAMPLES, int(moves.sum())))
        for w in V:
            count = random.integers(1 + max(int(radius * columns.size), 1))
            chosen = random.choice(columns, count, replace=False)
            w[chosen] = problem.lower[chosen] + problem.upper[chosen] - w[chosen]
        return problem.propagate(V)


def _secants(problem: Problem, stage: Stage, v: Array) -> Array:
    """Slopes (k, n_outputs, n_inputs) of a stage's functions: to the next value of an integer, or the gradient."""
    x = v[stage.inputs]
    slopes = np.array(stage.affine(x)[0])
    member, place = np.nonzero(problem.free_integers[stage.inputs])
    if member.size == 0:
        return slopes
    change = np.where(x[member, place] + 1 <= problem.upper[stage.inputs[member, place]], 1.0, -1.0)
    moved = x[member]
    moved[np.arange(member.size), place] += change
    difference = stage.value(moved) - stage.value(x)[member]
    slopes[member, :, place] = np.where(np.isfinite(difference), difference / change[:, None], slopes[member, :, place])
    return slopes
