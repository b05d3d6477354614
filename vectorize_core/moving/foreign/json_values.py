"""Reading a large document of JSON value by value: only what is asked for is in memory."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import orjson

from vectorize_core import paths
from vectorize_core.errors import StorageError

_LARGEST: Final = 1 << 26
"""Bytes of one value that is read; a record is far smaller."""
_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,:{}\[\]\"]++")
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]*+(?:\\.[^"\\]*+)*+"|(?P<open>))|[{}\[\]]', re.DOTALL)


class Value:
    """A value in a document, not read yet."""

    def __init__(self, data: mmap.mmap, start: int, where: str) -> None:
        self._data = data
        self._start = start
        self._where = where

    @property
    def is_object(self) -> bool:
        """Whether it is an object."""
        return self._at(self._start) == "{"

    @property
    def is_array(self) -> bool:
        """Whether it is an array."""
        return self._at(self._start) == "["

    def load(self) -> Any:
        """The value itself. `StorageError` for what is no JSON, or larger than any record."""
        if self.end - self._start > _LARGEST:
            raise self._damaged("has a value of more than 64 MiB")
        try:
            with memoryview(self._data) as data, data[self._start : self.end] as part:
                return orjson.loads(part)
        except orjson.JSONDecodeError as error:
            raise self._damaged(f"is no JSON ({error.msg})") from None

    def members(self) -> Iterator[tuple[str, Value]]:
        """The keys and values of an object, one by one."""
        at = self._first("}")
        while at is not None:
            key = Value(self._data, at, self._where)
            colon = self._skip(key.end)
            if self._at(at) != '"' or self._at(colon) != ":":
                raise self._damaged("is no JSON")
            value = Value(self._data, self._skip(colon + 1), self._where)
            yield key.load(), value
            at = self._following(value, "}")

    def items(self) -> Iterator[Value]:
        """The values of an array, one by one."""
        at = self._first("]")
        while at is not None:
            value = Value(self._data, at, self._where)
            yield value
            at = self._following(value, "]")

    def member(self, name: str) -> Value | None:
        """The value of a key of an object, None if it has none."""
        return next((value for key, value in self.members() if key == name), None)

    @cached_property
    def end(self) -> int:
        """Where it ends."""
        first = self._at(self._start)
        if first in ("{", "["):
            depth = 0
            for found in _STRUCTURE.finditer(self._data, self._start):
                if found["open"] is not None:
                    break
                token = found[0]
                depth += (token in (b"{", b"[")) - (token in (b"}", b"]"))
                if depth == 0:
                    return found.end()
            raise self._damaged("ends in the middle of a value")
        scalar = (_STRING if first == '"' else _SCALAR).match(self._data, self._start)
        if scalar is None:
            raise self._damaged("is no JSON" if first else "ends in the middle of a value")
        return scalar.end()

    def _first(self, closing: str) -> int | None:
        """Where the first part of an object or array begins; None if it is empty."""
        at = self._skip(self._start + 1)
        return None if self._at(at) == closing else at

    def _following(self, value: Value, closing: str) -> int | None:
        """Where the part after a value begins; None after the last one."""
        at = self._skip(value.end)
        if self._at(at) == closing:
            return None
        if self._at(at) != ",":
            raise self._damaged("is no JSON" if self._at(at) else "ends in the middle of a value")
        return self._skip(at + 1)

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._data, at)
        return at if found is None else found.end()

    def _at(self, at: int) -> str:
        return chr(self._data[at]) if at < len(self._data) else ""

    def _damaged(self, why: str) -> StorageError:
        return StorageError(
            f"{self._where} {why}, at byte {self._start}: restore it, or make it anew"
        )


@contextmanager
def opened(path: str) -> Iterator[Iterator[Value]]:
    """The documents in a file, one after the other: one, or lines of NDJSON."""
    with paths.explained("a file of JSON", path), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield iter(())
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield _documents(data, path)


def _documents(data: mmap.mmap, where: str) -> Iterator[Value]:
    at = len(_BOM) if data[:3] == _BOM else 0
    while True:
        found = _SPACE.match(data, at)
        at = at if found is None else found.end()
        if at == len(data):
            return
        value = Value(data, at, where)
        yield value
        at = value.end
