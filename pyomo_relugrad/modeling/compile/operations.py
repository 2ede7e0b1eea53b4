"""Products, absolute values, minima and maxima in expressions, read as columns of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from pyomo.core.base.constraint import Constraint
from pyomo.core.base.var import Var
from pyomo.core.expr import numeric_expr
from pyomo.core.expr.numvalue import native_numeric_types, value
from pyomo.core.expr.visitor import StreamBasedExpressionVisitor

from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.errors import IncompatibleModel
from pyomo_relugrad.problem import Maximum, Product

Polynomial: TypeAlias = dict[tuple[int, ...], float]
"""Coefficients of products of columns, each given in increasing order; the empty product is the constant."""

#: Most products that one expression may be multiplied out to.
MAX_TERMS = 50_000

#: Largest exponent of a variable that is no binary.
MAX_EXPONENT = 64

#: What helps where nothing is linear.
ADVICE = (
    "Products with an integer factor, abs, minima and maxima are handled beside linear terms. A function of few "
    "variables can be approximated by Piecewise, or by a network in a ReluNetworkBlock"
)


class Operations:
    """Collects operations, each with a column for its value whose variable belongs to no model.

    Attributes
    ----------
    found : list of Product or Maximum
        Inner ones first.
    """

    def __init__(self, columns: Columns) -> None:
        self.found: list[Product | Maximum] = []
        self._columns = columns
        self._column_of: dict[Any, int] = {}
        self._names: dict[int, str] = {}

    def polynomial(self, component: Any, expression: Any) -> Polynomial:
        """An expression as a polynomial in columns, some of them of operations.

        Parameters
        ----------
        component : ConstraintData or ObjectiveData
            To which the expression belongs, for messages.
        expression : Pyomo expression

        Raises
        ------
        IncompatibleModel
            If there is something in it that is no polynomial, absolute value, minimum or maximum; names it.
        """
        return _Reader(self, component).walk_expression(expression)

    def linear(self, component: Any, polynomial: Polynomial) -> Polynomial:
        """The same polynomial, of degree one: products have columns of their own.

        Raises
        ------
        IncompatibleModel
            If a product has two factors that are no integers; names it.
        """
        result: Polynomial = {}
        for factors, coefficient in polynomial.items():
            key = self.simplified(factors)
            if len(key) > 1 and coefficient:
                key = (self._product(component, key),)
            if len(key) <= 1:
                result[key] = result.get(key, 0.0) + coefficient
        return result

    def simplified(self, factors: tuple[int, ...]) -> tuple[int, ...]:
        """A product in which powers of binaries are the binaries."""
        kept = (each for k, each in enumerate(factors) if each not in factors[:k] or not self.is_binary(each))
        return tuple(sorted(kept))

    def _product(self, component: Any, factors: tuple[int, ...]) -> int:
        """The column of a product, one factor after another multiplied by an integer."""
        *integers, last = sorted(factors, key=self.is_continuous)
        if any(map(self.is_continuous, integers)):
            raise self.refusal(component, f"the product {self.name(factors)} has no integer factor")
        for integer in reversed(integers):
            key = (integer, last)
            if key not in self._column_of:
                self._column_of[key] = self._new_column(self.name(key))
                self.found.append(Product(self._column_of[key], *key))
            last = self._column_of[key]
        return last

    def maximum(self, component: Any, pieces: Sequence[Polynomial]) -> Polynomial:
        """The largest of several polynomials as a column of its own."""
        linear = [self.linear(component, piece) for piece in pieces]
        inputs = sorted({column for piece in linear for (*columns,) in piece for column in columns})
        offset = np.array([piece.get((), 0.0) for piece in linear])
        if not inputs:
            return {(): float(offset.max())}
        matrix = np.array([[piece.get((column,), 0.0) for column in inputs] for piece in linear])
        key = (tuple(inputs), matrix.tobytes(), offset.tobytes())
        if key not in self._column_of:
            self._column_of[key] = self._new_column(f"maximum in {component.name}")
            self.found.append(Maximum(self._column_of[key], np.array(inputs), matrix, offset))
        return {(self._column_of[key],): 1.0}

    def column(self, variable: Any) -> int:
        """The column of a variable."""
        return self._columns.of(variable)

    def name(self, factors: Sequence[int]) -> str:
        """A product in words."""
        powers = Counter(factors).items()
        return "*".join(
            f"{self._name(column)}**{power}" if power > 1 else self._name(column) for column, power in powers
        )

    def _name(self, column: int) -> str:
        return self._names.get(column) or self._columns.variables[column].name

    def is_continuous(self, column: int) -> bool:
        """Whether a column may have values that are no integers."""
        variable = self._columns.variables[column]
        return bool(variable.fixed or variable.is_continuous())

    def is_binary(self, column: int) -> bool:
        """Whether a column has the values 0 and 1 alone."""
        variable = self._columns.variables[column]
        return not variable.is_continuous() and not variable.fixed and variable.bounds == (0, 1)

    def _new_column(self, name: str) -> int:
        variable = Var(name=name)
        variable.construct()
        column = self._columns.of(variable)
        self._names[column] = name  # Pyomo's name has quotes around it, and quotes around those of a part
        return column

    @staticmethod
    def refusal(component: Any, reason: str) -> IncompatibleModel:
        """The error that names a component that is not linear, and why."""
        what = f"constraint '{component.name}' is nonlinear"
        if component.ctype is not Constraint:
            what = f"objective '{component.name}' is not linear or quadratic"
        return IncompatibleModel(f"{what}: {reason}. {ADVICE}")


class _Reader(StreamBasedExpressionVisitor):
    """Reads an expression as a polynomial, inner parts first."""

    def __init__(self, operations: Operations, component: Any) -> None:
        super().__init__()
        self._operations = operations
        self._component = component

    def initializeWalker(self, expression: Any) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """Read an expression that is a number or a variable at once."""
        return self.beforeChild(None, expression, 0)

    def beforeChild(self, node: Any, child: Any, index: int) -> tuple[bool, Any]:  # noqa: N802 - Pyomo's name
        """Read numbers and variables; go on into everything else."""
        if child.__class__ in native_numeric_types or not child.is_potentially_variable():
            return False, {(): float(value(child))}
        if isinstance(child, numeric_expr.Expr_ifExpression):
            raise self._refusal("it holds Expr_if; state the choice with a binary variable")
        if child.is_expression_type():
            return True, None
        if child.fixed:
            return False, {(): float(value(child))}
        return False, {(self._operations.column(child),): 1.0}

    def exitNode(self, node: Any, data: list[Polynomial]) -> Polynomial:  # noqa: N802 - Pyomo's name
        """Combine what the arguments of a node are."""
        if node.is_named_expression_type():
            return data[0]
        for kind, combine in _COMBINED.items():
            if isinstance(node, kind):
                return combine(self, *data)
        if all(set(argument) <= {()} for argument in data):
            return {(): float(value(node))}
        raise self._refusal(f"it holds '{node.getname()}'")

    def _sum(self, *terms: Polynomial) -> Polynomial:
        total: Polynomial = {}
        for term in terms:
            for factors, coefficient in term.items():
                total[factors] = total.get(factors, 0.0) + coefficient
        return total

    def _product(self, left: Polynomial, right: Polynomial) -> Polynomial:
        if len(left) * len(right) > MAX_TERMS:
            raise self._refusal(f"multiplied out it has more than {MAX_TERMS} products")
        total: Polynomial = {}
        for own, first in left.items():
            for other, second in right.items():
                factors = self._operations.simplified(tuple(sorted((*own, *other))))
                if len(factors) - len(set(factors)) >= MAX_EXPONENT:
                    raise self._too_high()
                total[factors] = total.get(factors, 0.0) + first * second
        return total

    def _quotient(self, left: Polynomial, right: Polynomial) -> Polynomial:
        if not set(right) <= {()}:
            raise self._refusal("it divides by an expression of variables")
        return {factors: coefficient / right[()] for factors, coefficient in left.items()}

    def _power(self, base: Polynomial, exponent: Polynomial) -> Polynomial:
        power = exponent.get((), 0.0)
        if not set(exponent) <= {()} or power < 0 or power != int(power):
            raise self._refusal("it has a power whose exponent is no natural number")
        if set(base) <= {()}:
            return {(): float(np.float64(base.get((), 0.0)) ** power)}
        if power > MAX_EXPONENT:
            raise self._too_high()
        result: Polynomial = {(): 1.0}
        for _ in range(int(power)):
            result = self._product(result, base)
        return result

    def _negated(self, term: Polynomial) -> Polynomial:
        return {factors: -coefficient for factors, coefficient in term.items()}

    def _absolute(self, term: Polynomial) -> Polynomial:
        return self._maximum(term, self._negated(term))

    def _maximum(self, *terms: Polynomial) -> Polynomial:
        return self._operations.maximum(self._component, terms)

    def _minimum(self, *terms: Polynomial) -> Polynomial:
        return self._negated(self._maximum(*map(self._negated, terms)))

    def _too_high(self) -> IncompatibleModel:
        return self._refusal(f"it has powers beyond the {MAX_EXPONENT}th; scale the variable or lower the exponent")

    def _refusal(self, reason: str) -> IncompatibleModel:
        return self._operations.refusal(self._component, reason)


_COMBINED: dict[type, Callable[..., Polynomial]] = {
    numeric_expr.SumExpression: _Reader._sum,
    numeric_expr.ProductExpression: _Reader._product,
    numeric_expr.DivisionExpression: _Reader._quotient,
    numeric_expr.PowExpression: _Reader._power,
    numeric_expr.NegationExpression: _Reader._negated,
    numeric_expr.AbsExpression: _Reader._absolute,
    numeric_expr.MaxExpression: _Reader._maximum,
    numeric_expr.MinExpression: _Reader._minimum,
}
