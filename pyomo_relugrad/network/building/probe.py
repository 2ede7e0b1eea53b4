"""The affine map that a function of rows is, or that it is none: from its values alone.

Where a function is known to be affine, a few values give its matrix. Where it is not, values are compared with that
matrix over the whole range that matters: for each input by itself, from tiny to huge, on both sides of zero and around
numbers that the function may hold; for all together; and for single rows, which a function of a batch may treat
otherwise.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.network.linear_maps import check_entries

LARGE_STEP = 2.0**40
"""A power of two, by which a division is exact."""

_AGREEMENT = 1e-9
_DECADES = (-9.0, 12.0)
_MAX_ENTRIES_AT_ONCE = 2**20
_MIN_VALUES, _MAX_VALUES, _WORK = 24, 2000, 4e6
_JOINT_ROWS, _SINGLE_ROWS = 200, 8


def affine_map(
    function: Callable[[Array], Array], width: int, step: float = LARGE_STEP
) -> tuple[sparse.csr_array, Array]:
    """Matrix (m, width) and offset (m,) of a function that is known to be affine.

    Parameters
    ----------
    function : callable
        From rows (B, width) to rows (B, m).
    width : int
    step : float, optional
        The function is evaluated at so many times the unit vectors. From a large step slopes come out exact but for
        the last digit whatever the offset; a function that computes with few digits needs a step of its own size.

    Raises
    ------
    NetworkFileError
        If the matrix has too many entries.

    Examples
    --------
    >>> matrix, offset = affine_map(lambda X: 2.0 * X[:, ::-1] + 1.0, 2)
    >>> matrix.toarray().tolist(), offset.tolist()
    ([[0.0, 2.0], [2.0, 0.0]], [1.0, 1.0])
    """
    offset = function(np.zeros((1, width)))[0]
    columns, count = [], 0
    for own in _batches(np.arange(width), max(width, offset.size)):
        rows = np.zeros((own.size, width))
        rows[np.arange(own.size), own] = step
        columns.append(sparse.csr_array((function(rows) - offset) / step))
        count += columns[-1].nnz
        check_entries(count)
    return sparse.csr_array(sparse.vstack(columns).T), offset


def is_affine_map(
    function: Callable[[Array], Array], matrix: sparse.csr_array, offset: Array, landmarks: Array
) -> bool:
    """Whether a function of rows is the affine map, at many points.

    Parameters
    ----------
    function : callable
    matrix : (m, n) csr_array
    offset : (m,) array
    landmarks : (k, n) array
        Rows of numbers that the function may hold, such as its fitted statistics.
    """
    if not (np.isfinite(matrix.data).all() and np.isfinite(offset).all()):
        return False
    rng, width = np.random.default_rng(0), matrix.shape[1]
    joint = _joint_rows(rng, landmarks, width)
    singles = (row[None, :] for row in joint[:: max(1, len(joint) // _SINGLE_ROWS)])
    for rows in (*singles, *_batches(joint, width), *_axis_rows(rng, landmarks, width)):
        expected, found = rows @ matrix.T + offset, function(rows)
        scale = abs(rows) @ abs(matrix).T + abs(offset)
        if found.shape != expected.shape or not (abs(found - expected) <= _AGREEMENT * scale).all():
            return False
    return True


def _joint_rows(rng: np.random.Generator, landmarks: Array, width: int) -> Array:
    """Rows in which all inputs vary: of one size each, of mixed sizes, and around the landmarks."""
    sizes = 10.0 ** rng.uniform(*_DECADES, size=(_JOINT_ROWS, 1))
    mixed = 10.0 ** rng.uniform(*_DECADES, size=(_JOINT_ROWS, width))
    rows = [sizes * rng.normal(size=(_JOINT_ROWS, width)), mixed * rng.choice([-1.0, 1.0], size=mixed.shape)]
    if len(landmarks):
        centres, spreads = landmarks[rng.integers(len(landmarks), size=(2, _JOINT_ROWS))]
        rows.append(centres + spreads * rng.normal(size=centres.shape))
    return np.concatenate(rows)[rng.permutation(len(rows) * _JOINT_ROWS)]


def _axis_rows(rng: np.random.Generator, landmarks: Array, width: int) -> Iterator[Array]:
    """Batches of rows in which one input varies, over all decades and near the landmarks, and the others are zero."""
    count = int(np.clip(_WORK / width**2, _MIN_VALUES, _MAX_VALUES)) // 2
    first, last = _DECADES
    for index in range(width):
        exponents = first + (last - first) * (np.arange(count) + rng.uniform(size=count)) / count
        near = landmarks[:, index, None] * np.array([1.0 - 1e-3, 1.0, 1.0 + 1e-3])
        values = np.concatenate([10.0**exponents, -(10.0**exponents), near.ravel()])
        for part in _batches(values, width):
            rows = np.zeros((len(part), width))
            rows[:, index] = part
            yield rows


def _batches(rows: Array, width: int) -> list[Array]:
    """The entries of an array, in parts so short that as many rows of a width can be held at once."""
    return np.array_split(rows, len(rows) * width // _MAX_ENTRIES_AT_ONCE + 1)
