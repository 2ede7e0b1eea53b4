"""Processes of Python with this package in them, and a server that forks workers, which share what it has imported.

A new worker has imported all it needs after half a second or more, and then holds 50 MB of its own. A forked one is
there in milliseconds and holds little beside its work. The process of the user cannot be forked itself: it has threads.
"""

import atexit
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from typing import IO, Any

from pyomo_relugrad.run.serving import REQUEST

#: Whether a process that has nothing but imported what workers need may be forked: on macOS, libraries forbid that.
CAN_FORK = sys.platform == "linux"
#: Seconds after which a server without workers ends: with one, workers of the next solve are there at once.
IDLE_SECONDS = 300.0

#: What a process runs first. It needs no Pyomo, which the face of this package imports to register the solvers: 25 MB,
#: and a good part of a second.
_BEGINNING = (
    "import pickle, sys, types; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "sys.modules['pyomo_relugrad.modeling.plugins'] = types.SimpleNamespace(load=lambda: None); "
    "from pyomo_relugrad.run.serving import fork_workers, serve; "
)
#: Threads of a BLAS in a server, which would not be there in what it forks.
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def python_process(call: str, **named: Any) -> subprocess.Popen[bytes]:
    """A process that calls a function of `serving`, and which Ctrl-C at the terminal does not reach."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGINNING + call],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        **named,
    )
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(sys.path))
    process.stdin.flush()
    return process


class ForkServer:
    """A process that forks workers for this one."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as stack:
            stack.callback(self._requests.close)
            with theirs:
                self._process = python_process(
                    f"fork_workers({theirs.fileno()}, {IDLE_SECONDS}, {os.getpid()})",
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **_ONE_THREAD},
                )
            stack.pop_all()
        self._lock = threading.Lock()
        #: Whether it has imported all, and answered.
        self.is_ready = False

    @property
    def is_there(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def ask(self, request: int, *pipes: int) -> int:
        """Ask for a worker at two ends of pipes, or for the end of one.

        Raises
        ------
        ConnectionError
            If the server has ended.
        """
        with self._lock:
            socket.send_fds(self._requests, [REQUEST.pack(request)], pipes)
            answer = self._requests.recv(REQUEST.size)
        if not answer:
            raise BrokenPipeError("the process that forks workers has ended")
        self.is_ready = True
        return int(REQUEST.unpack(answer)[0])

    def end(self) -> None:
        """End the server; its workers go on."""
        self._requests.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


class ForkedProcess:
    """A worker that a server has forked, with what `subprocess.Popen` tells and does of one."""

    def __init__(self, server: ForkServer) -> None:
        self._server, self._lock, self._is_over = server, threading.Lock(), False
        with ExitStack() as own, ExitStack() as others:
            calls, self.stdin = _pipe(others, own, 0)
            answers, self.stdout = _pipe(others, own, 1)
            self.pid = server.ask(0, calls, answers)
            own.pop_all()

    def kill(self) -> None:
        """Stop it at once. Until the server has waited for it, no other process has its number."""
        with self._lock, suppress(ProcessLookupError):
            if not self._is_over and self._server.is_there:
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait for its end."""
        with self._lock, suppress(OSError):
            if not self._is_over:
                self._is_over = True
                self._server.ask(self.pid)


def _pipe(others: ExitStack, own: ExitStack, end: int) -> tuple[int, IO[bytes]]:
    """That end of a new pipe, for another process, and the other one, each to be closed with a context."""
    ends = os.pipe()
    others.callback(os.close, ends[end])
    return ends[end], own.enter_context(os.fdopen(ends[1 - end], ("wb", "rb")[end]))


class _Kept:
    """The server of this process."""

    server: ForkServer | None = None
    lock = threading.Lock()


def forked() -> ForkedProcess:
    """A worker that the server of this process has forked; a new server, where there is none any more.

    Raises
    ------
    OSError
        If no server comes up, or there is no pipe to be had.
    """
    with _Kept.lock:
        if _Kept.server is not None:
            with suppress(ConnectionError):  # where files are short, it is left alone
                return ForkedProcess(_Kept.server)
            _Kept.server.end()
            _Kept.server = None
        _Kept.server = ForkServer()
        return ForkedProcess(_Kept.server)


def may_fork_at_once() -> bool:
    """Whether the server of this process has nothing to import any more."""
    server = _Kept.server
    return server is not None and server.is_ready and server.is_there


@atexit.register
def _end_server() -> None:
    if _Kept.server is not None:
        _Kept.server.end()


def forget_server() -> None:
    """In a fork of this process, whose server is not its own."""
    _Kept.server, _Kept.lock = None, threading.Lock()
