"""What values the inputs of a network block may take: by bounds, by their expressions, by given bounds."""

from typing import Any

import numpy as np
from pyomo.common.collections import ComponentMap
from pyomo.contrib.fbbt.fbbt import compute_bounds_on_expr
from pyomo.core.expr.numvalue import value
from pyomo.core.expr.relational_expr import EqualityExpression
from pyomo.repn import generate_standard_repn

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.block.arguments import numbers_of_bounds
from pyomo_relugrad.modeling.variables import bounds_of


def input_ranges(block: Any) -> tuple[Array, Array]:
    """Bounds (n_inputs,) of the inputs, infinite where there is none; those of a fixed input include its value.

    Raises
    ------
    ModelError
        If a bound is no number.
    """
    variables = list(block.inputs.values())
    pairs = [bounds_of(variable) for variable in variables]
    for position in block._link_rows:
        if (term := linked_term(block, position)) is not None:
            pairs[position] = _intersection(pairs[position], compute_bounds_on_expr(term, ignore_fixed=True))
    lower, upper = within_given_bounds(block, *np.array(pairs, np.float64).T)
    for position, variable in enumerate(variables):
        if variable.fixed and variable.value is not None:
            lower[position] = min(lower[position], variable.value)
            upper[position] = max(upper[position], variable.value)
    return lower, upper


def within_given_bounds(block: Any, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Bounds (n_inputs,) cut by the `input_bounds` that rows over variables of the user hold."""
    rows = [position for position, row in block._domain_rows.items() if row.active]
    if not rows:
        return lower, upper
    lower, upper = lower.copy(), upper.copy()
    given = numbers_of_bounds(block._given_bounds[row] for row in rows)
    lower[rows] = np.maximum(lower[rows], given[0])
    upper[rows] = np.minimum(upper[rows], given[1])
    return lower, upper


def linked_term(block: Any, position: int) -> Any:
    """The user's expression that an input is tied to; None where it is a variable, or the row was changed."""
    row = block._link_rows.get(position)
    if row is None or not row.active:
        return None
    expression = row.expr
    tied = isinstance(expression, EqualityExpression) and expression.arg(0) is block.inputs[position]
    return expression.arg(1) if tied else None


def input_values(block: Any) -> list[float | None]:
    """Current values (n_inputs,) of the inputs, those of the user's expressions before those of the block's variables.

    None where there is none.
    """
    terms = ((variable, linked_term(block, position)) for position, variable in block.inputs.items())
    return [variable.value if term is None else value(term, exception=False) for variable, term in terms]


def ranges_by_rows(block: Any) -> ComponentMap:
    """Bounds of the variables that the block tied to expressions, by their rows as they are now, active or not."""
    ranges = ComponentMap()
    for position, row in block._link_rows.items():
        variable = block._linked_inputs[position]
        if not variable.fixed:
            ranges[variable] = _intersection(bounds_of(variable), _solved(row, variable))
    return ranges


def _solved(row: Any, variable: Any) -> tuple[float | None, float | None]:
    """Bounds of a variable by a linear equality row over other variables."""
    low, body, high = row.to_bounded_expression(evaluate_bounds=True)
    repn = generate_standard_repn(body, quadratic=False)
    coefficients = {id(v): coefficient for v, coefficient in zip(repn.linear_vars, repn.linear_coefs, strict=True)}
    own = coefficients.get(id(variable), 0.0)
    if low is None or low != high or repn.nonlinear_expr is not None or own == 0.0:
        return None, None
    others = [(v, c) for v, c in zip(repn.linear_vars, repn.linear_coefs, strict=True) if v is not variable]
    products = [sorted(c * bound for bound in bounds_of(v)) for v, c in others]
    rest = [repn.constant + sum(product[side] for product in products) for side in (0, 1)]
    smallest, largest = sorted((low - side) / own for side in rest)
    return smallest, largest


def _intersection(pair: tuple[float, float], other: tuple[float | None, float | None]) -> tuple[float, float]:
    low, high = other
    return pair[0] if low is None else max(pair[0], low), pair[1] if high is None else min(pair[1], high)
