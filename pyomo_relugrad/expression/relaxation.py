"""Linear functions below and above an expression over boxes.

Every operation is enclosed between planes over the ranges of its arguments. A linear function of the outputs is then
substituted backwards, step by step, each node by the plane that keeps the bound valid, as CROWN does it for networks.
"""

from typing import NamedTuple

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.expression.envelope import ROUNDING_UNITS
from pyomo_relugrad.expression.steps import Planes
from pyomo_relugrad.expression.tape import Tape


class LinearBounds(NamedTuple):
    """Linear functions ``slopes @ x + offset`` below and above the outputs over each of B boxes.

    They hold where the expression is defined. Where nothing is known, the offset is infinite.

    Parameters
    ----------
    lower_slopes, upper_slopes : (B, n_outputs, n_inputs) arrays
    lower_offsets, upper_offsets : (B, n_outputs) arrays
    """

    lower_slopes: Array
    lower_offsets: Array
    upper_slopes: Array
    upper_offsets: Array


def linear_bounds(tape: Tape, ranges: tuple[Array, Array], at: Array) -> LinearBounds:
    """The linear bounds of the outputs over boxes, good ones at given points.

    Parameters
    ----------
    tape : Tape
    ranges : pair of (nodes, B) arrays
        Bounds of all nodes.
    at : (B, n_inputs) array
    """
    values = tape.evaluate(at)
    n_outputs, n_boxes = len(tape.outputs.take(values)), len(at)
    coefficients = np.zeros((tape.n_nodes, 2 * n_outputs, n_boxes))
    signs = np.concatenate([np.eye(n_outputs), -np.eye(n_outputs)], axis=1)  # a bound above is one below the negative
    tape.outputs.add(coefficients, np.broadcast_to(signs[:, :, None], (n_outputs, 2 * n_outputs, n_boxes)))
    sizes = np.maximum(np.abs(ranges[0]), np.abs(ranges[1]))
    sizes[np.isinf(sizes)] = 0.0
    offsets, errors = np.zeros((2, 2 * n_outputs, n_boxes))
    for step in reversed(tape.steps):
        planes = step.relax(*ranges, values)
        offset, error = _substitute(planes, coefficients[step.rows], coefficients, sizes)
        offsets, errors = offsets + offset, errors + error
    offsets -= (ROUNDING_UNITS + tape.n_nodes) * np.finfo(float).eps * errors
    slopes, offsets = coefficients[: tape.n_inputs].transpose(2, 1, 0), offsets.T
    unknown = ~(np.isfinite(offsets) & np.isfinite(slopes).all(axis=2))
    slopes, offsets = np.where(unknown[:, :, None], 0.0, slopes), np.where(unknown, -np.inf, offsets)
    below, above = slice(n_outputs), slice(n_outputs, None)
    return LinearBounds(slopes[:, below], offsets[:, below], -slopes[:, above], -offsets[:, above])


def _substitute(planes: Planes, own: Array, coefficients: Array, sizes: Array) -> tuple[Array, Array]:
    """Add to the coefficients of arguments what those of a step's nodes say; offsets (K, B) and sizes of the terms."""
    positive = np.maximum(own, 0)
    negative = own - positive
    below, above = positive * planes.lower[:, None], negative * planes.upper[:, None]
    parts = np.where(positive > 0, below, 0) + np.where(negative < 0, above, 0)
    size = np.abs(parts).sum(axis=0)
    for argument, owners, lower, upper in planes.slopes:
        terms = positive[owners] * lower[:, None] + negative[owners] * upper[:, None]
        argument.add(coefficients, terms)
        size = size + (np.abs(terms) * argument.take(sizes)[:, None]).sum(axis=0)
    return parts.sum(axis=0), size
