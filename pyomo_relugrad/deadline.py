"""When work must end: set once around it, looked at by every step inside, however deep.

A run sets its limit with `time_limit`. Steps that can take long call `checkpoint` now and then, and programs for HiGHS
get what is `remaining`; no function in between has to know.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

_END: ContextVar[float] = ContextVar("end", default=inf)


class OutOfTime(Exception):  # noqa: N818 - no error, as StopIteration is none
    """The time is over in the middle of a step. Whoever set the limit catches this; users never see it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End what runs inside after so many seconds; of nested limits the earliest counts.

    Not around a ``yield``: the limit would hold for whoever takes what is yielded.

    Examples
    --------
    >>> with time_limit(60):
    ...     with time_limit(120):
    ...         remaining() <= 60
    True
    >>> remaining()
    inf
    """
    token = _END.set(min(_END.get(), time.perf_counter() + seconds))
    try:
        yield
    finally:
        _END.reset(token)


def remaining() -> float:
    """Seconds until the limit around the caller; infinite without one, never negative."""
    end = _END.get()
    return inf if end == inf else max(end - time.perf_counter(), 0.0)


def checkpoint() -> None:
    """Raise `OutOfTime` once the limit around the caller has passed."""
    if remaining() <= 0.0:
        raise OutOfTime
