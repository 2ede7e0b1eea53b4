"""Executors for tests: nothing runs beside, and what comes back is known."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Inline(Executor):
    """Calls at once; every so often a task is lost.

    Parameters
    ----------
    lost : collection of int
        Numbers of the calls, from 0, that fail.
    """

    def __init__(self, lost: Any = ()) -> None:
        self.lost, self.tasks = lost, []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append(arguments[0])
        if len(self.tasks) - 1 in self.lost:
            future.set_exception(RuntimeError("lost"))
        else:
            future.set_result(function(*arguments, **named))
        return future
