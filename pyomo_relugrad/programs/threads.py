"""Threads of NumPy's BLAS and of HiGHS while something is solved, and after it."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController

from pyomo_relugrad.programs.highs import release_highs_threads, silent_highs

# Niceness that threads gain which let others go first: beside one of these they get a quarter of a core; and of those
# that have turns for their work: a tenth, beside others' turns.
LOWER_PRIORITY, LOWEST_PRIORITY = 5, 10


@contextmanager
def solver_threads() -> Iterator[None]:
    """One thread for BLAS and one for HiGHS inside; afterwards both are free to start as many as they are asked for.

    The products of a search are small: several BLAS threads gain nothing on a quiet machine, and on a busy one they
    wait for each other. The limit of the process is restored when the last solve of it has ended. HiGHS starts threads
    with its first model, which takes longer than a small program, and keeps them, refusing any other number of them,
    until they are released: the next solver in this thread could not choose. Solves inside one another are one solve.

    Examples
    --------
    It is a decorator as well:

    >>> @solver_threads()
    ... def solve():
    ...     return 1
    >>> solve()
    1
    """
    if _this_thread.solves:
        yield
        return
    _this_thread.solves = True
    try:
        release_highs_threads()
        with _one_blas_thread:
            yield
    finally:
        _this_thread.solves = _this_thread.has_highs = False
        release_highs_threads()


def keep_highs_alone() -> None:
    """Before a run of HiGHS: where this thread solves, give it a HiGHS without other threads, if it has none yet."""
    if _this_thread.solves and not _this_thread.has_highs:
        _this_thread.empty_model.run()
        _this_thread.has_highs = True


def lower_priority(thread: threading.Thread, by: int = LOWER_PRIORITY) -> None:
    """Let other threads go first where there are more of them than free cores; only Linux has priorities of threads."""
    if sys.platform == "linux" and thread.native_id is not None:
        with suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, thread.native_id)
            os.setpriority(os.PRIO_PROCESS, thread.native_id, own + by)


class _ThisThread(threading.local):
    """Whether a solve runs in this thread, whether it has run HiGHS, and a model whose run gives it one without others.

    Most solves of a small model that come after others run no program, and such a run takes a tenth of a millisecond.
    """

    solves = has_highs = False

    def __init__(self) -> None:
        self.empty_model = silent_highs({"threads": 1})


@dataclass
class _OneBlasThread:
    """The limit of this process, kept while any of its threads solves."""

    users: int = 0
    limits: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    controller: ThreadpoolController | None = None
    n_modules: int = 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.limits = self._controller().limit(limits=1, user_api="blas")
                _let_any_thread_set_limits()
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.limits.restore_original_limits()
                _let_any_thread_set_limits()

    def _controller(self) -> ThreadpoolController:
        """What controls the libraries that are loaded: looking for them takes as long as a small solve."""
        if self.controller is None or self.n_modules != len(sys.modules):
            self.controller, self.n_modules = ThreadpoolController(), len(sys.modules)
        return self.controller


_this_thread, _one_blas_thread = _ThisThread(), _OneBlasThread()


def _let_any_thread_set_limits() -> None:
    """Leave the control of OpenBLAS, which threadpoolctl 3.8 gives to one thread: the last solve may run in another."""
    getattr(OpenBLASController, "clear_controlling_thread", lambda: None)()
