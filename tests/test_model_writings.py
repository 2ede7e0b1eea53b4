"""The same model, written in several ways, ends at the same value: a small member of each family."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from model_families import FAMILIES
from writings import bounds_as_rows, outputs_tied_by_rows, reordered

from pyomo_relugrad.modeling.compile import compile_model
from pyomo_relugrad.problem import Problem
from pyomo_relugrad.solve import search, solve_exactly

#: Ways to write a problem: as it is, with its parts in another order, and with all that can be changed changed.
WRITINGS: tuple[Callable[[Problem], Problem], ...] = (
    lambda problem: problem,
    lambda problem: reordered(problem, 1)[0],
    lambda problem: reordered(bounds_as_rows(outputs_tied_by_rows(problem)), 2)[0],
)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_search_ends_at_the_same_value_however_the_model_is_written(family: str) -> None:
    problem = replace(compile_model(FAMILIES[family]()).problem, row_names=(), column_names=())
    exact = solve_exactly(problem, time_limit=20.0)
    found = [search(written(problem), iteration_limit=60) for written in WRITINGS]
    values = [result.incumbent.objective for result in (exact, *found) if result.incumbent is not None]
    assert len(values) == 1 + len(WRITINGS)
    np.testing.assert_allclose(values, values[0], rtol=1e-4, atol=1e-5)
