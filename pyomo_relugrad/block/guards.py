"""What makes every other solver and writer refuse a network block instead of dropping the network.

Pyomo's file writers check the types of all active components, so they stop at the marker `UnexpandedReluNetwork`. Its
persistent solver interfaces walk the constraints only, so they meet a `NetworkOutputExpression`, which has a value and
can be printed, but has no algebraic form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyomo.core.base.block import Block
from pyomo.core.expr.numeric_expr import NumericExpression
from pyomo.repn import standard_repn
from pyomo.repn.linear import LinearRepnVisitor
from pyomo.repn.quadratic import QuadraticRepnVisitor

from pyomo_relugrad.pyomo_errors import UnexpandedNetworkError

if TYPE_CHECKING:
    from pyomo_relugrad.block.data import ReluNetworkBlockData

#: What to do with an unexpanded network block. It is the marker's index, so that it ends every message of a writer.
GUIDANCE = "solve with SolverFactory('relugrad'), or apply TransformationFactory('relugrad.omlt') first"

#: Arguments of a network are printed in full up to this number.
PRINTED_ARGUMENTS = 6


class UnexpandedReluNetwork(Block):
    """Marker of an own component type: an active one says that its parent block's network is not yet constraints."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("ctype", UnexpandedReluNetwork)
        super().__init__(*args, **kwargs)


class NetworkOutputExpression(NumericExpression):
    """One output of a network block as a function of the block's inputs, in the user's units.

    It can be evaluated, printed, cloned and pickled, and bounds propagation treats it as unbounded. Whatever asks for
    its linear, quadratic or nonlinear form raises `UnexpandedNetworkError`.

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

    def __init__(self, args: Sequence[Any], block: ReluNetworkBlockData, output: int) -> None:
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
            f"network block '{self.block.name}' is not expanded into constraints, which this solver needs: {GUIDANCE}"
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


def _refuse_in_standard_repn(expression: NetworkOutputExpression, *_: Any) -> None:
    raise expression.refusal()


def _refuse_in_visitor(visitor: Any, expression: NetworkOutputExpression, *_: Any) -> None:
    raise expression.refusal()


def register_refusals() -> None:
    """Make Pyomo's compilers of expressions raise `NetworkOutputExpression.refusal`.

    Without it they refuse the expression too, as an unknown type, but in a message that does not say what to do.
    """
    getattr(standard_repn, "_repn_collectors", {})[NetworkOutputExpression] = _refuse_in_standard_repn
    for visitor in (LinearRepnVisitor, QuadraticRepnVisitor):
        visitor.exit_node_dispatcher[NetworkOutputExpression] = _refuse_in_visitor


register_refusals()
