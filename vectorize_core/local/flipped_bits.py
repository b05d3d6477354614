"""Finding the one bit whose flip explains a wrong checksum.

A flip of each bit of a row changes its checksum in another way. So a row with one flipped bit,
which is the commonest damage, can be restored as it was.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from vectorize_core.local import checksums

_POLYNOMIAL = 0xEDB88320
_NUMBER_BITS = 63


def in_bytes(data: bytes, checksum: int) -> bytes | None:
    """The bytes that have this CRC and differ from ``data`` in one bit; None if none do."""
    wanted = zlib.crc32(data) ^ checksum
    # How a flip of each bit of a byte changes the checksum, from the last byte on.
    changes = [_shifted(1 << bit) for bit in range(8)]
    for place in reversed(range(len(data))):
        if wanted in changes:
            flipped = data[place] ^ 1 << changes.index(wanted)
            return data[:place] + bytes([flipped]) + data[place + 1 :]
        changes = [_shifted(change) for change in changes]
    return None


def in_columns(columns: Sequence[Any], checksum: int) -> tuple[Any, ...] | None:
    """The columns that have this `checksums.of_row`, with one bit of ``columns`` flipped."""
    for candidate in _candidates(columns, checksum):
        if checksums.of_row(*candidate) == checksum:
            return candidate
    return None


def _candidates(columns: Sequence[Any], checksum: int) -> Iterator[tuple[Any, ...]]:
    content = in_bytes(checksums.content(*columns), checksum)
    texts = content.decode("utf-8", "surrogateescape").split("\0") if content else []
    if len(texts) == len(columns):
        yield tuple(
            text if isinstance(column, str) else column
            for text, column in zip(texts, columns, strict=True)
        )
    for n, column in enumerate(columns):
        for other in _flips(column):
            yield (*columns[:n], other, *columns[n + 1 :])


def _flips(column: Any) -> Iterator[Any]:
    if isinstance(column, int):
        yield from (column ^ 1 << bit for bit in range(_NUMBER_BITS))
    elif isinstance(column, float):
        (bits,) = struct.unpack("<Q", struct.pack("<d", column))
        for bit in range(64):
            yield struct.unpack("<d", struct.pack("<Q", bits ^ 1 << bit))[0]


def _shifted(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register
