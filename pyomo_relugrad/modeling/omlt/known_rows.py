"""Rows that were found to state an affine map, so that a model solved again and again is not read again and again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pyomo.common.numeric_types import native_numeric_types
from pyomo.core.expr import EqualityExpression, LinearExpression, MonomialTermExpression, SumExpression

from pyomo_relugrad.network import Layer


@dataclass(frozen=True, eq=False)
class _Known:
    """A map, the variables between which it stands, and the expressions of its rows."""

    affine: Layer
    variables: tuple[Any, ...]
    expressions: tuple[Any, ...]


#: What was found, by the block of a layer.
_KNOWN: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


def are_known(block: Any, affine: Layer, variables: Sequence[Any], rows: Sequence[Any]) -> bool:
    """Whether the rows still have the expressions that were found to state the map."""
    known = _KNOWN.get(block)
    return (
        known is not None
        and known.affine is affine
        and _are_same(known.variables, variables)
        and _are_same(known.expressions, [row.expr for row in rows])
    )


def remember(block: Any, affine: Layer, variables: Sequence[Any], rows: Sequence[Any]) -> None:
    """Note that the rows state the map, unless their coefficients may change without a new expression."""
    expressions = tuple(row.expr for row in rows)
    if all(map(_is_constant, expressions)):
        _KNOWN[block] = _Known(affine, tuple(variables), expressions)


def _are_same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(a is b for a, b in zip(first, second, strict=True))


def _is_constant(expression: Any) -> bool:
    """Whether an equation is a sum of variables times numbers, without parameters or named expressions."""
    if expression.__class__ is not EqualityExpression:
        return False
    return all(_is_term(side) or _is_sum(side) for side in expression.args)


def _is_sum(side: Any) -> bool:
    if side.__class__ is LinearExpression:
        return all(number.__class__ in native_numeric_types for number in (side.constant, *side.linear_coefs))
    return side.__class__ is SumExpression and all(map(_is_term, side.args))


def _is_term(term: Any) -> bool:
    if term.__class__ in native_numeric_types:
        return True
    if term.__class__ is MonomialTermExpression:
        return term.args[0].__class__ in native_numeric_types
    return bool(term.is_variable_type())
