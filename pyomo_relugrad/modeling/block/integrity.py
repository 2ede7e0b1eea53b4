"""Whether a network block's equations still say what it was built with, or were rewritten by a transformation."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.errors import IncompatibleModel

#: What to do about a block whose equations were changed.
REMEDY = (
    "Apply TransformationFactory('relugrad.omlt') before other transformations; deactivate the whole block to leave it "
    "out"
)


class EquationState(Enum):
    """What became of the equations ``outputs == network(inputs)`` of a block."""

    INTACT = "as they were built"
    REWRITTEN = "all active, with other expressions"
    MISSING = "some deleted or deactivated"


class RenamedPartError(IncompatibleModel, AttributeError):
    """A component of a network block that a transformation renamed or deleted."""

    def __init__(self, block: Any, name: str) -> None:
        super().__init__(
            f"network block '{block.name}' has no component '{name}' any more: a transformation, such as "
            "core.scale_model, renamed or deleted it. Ask the model from before"
        )


def state_of_equations(block: Any) -> EquationState:
    """What became of the network equations of a built block; those of an expanded block are inactive."""
    if not all(_is_present(block, equation) for equation in block._equations):
        return EquationState.MISSING
    unchanged = all(_says_network(equation) for equation in block._equations)
    return EquationState.INTACT if unchanged else EquationState.REWRITTEN


def _is_present(block: Any, equation: Any) -> bool:
    component = equation.parent_component()
    return component is not None and component.parent_block() is block and equation.active is not block.is_expanded


def _says_network(equation: Any) -> bool:
    """Whether a network equation still says ``output == network(inputs)``, of the inputs and outputs of its block."""
    expression = equation.expr
    if not isinstance(expression, EqualityExpression):
        return False
    variable, value = expression.args
    if not isinstance(value, NetworkOutputExpression) or not hasattr(value.block, "outputs"):
        return False
    arguments, inputs = value._args_, value.block.inputs
    same = len(arguments) == len(inputs) and all(a is b for a, b in zip(arguments, inputs.values(), strict=True))
    return same and variable is value.block.outputs[value.output]


def is_intact(block: Any) -> bool:
    """Whether a built block's equations still are those that it was built with."""
    return state_of_equations(block) is EquationState.INTACT


def require_unchanged_expressions(block: Any) -> None:
    """Refuse a block whose equations, active or not, have other expressions than those that it was built with.

    Raises
    ------
    IncompatibleModel
        Names the block.
    """
    if not all(_says_network(equation) for equation in block._equations):
        raise changed_equations(block)


def require_intact(block: Any) -> None:
    """Refuse a block whose equations no longer are those that it was built with, or no longer active.

    Raises
    ------
    IncompatibleModel
        Names the block.
    """
    if not is_intact(block):
        raise changed_equations(block)


def changed_equations(block: Any) -> IncompatibleModel:
    """The error that names a block whose equations were changed."""
    return IncompatibleModel(
        f"network block '{block.name}': its network equations were changed or deactivated, by a transformation or by "
        f"hand. {REMEDY}"
    )
