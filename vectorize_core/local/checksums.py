"""Checksums of what is stored, by which damage is found."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Final

from vectorize_core.errors import StorageError

_KEY_FACTOR: Final = 0x9E3779B97F4B
_POSITION_FACTOR: Final = 0xC2B2AE3D27D5
_MASK: Final = (1 << 48) - 1

time_text: Final = lru_cache(256, typed=True)(str)
"""A time as text, as `content` has it: all vectors of a mutation have the same."""


def of_values(data: bytes | memoryview) -> int:
    """The checksum of a row of values."""
    return zlib.crc32(data)


def of_row(*columns: object) -> int:
    """The checksum of columns of a row: texts, numbers and None, as SQLite gives them back."""
    return zlib.crc32(content(*columns))


def content(*columns: object) -> bytes:
    """What `of_row` is the checksum of."""
    return "\0".join(map(str, columns)).encode("utf-8", "surrogateescape")


def placed(checksum: int, key: object, position: object) -> int:
    """The checksum of a vector's row, of the ``checksum`` of its content and of its place.

    Applied to its result with the same place it gives the checksum of the content, so that a
    compaction need not read what it moves.
    """
    if not isinstance(key, int) or not isinstance(position, int):
        return -1
    mixed = key * _KEY_FACTOR ^ position * _POSITION_FACTOR
    # Folded, so that a flip of a high bit changes it too.
    return checksum ^ ((mixed ^ mixed >> 48 ^ mixed >> 96) & _MASK)


def lenient(text: bytes) -> str:
    """A text of the database, also if a damaged byte has made it invalid."""
    return text.decode("utf-8", "surrogateescape")


def damaged(what: str) -> StorageError:
    """The error that something stored does not have its checksum."""
    return StorageError(
        f"{what} damaged on disk. Restore the directory or write the vector again; all damage is "
        "listed by: vectorize-stores check --path DIR"
    )
