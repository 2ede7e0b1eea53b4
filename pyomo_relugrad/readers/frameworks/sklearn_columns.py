"""The columns that a scikit-learn pipeline reads, numbers or categories, and its first steps as an affine map."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network import Choice, decoded
from pyomo_relugrad.network.building import affine_map, is_affine_map
from pyomo_relugrad.readers.frameworks.sklearn_steps import ENCODERS, AffineMap, is_affine, not_affine, silent

_AGREEMENT = 1e-9
_ROWS = 200


@dataclass(frozen=True, eq=False)
class FeatureColumns:
    """The columns of the table that an estimator was fitted on.

    Parameters
    ----------
    names : tuple of str
        Those of the data frame, or ``x0``, ``x1``, ... as scikit-learn calls the columns of arrays.
    categories : dict
        By position, the categories of those that are no numbers.
    is_frame : bool
        Whether it was a data frame.
    """

    names: tuple[str, ...]
    categories: dict[int, tuple[Any, ...]]
    is_frame: bool

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The categorical columns as groups of inputs."""
        result, first = [], 0
        for position, name in enumerate(self.names):
            own = self.categories.get(position)
            if own is not None:
                result.append(Choice(name, own, first))
            first += 1 if own is None else len(own)
        return tuple(result)

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """A name for each number and each category."""
        choices = {choice.name: choice for choice in self.choices}
        return tuple(own for name in self.names for own in (choices[name].input_names if name in choices else (name,)))

    @cached_property
    def is_number(self) -> Array:
        """Which inputs are numbers: (n_inputs,) booleans."""
        result = np.ones(len(self.input_names), bool)
        for choice in self.choices:
            result[list(choice.positions)] = False
        return result


def table_of(rows: Array, input_names: Sequence[str], choices: Sequence[Choice], is_frame: bool) -> Any:
    """Rows of inputs with categorical ones as a table with their categories."""
    columns = decoded(rows, input_names, choices)
    if is_frame and find_spec("pandas") is not None:
        return import_module("pandas").DataFrame(columns)
    return np.array(list(columns.values()), object).T


def with_random_categories(rows: Array, choices: Sequence[Choice]) -> Array:
    """The rows, in which each choice is a category drawn at random."""
    rng, rows = np.random.default_rng(0), rows.copy()
    for choice in choices:
        size = len(choice.categories)
        rows[:, list(choice.positions)] = np.eye(size)[rng.integers(size, size=len(rows))]
    return rows


def columns_of(steps: Sequence[tuple[str, Any]], names: Sequence[str], width: int) -> FeatureColumns | None:
    """The columns that a pipeline's steps read; None where all are numbers."""
    categories = next((found for found in (_categories(step) for _, step in steps) if found), {})
    if not categories:
        return None
    known = tuple(names) or tuple(f"x{place}" for place in range(width))
    places = _read(steps[0][1], width) if names else range(width)
    own = {position: categories[place] for position, place in enumerate(places) if place in categories}
    return FeatureColumns(tuple(known[place] for place in places), own, bool(names))


def _read(step: Any, width: int) -> list[int]:
    """Positions of the columns that the first step reads: it asks for no others in a data frame."""
    if not hasattr(step, "transformers_"):
        return list(range(width))
    parts = [name for name, part, _ in step.transformers_ if not (isinstance(part, str) and part == "drop")]
    return sorted({int(place) for name in parts for place in step._transformer_to_input_indices.get(name, ())})


def _categories(step: Any) -> dict[int, tuple[Any, ...]]:
    """Categories by column that a fitted step's encoders know."""
    if hasattr(step, "categories_"):
        return {position: tuple(own.tolist()) for position, own in enumerate(step.categories_)}
    if hasattr(step, "transformers_"):
        found = {}
        for name, part, _ in step.transformers_:
            places = step._transformer_to_input_indices.get(name, ())
            found.update({places[position]: own for position, own in _categories(part).items()})
        return found
    parts = [part for _, part in getattr(step, "steps", getattr(step, "transformer_list", ()))]
    return next((found for found in map(_categories, parts) if found), {})


def first_steps(steps: Sequence[tuple[str, Any]], columns: FeatureColumns) -> tuple[AffineMap, int]:
    """The affine map from the inputs to what the first steps make of them, and how many steps these are.

    They are as many as it takes to turn the categories into numbers.

    Raises
    ------
    UnsupportedOperatorError
        If they are not affine in the numbers and in the indicators of the categories.
    """
    base = with_random_categories(np.zeros((1, len(columns.input_names))), columns.choices)
    for count in range(1, len(steps) + 1):
        own = steps[:count]

        def function(rows: Array, own: Sequence[tuple[str, Any]] = own) -> Array:
            table = table_of(rows, columns.input_names, columns.choices, columns.is_frame)
            values = reduce(lambda given, step: step[1].transform(given), own, table)
            return np.asarray(values.toarray() if sparse.issparse(values) else values, np.float64)

        with silent():
            try:
                function(base)
            except (TypeError, ValueError):  # there are words left, or what reads them is not a step
                continue
            return _affine(function, columns, own), count
    raise not_affine(*steps[0])


def _affine(function: Callable[[Array], Array], columns: FeatureColumns, steps: Sequence[tuple[str, Any]]) -> AffineMap:
    """The matrix and offset of a function of numbers and indicators."""
    numbers, size = np.flatnonzero(columns.is_number), len(columns.input_names)
    base = np.zeros((1, size))
    for choice in columns.choices:
        base[0, choice.first] = 1.0

    def of_numbers(rows: Array) -> Array:
        full = np.repeat(base, len(rows), axis=0)
        full[:, numbers] = rows
        return function(full)

    offset = function(base)[0]
    matrix = np.zeros((offset.size, size))
    if numbers.size:
        slopes, _ = affine_map(of_numbers, numbers.size)
        is_known = all(is_affine(step, ENCODERS) for _, step in steps)
        if not is_known and not is_affine_map(of_numbers, slopes, offset, np.zeros((0, numbers.size))):
            raise not_affine(*steps[0])
        matrix[:, numbers] = slopes.toarray()
    for choice in columns.choices:
        rows = np.repeat(base, len(choice.categories), axis=0)
        rows[:, list(choice.positions)] = np.eye(len(choice.categories))
        matrix[:, list(choice.positions)] = (function(rows) - offset).T
    points = 100.0 * np.random.default_rng(1).normal(size=(_ROWS, size))
    points = with_random_categories(points, columns.choices)
    expected, scale = points @ matrix.T + offset, abs(points) @ abs(matrix).T + abs(offset)
    if not (abs(function(points) - expected) <= _AGREEMENT * scale).all():
        raise not_affine(*steps[0])
    return matrix, offset
