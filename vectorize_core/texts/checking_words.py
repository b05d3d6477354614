"""Whether the text indexes beside an embedded Vectorize have the texts that were put into them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from vectorize_core.api.d1 import quoted
from vectorize_core.errors import StorageError
from vectorize_core.sqlite.explaining import is_damaged
from vectorize_core.sqlite.file import SqliteFile
from vectorize_core.texts.fts import digest_of
from vectorize_core.texts.sqlite_index import FILE_NAME

_MADE_AS: Final = "CREATE VIRTUAL TABLE % USING fts5(text, ns, key, id %"


def check(directory: Path) -> list[str]:
    """What is wrong with the text indexes in a directory, in words; changes nothing.

    Each text is compared with the digest in ``put``, and what is looked up with the texts. Damage
    to the files of D1 itself is found with its other tables.
    """
    problems = []
    paths = [path for path in [directory / FILE_NAME] if path.exists()]
    for path in [*paths, *sorted(directory.glob("d1/*.sqlite3"))]:
        with closing(SqliteFile(str(path), "the text index", lambda *_: None)) as file:
            try:
                with file.reading() as tx:
                    found = [*_of_file(tx), *_of_texts(tx)] if path in paths else [*_of_texts(tx)]
                problems += [f"{path.relative_to(directory)}: {problem}" for problem in found]
            except StorageError as error:
                problems.append(str(error))
    return problems


def _of_file(tx: sqlite3.Connection) -> Iterator[str]:
    for (text,) in tx.execute("PRAGMA integrity_check"):
        # From SQLite 3.44 on it looks into the words, too, of which `_of_texts` says what to do.
        if text != "ok" and not text.startswith("malformed inverted index for FTS5"):
            yield text


def _of_texts(tx: sqlite3.Connection) -> Iterator[str]:
    tables = tx.execute("SELECT name FROM sqlite_master WHERE sql LIKE ?", (_MADE_AS,)).fetchall()
    for name in (quoted(name) for (name,) in tables):
        for record_id, text, put in tx.execute(f"SELECT id, text, put FROM {name}"):  # noqa: S608
            if digest_of(text) != put.partition("-")[0]:
                yield f"the text of {record_id} in {name} is damaged; write its record again"
        try:
            tx.execute(f"INSERT INTO {name} ({name}) VALUES ('integrity-check')")  # noqa: S608
        except sqlite3.Error as error:
            # What cannot be written cannot be asked in this way.
            if is_damaged(error):
                yield (
                    f"{name} does not find the texts that it has. Delete the file, or drop the "
                    "table, and call reindex_texts() of the store"
                )
