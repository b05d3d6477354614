"""What blocks the thread of an event loop: calls that wait for something outside the process."""

from __future__ import annotations

import gc
import io
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any

# Of the modules that do I/O, what waits for nothing outside the process. Python counts the
# processors when asyncio makes its first thread, from 3.13 on those that the process may use.
HARMLESS = {
    *("cpu_count", "sched_getaffinity", "fspath", "getpid", "urandom"),
    *("_path_normpath", "_path_splitroot_ex"),
}
SOME = {
    "time": ("sleep",),
    "_socket": ("getaddrinfo", "gethostbyname", "gethostbyaddr"),
    "_ssl": ("load_verify_locations", "set_default_verify_paths"),
}


@contextmanager
def watched() -> Iterator[list[str]]:
    """The calls of this thread, in C, that may block: files, SQLite, sockets, names, sleeps."""
    seen: list[str] = []

    def look(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and may_block(called):
            seen.append(f"{called!r} in {frame.f_code.co_filename}:{frame.f_lineno}")

    # What was dropped earlier, or by another thread, must not be found now, and closed here.
    gc.collect()
    gc.disable()
    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        gc.enable()


def may_block(called: Any) -> bool:
    """Whether a C function belongs to what waits for something outside the process."""
    of = getattr(called, "__self__", None)
    name = called.__name__
    if isinstance(of, socket.socket):
        # The loop's own sockets do not block.
        return name not in ("setblocking", "settimeout") and of.gettimeout() != 0
    if name in HARMLESS or isinstance(of, io.BytesIO):
        return False
    module = called.__module__
    if module is None:
        # Of a method it is where the class that has it is from, not one derived from that, which
        # may override it in Python.
        classes = [
            each
            for each in type(of).__mro__
            if name in vars(each) and not isinstance(vars(each)[name], FunctionType)
        ]
        module = (*classes, type(of))[0].__module__
    if module in SOME:
        return name in SOME[module]
    return module in ("sqlite3", "io", "_io", "posix", "nt", "mmap")
