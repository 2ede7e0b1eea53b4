"""What a search method is: a value whose fields are its settings, and a generator of points."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.run.context import SearchContext


@dataclass(frozen=True)
class Method(ABC):
    """A search method. Each is a frozen dataclass; its fields are its settings, and have defaults.

    Attributes
    ----------
    name : str
        What users type.
    summary : str
        One line for the documentation.
    shapes : frozenset of Shape
        The problems that it handles.

    Raises
    ------
    ModelError
        If a setting is out of its range.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    shapes: ClassVar[frozenset[Shape]] = frozenset(Shape)

    def __post_init__(self) -> None:
        for setting in fields(self):
            value, allowed = getattr(self, setting.name), setting.metadata.get("range")
            if allowed is not None and not allowed.contains(value):
                raise ModelError(f"method '{self.name}' has {setting.name}={value!r}: give {allowed.words}")

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
        if problem.shape not in self.shapes:
            handled = ", ".join(sorted(shape.value for shape in self.shapes))
            reason = f" ({_why_general(problem)})" if problem.shape is Shape.GENERAL else ""
            raise ModelError(
                f"method '{self.name}' handles problems of shape {handled}, but this one is "
                f"{problem.shape.value}{reason}; use method 'auto'"
            )


def _why_general(problem: Problem) -> str:
    """The first variable or constraint for which a problem is neither a box nor a polytope."""
    bounded = problem.is_output & (np.isfinite(problem.lower) | np.isfinite(problem.upper))
    if problem.integers.any():
        return f"{problem.describe_column(int(problem.integers.argmax()))} is an integer"
    if bounded.any():
        return f"{problem.describe_column(int(bounded.argmax()))} is a network's output and has a bound"
    return f"{problem.describe_row(int(problem.rows_touch_output.argmax()))} has outputs of networks"


# --- settings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Range:
    """What a setting may be, and that in words."""

    contains: Callable[[Any], bool]
    words: str


def whole(default: Any) -> Any:
    """A field for a whole number of 1 or more."""
    return _numbers(default, lambda number: number >= 1 and isinstance(number, Integral), "a whole number of 1 or more")


def positive(default: Any) -> Any:
    """A field for a finite number above 0."""
    return _numbers(default, lambda number: 0 < number < math.inf, "a finite number above 0")


def share(default: Any) -> Any:
    """A field for a number from 0 to 1."""
    return _numbers(default, lambda number: 0 <= number <= 1, "a number from 0 to 1")


def part(default: Method) -> Any:
    """A field for a method that another one uses."""
    kind = type(default)
    allowed = _Range(lambda value: isinstance(value, kind), f"a value of {kind.__name__}")
    return field(default=default, metadata={"range": allowed})


def _numbers(default: Any, allows: Callable[[Any], bool], words: str) -> Any:
    """A field for a number, or for a tuple of one or more where the default is a tuple."""

    def is_allowed(number: Any) -> bool:
        return isinstance(number, Real) and bool(allows(number))

    allowed = _Range(is_allowed, words)
    if default is None:
        allowed = _Range(lambda value: value is None or is_allowed(value), f"{words}, or None")
    elif isinstance(default, tuple):
        allowed = _Range(
            lambda value: isinstance(value, tuple) and bool(value) and all(map(is_allowed, value)),
            f"a tuple, each entry {words}",
        )
    return field(default=default, metadata={"range": allowed})
