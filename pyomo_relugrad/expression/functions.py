"""Smooth functions of one variable: their values and slopes, and where a slope has a given value.

Between the ends of an interval and the points of a given slope, a function minus a line of that slope is monotone. This
is all that is needed for ranges and for lines that enclose a function.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

from pyomo_relugrad.arrays import Array

#: From negative to positive infinity.
_REALS = (-np.inf, np.inf)


def _without_poles(lower: Array, upper: Array) -> Array:
    return np.zeros(lower.shape, bool)


@dataclass(frozen=True)
class Elementary:
    """A function of one variable that is known by its name. Where it is not defined, its value is NaN.

    Its functions take arrays of any shape, element by element. Callers silence the warnings of NumPy.

    Parameters
    ----------
    name : str
    value, slope : function of an array
        The values, and the derivatives.
    stationary : function of an array
        The points at which the slope has the given values, as several arrays; with a period, one of each. Points that
        are none do no harm, nor does NaN.
    domain, image : pair of float
        Where it is defined, and between what its values are.
    period : float
        What may be added to a point without a change; infinite for most.
    crosses_pole : function of the ends of intervals
        Whether its values run to infinity somewhere inside.
    """

    name: str
    value: Callable[[Array], Array] = field(compare=False, repr=False)
    slope: Callable[[Array], Array] = field(compare=False, repr=False)
    stationary: Callable[[Array], tuple[Array, ...]] = field(compare=False, repr=False)
    domain: tuple[float, float] = field(default=_REALS, compare=False, repr=False)
    image: tuple[float, float] = field(default=_REALS, compare=False, repr=False)
    period: float = field(default=np.inf, compare=False, repr=False)
    crosses_pole: Callable[[Array, Array], Array] = field(default=_without_poles, compare=False, repr=False)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return _named, (self.name,)


@dataclass(frozen=True)
class Power:
    """``x ** exponent``. Where the exponent is no integer, only numbers from 0 on have a power.

    Parameters
    ----------
    exponent : float
        Neither 0 nor 1.
    """

    exponent: float
    period: ClassVar[float] = np.inf

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"power {self.exponent:g}"

    @property
    def domain(self) -> tuple[float, float]:
        """Where it is defined."""
        return _REALS if self.exponent.is_integer() else (0.0, np.inf)

    @property
    def image(self) -> tuple[float, float]:
        """Between what its values are."""
        return _REALS if self.exponent % 2 == 1 else (0.0, np.inf)

    def value(self, x: Array) -> Array:
        """The powers of numbers."""
        return x**self.exponent  # NumPy squares and takes reciprocals and roots where the exponent says so

    def slope(self, x: Array) -> Array:
        """The derivatives at numbers."""
        return 2 * x if self.exponent == 2 else self.exponent * x ** (self.exponent - 1)

    def crosses_pole(self, lower: Array, upper: Array) -> Array:
        """Whether powers run to infinity inside intervals: negative ones do at zero."""
        return (lower < 0) & (upper > 0) & (self.exponent < 0)

    def stationary(self, slope: Array) -> tuple[Array, ...]:
        """The points at which the derivative has given values, and their negatives."""
        point = np.abs(slope / self.exponent) ** (1 / (self.exponent - 1))
        return point, -point


#: A function of one variable.
Function: TypeAlias = Elementary | Power


def _both(point: Callable[[Array], Array]) -> Callable[[Array], tuple[Array, ...]]:
    """The points of a slope for a function whose slope is the same at a point and at its negative."""

    def points(slope: Array) -> tuple[Array, ...]:
        found = point(slope)
        return found, -found

    return points


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_EVERY = (
    Elementary("exp", np.exp, np.exp, lambda s: (np.log(s),), image=(0.0, np.inf)),
    Elementary("log", np.log, lambda x: np.where(x < 0, np.nan, 1 / x), lambda s: (1 / s,), domain=(0.0, np.inf)),
    Elementary("sin", np.sin, np.cos, _both(np.arccos), image=(-1.0, 1.0), period=2 * np.pi),
    Elementary(
        "cos",
        np.cos,
        lambda x: -np.sin(x),
        lambda s: (-np.arcsin(s), np.pi + np.arcsin(s)),
        image=(-1.0, 1.0),
        period=2 * np.pi,
    ),
    Elementary(
        "tan",
        np.tan,
        lambda x: 1 + np.tan(x) ** 2,
        _both(lambda s: np.arctan(np.sqrt(s - 1))),
        period=np.pi,
        crosses_pole=lambda low, high: (high - low >= np.pi) | (np.tan(low) > np.tan(high)),
    ),
    Elementary(
        "asin",
        np.arcsin,
        lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
        _both(lambda s: np.sqrt(1 - 1 / s**2)),
        domain=(-1.0, 1.0),
        image=(-np.pi / 2, np.pi / 2),
    ),
    Elementary(
        "acos",
        np.arccos,
        lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
        _both(lambda s: np.sqrt(1 - 1 / s**2)),
        domain=(-1.0, 1.0),
        image=(0.0, np.pi),
    ),
    Elementary(
        "atan",
        np.arctan,
        lambda x: 1 / (1 + x * x),
        _both(lambda s: np.sqrt(1 / s - 1)),
        image=(-np.pi / 2, np.pi / 2),
    ),
    Elementary("sinh", np.sinh, np.cosh, _both(np.arccosh)),
    Elementary("cosh", np.cosh, np.sinh, lambda s: (np.arcsinh(s),), image=(1.0, np.inf)),
    Elementary(
        "tanh",
        np.tanh,
        lambda x: 1 / np.cosh(x) ** 2,
        _both(lambda s: np.arccosh(1 / np.sqrt(s))),
        image=(-1.0, 1.0),
    ),
    Elementary("asinh", np.arcsinh, lambda x: 1 / np.hypot(1, x), _both(lambda s: np.sqrt(1 / s**2 - 1))),
    Elementary(
        "acosh",
        np.arccosh,
        lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
        lambda s: (np.sqrt(1 + 1 / s**2),),
        domain=(1.0, np.inf),
        image=(0.0, np.inf),
    ),
    Elementary(
        "atanh",
        np.arctanh,
        lambda x: np.where(np.abs(x) > 1, np.nan, 1 / ((1 - x) * (1 + x))),
        _both(lambda s: np.sqrt(1 - 1 / s)),
        domain=(-1.0, 1.0),
    ),
    Elementary(
        "sigmoid",
        _sigmoid,
        lambda x: 0.25 / np.cosh(x / 2) ** 2,
        _both(lambda s: 2 * np.arccosh(0.5 / np.sqrt(s))),
        image=(0.0, 1.0),
    ),
    Elementary(
        "x*log(x)",
        lambda x: np.where(x == 0, 0.0, x * np.log(x)),
        lambda x: np.log(x) + 1,
        lambda s: (np.exp(s - 1),),
        domain=(0.0, np.inf),
        image=(float(np.nextafter(-1 / np.e, -1.0)), np.inf),
    ),
    Elementary(
        "softplus", lambda x: np.logaddexp(0, x), _sigmoid, lambda s: (np.log(s / (1 - s)),), image=(0.0, np.inf)
    ),
)

#: The functions that are no powers, by their names.
FUNCTIONS: dict[str, Elementary] = {function.name: function for function in _EVERY}


def _named(name: str) -> Elementary:
    """The function of a name, in the process that reads it."""
    return FUNCTIONS[name]
