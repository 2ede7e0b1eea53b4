"""Inputs and outputs as users name them: by position, by the file's tensors, by names of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyomo.core.base.component import Component
from pyomo.core.base.indexed_component import IndexedComponent
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.expr.numvalue import is_numeric_data

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, TensorSpec, keyed, order_by_name
from pyomo_relugrad.words import listed


@dataclass(frozen=True)
class Entries:
    """The inputs or the outputs of a network, and how users may name them.

    Parameters
    ----------
    what : str
        ``"input"`` or ``"output"``.
    size : int
    tensors : tuple of TensorSpec
        The file's tensors, flattened row by row one after another; empty where there are none.
    names : tuple of str, optional
        A name for each entry, or none.
    owner : str, optional
        What has the entries, for messages.
    others : tuple of str, optional
        Names that the owner gives to something else.
    """

    what: str
    size: int
    tensors: tuple[TensorSpec, ...]
    names: tuple[str, ...] = ()
    owner: str = "network"
    others: tuple[str, ...] = ()

    def at(self, position: int) -> str:
        """What an entry is called in messages."""
        return f"{self.what} {position}" + (f" ({self.names[position]!r})" if self.names else "")

    def in_order(self, given: Any, expand: Callable[[Any, int], list[Any]]) -> list[Any] | None:
        """Values by position from what has keys; None where it has none, or they tell nothing of the order.

        Keys that are the names, or those of tensors, count; positions and others do so in a mapping alone, as a
        component that is indexed in its own way is taken in its order.

        Raises
        ------
        ModelError
            If the keys are names, but not those of the entries, or as `spread`.
        """
        pairs = keyed_entries(given)
        if pairs is None:
            return None
        keys, items = pairs
        if self._are_of_tensors(keys):
            return self.spread(dict(zip(keys, items, strict=True)), expand)
        order = self._order(given, keys)
        if order is not None:
            return [self._only(keys[place], expand(items[place], 1)) for place in order]
        return self.spread(given, expand) if isinstance(given, Mapping) else None

    def _order(self, given: Any, keys: Sequence[Any]) -> list[int] | None:
        """Where among the keys each name is, None where there is nothing to go by."""
        labels = _block_names(given)
        if not labels:
            if not self.names and any(key in self.others for key in keys):
                raise ModelError(
                    f"the keys {listed(keys)} are names of other parts of the {self.owner}: give variables for its "
                    f"{self.what}s"
                )
            return order_by_name(keys, self.names, self.what, self.owner)
        if set(labels).isdisjoint(self.names):  # another network's names, which need not be this one's
            return None
        return order_by_name(labels, self.names, self.what, self.owner)

    def _are_of_tensors(self, keys: Sequence[Any]) -> bool:
        """Whether every key is a tensor's name, or a pair of it and an index."""
        tensors = {tensor.name for tensor in self.tensors} - set(self.names)
        parts = [key[0] if isinstance(key, tuple) and len(key) == 2 else key for key in keys]
        return bool(keys) and all(isinstance(part, str) and part in tensors for part in parts)

    def _only(self, key: Any, entries: list[Any]) -> Any:
        if len(entries) != 1:
            raise ModelError(f"{self.what} {key!r} has 1 entry, and {len(entries)} were given: give one")
        return entries[0]

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
                    raise ModelError(
                        f"{self.what} {position} is given twice, the second time by the key {key!r}: leave one out"
                    )
                result[position] = entry
        missing = [position for position in range(self.size) if position not in result]
        if missing:
            raise ModelError(
                f"{len(missing)} of the {self.owner}'s {self.size} {self.what}s are not given, {listed(missing)}: give "
                "all of them"
            )
        return [result[position] for position in range(self.size)]

    def _placed(self, key: Any, item: Any, expand: Callable[[Any, int], list[Any]]) -> Iterable[tuple[int, Any]]:
        """(position, entry) pairs of one key."""
        start = 0
        for tensor in self.tensors:
            if key == tensor.name:
                items = expand(item, tensor.size)
                if len(items) != tensor.size:
                    raise ModelError(
                        f"{self.what} {key!r} has {tensor.size} entries, and {len(items)} were given: give each of them"
                    )
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
        hint = "" if names or not isinstance(key, str) else ", without names: see Network.with_names"
        return ModelError(f"the {self.owner} has no {self.what} {key!r}; it has 0 to {self.size - 1}{names}{hint}")


def network_inputs(network: Network) -> Entries:
    """How the network's inputs may be named."""
    return Entries("input", network.n_inputs, network.inputs, network.input_names, others=network.output_names)


def network_outputs(network: Network) -> Entries:
    """How the network's outputs may be named."""
    return Entries("output", network.n_outputs, network.outputs, network.output_names, others=network.input_names)


@dataclass(frozen=True)
class SliceEntries:
    """Keys and entries of a slice or another part of a component, found once: Pyomo searches all of it for them."""

    keys: list[Any]
    entries: list[Any]

    @classmethod
    def of(cls, given: IndexedComponent_slice) -> SliceEntries:
        """Search the component."""
        pairs = list(given.wildcard_items())
        return cls([key for key, _ in pairs], [entry for _, entry in pairs])


def keyed_entries(given: Any) -> tuple[list[Any], list[Any]] | None:
    """Keys and entries of a mapping, a series, a component or a slice of one."""
    if isinstance(given, IndexedComponent_slice):
        given = SliceEntries.of(given)
    if isinstance(given, SliceEntries):
        return given.keys, given.entries
    return None if is_term(given) else keyed(given)


def _block_names(given: Any) -> tuple[str, ...]:
    """Names of the entries of a network block's own component of inputs or outputs."""
    if not isinstance(given, IndexedComponent):
        return ()
    block = given.parent_block()
    network = block.network if getattr(block, "is_built", False) is True else None
    if not isinstance(network, Network):
        return ()
    for what, names in (("inputs", network.input_names), ("outputs", network.output_names)):
        if given is getattr(block, what) or given is getattr(block, f"scaled_{what}"):
            return names
    return ()


def list_entries(given: Any) -> list[Any]:
    """Entries of a component, slice, array or other collection, in its order."""
    if isinstance(given, SliceEntries):
        return given.entries
    if isinstance(given, (IndexedComponent, Mapping)):
        return list(given.values())
    if isinstance(given, np.ndarray):
        return given.ravel().tolist()
    if isinstance(given, (set, frozenset)):
        raise ModelError("the entries are a set, which has no order: give a list, or a mapping by name or position")
    return list(given) if hasattr(given, "__iter__") and not isinstance(given, bytes) else [given]


def is_term(item: Any) -> bool:
    """Whether it is one variable, expression or number."""
    if isinstance(item, (str, bytes, IndexedComponent_slice)) or (isinstance(item, Component) and item.is_indexed()):
        return False
    return is_numeric_data(item) or bool(getattr(item, "is_numeric_type", lambda: False)())


def empty_part(expression: Any) -> Any:
    """A named expression within this one that has been given nothing, as by `pyo.Expression()`; None without one."""
    left = [expression]
    while left:
        node = left.pop()
        if getattr(node, "is_named_expression_type", lambda: False)() and node.arg(0) is None:
            return node
        left.extend(getattr(node, "args", ()))
    return None


def as_number(item: Any) -> Any:
    """NumPy's scalars and arrays without dimensions as plain numbers, anything else as it is."""
    return item.item() if isinstance(item, (np.generic, np.ndarray)) and item.ndim == 0 else item
