"""Pyomo expressions as coefficients, with errors that name the component."""

from typing import Any

import numpy as np
from pyomo.core.expr.numeric_expr import MaxExpression, MinExpression
from pyomo.core.expr.visitor import identify_variables
from pyomo.repn import generate_standard_repn
from pyomo.repn.standard_repn import StandardRepn

from pyomo_relugrad.modeling.block.entries import empty_part
from pyomo_relugrad.modeling.block.guards import NetworkOutputExpression
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls, holds, not_linear
from pyomo_relugrad.modeling.errors import IncompatibleModel, UnexpandedNetworkError


def standard_form(component: Any, expression: Any, quadratic: bool, networks: NetworkCalls | None) -> Any:
    """Pyomo's standard representation of an expression, with numbers as coefficients.

    Parameters
    ----------
    component : ConstraintData or ObjectiveData
        To which the expression belongs, for messages.
    expression : Pyomo expression
    quadratic : bool
        Whether products of two variables are told apart from nonlinear parts.
    networks : NetworkCalls or None
        Takes the networks that stand in the expression; variables for their outputs stand in the result. None refuses
        them.

    Raises
    ------
    IncompatibleModel
        If a value is missing, a coefficient is not finite, or a network in it has an input that is not linear.
    """
    try:
        repn = _with_networks_replaced(component, expression, quadratic, networks)
    except IncompatibleModel:
        raise
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        explained = _explained(component, expression, error)
        if explained is None:
            raise
        raise explained from error
    coefficients = (*repn.linear_coefs, *(repn.quadratic_coefs if quadratic else ()))
    if not (np.isfinite(repn.constant) and np.isfinite(coefficients).all()):
        raise IncompatibleModel(f"'{component.name}' has a coefficient that is NaN or infinite: give finite numbers")
    return repn


def _with_networks_replaced(component: Any, expression: Any, quadratic: bool, networks: NetworkCalls | None) -> Any:
    """Pyomo's standard representation, networks in it replaced by variables."""
    try:
        repn = _representation(expression, quadratic)
    except UnexpandedNetworkError:
        if networks is None:
            raise not_linear(component) from None
        return _representation(networks.without_networks(component, expression), quadratic)
    if repn.nonlinear_expr is not None and holds(repn.nonlinear_expr, NetworkOutputExpression):
        if networks is None:
            raise not_linear(component)
        repn.nonlinear_expr = networks.without_networks(component, repn.nonlinear_expr)
    return repn


def _representation(expression: Any, quadratic: bool) -> Any:
    """Pyomo's standard representation, which does not know minima and maxima: these are nonlinear."""
    try:
        return generate_standard_repn(expression, quadratic=quadratic)
    except ValueError:
        if not holds(expression, MaxExpression, MinExpression) or empty_part(expression) is not None:
            raise
    repn = StandardRepn()
    repn.nonlinear_expr = expression
    return repn


def _explained(component: Any, expression: Any, error: Exception) -> IncompatibleModel | None:
    empty = empty_part(expression)
    if empty is not None:
        return IncompatibleModel(
            f"'{component.name}' holds the expression '{empty.name}', which is empty: give that one a value"
        )
    if isinstance(error, AttributeError):
        return None
    for variable in identify_variables(expression, include_fixed=True):
        if variable.fixed and variable.value is None:
            return IncompatibleModel(
                f"variable '{variable.name}' in '{component.name}' is fixed but has no value: give it one"
            )
    return IncompatibleModel(f"'{component.name}' cannot be evaluated: {evaluation_advice(error)}")


def evaluation_advice(error: Exception) -> str:
    """Why an expression has no value, and what to do."""
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero; change the expression, or the values of its parameters and fixed variables"
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return f"{reason}; give its parameters and fixed variables finite values, at which it is defined"
