"""What a search method is: a value whose fields are its settings, and a generator of points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext

#: The largest whole number that a setting may be.
MAX_WHOLE = 10**12


@dataclass(frozen=True)
class Method(ABC):
    """A search method. Each is a frozen dataclass; its fields are its settings, and refuse what is out of their range.

    Attributes
    ----------
    name : str
        What users type.
    shapes : frozenset of Shape
        The problems that it handles.
    cooperates : bool
        Whether it goes on from better points that others find, so that several such searches may work side by side.
        Published methods do not: they run as they are published.
    handles_smooth : bool
        Whether it handles functions that are not piecewise linear.
    moves_on_devices : bool
        Whether its points move on the device of the context, where there is one.
    """

    name: ClassVar[str]
    shapes: ClassVar[frozenset[Shape]] = frozenset(Shape)
    cooperates: ClassVar[bool] = False
    handles_smooth: ClassVar[bool] = False
    moves_on_devices: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self, f"method '{self.name}'")

    @property
    def summary(self) -> str:
        """One line for lists of methods: the first of the docstring."""
        return (type(self).__doc__ or "").partition("\n")[0].rstrip(".")

    def __str__(self) -> str:
        """The name, and the settings that differ from their defaults."""
        values = [(setting, getattr(self, setting.name)) for setting in fields(self)]
        changed = [f"{setting.name}={value}" for setting, value in values if value != setting.default]
        return self.name + (f"({', '.join(changed)})" if changed else "")

    @abstractmethod
    def run(self, problem: Problem, context: SearchContext) -> Iterator[Incumbent | None]:
        """Yield better incumbents, and None as a sign of life, until the method is done or its budget is exhausted."""

    def check(self, problem: Problem) -> None:
        """Refuse a problem that lacks what the method needs.

        Raises
        ------
        ModelError
            Names what is in the way, and what helps.
        """
        if not (self.handles_smooth or problem.is_piecewise_linear):
            raise ModelError(
                f"method '{self.name}' handles piecewise-linear functions, and {problem.smooth_part} is smooth; use "
                "method 'auto'"
            )
        if problem.shape not in self.shapes:
            handled = ", ".join(sorted(shape.value for shape in self.shapes))
            reason = f" ({_why_general(problem)})" if problem.shape is Shape.GENERAL else ""
            raise ModelError(
                f"method '{self.name}' handles problems of shape {handled}, but this one is "
                f"{problem.shape.value}{reason}; use method 'auto'"
            )

    def refuse_unknown_parts(self, without: Iterable[str], parts: Iterable[str]) -> None:
        """Raise ModelError where something is to be left out that is no part of the method."""
        unknown = ", ".join(sorted(set(without) - set(parts)))
        if unknown:
            known = ", ".join(parts)
            raise ModelError(f"method '{self.name}' has no part {unknown} to leave out; its parts are {known}")


def _why_general(problem: Problem) -> str:
    """The first variable or constraint for which a problem is neither a box nor a polytope."""
    bounded = problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper))
    if problem.integers.any():
        return f"{problem.describe_column(int(problem.integers.argmax()))} is an integer"
    if bounded.any():
        return f"{problem.describe_column(int(bounded.argmax()))} is a network's output and has a bound"
    return f"{problem.describe_row(int(problem.rows_touch_output.argmax()))} has outputs of networks"


# --- settings -------------------------------------------------------------------------------------------------------


def check_settings(settings: Any, whose: str) -> None:
    """Raise ModelError where a field of a dataclass is out of its range."""
    for setting in fields(settings):
        value, default = getattr(settings, setting.name), setting.default
        words, allows = _allowed(default, setting.metadata.get("range"))
        if default is not MISSING and not allows(value):
            raise ModelError(f"{whose} has {setting.name}={value!r}: give {words}")
        if isinstance(value, int | np.integer) and value > MAX_WHOLE:
            raise ModelError(f"{whose} has {setting.name}={value!r}: give at most {MAX_WHOLE:g}")


def between(default: Any, least: float, most: float = math.inf) -> Any:
    """A field for numbers in a range; without one, whole numbers are to be 1 or more, and others 0 or more."""
    return field(default=default, metadata={"range": (least, most)})


def _allowed(default: Any, limits: tuple[float, float] | None) -> tuple[str, Callable[[Any], bool]]:
    """What a setting may be, by the kind of its default: in words, and as a test."""
    kind = type(default)
    if kind is tuple:
        words, allows = _allowed(default[0], limits)
        return f"a tuple, each entry {words}", lambda given: type(given) is tuple and all(map(allows, given or [None]))
    if default is None:
        words, allows = _allowed(1, limits)
        return f"{words}, or None", lambda given: given is None or allows(given)
    if kind not in (int, float):
        return f"a value of {kind.__name__}", lambda given: isinstance(given, kind)
    numbers, words, smallest = (Integral, "a whole number", 1) if kind is int else (Real, "a number", 0)
    least, most = limits or (smallest, math.inf)
    words += f" of {least:g} or more" if most == math.inf else f" from {least:g} to {most:g}"
    no_number = bool | np.timedelta64
    return (
        words,
        lambda given: isinstance(given, numbers) and not isinstance(given, no_number) and least <= float(given) <= most,
    )
