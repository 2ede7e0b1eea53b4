"""Cuts of the ideal formulation of a ReLU, added to a big-M formulation at the root.

A ReLU ``h = max(0, w x + b)`` with ``lower <= x <= upper`` and the binary ``q`` satisfies, for every set ``I`` of its
inputs, ``h <= sum_I w_i (x_i - l_i (1 - q)) + (b + sum_(not I) w_i u_i) q``, where ``w_i l_i`` and ``w_i u_i`` are the
smallest and the largest value of ``w_i x_i``. With all of them the relaxation of one ReLU is its convex hull (Anderson,
Huchette, Ma, Tjandraatmadja, Vielma, Strong mixed-integer programming formulations for trained neural networks, 2020).
The one that a point violates most is found input by input.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.deadline import time_limit
from pyomo_relugrad.problem import Problem, ProblemBounds
from pyomo_relugrad.programs.big_m import BigMModel

# Linear programs solved for cuts; there are no more where the last ones raised the bound by less than this share.
MAX_ROUNDS, LAST_ROUNDS, LEAST_GAIN = 20, 3, 0.01
# Violation of a cut, relative to the norm of its inputs' coefficients, from which it is added.
LEAST_VIOLATION = 1e-3
#: Coefficients of a formulation above which its programs take longer than cuts save.
MAX_COEFFICIENTS = 20_000


def with_relu_cuts(model: BigMModel, bounds: ProblemBounds, seconds: float = np.inf) -> BigMModel:
    """The formulation with cuts that bind where its relaxation, cut again and again, is optimal.

    It stays as it is where nothing restricts outputs: there HiGHS's own cuts do as well.

    Parameters
    ----------
    model : BigMModel
    bounds : ProblemBounds
    seconds : float, optional
        After which there are no more linear programs.
    """
    if model.rows.nnz > MAX_COEFFICIENTS or not _restricts_outputs(model.problem):
        return model
    relus = _OpenRelus(model, *_exact_bounds(model, bounds))
    if not relus.count:
        return model
    with time_limit(seconds):
        cuts, sides = _binding_cuts(model, relus)
    return replace(
        model,
        rows=sparse.csr_array(sparse.vstack([model.rows, sparse.csr_array(cuts)])),
        row_lower=np.concatenate([model.row_lower, np.full(sides.size, -np.inf)]),
        row_upper=np.concatenate([model.row_upper, sides]),
    )


def _binding_cuts(model: BigMModel, relus: _OpenRelus) -> tuple[Array, Array]:
    """Coefficients (m, N) and upper sides (m,) of cuts, within the `deadline` around it."""
    program = model.program(relaxed=True)
    cuts, sides = np.zeros((0, model.cost.size)), np.zeros(0)
    optima: list[float] = []
    while True:
        solution = program.solve()
        if not solution.is_optimal or solution.values is None:
            return cuts, sides
        optima.append(solution.objective)
        if len(optima) > 1:
            kept = program.drop_basic_rows(model.rows.shape[0])
            cuts, sides = cuts[kept], sides[kept]
        added, added_sides = relus.violated_cuts(solution.values)
        if len(optima) > MAX_ROUNDS or not added_sides.size or _has_settled(optima):
            return cuts, sides
        cuts, sides = np.concatenate([cuts, added]), np.concatenate([sides, added_sides])
        program.append_rows(sparse.csr_array(added), np.full(added_sides.size, -np.inf), added_sides)


def _restricts_outputs(problem: Problem) -> bool:
    outputs = problem.is_output
    is_bounded = np.isfinite(problem.lower[outputs]) | np.isfinite(problem.upper[outputs])
    return bool(is_bounded.any() or outputs[problem.rows.indices].any())


def _has_settled(optima: list[float]) -> bool:
    if len(optima) <= LAST_ROUNDS + 1:
        return False
    return optima[-1] - optima[-1 - LAST_ROUNDS] < LEAST_GAIN * (optima[-1] - optima[0])


def _exact_bounds(model: BigMModel, bounds: ProblemBounds) -> tuple[Array, Array]:
    """Bounds of all columns without the formulation's room, which would leave binaries fractional at its vertices."""
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[: bounds.lower.size], upper[: bounds.upper.size] = bounds.lower, bounds.upper
    for stage, member, layers in model.hidden:
        ranges = bounds.networks[stage]
        for columns, low, high in zip(layers, ranges.lower, ranges.upper, strict=True):
            exists = columns.activation >= 0
            places = columns.activation[exists]
            lower[places], upper[places] = np.maximum(low[member], 0.0)[exists], high[member][exists]
    return lower, upper


class _OpenRelus:
    """The ReLUs with a binary, as functions of the columns before them."""

    def __init__(self, model: BigMModel, lower: Array, upper: Array) -> None:
        layers = [columns for _, _, hidden in model.hidden for columns in hidden]
        parts = [np.stack([c.activation, c.slack, c.binary])[:, c.binary >= 0] for c in layers]
        self._activation, slack, self._binary = np.concatenate([np.zeros((3, 0), int), *parts], axis=1)
        self.count = slack.size
        # A slack is in the row that defines its ReLU, with -1, and in that of its switch.
        by_slack = sparse.csc_array(model.rows)[:, slack].tocoo()
        is_definition = by_slack.data == -1.0
        order = np.argsort(by_slack.coords[1][is_definition])
        rows = by_slack.coords[0][is_definition][order]
        weights = -model.rows[rows].toarray()
        places = np.arange(self.count)
        weights[places, self._activation] = weights[places, slack] = 0.0
        self._weights, self._bias = weights, model.row_lower[rows]
        # Smallest and largest contributions of the inputs.
        with np.errstate(invalid="ignore"):
            ends = np.stack([weights * lower, weights * upper])
        ends = np.where(weights == 0.0, 0.0, ends)
        self._least, self._most = ends.min(axis=0), ends.max(axis=0)
        self._is_bounded = np.isfinite(self._least).all(axis=1) & np.isfinite(self._most).all(axis=1)

    def violated_cuts(self, point: Array) -> tuple[Array, Array]:
        """Coefficients (m, N) and upper sides (m,) of the most violated cut of each ReLU, where there is one."""
        active = point[self._binary][:, None]
        inside = self._weights * point - self._least * (1.0 - active)
        outside = self._most * active
        is_inside = inside < outside
        violation = point[self._activation] - np.minimum(inside, outside).sum(axis=1) - self._bias * active[:, 0]
        weights = np.where(is_inside, self._weights, 0.0)
        norms = np.sqrt(1.0 + (weights**2).sum(axis=1))
        chosen = np.flatnonzero((violation > LEAST_VIOLATION * norms) & self._is_bounded)
        least = np.where(is_inside, self._least, 0.0)[chosen].sum(axis=1)
        most = np.where(is_inside, 0.0, self._most)[chosen].sum(axis=1)
        cuts, places = -weights[chosen], np.arange(chosen.size)
        cuts[places, self._activation[chosen]] = 1.0
        cuts[places, self._binary[chosen]] = -(least + self._bias[chosen] + most)
        return cuts, -least
