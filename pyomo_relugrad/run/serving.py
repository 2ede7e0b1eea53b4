"""What worker processes run: calls that come through a pipe, and the answers that go back through another one."""

import gc
import os
import pickle
import queue
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

from pyomo_relugrad.run.parcel import remove_left_behind

#: What is asked of a process that forks others, and its answer: zero, or the number of a process to wait for.
REQUEST = struct.Struct("<q")
#: Modules that workers need, whose memory forked ones share.
_SHARED = ("pyomo_relugrad.solve.elsewhere.companion", "pyomo_relugrad.solve.elsewhere.tasks")
#: Seconds that a process that was killed takes to end.
PATIENCE = 5.0
_LENGTH = struct.Struct("<Q")


def serve() -> None:
    """Do what comes through standard input; what is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, answers)


def fork_workers(requests_at: int, idle_seconds: float, asking: int) -> None:
    """Fork a worker for each pair of pipes that comes through a socket, until it is closed, or idle without workers.

    The socket is closed by the end of the process `asking`, which may have been killed: its files are removed then.
    This process has one thread, and has run nothing but imports. Its children are waited for when that is asked for,
    so that no other process can have their numbers before.
    """
    for module in _SHARED:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child would write to all objects, and so copy them
    requests = socket.socket(fileno=requests_at)
    requests.settimeout(idle_seconds)
    children = 0
    while True:
        try:
            message, pipes, _, _ = socket.recv_fds(requests, REQUEST.size, 2)
        except TimeoutError:
            if not children:
                return
            continue
        if not message:
            _clear_up_after(asking)
            return
        (process,) = REQUEST.unpack(message)
        if process:
            with suppress(ChildProcessError):  # the system does not keep them where it was told to ignore their end
                os.waitpid(process, 0)
            children -= 1
        else:
            process = _forked(requests, *pipes)
            children += 1
        requests.send(REQUEST.pack(process))


def _clear_up_after(process: int) -> None:
    """Remove what a killed process has left; its files are locked until the system has closed all of them."""
    end = time.monotonic() + PATIENCE
    while os.getppid() == process and time.monotonic() < end:
        time.sleep(0.01)
    remove_left_behind(process)


def _forked(requests: socket.socket, calls: int, answers: int) -> int:
    """The number of a child that serves calls; the child itself does not come back."""
    process = os.fork()
    if not process:
        try:
            requests.close()
            _serve(os.fdopen(calls, "rb"), os.fdopen(answers, "wb"))
        finally:
            os._exit(1)
    os.close(calls)
    os.close(answers)
    return process


def _serve(stream: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls; first come the path to import from, and by how much this process lets others go first."""
    sys.path[:], niceness = pickle.load(stream)
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(stream, calls), daemon=True).start()
    while True:
        call = calls.get()
        try:
            function, arguments, named = pickle.loads(call)
            answer = pickle.dumps((True, function(*arguments, **named)), protocol=5)
        except BaseException as error:
            answer = _failure(error)
        send(answers, answer)


def _listen(stream: BinaryIO, calls: queue.SimpleQueue[bytes]) -> None:
    """Pass on what comes through the pipe; where it ends, so does the process, even in the midst of a call."""
    while (call := receive(stream)) is not None:
        calls.put(call)
    os._exit(0)


def _failure(error: BaseException) -> bytes:
    """An error as an answer, in words where it cannot travel."""
    with suppress(Exception):
        answer = pickle.dumps((False, error), protocol=5)
        pickle.loads(answer)
        return answer
    return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")), protocol=5)


def send(stream: BinaryIO | Any, data: bytes) -> None:
    """Send bytes as one message."""
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO | Any) -> bytes | None:
    """What was sent, None where the stream has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return bytes(data) if len(data) == length else None
