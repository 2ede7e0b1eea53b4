"""What users hand to a network block, brought into one form: one entry per input or output, counted from 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyomo.core.base.component import Component
from pyomo.core.base.indexed_component import IndexedComponent
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.expr.numvalue import is_numeric_data, value

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, TensorSpec

#: Names of missing or unknown entries that a message lists.
LISTED_NAMES = 5


@dataclass(frozen=True)
class Entries:
    """The inputs or the outputs of a network, and how users may name them.

    Parameters
    ----------
    what : str
        ``"input"`` or ``"output"``.
    size : int
    tensors : tuple of TensorSpec
        The file's tensors, flattened row by row one after another; empty where there are no names.
    """

    what: str
    size: int
    tensors: tuple[TensorSpec, ...]

    def spread(self, given: Mapping[Any, Any], expand: Callable[[Any, int], list[Any]]) -> list[Any]:
        """Values by position from a mapping.

        Its keys are positions, names of tensors, pairs (name, index), or the indices of the only tensor;
        ``expand(value, size)`` lists the entries of a tensor's value.

        Raises
        ------
        ModelError
            If a key is not known, an entry is given twice, or one is missing.
        """
        result: dict[int, Any] = {}
        for key, item in given.items():
            for position, entry in self._placed(key, item, expand):
                if position in result:
                    raise ModelError(f"{self.what} {position} is given twice, the second time by the key {key!r}")
                result[position] = entry
        missing = [position for position in range(self.size) if position not in result]
        if missing:
            names = ", ".join(map(str, missing[:LISTED_NAMES])) + (", ..." if len(missing) > LISTED_NAMES else "")
            raise ModelError(f"{len(missing)} of the network's {self.size} {self.what}s are not given: {names}")
        return [result[position] for position in range(self.size)]

    def _placed(self, key: Any, item: Any, expand: Callable[[Any, int], list[Any]]) -> Iterable[tuple[int, Any]]:
        """(position, entry) pairs of one key."""
        start = 0
        for tensor in self.tensors:
            if key == tensor.name:
                items = expand(item, tensor.size)
                if len(items) != tensor.size:
                    raise ModelError(f"{self.what} {key!r} has {tensor.size} entries, got {len(items)}")
                return enumerate(items, start=start)
            if isinstance(key, tuple) and len(key) == 2 and key[0] == tensor.name:
                return [(start + self._offset(tensor, key[1], key), item)]
            start += tensor.size
        if len(self.tensors) == 1 and isinstance(key, tuple):
            return [(self._offset(self.tensors[0], key, key), item)]
        if isinstance(key, (int, np.integer)) and 0 <= key < self.size:
            return [(int(key), item)]
        raise self._unknown(key)

    def _offset(self, tensor: TensorSpec, index: Any, key: Any) -> int:
        try:
            if isinstance(index, tuple):
                return int(np.ravel_multi_index(index, tensor.shape))
            if 0 <= index < tensor.size:
                return int(index)
        except (TypeError, ValueError):
            pass
        raise self._unknown(key)

    def _unknown(self, key: Any) -> ModelError:
        names = "".join(f", {spec.name!r} of shape {spec.shape}" for spec in self.tensors)
        return ModelError(f"the network has no {self.what} {key!r}; it has 0 to {self.size - 1}{names}")


def network_inputs(network: Network) -> Entries:
    """How the network's inputs may be named."""
    return Entries("input", network.n_inputs, network.inputs)


def network_outputs(network: Network) -> Entries:
    """How the network's outputs may be named."""
    return Entries("output", network.n_outputs, network.outputs)


def list_entries(given: Any) -> list[Any]:
    """Entries of a component, slice, array or other collection, in its order."""
    if isinstance(given, IndexedComponent):
        return list(given.values())
    if isinstance(given, Mapping):
        return list(given.values())
    if isinstance(given, np.ndarray):
        return given.ravel().tolist()
    return list(given)


def resolve_terms(given: Any, entries: Entries) -> list[Any]:
    """One Pyomo variable, expression or number per input or output.

    Raises
    ------
    ModelError
        If there are too few or too many, or one is not numeric.
    """
    if isinstance(given, Mapping):
        terms = entries.spread(given, lambda item, size: [item] if _is_term(item) else list_entries(item))
    elif _is_term(given) or not isinstance(given, (IndexedComponent, IndexedComponent_slice, Iterable)):
        terms = [given]
    else:
        terms = list_entries(given)
    if len(terms) != entries.size:
        raise ModelError(f"the network has {entries.size} {entries.what}s, but {len(terms)} were given")
    for position, term in enumerate(terms):
        if not _is_term(term):
            raise ModelError(
                f"{entries.what} {position} is {type(term).__name__} {term!r}; expected a variable or an expression"
            )
    return terms


def _is_term(item: Any) -> bool:
    if isinstance(item, (str, bytes, IndexedComponent_slice)) or (isinstance(item, Component) and item.is_indexed()):
        return False
    return is_numeric_data(item) or bool(getattr(item, "is_numeric_type", lambda: False)())


def resolve_bounds(given: Any, entries: Entries) -> tuple[Array, Array]:
    """Lower and upper bounds, (n,) arrays with infinities where there is none.

    Parameters
    ----------
    given : None, pair, sequence of pairs, (n, 2) array or mapping
        A pair holds for all entries; None in a pair is no bound.
    entries : Entries

    Raises
    ------
    ModelError
        If there are too few or too many, or a lower bound lies above an upper one.
    """
    if given is None:
        return np.full(entries.size, -np.inf), np.full(entries.size, np.inf)
    pairs = entries.spread(given, _expand_bounds) if isinstance(given, Mapping) else _expand_bounds(given, entries.size)
    if len(pairs) != entries.size:
        raise ModelError(f"the network has {entries.size} {entries.what}s, but {len(pairs)} bounds were given")
    checked = np.array([_checked_pair(pair, entries.what, position) for position, pair in enumerate(pairs)])
    return checked[:, 0], checked[:, 1]


def _expand_bounds(given: Any, size: int) -> list[Any]:
    """One pair for all, or the pairs as they are."""
    items = list(given)
    return [items] * size if len(items) == 2 and not any(map(_is_pair, items)) else items


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple, np.ndarray)) and len(item) == 2


def _checked_pair(pair: Any, what: str, position: int) -> tuple[float, float]:
    if not _is_pair(pair):
        raise ModelError(f"the bounds of {what} {position} are {pair!r}; expected a pair (lower, upper)")
    lower = -np.inf if pair[0] is None else float(value(pair[0]))
    upper = np.inf if pair[1] is None else float(value(pair[1]))
    if not lower <= upper or lower == np.inf or upper == -np.inf:
        raise ModelError(f"the bounds of {what} {position} are empty: lower {pair[0]}, upper {pair[1]}")
    return lower, upper


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
            if not (np.isfinite(offset).all() and np.isfinite(factor).all() and (factor > 0).all()):
                raise ModelError(f"the {what} scaling needs finite offsets and positive finite factors")

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
            raise ModelError(f"scaling has the keys 'inputs' and 'outputs', not {sorted(map(str, unknown))}")
        return Scaling(*_offset_and_factor(given, inputs), *_offset_and_factor(given, outputs))
    if hasattr(given, "get_unscaled_input_expressions") and hasattr(given, "get_unscaled_output_expressions"):
        return Scaling(
            *_probe(given.get_unscaled_input_expressions, inputs),
            *_probe(given.get_unscaled_output_expressions, outputs),
        )
    raise ModelError(
        "scaling must be omlt.OffsetScaling or {'inputs': (offset, factor), 'outputs': (offset, factor)}, "
        f"not {type(given).__name__}"
    )


def _offset_and_factor(given: Mapping[str, Any], entries: Entries) -> tuple[Array, Array]:
    pair = given.get(f"{entries.what}s", (0.0, 1.0))
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ModelError(f"scaling of {entries.what}s is {pair!r}; expected a pair (offset, factor)")
    numbers = [_numbers(part, entries) for part in pair]
    for name, part in zip(("offset", "factor"), numbers, strict=True):
        if part.shape != (entries.size,):
            raise ModelError(f"the {entries.what} {name} has shape {part.shape}, expected ({entries.size},)")
    return numbers[0], numbers[1]


def _numbers(given: Any, entries: Entries) -> Array:
    """One number for all, or the numbers as they are."""

    def expand(item: Any, size: int) -> list[Any]:
        return [item] * size if np.ndim(item) == 0 else list_entries(item)

    listed = entries.spread(given, expand) if isinstance(given, Mapping) else expand(given, entries.size)
    return np.array([float(value(item)) for item in listed])


def _probe(unscale: Any, entries: Entries) -> tuple[Array, Array]:
    """Offset and factor of ``unscale(t) = t * factor + offset``."""
    large = 2.0**200  # a power of two at which the offset rounds off, so that the factor comes out exactly
    try:
        at_zero = unscale(dict.fromkeys(range(entries.size), 0.0))
        at_large = unscale(dict.fromkeys(range(entries.size), large))
    except ValueError as error:
        raise ModelError(f"the scaling object does not have the {entries.what}s 0 to {entries.size - 1}") from error
    offset = np.array([at_zero[i] for i in range(entries.size)], np.float64)
    return offset, np.array([at_large[i] for i in range(entries.size)], np.float64) / large
