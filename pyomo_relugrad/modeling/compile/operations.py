"""Columns for products, absolute values, minima, maxima and smooth functions that stand in rows and objectives."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from pyomo.core.base.var import Var

from pyomo_relugrad.expression import Node
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.polynomial import Polynomial
from pyomo_relugrad.modeling.compile.smooth_terms import SmoothTerms
from pyomo_relugrad.modeling.variables import bounds_of
from pyomo_relugrad.problem import EmbeddedExpression, Maximum, Product

#: Coefficients of smooth terms, and their inverses, from which on they are part of the term.
LARGE = 1e6
#: Columns for which an equation is tried to be solved.
MAX_CANDIDATES = 3
#: Equations tried in vain, one after another, after which no others are tried: each takes milliseconds.
MAX_VAIN = 100


class Operations:
    """Collects operations and smooth functions, each with a column for its value whose variable belongs to no model.

    Attributes
    ----------
    columns : Columns
    found : list of Product or Maximum
        Inner ones first.
    expressions : list of EmbeddedExpression
    nonlinear : list of ConstraintData and ObjectiveData
        What holds smooth terms.
    smooth : SmoothTerms
    named : dict
        What Pyomo's named expressions are, by their ids.
    defined : set of int
        The columns to which networks and equations give values.

    Parameters
    ----------
    columns : Columns
    written : iterable of int, optional
        The columns to which networks give values.
    """

    def __init__(self, columns: Columns, written: Iterable[int] = ()) -> None:
        self.found: list[Product | Maximum] = []
        self.expressions: list[EmbeddedExpression] = []
        self.nonlinear: list[Any] = []
        self.smooth = SmoothTerms()
        self.named: dict[int, Polynomial] = {}
        self.defined = set(written)
        self.columns = columns
        self._column_of: dict[Any, int] = {}
        self._names: dict[int, str] = {}
        self._vain = 0

    def linear(self, component: Any, polynomial: Polynomial) -> Polynomial:
        """The same polynomial, of degree one: products and smooth terms have columns of their own."""
        result: Polynomial = {}
        for factors, coefficient in self.smooth.with_squares(polynomial, self.is_smooth).items():
            key = self.simplified(factors)
            if coefficient and (len(key) > 1 or min(key, default=0) < 0):
                scale = _scale(coefficient) if all(map(self.is_smooth, key)) else 1.0
                key, coefficient = (self._product(component, key, scale),), coefficient / scale
            if len(key) <= 1 and min(key, default=0) >= 0:
                result[key] = result.get(key, 0.0) + coefficient
        return result

    def simplified(self, factors: tuple[int, ...]) -> tuple[int, ...]:
        """A product in which powers of binaries are the binaries."""
        if len(factors) < 2:
            return factors
        kept = (each for k, each in enumerate(factors) if each not in factors[:k] or not self.is_binary(each))
        return tuple(sorted(kept))

    def _product(self, component: Any, factors: tuple[int, ...], scale: float = 1.0) -> int:
        """The column of a product: what is smooth is one function, multiplied by one integer after another.

        Parameters
        ----------
        component : ConstraintData or ObjectiveData
        factors : tuple of int
        scale : float, optional
            A number in the product, where there are no integers.
        """
        smooth = [factor for factor in factors if self.is_smooth(factor)]
        integers = [factor for factor in factors if not self.is_smooth(factor)]
        last = integers.pop() if not smooth else smooth[0]
        if len(smooth) > 1 or last < 0:
            last = self.function(self.smooth.product(smooth, scale), component, smooth if scale == 1 else ())
        for integer in reversed(integers):
            key = (integer, last)
            if key not in self._column_of:
                self._column_of[key] = self._new_column(self.name(key))
                self.found.append(Product(self._column_of[key], *key))
            last = self._column_of[key]
        return last

    def function(self, node: Node, component: Any, factors: Sequence[int] = ()) -> int:
        """The column of a smooth term; `factors` are those of a product, for its name."""
        if not self.nonlinear or self.nonlinear[-1] is not component:
            self.nonlinear.append(component)
        if node not in self._column_of:
            is_product = len(factors) > 1 and min(factors) >= 0
            name = self.name(factors) if is_product else f"nonlinear term of {component.name}"
            self._column_of[node] = self._new_column(name)
            self.expressions.append(self.smooth.embedded(node, self._column_of[node], component.name))
        return self._column_of[node]

    def definition(self, component: Any, defined: int, polynomial: Polynomial) -> Polynomial | None:
        """The equation ``polynomial == 0`` as ``a v[defined] - a w == 0``, where `w` is a smooth function of the rest.

        None where products with integers, which are linear, or the column itself stand in the rest.
        """
        rest = {factors: each for factors, each in polynomial.items() if factors != (defined,)}
        if not all(len(factors) <= 1 or all(map(self.is_smooth, factors)) for factors in rest):
            return None
        coefficient = polynomial[(defined,)]
        node = self.smooth.node({factors: -each / coefficient for factors, each in rest.items()})
        if defined in self.smooth.inputs(~node):
            return None
        self.defined.add(defined)
        return {(defined,): coefficient, (self.function(node, component),): -coefficient}

    def solved(self, component: Any, polynomial: Polynomial) -> Polynomial | None:
        """The equation ``polynomial == 0`` as ``v - w == 0``, solved for the column that it leaves one value.

        The column stands in a product or a function. Of several it is one with fewest bounds. None where there is no
        such column but those that are given values already, or where products with integers stand in the equation,
        which are linear, or other operations, which may read the column.
        """
        if not all(len(factors) <= 1 or all(map(self.is_smooth, factors)) for factors in polynomial):
            return None
        terms = (key for key, each in polynomial.items() if each and (len(key) > 1 or min(key, default=0) < 0))
        columns = sorted(self.smooth.inputs(*chain.from_iterable(terms)))
        operated = {operation.output for operation in self.found}
        if not operated.isdisjoint([*columns, *(factors[0] for factors in polynomial if len(factors) == 1)]):
            return None
        powers = defaultdict[int, set[int]](set)
        for factor, power in chain.from_iterable(Counter(factors).items() for factors in polynomial):
            powers[factor].add(power)
        free = (column for column in columns if self._is_free(column) and len(powers[column]) <= 1)
        self._vain += 1
        candidates = sorted(free, key=self._n_bounds)[:MAX_CANDIDATES]
        if not candidates or self._vain > MAX_VAIN:
            return None
        equation = self.smooth.node(polynomial)
        for column in candidates:
            node = self.smooth.solution(equation, column, self.bounds)
            if node is not None:
                self.defined.add(column)
                self._vain = 0
                return {(column,): 1.0, (self.function(node, component),): -1.0}
        return None

    def _is_free(self, column: int) -> bool:
        """Whether a column is a continuous variable of the model to which nothing gives values."""
        variable = self.columns.variables[column]
        is_of_model = variable.parent_block() is not None and variable.is_continuous() and not variable.fixed
        return is_of_model and column not in self.defined

    def _n_bounds(self, column: int) -> int:
        return sum(bound is not None for bound in self.bounds(column))

    def bounds(self, column: int) -> tuple[float | None, float | None]:
        """Bounds of a column's variable, None where there is none; the value of a fixed one."""
        variable = self.columns.variables[column]
        if variable.fixed:
            return variable.value, variable.value
        low, high = bounds_of(variable)
        return low if np.isfinite(low) else None, high if np.isfinite(high) else None

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

    def least_value(self, polynomial: Polynomial) -> float:
        """A number that a polynomial is nowhere below, between the bounds of the variables."""
        return self.smooth.range(self.smooth.node(polynomial), self.bounds)[0]

    def name(self, factors: Sequence[int]) -> str:
        """A product in words."""
        powers = Counter(factors).items()
        return "*".join(
            f"{self.column_name(column)}**{power}" if power > 1 else self.column_name(column)
            for column, power in powers
        )

    def column_name(self, column: int) -> str:
        """Name of a column; without the quotes that Pyomo puts around one of its own making."""
        return self._names.get(column) or self.columns.variables[column].name

    def is_smooth(self, factor: int) -> bool:
        """Whether a factor may have values that are no integers."""
        if factor < 0:
            return True
        variable = self.columns.variables[factor]
        return bool(variable.fixed or variable.is_continuous())

    def is_binary(self, factor: int) -> bool:
        """Whether a factor has the values 0 and 1 alone."""
        if factor < 0:
            return False
        variable = self.columns.variables[factor]
        return not variable.is_continuous() and not variable.fixed and variable.bounds == (0, 1)

    def _new_column(self, name: str) -> int:
        variable = Var(name=name)
        variable.construct()
        column = self.columns.of(variable)
        self._names[column] = name  # Pyomo's name has quotes around it, and quotes around those of a part
        return column


def _scale(coefficient: float) -> float:
    """A power of ten near a very large or small coefficient, otherwise 1: rates are large numbers times small ones."""
    is_usual = 1 / LARGE < abs(coefficient) < LARGE
    return 1.0 if is_usual else float(10.0 ** np.round(np.log10(abs(coefficient))))
