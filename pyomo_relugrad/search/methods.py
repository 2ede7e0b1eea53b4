"""The registry of methods: the names that users type, and what each can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem import Incumbent, Problem, Shape
from pyomo_relugrad.search.auto import auto
from pyomo_relugrad.search.budget import SearchContext
from pyomo_relugrad.search.sequential_lp import sequential_lp

#: A method yields better incumbents, or None as a sign of life, until it is done or its budget is exhausted.
Run = Callable[[Problem, SearchContext], Iterator[Incumbent | None]]

_ANY = frozenset(Shape)


@dataclass(frozen=True)
class Method:
    """A search method.

    Parameters
    ----------
    run : callable
    summary : str
        One line for the documentation.
    shapes : frozenset of Shape
        The problems that it handles.
    """

    run: Run
    summary: str
    shapes: frozenset[Shape] = _ANY


METHODS: dict[str, Method] = {
    "auto": Method(auto, "the best for the problem's shape (the default)"),
    "sequential-lp": Method(sequential_lp, "trust-region LP or MILP steps in the surrounding variables"),
}


def find_method(name: str, problem: Problem) -> Run:
    """The method of that name.

    Raises
    ------
    ModelError
        If there is none, or it does not handle problems of this shape.
    """
    if name not in METHODS:
        raise ModelError(f"unknown method '{name}'; the methods are {', '.join(METHODS)}")
    method = METHODS[name]
    if problem.shape not in method.shapes:
        handled = ", ".join(sorted(shape.value for shape in method.shapes))
        raise ModelError(
            f"method '{name}' handles problems of shape {handled}, but this one is {problem.shape.value} "
            "(integer variables, or constraints or bounds on network outputs); use method 'auto'"
        )
    return method.run
