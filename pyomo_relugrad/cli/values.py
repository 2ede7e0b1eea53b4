"""Numbers and vectors as they are typed, kept in files and shown."""

import argparse
import math
import re
import textwrap
from pathlib import Path

import numpy as np

from pyomo_relugrad.arrays import Array
from pyomo_relugrad.cli.exit_codes import ArgumentError
from pyomo_relugrad.words import counted

#: How files of vectors end.
SUFFIXES = (".npy", ".csv")

# A name and a file in a list of VNN-COMP.
_PAIR = re.compile(r"""[(\[]\s*['"](\w+)['"]\s*,\s*['"]([^'"]+)['"]\s*[)\]]""")

# How many entries of a vector are shown.
_SHOWN = 20


def as_vector(text: str) -> Array:
    """A vector as the user typed it: a number, numbers with commas between them, or the name of a file.

    Returns
    -------
    () or (n,) array

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none of these, the file cannot be read, or an entry is NaN.

    Examples
    --------
    >>> as_vector("-1"), as_vector("0,0.5,inf")
    (array(-1.), array([0. , 0.5, inf]))
    """
    suffix = Path(text).suffix.lower()
    try:
        if suffix == ".npy":
            vector = np.load(text, allow_pickle=False).astype(np.float64).ravel()
        elif suffix == ".csv":
            vector = np.loadtxt(text, delimiter=",").ravel()
        else:
            numbers = [float(number) for number in text.split(",")]
            vector = np.array(numbers if len(numbers) > 1 else numbers[0])
        if np.isnan(vector).any():
            raise ValueError(f"{text!r} has entries that are no numbers")
    except (OSError, ValueError) as error:
        reason = f": {error}" if suffix in SUFFIXES else ""
        message = f"{text!r} is no number, list of numbers, or readable .npy or .csv file{reason}"
        raise argparse.ArgumentTypeError(message) from error
    return vector


def as_vector_file(text: str) -> Path:
    """The file that a vector is to be written to."""
    path = Path(text)
    if path.suffix.lower() not in SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def as_networks(text: str) -> Path | dict[str, Path]:
    """A network's file, or several by the names that a property gives them; also as VNN-COMP writes them.

    Examples
    --------
    >>> as_networks("f=old.onnx,g=new.onnx") == as_networks("[('f', 'old.onnx'), ('g', 'new.onnx')]")
    True
    """
    if Path(text).exists() or ("=" not in text and not text.startswith("[")):
        return Path(text)
    pairs = _PAIR.findall(text) if text.startswith("[") else [part.partition("=")[::2] for part in text.split(",")]
    files = {name: Path(file) for name, file in pairs if name and file}
    if not files or len(files) != len(pairs):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no file, and no list of names and files such as f=a.onnx,g=b.onnx"
        )
    return files


def as_positive(text: str) -> float:
    """A number larger than 0."""
    try:
        number = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from error
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be larger than 0")
    return number


def as_count(text: str) -> int:
    """An integer that is not negative."""
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer") from error
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} must not be negative")
    return number


def as_positive_count(text: str) -> int:
    """An integer larger than 0."""
    return int(as_positive(str(as_count(text))))


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
