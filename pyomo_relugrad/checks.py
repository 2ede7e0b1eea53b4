"""Arguments that users give: each check refuses in words that say what is wrong, where it is, and what to give."""

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from numbers import Real
from typing import Any, ParamSpec, TypeVar

import numpy as np

from pyomo_relugrad.arrays import Array, at_home
from pyomo_relugrad.errors import ModelError, RelugradError, UnknownArgumentError
from pyomo_relugrad.words import meant, shown

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def check_number(
    given: Any,
    what: str,
    wanted: str,
    allows: Callable[[Any], bool] = np.isfinite,
    error: type[RelugradError] = ModelError,
) -> None:
    """Refuse what is no number, or one that is not allowed.

    Raises
    ------
    error
        Says what is to be given.

    Examples
    --------
    >>> check_number("10", "the risk", "a number between 0 and 1")
    Traceback (most recent call last):
        ...
    pyomo_relugrad.errors.ModelError: the risk is '10': give a number between 0 and 1
    """
    is_number = isinstance(given, Real) and not isinstance(given, bool | np.bool_ | np.timedelta64)
    try:
        is_allowed = is_number and bool(allows(given))
    except (OverflowError, TypeError):  # a whole number beyond those of floating point
        is_allowed = False
    if not is_allowed:
        raise error(f"{what} is {shown(given)}: give {wanted}")


def is_whole(given: Any, least: int) -> bool:
    """Whether a number is a whole one and not below the least; it may be written as 2.0."""
    return bool(given >= least) and float(given).is_integer()


def check_flag(given: Any, what: str, otherwise: str = "") -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(given, bool | np.bool_):
        raise ModelError(f"{what} is {shown(given)}: give True or False{otherwise}")


def check_known(given: Any, what: str, known: Iterable[str], more: str = "", owner: str = "") -> None:
    """Refuse what is none of the known names; `more` may be given as well.

    Examples
    --------
    >>> check_known("ppga_lr", "method", ["auto", "ppga-lr"])
    Traceback (most recent call last):
        ...
    pyomo_relugrad.errors.ModelError: unknown method 'ppga_lr' (is 'ppga-lr' meant?): give one of auto, ppga-lr
    """
    names = list(known)
    if not (isinstance(given, str) and given in names):
        told = f"unknown {what} {shown(given)}" if isinstance(given, str) else f"the {what} is {shown(given)}"
        raise ModelError(f"{told}{owner}{meant(given, names)}: give one of {', '.join(names)}{more}")


def as_list(given: Any, what: str, wanted: str, error: type[RelugradError] = ModelError) -> list[Any]:
    """The entries of what was given: text, numbers and arrays without a shape have none.

    Raises
    ------
    error
        Says what is to be given.
    """
    if not isinstance(given, str):
        with suppress(TypeError):
            return list(given)
    raise error(f"{what} are {shown(given)}: give {wanted}")


def numbers(given: Any, what: str, wanted: str = "numbers", error: type[RelugradError] = ModelError) -> Array:
    """An array of what was given, in float64; numbers in text, dates and complex numbers are none.

    Raises
    ------
    error
        Names the first entry that is no number.

    Examples
    --------
    >>> numbers([1, None], "lower")
    Traceback (most recent call last):
        ...
    pyomo_relugrad.errors.ModelError: lower[1] is None: give numbers
    """
    if type(given) is np.ndarray and given.dtype.kind in "fiub":
        return np.asarray(given, np.float64)
    given = readable(given)
    try:
        array = np.asarray(given)
    except Exception as reason:  # arrays of other packages raise what they like
        told = "has rows of different lengths" if isinstance(reason, ValueError) else f"is {shown(given)}"
        raise error(f"{what} {told}: give {wanted}") from reason
    if array.dtype.kind in "fiub":
        return array.astype(np.float64)
    for place in np.ndindex(array.shape):
        if not _is_real(array[place]):
            where = f"{what}[{', '.join(map(str, place))}]" if place else what
            raise error(f"{where} is {shown(given if array.ndim == 0 else array[place])}: give {wanted}")
    return array.astype(np.float64)


def vector(given: Any, what: str, size: int, error: type[RelugradError] = ModelError) -> Array:
    """Numbers (size,), from one number for all or an array; NaN is none.

    Raises
    ------
    error
        Says what is to be given.
    """
    wanted = f"a number, or an array of shape ({size},)"
    array = numbers(given, what, wanted, error)
    if array.ndim > 1 or (array.ndim == 1 and array.size != size):
        raise error(f"{what} has shape {array.shape}: give {wanted}")
    if np.isnan(array).any():
        where = f"{what}[{int(np.flatnonzero(np.isnan(array))[0])}]" if array.ndim == 1 else what
        raise error(f"{where} is NaN: give {wanted} without it")
    return np.broadcast_to(array, (size,)).copy()


def readable(given: Any) -> Any:
    """What NumPy reads as it is meant: a tensor without its derivative, and NaN where an entry is masked.

    Raises
    ------
    ModelError
        If a tensor holds no numbers.
    """
    if isinstance(given, list | tuple) and any(
        hasattr(entry, "detach") or isinstance(entry, np.ma.MaskedArray) for entry in given
    ):
        return [readable(entry) for entry in given]
    if hasattr(given, "detach"):
        try:
            tensor = given.detach()
            return at_home(tensor.double() if tensor.is_floating_point() else tensor)  # NumPy knows no bfloat16
        except Exception as reason:  # PyTorch raises what it likes
            raise ModelError(f"{shown(given)} holds nothing that NumPy can read: give a dense tensor") from reason
    if isinstance(given, np.ma.MaskedArray) and given.dtype.kind in "fiub":
        return np.ma.filled(given.astype(np.float64), np.nan)
    return given


def _is_real(entry: Any) -> bool:
    """Whether an entry of an array of objects is a number."""
    no_number = str | bytes | complex | np.complexfloating | np.datetime64 | np.timedelta64
    if isinstance(entry, no_number) or entry is None:
        return False
    try:
        float(entry)
    except Exception:  # as those of Pyomo, which have no value yet
        return False
    return True


def named_arguments(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Refuse keywords that the function does not have in words that say which one may be meant."""
    known = tuple(inspect.signature(function).parameters)

    @wraps(function)
    def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        refuse_unknown(kwargs, function.__name__, known)
        return function(*args, **kwargs)

    return checked


def refuse_unknown(given: Iterable[str], owner: str, known: Iterable[str], more: str = "") -> None:
    """Refuse the first name that is none of the owner's arguments."""
    names = list(known)
    for name in given:
        if name not in known:
            raise UnknownArgumentError(
                f"{owner} has no argument {name!r}{meant(name, names)}: give those that it has, "
                f"{', '.join(names)}{more}"
            )
