"""Data frames of inputs, bounds and outputs: their rows are blocks."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from pyomo.core.base.indexed_component import IndexedComponent
from pyomo.core.expr.numvalue import value

from pyomo_relugrad.errors import MissingPackageError, ModelError
from pyomo_relugrad.modeling.block.entries import SliceEntries, keyed_entries
from pyomo_relugrad.network import Network, decoded, order_by_name
from pyomo_relugrad.words import listed

#: Names of the two rows, or columns, of a data frame of bounds.
_SIDES = (("lower", "upper"), ("min", "max"))


def is_frame(given: Any) -> bool:
    """Whether it is a data frame; pandas is not imported."""
    return all(hasattr(type(given), name) for name in ("columns", "index", "loc"))  # a slice has any attribute


def is_index(given: Any) -> bool:
    """Whether it is the index of a data frame, which Pyomo would take for a set without an order."""
    return hasattr(type(given), "get_indexer") and hasattr(type(given), "tolist")


def row_of(frame: Any, index: Any, names: tuple[str, ...]) -> dict[Any, Any]:
    """One row of a data frame under its columns' names; columns that the network does not have are left out.

    Parameters
    ----------
    frame : data frame
    index : object
        Label of the row; None for the only one.
    names : tuple of str
        Columns that the network has, none where it has no names.

    Raises
    ------
    ModelError
        If there is no such row, or more than one.
    """
    if index is None and len(frame.index) != 1:
        raise ModelError(
            f"the data frame has {len(frame.index)} rows, and a block takes one: index the block by them, as in "
            "ReluNetworkBlock(frame.index, network=..., inputs=frame)"
        )
    if len(set(frame.columns)) < len(frame.columns):
        raise ModelError(f"the data frame has several columns of one name among {listed(frame.columns)}: rename them")
    if index is not None and index not in frame.index:
        raise ModelError(
            f"the data frame has no row {index!r}, which is an index of the block: index the block by frame.index"
        )
    row = frame.iloc[0] if index is None else frame.loc[index]
    if is_frame(row):
        raise ModelError(f"the data frame has {len(row.index)} rows {index!r}: give each row a label of its own")
    pairs = {str(key) if str(key) in names else key: item for key, item in row.items()}
    return {name: pairs[name] for name in names} if names and set(names) <= set(pairs) else pairs


def at_index(given: Mapping[Any, Any], index: Any, names: Sequence[str], what: str) -> dict[str, Any] | None:
    """Inputs by name at one index of the block: the entries of what has this index, anything else as it is.

    Keys that the network does not have are left out. None where no key is one of its names.

    Raises
    ------
    ModelError
        If some of the names are there, but not all.
    """
    if set(names).isdisjoint(given):
        return None
    if not set(names) <= set(given):
        order_by_name(list(given), names, what)  # says what is missing
    return {name: given[name][index] if _has(given[name], index) else given[name] for name in names}


def is_series_or_component(given: Any) -> bool:
    """Whether it has entries under keys that may begin with the index of a block."""
    return isinstance(given, IndexedComponent) or _is_series(given)


def keys_by_start(given: Any, depth: int) -> dict[Any, list[Any]]:
    """The keys of an indexed component or series by their first `depth` parts."""
    rows: dict[Any, list[Any]] = {}
    for key in given.index if _is_series(given) else given.keys():
        rows.setdefault(index_parts(key)[:depth], []).append(key)
    return rows


def row_entries(given: Any, keys: Sequence[Any], depth: int, names: Sequence[str]) -> Any:
    """The entries of a component or series at some of its keys, under what follows the first `depth` parts of these.

    Names that the network does not have are left out, if all of its own are there.
    """
    row = {tail[0] if len(tail) == 1 else tail: given[key] for key in keys for tail in [index_parts(key)[depth:]]}
    if names and set(names) <= set(row):
        return {name: row[name] for name in names}
    return SliceEntries(list(row), list(row.values()))


def index_parts(key: Any) -> tuple[Any, ...]:
    """A key of an indexed component as a tuple."""
    return key if isinstance(key, tuple) else (key,)


def _is_series(item: Any) -> bool:
    return hasattr(type(item), "iloc") and not is_frame(item)


def _has(item: Any, index: Any) -> bool:
    if _is_series(item):
        return index in item.index
    return isinstance(item, (IndexedComponent, Mapping)) and index in item


def bounds_by_name(given: Any, network: Network) -> Any:
    """Bounds by name from a data frame with rows or columns that say which side they are; anything else as it is.

    Where bounds are given under names, categories have none.

    Raises
    ------
    ModelError
        If nothing in a data frame says which side is which.
    """
    if is_frame(given):
        for low, high in _SIDES:
            if {low, high} <= set(given.index):
                given = {str(name): (given.loc[low, name], given.loc[high, name]) for name in given.columns}
                break
            if {low, high} <= set(given.columns):
                given = {str(name): (given.loc[name, low], given.loc[name, high]) for name in given.index}
                break
        else:
            raise ModelError(
                "the data frame of bounds has neither rows nor columns 'lower' and 'upper', or 'min' and 'max': give "
                "frame.describe() of records, for example"
            )
    pairs = keyed_entries(given) if network.choices else None
    if pairs is None or any(isinstance(key, int) for key in pairs[0]):
        return given
    names = [name for choice in network.choices for name in choice.input_names]
    return {**dict.fromkeys(names, (None, None)), **dict(zip(*pairs, strict=True))}


def frame_of(component: Any, what: str) -> Any:
    """Values of the inputs or outputs of a block component, a row for each of its blocks.

    Raises
    ------
    MissingPackageError
        If pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise MissingPackageError("pandas is needed for a data frame: python -m pip install pandas") from error
    blocks = [component[index] for index in component]
    records = [_record(block, what) for block in blocks]
    labels = list(component) if component.is_indexed() else [component.name]
    index = pandas.MultiIndex.from_tuples(labels) if labels and isinstance(labels[0], tuple) else labels
    return pandas.DataFrame(records, index=index)


def _record(block: Any, what: str) -> dict[Any, Any]:
    network = block.network
    values = [value(variable, exception=False) for variable in getattr(block, what).values()]
    row = np.array([np.nan if number is None else number for number in values], np.float64)
    names = network.input_names if what == "inputs" else network.output_names
    if what == "inputs" and network.choices:
        columns = decoded(row[None], names, network.choices)
        return {name: column[0] for name, column in columns.items()}
    return dict(zip(names or range(row.size), row.tolist(), strict=True))
