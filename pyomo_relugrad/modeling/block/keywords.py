"""Blocks that keyword arguments build: their scalar and indexed classes, and what an argument is at each index."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from pyomo.core.base.block import Block, BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.global_set import UnindexedComponent_index, UnindexedComponent_set
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.expr.numvalue import NumericValue

from pyomo_relugrad.errors import ModelError


class KeywordBlock(Block):
    """A block that is built by keyword arguments or by Pyomo's `rule`.

    A subclass names its class of data, ``class MyBlock(KeywordBlock, data=MyBlockData)``, and keeps its signature and
    docstring, which Pyomo's `declare_custom_block` would not. ``ScalarMyBlock`` and ``IndexedMyBlock`` are made from
    it, in its module, where pickle looks for them.
    """

    _kinds: tuple[type[Any], type[Any]]

    def __init_subclass__(cls, data: type[BlockData] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if data is None:  # a scalar or an indexed class
            return
        cls._ComponentDataClass = data
        make: Any = type(cls)
        space = {"__module__": cls.__module__, "_keyword_block": cls}
        scalar = make(f"Scalar{cls.__name__}", (_ScalarBlock, data, cls), space)
        indexed = make(f"Indexed{cls.__name__}", (cls,), space)
        cls._kinds = (scalar, indexed)
        for kind in cls._kinds:
            setattr(sys.modules[cls.__module__], kind.__name__, kind)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Route to the scalar or the indexed class."""
        if "_kinds" not in cls.__dict__:
            return super().__new__(cls)
        is_scalar = not args or (args[0] is UnindexedComponent_set and len(args) == 1)
        return super().__new__(cls._kinds[0 if is_scalar else 1])


class _ScalarBlock:
    """What a scalar class has before all else: it is its own data."""

    _keyword_block: Any
    _ComponentDataClass: Any
    _data: dict[Any, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ComponentDataClass.__init__(self, self)
        self._keyword_block.__init__(self, *args, **kwargs)
        self._data[None] = self
        self._index = UnindexedComponent_index


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
