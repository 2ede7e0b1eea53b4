"""Functions inside a problem: which columns they read and which they write, and the order that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.expression import Expression
from pyomo_relugrad.network import Network
from pyomo_relugrad.problem.expression_stage import ExpressionStage
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.stages import Stage

#: What to do about functions that have no order.
REMEDY = "presolve(problem).problem gives one of them columns of its own"


@dataclass(frozen=True, eq=False)
class EmbeddedFunction:
    """One function inside a problem: ``v[outputs] = function(v[inputs])``.

    Parameters
    ----------
    function : Network or Expression
        Embeddings of equal functions are evaluated together.
    inputs : (n_inputs,) int array
        Columns of the inputs; a column may occur more than once.
    outputs : (n_outputs,) int array
        Columns of the outputs.
    name : str, optional
        Name of the block, or of what it stands in, for messages.
    """

    #: What it is, for messages, and what evaluates embeddings of one function together.
    kind: ClassVar[str]
    stage: ClassVar[type[NetworkStage] | type[ExpressionStage]]

    function: Any
    inputs: Array
    outputs: Array
    name: str = ""

    def __post_init__(self) -> None:
        for attribute, expected in (("inputs", self.function.n_inputs), ("outputs", self.function.n_outputs)):
            columns = np.array(getattr(self, attribute), dtype=np.int64, ndmin=1)
            if columns.shape != (expected,):
                raise ModelError(f"{self.label} has {expected} {attribute}, got {columns.size} columns")
            object.__setattr__(self, attribute, columns)

    @property
    def label(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} '{self.name}'"

    def renumbered(self, columns: Array) -> Self:
        """The same where column ``i`` has become ``columns[i]``."""
        return replace(self, inputs=columns[self.inputs], outputs=columns[self.outputs])


class EmbeddedNetwork(EmbeddedFunction):
    """One network inside a problem, ``EmbeddedNetwork(network, inputs, outputs, name="")``: see `EmbeddedFunction`."""

    kind, stage = "network", NetworkStage

    @property
    def network(self) -> Network:
        """The network."""
        return self.function


class EmbeddedExpression(EmbeddedFunction):
    """One smooth expression inside a problem, likewise."""

    kind, stage = "expression", ExpressionStage

    @property
    def expression(self) -> Expression:
        """The expression."""
        return self.function


def are_same(own: Sequence[EmbeddedFunction], others: Sequence[EmbeddedFunction]) -> bool:
    """Whether the same functions stand between the same columns, in the same order."""
    return len(own) == len(others) and all(
        first.function is second.function
        and np.array_equal(first.inputs, second.inputs)
        and np.array_equal(first.outputs, second.outputs)
        for first, second in zip(own, others, strict=True)
    )


def stages_of(embedded: Sequence[EmbeddedFunction], n_columns: int) -> tuple[Stage, ...]:
    """The functions in the order in which they can be evaluated, equal ones of one depth together.

    Raises
    ------
    ModelError
        If a column is written twice, or functions feed each other in a circle.
    """
    _check_outputs(embedded)
    return stacked(embedded, _depths(embedded, n_columns))


def stacked(embedded: Sequence[EmbeddedFunction], depths: Sequence[int]) -> tuple[Stage, ...]:
    """Equal functions of one depth together, by depth."""
    groups: dict[tuple[int, Any], list[EmbeddedFunction]] = {}
    for each, depth in zip(embedded, depths, strict=True):
        groups.setdefault((depth, each.function), []).append(each)
    return tuple(
        members[0].stage(
            function,
            np.stack([member.inputs for member in members]),
            np.stack([member.outputs for member in members]),
        )
        for (_, function), members in sorted(groups.items(), key=lambda item: item[0][0])
    )


def _check_outputs(embedded: Sequence[EmbeddedFunction]) -> None:
    """Refuse columns that are written twice."""
    outputs = np.concatenate([np.zeros(0, np.int64), *(each.outputs for each in embedded)])
    repeated = np.flatnonzero(np.bincount(outputs) > 1)
    if repeated.size:
        writers = [each for each in embedded for column in each.outputs.tolist() if column == repeated[0]]
        names = " and ".join(f"'{each.name}'" for each in writers)
        raise ModelError(f"{_kinds(writers)} {names} write the same column: {REMEDY}")


def _kinds(embedded: Sequence[EmbeddedFunction]) -> str:
    return " and ".join(dict.fromkeys(f"{each.kind}s" for each in embedded))


def _depths(embedded: Sequence[EmbeddedFunction], n_columns: int) -> list[int]:
    """How many functions lie before each of them."""
    writer = np.full(n_columns, -1)
    for index, each in enumerate(embedded):
        writer[each.outputs] = index
    before = [set(writer[each.inputs].tolist()) - {-1} for each in embedded]
    depth = [-1] * len(embedded)
    level = 0
    while (waiting := [index for index, value in enumerate(depth) if value < 0]) != []:
        ready = [i for i in waiting if all(depth[j] >= 0 for j in before[i])]
        if not ready:
            names = ", ".join(embedded[i].name for i in waiting)
            kinds = _kinds([embedded[i] for i in waiting])
            raise ModelError(f"{kinds} feed each other in a circle: {names}; {REMEDY}")
        for i in ready:
            depth[i] = level
        level += 1
    return depth
