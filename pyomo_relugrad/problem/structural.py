"""What is found out about a problem once: whatever its bounds, or all numbers but those of its functions."""

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
        name, shared = self.func.__name__, self._shared(problem)
        if name not in shared:
            shared[name] = self.func(problem)
        value = vars(problem)[name] = shared[name]
        return value

    @staticmethod
    def _shared(problem: object) -> dict[Any, Any]:
        return structure_of(problem)


class FunctionStructure:
    """What was found out about a problem's functions, for all problems that have the same ones.

    Parameters
    ----------
    about : sequence
        All that it depends on. Things are the same where they are the same objects or integers.
    """

    def __init__(self, *about: Any) -> None:
        self._about = about
        self.found: dict[Any, Any] = {}

    def fits(self, *about: Any) -> bool:
        """Whether it is about these."""
        pairs = zip(self._about, about, strict=True)
        return all(own is other or (own.__class__ is int and own == other) for own, other in pairs)


class FunctionProperty(StructuralProperty[T]):
    """A cached property that depends on a problem's functions alone, and is in its ``function_structure``."""

    @staticmethod
    def _shared(problem: object) -> dict[Any, Any]:
        structure: FunctionStructure = vars(problem)["function_structure"]
        return structure.found


def structure_of(problem: object) -> dict[Any, Any]:
    """What was found out about a problem, and those that share its structure."""
    structure: dict[Any, Any] = vars(problem).setdefault("_structure", {})
    return structure


def share_structure(problem: object, other: object) -> None:
    """Let a problem have the structure of another one, which differs in its bounds alone."""
    vars(problem)["_structure"] = structure_of(other)
