"""Rows between products of columns: what rows of a problem become where they are multiplied by a column.

Products that are enclosed one by one lose how they hang together: shares that add up to one, each times the same total,
add up to that total (the reformulation-linearization technique of Sherali and Adams).
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np

from pyomo_relugrad.expression import PRODUCT
from pyomo_relugrad.problem.incumbent import FEASIBILITY_TOLERANCE
from pyomo_relugrad.problem.presolve.extension import Extension
from pyomo_relugrad.problem.presolve.reduction import Reduced, same_columns
from pyomo_relugrad.problem.problem import Problem

#: Rows that are added at most, for each row that is there: programs of nodes become slower with them.
MAX_GROWTH = 3

#: Columns, coefficients and both sides.
NewRow: TypeAlias = tuple[list[int], list[float], float, float]


def add_product_rows(problem: Problem) -> Reduced | None:
    """Multiply rows by columns where all products that come about are columns.

    An equation is multiplied by the column, an inequality by the distances of the column from its bounds.
    """
    found = list(islice(_multiplied_rows(problem), MAX_GROWTH * problem.n_rows))
    extension = Extension(problem)
    for row in found:
        extension.add_row(*row)
    return same_columns(extension.problem()) if found else None


def _multiplied_rows(problem: Problem) -> Iterator[NewRow]:
    """The new rows, those of equations first."""
    products, rows = _products(problem), problem.rows
    is_equation = problem.row_lower == problem.row_upper
    for row in np.argsort(~is_equation, kind="stable").tolist() if products else ():
        entries = slice(rows.indptr[row], rows.indptr[row + 1])
        columns, coefficients = rows.indices[entries].tolist(), rows.data[entries].tolist()
        partners = [products.get(column, {}) for column in columns]
        sides = float(problem.row_lower[row]), float(problem.row_upper[row])
        for factor in sorted(set.intersection(*map(set, partners))) if partners else ():
            low, high = float(problem.lower[factor]), float(problem.upper[factor])
            if np.isfinite([low, high]).all():
                multiplied = [partner[factor] for partner in partners]
                yield from _times_column(columns, coefficients, sides, multiplied, factor, (low, high))


def _times_column(
    columns: list[int],
    coefficients: list[float],
    sides: tuple[float, float],
    multiplied: list[int],
    factor: int,
    bounds: tuple[float, float],
) -> Iterator[NewRow]:
    """A row times a column between bounds, less what a point may violate; `multiplied` are the columns of products."""
    least, greatest = sides
    if least == greatest:
        slack = FEASIBILITY_TOLERANCE * max(map(abs, bounds))
        yield [*multiplied, factor], [*coefficients, -least], -slack, slack
        return
    slack = FEASIBILITY_TOLERANCE * (bounds[1] - bounds[0])
    for side, inward in ((least, 1.0), (greatest, -1.0)):
        for bound, direction in zip(bounds, (inward, -inward), strict=True):
            if np.isfinite(side):
                # direction * (coefficients @ v - side) * (v[factor] - bound) is not negative.
                terms = [*coefficients, *(-bound * each for each in coefficients), -side]
                signed = [direction * each for each in terms]
                yield [*multiplied, *columns, factor], signed, -direction * bound * side - slack, np.inf


def _products(problem: Problem) -> dict[int, dict[int, int]]:
    """For each column, by the other factor, the columns of the products in which it is."""
    products: dict[int, dict[int, int]] = defaultdict(dict)
    for embedded in problem.expressions:
        if embedded.expression == PRODUCT:
            left, right = embedded.inputs.tolist()
            products[left][right] = products[right][left] = int(embedded.outputs[0])
    return products
