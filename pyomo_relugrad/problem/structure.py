"""What is found out about a problem's functions and rows: who reads and writes which column, in which order."""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from typing import cast

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.problem.data import ProblemData
from pyomo_relugrad.problem.embedding import stacked, stages_of
from pyomo_relugrad.problem.network_stage import NetworkStage
from pyomo_relugrad.problem.stages import Stage
from pyomo_relugrad.problem.structural import FunctionProperty, StructuralProperty


class Shape(Enum):
    """What the constraints of a problem look like; it decides which way a search goes."""

    BOX = "box"
    POLYTOPE = "polytope"
    GENERAL = "general"


class ProblemStructure(ProblemData):
    """A problem that knows how its functions, columns and rows hang together."""

    @FunctionProperty
    def is_output(self) -> Array:
        """(n,) booleans: the columns that networks and expressions write."""
        mask = np.zeros(self.n_columns, bool)
        for embedded in self.functions:
            mask[embedded.outputs] = True
        return mask

    @FunctionProperty
    def is_input(self) -> Array:
        """(n,) booleans: the columns that networks and expressions read."""
        mask = np.zeros(self.n_columns, bool)
        for embedded in self.functions:
            mask[embedded.inputs] = True
        return mask

    @cached_property
    def free_integers(self) -> Array:
        """(n,) booleans: integers that no function writes, and to which their bounds leave a choice."""
        return self.integers & ~self.is_output & (self.lower < self.upper)

    @FunctionProperty
    def links_networks(self) -> Array:
        """(n,) booleans: the columns that one network writes and another one reads."""
        written, read = np.zeros((2, self.n_columns), bool)
        for embedded in self.networks:
            written[embedded.outputs] = read[embedded.inputs] = True
        return written & read

    @StructuralProperty
    def follows(self) -> Array:
        """(n,) booleans: columns that followers write."""
        follows = np.zeros(self.n_columns, bool)
        follows[[column for follower in self.followers for column in follower.outputs]] = True
        return follows

    @StructuralProperty
    def rows_touch_output(self) -> Array:
        """(m,) booleans: the rows with a column that some function writes."""
        return abs(self.rows) @ self.is_output.astype(float) > 0 if self.n_rows else np.zeros(0, bool)

    @StructuralProperty
    def decision_rows(self) -> Weight:
        """The rows without columns that functions write, over the columns that none does."""
        return sparse.csr_array(self.rows[~self.rows_touch_output][:, ~self.is_output])

    @FunctionProperty
    def stages(self) -> tuple[Stage, ...]:
        """The functions in the order in which they can be evaluated, equal ones of one depth together.

        Raises
        ------
        ModelError
            If there is no such order, because a column is written twice or functions feed each other in a circle.
        """
        return stages_of(self.functions, self.n_columns)

    @property
    def is_defined_everywhere(self) -> bool:
        """Whether every function has a value at every point; expressions may have none, which is NaN."""
        return not self.expressions

    @FunctionProperty
    def is_piecewise_linear(self) -> bool:
        """Whether every function has linear regions."""
        return not self.expressions and all(embedded.network.is_piecewise_linear for embedded in self.networks)

    @property
    def smooth_part(self) -> str:
        """Kind and name of the first function that is not piecewise linear, for messages."""
        for embedded in self.networks:
            if not embedded.network.is_piecewise_linear:
                return f"{embedded.label} with {', '.join(embedded.network.smooth_activations)} neurons"
        return self.expressions[0].label

    @property
    def network_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a problem with networks alone, for what bounds them.

        Raises
        ------
        ModelError
            If there is an expression; names it.
        """
        if self.expressions:
            raise ModelError(
                f"{self.expressions[0].label} is smooth, and what was asked for needs networks: use solver 'relugrad' "
                "with method 'auto'"
            )
        return cast(tuple[NetworkStage, ...], self.stages)

    @property
    def relu_stages(self) -> tuple[NetworkStage, ...]:
        """The stages of a piecewise-linear problem, for what needs linear regions or rows and binaries of networks.

        Raises
        ------
        ModelError
            If there is a smooth function; names it.
        """
        if not self.is_piecewise_linear:
            raise ModelError(
                f"{self.smooth_part} is smooth, and what was asked for needs piecewise-linear functions: use solver "
                "'relugrad' with method 'auto', or 'relugrad.exact'"
            )
        return cast(tuple[NetworkStage, ...], self.stages)

    @FunctionProperty
    def equations(self) -> tuple[Stage, ...]:
        """The embeddings of each function together, in any order."""
        return stacked(self.functions, [0] * len(self.functions))

    @cached_property
    def shape(self) -> Shape:
        """Box, polytope in the columns that no function writes, or general (integers, rows or bounds on outputs)."""
        bounded_output = np.isfinite(self.lower) | np.isfinite(self.upper)
        if self.integers.any() or (bounded_output & self.is_output).any():
            return Shape.GENERAL
        if self.n_rows == 0:
            return Shape.BOX
        return Shape.GENERAL if self.rows_touch_output.any() else Shape.POLYTOPE
