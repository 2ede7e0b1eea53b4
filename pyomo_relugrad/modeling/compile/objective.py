"""The objective of a Pyomo model as arrays: linear, or convex quadratic."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyomo.core.base.objective import ObjectiveSense
from scipy import sparse

from pyomo_relugrad.arrays import Array, Weight
from pyomo_relugrad.modeling.compile.columns import Columns
from pyomo_relugrad.modeling.compile.expressions import standard_form
from pyomo_relugrad.modeling.compile.network_calls import NetworkCalls
from pyomo_relugrad.modeling.compile.operations import Operations
from pyomo_relugrad.modeling.compile.polynomial import Polynomial, multiple
from pyomo_relugrad.modeling.compile.reader import read
from pyomo_relugrad.modeling.compile.squares import quadratic_parts
from pyomo_relugrad.problem import CONVEXITY_TOLERANCE, is_positive_semidefinite


@dataclass(frozen=True, eq=False)
class CompiledObjective:
    """``sum(linear) + sum(quadratic) + constant`` by columns and pairs of columns, to be minimized."""

    linear: Polynomial
    quadratic: Polynomial
    constant: float
    maximize: bool

    def cost(self, n_columns: int) -> Array:
        """Linear coefficients (n,)."""
        cost = np.zeros(n_columns)
        for (column,), coefficient in self.linear.items():
            cost[column] = coefficient
        return cost

    def matrix(self, n_columns: int) -> Weight | None:
        """Symmetric (n, n) matrix ``Q`` of ``v @ Q @ v / 2``, None where there is no quadratic part."""
        return _matrix(self.quadratic, n_columns) if any(self.quadratic.values()) else None


def _matrix(quadratic: Polynomial, n_columns: int) -> Weight:
    pairs = np.array(list(quadratic), np.int64).reshape(-1, 2).T
    half = sparse.coo_array((list(quadratic.values()), tuple(pairs)), shape=(n_columns, n_columns))
    return sparse.csr_array(half + half.T)


def compile_objective(
    objective: Any, columns: Columns, networks: NetworkCalls, operations: Operations
) -> CompiledObjective:
    """Read an objective; `networks` collects the networks in it, `operations` products, maxima and smooth terms.

    Products stay products where those that have columns in common are convex together. Otherwise they are operations or
    smooth terms.

    Raises
    ------
    IncompatibleModel
        If it cannot be read; names it.
    """
    if objective is None:
        return CompiledObjective({}, {}, 0.0, False)
    maximize = objective.sense == ObjectiveSense.maximize
    sign = -1.0 if maximize else 1.0
    repn = standard_form(objective, objective.expr, quadratic=True, networks=networks)
    pairs = [variable for pair in repn.quadratic_vars for variable in pair]
    columns.note_idle(objective.expr, (*repn.linear_vars, *pairs))
    polynomial = multiple(sign, read(objective, repn, operations))
    quadratic = _kept_quadratic(polynomial, operations)
    rest = {factors: coefficient for factors, coefficient in polynomial.items() if factors not in quadratic}
    linear = operations.linear(objective, rest)
    return CompiledObjective(linear, quadratic, linear.pop((), 0.0), maximize)


def _kept_quadratic(polynomial: Polynomial, operations: Operations) -> Polynomial:
    """The products of an objective that stay products: those that are convex together."""
    quadratic: Polynomial = {
        factors: each for factors, each in polynomial.items() if len(factors) == 2 and min(factors) >= 0
    }
    coupled = {column for factors in quadratic if factors[0] != factors[1] for column in factors}
    quadratic = {
        factors: coefficient
        for factors, coefficient in quadratic.items()
        if factors[0] in coupled or factors[0] != factors[1] or not operations.is_binary(factors[0])
    }
    if _is_convex(quadratic):
        return quadratic
    result: Polynomial = {}
    for part in quadratic_parts(quadratic):
        smooth = {factors: each for factors, each in part.items() if all(map(operations.is_smooth, factors))}
        result.update(next((kept for kept in (part, smooth) if _is_convex(kept)), {}))
    return result


def _is_convex(quadratic: Polynomial) -> bool:
    squared = {first for (first, second), coefficient in quadratic.items() if first == second and coefficient > 0}
    smallest = CONVEXITY_TOLERANCE * max(map(abs, quadratic.values()), default=0.0)
    if any(abs(value) > smallest and not squared.issuperset(factors) for factors, value in quadratic.items()):
        return False
    if all(first == second for first, second in quadratic):
        return True
    columns, places = np.unique(np.array(list(quadratic), np.int64).reshape(-1, 2), return_inverse=True)
    numbered = map(tuple, places.reshape(-1, 2).tolist())
    return is_positive_semidefinite(_matrix(dict(zip(numbered, quadratic.values(), strict=True)), columns.size))
