"""Whether an answer holds more values than the service has to tell.

As Python's objects, JSON such as ``[[],[],[]]`` takes thirty times the memory of its text, and
seconds to read: 64 MiB of it 2 GB. So the values are counted first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

_SMALL: Final = 2**22
"""Bytes that may hold any number of values. 100 vectors with values, the densest answer of the
service, have 3 MB."""
_LEAST_BYTES: Final = 12
"""That each value of a larger one takes on average. Indexes and texts take more."""
_CHUNK: Final = 2**20


def is_crowded(text: bytes | bytearray) -> bool:
    """Whether the values of a JSON text are too many for its length."""
    most = len(text) // _LEAST_BYTES
    if len(text) <= _SMALL or sum(map(_begun, _chunks(text))) <= most:
        return False
    # These may be the commas of a text.
    text = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    found = quotes = 0
    for chunk in _chunks(text):
        # A byte for each: whether their number is odd is all that counts.
        before = np.cumsum(chunk == ord('"'), dtype=np.uint8) + np.uint8(quotes)
        found += _begun(chunk[before & 1 == 0])
        if found > most:
            return True
        quotes = int(before[-1]) & 1
    return False


def _chunks(text: bytes | bytearray) -> Iterator[Any]:
    for start in range(0, len(text), _CHUNK):
        yield np.frombuffer(text, np.uint8, min(_CHUNK, len(text) - start), start)


def _begun(chunk: Any) -> int:
    """How many values begin, but for the first of each object."""
    return sum(int(np.count_nonzero(chunk == ord(mark))) for mark in ",[{")
