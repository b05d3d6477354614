"""Cloudflare D1 on SQLite, for text stores: databases by id, each made when it is first used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from vectorize_core import paths
from vectorize_core.local import faults
from vectorize_core.local.d1.database import D1Database, Result, Statement
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.file_names import file_of
from vectorize_core.local.open_files import Named, OpenFiles

MAX_DATABASES: Final = 1_000
"""Of an account."""
_MOST_OPEN_FILES: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class D1Databases:
    """The databases of an account: in the folder ``d1`` of a directory, or in memory.

    ``files`` bounds how many are open at once. ``admit`` is called before the first write to a
    database, and may refuse it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        files: OpenFiles | None = None,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        location = paths.absolute_or_memory(path)
        self._folder = None if location == paths.MEMORY else Path(location, "d1")
        self._databases = Named(self._make, files or OpenFiles(_MOST_OPEN_FILES))
        self._admit = admit

    def run(
        self,
        name: str,
        statements: Sequence[Statement],
        breathe: Callable[[], None] | None = None,
        *,
        bound_memory: bool = False,
    ) -> list[Result]:
        """`D1Database.run` in the database of this id, which its first write makes."""
        if not _ID.fullmatch(name):
            raise ServiceFault(404, 7404, f"The database {name} could not be found")
        with self._databases.use(name) as database:
            return database.run(
                statements, breathe, bound_memory=bound_memory, admit=self._admit_database
            )

    def is_empty(self) -> bool:
        """Whether nothing was ever written to any of them."""
        if self._folder is not None:
            return not self._folder.exists()
        return all(database.is_empty() for database in self._databases.all())

    def interrupt(self) -> None:
        """End all requests that are being carried out, or wait, with a fault; in any thread."""
        for database in self._databases.all():
            database.interrupt()

    def release(self) -> None:
        """Close the files until they are needed again; what is in memory stays."""
        for database in self._databases.all():
            database.release()

    def close(self) -> None:
        """Close all databases."""
        self._databases.close()

    def _make(self, name: str) -> D1Database:
        if self._folder is None:
            return D1Database(None)
        return D1Database(str(file_of(self._folder, name, ".sqlite3")))

    def _admit_database(self) -> None:
        self._admit()
        if self._count() >= MAX_DATABASES:
            raise faults.refused(f"this account has {MAX_DATABASES} databases, and makes no more")

    def _count(self) -> int:
        if self._folder is None:
            # Without the one that is to be made.
            return len(self._databases.all()) - 1
        return sum(1 for _ in self._folder.glob("*.sqlite3"))
