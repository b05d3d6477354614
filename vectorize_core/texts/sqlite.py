"""Texts in an SQLite file, or in memory: for stores that work embedded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vectorize_core import forks, paths
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts.store import TextStore, changed_list, parts
from vectorize_core.transport.io import Io

if TYPE_CHECKING:
    import sqlite3

    from vectorize_core.sqlite.file import SqliteFile

FILE_NAME: Final = "texts.sqlite3"
_AT_ONCE: Final = 500
"""SQLite may take no more than 999 parameters."""
_PUT: Final = "INSERT OR REPLACE INTO texts VALUES (?, ?)"
_DELETE: Final = "DELETE FROM texts WHERE name = ?"


@checks_keywords()
class SqliteTexts(TextStore):
    """Texts in the file ``texts.sqlite3`` of a directory, or with ``":memory:"`` in memory.

    The file is made by the first write. Several processes may use one directory. What the disk
    refuses is a `StorageError`.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self._path = paths.absolute_or_memory(path)
        self._file: SqliteFile | None = None
        self._making = forks.lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._path,), {"max_bytes": self.max_bytes}

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        """The texts of these names."""

        def read() -> dict[str, str]:
            with self._opened().reading() as tx:
                return _read(tx, names)

        return await io.offload(read) if names else {}

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        """Write texts, all or none."""
        await self.put_listed(io, index, texts, {})

    async def put_listed(
        self,
        io: Io,
        index: str,
        texts: Mapping[str, str],
        lists: Mapping[str, Mapping[str, float | None]],
        /,
    ) -> None:
        """Change lists, and write texts, all or none; no other process comes in between."""

        def write() -> None:
            with self._opened().writing() as tx:
                there = _read(tx, [*lists])
                changed = {n: changed_list(there.get(n), n, lists[n]) for n in lists}
                rows = [(name, text) for name, text in changed.items() if text is not None]
                tx.executemany(_PUT, [*rows, *texts.items()])
                tx.executemany(_DELETE, [(n,) for n, text in changed.items() if text is None])

        if texts or lists:
            await io.offload(write)

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        """Delete texts, all or none."""

        def write() -> None:
            if self._opened().exists():
                with self._opened().writing() as tx:
                    tx.executemany(_DELETE, [(name,) for name in names])

        if names:
            await io.offload(write)

    def close(self) -> None:
        """Close the file; what was in memory is gone."""
        if self._file is not None:
            self._file.close()

    def release(self) -> None:
        """Close the file until it is needed again; what is in memory stays."""
        if self._path != paths.MEMORY:
            self.close()

    def _opened(self) -> SqliteFile:
        if self._file is None:
            # Here and not above: a store on Cloudflare never loads it.
            from vectorize_core.sqlite.file import SqliteFile  # noqa: PLC0415

            path = None if self._path == paths.MEMORY else str(Path(self._path, FILE_NAME))
            made = SqliteFile(path, "the long texts", _prepare)
            with self._making:
                self._file = self._file or made
        return self._file


def _prepare(connection: sqlite3.Connection, kind: str) -> None:
    kept = "TEMP" if kind == "read-only" and not _has_table(connection) else ""
    connection.execute(
        f"CREATE {kept} TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, text TEXT NOT NULL)"
    )


def _read(tx: sqlite3.Connection, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for some in parts(names, _AT_ONCE):
        for name, raw in tx.execute(_select(len(some)), some):
            # One that is damaged is named by its reader, and spoils no other.
            found[name] = raw.decode(errors="surrogateescape")
    return found


def _has_table(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'texts'").fetchone()
    return found is not None


def _select(count: int) -> str:
    marks = ", ".join("?" * count)
    return f"SELECT name, CAST(text AS BLOB) FROM texts WHERE name IN ({marks})"  # noqa: S608 - marks only
