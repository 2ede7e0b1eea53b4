"""What an activation function is, and what a ReLU is: value, slope, and over an interval its state and lines around."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np

from pyomo_relugrad.arrays import Array, namespace


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines ``slope * z + intercept`` below and above the neurons of one layer over B boxes, arrays of (B, n_k).

    Parameters
    ----------
    lower_slope, lower_intercept, upper_slope, upper_intercept : (B, n_k) arrays
    unstable : (B, n_k) boolean array
        ReLUs whose state is not decided: the slope of their lower line may be any number between 0 and 1.
    unbounded : (B, n_k) boolean array or None
        Neurons without a finite upper line; None where there are none.
    """

    lower_slope: Array
    lower_intercept: Array
    upper_slope: Array
    upper_intercept: Array
    unstable: Array
    unbounded: Array | None

    def take(self, boxes: Array | slice) -> Lines:
        """The lines over some of the boxes, given by index or slice."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[boxes] for name, values in every.items() if values is not None})


# How much of a lower line's error counts when it is attributed to neurons: chosen slopes remove about half of it.
LOWER_LINE_SHARE = 0.5


@dataclass(frozen=True)
class Activation(ABC):
    """A function of one variable, element by element. Its values say what it is: equal ones are interchangeable.

    Attributes
    ----------
    is_piecewise_linear : bool
    is_nonnegative : bool
        Whether no value is below zero.
    """

    is_piecewise_linear: ClassVar[bool] = False
    is_nonnegative: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What messages and tables call it."""
        return type(self).__name__.lower()

    @abstractmethod
    def value(self, z: Array) -> Array:
        """Activations at pre-activations of any shape."""

    @abstractmethod
    def slope(self, z: Array) -> Array:
        """Derivatives at pre-activations, one-sided where there is a kink."""

    def value_in_place(self, z: Array) -> Array:
        """Activations, for which the memory of the pre-activations may be used: they are lost."""
        return self.value(z)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Activations and derivatives; the pre-activations are lost."""
        return self.value(z), self.slope(z)

    @abstractmethod
    def range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Smallest and largest activations over intervals of pre-activations, possibly infinite."""

    @abstractmethod
    def bends(self, lower: Array, upper: Array) -> Array:
        """Where the function is not linear over an interval: there better bounds of it make better lines."""

    @abstractmethod
    def states(self, lower: Array, upper: Array) -> Array:
        """What intervals of pre-activations decide, int8: 1 active (``z`` itself), -1 inactive (zero), 0 neither."""

    @abstractmethod
    def lines(self, lower: Array, upper: Array, margin: Array) -> Lines:
        """Lines below and above the function over intervals.

        Parameters
        ----------
        lower, upper : (B, n_k) arrays
            Intervals of the pre-activations, possibly infinite.
        margin : (B, n_k) array
            How far a computed pre-activation can be from the exact one. The lines are moved apart by what it makes of
            them, so that a substitution through them is safe in floating point.
        """

    @abstractmethod
    def line_errors(self, lower: Array, upper: Array, lines: Lines) -> tuple[Array, Array]:
        """How far the lower and the upper lines are from the function, about, for the choice of a branching."""


class Relu(Activation):
    """The function ``max(z, 0)``, element by element."""

    is_piecewise_linear = is_nonnegative = True

    def value(self, z: Array) -> Array:
        """Activations at pre-activations of any shape."""
        return namespace(z).maximum(z, 0)

    def value_in_place(self, z: Array) -> Array:
        """The same in the memory of the pre-activations, which are lost; other arrays than NumPy's are left alone.

        It is measured to matter: without it a step of a search over a small network costs 5 % more.
        """
        return np.maximum(z, 0, out=z) if isinstance(z, np.ndarray) else self.value(z)

    def slope(self, z: Array) -> Array:
        """Derivatives at pre-activations, or at activations: both are positive where the neuron is active.

        At the kink it is that of the inactive side.
        """
        return (z > 0).astype(z.dtype) if isinstance(z, np.ndarray) else namespace(z).asarray(z > 0, dtype=z.dtype)

    def value_and_slope(self, z: Array) -> tuple[Array, Array]:
        """Both, in place where that is possible."""
        value = self.value_in_place(z)
        return value, self.slope(value)

    def range(self, lower: Array, upper: Array) -> tuple[Array, Array]:
        """Smallest and largest activations over intervals of pre-activations, possibly infinite."""
        return self.value(lower), self.value(upper)

    def bends(self, lower: Array, upper: Array) -> Array:
        """Where zero is inside."""
        return (lower < 0) & (upper > 0)

    def states(self, lower: Array, upper: Array) -> Array:
        """What intervals of pre-activations decide, int8: 1 active, -1 inactive, 0 undecided."""
        return (lower >= 0).astype(np.int8) - ((upper <= 0) & (lower < 0))

    def lines(self, lower: Array, upper: Array, margin: Array) -> Lines:
        """The chord above, and below it the line of slope 0 or 1 that leaves the smaller area."""
        unstable = (lower < 0) & (upper > 0)
        active = (lower >= 0).astype(lower.dtype)
        lower_slope = np.where(unstable, upper > -lower, active).astype(lower.dtype)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(unstable, upper / (upper - lower), active)
            intercept = np.where(unstable, -slope * lower, 0)
        unbounded = None
        if not np.isfinite(intercept).all():
            slope, intercept, unbounded = _chords_to_infinity(lower, upper, slope, intercept)
        return Lines(lower_slope, -margin, slope, intercept + margin, unstable, unbounded)

    def line_errors(self, lower: Array, upper: Array, lines: Lines) -> tuple[Array, Array]:
        """The height of the triangle for the chord, half of the largest distance for the lower line."""
        with np.errstate(invalid="ignore", divide="ignore"):
            chord = -lower * upper / (upper - lower)
        line = LOWER_LINE_SHARE * np.where(lines.lower_slope > 0, -lower, upper)
        return np.where(lines.unstable, line, 0), np.where(lines.unstable, chord, 0)


def _chords_to_infinity(lower: Array, upper: Array, slope: Array, intercept: Array) -> tuple[Array, Array, Array]:
    """Upper lines where a side of the range is infinite: parallel to the branch of the ReLU on that side."""
    no_lower, no_upper = np.isneginf(lower) & (upper > 0), np.isposinf(upper) & (lower < 0)
    with np.errstate(invalid="ignore"):
        slope = np.where(no_upper, 1, np.where(no_lower, 0, slope))
        intercept = np.where(no_upper, -lower, np.where(no_lower, upper, intercept))
    both = no_lower & no_upper
    return np.where(both, 0, slope), np.where(both, 0, intercept), both


#: The activation function of a hidden layer, unless it says otherwise.
RELU = Relu()
