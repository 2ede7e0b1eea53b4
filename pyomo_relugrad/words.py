"""Numbers and lists in the words of a message."""

from collections.abc import Iterable
from typing import Any

#: Entries that a message lists.
MAX_LISTED = 5


def listed(entries: Iterable[Any]) -> str:
    """The first few entries in words."""
    every = list(entries)
    return ", ".join(map(repr, every[:MAX_LISTED])) + (", ..." if len(every) > MAX_LISTED else "")


def counted(number: int, thing: str) -> str:
    """A number of things in words.

    Examples
    --------
    >>> counted(1, "output"), counted(10, "output")
    ('1 output', '10 outputs')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"
