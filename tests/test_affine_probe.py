"""Whether a function of rows is affine: what clips, jumps or mixes rows far from the origin is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyomo_relugrad.network.building import affine_map, is_affine_map

NO_LANDMARKS = np.zeros((0, 3))
RNG = np.random.default_rng(0)
MATRIX, OFFSET = RNG.normal(size=(2, 3)), RNG.normal(size=2)


def is_affine(function, width=3, landmarks=None):
    with np.errstate(all="ignore"):
        found = affine_map(function, width)
        return is_affine_map(function, *found, np.zeros((0, width)) if landmarks is None else landmarks)


@settings(max_examples=50, deadline=None)
@given(
    scales=st.lists(st.sampled_from([1e-6, 1e-3, 1.0, 50.0, 1e6]), min_size=3, max_size=3),
    centres=st.lists(st.sampled_from([0.0, -1e-3, 1.0, 300.0, 1e6, -1e9]), min_size=3, max_size=3),
)
def test_maps_are_found_to_the_last_digits(scales, centres):
    def scaler(rows):
        return (rows - centres) / scales

    matrix, offset = affine_map(scaler, 3)
    np.testing.assert_allclose(matrix.toarray(), np.diag(1.0 / np.array(scales)), rtol=1e-15)
    np.testing.assert_allclose(offset, -np.array(centres) / scales, rtol=1e-15)
    assert is_affine_map(scaler, matrix, offset, NO_LANDMARKS)


@pytest.mark.parametrize("width", [1, 2, 30, 300])
def test_dense_maps_of_any_width(width):
    matrix, offset = RNG.normal(size=(7, width)), 1e3 * RNG.normal(size=7)
    assert is_affine(lambda rows: rows @ matrix.T + offset, width)


@pytest.mark.parametrize("limit", [1e-6, 0.1, 250.0, 700.0, 5e3, 1e9])
@pytest.mark.parametrize("column", [slice(None), [1]])
def test_limits_are_seen_on_both_sides(limit, column):
    for clip in (np.minimum, np.maximum):
        for sign in (-1.0, 1.0):

            def function(rows, clip=clip, sign=sign):
                rows = rows.copy()
                rows[:, column] = clip(rows[:, column], sign * limit)
                return rows @ MATRIX.T + OFFSET

            assert not is_affine(function)


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: np.clip(rows, 250, 700),
        lambda rows: np.log(np.maximum(rows, 1.0)),
        lambda rows: np.where(abs(rows) > 1e4, 0.0, rows),
        lambda rows: np.where((rows > 350) & (rows < 450), 400.0, rows),
        lambda rows: np.round(rows, 2),
        lambda rows: rows + 1e-3 * np.sin(rows),
        lambda rows: rows[:, :1] * rows[:, 1:],
        lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True),
        lambda rows: np.maximum(rows[:, :1], rows[:, 1:]),
        lambda rows: np.minimum(rows.sum(axis=1, keepdims=True), 1e6),
        lambda rows: rows - rows.mean(axis=0),
        lambda rows: rows - rows.min(axis=0),
        lambda rows: (rows - rows.mean(axis=0)) / rows.std(axis=0),
        lambda rows: np.full_like(rows, np.nan),
        lambda rows: np.where(rows > 0, np.inf, rows),
    ],
)
def test_what_is_not_affine(function):
    assert not is_affine(function)


def test_what_happens_near_a_number_that_the_function_holds():
    def bump(rows):
        return np.where(abs(rows - 333.0) < 0.4, 0.0, rows)

    assert not is_affine(bump, landmarks=np.full((1, 3), 333.0))
