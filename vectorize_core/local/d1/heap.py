"""A bound on the memory that SQLite takes for a request.

Workerd sets SQLite's hard heap limit, which is one for the whole process. So does this, as long as
requests of D1 are carried out, that much above what SQLite holds already. Python does not offer it,
so it is called in SQLite's library; where that cannot be found, nothing is bounded.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from vectorize_core import forks

MAX_BYTES: Final = 100_000_000
"""For all requests that are carried out at once, over what was held when the last one began."""
_PROBE: Final = 1_000_000

_lock = forks.lock()
_requests: dict[int, int] = {}
"""How many are carried out, by process."""
_limit_before: dict[int, int] = {}
"""The limit of others, which holds beside ours; 0: none."""


@contextmanager
def bounded() -> Iterator[None]:
    """Let SQLite refuse to take more memory, with a MemoryError, while the block runs."""
    library = _library()
    if library is None:
        yield
        return
    used, limit = library
    process = os.getpid()
    with _lock:
        if not _requests.get(process):
            _limit_before[process] = limit(-1)
        _requests[process] = _requests.get(process, 0) + 1
        most = used() + MAX_BYTES
        limit(min(most, _limit_before[process] or most))
    try:
        yield
    finally:
        with _lock:
            _requests[process] -= 1
            if not _requests[process]:
                limit(_limit_before.pop(process))


def can_bound() -> bool:
    """Whether SQLite's library was found."""
    return _library() is not None


@functools.cache
def _library() -> tuple[Callable[[], int], Callable[[int], int]] | None:
    """SQLite's functions that tell the memory in use, and set its limit."""
    for name in _names():
        try:
            library = ctypes.CDLL(name)
            used, limit = library.sqlite3_memory_used, library.sqlite3_hard_heap_limit64
        except (OSError, AttributeError):
            continue
        used.argtypes, used.restype = (), ctypes.c_int64
        limit.argtypes, limit.restype = (ctypes.c_int64,), ctypes.c_int64
        if _is_pythons(used):
            return used, limit
    return None


def _names() -> Iterator[str | None]:
    import _sqlite3  # noqa: PLC0415 (only to see where it is)

    yield getattr(_sqlite3, "__file__", None)
    yield "sqlite3.dll"


def _is_pythons(used: Callable[[], int]) -> bool:
    """Whether it counts what Python's SQLite takes; a process may have several, or not count."""
    with closing(sqlite3.connect(":memory:")) as connection:
        before = used()
        connection.execute("CREATE TABLE t AS SELECT zeroblob(?)", (_PROBE,))
        return used() - before >= _PROBE
