"""What is found out about a problem once, whatever its bounds."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeVar, overload

T = TypeVar("T")


class StructuralProperty(cached_property[T]):
    """A cached property that does not depend on bounds: problems that differ in these alone share it.

    Such problems share one mapping, ``_structure``, from names to values.
    """

    @overload
    def __get__(self, problem: None, owner: type[Any] | None = None) -> StructuralProperty[T]: ...

    @overload
    def __get__(self, problem: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, problem: object, owner: type[Any] | None = None) -> Any:
        if problem is None:
            return self
        name, shared = self.func.__name__, structure_of(problem)
        if name not in shared:
            shared[name] = self.func(problem)
        value = vars(problem)[name] = shared[name]
        return value


def structure_of(problem: object) -> dict[Any, Any]:
    """What was found out about a problem, and those that share its structure."""
    structure: dict[Any, Any] = vars(problem).setdefault("_structure", {})
    return structure


def share_structure(problem: object, other: object) -> None:
    """Let a problem have the structure of another one, which differs in its bounds alone."""
    vars(problem)["_structure"] = structure_of(other)
