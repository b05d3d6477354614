"""Connections to SQLite that close when they are dropped."""

from __future__ import annotations

import os
import sqlite3
from typing import Any


class _Connection(sqlite3.Connection):
    """Closes when it is dropped; since 3.13 Python warns where a connection is left to it."""

    _process: int | None = None
    """The process that opened it; None until it is open."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._process = os.getpid()

    def __del__(self) -> None:
        # After a fork only the parent closes it.
        if self._process == os.getpid():
            self.close()


def connect(target: str, *, timeout: float = 5.0) -> sqlite3.Connection:
    """A connection for any thread, which begins its transactions only when it is told to.

    ``timeout`` is the seconds it waits while another connection writes.
    """
    return sqlite3.connect(
        target,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )
