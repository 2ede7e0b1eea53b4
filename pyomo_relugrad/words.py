"""Numbers and names in messages and logs."""

from collections.abc import Iterable
from typing import Any

#: Entries of a list that a message shows.
MAX_LISTED = 5


def number(value: float) -> str:
    """An objective, a bound, or an entry of a point.

    Examples
    --------
    >>> number(17.815694123), number(-2.0)
    ('17.815694', '-2')
    """
    return f"{value:.8g}"


def counted(number: int, thing: str) -> str:
    """A number of things in words.

    Examples
    --------
    >>> counted(1, "output"), counted(10, "output")
    ('1 output', '10 outputs')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def listed(entries: Iterable[Any]) -> str:
    """The first few entries in words.

    Examples
    --------
    >>> listed("abcdefg")
    "'a', 'b', 'c', 'd', 'e', ..."
    """
    every = list(entries)
    return ", ".join(map(repr, every[:MAX_LISTED])) + (", ..." if len(every) > MAX_LISTED else "")
