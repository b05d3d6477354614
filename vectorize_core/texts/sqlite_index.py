"""A text index in an SQLite file, or in memory: for stores that work embedded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vectorize_core import forks, paths
from vectorize_core.api.d1 import Rows, Statement
from vectorize_core.kwargs import checks_keywords
from vectorize_core.texts.text_index import NoTableError, TextIndex, no_fts5
from vectorize_core.texts.tokens import Tokenizer
from vectorize_core.transport.io import Io

if TYPE_CHECKING:
    import sqlite3

    from vectorize_core.sqlite.file import SqliteFile

FILE_NAME: Final = "words.sqlite3"
_WHAT: Final = "the text index"
_CURE: Final = (
    f"It is made again from the vectors: delete {FILE_NAME} there while nobody uses it, and call "
    "reindex_texts() of the store"
)
_CACHE: Final = 16_000
"""Kilobytes of pages that are kept in memory, at most."""


@checks_keywords()
class SqliteTextIndex(TextIndex):
    """A text index in the file ``words.sqlite3`` of a directory, or with ``":memory:"`` in memory.

    The file is made by the first write. Several processes may use one directory. What the disk
    refuses is a `StorageError`; an SQLite without FTS5 is a `ConfigurationError`.
    """

    max_bytes = 200_000_000
    """Of a row, as JSON; SQLite takes a thousand million of all together."""
    notes_puts = True

    def __init__(
        self, path: str | os.PathLike[str] = ":memory:", *, tokenizer: Tokenizer = "unicode61"
    ) -> None:
        super().__init__(tokenizer=tokenizer)
        self._path = paths.absolute_or_memory(path)
        self._file: SqliteFile | None = None
        self._making = forks.lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    @property
    def settings(self) -> dict[str, str | None]:
        """The arguments that make it again."""
        return {"path": self._path, "tokenizer": self.tokenizer}

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (self._path, self.tokenizer), {"max_bytes": self.max_bytes}

    async def _read(self, io: Io, statement: Statement, /) -> Rows:
        """The rows of a statement that changes nothing."""

        def read() -> Rows | None:
            # Not by an error, which would hold the connection: who has it last closes that.
            with suppress(NoTableError), self._opened().reading() as tx:
                return self._execute(tx, statement)
            return None

        rows = await io.offload(read)
        if rows is None:
            raise NoTableError
        return rows

    async def _write(
        self, io: Io, statements: Sequence[Statement], /, *, synced: bool = True
    ) -> None:
        """Carry out statements, all or none."""

        def write() -> bool:
            # As in `_read`.
            with suppress(NoTableError), self._opened().writing(synced=synced) as tx:
                for statement in statements:
                    self._execute(tx, statement)
                return True
            return False

        # What is cancelled must not put rows that the next write of the record does not find.
        if not await io.whole(io.offload(write)):
            raise NoTableError

    def close(self) -> None:
        """Close the file; what was in memory is gone."""
        if self._file is not None:
            self._file.close()
        self._forget()

    def release(self) -> None:
        """Close the file until it is needed again; what is in memory stays."""
        if self._path != paths.MEMORY:
            self.close()

    def _execute(self, tx: sqlite3.Connection, statement: Statement) -> Rows:
        import sqlite3  # noqa: PLC0415

        try:
            return tx.execute(*statement).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                raise NoTableError from error
            if "no such module: fts5" in str(error):
                raise no_fts5(f"the SQLite {sqlite3.sqlite_version} of this Python") from error
            raise

    def _opened(self) -> SqliteFile:
        if self._file is None:
            # Here and not above: a store on Cloudflare never loads it.
            from vectorize_core.sqlite.file import SqliteFile  # noqa: PLC0415

            path = None if self._path == paths.MEMORY else str(Path(self._path, FILE_NAME))
            made = SqliteFile(path, _WHAT, _prepare, cure=_CURE)
            with self._making:
                self._file = self._file or made
        return self._file


def _prepare(connection: sqlite3.Connection, _: str) -> None:
    connection.execute(f"PRAGMA cache_size = -{_CACHE}")


def _made(path: str, tokenizer: Tokenizer) -> SqliteTextIndex:
    return SqliteTextIndex(path, tokenizer=tokenizer)
