"""Processes of this machine that work beside ours: an executor that needs nothing of the user's script.

`concurrent.futures.ProcessPoolExecutor` runs the user's main module again where processes are spawned, so that a script
needs a guard around its statements, and one lost process breaks it. These processes import this package and nothing
else, and each is replaced when it is lost.
"""

import atexit
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import cache
from typing import Any

from pyomo_relugrad.run.forking import (
    CAN_FORK,
    ForkedProcess,
    forget_server,
    forked,
    may_fork_at_once,
    python_process,
)
from pyomo_relugrad.run.serving import receive, send

#: Seconds after which a process that has nothing to do ends.
IDLE_SECONDS = 30.0
#: A process that Python starts, or one that is forked.
WorkerProcess = subprocess.Popen[bytes] | ForkedProcess


class WorkerLost(Exception):  # noqa: N818 - what was to be done may be done again
    """A process ended in the midst of its work."""


class WorkerProcesses(Executor):
    """Processes that are started when there is work, kept for a while, and replaced when they are lost.

    Parameters
    ----------
    count : int
        Processes at most.
    niceness : int, optional
        By which they let this process go first, where there are more processes than free cores.
    """

    def __init__(self, count: int, niceness: int = 0) -> None:
        self.count, self._niceness = count, niceness
        self._waiting: queue.SimpleQueue[tuple[Future[Any], bytes]] = queue.SimpleQueue()
        self._processes: dict[threading.Thread, WorkerProcess] = {}
        self._threads: set[threading.Thread] = set()
        self._lock, self._owner = threading.Lock(), os.getpid()
        atexit.register(self.shutdown)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Let a process call a function, which it imports by name."""
        future: Future[Any] = Future()
        call = pickle.dumps((function, arguments, named), protocol=5)
        with self._lock:
            self._waiting.put((future, call))
            if len(self._threads) < self.count:
                thread = threading.Thread(target=self._work, name="pyomo_relugrad worker", daemon=True)
                self._threads.add(thread)
                thread.start()
        return future

    @property
    def processes(self) -> list[WorkerProcess]:
        """Those that are there now."""
        with self._lock:
            return list(self._processes.values())

    @property
    def are_at_hand(self) -> bool:
        """Whether one of them is there, or can be in some milliseconds."""
        return bool(self.processes) or may_fork_at_once()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes at once; what they were doing is lost."""
        processes = self.processes if os.getpid() == self._owner else []
        for process in processes:
            process.kill()
        for process in processes if wait else ():
            process.wait()

    def _work(self) -> None:
        """Hand calls to one process after another, each the successor of a lost one."""
        own = threading.current_thread()
        try:
            while (item := self._next()) is not None:
                future, call = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    is_fine, result = self._call(own, call)
                except BaseException as error:  # of the pipe, or of a result that cannot be read
                    is_fine, result = False, error
                future.set_result(result) if is_fine else future.set_exception(result)
        finally:
            process = self._processes.pop(own, None)
            if process is not None:
                _end(process)

    def _next(self) -> tuple[Future[Any], bytes] | None:
        """What is to be done next; None after a while without work, when the thread is no longer counted."""
        with suppress(queue.Empty):
            return self._waiting.get(timeout=IDLE_SECONDS)
        with self._lock:
            with suppress(queue.Empty):
                return self._waiting.get_nowait()
            self._threads.discard(threading.current_thread())
        return None

    def _call(self, own: threading.Thread, call: bytes) -> tuple[bool, Any]:
        process = self._processes.get(own)
        try:
            if process is None:
                process = self._processes[own] = _started(self._niceness)
            assert process.stdin is not None
            assert process.stdout is not None
            send(process.stdin, call)
            answer = receive(process.stdout)
        except OSError:
            answer = None
        if answer is None:
            if process is not None:
                _end(self._processes.pop(own, process))
            raise WorkerLost("a process has ended" if process is None else f"process {process.pid} has ended")
        return pickle.loads(answer)


@cache
def worker_processes(count: int, niceness: int = 0) -> WorkerProcesses:
    """The processes that all runs of this process share."""
    return WorkerProcesses(count, niceness)


def _forget_processes() -> None:
    worker_processes.cache_clear()
    forget_server()


os.register_at_fork(after_in_child=_forget_processes) if hasattr(os, "register_at_fork") else None


def _started(niceness: int = 0) -> WorkerProcess:
    """A new process, forked from one that has imported all that it needs where the system can do that safely."""
    process = forked() if CAN_FORK else python_process("serve()", stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((sys.path, niceness)))
    process.stdin.flush()
    return process


def _end(process: WorkerProcess) -> None:
    """Stop a process that has nothing to do, or has ended by itself."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what has not been sent
            stream.close() if stream is not None else None
