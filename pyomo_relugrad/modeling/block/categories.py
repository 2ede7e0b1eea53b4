"""Categorical inputs of a network block: a binary for each category, of which exactly one is 1."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.set import Binary

from pyomo_relugrad.errors import ModelError, NetworkValueError
from pyomo_relugrad.modeling.block.entries import is_term, keyed_entries
from pyomo_relugrad.network import Choice, Network, column_names, order_by_name
from pyomo_relugrad.words import listed


def with_categories(given: Any, network: Network) -> Any:
    """Inputs under the names of columns, with a binary for each category; anything else as it is.

    Raises
    ------
    ModelError
        If what is given for a categorical input is neither a category nor binaries by category, or nothing is given.
    """
    pairs = keyed_entries(given) if network.choices else None
    choices = {choice.name: choice for choice in network.choices}
    if pairs is None or not any(isinstance(key, str) for key in pairs[0]):
        return given
    owners = {name: choice.name for choice in network.choices for name in choice.input_names}
    columns = list(dict.fromkeys(owners.get(key, key) for key in pairs[0]))
    order_by_name(columns, column_names(network.input_names, network.choices), "input")  # refuses what does not fit
    result: dict[Any, Any] = {}
    for key, item in zip(*pairs, strict=True):
        choice = choices.get(key)
        own = [(key, item)] if choice is None else zip(choice.input_names, _indicators(choice, item), strict=True)
        result.update(own)
    return result


def _indicators(choice: Choice, item: Any) -> list[Any]:
    """A binary for each category, a variable or a number; None for variables of the block."""
    if item is None:
        return [None] * len(choice.categories)
    pairs = keyed_entries(item)
    if pairs is not None:
        by_category = dict(zip(*pairs, strict=True))
        if set(by_category) != set(choice.categories):
            raise ModelError(
                f"the input {choice.name!r} is given for {listed(list(by_category))}: give a binary for each of "
                f"{listed(choice.categories)}"
            )
        return [by_category[category] for category in choice.categories]
    if is_term(item) and not isinstance(item, (int, float, np.generic)):
        raise ModelError(
            f"the input {choice.name!r} is a category: give one of {listed(choice.categories)}, a binary variable for "
            "each of them, or None for variables of the block"
        )
    try:
        return choice.indicators(item).tolist()
    except NetworkValueError as error:
        raise ModelError(str(error)) from None


def check_binaries(terms: Sequence[Any], network: Network) -> None:
    """Make sure that variables of the user that stand for categories are binary.

    Raises
    ------
    ModelError
        If one is not: the network means nothing between two categories.
    """
    for position in (place for choice in network.choices for place in choice.positions):
        term = terms[position]
        if getattr(term, "is_variable_type", bool)() and not (term.is_integer() or term.fixed):
            raise ModelError(
                f"the variable {term.name!r} stands for {network.input_names[position]}: give it the domain Binary"
            )


def add_choices(block: Any, own: Collection[int]) -> None:
    """Make the block's own variables of categories binary, and say that exactly one category is chosen."""
    choices = {choice.name: choice for choice in block.network.choices}
    for position in (place for choice in choices.values() for place in choice.positions):
        if position in own:
            block.inputs[position].domain = Binary
    if choices:
        block.one_category = Constraint(
            list(choices), rule=lambda _, name: sum(block.inputs[place] for place in choices[name].positions) == 1
        )
