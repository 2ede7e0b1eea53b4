"""What a search asks of the feasible set of the decision columns: projections and linear programs, on batches."""

from typing import NamedTuple, Protocol, Self

import numpy as np

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.run import Budget

# Violation of a row that a point of the set may have.
ROW_TOLERANCE = 1e-7


class BoundsAndRows(NamedTuple):
    """``lower <= u <= upper`` and ``row_lower <= rows @ u <= row_upper``, the bounds finite, the rows a csr_array."""

    lower: Array
    upper: Array
    rows: Weight
    row_lower: Array
    row_upper: Array


class Domain(Protocol):
    """A bounded convex set.

    Attributes
    ----------
    lower, upper : (d,) arrays
        Bounds of its bounding box.
    projection_work : int
        Multiplications of one point's projection; zero where it hardly costs more than a clipping.
    steps_by_signs : bool
        Whether descents step along the signs of the gradient rather than along the gradient itself, which suits sets
        whose projection leaves most of such a step.
    """

    lower: Array
    upper: Array
    projection_work: int
    steps_by_signs: bool

    @classmethod
    def of(cls, limits: BoundsAndRows, budget: Budget) -> Self | None:
        """The set of bounds and rows, None where it is none of this kind.

        The budget says what time all operations together may take.
        """

    def project(self, U: Array) -> Array:
        """Nearest points (B, d) of the set to the rows of `U`."""

    def vertices(self, C: Array) -> Array:
        """Points (B, d) of the set that minimize each row's linear function ``C[i] @ u``."""

    def sample(self, random: np.random.Generator, count: int) -> Array:
        """Random points (count, d) of the set."""

    def contains(self, U: Array) -> Array:
        """(B,) booleans: whether the rows of `U`, which meet the bounds, are points of the set."""
