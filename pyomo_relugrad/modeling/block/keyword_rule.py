"""The rule of a block that was given keyword arguments: what each of them is at each index of the block."""

from __future__ import annotations

import copy
import pickle
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from pyomo.core.base.block import BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.expr.numvalue import NumericValue

from pyomo_relugrad.errors import ModelError


class KeywordRule:
    """Keyword arguments of a block, kept so that indices which join the index set later get their block too.

    Subclasses are called with the block, and with an index or without, as Pyomo does for indexed and scalar components.

    Parameters
    ----------
    kind : str
        What the block is called in messages.
    given : dict
        The arguments by name.
    """

    def __init__(self, kind: str, given: Mapping[str, Any]) -> None:
        self.kind = kind
        self.given = {name: _reusable(argument) for name, argument in given.items()}

    def argument(self, name: str, block: BlockData) -> Any:
        """What was given as `name`, at the block's index.

        Raises
        ------
        ModelError
            If it is a mapping without this index, or a function that pickle could not keep.
        """
        given, indexed = self.given[name], block.parent_component().is_indexed()
        index = block.index() if indexed else ()
        if isinstance(given, _LostFunction):
            raise ModelError(
                f"{self.kind} '{block.name}': the function given as {name} was left out when the model was pickled, so "
                "no block can be added. Use a function defined at the top level of a module"
            )
        if is_rule(given):
            return given(block.parent_block(), *(index if isinstance(index, tuple) else (index,)))
        if not indexed or not self.is_by_index(name, given):
            return given
        if index not in given:
            raise ModelError(f"{self.kind} '{block.name}': {name} has no entry for the block's index {index!r}")
        return given[index]

    def is_by_index(self, name: str, given: Any) -> bool:
        """Whether an argument of an indexed block is a mapping by the block's index."""
        return isinstance(given, Mapping)

    def __deepcopy__(self, memo: dict[int, Any]) -> KeywordRule:
        duplicate = copy.copy(self)
        memo[id(self)] = duplicate
        duplicate.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return duplicate

    def __copy__(self) -> KeywordRule:
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(self.__dict__)
        return duplicate

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickle, without functions that it cannot find by name."""
        kept = {name: _LostFunction() if _is_lost(value) else value for name, value in self.given.items()}
        return {**self.__dict__, "given": kept}


class _LostFunction:
    """Stands for a function that could not be pickled."""


def is_rule(given: Any) -> bool:
    """Whether an argument is a function of the block's parent and index."""
    return callable(given) and not isinstance(given, (Component, NumericValue, IndexedComponent_slice))


def _reusable(argument: Any) -> Any:
    """The argument, as a list where it can be read only once or not be copied."""
    return list(argument) if isinstance(argument, (Iterator, KeysView, ValuesView, ItemsView)) else argument


def _is_lost(argument: Any) -> bool:
    if not is_rule(argument):
        return False
    try:
        pickle.dumps(argument)
    except (pickle.PicklingError, AttributeError, TypeError):
        return True
    return False
