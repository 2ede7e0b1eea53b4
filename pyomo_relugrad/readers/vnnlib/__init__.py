"""Properties of networks in the VNN-LIB format, versions 1.0 and 2.0: what a counterexample has to satisfy.

A file declares inputs and outputs and asserts linear inequalities between them, joined by ``and`` and ``or``. It is
read into cases, any one of which is enough: a box of inputs and rows on inputs and outputs.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from pyomo_relugrad import words
from pyomo_relugrad.errors import PropertyFileError
from pyomo_relugrad.readers.vnnlib.property import Case, Declaration, Property, Tensor
from pyomo_relugrad.readers.vnnlib.syntax import List, shown, statements_of
from pyomo_relugrad.readers.vnnlib.version_1 import Version1
from pyomo_relugrad.readers.vnnlib.version_2 import Version2

__all__ = ["Case", "Declaration", "Property", "Tensor", "load_vnnlib", "parse_vnnlib"]

_VERSION = re.compile(r"<?(\d+)\.(\d+)>?")
_READERS = {1: Version1, 2: Version2}


def load_vnnlib(path: str | PathLike[str]) -> Property:
    """Read a property file, plain or compressed (``.gz``).

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Property
        What a counterexample has to satisfy; `verify` and `find_counterexample` take it.

    Raises
    ------
    PropertyFileError
        If the file cannot be read or is not in the format; names the line.
    """
    if not isinstance(path, str | PathLike):
        raise PropertyFileError(f"the property is {words.shown(path)}: give the path of a .vnnlib file")
    name = fspath(path)
    try:
        content = Path(name).read_bytes()
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    except FileNotFoundError as error:
        raise PropertyFileError(f"{name} cannot be read: there is no such file; check the path") from error
    except (OSError, EOFError, ValueError) as error:
        raise PropertyFileError(f"{name} cannot be read, {error}: write the file again") from error
    return parse_vnnlib(text, name)


def parse_vnnlib(text: str, name: str = "property") -> Property:
    """Read a property from text.

    Parameters
    ----------
    text : str
        Of version 2 where it says so in its first line, ``(vnnlib-version <2.0>)``, or declares a network.
    name : str, optional
        What messages call it.

    Raises
    ------
    PropertyFileError
        If the text is not in the format; names the line.

    Examples
    --------
    >>> case, = parse_vnnlib('''
    ...     (declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
    ...     (assert (>= X_0 0.0)) (assert (<= X_0 1.0))
    ...     (assert (<= Y_0 Y_1))
    ... ''').cases
    >>> case.lower, case.upper, case.output_rows, case.limits
    (array([0.]), array([1.]), array([[ 1., -1.]]), array([0.]))
    >>> parse_vnnlib('''
    ...     (vnnlib-version <2.0>)
    ...     (declare-network f (declare-input X real [1,2]) (declare-output Y real [1]))
    ...     (assert (and (>= X[0,1] 0.5) (< Y[0] X[0,0])))
    ... ''').cases[0].lower
    array([-inf,  0.5])
    """
    try:
        version, statements = _versioned(statements_of(text))
        return _READERS[version]().read(statements, Path(name).stem)
    except PropertyFileError as error:
        raise PropertyFileError(f"{name}: {error}") from None


def _versioned(statements: Sequence[List]) -> tuple[int, Sequence[List]]:
    """The version of the format, and the statements after the one that says it."""
    if not statements or statements[0].keyword != "vnnlib-version":
        return 2 if statements and statements[0].keyword == "declare-network" else 1, statements
    said = statements[0].items[1] if len(statements[0].items) == 2 else ""
    match = _VERSION.fullmatch(said) if isinstance(said, str) else None
    if match is None or int(match[1]) not in _READERS:
        raise PropertyFileError(
            f"line {statements[0].line}: VNN-LIB {shown(said)} is not known: write it in 1.0 or 2.0"
        )
    return int(match[1]), statements[1:]
