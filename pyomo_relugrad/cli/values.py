"""Vectors as they are typed, kept in files and shown."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.exit_codes import ArgumentError
from pyomo_relugrad.words import counted

#: How files of vectors end.
SUFFIXES = (".npy", ".csv")

# How many entries of a vector are shown.
_SHOWN = 20


def read_vector(text: str) -> Array:
    """A vector as the user typed it: a number, numbers with commas between them, or the name of a file.

    Returns
    -------
    () or (n,) array

    Raises
    ------
    ValueError
        If it is none of these, or an entry is NaN.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> read_vector("-1"), read_vector("0,0.5,inf")
    (array(-1.), array([0. , 0.5, inf]))
    """
    suffix = Path(text).suffix.lower()
    if suffix == ".npy":
        vector = np.load(text, allow_pickle=False).astype(np.float64).ravel()
    elif suffix == ".csv":
        vector = np.loadtxt(text, delimiter=",").ravel()
    else:
        numbers = [float(number) for number in text.split(",")]
        vector = np.array(numbers if len(numbers) > 1 else numbers[0])
    if np.isnan(vector).any():
        raise ValueError(f"{text!r} has entries that are no numbers")
    return vector


def as_box(lower: Array, upper: Array, size: int) -> tuple[Array, Array]:
    """Both sides of a box, with a number standing for a vector of equal entries.

    Raises
    ------
    ArgumentError
        If there are too many or too few entries, or the box is empty.
    """
    lower, upper = _as_side(lower, size, "--lower"), _as_side(upper, size, "--upper")
    wrong = np.flatnonzero(lower > upper)
    if wrong.size:
        raise ArgumentError(f"--lower exceeds --upper at input {wrong[0]}: {lower[wrong[0]]:g} and {upper[wrong[0]]:g}")
    return lower, upper


def _as_side(vector: Array, size: int, option: str) -> Array:
    if vector.ndim and vector.size != size:
        raise ArgumentError(f"{option} has {vector.size} numbers, but the network has {counted(size, 'input')}")
    return np.broadcast_to(vector, (size,)).astype(np.float64)


def save_vector(vector: Array, path: Path) -> None:
    """Write a vector as a NumPy file, or as one row of numbers with commas between them."""
    if path.suffix.lower() == ".npy":
        np.save(path, vector)
    else:
        np.savetxt(path, vector[None], delimiter=",", fmt="%.17g")


def shown(title: str, vector: Array) -> str:
    """A vector in words after a title, in lines of at most 100 columns: all of a short one, a long one's beginning.

    Examples
    --------
    >>> import numpy as np
    >>> shown("Inputs", np.array([0.5, 1.0, -2.25e-7]))
    'Inputs   0.5, 1, -2.25e-07'
    """
    numbers = ", ".join(f"{number:.6g}" for number in vector[:_SHOWN].tolist())
    rest = f", ... ({vector.size} numbers)" if vector.size > _SHOWN else ""
    return textwrap.fill(f"{title:<9}{numbers}{rest}", width=100, subsequent_indent=" " * 9)


def or_none(number: float) -> float | None:
    """The number, None where it is infinite: JSON has no infinities."""
    return number if math.isfinite(number) else None
