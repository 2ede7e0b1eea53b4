"""Pyomo expressions read as polynomials in columns and smooth terms."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from pyomo.core.base.constraint import Constraint
from pyomo.core.expr import numeric_expr
from pyomo.core.expr.numvalue import native_numeric_types, value
from pyomo.core.expr.visitor import StreamBasedExpressionVisitor

from pyomo_relugrad.errors import ModelError
from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.polynomial import Polynomial, constant_of, degree, multiple, total
from pyomo_relugrad.modeling.errors import IncompatibleModel

#: Most products that one expression with integers may be multiplied out to.
MAX_TERMS = 50_000

#: The same where there are no integers: what has more of them is one smooth function.
MAX_SMOOTH_TERMS = 100

#: Largest exponent of an expression with integers that is multiplied out.
MAX_EXPONENT = 64

#: What helps where there is no derivative.
ADVICE = (
    "Smooth functions, products, abs, minima and maxima are handled. State jumps and choices by binary variables; "
    "another function of few variables can be approximated by Piecewise, or by a network in a ReluNetworkBlock"
)


def read(component: Any, repn: Any, operations: Operations) -> Polynomial:
    """Pyomo's standard representation as a polynomial in columns and smooth terms.

    Parameters
    ----------
    component : ConstraintData or ObjectiveData
        To which the expression belongs, for messages.
    repn : StandardRepn
    operations : Operations
        Collects what is neither linear nor a product.

    Raises
    ------
    IncompatibleModel
        If there is something in it that has no derivative and is no absolute value, minimum or maximum; names it.
    """
    pairs = repn.quadratic_vars
    factors: list[tuple[int, ...]] = [(column,) for column in operations.columns.of_all(repn.linear_vars)]
    sides = (operations.columns.of_all(pair[side] for pair in pairs) for side in (0, 1))
    factors += [(i, j) if i <= j else (j, i) for i, j in zip(*sides, strict=True)]
    polynomial: Polynomial = {(): float(repn.constant)}
    for key, coefficient in zip(factors, (*repn.linear_coefs, *repn.quadratic_coefs), strict=True):
        polynomial[key] = polynomial.get(key, 0.0) + coefficient
    if repn.nonlinear_expr is None:
        return polynomial
    return total((polynomial, _PolynomialVisitor(operations, component).walk_expression(repn.nonlinear_expr)))


class _PolynomialVisitor(StreamBasedExpressionVisitor):
    """Reads an expression as a polynomial, inner parts first.

    Products are multiplied out where that makes them products with integers, or bilinear. Everything else that is
    smooth stays one term.
    """

    def __init__(self, operations: Operations, component: Any) -> None:
        super().__init__()
        self._operations = operations
        self._smooth = operations.smooth
        self._component = component

    def initializeWalker(self, expression: Any) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """Read an expression that is a number or a variable at once."""
        return self.beforeChild(None, expression, 0)

    def beforeChild(self, node: Any, child: Any, index: int) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """Read numbers and variables; go on into everything else."""
        if child.__class__ in native_numeric_types:
            return False, {(): float(child)}
        if not child.is_potentially_variable():
            return False, {(): self._number(child)}
        if isinstance(child, numeric_expr.Expr_ifExpression):
            raise self._without_derivative("Expr_if")
        if child.is_expression_type():
            known = self._operations.named.get(id(child)) if child.is_named_expression_type() else None
            return known is None, known
        if child.fixed:
            return False, {(): float(value(child))}
        return False, {(self._operations.columns.of(child),): 1.0}

    def exitNode(self, node: Any, data: list[Polynomial]) -> Polynomial:  # noqa: N802 - Pyomo's name
        """Combine what the arguments of a node are."""
        if node.is_named_expression_type():
            self._operations.named[id(node)] = data[0]
            return data[0]
        if isinstance(node, numeric_expr.PowExpression):
            self._check_power(node, *data)
        for kind in node.__class__.__mro__:
            if kind in _COMBINED:
                return self._checked(node, _COMBINED[kind](self, *data))
        numbers = [constant_of(argument) for argument in data]
        if None not in numbers:
            return {(): self._number(node.create_node_with_local_data(numbers))}
        if isinstance(node, numeric_expr.UnaryFunctionExpression):
            return self._checked(node, self._function(node.getname(), *data))
        raise self._without_derivative(node.getname())

    def _number(self, node: Any) -> float:
        """The value of what holds no variables."""
        try:
            number = float(value(node))
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self._without_value(str(error) or type(error).__name__) from error
        return number

    def _checked(self, node: Any, polynomial: Polynomial) -> Polynomial:
        if not all(map(math.isfinite, polynomial.values())):
            raise self._without_value(f"{node} is no finite number")
        return polynomial

    def _product(self, left: Polynomial, right: Polynomial) -> Polynomial:
        for number, other in ((constant_of(left), right), (constant_of(right), left)):
            if number is not None:
                return multiple(number, other)
        if not self._is_multiplied_out(left, right):
            return self._smooth.multiplied(left, right)
        result: Polynomial = {}
        for own, first in left.items():
            for other_factors, second in right.items():
                factors = self._operations.simplified(tuple(sorted((*own, *other_factors))))
                result[factors] = result.get(factors, 0.0) + first * second
        return result

    def _is_multiplied_out(self, left: Polynomial, right: Polynomial) -> bool:
        n_terms, longest = len(left) * len(right), degree(left) + degree(right)
        if self._holds_integers(left) or self._holds_integers(right):
            return n_terms == 1 or (n_terms <= MAX_TERMS and longest <= MAX_EXPONENT)
        is_bilinear = longest == 2 and min(min(factors, default=0) for factors in (*left, *right)) >= 0
        return n_terms == 1 or (is_bilinear and n_terms <= MAX_SMOOTH_TERMS)

    def _holds_integers(self, polynomial: Polynomial) -> bool:
        is_smooth = self._operations.is_smooth
        return not all(is_smooth(factor) for factors in polynomial for factor in factors)

    def _quotient(self, left: Polynomial, right: Polynomial) -> Polynomial:
        number = constant_of(right)
        if number is None:
            if not self._holds_integers(left):
                return self._smooth.quotient(left, right)
            return self._product(left, self._smooth.quotient({(): 1.0}, right))
        if number == 0:
            raise self._without_value("it divides by zero")
        return {factors: coefficient / number for factors, coefficient in left.items()}

    def _power(self, base: Polynomial, exponent: Polynomial) -> Polynomial:
        number, power = constant_of(base), constant_of(exponent)
        if number is not None and (number < 0 or (number == 0 and power is None)) and power != int(power or 0):
            raise self._without_value(f"{number} has no power with a fractional or variable exponent")
        if number is not None and power is not None:
            with np.errstate(all="ignore"):
                return {(): float(np.float64(number) ** power)}
        if power is None or power < 0 or power != int(power):
            return self._smooth.power(base, exponent)
        if not self._holds_integers(base) and power * degree(base) > 2:
            return self._smooth.power(base, exponent)
        if power * degree(base) > MAX_EXPONENT:
            return self._smooth.power(base, exponent)
        result: Polynomial = {(): 1.0}
        for _ in range(int(power)):
            result = self._product(result, base)
        return result

    def _check_power(self, node: Any, base: Polynomial, exponent: Polynomial) -> None:
        """Refuse a power of what may be negative whose exponent is a variable and still a whole number.

        It has values that the smooth power, ``exp(y * log(x))``, has not. Such are exponents that are integers, or
        whose bounds leave one number, and any exponent of a base that is always negative.
        """
        if constant_of(base) is not None or constant_of(exponent) is not None:
            return
        least, greatest = self._range(base)
        low, high = self._range(exponent)
        if greatest < 0 or (least < 0 and (high - low < 1e-6 or self._holds_integers(exponent))):
            raise self._refusal(
                f"holds '{node}', a variable exponent of what may be negative. Give the base a lower bound of 0, fix "
                "the exponent, or state the powers themselves, each times a binary variable"
            )

    def _range(self, polynomial: Polynomial) -> tuple[float, float]:
        least = self._operations.least_value
        return least(polynomial), -least(self._negated(polynomial))

    def _negated(self, term: Polynomial) -> Polynomial:
        return multiple(-1.0, term)

    def _maximum(self, *terms: Polynomial) -> Polynomial:
        return self._operations.maximum(self._component, terms)

    def _function(self, name: str, argument: Polynomial) -> Polynomial:
        try:
            return self._smooth.function(name, argument)
        except ModelError:
            raise self._without_derivative(name) from None

    def _without_derivative(self, name: str) -> IncompatibleModel:
        return self._refusal(f"holds '{name}', which has no derivative. {ADVICE}")

    def _without_value(self, reason: str) -> IncompatibleModel:
        return self._refusal(f"cannot be evaluated: {reason}; give its parameters values at which it is defined")

    def _refusal(self, reason: str) -> IncompatibleModel:
        what = "constraint" if self._component.ctype is Constraint else "objective"
        return IncompatibleModel(f"{what} '{self._component.name}' {reason}")


_COMBINED: dict[type, Callable[..., Polynomial]] = {
    numeric_expr.SumExpression: lambda self, *terms: total(terms),
    numeric_expr.ProductExpression: _PolynomialVisitor._product,
    numeric_expr.DivisionExpression: _PolynomialVisitor._quotient,
    numeric_expr.PowExpression: _PolynomialVisitor._power,
    numeric_expr.NegationExpression: _PolynomialVisitor._negated,
    numeric_expr.AbsExpression: lambda self, term: self._maximum(term, self._negated(term)),
    numeric_expr.MaxExpression: _PolynomialVisitor._maximum,
    numeric_expr.MinExpression: lambda self, *terms: self._negated(self._maximum(*map(self._negated, terms))),
}
