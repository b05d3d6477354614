"""Whether the texts beside an embedded Vectorize are those that were written."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from vectorize_core.errors import StorageError
from vectorize_core.sqlite.file import SqliteFile
from vectorize_core.texts.sqlite import FILE_NAME
from vectorize_core.texts.store import is_intact


def check(directory: Path) -> list[str]:
    """What is wrong with the ``texts.sqlite3`` of a directory, in words; changes nothing.

    Each text is compared with the digest in its name. A damaged one is restored by writing its
    record again.
    """
    if not (directory / FILE_NAME).exists():
        return []
    file = SqliteFile(str(directory / FILE_NAME), "the long texts", lambda *_: None)
    try:
        with file.reading() as tx:
            tx.text_factory = _lenient
            return [*_of_sqlite(tx), *_of_texts(tx)]
    except StorageError as error:
        return [str(error)]
    finally:
        file.close()


def _of_sqlite(tx: sqlite3.Connection) -> list[str]:
    found = [text for (text,) in tx.execute("PRAGMA integrity_check")]
    return [f"{FILE_NAME}: {text}" for text in found if text != "ok"]


def _of_texts(tx: sqlite3.Connection) -> list[str]:
    return [
        f"{FILE_NAME}: the text {name!r} is damaged; write its record again"
        for name, text in tx.execute("SELECT name, text FROM texts")
        if not is_intact(name, text)
    ]


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
