"""Points that Pyomo's own evaluation refutes by rounding alone, with last digits that it confirms."""

import numpy as np
from pyomo.core.base.constraint import Constraint
from pyomo.core.expr.visitor import identify_variables

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.modeling.compile.confirmation import beyond_side, values_set
from pyomo_relugrad.modeling.compile.model import CompiledModel
from pyomo_relugrad.problem import FEASIBILITY_TOLERANCE, Incumbent
from pyomo_relugrad.search.sequential.last_digits import beyond_sides, with_last_digits

#: Points of a batch that Pyomo evaluates, those at which fewest rows are violated by our evaluation.
MOST = 16


def settled(compiled: CompiledModel, point: Incumbent) -> Incumbent | None:
    """A point that rows hold at by both evaluations, ours and Pyomo's, which add and multiply in other orders.

    Squares of pressures in pascals have no digits for the tolerance. None where more than rounding is missing, or none
    is found.
    """
    problem = compiled.problem
    columns = np.flatnonzero(~problem.is_output & ~problem.integers & (problem.lower < problem.upper))
    with values_set(compiled.solution(point.values)):
        values = with_last_digits(problem, point.values, columns, _PyomoRows(compiled, point.values).missing_at)
    if values is None:
        return None
    found = problem.measure(values)
    return found if found.is_feasible and not compiled.refuted(found) else None


class _PyomoRows:
    """Rows as both evaluate them, the worse counts; Pyomo's are evaluated again where a variable has changed."""

    def __init__(self, compiled: CompiledModel, v: Array) -> None:
        self._problem, self._variables, self._at = compiled.problem, compiled.columns, v.copy()
        nonlinear = {id(each) for each in compiled.nonlinear if each.ctype is Constraint}
        places = {id(variable): j for j, variable in enumerate(compiled.columns)}
        self._rows = [(i, row) for i, row in enumerate(compiled.constraints) if id(row) in nonlinear]
        self._missing = np.array([beyond_side(row) for _, row in self._rows])
        self._readers: dict[int, list[int]] = {}
        for number, (_, row) in enumerate(self._rows):
            for variable in identify_variables(row.body, include_fixed=False):
                self._readers.setdefault(places.get(id(variable), -1), []).append(number)

    def missing_at(self, V: Array) -> Array:
        """By how much rows lie beyond a side (B, m), positive above the upper one."""
        missing = beyond_sides(self._problem, V)
        rows = np.array([i for i, _ in self._rows], np.intp)
        best = np.argsort((np.abs(missing) > FEASIBILITY_TOLERANCE).sum(axis=1), kind="stable")
        missing[best[MOST:]] = np.inf
        found = list[Array]()
        for v, own in zip(V[best[:MOST]], missing[best[:MOST]], strict=True):
            self._move_to(v)
            own[rows] = np.where(np.abs(self._missing) > np.abs(own[rows]), self._missing, own[rows])
            found.append(own)
        missing[best[:MOST]] = found
        return missing

    def _move_to(self, v: Array) -> None:
        changed = np.flatnonzero(v != self._at).tolist()
        for column in changed:
            self._variables[column].set_value(v[column], skip_validation=True)
        for number in {reader for column in changed for reader in self._readers.get(column, ())}:
            self._missing[number] = beyond_side(self._rows[number][1])
        self._at = v.copy()
