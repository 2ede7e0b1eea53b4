"""``TransformationFactory("relugrad.omlt")``: network blocks expanded into OMLT's formulations, with a start."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.collections import ComponentSet
from pyomo.common.config import ConfigDict, ConfigValue, In, IsInstance
from pyomo.common.dependencies import attempt_import
from pyomo.common.modeling import unique_component_name
from pyomo.core import Transformation
from pyomo.core.base.block import BlockData
from pyomo.core.base.transformation import ReverseTransformationToken
from pyomo.core.util import target_list
from pyomo.gdp import Disjunct

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.checks import check_known, refuse_unknown
from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.block.component import refresh_output_bounds, unexpanded_blocks
from pyomo_relugrad.modeling.block.input_ranges import input_ranges, input_values, linked_term
from pyomo_relugrad.modeling.block.integrity import changed_equations, is_intact
from pyomo_relugrad.modeling.block.units import without_unit
from pyomo_relugrad.modeling.solver.config import refusal
from pyomo_relugrad.network import PreactivationBounds
from pyomo_relugrad.problem import BOUND_METHODS
from pyomo_relugrad.programs import network_bounds
from pyomo_relugrad.words import shown

# OMLT takes a second to import, and is not needed before a network is expanded.
omlt, _ = attempt_import("omlt")
omlt_formulation, _ = attempt_import("pyomo_relugrad.modeling.omlt.formulation")
omlt_layers, _ = attempt_import("pyomo_relugrad.modeling.omlt.layers")
omlt_smooth, _ = attempt_import("pyomo_relugrad.modeling.omlt.smooth_rows")

#: Formulations of OMLT.
FORMULATIONS = ("bigm", "partition", "complementarity", "full-space", "reduced-space")

#: Those for ReLUs alone.
OF_RELUS = ("bigm", "partition", "complementarity")

#: Those whose constraints of ReLUs need finite bounds on every input.
BOUNDED = ("bigm", "partition", "full-space")

#: Seconds that linear programs may take to tighten bounds, shared by all networks of one call.
MAX_TIGHTENING_SECONDS = 10.0


class ExpandToOmlt(Transformation):
    """Expand network blocks into OMLT formulations that any solver of Pyomo can read.

    Each `ReluNetworkBlock` gets an `OmltBlock` as a child, ``nn.omlt``, whose components carry OMLT's names:
    ``inputs``, ``scaled_inputs``, ``layer[k].zhat`` (pre-activations), ``layer[k].z`` (activations),
    ``layer[k].q_relu`` (which ReLUs are active), ``scaled_outputs``, ``outputs``; ``layer[0]`` is the input. Scaling
    of the block is inside the weights. All variables, and the block's outputs, get the values that follow from the
    current values of the block's inputs, in float64, so that the point that a local search left in the model starts
    a MILP solver. Where an input has no value they have none.

    Binaries of ReLUs that the bounds prove stable are fixed. The bounds of inputs are those of the variables when the
    transformation is applied, whether fixed or not, moved inward to integers for integer variables; a fixed variable
    without bounds counts as a constant. Networks in disjuncts are expanded too; transform the disjunctions afterwards.

    Options of ``apply_to`` and ``create_using``, as attributes of ``CONFIG``:

    formulation : str
        ``"full-space"`` (default) is what OMLT's `FullSpaceNNFormulation` makes of a network: big-M constraints of
        ReLUs, an equation for each smooth neuron. ``"reduced-space"`` has no variables for neurons, only nested
        expressions, with absolute values for ReLUs. The others are for ReLUs alone: ``"bigm"`` and ``"partition"`` are
        mixed-integer linear; the second has more variables and a tighter relaxation. ``"complementarity"`` is smooth
        and nonconvex, without binaries. Big-M constraints and ``"partition"`` need finite bounds on every input.
    bounds : str
        How pre-activations are bounded over the inputs' bounds: ``"interval"`` (default), ``"crown"`` or ``"lp"``, each
        tighter than the one before and longer to compute. ``"lp"`` tightens the bounds of CROWN by two linear programs
        per undecided ReLU and per output, for up to ten seconds in all. Other constraints of the model are not used.
    targets : block or list of blocks, optional
        The network blocks to expand, or blocks that hold them. Default: all active ones.
    reverse : ReverseTransformationToken, optional
        What an earlier ``apply_to`` returned: its expansions are taken out again. Values stay as they are.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> import pyomo_relugrad as relugrad
    >>> network = relugrad.Network.from_layers([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
    >>> m = pyo.ConcreteModel()
    >>> m.x = pyo.Var(bounds=(-2, 1), initialize=0.5)
    >>> m.nn = relugrad.ReluNetworkBlock(network=network, inputs=[m.x])
    >>> m.o = pyo.Objective(expr=m.nn.outputs[0], sense=pyo.maximize)
    >>> token = pyo.TransformationFactory("relugrad.omlt").apply_to(m)
    >>> m.nn.omlt.layer[1].q_relu[0].value, m.nn.outputs[0].value
    (1, 0.5)
    >>> results = pyo.SolverFactory("appsi_highs").solve(m)
    >>> round(pyo.value(m.o), 6)
    2.0
    >>> pyo.TransformationFactory("relugrad.omlt").apply_to(m, reverse=token)
    """

    CONFIG = ConfigDict("relugrad.omlt")
    CONFIG.declare(
        "targets",
        ConfigValue(
            default=None,
            domain=target_list,
            description="The network blocks to expand, or blocks that hold them. Default: all active ones.",
        ),
    )
    CONFIG.declare(
        "formulation",
        ConfigValue(
            default="full-space",
            domain=In(FORMULATIONS),
            description="Which formulation of OMLT to build: one of " + ", ".join(FORMULATIONS) + ".",
        ),
    )
    CONFIG.declare(
        "bounds",
        ConfigValue(
            default="interval",
            domain=In(BOUND_METHODS),
            description="How pre-activations are bounded: one of " + ", ".join(BOUND_METHODS) + ".",
        ),
    )
    CONFIG.declare(
        "reverse",
        ConfigValue(
            default=None,
            domain=IsInstance(ReverseTransformationToken),
            description="The token that an earlier apply_to returned: take its expansions out of the model again. "
            "Variables of the model keep their current values.",
        ),
    )

    def apply_to(self, model: Any, **kwds: Any) -> ReverseTransformationToken | None:
        """Expand the blocks of a model in place."""
        if not isinstance(model, BlockData):
            raise ModelError(f"relugrad.omlt was given {shown(model)}: give a model or a block of Pyomo")
        return super().apply_to(model, **kwds)

    def _apply_to(self, model: Any, **kwds: Any) -> ReverseTransformationToken | None:
        refuse_unknown(kwds, "relugrad.omlt", self.CONFIG)
        for name, known in (("formulation", FORMULATIONS), ("bounds", BOUND_METHODS)):
            check_known(kwds.get(name, known[0]), name, known)
        try:
            config = self.CONFIG(kwds)
        except ValueError as error:
            raise ModelError(f"relugrad.omlt: {refusal(self.CONFIG, kwds, error)}") from error
        if config.reverse is not None:
            config.reverse.check_token_valid(self.__class__, model, config.targets)
            for block in config.reverse.reverse_dict["blocks"]:
                _collapse(block)
            for variable, lower, upper in config.reverse.reverse_dict["bounds"]:
                variable.setlb(lower)
                variable.setub(upper)
            return None
        blocks = _targeted_blocks(model, config.targets)
        for block in blocks:
            if not is_intact(block):
                raise changed_equations(block)
            _check_activations(block, config.formulation)
        refresh_output_bounds([block for block in _unexpanded(model) if is_intact(block)], _input_ranges)
        ranges = [_input_ranges(block, config.formulation) for block in blocks]
        bounds = []
        for block, box in zip(blocks, ranges, strict=True):
            bounds += _bound_linked_inputs(block, box)
        _expand_all(blocks, ranges, config)
        _set_start(blocks)
        return ReverseTransformationToken(self.__class__, model, blocks, {"blocks": blocks, "bounds": bounds})


def _targeted_blocks(model: Any, targets: Sequence[Any] | None) -> list[Any]:
    """The unexpanded network blocks among the targets, or all that are active."""
    if targets is None:
        return list(_unexpanded(model))
    wanted = ComponentSet()
    for target in targets:
        members = target.values() if target.is_indexed() else (target,)
        found = [block for member in members if _is_within(member, model) for block in _unexpanded(member)]
        if not found:
            raise ModelError(
                f"relugrad.omlt: target '{target.name}' neither is nor holds an active ReluNetworkBlock of the model "
                f"'{model.name}' that is not expanded yet"
            )
        wanted.update(found)
    return list(wanted)


def _unexpanded(block: Any) -> Iterator[Any]:
    """The unexpanded network blocks of a block, also those in its disjuncts."""
    yield from unexpanded_blocks(block)
    for disjunct in block.component_data_objects(Disjunct, active=True, descend_into=(pyo.Block, Disjunct)):
        yield from unexpanded_blocks(disjunct)


def _check_activations(block: Any, formulation: str) -> None:
    """Refuse smooth neurons where the formulation is one of ReLUs, or Pyomo has no expression for them."""
    smooth = block.scaled_network.smooth_activations
    if smooth and formulation in OF_RELUS:
        raise ModelError(
            f"relugrad.omlt: block '{block.name}' has {', '.join(smooth)} neurons, and '{formulation}' is "
            "for ReLUs: use 'full-space' or 'reduced-space'"
        )
    missing = [name for name in smooth if name not in omlt_smooth.SMOOTH]
    if missing:
        raise ModelError(
            f"relugrad.omlt: block '{block.name}' has {', '.join(missing)} neurons, which cannot be written as "
            "expressions of Pyomo: solve the model with 'relugrad' or 'relugrad.exact'"
        )


def _is_within(block: Any, ancestor: Any) -> bool:
    while block is not None and block is not ancestor:
        block = block.parent_block()
    return block is not None


def _input_ranges(block: Any, formulation: str | None = None) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of the block's inputs, infinite where there are none."""
    lower, upper = input_ranges(block)
    for position, variable in block.inputs.items():
        low, high = np.ceil(lower[position]), np.floor(upper[position])
        if variable.is_integer() and low <= high:
            lower[position], upper[position] = low, high  # HiGHS 1.15 may miss optima where these are fractional
        if variable.fixed and variable.value is None:
            raise ModelError(
                f"relugrad.omlt: block '{block.name}': its input '{variable.name}' is fixed but has no value: give it "
                "one"
            )
        if variable.fixed:  # without bounds it counts as a constant
            sides = lower[position], upper[position]
            lower[position], upper[position] = (side if np.isfinite(side) else variable.value for side in sides)
    infinite = np.argwhere(~np.isfinite([lower, upper]))
    if formulation in BOUNDED and block.scaled_network.n_relus and len(infinite):
        side, position = infinite[0].tolist()
        raise ModelError(
            f"relugrad.omlt: block '{block.name}' cannot be expanded into '{formulation}': its input "
            f"'{block.inputs[position].name}' has no finite {('lower', 'upper')[side]} bound, and big-M constraints "
            "need bounds on every input. Give the variable bounds that hold at every point of interest, or pass "
            "input_bounds to the ReluNetworkBlock"
        )
    for position in np.flatnonzero(lower > upper).tolist():
        raise ModelError(
            f"relugrad.omlt: block '{block.name}': its input '{block.inputs[position].name}' can have no value: its "
            f"lower bound is {lower[position]}, its upper bound {upper[position]}"
        )
    return lower, upper


def _bound_linked_inputs(block: Any, box: tuple[Array, Array]) -> list[tuple[Any, float | None, float | None]]:
    """Bound the variables that the block ties to expressions, which transformations of disjunctions ask for.

    Returns them with the bounds that they had.
    """
    before = []
    for position, (low, high) in enumerate(zip(*(side.tolist() for side in box), strict=True)):
        variable = block.inputs[position]
        if linked_term(block, position) is not None:
            before.append((variable, variable.lower, variable.upper))
            variable.setlb(low if np.isfinite(low) else None)
            variable.setub(high if np.isfinite(high) else None)
    return before


def _expand_all(blocks: Sequence[Any], ranges: Sequence[tuple[Array, Array]], config: Any) -> None:
    """Bound and expand the blocks; linear programs for the bounds share their time equally."""
    end = time.perf_counter() + MAX_TIGHTENING_SECONDS
    for number, (block, (lower, upper)) in enumerate(zip(blocks, ranges, strict=True)):
        share = max(end - time.perf_counter(), 0.0) / (len(blocks) - number)
        bounds = network_bounds(block.scaled_network, lower, upper, config.bounds, share)
        _expand(block, lower, upper, bounds, config)


def _expand(block: Any, lower: Array, upper: Array, bounds: PreactivationBounds, config: Any) -> None:
    """Add the OMLT child and tie it to the block's inputs and outputs."""
    formulation = omlt_formulation.NetworkFormulation(
        block.scaled_network, lower, upper, bounds, omlt_layers.CONSTRAINTS[config.formulation]
    )
    child = omlt.OmltBlock()
    block.add_component(unique_component_name(block, "omlt"), child)
    omlt_formulation.build(child, formulation)
    for name, ours, theirs in (
        ("link_inputs", block.inputs, child.inputs),
        ("link_outputs", block.outputs, child.outputs),
    ):
        link = pyo.Constraint(range(len(theirs)))
        child.add_component(name, link)
        for index, (left, right) in enumerate(zip(ours.values(), theirs.values(), strict=True)):
            link[index] = without_unit(left) == right
    block.set_expansion(child)


def _collapse(block: Any) -> None:
    child = block.expansion
    if child is None:
        raise ModelError(
            f"relugrad.omlt: block '{block.name}' is not expanded, so there is nothing to reverse: give the token of "
            "the expansion that stands"
        )
    block.set_expansion(None)
    block.del_component(child)


def _set_start(blocks: Sequence[Any]) -> None:
    """Forward passes through the blocks, repeated until blocks that feed each other agree."""
    for _ in blocks:
        changed = [_set_values(block) for block in blocks]
        if not any(changed):
            return


def _set_values(block: Any) -> bool:
    """One forward pass; whether it changed the value of an output."""
    values = input_values(block)
    point = None if None in values else np.array(values, dtype=np.float64)
    omlt_formulation.set_values(block.expansion, block.scaled_network, point)
    if point is None:
        return False
    before = [variable.value for variable in block.outputs.values()]
    omlt_formulation.assign(block.inputs, point)
    omlt_formulation.assign(block.outputs, block.scaled_network.value(point[None, :])[0])
    return before != [variable.value for variable in block.outputs.values()]
