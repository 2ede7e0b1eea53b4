"""A bound on the optimum beside a local search: CROWN through all networks, and where there are rows a linear program.

No branching: the bound is what one relaxation of the whole problem gives, and it is computed once. Over a box it holds
in floating point; with rows it holds to the tolerances of HiGHS.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad import deadline
from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.deadline import OutOfTime
from pyomo_relugrad.network.boxes import Boxes
from pyomo_relugrad.network.lower_slopes import optimize_lower_slopes
from pyomo_relugrad.network.relaxation import Relaxation
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, NetworkStage, Problem
from pyomo_relugrad.problem.presolve.row_tightening import RowTightening
from pyomo_relugrad.programs.linear_program import LinearProgram, LinearSolution, LinearStatus
from pyomo_relugrad.run.budget import Budget
from pyomo_relugrad.run.options import Options

#: A search ends where its incumbent is this close to the bound, relative to the larger of one and its size.
CLOSE = Options(relative_gap=1e-6, absolute_gap=1e-6)
# Steps for the objective's lower slopes; there is one function only.
SLOPE_STEPS = 20
# Multiplications per second of a relaxation, with dense and with sparse weights (measured on one core, less a half).
DENSE_RATE, SPARSE_RATE = 5e9, 1e9
# The bound may take this share of the time limit, and so many seconds.
TIME_SHARE, MOST_SECONDS = 0.1, 10.0
# Seconds that the shortest relaxation of a stage takes, its part of the linear program included.
LEAST_SECONDS = 0.02
# What an evaluated point (with its gradient) and a step cost a search: passes over the weights, and multiplications.
PASSES_PER_POINT, WORK_PER_STEP = 3, 1e6


class BoundKeeper:
    """The best bound known during a search, and when to compute a better one.

    The relaxation is solved once, when the search has spent as much as that will cost: it never delays the first
    incumbents, and does not depend on the clock, so that a seed gives the same answer again.

    Parameters
    ----------
    problem : Problem
    budget : Budget
    """

    def __init__(self, problem: Problem, budget: Budget) -> None:
        self.value = -np.inf
        self._problem, self._budget = problem, budget
        self._cost = bound_seconds(problem)
        self._point_cost = PASSES_PER_POINT * sum(len(s.inputs) * s.network.n_weights for s in problem.stages)
        self._is_open = bool(problem.networks)

    def take(self, relaxation: LinearSolution | None) -> None:
        """Take the bound of the linear surroundings."""
        problem = self._problem
        ignores_objective = problem.quadratic is not None and problem.integers.any()
        if relaxation is None or ignores_objective:
            return
        if relaxation.status in (LinearStatus.OPTIMAL, LinearStatus.LIMIT):
            self.value = max(self.value, relaxation.bound + problem.constant)

    def raise_to(self, value: float) -> None:
        """Take a bound that a method came to."""
        self.value = max(self.value, value)

    def update(self, finished: bool = False) -> None:
        """Solve the relaxation if its time has come, at the latest when the search has finished."""
        if not self._is_open or not (finished or self._is_due()):
            return
        self._is_open = False
        budget = self._budget
        if self._cost > min(TIME_SHARE * budget.time_limit, budget.remaining, MOST_SECONDS):
            return
        try:
            with deadline.time_limit(min(budget.remaining, MOST_SECONDS)):
                self.value = max(self.value, dual_bound(self._problem))
        except OutOfTime:
            return

    def proves(self, objective: float) -> bool:
        """Whether no point can be better than this objective by more than `CLOSE` allows."""
        return CLOSE.is_proven(objective, self.value)

    def _is_due(self) -> bool:
        spent = self._point_cost * self._budget.points + WORK_PER_STEP * self._budget.iterations
        return spent >= self._cost * DENSE_RATE


def bound_seconds(problem: Problem) -> float:
    """About how long `dual_bound` takes: most of it goes into the pre-activations' bounds."""
    seconds = 0.0
    for stage in problem.stages:
        layers, widths = stage.network.layers, stage.network.widths
        passes = np.cumsum([sum(map(_seconds_per_row, layer.weights)) for layer in layers])
        bounds = 2 * sum(width * before for width, before in zip(widths[1:], passes[:-1], strict=False))
        substitutions = 2 * (SLOPE_STEPS + stage.network.n_outputs) * passes[-1]
        seconds += LEAST_SECONDS + len(stage.inputs) * float(bounds + substitutions)
    return seconds


def _seconds_per_row(weight: Weight) -> float:
    return weight.nnz / SPARSE_RATE if sparse.issparse(weight) else weight.size / DENSE_RATE


def dual_bound(problem: Problem) -> float:
    """A number that no feasible point's objective is below.

    The objective is substituted back through every network as one function, with slopes chosen for it. Where there are
    rows, or bounds on outputs, one linear program with that function and with two for each output that occurs there
    gives the bound; integers are relaxed. A convex quadratic objective is replaced by its tangent at the optimum over
    the same rows.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    float
        In the sense of `Problem`, to be minimized; minus infinity where the relaxation gives none.
    """
    lower, upper, possible = (side[0] for side in RowTightening(problem)(problem.lower[None], problem.upper[None]))
    if not possible:
        return -np.inf
    relaxations: list[Relaxation] = []
    for stage in problem.stages:
        if (lower[stage.inputs] > upper[stage.inputs]).any():  # an output's bound and its network disagree
            return -np.inf
        relaxation = Relaxation(stage.network, lower[stage.inputs], upper[stage.inputs])
        below, above = relaxation.output_range()
        lower[stage.outputs] = np.maximum(lower[stage.outputs], below)
        upper[stage.outputs] = np.minimum(upper[stage.outputs], above)
        relaxations.append(relaxation)
    linked = _linked_outputs(problem)
    links = [
        _output_rows(problem, stage, relaxation, linked)
        for stage, relaxation in zip(problem.stages, relaxations, strict=True)
    ]
    if problem.quadratic is not None:
        problem = _tangent_problem(problem, lower, upper, links)
    cost, constant = _substituted_objective(problem, relaxations)
    if not np.isfinite(constant):
        return -np.inf
    bound = constant + float(Boxes(lower[None], upper[None]).minima(cost[None])[0])
    if problem.n_rows == 0 and not linked.any():
        return bound
    return max(bound, _program_bound(problem, lower, upper, cost, constant, links))


def _tangent_problem(problem: Problem, lower: Array, upper: Array, links: list[tuple[Weight, Array]]) -> Problem:
    """The problem with the tangent of its objective at the optimum over rows and output rows, or near it."""
    rows = sparse.vstack([problem.rows, *(matrix for matrix, _ in links)], format="csr")
    sides = np.concatenate([np.zeros(0), *(side for _, side in links)])
    program = LinearProgram(
        problem.cost,
        lower,
        np.maximum(lower, upper),
        rows,
        np.concatenate([problem.row_lower, sides]),
        np.concatenate([problem.row_upper, np.full(sides.size, np.inf)]),
        quadratic=problem.quadratic,
    )
    values = program.solve().values
    point = np.clip(np.zeros(problem.n_columns) if values is None else values, lower, upper)
    slope = problem.quadratic @ point
    return replace(
        problem,
        cost=problem.cost + slope,
        constant=problem.constant - 0.5 * float(point @ slope),
        quadratic=None,
    )


def _substituted_objective(problem: Problem, relaxations: list[Relaxation]) -> tuple[Array, float]:
    """A linear function of the columns that no network writes, below the objective: costs (n,) and constant."""
    cost, constant = problem.cost.copy(), problem.constant
    for stage, relaxation in zip(reversed(problem.stages), reversed(relaxations), strict=True):
        columns, first = np.unique(stage.inputs, return_index=True)
        own = np.zeros(stage.inputs.size)
        own[first] = cost[columns]
        functions = optimize_lower_slopes(
            relaxation,
            cost[stage.outputs],
            np.arange(relaxation.n_boxes),
            steps=SLOPE_STEPS,
            input_costs=own.reshape(stage.inputs.shape),
        ).functions
        cost[columns] = 0.0
        cost[stage.outputs] = 0.0
        stage.scatter(cost[None], functions.coefficients)
        constant += float(functions.constants.sum())
    return cost, constant


def _linked_outputs(problem: Problem) -> Array:
    """(n,) booleans: outputs that rows, bounds of their own or a quadratic objective speak of."""
    in_rows = np.zeros(problem.n_columns, bool)
    in_rows[problem.rows.indices] = True
    if problem.quadratic is not None:
        in_rows[problem.quadratic.indices] = True
    return problem.is_output & (in_rows | np.isfinite(problem.lower) | np.isfinite(problem.upper))


def _output_rows(problem: Problem, stage: NetworkStage, relaxation: Relaxation, linked: Array) -> tuple[Weight, Array]:
    """Rows ``R v >= r`` that hold linked outputs between linear functions of their network's inputs."""
    n = problem.n_columns
    embedding, place = np.nonzero(linked[stage.outputs])
    blocks, sides = [sparse.csr_array((0, n))], [np.zeros(0)]
    for sign in (1.0, -1.0):
        weights = sign * np.eye(stage.network.n_outputs)[place]
        functions = relaxation.substitute(weights, embedding)
        usable = np.isfinite(functions.constants)
        count, outputs = int(usable.sum()), stage.outputs[embedding, place][usable]
        inputs = stage.inputs[embedding[usable]]
        rows = np.repeat(np.arange(count), inputs.shape[1])
        entries = -functions.coefficients[usable].ravel()
        matrix = sparse.coo_array((entries, (rows, inputs.ravel())), shape=(count, n))
        chosen = sparse.coo_array((np.full(count, sign), (np.arange(count), outputs)), shape=(count, n))
        blocks.append(matrix.tocsr() + chosen.tocsr())
        sides.append(functions.constants[usable])
    return sparse.vstack(blocks, format="csr"), np.concatenate(sides)


def _program_bound(
    problem: Problem,
    lower: Array,
    upper: Array,
    cost: Array,
    constant: float,
    links: list[tuple[Weight, Array]],
) -> float:
    """The optimum of the objective over rows, output rows, and ``objective >= cost @ v + constant``."""
    objective_row = sparse.csr_array((problem.cost - cost)[None])
    rows = sparse.vstack([problem.rows, *(matrix for matrix, _ in links), objective_row], format="csr")
    sides = np.concatenate([*(side for _, side in links), [constant - problem.constant]])
    program = LinearProgram(
        problem.cost,
        lower,
        np.maximum(lower, upper),
        rows,
        np.concatenate([problem.row_lower, sides]),
        np.concatenate([problem.row_upper, np.full(sides.size, np.inf)]),
    )
    solution = program.solve()
    if not solution.is_optimal:
        return -np.inf
    return solution.objective + problem.constant - 0.1 * FEASIBILITY_TOLERANCE * (1 + abs(solution.objective))
