"""The smooth activation functions: values, slopes, and where they change between convex and concave."""

from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from math import inf, pi, sqrt
from typing import ClassVar

import numpy as np
import scipy

from pyomo_relugrad.arrays import Array, namespace
from pyomo_relugrad.network.activations import Activation, Lines
from pyomo_relugrad.network.curve_lines import ROUNDING_UNITS, Pieces, enclosing_lines


@dataclass(frozen=True)
class Curve(Activation):
    """A function that is not piecewise linear, and has few inflections.

    Attributes
    ----------
    inflections : tuple of float
        Where the curve changes between convex and concave.
    begins_convex : bool
        Whether it is convex before the first of them.
    turning : float or None
        Where it is smallest; None where it grows everywhere.
    limits : tuple of two floats
        Its values at minus and plus infinity.
    """

    inflections: ClassVar[tuple[float, ...]] = ()
    begins_convex: ClassVar[bool] = True
    turning: ClassVar[float | None] = None
    limits: ClassVar[tuple[float, float]] = (0.0, inf)

    @property
    def pieces(self) -> Pieces:
        """Begin, end and whether the curve is convex there, from left to right."""
        ends = pairwise((-inf, *self.inflections, inf))
        return tuple((begin, end, self.begins_convex == (index % 2 == 0)) for index, (begin, end) in enumerate(ends))

    @abstractmethod
    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Activations and derivatives."""

    def slope(self, z: Array) -> Array:
        """Derivatives at pre-activations."""
        return self.value_and_slope(z)[1]

    def range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Smallest and largest values over intervals, rounded outward."""
        with np.errstate(over="ignore", invalid="ignore"):
            ends = np.stack([self._at(lower), self._at(upper)])
            low, high = ends.min(axis=0), ends.max(axis=0)
            if self.turning is not None:
                inside = (lower < self.turning) & (self.turning < upper)
                low = np.where(inside, self.value(np.array(self.turning, low.dtype)), low)
        unit = ROUNDING_UNITS * np.finfo(low.dtype).eps
        low = low - unit * (1 + np.abs(low))
        return (np.maximum(low, 0) if self.is_nonnegative else low), high + unit * (1 + np.abs(high))

    def _at(self, z: Array) -> Array:
        """Values, and limits where `z` is infinite."""
        finite = np.isfinite(z)
        value = self.value(np.where(finite, z, 0))
        return np.where(finite, value, np.where(z > 0, *self.limits[::-1])).astype(value.dtype)

    def bends(self, lower: Array, upper: Array) -> Array:
        """Wherever there is more than a point."""
        return lower < upper

    def states(self, lower: Array, upper: Array) -> Array:
        """Zero: a smooth neuron is neither active nor inactive."""
        return np.zeros(np.shape(lower), np.int8)

    def lines(self, lower: Array, upper: Array, margin: Array) -> Lines:
        """The lines of least area."""
        return enclosing_lines(self, self.pieces, lower, upper, margin)

    def line_errors(self, lower: Array, upper: Array, lines: Lines) -> tuple[Array, Array]:
        """At the middles of the intervals."""
        with np.errstate(all="ignore"):
            middle = lower + (upper - lower) / 2
            value = self.value(middle)
            below = value - lines.lower_slope * middle - lines.lower_intercept
            return below, lines.upper_slope * middle + lines.upper_intercept - value


class Sigmoid(Curve):
    """The logistic function ``1 / (1 + exp(-z))``."""

    is_nonnegative = True
    inflections = (0.0,)
    limits = (0.0, 1.0)

    def value(self, z: Array) -> Array:
        """By the hyperbolic tangent, which never overflows."""
        return 0.5 + 0.5 * namespace(z).tanh(0.5 * z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one value."""
        value = self.value(z)
        return value, value * (1 - value)


class Tanh(Curve):
    """The hyperbolic tangent."""

    inflections = (0.0,)
    limits = (-1.0, 1.0)

    def value(self, z: Array) -> Array:
        """``tanh(z)``."""
        return namespace(z).tanh(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one value."""
        value = self.value(z)
        return value, 1 - value * value


class Softplus(Curve):
    """``log(1 + exp(z))``."""

    is_nonnegative = True

    def value(self, z: Array) -> Array:
        """Without overflow."""
        xp = namespace(z)
        return xp.maximum(z, 0) + xp.log1p(xp.exp(-abs(z)))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """The slope is the logistic function."""
        return self.value(z), SIGMOID.value(z)


@dataclass(frozen=True)
class Elu(Curve):
    """``z`` where that is positive, ``alpha * (exp(z) - 1)`` elsewhere.

    Parameters
    ----------
    alpha : float
        Not negative. The function has a kink at 0 unless this is 1.
    """

    alpha: float = 1.0

    @property
    def limits(self) -> tuple[float, float]:  # type: ignore[override]  # each has its own
        """Its values at minus and plus infinity."""
        return -self.alpha, inf

    @property
    def pieces(self) -> Pieces:
        """Convex; with a large factor the slope falls at zero."""
        return super().pieces if self.alpha <= 1 else ((-inf, 0.0, True), (0.0, inf, False))

    def value(self, z: Array) -> Array:
        """Without overflow."""
        xp = namespace(z)
        return xp.where(z > 0, z, self.alpha * xp.expm1(xp.minimum(z, 0 * z)))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """At 0 the slope is that of the left side."""
        xp = namespace(z)
        power = xp.expm1(xp.minimum(z, 0 * z))
        positive = z > 0
        slope = xp.where(positive, xp.ones_like(z), self.alpha * (power + 1))
        return xp.where(positive, z, self.alpha * power), slope


class Silu(Curve):
    """``z * sigmoid(z)``, also called swish."""

    inflections = (-2.399357280515468, 2.399357280515468)
    begins_convex = False
    turning = -1.278464542761074

    def value(self, z: Array) -> Array:
        """``z * sigmoid(z)``."""
        return z * SIGMOID.value(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one logistic function."""
        gate = SIGMOID.value(z)
        value = z * gate
        return value, gate + value * (1 - gate)


class Gelu(Curve):
    """``z`` times the normal distribution function of ``z``."""

    inflections = (-sqrt(2.0), sqrt(2.0))
    begins_convex = False
    turning = -0.7517915246935644

    def value(self, z: Array) -> Array:
        """By the error function."""
        return 0.5 * z * (1 + scipy.special.erf(z * sqrt(0.5)))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one error function."""
        gate = 0.5 * (1 + scipy.special.erf(z * sqrt(0.5)))
        return z * gate, gate + z * namespace(z).exp(-0.5 * z * z) * (1 / sqrt(2 * pi))


#: The factor of the cube in the approximation of `Gelu`.
GELU_CUBIC = 0.044715


class GeluTanh(Curve):
    """The approximation of `Gelu` by a hyperbolic tangent."""

    inflections = (-1.4185040087908283, 1.4185040087908283)
    begins_convex = False
    turning = -0.7524614220710163

    def value(self, z: Array) -> Array:
        """``z * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z**3))) / 2``."""
        return z * self._gate(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one hyperbolic tangent."""
        gate = self._gate(z)
        inner = 2 * sqrt(2 / pi) * (1 + 3 * GELU_CUBIC * z * z)
        return z * gate, gate + z * gate * (1 - gate) * inner

    def _gate(self, z: Array) -> Array:
        return SIGMOID.value(2 * sqrt(2 / pi) * (z + GELU_CUBIC * z * z * z))


class Mish(Curve):
    """``z * tanh(softplus(z))``."""

    inflections = (-2.2563763963607935, 1.4905711794854286)
    begins_convex = False
    turning = -1.192431214515495

    def value(self, z: Array) -> Array:
        """``z * tanh(softplus(z))``."""
        return z * namespace(z).tanh(SOFTPLUS.value(z))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one gate."""
        inner, inner_slope = SOFTPLUS.value_and_slope(z)
        gate, gate_slope = TANH.value_and_slope(inner)
        return z * gate, gate + z * gate_slope * inner_slope


class HardSwish(Curve):
    """``z * min(max(z / 6 + 1 / 2, 0), 1)``: a parabola between two lines, with kinks at -3 and 3."""

    inflections = (-3.0, 3.0)
    begins_convex = False
    turning = -1.5

    def value(self, z: Array) -> Array:
        """The gate times ``z``."""
        return z * self._gate(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """At the kinks the slope is that of the parabola."""
        gate = self._gate(z)
        xp = namespace(z)
        return z * gate, gate + xp.where(abs(z) <= 3, z / 6, 0 * z)

    def _gate(self, z: Array) -> Array:
        xp = namespace(z)
        return xp.minimum(xp.maximum(z / 6 + 0.5, 0 * z), 0 * z + 1)


class Softsign(Curve):
    """``z / (1 + abs(z))``."""

    inflections = (0.0,)
    limits = (-1.0, 1.0)

    def value(self, z: Array) -> Array:
        """``z / (1 + abs(z))``."""
        return z / (1 + abs(z))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from one denominator."""
        size = 1 + abs(z)
        return z / size, 1 / (size * size)


class Erf(Curve):
    """The error function."""

    inflections = (0.0,)
    limits = (-1.0, 1.0)

    def value(self, z: Array) -> Array:
        """``erf(z)``."""
        return np.asarray(scipy.special.erf(z))

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """The slope is a bell."""
        return self.value(z), 2 / sqrt(pi) * namespace(z).exp(-z * z)


class Exp(Curve):
    """The exponential function."""

    is_nonnegative = True

    def value(self, z: Array) -> Array:
        """``exp(z)``, infinite where that overflows."""
        with np.errstate(over="ignore"):
            return namespace(z).exp(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """The slope is the value."""
        value = self.value(z)
        return value, value


class Square(Curve):
    """``z ** 2``."""

    is_nonnegative = True
    turning = 0.0
    limits = (inf, inf)

    def value(self, z: Array) -> Array:
        """``z * z``."""
        return z * z

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """The slope is twice the variable."""
        return z * z, 2 * z


class Cube(Curve):
    """``z ** 3``."""

    inflections = (0.0,)
    begins_convex = False
    limits = (-inf, inf)

    def value(self, z: Array) -> Array:
        """``z * z * z``."""
        return z * z * z

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both from the square."""
        square = z * z
        return square * z, 3 * square


SIGMOID, TANH, SOFTPLUS, ELU, SILU, GELU = Sigmoid(), Tanh(), Softplus(), Elu(), Silu(), Gelu()
GELU_TANH, MISH, HARD_SWISH, SOFTSIGN, ERF, EXP = GeluTanh(), Mish(), HardSwish(), Softsign(), Erf(), Exp()
SQUARE, CUBE = Square(), Cube()
