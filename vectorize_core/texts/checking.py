"""Whether the texts beside an embedded Vectorize are there, and those that were written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vectorize_core import layout
from vectorize_core.api.d1 import quoted
from vectorize_core.errors import StorageError, UnreadableRecordError
from vectorize_core.models import Metadata
from vectorize_core.sqlite.file import SqliteFile
from vectorize_core.texts.sqlite import FILE_NAME
from vectorize_core.texts.store import is_intact, parts

_AT_ONCE: Final = 500
_NAMES: Final = ("name", "id")
"""What the column of names is called in our tables, and in those of D1."""


def name_in(metadata: Metadata) -> str | None:
    """The name of the text of a vector with this metadata; None if it is in the metadata."""
    if layout.EXTRA not in metadata:
        return None
    try:
        return layout.decode("", metadata).text_name
    except UnreadableRecordError:
        return None


def check(directory: Path) -> list[str]:
    """What is wrong with the texts in a directory, in words; changes nothing.

    Each text is compared with the digest in its name. A damaged one is restored by writing its
    record again.
    """
    problems = []
    for path in _files(directory):
        file = SqliteFile(str(path), "the long texts", lambda *_: None)
        try:
            with file.reading() as tx:
                tx.text_factory = _lenient
                found = [*_of_sqlite(tx), *_of_texts(tx)]
                problems += [f"{path.relative_to(directory)}: {problem}" for problem in found]
        except StorageError as error:
            problems.append(str(error))
        finally:
            file.close()
    return problems


def missing(directory: Path, names: Sequence[str]) -> set[str]:
    """Those of these texts that are in no file of a directory, or in none that can be read."""
    left = set(names)
    for path in _files(directory) if left else ():
        file = SqliteFile(str(path), "the long texts", lambda *_: None)
        try:
            with file.reading() as tx:
                tx.text_factory = _lenient
                for table, column in _tables(tx):
                    for some in parts(list(left), _AT_ONCE):
                        marks = ", ".join("?" * len(some))
                        rows = tx.execute(
                            f"SELECT {column} FROM {table} WHERE {column} IN ({marks})",  # noqa: S608
                            some,
                        )
                        left -= {name for (name,) in rows}
        except StorageError:
            continue
        finally:
            file.close()
    return left


def _files(directory: Path) -> Iterator[Path]:
    """``texts.sqlite3``, and the D1 databases of the local server."""
    if (directory / FILE_NAME).exists():
        yield directory / FILE_NAME
    yield from sorted(directory.glob("d1/*.sqlite3"))


def _tables(tx: sqlite3.Connection) -> list[tuple[str, str]]:
    """The tables of texts, each with its column of names."""
    rows = tx.execute(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND c.name IN (?, ?) AND EXISTS "
        "(SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'text')",
        _NAMES,
    )
    return [(quoted(table), column) for table, column in rows]


def _of_sqlite(tx: sqlite3.Connection) -> list[str]:
    return [text for (text,) in tx.execute("PRAGMA integrity_check") if text != "ok"]


def _of_texts(tx: sqlite3.Connection) -> list[str]:
    return [
        f"the text {name!r} is damaged; write its record again"
        for table, column in _tables(tx)
        for name, text in tx.execute(f"SELECT {column}, text FROM {table}")  # noqa: S608
        if isinstance(name, str) and isinstance(text, str) and not is_intact(name, text)
    ]


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
