"""Networks that stand in rows as expressions, as transformations leave them, read as networks between variables."""

from typing import Any

import numpy as np
from pyomo.contrib.fbbt.expression_bounds_walker import ExpressionBoundsVisitor
from pyomo.core.base.var import Var
from pyomo.core.expr.visitor import ExpressionReplacementVisitor
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.block.input_ranges import ranges_by_rows
from pyomo_relugrad.modeling.block.integrity import REMEDY
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.embedding import Embedding
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.network.building import substitute_inputs


class NetworkCalls:
    """Networks met in expressions, each with the linear functions of the model's variables that it is applied to.

    Each gets variables for its outputs that belong to no model.

    Attributes
    ----------
    embeddings : list of Embedding
        One per network and choice of arguments.
    """

    def __init__(self) -> None:
        self.embeddings: list[Embedding] = []
        self._outputs: dict[Any, tuple[Any, ...]] = {}

    def without_networks(self, component: Any, expression: Any) -> Any:
        """The expression with a variable, or a number where all inputs are fixed, in the place of each network.

        Parameters
        ----------
        component : ConstraintData or ObjectiveData
            To which the expression belongs, for messages.
        expression : Pyomo expression

        Raises
        ------
        IncompatibleModel
            If an input of a network is not linear in the variables.
        """
        return _Replacement(self, component).walk_expression(expression)

    def output(self, component: Any, call: NetworkOutputExpression) -> Any:
        """The variable or number in the place of one output of a network."""
        variables, matrix, offset = _linear_arguments(component, call)
        if not variables:
            return float(call.block.scaled_network.value(offset[None, :])[0, call.output])
        key = id(call.block), tuple(map(id, variables)), matrix.tobytes(), offset.tobytes()
        if key not in self._outputs:
            _refuse_outdated_bounds(call)
            self._outputs[key] = self._embed(call.block, variables, matrix, offset)
        return self._outputs[key][call.output]

    def _embed(self, block: Any, variables: list[Any], matrix: Array, offset: Array) -> tuple[Any, ...]:
        network = substitute_inputs(block.scaled_network, matrix, offset)
        outputs = tuple(Var(name=f"{block.name}.network[{position}]") for position in range(network.n_outputs))
        for output in outputs:
            output.construct()
        self.embeddings.append(Embedding(network, tuple(variables), outputs, name=block.name))
        return outputs


class _Replacement(ExpressionReplacementVisitor):
    """Puts variables in the place of networks, inner ones first."""

    def __init__(self, calls: NetworkCalls, component: Any) -> None:
        super().__init__(descend_into_named_expressions=True, remove_named_expressions=True)
        self._calls = calls
        self._component = component

    def exitNode(self, node: Any, data: Any) -> Any:  # noqa: N802 - Pyomo's name
        """Replace the node if it is a network."""
        result = super().exitNode(node, data)
        return self._calls.output(self._component, result) if isinstance(result, NetworkOutputExpression) else result


def _linear_arguments(component: Any, call: NetworkOutputExpression) -> tuple[list[Any], Array, Array]:
    """Variables (k,), matrix (n_inputs, k) and offset (n_inputs,) of what a network is applied to."""
    columns, entries = Columns(), []
    offset = np.zeros(len(call._args_))
    for row, argument in enumerate(call._args_):
        repn = generate_standard_repn(argument, quadratic=False)
        if repn.nonlinear_expr is not None:
            raise not_linear(component)
        offset[row] = repn.constant
        pairs = zip(repn.linear_vars, repn.linear_coefs, strict=True)
        entries += [(row, columns.of(variable), coefficient) for variable, coefficient in pairs]
    matrix = np.zeros((len(offset), len(columns.variables)))
    for row, position, coefficient in entries:
        matrix[row, position] = coefficient
    return columns.variables, matrix, offset


def holds(expression: Any, *kinds: type) -> bool:
    """Whether an expression of some kind stands somewhere in an expression."""
    left = [expression]
    while left:
        node = left.pop()
        if isinstance(node, kinds):
            return True
        left.extend(getattr(node, "args", ()))
    return False


def not_linear(component: Any) -> IncompatibleModel:
    """The error that names a component in which a network stands as an expression that cannot be read."""
    return IncompatibleModel(
        f"'{component.name}' holds a network as an expression and is not linear in its inputs, as after a "
        f"transformation. {REMEDY}"
    )


def _refuse_outdated_bounds(call: NetworkOutputExpression) -> None:
    """Refuse where bounds that the block derived for its outputs do not hold: transformations built on them."""
    visitor = ExpressionBoundsVisitor(ranges_by_rows(call.block), use_fixed_var_values_as_bounds=True)
    pairs = np.array([visitor.walk_expression(argument) for argument in call._args_], np.float64).reshape(-1, 2)
    if not call.block.derived_bounds_hold(pairs[:, 0], pairs[:, 1]):
        raise IncompatibleModel(
            f"network block '{call.block.name}': bounds of its inputs were widened after it was built, so that the "
            "bounds of its outputs, on which a transformation relied, cut points off. Call "
            f"{call.block.name}.refresh_output_bounds() before the transformation"
        )
