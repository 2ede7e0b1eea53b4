"""A problem with more columns and rows, put together one by one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from pyomo_relugrad.problem.problem import Problem


class Extension:
    """Collects columns and rows that a problem is to have besides its own."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.lower: list[float] = problem.lower.tolist()
        self.upper: list[float] = problem.upper.tolist()
        self.integers: list[bool] = problem.integers.tolist()
        self._names: list[str] = []
        self._columns: list[int] = []
        self._coefficients: list[float] = []
        self._starts: list[int] = [0]
        self._row_lower: list[float] = []
        self._row_upper: list[float] = []

    def add_column(self, lower: float, upper: float, integer: bool = False, name: str = "") -> int:
        """Append a column and return its number."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.integers.append(integer)
        self._names.append(name)
        return len(self.lower) - 1

    def add_row(self, columns: Sequence[int], coefficients: Sequence[float], lower: float, upper: float) -> None:
        """Append the row ``lower <= coefficients @ v[columns] <= upper``."""
        self._columns.extend(columns)
        self._coefficients.extend(coefficients)
        self._starts.append(len(self._columns))
        self._row_lower.append(lower)
        self._row_upper.append(upper)

    def problem(self) -> Problem:
        """The problem with all that was appended."""
        problem, n, k, m = self._problem, len(self.lower), len(self._names), len(self._row_lower)
        coefficients, columns = np.array(self._coefficients, np.float64), np.array(self._columns, np.int64)
        added = sparse.csr_array((coefficients, columns, np.array(self._starts)), shape=(m, n))
        added.sum_duplicates()
        padded = sparse.hstack([problem.rows, sparse.csr_array((problem.n_rows, k))])
        quadratic = problem.quadratic
        return replace(
            problem,
            cost=np.append(problem.cost, np.zeros(k)),
            lower=np.array(self.lower, np.float64),
            upper=np.array(self.upper, np.float64),
            integers=np.array(self.integers, bool),
            rows=sparse.vstack([padded, added], format="csr"),
            row_lower=np.append(problem.row_lower, self._row_lower),
            row_upper=np.append(problem.row_upper, self._row_upper),
            quadratic=None if quadratic is None else sparse.block_diag([quadratic, np.zeros((k, k))], format="csr"),
            column_names=(*problem.column_names, *self._names) if problem.column_names else (),
            row_names=(*problem.row_names, *[""] * m) if problem.row_names else (),
        )
