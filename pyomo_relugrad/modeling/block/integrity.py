"""Whether a network block's equations still say what it was built with, or were rewritten by a transformation."""

from typing import Any

from pyomo.core.expr.relational_expr import EqualityExpression

from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.errors import IncompatibleModel

#: What to do about a block whose equations were changed.
REMEDY = (
    "Apply TransformationFactory('relugrad.omlt') before other transformations; deactivate the whole block to leave it "
    "out"
)


class RenamedPartError(IncompatibleModel, AttributeError):
    """A component of a network block that a transformation renamed or deleted."""

    def __init__(self, block: Any, name: str) -> None:
        super().__init__(
            f"network block '{block.name}' has no component '{name}' any more: a transformation, such as "
            "core.scale_model, renamed or deleted it. Ask the model from before"
        )


def are_present(block: Any) -> bool:
    """Whether all network equations of a built block are there and active; those of an expanded block are inactive."""
    return all(_is_present(block, equation) for equation in block._equations)


def _is_present(block: Any, equation: Any) -> bool:
    component = equation.parent_component()
    return component is not None and component.parent_block() is block and equation.active is not block.is_expanded


def are_unchanged(block: Any) -> bool:
    """Whether the network equations of a built block, active or not, have the expressions that it was built with."""
    return all(map(_says_network, block._equations))


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
    return are_present(block) and are_unchanged(block)


def changed_equations(block: Any) -> IncompatibleModel:
    """The error that names a block whose equations were changed."""
    return IncompatibleModel(
        f"network block '{block.name}': its network equations were changed or deactivated, by a transformation or by "
        f"hand. {REMEDY}"
    )
