"""What users hand to a network block, brought into one form: one entry per input or output, counted from 0."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from pyomo.core.base.indexed_component import IndexedComponent
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.expr.numvalue import is_potentially_variable, native_numeric_types, value

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import readable
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.entries import (
    Entries,
    SliceEntries,
    as_number,
    empty_part,
    is_term,
    keyed_entries,
    list_entries,
)
from pyomo_relugrad.words import shown

#: A lower and an upper bound: a number, an expression of mutable parameters, or None.
BoundPair = tuple[Any, Any]


def resolve_terms(given: Any, entries: Entries) -> list[Any]:
    """One Pyomo variable, expression or number per input or output; None for a variable of the block.

    Raises
    ------
    ModelError
        If there are too few or too many, one is not numeric, or they have names that are not those of the entries.
    """
    terms = [as_number(term) for term in listed_terms(given, entries)]
    if len(terms) != entries.size:
        raise ModelError(
            f"the {entries.owner} has {entries.size} {entries.what}s, but {len(terms)} were given: give one variable, "
            "expression or number for each"
        )
    for position, term in enumerate(terms):
        if term is None:
            continue
        name = entries.at(position)
        if hasattr(term, "get_associated_binary"):
            raise ModelError(
                f"{name} is the Boolean variable '{term.name}': give the binary variable beside it, "
                f"{term.name}.get_associated_binary(), which associate_binary_var sets"
            )
        if not is_term(term):
            raise ModelError(f"{name} is {shown(term)}: give a variable, an expression or a number")
        if (empty := empty_part(term)) is not None:
            raise ModelError(f"{name} holds the expression '{empty.name}', which is empty: give that one a value first")
        if type(term) in native_numeric_types:
            if not _is_finite(term):
                raise ModelError(
                    f"{name} is {shown(term)}, no finite number: give a number, or None for a variable of the block"
                )
            terms[position] = term if isinstance(term, int | float) else float(term)
    return terms


def _is_finite(number: Any) -> bool:
    """Whether a number, of whatever type, is a finite one in floating point."""
    try:
        return math.isfinite(number)
    except (OverflowError, TypeError, ValueError):
        return False


def listed_terms(given: Any, entries: Entries) -> list[Any]:
    """What was given, in the order of the entries, as many as there may be."""
    given = SliceEntries.of(given) if isinstance(given, IndexedComponent_slice) else readable(given)
    if isinstance(given, (list, tuple)) and all(isinstance(part, IndexedComponent) for part in given):
        if len(given) == len(entries.tensors) > 1:  # one for each tensor
            given = {tensor.name: part for tensor, part in zip(entries.tensors, given, strict=True)}
        elif len(given) == 1:
            (given,) = given
    by_key = entries.in_order(given, lambda item, size: [item] if item is None or is_term(item) else list_entries(item))
    if by_key is not None:
        return by_key
    if is_term(given) or not isinstance(given, (IndexedComponent, SliceEntries, Iterable)):
        return [given]
    return list_entries(given)


def resolve_bounds(given: Any, entries: Entries) -> list[BoundPair]:
    """Lower and upper bound of each entry.

    Parameters
    ----------
    given : None, pair, sequence of pairs, (n, 2) array, mapping or data frame
        A pair holds for all entries; None in a pair is no bound. A data frame has a column for each entry, and the
        lower and the upper bounds as its rows. A pair of mappings, series or sequences of n numbers has all lower and
        all upper bounds.
    entries : Entries

    Returns
    -------
    list of pairs
        None where there is no bound; expressions of mutable parameters as they are, so that later values hold.

    Raises
    ------
    ModelError
        If there are too few or too many, one is no number, or a lower bound lies above an upper one.
    """
    if given is None:
        return [(None, None)] * entries.size
    pairs = _bound_pairs(given, entries)
    if len(pairs) != entries.size:
        raise ModelError(
            f"the network has {entries.size} {entries.what}s, but {len(pairs)} bounds were given: give a pair "
            "(lower, upper) for each, or one for all"
        )
    return [_checked_pair(pair, entries.at(position)) for position, pair in enumerate(pairs)]


def numbers_of_bounds(pairs: Iterable[BoundPair]) -> tuple[Array, Array]:
    """Bounds as they are now, (n,) arrays with infinities where there is none."""
    lower, upper = zip(*pairs, strict=True)
    return (
        np.array([-np.inf if side is None else value(side) for side in lower], np.float64),
        np.array([np.inf if side is None else value(side) for side in upper], np.float64),
    )


def _bound_pairs(given: Any, entries: Entries) -> list[Any]:
    given = readable(given)
    if isinstance(given, (list, tuple)) and len(given) == 2 and all(keyed_entries(side) is not None for side in given):
        sides = [entries.in_order(side, lambda item, size: [item]) or list_entries(side) for side in given]
        if len(sides[0]) != len(sides[1]):
            raise ModelError(f"there are {len(sides[0])} lower and {len(sides[1])} upper bounds: give as many of both")
        return list(zip(*sides, strict=True))
    by_key = entries.in_order(given, _expand_bounds)
    return _expand_bounds(given, entries.size) if by_key is None else by_key


def _expand_bounds(given: Any, size: int) -> list[Any]:
    """One pair for all, the pairs as they are, or those of all lower and all upper bounds."""
    items = list(np.atleast_1d(given)) if isinstance(given, np.ndarray) else list_entries(given)
    if len(items) != 2:
        return items
    if isinstance(given, (list, tuple)) and all(isinstance(side, np.ndarray) and side.shape == (2,) for side in given):
        raise ModelError(
            "two arrays of two bounds may be pairs (lower, upper), or all lower and all upper bounds: give one array, "
            "such as np.column_stack((lower, upper))"
        )
    if size != 2 and all(isinstance(side, (list, tuple, np.ndarray)) and np.shape(side) == (size,) for side in items):
        return list(zip(*items, strict=True))
    return items if any(map(_is_pair, items)) else [items] * size


def _is_pair(item: Any) -> bool:
    return (
        np.shape(item) == (2,) if isinstance(item, np.ndarray) else isinstance(item, (list, tuple)) and len(item) == 2
    )


def _checked_pair(pair: Any, name: str) -> BoundPair:
    if not _is_pair(pair):
        raise ModelError(f"the bounds of {name} are {pair!r}: give a pair (lower, upper)")
    sides = [as_number(side) for side in pair]
    for side in sides:
        if not (side is None or (is_term(side) and not is_potentially_variable(side))):
            raise ModelError(
                f"the bounds of {name} hold {side}: give numbers, parameters or None, and state what "
                "depends on variables as a constraint"
            )
    try:
        (lower,), (upper,) = numbers_of_bounds([(sides[0], sides[1])])
    except OverflowError:
        told = f"the bounds of {name} hold a number that floating point does not have"
        raise ModelError(f"{told}: give None where there is no bound") from None
    if not lower <= upper or lower == np.inf or upper == -np.inf:
        kind = "empty, as one is NaN" if np.isnan([lower, upper]).any() else "empty"
        raise ModelError(
            f"the bounds of {name} are {kind}, lower {pair[0]}, upper {pair[1]}: give a lower bound that is "
            "not above the upper one"
        )
    return _or_none(sides[0]), _or_none(sides[1])


def _or_none(side: Any) -> Any:
    """A bound; None where it is infinite."""
    return None if type(side) in native_numeric_types and np.isinf(side) else side
