"""Processes of this machine that work beside ours: an executor that needs nothing of the user's script.

`concurrent.futures.ProcessPoolExecutor` runs the user's main module again where processes are spawned, so that a script
needs a guard around its statements, and one lost process breaks it. These processes import this package and nothing
else, and each is replaced when it is lost.
"""

import atexit
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import cache
from typing import Any, BinaryIO

#: Seconds after which a process that has nothing to do ends.
IDLE_SECONDS = 30.0
#: Seconds that a process is given to end by itself.
END_SECONDS = 1.0

#: What a process runs: the path to import from and its niceness are what it is told first. It needs no Pyomo, which the
#: face of this package imports to register the solvers: 25 MB, and a good part of a second.
_PROGRAM = (
    "import os, pickle, sys, types; sys.path[:], niceness = pickle.load(sys.stdin.buffer); "
    "hasattr(os, 'nice') and os.nice(niceness); "
    "sys.modules['pyomo_relugrad.modeling.plugins'] = types.SimpleNamespace(load=lambda: None); "
    "from pyomo_relugrad.run.processes import serve; serve()"
)
_LENGTH = struct.Struct("<Q")


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
        self._processes: dict[threading.Thread, subprocess.Popen[bytes]] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
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
    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Those that are there now."""
        with self._lock:
            return list(self._processes.values())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes at once; what they were doing is lost."""
        processes = self.processes
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
        if process is None:
            process = self._processes[own] = _started(self._niceness)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _send(process.stdin, call)
            answer = _receive(process.stdout)
        except OSError:
            answer = None
        if answer is None:
            _end(self._processes.pop(own, process))
            raise WorkerLost(f"process {process.pid} has ended")
        return pickle.loads(answer)


@cache
def worker_processes(count: int, niceness: int = 0) -> WorkerProcesses:
    """The processes that all runs of this process share."""
    return WorkerProcesses(count, niceness)


os.register_at_fork(after_in_child=worker_processes.cache_clear) if hasattr(os, "register_at_fork") else None


def serve() -> None:
    """Do what comes through standard input; what is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls,), daemon=True).start()
    while True:
        call = calls.get()
        try:
            function, arguments, named = pickle.loads(call)
            answer = pickle.dumps((True, function(*arguments, **named)), protocol=5)
        except BaseException as error:
            answer = _failure(error)
        _send(answers, answer)


def _listen(calls: queue.SimpleQueue[bytes]) -> None:
    """Pass on what comes through standard input; where it ends, so does the process, even in the midst of a call."""
    while (call := _receive(sys.stdin.buffer)) is not None:
        calls.put(call)
    os._exit(0)


def _failure(error: BaseException) -> bytes:
    """An error as an answer, in words where it cannot travel."""
    with suppress(Exception):
        answer = pickle.dumps((False, error), protocol=5)
        pickle.loads(answer)
        return answer
    return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")), protocol=5)


def _started(niceness: int = 0) -> subprocess.Popen[bytes]:
    """A new process, which Ctrl-C at the terminal does not reach: it ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((sys.path, niceness)))
    process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process end: it does where its standard input is closed."""
    with suppress(OSError, subprocess.TimeoutExpired):
        process.communicate(timeout=END_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()


def _send(stream: BinaryIO | Any, data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> bytes | None:
    """What was sent, None where the stream has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return bytes(data) if len(data) == length else None
