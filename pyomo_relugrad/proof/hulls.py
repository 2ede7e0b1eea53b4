"""Networks of one varying input as rows: the convex hulls of their curves.

What is left is a relaxation without the ReLUs of these networks. Where a bound hangs on integers around them, HiGHS is
through with it before it has branched on many ReLUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.bounds import Relaxation
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, EmbeddedNetwork, Problem, bound_problem

# Pieces of the input's range over which a network is bounded.
PIECES = 128
# A facet is left out where that moves the hull by no more than this share of the output's range.
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class _Facet:
    """``sign * output >= slope * input + constant``."""

    output: int
    sign: float
    input: int
    slope: float
    constant: float


def has_curves(problem: Problem) -> bool:
    """Whether a network has one varying input."""
    return any(_varying(problem, each) is not None for each in problem.networks)


def with_hulls(problem: Problem) -> Problem | None:
    """The problem with rows in place of every network of one varying input; None where there is none.

    What is feasible in the problem, within the tolerance too, is feasible there, and has the same objective.
    """
    curves = [each for each in problem.networks if _varying(problem, each) is not None]
    bounds = bound_problem(problem) if curves else None
    if bounds is None or not bounds.possible:
        return None
    facets = [facet for curve in curves for facet in _facets(problem, curve, bounds.lower, bounds.upper)]
    count = np.arange(len(facets))
    on_outputs, on_inputs = ([getattr(each, name) for each in facets] for name in ("output", "input"))
    entries = np.concatenate([[each.sign for each in facets], [-each.slope for each in facets]])
    places = np.concatenate([count, count]), np.concatenate([on_outputs, on_inputs]).astype(np.int64)
    rows = sparse.csr_array((entries, places), shape=(count.size, problem.n_columns))
    return replace(
        problem,
        networks=tuple(each for each in problem.networks if not any(each is curve for curve in curves)),
        rows=sparse.vstack([problem.rows, rows], format="csr"),
        row_lower=np.concatenate([problem.row_lower, [each.constant for each in facets]]),
        row_upper=np.concatenate([problem.row_upper, np.full(count.size, np.inf)]),
        row_names=(),
    )


def _varying(problem: Problem, embedded: EmbeddedNetwork) -> int | None:
    """The only column of a network's inputs that varies, between finite bounds; None where there are more or none."""
    inputs = embedded.inputs
    varying = np.unique(inputs[problem.lower[inputs] < problem.upper[inputs]])
    is_finite = np.isfinite([problem.lower[inputs], problem.upper[inputs]]).all()
    return int(varying[0]) if varying.size == 1 and is_finite else None


def _facets(problem: Problem, embedded: EmbeddedNetwork, lower: Array, upper: Array) -> Iterator[_Facet]:
    """The facets of the hulls of a network's outputs, by what CROWN says of them over pieces of the input's range."""
    column = _varying(problem, embedded)
    assert column is not None
    low, high = lower[column] - _room(lower[column]), upper[column] + _room(upper[column])
    ends = np.linspace(low, high, PIECES + 1)
    along = embedded.inputs == column
    first, last = (np.where(along, side[:, None], problem.lower[embedded.inputs]) for side in (ends[:-1], ends[1:]))
    relaxation = Relaxation(embedded.network, first, last)
    for place, output in enumerate(embedded.outputs.tolist()):
        weights = np.zeros((PIECES, embedded.network.n_outputs))
        for sign in (1.0, -1.0):
            weights[:, place] = sign
            below = relaxation.substitute(weights, None)
            rest = below.constants + below.coefficients @ np.where(along, 0.0, problem.lower[embedded.inputs])
            slopes = below.coefficients @ along
            values = np.full(PIECES + 1, np.inf)
            np.minimum(values[:-1], slopes * ends[:-1] + rest, out=values[:-1])
            np.minimum(values[1:], slopes * ends[1:] + rest, out=values[1:])
            for slope, constant in _hull(ends, values - _room(values)):
                yield _Facet(output, sign, column, slope, constant)


def _hull(x: Array, y: Array) -> list[tuple[float, float]]:
    """Slopes and constants of lines below points (k,), x in order, which touch their convex hull."""
    corners: list[int] = []
    for place in range(x.size):
        while len(corners) > 1 and _distance(x, y, corners[-2], corners[-1], place) >= 0.0:
            corners.pop()
        corners.append(place)
    slopes = np.diff(y[corners]) / np.diff(x[corners])
    lines = list(zip(slopes.tolist(), (y[corners[:-1]] - slopes * x[corners[:-1]]).tolist(), strict=True))
    kept, least = lines[:1], LEAST_SHARE * float(np.ptp(y))
    for line, ahead in zip(lines[1:], corners[2:], strict=True):
        if y[ahead] - kept[-1][0] * x[ahead] - kept[-1][1] > least:
            kept.append(line)
    return kept


def _distance(x: Array, y: Array, first: int, middle: int, last: int) -> float:
    """How far the middle one of three points is above the line through the others."""
    share = (x[middle] - x[first]) / (x[last] - x[first])
    return float(y[middle] - (1.0 - share) * y[first] - share * y[last])


def _room(values: Array) -> Array:
    """As much as points may violate bounds: no row cuts off what counts as feasible."""
    return FEASIBILITY_TOLERANCE * (1.0 + np.abs(values))
