"""What blocks the thread of an event loop: calls of files, SQLite, sockets that wait, and sleep."""

from __future__ import annotations

import socket
import sqlite3
import ssl
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_FILES = ("FileIO", "BufferedReader", "BufferedWriter", "BufferedRandom", "TextIOWrapper")
_SYSTEM = {
    *("open", "read", "write", "pread", "pwrite", "fsync", "fdatasync", "stat", "lstat", "listdir"),
    *("scandir", "mkdir", "rename", "replace", "remove", "unlink", "truncate", "ftruncate"),
}
_WAITS = {"connect", "accept", "send", "sendall", "sendto", "recv", "recv_into", "recvfrom"}
_LOOKUPS = {"getaddrinfo", "gethostbyname", "getnameinfo"}


@contextmanager
def blocking_calls() -> Iterator[list[str]]:
    """Where this thread blocks in the ``with`` block; every call of C code is looked at."""
    found: list[str] = []

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call" and (what := _blocks(arg)) is not None:
            where = "".join(traceback.format_stack(frame, limit=4))
            found.append(f"{what}\n{where}")

    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(None)


def _blocks(function: Any) -> str | None:
    name, owner = function.__name__, getattr(function, "__self__", None)
    module = function.__module__
    if isinstance(owner, (sqlite3.Connection, sqlite3.Cursor)) or module == "_sqlite3":
        return f"SQLite: {name}"
    if isinstance(owner, socket.socket):
        # One that asyncio works with does not wait.
        return f"socket: {name}" if name in _WAITS and owner.gettimeout() != 0 else None
    if type(owner).__module__ == "_io" and type(owner).__name__ in _FILES:
        return f"file: {name}"
    if isinstance(owner, ssl.SSLContext) and name.startswith("load_"):
        return f"certificates: {name}"
    if module in ("posix", "nt") and name in _SYSTEM:
        return f"file: os.{name}"
    if (module, name) in (("io", "open"), ("_io", "open"), ("time", "sleep")):
        return f"{module}.{name}"
    return f"socket: {name}" if module == "_socket" and name in _LOOKUPS else None
