"""Objects with large arrays that travel to other processes once, and are shared by those of one machine."""

from __future__ import annotations

import mmap
import os
import pickle
import secrets
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

_HEAD = struct.Struct("<Q")
#: Arrays begin at multiples of this many bytes.
ALIGNMENT = 64
#: Names of the files in the temporary folder, which are left alone for some seconds, until they are locked.
PREFIX, SUFFIX, YOUNG_SECONDS = "relugrad-", ".parcel", 60.0
#: Objects that a process keeps.
MAX_OPENED = 2


@dataclass(frozen=True)
class Parcel:
    """Where an object was written to. The arrays in it are one copy for all processes that can read the file.

    Parameters
    ----------
    name : str
        Of no other object.
    path : str
    content : bytes, optional
        What the file holds, for a process that cannot read it.
    """

    name: str
    path: str
    content: bytes | None = field(default=None, repr=False)

    def open(self) -> Any:
        """The object; each process reads it once.

        Raises
        ------
        OSError
            If this process cannot read the file, and has not been given what it holds.
        """
        with _lock:
            if self.name not in _opened:
                thing = self.read()
                while len(_opened) >= MAX_OPENED:
                    del _opened[next(iter(_opened))]
                _opened[self.name] = thing
            return _opened[self.name]

    def read(self) -> Any:
        """The object, which this process does not keep: as `open`."""
        return _unpacked(memoryview(self.content) if self.content is not None else _mapped(self.path))

    def with_content(self) -> Parcel:
        """The same for a process that cannot read the file."""
        return Parcel(self.name, self.path, Path(self.path).read_bytes())


_opened: dict[str, Any] = {}
_lock = threading.Lock()


@contextmanager
def packed(thing: Any) -> Iterator[Parcel]:
    """Write an object to a file that lasts as long as the context."""
    _remove_left_behind_in(int(time.monotonic() / YOUNG_SECONDS))
    name = secrets.token_hex(16)
    handle, path = tempfile.mkstemp(prefix=f"{PREFIX}{os.getpid()}-", suffix=SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            _is_locked_by_us(file)
            _write(file, thing)
            file.flush()
            yield Parcel(name, path)
    finally:
        with suppress(OSError):  # Windows keeps a file that some process has mapped
            os.unlink(path)


def remove_left_behind(ended: int | None = None) -> None:
    """Remove files of processes that were killed: nobody holds their locks, or, on Windows, has them open.

    Those of a process that has ended are removed at once, those of others where they are old.
    """
    of_whom = "*" if ended is None else f"{ended}-*"
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}{of_whom}{SUFFIX}"):
        with suppress(OSError):  # of another user, or removed meanwhile
            if ended is not None or time.time() - path.stat().st_mtime > YOUNG_SECONDS:
                with path.open("rb") as file:
                    is_left = _is_locked_by_us(file)
                if is_left:
                    path.unlink()


@lru_cache(maxsize=1)
def _remove_left_behind_in(period: int) -> None:
    """Look once in a period: a look takes as long as a task on its way."""
    remove_left_behind()


def _is_locked_by_us(file: Any) -> bool:
    """Lock a file until it is closed, or this process ends; False if another one has. Windows locks by itself."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return fcntl is None


def _write(file: Any, thing: Any) -> None:
    """Pickle an object with its arrays behind it, as they are."""
    buffers: list[pickle.PickleBuffer] = []
    skeleton = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    index = pickle.dumps((skeleton, [view.nbytes for view in views]))
    parts: list[bytes | memoryview] = [_HEAD.pack(len(index)), index]
    end = _HEAD.size + len(index)
    for view in views:
        gap = -end % ALIGNMENT
        parts += [bytes(gap), view]
        end += gap + view.nbytes
    file.writelines(parts)


def _unpacked(buffer: memoryview) -> Any:
    (size,) = _HEAD.unpack_from(buffer)
    end = _HEAD.size + size
    skeleton, sizes = pickle.loads(buffer[_HEAD.size : end])
    views = []
    for length in sizes:
        begin = end + -end % ALIGNMENT
        end = begin + length
        views.append(buffer[begin:end])
    return pickle.loads(skeleton, buffers=views)


def _mapped(path: str) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
