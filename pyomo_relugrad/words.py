"""Numbers and names in messages and logs."""

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from numbers import Number
from typing import Any

#: Entries of a list that a message shows.
MAX_LISTED = 5

#: Letters of a text that a message shows.
MAX_LETTERS = 40


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


def shown(given: Any) -> str:
    """What was given, as a message shows it: numbers and short texts as they are, of others the type.

    Examples
    --------
    >>> shown(-1), shown("10 s"), shown([1, 2]), shown(dict)
    ('-1', "'10 s'", 'a list', 'the class dict')
    """
    if hasattr(given, "item") and getattr(given, "ndim", 1) == 0:
        with suppress(Exception):  # a tensor may hold no number
            given = given.item()
    if isinstance(given, int) and abs(given) >= 10**MAX_LETTERS:
        return f"a number of more than {MAX_LETTERS} digits"
    if given is None or isinstance(given, (Number, bool)):
        return str(given)
    if isinstance(given, str):
        return repr(given if len(given) <= MAX_LETTERS else given[:MAX_LETTERS] + "...")
    if isinstance(given, type):
        return f"the class {given.__name__}"
    name = type(given).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def meant(given: Any, known: Iterable[str]) -> str:
    """A question after an unknown name: the known one that is spelled nearly so, if there is one.

    Examples
    --------
    >>> meant("Lowr", ["lower", "upper"]), meant(3, ["lower"])
    (" (is 'lower' meant?)", '')
    """
    spelled = {name.casefold().replace("_", "-"): name for name in known}
    close = get_close_matches(given.casefold().replace("_", "-"), spelled, 1, 0.7) if isinstance(given, str) else []
    return f" (is {spelled[close[0]]!r} meant?)" if close else ""
