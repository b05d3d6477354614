"""The binary protocol's answers: numbers in little-endian, and metadata as JSON behind them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import jsontext
from vectorize_core.api.parts import an_object
from vectorize_core.errors import UnexpectedAnswerError
from vectorize_core.lynse.answers import a_list
from vectorize_core.lynse.models import BinaryHits, BinaryRows, Fields

_COUNT: Final = np.dtype("<u4")
_ROW: Final = np.dtype("<u8")
_NUMBER: Final = np.dtype("<f4")


def read_hits(body: bytes, most: int) -> BinaryHits:
    """``count, rows, scores, size, JSON``."""
    reader = _Reader(body)
    hits = _hits(reader, most)
    reader.end()
    return hits


def read_batch(body: bytes, queries: int, most: int) -> tuple[BinaryHits, ...]:
    """How many, then each as in `read_hits`."""
    reader = _Reader(body)
    if (found := reader.count()) != queries:
        raise UnexpectedAnswerError(f"{found} answers to {queries} queries")
    batch = tuple([_hits(reader, most) for _ in range(queries)])
    reader.end()
    return batch


def read_rows(body: bytes, most: int) -> BinaryRows:
    """``count, dimensions, vectors, rows, size, JSON``."""
    reader = _Reader(body)
    count, dim = reader.count(most), reader.count()
    vectors = reader.numbers(_NUMBER, count * dim).reshape(count, dim).astype(np.float32)
    rows = reader.numbers(_ROW, count).astype(np.uint64)
    fields = reader.fields(count)
    reader.end()
    return BinaryRows(rows, vectors, fields)


def _hits(reader: _Reader, most: int) -> BinaryHits:
    count = reader.count(most)
    rows = reader.numbers(_ROW, count).astype(np.uint64)
    scores = reader.numbers(_NUMBER, count).astype(np.float32)
    return BinaryHits(rows, scores, reader.fields(count))


class _Reader:
    """Takes one part after the other; raises `UnexpectedAnswerError` where it ends early."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def numbers(self, kind: np.dtype[Any], count: int) -> NDArray[Any]:
        """So many numbers."""
        self._need(count * kind.itemsize)
        found = np.frombuffer(self._body, kind, count, self._at)
        self._at += found.nbytes
        return found

    def count(self, most: int | None = None) -> int:
        """How many of something follow."""
        count = int(self.numbers(_COUNT, 1)[0])
        if most is not None and count > most:
            raise UnexpectedAnswerError(f"{count} records, where {most} were asked for")
        return count

    def fields(self, count: int) -> tuple[Fields, ...]:
        """The metadata of so many records, or none at all."""
        size = self.count()
        self._need(size)
        text, self._at = self._body[self._at : self._at + size], self._at + size
        if not text:
            return ()
        try:
            found = jsontext.loads(text)
        except ValueError:
            raise UnexpectedAnswerError(f"the metadata is no JSON: {text[:80]!r}") from None
        rows = a_list(found, "the metadata", count)
        return tuple([an_object(row, f"the metadata[{at}]") for at, row in enumerate(rows)])

    def _need(self, size: int) -> None:
        if self._at + size > len(self._body):
            raise UnexpectedAnswerError(f"it ends after {len(self._body)} bytes, too early")

    def end(self) -> None:
        """Nothing follows."""
        if self._at != len(self._body):
            raise UnexpectedAnswerError(f"{len(self._body) - self._at} bytes follow its end")
