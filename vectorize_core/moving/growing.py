"""A file of records that grows by whole pages, and can be cut back to any of them.

It has another name until it is finished, so what stands under its own name is whole.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, TypeVar

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError
from vectorize_core.models import Vector
from vectorize_core.moving import compression, line, parquet
from vectorize_core.moving.formats import Place

T = TypeVar("T")
Text = tuple[str, str]
"""The text of a record, with its id before it."""


class Growing(ABC, Generic[T]):
    """A file that grows. A *mark* is how far it has grown."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._partial = place.beside(".partial")

    def resume(self, mark: int) -> bool:
        """Cut it back to a mark. False if it is not there as it was: it then begins anew."""
        with self._explained():
            if mark and self._cut(mark):
                return True
            self.discard()
            return mark == 0

    def append(self, rows: Sequence[T]) -> int:
        """Add some rows; the mark behind them."""
        with self._explained():
            return self._append(rows)

    def finish(self) -> None:
        """Give it its own name, in place of what had it before."""
        with self._explained():
            finished = self._finished()
            with finished.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(finished, self.place.path)
            self.discard()

    def discard(self) -> None:
        """Remove what has grown so far."""
        with self._explained():
            if self._partial.is_dir():
                shutil.rmtree(self._partial)
            else:
                self._partial.unlink(missing_ok=True)

    def leave_out(self) -> None:
        """Remove it, and what had its own name before: there is nothing to stand in it."""
        self.discard()
        with self._explained():
            self.place.path.unlink(missing_ok=True)

    def _explained(self) -> AbstractContextManager[None]:
        return paths.explained("the export", str(self.place.path))

    @abstractmethod
    def _cut(self, mark: int) -> bool: ...

    @abstractmethod
    def _append(self, rows: Sequence[T]) -> int: ...

    @abstractmethod
    def _finished(self) -> Path: ...


class Lines(Growing[T]):
    """Lines of NDJSON, compressed a page at a time where the ending says so."""

    def __init__(self, place: Place, as_line: Callable[[T], bytes]) -> None:
        super().__init__(place)
        self._as_line = as_line

    def _cut(self, mark: int) -> bool:
        if not self._partial.is_file() or self._partial.stat().st_size < mark:
            return False
        os.truncate(self._partial, mark)
        return True

    def _append(self, rows: Sequence[T]) -> int:
        content = b"".join(b"%b\n" % self._as_line(row) for row in rows)
        with self._partial.open("ab") as file:
            file.write(compression.member(content, self.place.compression))
            return file.tell()

    def _finished(self) -> Path:
        if not self._partial.exists():
            self._partial.write_bytes(compression.member(b"", self.place.compression))
        return self._partial


class Tables(Growing[T]):
    """Parquet, whose end says where everything is: a file for each page, joined at the end."""

    def __init__(self, place: Place, write: Callable[[Path, Sequence[T]], None]) -> None:
        super().__init__(place)
        self._write = write

    def _cut(self, mark: int) -> bool:
        parts = self._parts()
        for part in parts[mark:]:
            part.unlink()
        return len(parts) >= mark

    def _append(self, rows: Sequence[T]) -> int:
        self._partial.mkdir(exist_ok=True)
        parts = self._parts()
        made = self._partial / "new"
        self._write(made, rows)
        made.rename(self._partial / f"{len(parts):08}")
        return len(parts) + 1

    def _finished(self) -> Path:
        whole = self._partial / "whole"
        if parts := self._parts():
            parquet.join(parts, whole)
        else:
            self._partial.mkdir(exist_ok=True)
            self._write(whole, ())
        return whole

    def _parts(self) -> list[Path]:
        return sorted(self._partial.glob("[0-9]*")) if self._partial.is_dir() else []


def vectors(place: Place) -> Growing[Vector]:
    """A file of vectors."""
    if place.is_parquet:
        return Tables(place, parquet.write_vectors)
    return Lines(place, line.vector_line)


def texts(place: Place) -> Growing[Text]:
    """A file of texts that do not fit into their vectors."""
    if place.is_parquet:
        return Tables(place, parquet.write_texts)
    return Lines(place, lambda text: line.text_line(*text))


def check(place: Place) -> None:
    """An error if there can be no such file, or if the extra that writes it is missing."""
    with paths.explained("the export", str(place.path)):
        if place.path.is_dir():
            raise InvalidInputError(f"{place.path} is a directory; give a file in it")
        if not place.path.parent.is_dir():
            raise InvalidInputError(f"{place.path}: there is no directory {place.path.parent}")
    if place.is_parquet:
        parquet.pyarrow()
    compression.member(b"", place.compression)
