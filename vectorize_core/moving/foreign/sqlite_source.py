"""Reading a database of SQLite that another project keeps."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vectorize_core.errors import StorageError
from vectorize_core.sqlite.connecting import connect
from vectorize_core.sqlite.explaining import Explained


@contextmanager
def reading(path: str, what: str, tables: Collection[str]) -> Iterator[sqlite3.Connection]:
    """One state of a file, whatever is written meanwhile; rows are read by the names of columns.

    ``what`` it is, for errors. `StorageError` unless all ``tables`` are in it, as tables.
    """
    cure = "Restore it, or open it with the library that made it"
    with (
        Explained(what, path, cure),
        closing(connect(f"{Path(path).as_uri()}?mode=ro", uri=True)) as connection,
    ):
        # Nothing that a schema names is run.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        missing = sorted(set(tables) - {name for (name,) in found})
        if missing:
            raise StorageError(
                f"{os.path.basename(path)} in {os.path.dirname(path)} is no database of {what}: "
                f"it has no table {missing[0]}"
            )
        try:
            yield connection
        except (IndexError, OverflowError) as error:
            # A column that a row has not, or a number that is none of SQLite's.
            raise StorageError(
                f"{os.path.basename(path)} in {os.path.dirname(path)} is damaged, or of a version "
                f"of {what} that this one does not know ({error}). {cure}"
            ) from error
