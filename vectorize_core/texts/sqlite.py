"""Texts in an SQLite file, or in memory: for stores that work embedded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from vectorize_core.texts.store import TextStore, parts
from vectorize_core.transport.io import Io

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")
FILE_NAME: Final = "texts.sqlite3"
_AT_ONCE: Final = 500
"""SQLite may take no more than 999 parameters."""
_PATIENCE: Final = 60.0
"""Seconds for another process to finish its write."""


class SqliteTexts(TextStore):
    """Texts in the file ``texts.sqlite3`` of a directory, or with ``":memory:"`` in memory.

    The file is made by the first write. Several processes may use one directory.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        # By process: a connection must not be used across a fork.
        self._open: dict[int, sqlite3.Connection] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._path,)

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names."""

        def read() -> dict[str, str]:
            if not self._exists():
                return {}
            found: dict[str, str] = {}
            with self._transaction() as tx:
                for some in parts(names, _AT_ONCE):
                    found.update(tx.execute(_select(len(some)), some))
            return found

        return await io.offload(read) if names else {}

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts, all or none."""
        await self._change(
            io,
            lambda tx: tx.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?)", texts.items()),
        )

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete texts, all or none."""
        if names:
            given = [(name,) for name in names]
            await self._change(
                io, lambda tx: tx.executemany("DELETE FROM texts WHERE name = ?", given)
            )

    def close(self) -> None:
        """Close the file; what was in memory is gone."""
        with self._lock:
            connection = self._open.pop(os.getpid(), None)
            if connection is not None:
                connection.close()

    def release(self) -> None:
        """Close the file until it is needed again; what is in memory stays."""
        if self._path != ":memory:":
            self.close()

    async def _change(self, io: Io, change: Callable[[sqlite3.Connection], object]) -> None:
        def write() -> None:
            with self._transaction() as tx:
                tx.execute("BEGIN IMMEDIATE")
                change(tx)

        await io.offload(write)

    def _exists(self) -> bool:
        return self._path == ":memory:" or self._file.exists()

    @property
    def _file(self) -> Path:
        return Path(self._path, FILE_NAME)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._open.get(os.getpid())
            if connection is None:
                connection = self._open[os.getpid()] = self._connect()
            with connection:
                yield connection

    def _connect(self) -> sqlite3.Connection:
        # Here and not above: a store on Cloudflare never loads it.
        from vectorize_core import sqlite  # noqa: PLC0415

        target = self._path
        if target != ":memory:":
            self._file.parent.mkdir(parents=True, exist_ok=True)
            target = str(self._file)
        connection = sqlite.connect(target, timeout=_PATIENCE)
        # A text must be there for good before the vector that needs it.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, text TEXT NOT NULL)"
        )
        return connection


def _select(count: int) -> str:
    marks = ", ".join("?" * count)
    return f"SELECT name, text FROM texts WHERE name IN ({marks})"  # noqa: S608 - marks only
