"""The values of vectors: float32 rows by slot, in memory or in append-only files that are mapped.

Rows are written behind all others before the database commits their slots, and synced, unless the
database keeps them until they are (`unsynced`). So an incomplete write is never read, and the next
writer overwrites it. A file never becomes shorter and is never replaced, because it may be mapped.

Beside the values, in stores of the same kind, are their `codes`, which are not synced.
"""

from __future__ import annotations

import mmap
import os
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.errors import StorageError
from vectorize_core.job import Job
from vectorize_core.local import page_advice, workers
from vectorize_core.local.kept_files import KeptFiles
from vectorize_core.local.matrix import Matrix
from vectorize_core.local.row_types import VALUES, RowType
from vectorize_core.sqlite.identity import Directory

_ALIGNED_ROWS: Final = 16_384
"""A multiple of so many rows, of any width, is where every platform can begin a mapping."""
_SEGMENT_BYTES: Final = 1 << 25
_LEAST_GROWTH: Final = 64
"""Rows by which an array or a file grows at least, so that readers rarely map it again."""
_NO_DESCRIPTOR: Final[dict[str, Any]] = (
    {"trackfd": False} if sys.version_info >= (3, 13) and os.name == "posix" else {}
)
"""A mapping needs none; older versions of Python keep one for each."""
HOLDS_DESCRIPTORS: Final = not _NO_DESCRIPTOR
"""Whether mappings do."""
_SYNCED_AT_ONCE: Final = 1 << 16
"""Bytes beyond which a sync takes longer than to let another thread begin it."""


class FileMissingError(StorageError):
    """A file of values does not exist: damage, unless its generation was compacted away."""


class ValueStore(ABC):
    """The rows of one generation of an index."""

    identity = 0
    """By which rows are told from those of another store, where they have their own checksums."""

    def __init__(self, dimensions: int, rows: RowType = VALUES) -> None:
        self.row = rows.of(dimensions)
        self.row_bytes = self.row.itemsize
        self.height = _ALIGNED_ROWS * max(1, _SEGMENT_BYTES // (_ALIGNED_ROWS * self.row_bytes))

    @abstractmethod
    def matrix(self, count: int) -> Matrix:
        """The first ``count`` rows, all of them committed. `FileMissingError`, `StorageError`."""

    @abstractmethod
    def unmap(self) -> None:
        """Unmap what no `Matrix` uses, until it is read again."""

    @abstractmethod
    def readable(self) -> int:
        """How many rows there is room for."""

    def is_cut_off(self, count: int) -> bool:
        """Whether a file that is mapped ends before ``count`` rows: to touch one behind its end
        ends the process. What is mapped of one that was deleted or replaced stays readable."""
        return False

    @abstractmethod
    def read(self, slots: Iterable[int]) -> list[bytes]:
        """The rows in ``slots``, each less than whole where they end. `FileNotFoundError`."""

    @abstractmethod
    def leaves_blank(self, slot: int, count: int) -> bool:
        """Leave derived rows from ``slot`` on out, unless there are others."""

    @abstractmethod
    def write(self, slot: int, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Write rows from ``slot`` on, where no others are committed; synced if ``durable``."""

    @abstractmethod
    def will_sync(self, needed: bool = True) -> None:
        """Let the next `sync` wait for all that was written, whoever wrote it; or for nothing."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the rows are, for messages."""

    def restore(self, slot: int, data: bytes) -> None:
        """Write derived rows that are committed again, while others may be writing new ones."""
        self.write(slot, data)

    @abstractmethod
    def sync(self) -> None:
        """Return when what was written would survive a loss of power."""

    @abstractmethod
    def remove(self) -> None:
        """Free the space; a `Matrix` that was made before stays readable."""

    @abstractmethod
    def close(self) -> None:
        """Keep no file open that nobody writes any more."""


class SegmentedStore(ValueStore):
    """Rows in segments, of which a `Matrix` has some."""

    def __init__(self, dimensions: int, rows: RowType = VALUES) -> None:
        super().__init__(dimensions, rows)
        self._segments: list[NDArray[Any]] = []

    def matrix(self, count: int) -> Matrix:
        """The first ``count`` rows, all of them committed. `FileMissingError`, `StorageError`."""
        needed, segments = -(-count // self.height), self._segments
        for number in range(max(0, len(segments) - 1), needed):
            wanted = min(self.height, count - number * self.height)
            if number == len(segments) or len(segments[number]) < wanted:
                # A new list, because other threads may be reading this one, or unmapping all.
                segments = [*segments[:number], self._segment(number, wanted)]
                self._keep(segments)
        return Matrix(tuple(segments[:needed]), self.height, count, self.row)

    def _keep(self, segments: list[NDArray[Any]]) -> None:
        self._segments = segments

    @abstractmethod
    def _segment(self, number: int, wanted: int) -> NDArray[Any]:
        """Segment ``number``, with ``wanted`` rows or more."""


class MemoryValueStore(SegmentedStore):
    """Rows in memory. A segment that is too small is copied to a larger one, and stays as it is."""

    @property
    def place(self) -> str:
        """Where the rows are, for messages."""
        return "memory"

    def readable(self) -> int:
        """How many rows there is room for."""
        return sum(map(len, self._segments))

    def read(self, slots: Iterable[int]) -> list[bytes]:
        """The rows in ``slots``."""
        return [row.tobytes() for row in self.matrix(self.readable()).take(np.array([*slots]))]

    def leaves_blank(self, slot: int, count: int) -> bool:
        """Leave derived rows from ``slot`` on out, unless there are others."""
        return slot >= self.readable()

    def write(self, slot: int, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Write rows from ``slot`` on, where no others are committed; synced if ``durable``."""
        rows: NDArray[Any] = np.frombuffer(data, self.row)
        while len(rows):
            number, start = divmod(slot, self.height)
            part = rows[: self.height - start]
            if number == len(self._segments):
                self._segments.append(np.empty(0, self.row))
            end = start + len(part)
            if end > len(self._segments[number]):
                self._segments[number] = self._larger(self._segments[number], end)
            self._segments[number][start:end] = part
            rows, slot = rows[len(part) :], slot + len(part)

    def will_sync(self, needed: bool = True) -> None:
        """Nothing to do."""

    def sync(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing is open."""

    def unmap(self) -> None:
        """Nothing is mapped."""

    def remove(self) -> None:
        """Free the memory that no `Matrix` uses."""
        self._segments = []

    def _segment(self, number: int, wanted: int) -> NDArray[Any]:
        raise FileMissingError("the index was deleted meanwhile")

    def _larger(self, segment: NDArray[Any], wanted: int) -> NDArray[Any]:
        rows = min(self.height, max(wanted, 2 * len(segment), _LEAST_GROWTH))
        larger = np.empty(rows, self.row)
        larger[: len(segment)] = segment
        return larger


@dataclass(slots=True, eq=False)
class Shared:
    """What the stores of a directory share, so that nobody has to ask each of them."""

    kept: KeptFiles = field(default_factory=KeptFiles)
    written: set[FileValueStore] = field(default_factory=set)
    """Those that were written since the last commit."""
    mapped: set[tuple[int, int]] = field(default_factory=set)
    """Segments that are mapped, each with its store."""


class FileValueStore(SegmentedStore):
    """Rows in a file that only grows, in ``directory`` if that is open, or by its path."""

    def __init__(
        self,
        path: Path,
        dimensions: int,
        directory: Directory | None = None,
        rows: RowType = VALUES,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(dimensions, rows)
        self.path = path
        self._name = path.name
        self._shared = shared
        self._kept = KeptFiles() if shared is None else shared.kept
        self.identity = zlib.crc32(path.name.encode())
        self._is_derived = rows.is_derived
        self.reads_at_random = False
        """Whether few rows are read here and there, unless a `Matrix` says otherwise."""
        self._directory = directory or Directory(str(path.parent))
        self._mapped: tuple[int, int] | None = None
        """Device and inode of the file that was mapped last."""
        self._syncs = False
        self._begun: Job[None] | None = None
        """A sync of what was written before it began."""

    @property
    def place(self) -> str:
        """Where the rows are, for messages."""
        return str(self.path)

    def unmap(self) -> None:
        """Unmap what no `Matrix` uses, until it is read again."""
        segments, self._segments = self._segments, []
        if self._shared is not None:
            self._shared.mapped.difference_update(self._numbered(segments))

    def __del__(self) -> None:
        # A search that goes on maps also what was forgotten meanwhile.
        with suppress(AttributeError):  # Ctrl-C came while it was made
            self.unmap()

    def readable(self) -> int:
        """How many rows there is room for."""
        try:
            return self.path.stat().st_size // self.row_bytes
        except FileNotFoundError:
            return 0  # perhaps only since another process has compacted or deleted the index

    def matrix(self, count: int) -> Matrix:
        """The first ``count`` rows, all of them committed. `FileMissingError`, `StorageError`."""
        if self._segments and self.is_cut_off(count):
            # Mapped anew, it says so.
            self.unmap()
        return super().matrix(count)

    def is_cut_off(self, count: int) -> bool:
        """Whether the file that is mapped ends before ``count`` rows."""
        if sys.platform == "win32":  # which lets no file that is mapped be cut off
            return False
        found = self._directory.find(self._name)
        if found is None or (found.st_dev, found.st_ino) != self._mapped:
            return False
        return found.st_size < count * self.row_bytes

    def read(self, slots: Iterable[int]) -> list[bytes]:
        """The rows in ``slots``, each less than whole where the file ends. `FileNotFoundError`."""
        with self._directory.file(self._name) as file:
            return [_at(file, slot * self.row_bytes, self.row_bytes) for slot in slots]

    def write(self, slot: int, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Write rows from ``slot`` on, where no others are committed; synced if ``durable``.

        If they are many, that begins at once, while the caller goes on. If rows before these are
        gone, `FileMissingError`; derived ones are not written, for whoever makes those makes these.
        """
        self._syncs |= durable
        self._note_written()
        start = slot * self.row_bytes
        try:
            descriptor, size = self._kept.open(self._directory, self._name, create=slot == 0)
        except FileNotFoundError:
            if self._is_derived:
                return
            raise self._missing(slot) from None
        if self._is_derived and size < start:
            return
        self._make_room(descriptor, size, start + len(data))
        if self._is_derived:
            # Rows of a write that was not committed. After a loss of power they could be
            # back, and pass for those of this one, unless these are synced.
            self._syncs |= not _are_zeros(descriptor, start, len(data))
        _write(descriptor, start, data)
        if durable and self._begun is None and len(data) > _SYNCED_AT_ONCE:
            self._begun = Job(self._sync_now)
            workers.begin(self._begun)
            self._syncs = False
        if slot == 0 and not self._is_derived:
            # Also if it is not new: whoever made it may have been killed before this.
            self._directory.sync()

    def leaves_blank(self, slot: int, count: int) -> bool:
        """Leave derived rows from ``slot`` on out, unless there are others."""
        start, length = slot * self.row_bytes, count * self.row_bytes
        try:
            descriptor, size = self._kept.open(self._directory, self._name, create=False)
        except FileNotFoundError:
            return True
        if size < start:
            return True
        self._make_room(descriptor, size, start + length)
        if not _are_zeros(descriptor, start, length):
            return False
        # A hole is read as zeros too. But of a file in memory it is filled when a mapping of it is
        # read; and without room for that the process would end.
        _write(descriptor, start, bytes(length))
        return True

    def restore(self, slot: int, data: bytes) -> None:
        """Write rows that are committed again, while others may be writing new ones."""
        with self._directory.file(self._name, writes=True, creates=True) as file:
            # It grows no further than by these: to make it longer could cut off a writer's rows.
            file.seek(slot * self.row_bytes)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        if not self.path.with_suffix(VALUES.suffix).exists():
            # The index was deleted or compacted meanwhile: nobody else would delete this file.
            self.remove()

    def will_sync(self, needed: bool = True) -> None:
        """Let the next `sync` wait for all that was written, whoever wrote it; or for nothing."""
        self._syncs = needed
        self._note_written()
        if not needed and self._begun is not None:
            if not self._begun.cancel():
                self._begun.wait()
            self._begun = None

    def sync(self) -> None:
        """Return when what was written would survive a loss of power."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()
        if self._syncs:
            self._sync_now()
            self._syncs = False

    def _sync_now(self) -> None:
        try:
            with self._directory.file(self._name, writes=True) as file:
                _sync(file.fileno())
        except FileNotFoundError:
            # Codes may be deleted at any time.
            if not self._is_derived:
                raise

    def close(self) -> None:
        """Keep the file no longer open."""
        self._kept.close(self._name)

    def remove(self) -> None:
        """Delete the file. On Windows, if anyone has it open, `ValueStores.sweep` does so later."""
        self.close()
        try:
            self._directory.remove(self._name)
        except PermissionError:
            if sys.platform != "win32":
                raise

    def _make_room(self, descriptor: int, size: int, end: int) -> None:
        if size < end:
            least = end + max(end // 8, _LEAST_GROWTH * self.row_bytes)
            whole = -(-least // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
            os.ftruncate(descriptor, whole)

    def _segment(self, number: int, wanted: int) -> NDArray[Any]:
        offset = number * self.height * self.row_bytes
        try:
            with self._directory.file(self._name) as file:
                found = os.fstat(file.fileno())
                size = found.st_size
                if size < offset + wanted * self.row_bytes:
                    raise StorageError(
                        f"{self.path} has been cut off: it holds {size // self.row_bytes} vectors, "
                        f"and at least {number * self.height + wanted} were written. Restore it, "
                        "or see what can be saved: vectorize-stores check --path DIR"
                    )
                rows = min(self.height, (size - offset) // self.row_bytes)
                length = rows * self.row_bytes
                mapped = mmap.mmap(
                    file.fileno(), length, access=mmap.ACCESS_READ, offset=offset, **_NO_DESCRIPTOR
                )
        except FileNotFoundError:
            raise self._missing(wanted) from None
        self._mapped = found.st_dev, found.st_ino
        if self._is_derived:
            page_advice.as_a_whole(mapped)
        elif self.reads_at_random:
            page_advice.at_random(mapped)
        return np.frombuffer(mapped, self.row)

    def _keep(self, segments: list[NDArray[Any]]) -> None:
        super()._keep(segments)
        if self._shared is not None:
            self._shared.mapped.update(self._numbered(segments))

    def _numbered(self, segments: list[NDArray[Any]]) -> Iterable[tuple[int, int]]:
        return ((id(self), number) for number in range(len(segments)))

    def _note_written(self) -> None:
        if self._shared is not None:
            self._shared.written.add(self)

    def _missing(self, count: int) -> FileMissingError:
        return FileMissingError(
            f"{self.path} is missing: the values of {count} vectors or more. Restore it, or see "
            "what can be saved: vectorize-stores check --path DIR"
        )


def _are_zeros(descriptor: int, start: int, size: int) -> bool:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, size) == bytes(size)


def _write(descriptor: int, start: int, data: bytes | memoryview) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _at(file: FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _sync_data() -> Callable[[int], None]:
    """The platform's call that makes a file's data survive a loss of power."""
    if sys.platform == "darwin":
        # fsync does not flush the drive's own cache there.
        import fcntl  # noqa: PLC0415 (only where it exists)

        return lambda descriptor: (fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC), None)[1]
    return getattr(os, "fdatasync", os.fsync)


_sync: Final = _sync_data()
