"""Packages that are imported only when asked for, and what of their errors is worth a line."""

import re
from importlib import import_module
from typing import Any

from pyomo_relugrad.errors import MissingPackageError

#: Colours of terminals.
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
#: Characters of another package's message that are repeated.
MAX_LENGTH = 200


def require(name: str, purpose: str) -> Any:
    """The package of the given name.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingPackageError(f"the package {name} is needed {purpose}: python -m pip install {name}") from error


def first_line(error: BaseException) -> str:
    """What an error of another package says at its root, in at most one line of plain text."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in _ESCAPE.sub("", str(error)).splitlines()]
    text = next((line for line in lines if line), type(error).__name__)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."
