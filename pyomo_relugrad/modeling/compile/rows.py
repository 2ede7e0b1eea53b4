"""Linear constraints of a Pyomo model as the rows of a sparse matrix."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from pyomo.core.expr.visitor import identify_variables
from scipy import sparse

from pyomo_relugrad.arrays import Weight
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.expressions import standard_form
from pyomo_relugrad.modeling.compile.hyperbolas import as_hyperbola
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.polynomial import Polynomial, total
from pyomo_relugrad.modeling.compile.reader import read
from pyomo_relugrad.modeling.errors import IncompatibleModel, InfeasibleModel
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE


@dataclass
class Rows:
    """Rows ``lower <= coefficients @ v <= upper``, one after another, with their constraints."""

    coefficients: list[float] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    constraints: list[Any] = field(default_factory=list)

    def add(
        self, constraint: Any, coefficients: Sequence[float], columns: Sequence[int], lower: float, upper: float
    ) -> None:
        """Append one row."""
        self.coefficients.extend(coefficients)
        self.columns.extend(columns)
        self.starts.append(len(self.columns))
        self.lower.append(lower)
        self.upper.append(upper)
        self.constraints.append(constraint)

    def matrix(self, n_columns: int) -> Weight:
        """Coefficients as an (m, n) csr_array."""
        parts = np.array(self.coefficients, np.float64), np.array(self.columns, np.int64), np.array(self.starts)
        return sparse.csr_array(parts, shape=(len(self.constraints), n_columns))


class LinearEquations:
    """The linear ones among constraints."""

    def __init__(self, constraints: Sequence[Any]) -> None:
        self._constraints = constraints

    @cached_property
    def variables(self) -> set[int]:
        """The variables in them that are not fixed, by their ids."""
        equations = [each for each in self._constraints if each.equality and each.body.polynomial_degree() == 1]
        return {id(variable) for each in equations for variable in identify_variables(each.body, include_fixed=False)}


def compile_rows(
    constraints: Sequence[Any],
    columns: Columns,
    networks: NetworkCalls | None = None,
    operations: Operations | None = None,
) -> Rows:
    """Read constraints as linear rows; those without free variables are checked and left out.

    Networks that stand in them are collected in `networks`, products, maxima and smooth terms in `operations`; without
    these they are refused.

    Raises
    ------
    IncompatibleModel
        If a constraint cannot be read; names it.
    InfeasibleModel
        If a constraint can not hold whatever the variables; names it.
    """
    rows, linear = Rows(), LinearEquations(constraints)
    for constraint in constraints:
        low, body, high = bounded_expression(constraint)
        if low is None and high is None:
            continue
        repn = standard_form(constraint, body, quadratic=False, networks=networks)
        own, coefficients, constant = columns.of_all(repn.linear_vars), repn.linear_coefs, repn.constant
        if repn.nonlinear_expr is not None:
            own, coefficients, constant = _linearized(constraint, repn, operations, (low, high), linear)
        lower = -np.inf if low is None else low - constant
        upper = np.inf if high is None else high - constant
        if max(lower - upper, 0.0 if own else max(lower, -upper)) > FEASIBILITY_TOLERANCE:
            shown = (low, "body" if own else constant, high)
            sides = " <= ".join(str(side) for side in shown if side is not None)
            raise InfeasibleModel(f"constraint '{constraint.name}' cannot hold: {sides}")
        columns.note_idle(body, own)
        if own:
            rows.add(constraint, coefficients, own, lower, upper)
    return rows


def bounded_expression(constraint: Any) -> tuple[float | None, Any, float | None]:
    """The sides of a constraint as numbers, None where there is none, and the body between them.

    Raises
    ------
    IncompatibleModel
        If a side is no number; names the constraint.
    """
    try:
        sides: tuple[float | None, Any, float | None] = constraint.to_bounded_expression(evaluate_bounds=True)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise IncompatibleModel(f"constraint '{constraint.name}' has no sides that are numbers: {error}") from error
    return sides


def _linearized(
    constraint: Any, repn: Any, operations: Operations | None, sides: tuple[Any, Any], equations: LinearEquations
) -> tuple[list[int], Sequence[float], float]:
    """Columns, coefficients and constant of a body, linear in what products, maxima and smooth terms have columns."""
    if operations is None:
        raise IncompatibleModel(f"constraint '{constraint.name}' is not linear")
    polynomial = read(constraint, repn, operations)
    linear, (low, high) = None, sides
    if low == high:
        linear = _definition(constraint, polynomial, operations, low, equations)
    if linear is None:
        hyperbola = as_hyperbola(operations, polynomial, low, high)
        linear = operations.linear(constraint, hyperbola or polynomial)
    constant = linear.pop((), 0.0)
    return [column for (column,) in linear], list(linear.values()), constant


def _definition(
    constraint: Any, polynomial: Polynomial, operations: Operations, value: float, equations: LinearEquations
) -> Polynomial | None:
    """An equation that gives one column its value by a smooth function of others, as a body with the same value.

    The column is that of the variable that stands alone on one side, or the only one that stands in it linearly; where
    there is none, or linear equations hold it already, it is rather one for which the equation can be solved, as a
    share of a total. Where functions give values, a search need not solve equations.
    """
    sides = [side for side in constraint.expr.args if getattr(side, "is_variable_type", bool)() and not side.fixed]
    linear = [operations.columns.of(side) for side in sides if side.is_continuous()]
    linear = linear or [factors[0] for factors, each in polynomial.items() if len(factors) == 1 and each]
    linear = [column for column in linear if column >= 0 and operations.is_smooth(column)]
    if len(linear) > 1:
        return None
    equation, found = total((polynomial, {(): -value})), None
    is_held = all(id(operations.columns.variables[column]) in equations.variables for column in linear)
    if is_held:
        found = operations.solved(constraint, equation)
    if found is None and linear and polynomial.get((linear[0],)):
        found = operations.definition(constraint, linear[0], equation)
    if found is None and not is_held:
        found = operations.solved(constraint, equation)
    return None if found is None else {**found, (): value}
