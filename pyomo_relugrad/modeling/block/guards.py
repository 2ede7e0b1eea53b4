"""What makes every other solver and writer refuse a network block instead of dropping the network.

A block's network equations are ordinary constraints over a `NetworkOutputExpression`, which has a value and bounds, can
be printed and rewritten by transformations, but has no algebraic form: whoever asks for one is told what to do.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pyomo.contrib.fbbt import fbbt
from pyomo.contrib.fbbt.expression_bounds_walker import ExpressionBoundsVisitor
from pyomo.contrib.solver.solvers.gurobi.gurobi_direct_minlp import GurobiMINLPVisitor
from pyomo.contrib.solver.solvers.scip import base as scip
from pyomo.core.expr.calculus import diff_with_pyomo
from pyomo.core.expr.numeric_expr import NumericExpression
from pyomo.repn import ampl, standard_repn
from pyomo.repn.linear import LinearRepnVisitor
from pyomo.repn.plugins.baron_writer import ToBaronVisitor
from pyomo.repn.plugins.gams_writer import ToGamsVisitor
from pyomo.repn.quadratic import QuadraticRepnVisitor

from pyomo_relugrad.modeling.errors import UnexpandedNetworkError
from pyomo_relugrad.network import interval_bounds

#: What to do with an unexpanded network block.
GUIDANCE = (
    "solve with SolverFactory('relugrad'), or apply TransformationFactory('relugrad.omlt') first, before other "
    "transformations"
)

#: Arguments of a network are printed in full up to this number.
PRINTED_ARGUMENTS = 6


class NetworkOutputExpression(NumericExpression):
    """One output of a network block as a function of the block's inputs, in the user's units.

    It can be evaluated, printed, cloned and pickled, and its bounds are interval bounds. Whatever asks for its linear,
    quadratic or nonlinear form raises `UnexpandedNetworkError`.

    Parameters
    ----------
    args : sequence of Pyomo variables or expressions
        The network's inputs.
    block : ReluNetworkBlockData
    output : int
    """

    __slots__ = ("block", "output")

    # A function call: no infix form.
    PRECEDENCE = None

    def __init__(self, args: Sequence[Any], block: Any, output: int) -> None:
        super().__init__(args)
        self.block = block
        self.output = output

    def nargs(self) -> int:
        """Return the number of inputs."""
        return len(self._args_)

    def create_node_with_local_data(self, args: Sequence[Any], classtype: type | None = None) -> Any:
        """Return the same output of other inputs."""
        return (classtype or type(self))(args, self.block, self.output)

    def getname(self, *args: Any, **kwds: Any) -> str:
        """Return the name that is printed before the inputs."""
        return f"{self.block.name}.network"

    def refusal(self) -> UnexpandedNetworkError:
        """Return the error that names the block and says what to do."""
        return UnexpandedNetworkError(
            f"network block '{self.block.name}' is not expanded into constraints, which this solver or transformation "
            f"needs: {GUIDANCE}"
        )

    def _apply_operation(self, result: Sequence[float]) -> float:
        point = np.array([result], dtype=np.float64)
        return float(self.block.scaled_network.value(point)[0, self.output])

    def _compute_polynomial_degree(self, result: Sequence[Any]) -> None:
        return None

    def _to_string(self, values: Sequence[str], verbose: bool, smap: Any) -> str:
        shown = list(values)
        if len(shown) > PRINTED_ARGUMENTS:
            shown = [*shown[: PRINTED_ARGUMENTS - 1], "...", shown[-1]]
        return f"{self.getname()}({', '.join(shown)})[{self.output}]"

    def bounds(self, lower: Sequence[float], upper: Sequence[float]) -> tuple[float, float]:
        """Return interval bounds of the output where the inputs lie between `lower` and `upper`, (n_inputs,) each."""
        bounds = interval_bounds(self.block.scaled_network, np.array([lower]), np.array([upper]))
        return float(bounds.output_lower[0, self.output]), float(bounds.output_upper[0, self.output])


def _refuse(*arguments: Any) -> None:
    """What Pyomo calls with the expression, some of its compilers with a visitor before it."""
    raise next(argument for argument in arguments if isinstance(argument, NetworkOutputExpression)).refusal()


def _bounds_in_visitor(visitor: Any, expression: NetworkOutputExpression, *bounds: Any) -> tuple[float, float]:
    return expression.bounds([low for low, _ in bounds], [high for _, high in bounds])


def _register() -> None:
    """Make Pyomo's compilers of expressions raise `NetworkOutputExpression.refusal`, and its walker of bounds know it.

    Without it most compilers refuse the expression too, as an unknown type, but in a message that does not say what to
    do; the writers for BARON and GAMS would print it.
    """
    for dispatcher in (
        getattr(standard_repn, "_repn_collectors", {}),
        getattr(diff_with_pyomo, "_diff_map", {}),
        LinearRepnVisitor.exit_node_dispatcher,
        QuadraticRepnVisitor.exit_node_dispatcher,
        GurobiMINLPVisitor.exit_node_dispatcher,
        getattr(ampl, "_operator_handles", {}),
        getattr(ToBaronVisitor, "_expression_handlers", {}),
        getattr(ToGamsVisitor, "_expression_handlers", {}),
        getattr(scip, "_operator_map", {}),
    ):
        dispatcher[NetworkOutputExpression] = _refuse
    getattr(fbbt, "_prop_bnds_root_to_leaf_map", {})[NetworkOutputExpression] = lambda *_: None
    getattr(ExpressionBoundsVisitor, "_operator_dispatcher", {})[NetworkOutputExpression] = _bounds_in_visitor


_register()
