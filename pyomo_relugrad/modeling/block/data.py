"""What one network block holds: its components, its network, and what it can tell of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

import numpy as np
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.expression import Expression
from pyomo.core.base.set import RangeSet
from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.arguments import BoundPair, resolve_bounds, resolve_terms
from pyomo_relugrad.modeling.block.categories import add_choices, check_binaries, with_categories
from pyomo_relugrad.modeling.block.derived_bounds import DerivedBounds, or_none
from pyomo_relugrad.modeling.block.entries import network_inputs, network_outputs
from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.block.input_ranges import input_ranges, input_values, within_given_bounds
from pyomo_relugrad.modeling.block.integrity import RenamedPartError, are_unchanged, changed_equations
from pyomo_relugrad.modeling.block.scaling import Scaling, folded, resolve_scaling, scaled
from pyomo_relugrad.modeling.block.scores import rows_of_class
from pyomo_relugrad.modeling.block.statistics import Statistics, statistics_of
from pyomo_relugrad.modeling.block.tables import bounds_by_name
from pyomo_relugrad.modeling.block.units import in_unit, unit_of
from pyomo_relugrad.modeling.block.variables import add_variables
from pyomo_relugrad.network import Network
from pyomo_relugrad.readers.sources import load_network

#: Components that a block with a network has.
PARTS = frozenset({"inputs", "outputs", "scaled_inputs", "scaled_outputs", "network_equations"})


class ReluNetworkBlockData(BlockData):
    """One network of a `ReluNetworkBlock`, with the components and values that belong to it.

    Attributes
    ----------
    inputs, outputs : Var
        Indexed from 0 in the order of `Network`: the block's own variables, or a `Reference` to the user's.
    scaled_inputs, scaled_outputs : Expression
        ``(value - offset) / factor``, in the units of the original network; the values themselves without `scaling`.
    input_links, output_links : Constraint
        Where expressions were given: rows that tie them to the block's own variables.
    input_domain : Constraint
        Where `input_bounds` were given for the user's variables: rows that hold them.
    one_category : Constraint
        Where the network has categorical inputs: of the binaries of each, one is 1.
    network_equations : Constraint
        ``outputs == network(inputs)``, by which other solvers and writers notice the network; see
        `pyomo_relugrad.modeling.block.guards`. Inactive while the block is expanded.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component)
        self._network: Network | None = None
        self._scaled_network: Network | None = None
        self._scaling: Scaling | None = None
        self._given_bounds: list[BoundPair] = []
        self._equations: tuple[Any, ...] = ()
        self._domain_rows: dict[int, Any] = {}
        self._link_rows: dict[int, Any] = {}
        self._linked_inputs: dict[int, Any] = {}
        self._derived_bounds = DerivedBounds()
        self._expansion_name: str | None = None

    # --- building -----------------------------------------------------------------------------------------------

    def build(
        self, network: Any, inputs: Any = None, outputs: Any = None, input_bounds: Any = None, scaling: Any = None
    ) -> None:
        """Put a network on the block; for rules of an indexed block.

        The parameters are those of `ReluNetworkBlock`.

        Raises
        ------
        ModelError
            If the block has a network already, or an argument does not fit the network; names the block.
        """
        if self._network is not None:
            raise ModelError(f"network block '{self.name}' already has a network: make another block")
        loaded = load_network(network)
        try:
            self._scaling = resolve_scaling(scaling, network_inputs(loaded), network_outputs(loaded))
            self._given_bounds = resolve_bounds(bounds_by_name(input_bounds, loaded), network_inputs(loaded))
            input_terms = None
            if inputs is not None:
                input_terms = resolve_terms(with_categories(inputs, loaded), network_inputs(loaded))
                check_binaries(input_terms, loaded)
            output_terms = None if outputs is None else resolve_terms(outputs, network_outputs(loaded))
        except ModelError as error:
            raise ModelError(f"network block '{self.name}': {error}") from error
        self._network = loaded
        self._scaled_network = folded(loaded, self._scaling)
        with PauseGC():
            self.inputs_index = RangeSet(0, loaded.n_inputs - 1)
            self.outputs_index = RangeSet(0, loaded.n_outputs - 1)
            self._add_inputs(input_terms)
            self._add_outputs(output_terms)
            self._add_scaled_expressions()
            self._add_equations()

    def _add_inputs(self, terms: Sequence[Any] | None) -> None:
        bounds = self._given_bounds
        own = add_variables(self, "input", terms, self.inputs_index)
        self._link_rows = {} if terms is None or not own else dict(self.input_links.items())
        self._linked_inputs = {position: self.inputs[position] for position in self._link_rows}
        for position in own:
            self.inputs[position].setlb(bounds[position][0])
            self.inputs[position].setub(bounds[position][1])
        add_choices(self, own)
        others = {i: pair for i, pair in enumerate(bounds) if i not in own and any(side is not None for side in pair)}
        if others:
            self.input_domain = Constraint(list(others))
            for position, (low, high) in others.items():
                unit = unit_of(self.inputs[position])
                self.input_domain[position] = (in_unit(low, unit), self.inputs[position], in_unit(high, unit))
            self._domain_rows = dict(self.input_domain.items())

    def _add_outputs(self, terms: Sequence[Any] | None) -> None:
        own = add_variables(self, "output", terms, self.outputs_index)
        self._derived_bounds = DerivedBounds(own)
        self.refresh_output_bounds()

    def _add_scaled_expressions(self) -> None:
        inputs, outputs = list(self.inputs.values()), list(self.outputs.values())
        if self._scaling is not None:
            scaling = self._scaling
            inputs = scaled(inputs, scaling.input_offset, scaling.input_factor)
            outputs = scaled(outputs, scaling.output_offset, scaling.output_factor)
        self.scaled_inputs = Expression(self.inputs_index, initialize=dict(enumerate(inputs)))
        self.scaled_outputs = Expression(self.outputs_index, initialize=dict(enumerate(outputs)))

    def _add_equations(self) -> None:
        arguments = tuple(self.inputs.values())
        self.network_equations = Constraint(self.outputs_index)
        for position, variable in self.outputs.items():
            value = NetworkOutputExpression(arguments, self, position)
            self.network_equations[position] = EqualityExpression((variable, value))
        self._equations = tuple(self.network_equations.values())

    def __getattr__(self, name: str) -> Any:
        if name in PARTS and self.__dict__.get("_network") is not None:
            raise RenamedPartError(self, name)
        return super().__getattr__(name)

    # --- what the block knows -----------------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The original network, in scaled units."""
        if self._network is None:
            raise ModelError(f"network block '{self.name}' has no network yet: call build(network=...)")
        return self._network

    @property
    def scaled_network(self) -> Network:
        """The network with the scaling inside: from `inputs` to `outputs` in the user's units."""
        return self.network if self._scaled_network is None else self._scaled_network

    @property
    def scaling(self) -> Scaling | None:
        """The scaling, None where there is none."""
        return self._scaling

    @property
    def is_built(self) -> bool:
        """Whether the block has a network."""
        return self._network is not None

    def _require_unchanged(self) -> None:
        if not are_unchanged(self):
            raise changed_equations(self)

    def input_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the inputs as they are now, (n_inputs,) arrays with infinities.

        The bounds of the variables or expressions, and `input_bounds` where these were given; a fixed input is a point.

        Raises
        ------
        ModelError
            If a transformation rewrote the block's equations, and perhaps the units of its inputs.
        """
        self._require_unchanged()
        lower, upper = input_ranges(self)
        for position, variable in self.inputs.items():
            if variable.fixed and variable.value is not None:
                lower[position] = upper[position] = variable.value
        return lower, upper

    @property
    def input_bounds(self) -> dict[int, tuple[float | None, float | None]]:
        """`input_box` by position, None where there is no bound."""
        return {
            position: (or_none(low), or_none(high))
            for position, (low, high) in enumerate(zip(*(side.tolist() for side in self.input_box()), strict=True))
        }

    def refresh_output_bounds(self, box: tuple[Array, Array] | None = None) -> bool:
        """Set the interval bounds of the outputs again, after bounds of the inputs were changed.

        Only of outputs that the block owns, and only the sides that are still as the block set them.

        Parameters
        ----------
        box : pair of (n_inputs,) arrays, optional
            Lower and upper bounds of the inputs; default those of the variables, fixed or not, and `input_bounds`.

        Returns
        -------
        bool
            Whether a bound changed.
        """
        if not self._derived_bounds:
            return False
        if box is None:
            self._require_unchanged()
        lower, upper = input_ranges(self) if box is None else box
        if (lower > upper).any():
            return False
        return self._derived_bounds.renew(self.outputs, self.scaled_network, lower, upper)

    def derived_bounds_hold(self, lower: Array, upper: Array) -> bool:
        """Whether the bounds derived for the outputs hold with inputs between these (n_inputs,) arrays."""
        lower, upper = within_given_bounds(self, lower, upper)
        if not self._derived_bounds or (lower > upper).any():
            return True
        return self._derived_bounds.hold(self.scaled_network, lower, upper)

    def has_automatic_bounds(self, position: int) -> tuple[bool, bool]:
        """Whether an output's lower and upper bound are those that the block derived from the inputs' bounds."""
        return self._derived_bounds.are_set(self.outputs, position)

    def get_error(self) -> float:
        """Largest difference between the outputs in the model and the original network at the model's inputs.

        Inputs that were given as expressions have the values of these.

        Returns
        -------
        float
            In the units of the outputs.

        Raises
        ------
        ModelError
            If an input or an output has no value, or a transformation rewrote the block's equations.
        """
        self._require_unchanged()
        point = _numbers(self.inputs, input_values(self))
        found = _numbers(self.outputs, [variable.value for variable in self.outputs.values()])
        scaling = self._scaling
        if scaling is None:
            expected = self.network.value(point[None, :])[0]
        else:
            scaled = self.network.value(((point - scaling.input_offset) / scaling.input_factor)[None, :])[0]
            expected = scaling.output_offset + scaling.output_factor * scaled
        return float(np.abs(found - expected).max())

    def print_stats(self, file: TextIO | None = None) -> None:
        """Print the layers with their shapes, and how many ReLUs are decided by the inputs' current bounds.

        Parameters
        ----------
        file : text stream, optional
            Default standard output.
        """
        print(self._statistics().text(), file=sys.stdout if file is None else file)

    def _statistics(self) -> Statistics:
        box = self.input_box()
        columns = {"input": list(self.inputs.values()), "output": list(self.outputs.values())}
        return statistics_of(self.name, self.scaled_network, box, columns)

    def _repr_html_(self) -> str | None:
        return self._statistics().html() if self.is_built and are_unchanged(self) else None

    def predicts(self, which: Any, margin: float = 0.0) -> list[Any]:
        """Rows by which a classifier's network gives a class the largest score.

        Parameters
        ----------
        which : int or str
            Position of the class among the classifier's ``classes_``, or the name of its output. A classifier of two
            classes has one score, which is positive for class 1 and negative for class 0.
        margin : float, optional
            By how much the score is larger than the others; from zero, where one score tells two classes apart.

        Returns
        -------
        list of relational expressions
            For a `ConstraintList`.
        """
        try:
            return rows_of_class(list(self.outputs.values()), self.network.output_names, which, margin)
        except ModelError as error:
            raise ModelError(f"network block '{self.name}': {error}") from None

    # --- expansion into constraints -----------------------------------------------------------------------------

    @property
    def expansion(self) -> Any:
        """The child block that holds the network as constraints, None while there is none."""
        return None if self._expansion_name is None else self.component(self._expansion_name)

    @property
    def is_expanded(self) -> bool:
        """Whether the network is there as constraints, for other solvers to read."""
        return self.expansion is not None

    def set_expansion(self, child: Any) -> None:
        """Say that a child block now states the network (its equations go), or with None that none does (they return).

        Parameters
        ----------
        child : Block or None
            A component of this block.

        Raises
        ------
        ModelError
            If the child is not a component of this block.
        """
        if child is not None and child.parent_block() is not self:
            raise ModelError(
                f"the expansion of network block '{self.name}' must be one of its components: add it to the block first"
            )
        self._expansion_name = None if child is None else child.local_name
        if child is None:
            self.network_equations.activate()
        else:
            self.network_equations.deactivate()


def _numbers(component: Any, values: Sequence[float | None]) -> Array:
    """Values (n,) of the variables of a component, none of them missing."""
    for variable, value in zip(component.values(), values, strict=True):
        if value is None:
            raise ModelError(f"variable '{variable.name}' has no value: solve the model first")
    return np.array(values, np.float64)
