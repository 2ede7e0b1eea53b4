"""Categorical inputs of a network: each category is an input that is 0 or 1, and exactly one of them is 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import numbers
from pyomo_relugrad.errors import NetworkValueError
from pyomo_relugrad.words import listed


@dataclass(frozen=True)
class Choice:
    """A categorical input.

    Parameters
    ----------
    name : str
        Of the column that holds the category.
    categories : tuple
        Words or numbers, in the order of their inputs.
    first : int
        Position of the first category's input; the others follow it.

    Examples
    --------
    >>> colour = Choice("colour", ("blue", "red"), 1)
    >>> colour.input_names, list(colour.positions), colour.indicators("red").tolist()
    (('colour=blue', 'colour=red'), [1, 2], [0.0, 1.0])
    """

    name: str
    categories: tuple[Any, ...]
    first: int

    @property
    def positions(self) -> range:
        """Positions of the categories' inputs."""
        return range(self.first, self.first + len(self.categories))

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name for each category's input."""
        return tuple(f"{self.name}={category}" for category in self.categories)

    def indicators(self, category: Any) -> Array:
        """The inputs (n_categories,) that say which category it is.

        Raises
        ------
        NetworkValueError
            If it is none of them.
        """
        matches = [_is_same(category, own) for own in self.categories]
        if not any(matches):
            raise NetworkValueError(
                f"{self.name!r} is {category!r}, which is none of its categories: give one of {listed(self.categories)}"
            )
        return np.array(matches, np.float64)


def _is_same(category: Any, own: Any) -> bool:
    return bool(category == own) or (category != category and own != own)  # NaN stands for a missing category


def column_names(input_names: Sequence[str], choices: Sequence[Choice]) -> tuple[str, ...]:
    """Names of the columns of a table of inputs: one for each number, and one for each choice.

    Examples
    --------
    >>> column_names(("size", "colour=blue", "colour=red"), [Choice("colour", ("blue", "red"), 1)])
    ('size', 'colour')
    """
    owners = {choice.first: choice.name for choice in choices}
    hidden = {position for choice in choices for position in choice.positions[1:]}
    return tuple(owners.get(place, name) for place, name in enumerate(input_names) if place not in hidden)


def encoded(table: Any, input_names: Sequence[str], choices: Sequence[Choice]) -> Any:
    """Rows of inputs from a table with a column for each number and each choice; anything else as it is.

    Raises
    ------
    NetworkValueError
        If a category is not known, or a column is missing.
    """
    columns = {str(name) for name in getattr(table, "columns", ())}
    if not all(choice.name in columns for choice in choices):
        return table
    owners = {position: choice for choice in choices for position in choice.positions}
    if missing := [name for place, name in enumerate(input_names) if place not in owners and name not in columns]:
        raise NetworkValueError(f"the table has no column {missing[0]!r}: give a column for each of the network's")
    parts: list[Array] = []
    for place, name in enumerate(input_names):
        if place not in owners:
            parts.append(numbers(table[name], f"the column {name!r}", "numbers", NetworkValueError)[:, None])
        elif place == owners[place].first:
            parts.append(np.array([owners[place].indicators(category) for category in table[owners[place].name]]))
    return np.concatenate(parts, axis=1)


def spread(given: Any, choices: Sequence[Choice], fill: float) -> Any:
    """Numbers under the names of columns, with an input for each category; anything else as it is.

    A category that is given is 1 and the others 0; of choices that are not given all have the value `fill`.
    """
    if not choices or not hasattr(given, "items"):
        return given
    numbers = dict(given.items())
    for choice in choices:
        size = len(choice.categories)
        own = choice.indicators(numbers.pop(choice.name)) if choice.name in numbers else (fill,) * size
        numbers = {**dict(zip(choice.input_names, own, strict=True)), **numbers}
    return numbers


def decoded(rows: Array, input_names: Sequence[Any], choices: Sequence[Choice]) -> dict[Any, Array]:
    """The columns of a table of inputs by their names, with categories where there is a choice, None without a value.

    Examples
    --------
    >>> colour = Choice("colour", ("blue", "red"), 1)
    >>> decoded(np.array([[2.5, 0.0, 1.0]]), ("size", *colour.input_names), [colour])
    {'size': array([2.5]), 'colour': array(['red'], dtype=object)}
    """
    owners = {position: choice for choice in choices for position in choice.positions}
    result: dict[Any, Array] = {}
    for place, name in enumerate(input_names):
        choice = owners.get(place)
        if choice is None:
            result[name] = rows[:, place]
        elif place == choice.first:
            indicators = rows[:, list(choice.positions)]
            chosen = np.where(np.isnan(indicators).any(axis=1), -1, indicators.argmax(axis=1))
            result[choice.name] = np.array([*choice.categories, None], object)[chosen]
    return result
