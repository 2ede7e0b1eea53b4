"""Names of a network's inputs and outputs, and what is given under names brought into the network's order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import as_list
from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.network.layer import TensorSpec
from pyomo_relugrad.words import listed, meant


def checked_names(names: Iterable[Any], size: int, what: str) -> tuple[str, ...]:
    """The names as plain strings, one per entry; none at all are allowed.

    Raises
    ------
    NetworkValueError
        If there are too few or too many, one is not text, or one occurs twice.
    """
    names = [names] if isinstance(names, str) else names
    given = as_list(names, f"the {what} names", "a list of strings", NetworkValueError)
    if not given:
        return ()
    if len(given) != size:
        raise NetworkValueError(f"there are {len(given)} names for the {size} {what}s: give one for each, or none")
    strange = next((name for name in given if not isinstance(name, str)), None)
    if strange is not None:
        raise NetworkValueError(f"the {what} name {strange!r} is not text: give strings, such as str(name)")
    repeated = [name for name, count in Counter(given).items() if count > 1]
    if repeated:
        raise NetworkValueError(f"two {what}s have the same name, {listed(repeated)}: rename one of them")
    return tuple(str(name) for name in given)


def tensor_names(tensors: Sequence[TensorSpec]) -> tuple[str, ...]:
    """Names of entries that are tensors of their own; none where a tensor holds several, or is the only one.

    The only tensor of a network is called ``input`` or ``X``, whatever it holds: that is no name of its entry.
    """
    names = tuple(tensor.name for tensor in tensors)
    single = len(tensors) > 1 and all(tensor.size == 1 for tensor in tensors) and all(names)
    return names if single and len(set(names)) == len(names) else ()


def keyed(given: Any) -> tuple[list[Any], list[Any]] | None:
    """Keys and entries of a mapping, a series or a named tuple, or the names and columns of a data frame."""
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return list(given._fields), list(given)
    if not (isinstance(given, Mapping) or (hasattr(given, "keys") and hasattr(given, "items"))):
        return None
    pairs = list(given.items())
    return [key for key, _ in pairs], [item for _, item in pairs]


def order_by_name(keys: Sequence[Any], names: Sequence[str], what: str, owner: str = "network") -> list[int] | None:
    """Where among the keys each name is.

    Parameters
    ----------
    keys : sequence
        Names, positions, or tuples with names in one place.
    names : sequence of str
        In the order that is asked for.
    what : str
        ``"input"`` or ``"output"``.
    owner : str, optional
        What has the names, for messages.

    Returns
    -------
    list of int or None
        None where there are no names, or no key is one.

    Raises
    ------
    ModelError
        If the keys are names, but not exactly the given ones.

    Examples
    --------
    >>> order_by_name(["b", "a"], ["a", "b"], "input")
    [1, 0]
    >>> order_by_name([(7, "b"), (7, "a")], ["a", "b"], "input")
    [1, 0]
    >>> order_by_name([0, 1], ["a", "b"], "input") is None
    True
    """
    labels = _labels(keys, names)
    if not names or not any(isinstance(label, str) for label in labels):
        return None
    places = {label: place for place, label in reversed(list(enumerate(labels)))}
    if len(labels) == len(names) and all(name in places for name in names):
        return [places[name] for name in names]
    raise ModelError(_mismatch(labels, names, what, owner))


def by_name(given: Any, names: Sequence[str], what: str, argument: str) -> Any:
    """Numbers given under names or positions as a list in the network's order; anything else as it is.

    A series is taken in its order where the network has no names, and so is any given under positions in order.

    Raises
    ------
    ModelError
        If the keys of a mapping are neither the names nor the positions.
    """
    pairs = keyed(given)
    if pairs is None:
        return given
    keys, items = pairs
    try:
        order = order_by_name(keys, names, what)
    except ModelError as error:
        raise ModelError(f"{argument}: {error}") from None
    if order is None and isinstance(given, Mapping):
        if set(keys) != set(range(len(keys))):
            known = "are positions from 0" if names else "have no names: give an array, or name them with"
            raise ModelError(
                f"{argument} has the keys {listed(keys)}, but the network's {what}s {known}"
                f"{' or ' + listed(names) if names else ' Network.with_names'}"
            )
        order = [keys.index(position) for position in range(len(keys))]
    return items if order is None else [items[place] for place in order]


def rows_by_name(table: Any, rows: Array, names: Sequence[str]) -> Array:
    """The rows of a data frame with its columns in the network's order; of anything else as they are.

    Raises
    ------
    NetworkValueError
        If the columns have names, but not exactly the given ones.
    """
    try:
        order = order_by_name(list(getattr(table, "columns", ())), names, "input")
    except ModelError as error:
        raise NetworkValueError(str(error)) from None
    return rows if order is None else rows[:, order]


def _labels(keys: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """The keys; of tuples, the place that holds the most names, if any does."""
    keys = list(keys)
    lengths = {len(key) if isinstance(key, tuple) else 0 for key in keys}
    if len(lengths) != 1 or lengths == {0}:
        return keys
    known = set(names)
    places = [[key[place] for key in keys] for place in range(lengths.pop())]
    best = max(places, key=lambda labels: len(known.intersection(labels)))
    return best if known.intersection(best) else [None] * len(keys)


def _mismatch(labels: Sequence[Any], names: Sequence[str], what: str, owner: str) -> str:
    missing = [name for name in names if name not in labels]
    unknown = [label for label in dict.fromkeys(labels) if label not in names]
    twice = [label for label, count in Counter(labels).items() if count > 1 and label in names]
    parts = [
        f"{word} {listed(entries)}"
        for word, entries in (("missing", missing), ("unknown", unknown), ("given twice", twice))
        if entries
    ]
    hint = next(filter(None, (meant(str(label), missing) for label in unknown)), "")
    return (
        f"the keys are not the names of the {owner}'s {what}s: {'; '.join(parts)}{hint}. Give all {len(names)} names, "
        f"in any order, or a list in the {owner}'s order: {listed(names)}"
    )
