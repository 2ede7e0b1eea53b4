"""Scaling between the units of the user and those of the network: as it is given, of variables, inside the network."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pyomo.environ as pyo
from pyomo.common.errors import PyomoException
from pyomo.core.expr.numvalue import is_constant, value
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import numbers, readable
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.entries import Entries, as_number, is_term, list_entries
from pyomo_relugrad.modeling.block.units import in_unit, unit_of
from pyomo_relugrad.network import Network
from pyomo_relugrad.network.building import fold_scaling
from pyomo_relugrad.words import listed, meant, shown

_FOLDED: WeakKeyDictionary[Network, dict[bytes, Network]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Scaling:
    """``scaled = (value - offset) / factor`` for the inputs and the outputs of a network.

    Parameters
    ----------
    input_offset, input_factor : (n_inputs,) arrays
    output_offset, output_factor : (n_outputs,) arrays
    """

    input_offset: Array
    input_factor: Array
    output_offset: Array
    output_factor: Array

    def __post_init__(self) -> None:
        for what in ("input", "output"):
            offset, factor = getattr(self, f"{what}_offset"), getattr(self, f"{what}_factor")
            wrong = np.flatnonzero(~(np.isfinite(offset) & np.isfinite(factor) & (factor > 0)))
            if wrong.size:
                raise ModelError(
                    f"offset and factor of the {what} scaling are {offset[wrong[0]]} and {factor[wrong[0]]} for {what} "
                    f"{wrong[0]}: give finite offsets and positive finite factors"
                )

    def key(self) -> bytes:
        """Content, to recognise equal scalings."""
        parts = (self.input_offset, self.input_factor, self.output_offset, self.output_factor)
        return b"".join(part.tobytes() for part in parts)


def resolve_scaling(given: Any, inputs: Entries, outputs: Entries) -> Scaling | None:
    """A scaling from OMLT's ``OffsetScaling``, or from ``{"inputs": (offset, factor), "outputs": (offset, factor)}``.

    Raises
    ------
    ModelError
        If it is none of these, its size is wrong, or a factor is not positive.
    """
    if given is None or isinstance(given, Scaling):
        return given
    if isinstance(given, Mapping):
        unknown = set(given) - {"inputs", "outputs"}
        if unknown:
            name = str(next(iter(unknown)))
            raise ModelError(
                f"scaling has the key {name!r}{meant(name, ('inputs', 'outputs'))}: give 'inputs' and 'outputs'"
            )
        return Scaling(*_offset_and_factor(given, inputs), *_offset_and_factor(given, outputs))
    if hasattr(given, "get_scaled_input_expressions") and hasattr(given, "get_unscaled_output_expressions"):
        return Scaling(*_from_object(input_scaling, given, inputs), *_from_object(output_scaling, given, outputs))
    raise ModelError(
        f"scaling is {shown(given)}: give omlt.OffsetScaling, or "
        "{'inputs': (offset, factor), 'outputs': (offset, factor)}"
    )


def _offset_and_factor(given: Mapping[str, Any], entries: Entries) -> tuple[Array, Array]:
    pair = given.get(f"{entries.what}s", (0.0, 1.0))
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ModelError(f"scaling of {entries.what}s is {pair!r}: give a pair (offset, factor)")
    sides = [_numbers(part, entries) for part in pair]
    for name, part in zip(("offset", "factor"), sides, strict=True):
        if part.shape != (entries.size,):
            raise ModelError(f"the {entries.what} {name} has shape {part.shape}: give one number, or {entries.size}")
    return sides[0], sides[1]


def _numbers(given: Any, entries: Entries) -> Array:
    """One number for all, or the numbers as they are."""

    def expand(item: Any, size: int) -> list[Any]:
        return [item] * size if is_term(item) or not isinstance(item, Iterable) else list_entries(item)

    given = readable(given)
    by_key = entries.in_order(given, expand)
    parts = expand(given, entries.size) if by_key is None else by_key
    return numbers([_constant(part, entries) for part in parts], f"the scaling of {entries.what}s")


def _constant(number: Any, entries: Entries) -> Any:
    """A number that stays as it is: the scaling is folded into the network once."""
    number = as_number(number)
    if not is_term(number) or not is_constant(number):
        raise ModelError(
            f"the scaling of {entries.what}s holds {number}, which is no number or may change: give a number, such as "
            "pyo.value(...) of a parameter"
        )
    return value(number)


def _from_object(read: Callable[[Any, Sequence[Any]], tuple[Array, Array]], given: Any, entries: Entries) -> Any:
    """Offsets and factors from a scaling object, whose keys are positions or names."""
    for keys in (list(range(entries.size)), list(entries.names)):
        try:
            if len(keys) == entries.size:
                return read(given, keys)
        except ModelError:
            raise
        except (KeyError, ValueError):  # it has other keys
            continue
    names = f" or {listed(entries.names)}" if entries.names else ""
    raise ModelError(
        f"the scaling object does not have the {entries.what}s 0 to {entries.size - 1}{names}: give one that has"
    )


def scaled(variables: Sequence[Any], offset: Array, factor: Array) -> list[Any]:
    """``(value - offset) / factor`` of each variable, in its unit."""
    parts = zip(variables, offset.tolist(), factor.tolist(), strict=True)
    result = []
    for variable, shift, scale in parts:
        unit = unit_of(variable)
        result.append((variable - in_unit(shift, unit)) / in_unit(scale, unit))
    return result


def folded(network: Network, scaling: Scaling | None) -> Network | None:
    """The network with the scaling inside: the same object for equal arguments, so that blocks share it."""
    if scaling is None:
        return None
    known = _FOLDED.setdefault(network, {})
    if scaling.key() not in known:
        known[scaling.key()] = fold_scaling(
            network, scaling.input_offset, scaling.input_factor, scaling.output_offset, scaling.output_factor
        )
    return known[scaling.key()]


# --- objects of OMLT's interface: the expressions that they make show whether they are affine -------------------------


def entrywise(expressions: Callable[[dict[Any, Any]], Any], keys: Sequence[Any]) -> tuple[Array, Array]:
    """Slopes and shifts of expressions that each are affine, and increase, in their own variable.

    Parameters
    ----------
    expressions : callable
        From variables by key to expressions by key.
    keys : sequence

    Raises
    ------
    ModelError
        If one is not, or the callable does not take variables.
    KeyError, ValueError
        If the callable does not take these keys.
    """
    model = pyo.ConcreteModel()
    model.x = pyo.Var(keys)
    try:
        scaled = expressions({key: model.x[key] for key in keys})
    except (PyomoException, TypeError, AttributeError) as error:
        raise ModelError(
            f"the scaling object cannot be applied to variables ({error}): it must make expressions of them, as "
            "omlt.OffsetScaling does"
        ) from error
    forms = [generate_standard_repn(scaled[key]) for key in keys]
    for key, form in zip(keys, forms, strict=True):
        if not form.is_linear() or [id(v) for v in form.linear_vars] != [id(model.x[key])] or form.linear_coefs[0] <= 0:
            raise ModelError(
                f"the scaling of entry {key} is not an offset and a positive factor of this entry alone, and others "
                "cannot be handled by relugrad; use omlt.OffsetScaling"
            )
    slopes = [float(pyo.value(form.linear_coefs[0])) for form in forms]
    return np.array(slopes), np.array([float(pyo.value(form.constant)) for form in forms])


def input_scaling(given: Any, keys: Sequence[Any]) -> tuple[Array, Array]:
    """Offsets and factors of the inputs: ``scaled = (value - offset) / factor``.

    Taken from the way back where the object has one, which shows them without rounding.

    Raises
    ------
    ModelError
        As `entrywise`; also if the two ways contradict each other.
    """
    slopes, shifts = entrywise(given.get_scaled_input_expressions, keys)
    if not hasattr(given, "get_unscaled_input_expressions"):
        return -shifts / slopes, 1.0 / slopes
    factors, offsets = entrywise(given.get_unscaled_input_expressions, keys)
    if not (np.allclose(factors * slopes, 1.0) and np.allclose(-offsets * slopes, shifts)):
        raise ModelError(
            "the scaling object contradicts itself: get_unscaled_input_expressions does not undo "
            "get_scaled_input_expressions"
        )
    return offsets, factors


def output_scaling(given: Any, keys: Sequence[Any]) -> tuple[Array, Array]:
    """Offsets and factors of the outputs: ``value = scaled * factor + offset``.

    Raises
    ------
    ModelError
        As `entrywise`.
    """
    factors, offsets = entrywise(given.get_unscaled_output_expressions, keys)
    return offsets, factors
