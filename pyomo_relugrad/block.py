"""`ReluNetworkBlock`: a trained network as a block of a Pyomo model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO
from weakref import WeakKeyDictionary

import numpy as np
from pyomo.common.gc_manager import PauseGC
from pyomo.core.base.block import Block, BlockData
from pyomo.core.base.component import Component
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.expression import Expression
from pyomo.core.base.global_set import UnindexedComponent_index, UnindexedComponent_set
from pyomo.core.base.indexed_component import IndexedComponent
from pyomo.core.base.indexed_component_slice import IndexedComponent_slice
from pyomo.core.base.reference import Reference
from pyomo.core.base.set import RangeSet
from pyomo.core.base.var import Var
from pyomo.core.expr.numvalue import NumericValue
from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.block_arguments import (
    Scaling,
    network_inputs,
    network_outputs,
    resolve_bounds,
    resolve_scaling,
    resolve_terms,
)
from pyomo_relugrad.block_guards import GUIDANCE, NetworkOutputExpression, UnexpandedReluNetwork
from pyomo_relugrad.block_statistics import write_statistics
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.network import Network, interval_bounds
from pyomo_relugrad.network.rewrite import fold_scaling


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
    unexpanded, network_equations
        The guards by which other solvers and writers notice the network; see `pyomo_relugrad.block_guards`.
    """

    def __init__(self, component: Component) -> None:
        super().__init__(component)
        self._network: Network | None = None
        self._scaled_network: Network | None = None
        self._scaling: Scaling | None = None
        self._given_bounds: tuple[Array, Array] | None = None
        self._automatic_output_bounds: dict[int, tuple[float | None, float | None]] = {}
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
            raise ModelError(f"network block '{self.name}' already has a network")
        loaded = as_network(network)
        try:
            self._scaling = resolve_scaling(scaling, network_inputs(loaded), network_outputs(loaded))
            self._given_bounds = resolve_bounds(input_bounds, network_inputs(loaded))
            input_terms = None if inputs is None else resolve_terms(inputs, network_inputs(loaded))
            output_terms = None if outputs is None else resolve_terms(outputs, network_outputs(loaded))
        except ModelError as error:
            raise ModelError(f"network block '{self.name}': {error}") from error
        self._network = loaded
        self._scaled_network = _folded(loaded, self._scaling)
        with PauseGC():
            self.inputs_index = RangeSet(0, loaded.n_inputs - 1)
            self.outputs_index = RangeSet(0, loaded.n_outputs - 1)
            self._add_inputs(input_terms)
            self._add_outputs(output_terms)
            self._add_scaled_expressions()
            self._add_guards()

    def _add_inputs(self, terms: Sequence[Any] | None) -> None:
        lower, upper = self._given_bounds or (np.empty(0), np.empty(0))
        bounds = [(_or_none(low), _or_none(high)) for low, high in zip(lower.tolist(), upper.tolist(), strict=True)]
        own = self._add_variables("inputs", "input", terms, self.inputs_index)
        for position in own:
            self.inputs[position].setlb(bounds[position][0])
            self.inputs[position].setub(bounds[position][1])
        others = {i: pair for i, pair in enumerate(bounds) if i not in own and pair != (None, None)}
        if others:
            self.input_domain = Constraint(list(others))
            for position, (low, high) in others.items():
                self.input_domain[position] = (low, self.inputs[position], high)

    def _add_outputs(self, terms: Sequence[Any] | None) -> None:
        own = self._add_variables("outputs", "output", terms, self.outputs_index)
        self._automatic_output_bounds = dict.fromkeys(own, (None, None))
        self.refresh_output_bounds()

    def _add_variables(self, name: str, what: str, terms: Sequence[Any] | None, index: Any) -> list[int]:
        """Add the component `name` over variables, own ones where no variable is given; return the own positions."""
        if terms is None:
            self.add_component(name, Var(index))
            return list(index)
        own = [position for position, term in enumerate(terms) if not _is_variable(term)]
        variables = dict(enumerate(terms))
        if own:
            linked, links = Var(own), Constraint(own)
            self.add_component(f"linked_{name}", linked)
            self.add_component(f"{what}_links", links)
            for position in own:
                variables[position] = linked[position]
                links[position] = EqualityExpression((linked[position], terms[position]))
        self.add_component(name, _reference(variables, index))
        return own

    def _add_scaled_expressions(self) -> None:
        inputs, outputs = list(self.inputs.values()), list(self.outputs.values())
        if self._scaling is not None:
            scaling = self._scaling
            inputs = _scaled(inputs, scaling.input_offset, scaling.input_factor)
            outputs = _scaled(outputs, scaling.output_offset, scaling.output_factor)
        self.scaled_inputs = Expression(self.inputs_index, initialize=dict(enumerate(inputs)))
        self.scaled_outputs = Expression(self.outputs_index, initialize=dict(enumerate(outputs)))

    def _add_guards(self) -> None:
        self.unexpanded = UnexpandedReluNetwork([GUIDANCE])
        arguments = tuple(self.inputs.values())
        self.network_equations = Constraint(self.outputs_index)
        for position, variable in self.outputs.items():
            value = NetworkOutputExpression(arguments, self, position)
            self.network_equations[position] = EqualityExpression((variable, value))

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

    def input_box(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the inputs as they are now, (n_inputs,) arrays with infinities.

        The variables' bounds, and `input_bounds` where these were given; a fixed input is a point.
        """
        lower, upper = self._variable_bounds()
        for position, variable in self.inputs.items():
            if variable.fixed and variable.value is not None:
                lower[position] = upper[position] = variable.value
        return lower, upper

    def _variable_bounds(self) -> tuple[Array, Array]:
        pairs = [variable.bounds for variable in self.inputs.values()]
        lower = np.array([-np.inf if low is None else low for low, _ in pairs], np.float64)
        upper = np.array([np.inf if high is None else high for _, high in pairs], np.float64)
        if self.component("input_domain") is not None and self._given_bounds is not None:
            lower, upper = np.maximum(lower, self._given_bounds[0]), np.minimum(upper, self._given_bounds[1])
        return lower, upper

    @property
    def input_bounds(self) -> dict[int, tuple[float | None, float | None]]:
        """`input_box` by position, None where there is no bound."""
        return {
            position: (_or_none(low), _or_none(high))
            for position, (low, high) in enumerate(zip(*(side.tolist() for side in self.input_box()), strict=True))
        }

    def refresh_output_bounds(self) -> None:
        """Set the interval bounds of the outputs again, after bounds of the inputs were changed.

        Only outputs that the block owns and whose bounds are still those that the block set.
        """
        if not self._automatic_output_bounds:
            return
        lower, upper = self._variable_bounds()
        if (lower > upper).any():
            return
        bounds = interval_bounds(self.scaled_network, lower[None, :], upper[None, :])
        for position in self._automatic_output_bounds:
            if self.has_automatic_bounds(position):
                sides = (bounds.output_lower[0, position], bounds.output_upper[0, position])
                low, high = (_or_none(float(side)) for side in sides)
                self.outputs[position].setlb(low)
                self.outputs[position].setub(high)
                self._automatic_output_bounds[position] = (low, high)

    def has_automatic_bounds(self, position: int) -> bool:
        """Whether an output's bounds are those that the block derived, so that they follow from the inputs' bounds."""
        variable = self.outputs[position]
        return self._automatic_output_bounds.get(position, ()) == (variable.lower, variable.upper)

    def get_error(self) -> float:
        """Largest difference between the outputs in the model and the original network at the model's inputs.

        Returns
        -------
        float
            In the units of the outputs.

        Raises
        ------
        ModelError
            If an input or an output has no value.
        """
        point, found = (self._values(component) for component in (self.inputs, self.outputs))
        scaling = self._scaling
        if scaling is None:
            expected = self.network.value(point[None, :])[0]
        else:
            scaled = self.network.value(((point - scaling.input_offset) / scaling.input_factor)[None, :])[0]
            expected = scaling.output_offset + scaling.output_factor * scaled
        return float(np.abs(found - expected).max())

    def _values(self, component: Any) -> Array:
        for variable in component.values():
            if variable.value is None:
                raise ModelError(f"variable '{variable.name}' has no value: solve the model first")
        return np.array([variable.value for variable in component.values()], np.float64)

    def print_stats(self, file: TextIO | None = None) -> None:
        """Print the layers with their shapes, and how many ReLUs are decided by the inputs' current bounds.

        Parameters
        ----------
        file : text stream, optional
            Default standard output.
        """
        write_statistics(self, sys.stdout if file is None else file)

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
        """Say that a child block now states the network (the guards go), or with None that none does (they return).

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
            raise ModelError(f"the expansion of network block '{self.name}' must be one of its components")
        self._expansion_name = None if child is None else child.local_name
        for guard in (self.unexpanded, self.network_equations):
            if child is None:
                guard.activate()
            else:
                guard.deactivate()


class ReluNetworkBlock(Block):
    """A trained ReLU network inside a Pyomo model: ``outputs == network(inputs)``.

    The network stays a function: ``SolverFactory("relugrad")`` searches with its values and derivatives, and
    ``TransformationFactory("relugrad.omlt")`` turns it into constraints for other solvers. Until then these refuse
    the model. A deactivated block drops out of the model, and its outputs become ordinary variables.

    Parameters
    ----------
    *args
        Index sets, as for `Block`.
    network : Network, path, bytes or onnx.ModelProto
    inputs : variables or expressions, optional
        In the order of the network's inputs, flattened row by row: an indexed `Var` or `Reference`, a slice, a
        sequence, or a mapping whose keys are positions ``0..n-1``, names of the file's input tensors, or pairs
        (name, index). Expressions and numbers get a variable of the block and an equality row. Default: variables of
        the block.
    outputs : variables or expressions, optional
        Likewise. Variables of the block get interval bounds, variables of the user are left as they are.
    input_bounds : pair, sequence of pairs, or mapping, optional
        (lower, upper) in the units of `inputs`, not scaled; None is no bound. They become bounds of variables of the
        block, and rows over variables of the user, whose own bounds hold as well.
    scaling : omlt.OffsetScaling or mapping, optional
        The network computes in ``(value - offset) / factor``; a mapping is
        ``{"inputs": (offset, factor), "outputs": (offset, factor)}``, numbers or one number per entry.
    **kwargs
        As for `Block`: `rule`, `name`, `doc`, `concrete`.

    Notes
    -----
    Whatever the index sets of the variables, ``inputs`` and ``outputs`` of the block count from 0.

    On an indexed block each argument may be a function ``f(parent, *index)`` or a mapping by the block's index;
    anything else, and for a scalar block any mapping, holds as it is. The other way is Pyomo's `rule`, which calls
    `ReluNetworkBlockData.build`.

    Raises
    ------
    ModelError
        If an argument does not fit the network.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> network = Network.from_layers([[[1.0, -1.0]], [[2.0]]], [[0.5], [1.0]])
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(["width", "height"], bounds=(0, 1))
    >>> m.nn = ReluNetworkBlock(network=network, inputs=m.x)
    >>> m.nn.inputs[1].name, round(m.nn.outputs[0].lb, 6), round(m.nn.outputs[0].ub, 6)
    ('x[height]', 1.0, 4.0)
    >>> m.n = ReluNetworkBlock([1, 2], network=network, inputs={1: m.x, 2: [m.x["height"], 0.5 * m.x["width"]]})
    >>> m.k = ReluNetworkBlock([1, 2], rule=lambda b, k: b.build(network, inputs=[m.x["width"], k]))
    """

    _ComponentDataClass = ReluNetworkBlockData

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Route to the scalar or the indexed class."""
        if cls is not ReluNetworkBlock:
            return super().__new__(cls)
        scalar = not args or (args[0] is UnindexedComponent_set and len(args) == 1)
        return super().__new__(ScalarReluNetworkBlock if scalar else IndexedReluNetworkBlock)

    def __init__(
        self,
        *args: Any,
        network: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        input_bounds: Any = None,
        scaling: Any = None,
        **kwargs: Any,
    ) -> None:
        given = {
            "network": network,
            "inputs": inputs,
            "outputs": outputs,
            "input_bounds": input_bounds,
            "scaling": scaling,
        }
        if network is not None and kwargs.get("rule") is not None:
            raise ModelError(
                "ReluNetworkBlock takes network or rule, not both: give the network to build() in the rule"
            )
        if network is not None:
            kwargs["rule"] = _KeywordRule(given)
        elif any(argument is not None for argument in given.values()):
            raise ModelError("ReluNetworkBlock needs a network")
        self._built_by_keywords = network is not None
        super().__init__(*args, **kwargs)

    def construct(self, data: Any = None) -> None:
        """Build the networks; keyword arguments are then forgotten, so that functions among them do not stop pickle."""
        super().construct(data)
        if self._built_by_keywords and self.index_set().isfinite():
            self._rule = None


class ScalarReluNetworkBlock(ReluNetworkBlockData, ReluNetworkBlock):
    """A network block without an index."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        ReluNetworkBlockData.__init__(self, self)
        ReluNetworkBlock.__init__(self, *args, **kwargs)
        self._data[None] = self
        self._index = UnindexedComponent_index


class IndexedReluNetworkBlock(ReluNetworkBlock):
    """A network block over an index set."""


class _KeywordRule:
    """The rule of a block that was given keyword arguments: builds the network at each index.

    It may be called with an index or without, as Pyomo does for indexed and scalar components.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __call__(self, block: ReluNetworkBlockData, *_: Any) -> None:
        component = block.parent_component()
        if not _is_rule(self.given["network"]) and not isinstance(self.given["network"], Mapping):
            self.given["network"] = as_network(self.given["network"])  # once, so that all indices share it
        arguments = {name: self._at(name, block, component.is_indexed()) for name in self.given}
        block.build(**arguments)

    def _at(self, name: str, block: ReluNetworkBlockData, indexed: bool) -> Any:
        given = self.given[name]
        index = block.index() if indexed else ()
        if _is_rule(given):
            return given(block.parent_block(), *(index if isinstance(index, tuple) else (index,)))
        if not indexed or not isinstance(given, Mapping) or (name == "scaling" and {"inputs", "outputs"} & set(given)):
            return given
        if index not in given:
            raise ModelError(f"network block '{block.name}': {name} has no entry for the block's index {index!r}")
        return given[index]


def as_network(given: Any) -> Network:
    """A network, read from an ONNX file where it is not one already."""
    if isinstance(given, Network):
        return given
    from pyomo_relugrad.onnx_reader import load_onnx  # onnx is slow to import and not needed for a Network

    return load_onnx(given)


def unexpanded_blocks(model: BlockData) -> Iterator[ReluNetworkBlockData]:
    """Active network blocks of a model, itself included, that are not expanded; in order of declaration."""
    for block in model.block_data_objects(active=True, descend_into=True):
        if isinstance(block, ReluNetworkBlockData) and block.is_built and not block.is_expanded:
            yield block


def _is_rule(given: Any) -> bool:
    return isinstance(given, Callable) and not isinstance(  # type: ignore[arg-type]
        given, (Component, NumericValue, IndexedComponent_slice)
    )


def _is_variable(term: Any) -> bool:
    return bool(getattr(term, "is_variable_type", lambda: False)())


def _reference(variables: dict[int, Any], index: Any) -> Any:
    """A `Reference` to the variables that walkers over all variables do not see.

    They would meet the user's variables twice, at which Pyomo's MPS writer fails; hence the component type.
    """
    reference = Reference(variables, ctype=Var)
    reference._ctype = IndexedComponent
    reference._index_set = index
    reference.referent = "variables given to the block"
    return reference


def _or_none(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None


def _scaled(variables: Sequence[Any], offset: Array, factor: Array) -> list[Any]:
    parts = zip(variables, offset.tolist(), factor.tolist(), strict=True)
    return [(variable - shift) / scale for variable, shift, scale in parts]


_FOLDED: WeakKeyDictionary[Network, dict[bytes, Network]] = WeakKeyDictionary()


def _folded(network: Network, scaling: Scaling | None) -> Network | None:
    """The network with the scaling inside: the same object for equal arguments, so that blocks share it."""
    if scaling is None:
        return None
    known = _FOLDED.setdefault(network, {})
    if scaling.key() not in known:
        known[scaling.key()] = fold_scaling(
            network, scaling.input_offset, scaling.input_factor, scaling.output_offset, scaling.output_factor
        )
    return known[scaling.key()]
