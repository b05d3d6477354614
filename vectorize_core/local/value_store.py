"""The values of vectors: float32 rows by slot, in memory or in append-only files that are mapped.

Rows are written behind all others before the database commits their slots, and synced, unless the
database keeps them until they are (`unsynced`). So an incomplete write is never read, and the next
writer overwrites it. A file never becomes shorter and is never replaced, because it may be mapped.

Beside the values, in stores of the same kind, are their `codes`, which are not synced.
"""

from __future__ import annotations

import logging
import math
import mmap
import os
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.errors import StorageError
from vectorize_core.local import open_files, page_advice, workers
from vectorize_core.local.row_types import CODES, VALUES, RowType
from vectorize_core.sqlite.identity import Directory

Rows = NDArray[np.float32]
Slots = NDArray[np.int64]

FLOAT_BYTES: Final = 4
"""Bytes of a float32."""
_ALIGNED_ROWS: Final = 16_384
"""A multiple of so many rows, of any width, is where every platform can begin a mapping."""
_SEGMENT_BYTES: Final = 1 << 25
_LEAST_GROWTH: Final = 64
"""Rows by which an array or a file grows at least, so that readers rarely map it again."""
_NO_DESCRIPTOR: Final[dict[str, Any]] = (
    {"trackfd": False} if sys.version_info >= (3, 13) and os.name == "posix" else {}
)
"""A mapping needs none; older versions of Python keep one for each."""
_SYNCED_AT_ONCE: Final = 1 << 16
"""Bytes beyond which a sync takes longer than to let another thread begin it."""
_PART_MAPPED: Final = 0.25
"""Of the files that the process may have open."""
_MOST_MAPPED: Final = 4_096


_log = logging.getLogger(__name__)


class FileMissingError(StorageError):
    """A file of values does not exist: damage, unless its generation was compacted away."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The first ``count`` rows, in segments of ``height`` rows; it never changes."""

    segments: tuple[NDArray[Any], ...]
    height: int
    count: int
    row: np.dtype[Any]

    @property
    def dimensions(self) -> int:
        """Numbers in a row of values."""
        return int(self.row.shape[0])

    def upto(self, count: int) -> Matrix:
        """The first ``count`` of these rows."""
        if count == self.count:
            return self
        return Matrix(self.segments[: -(-count // self.height)], self.height, count, self.row)

    def blocks(self, rows: int, begin: int = 0) -> Iterator[tuple[int, NDArray[Any]]]:
        """The rows from ``begin`` on, in blocks of at most ``rows``, each with its first slot."""
        for number in range(begin // self.height, len(self.segments)):
            first = number * self.height
            within = self.segments[number][: self.count - first]
            for start in range(max(0, begin - first), len(within), rows):
                yield first + start, within[start : start + rows]

    def read_ahead(self) -> None:
        """Say that most rows are going to be read, from now on."""
        for segment in self.segments:
            page_advice.in_order(segment)

    def read_soon(self, first: int, last: int) -> None:
        """Say that the rows of these slots are going to be read, and those between them."""
        for number in range(first // self.height, min(last // self.height + 1, len(self.segments))):
            segment, start = self.segments[number], number * self.height
            page_advice.soon(segment, max(0, first - start), min(last - start, len(segment) - 1))

    def take(self, slots: Slots) -> NDArray[Any]:
        """Copies of the rows in ``slots``, which must be in ascending order."""
        if len(self.segments) == 1:
            return np.take(self.segments[0], slots, axis=0, mode="clip")
        taken = np.empty(len(slots), self.row)
        edges = np.searchsorted(slots, np.arange(1, len(self.segments) + 1) * self.height)
        start = 0
        for number, (segment, end) in enumerate(zip(self.segments, edges.tolist(), strict=True)):
            if end > start:
                inside = slots[start:end] - number * self.height
                # Without "clip" numpy would use a buffer, so that an error leaves `out` unchanged.
                np.take(segment, inside, axis=0, out=taken[start:end], mode="clip")
            start = end
        return taken


class ValueStore(ABC):
    """The rows of one generation of an index."""

    identity = 0
    """By which rows are told from those of another store, where they have their own checksums."""

    def __init__(self, dimensions: int, rows: RowType = VALUES) -> None:
        self.row = rows.of(dimensions)
        self.row_bytes = self.row.itemsize
        self.height = _ALIGNED_ROWS * max(1, _SEGMENT_BYTES // (_ALIGNED_ROWS * self.row_bytes))
        self._segments: list[NDArray[Any]] = []

    def matrix(self, count: int) -> Matrix:
        """The first ``count`` rows, all of them committed. `FileMissingError`, `StorageError`."""
        needed, segments = -(-count // self.height), self._segments
        for number in range(max(0, len(segments) - 1), needed):
            wanted = min(self.height, count - number * self.height)
            if number == len(segments) or len(segments[number]) < wanted:
                # A new list, because other threads may be reading this one, or unmapping all.
                segments = [*segments[:number], self._segment(number, wanted)]
                self._segments = segments
        return Matrix(tuple(segments[:needed]), self.height, count, self.row)

    def mapped(self) -> int:
        """How many descriptors mappings hold."""
        return 0

    @abstractmethod
    def unmap(self) -> None:
        """Unmap what no `Matrix` uses, until it is read again."""

    @abstractmethod
    def readable(self) -> int:
        """How many rows there is room for."""

    @abstractmethod
    def is_blank(self, slot: int, count: int) -> bool:
        """Whether rows from ``slot`` on are not there, or zeros; a file is made long enough."""

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
    def _segment(self, number: int, wanted: int) -> NDArray[Any]:
        """Segment ``number``, with ``wanted`` rows or more."""


class MemoryValueStore(ValueStore):
    """Rows in memory. A segment that is too small is copied to a larger one, and stays as it is."""

    @property
    def place(self) -> str:
        """Where the rows are, for messages."""
        return "memory"

    def readable(self) -> int:
        """How many rows there is room for."""
        return sum(map(len, self._segments))

    def is_blank(self, slot: int, count: int) -> bool:
        """Whether rows from ``slot`` on are not there, or zeros; a file is made long enough."""
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


class FileValueStore(ValueStore):
    """Rows in a file that only grows, in ``directory`` if that is open, or by its path."""

    def __init__(
        self,
        path: Path,
        dimensions: int,
        directory: Directory | None = None,
        rows: RowType = VALUES,
    ) -> None:
        super().__init__(dimensions, rows)
        self.path = path
        self.identity = zlib.crc32(path.name.encode())
        self._is_derived = rows.is_derived
        self.reads_at_random = False
        """Whether few rows are read here and there, unless a `Matrix` says otherwise."""
        self._directory = directory or Directory(str(path.parent))
        self._syncs = False
        self._begun: Future[None] | None = None
        """A sync of what was written before it began."""

    def mapped(self) -> int:
        """How many descriptors mappings hold."""
        return 0 if _NO_DESCRIPTOR else len(self._segments)

    @property
    def place(self) -> str:
        """Where the rows are, for messages."""
        return str(self.path)

    def unmap(self) -> None:
        """Unmap what no `Matrix` uses, until it is read again."""
        self._segments = []

    def readable(self) -> int:
        """How many rows there is room for."""
        try:
            return self.path.stat().st_size // self.row_bytes
        except FileNotFoundError:
            return 0  # perhaps only since another process has compacted or deleted the index

    def read(self, slots: Iterable[int]) -> list[bytes]:
        """The rows in ``slots``, each less than whole where the file ends. `FileNotFoundError`."""
        with open(self._directory.open(self.path.name, os.O_RDONLY), "rb", buffering=0) as file:
            return [_at(file, slot * self.row_bytes, self.row_bytes) for slot in slots]

    def write(self, slot: int, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Write rows from ``slot`` on, where no others are committed; synced if ``durable``.

        If they are many, that begins at once, while the caller goes on.
        """
        self._syncs |= durable
        descriptor = self._directory.open(self.path.name, os.O_RDWR | os.O_CREAT)
        try:
            start = slot * self.row_bytes
            if self._is_derived:
                # Rows of a write that was not committed. After a loss of power they could be
                # back, and pass for those of this one, unless these are synced.
                self._syncs |= not self._are_zeros(descriptor, start, len(data))
            else:
                self._make_room(descriptor, start + len(data))
            os.lseek(descriptor, start, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        if durable and self._begun is None and len(data) > _SYNCED_AT_ONCE:
            self._begun = workers.begin(self._sync_now)
            self._syncs = self._begun is None
        if slot == 0 and not self._is_derived:
            # Also if it is not new: whoever made it may have been killed before this.
            self._directory.sync()

    def is_blank(self, slot: int, count: int) -> bool:
        """Whether rows from ``slot`` on are not there, or zeros; a file is made long enough."""
        try:
            descriptor = self._directory.open(self.path.name, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            return self._are_zeros(descriptor, slot * self.row_bytes, count * self.row_bytes)
        finally:
            os.close(descriptor)

    def restore(self, slot: int, data: bytes) -> None:
        """Write rows that are committed again, while others may be writing new ones."""
        descriptor = self._directory.open(self.path.name, os.O_RDWR | os.O_CREAT)
        with open(descriptor, "r+b", buffering=0) as file:
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
        if not needed and self._begun is not None:
            wait([self._begun])
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
        descriptor = self._directory.open(self.path.name, os.O_RDWR)
        try:
            _sync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Delete the file. On Windows, if it is mapped, `ValueStores.sweep` does so later."""
        try:
            self._directory.remove(self.path.name)
        except PermissionError:
            if sys.platform != "win32":
                raise

    def _are_zeros(self, descriptor: int, start: int, size: int) -> bool:
        self._make_room(descriptor, start + size)
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size) == bytes(size)

    def _make_room(self, descriptor: int, end: int) -> None:
        if os.fstat(descriptor).st_size < end:
            least = end + max(end // 8, _LEAST_GROWTH * self.row_bytes)
            whole = -(-least // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
            os.ftruncate(descriptor, whole)

    def _segment(self, number: int, wanted: int) -> NDArray[Any]:
        offset = number * self.height * self.row_bytes
        try:
            with open(self._directory.open(self.path.name, os.O_RDONLY), "rb") as file:
                size = os.fstat(file.fileno()).st_size
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
            raise FileMissingError(
                f"{self.path} is missing: the values of {wanted} vectors or more. Restore it, "
                "or see what can be saved: vectorize-stores check --path DIR"
            ) from None
        if self._is_derived:
            page_advice.as_a_whole(mapped)
        elif self.reads_at_random:
            page_advice.at_random(mapped)
        return np.frombuffer(mapped, self.row)


class ValueStores:
    """The value stores of a directory, or of memory, by index and generation."""

    token: str
    """The name of their database, set when that is opened: files bear it, so that no other
    database uses them."""

    def __init__(
        self, directory: Path | None, opened: Callable[[], Directory | None] = lambda: None
    ) -> None:
        self._directory = directory
        self._opened = opened
        self._stores: dict[tuple[int, int, RowType], ValueStore] = {}
        self._read: dict[tuple[int, int], None] = {}
        self._new: list[tuple[int, int, int]] = []

    def store(
        self, index_id: int, generation: int, dimensions: int, rows: RowType = VALUES
    ) -> ValueStore:
        """The rows of one generation of an index; this opens no file."""
        store = self._stores.get((index_id, generation, rows))
        if store is None:
            made: ValueStore
            if self._directory is None:
                made = MemoryValueStore(dimensions, rows)
            else:
                # All codes are read, and then of the values few.
                made = self.file(index_id, generation, dimensions, rows)
                made.reads_at_random = not rows.is_derived
            store = self._stores.setdefault((index_id, generation, rows), made)
        return store

    @property
    def in_memory(self) -> bool:
        """Whether nothing of it is to outlive the process."""
        return self._directory is None

    def mapped(self) -> int:
        """How many descriptors mappings hold."""
        return sum(store.mapped() for store in list(self._stores.values()))

    def was_read(self, index_id: int, generation: int) -> list[int]:
        """Note that a generation was read; the indexes that were unmapped because of too many.

        Those were read longest ago. Only within read transactions, which exclude each other.
        """
        self._read.pop((index_id, generation), None)
        self._read[index_id, generation] = None
        unmapped: list[int] = []
        most = open_files.share(_PART_MAPPED, _MOST_MAPPED)
        if len(self._read) > 1 and self.mapped() > most:
            for key in list(self._read)[:-1]:
                if self.mapped() > most // 2:
                    del self._read[key]
                    for store in [s for k, s in list(self._stores.items()) if k[:2] == key]:
                        store.unmap()
                    unmapped.append(key[0])
        return unmapped

    def unshared(
        self, index_id: int, generation: int, dimensions: int, rows: RowType = VALUES
    ) -> ValueStore:
        """The same rows in a store that readers do not share: their mappings are left alone."""
        if self._directory is None:
            return self.store(index_id, generation, dimensions, rows)
        return self.file(index_id, generation, dimensions, rows)

    def new(self, index_id: int, generation: int, dimensions: int) -> ValueStore:
        """`store` for a generation that the running transaction makes."""
        self._new.append((index_id, generation, dimensions))
        return self.store(index_id, generation, dimensions)

    def keep(self) -> None:
        """The running transaction is committed, and with it its new generations."""
        self._new.clear()

    def undo(self) -> None:
        """Delete the generations that the running transaction made; it is to be rolled back.

        What it has written elsewhere is not synced: another process may delete that file.
        """
        for store in list(self._stores.values()):
            store.will_sync(needed=False)
        while self._new:
            self.remove(*self._new.pop())

    def sync(self) -> None:
        """Return when all that was written would survive a loss of power."""
        for store in list(self._stores.values()):
            store.sync()

    def release(self, index_id: int, before: float = math.inf) -> None:
        """Forget an index's generations ``before`` that one; their files remain."""
        for key in list(self._stores):
            if key[0] == index_id and key[1] < before:
                self._stores.pop(key, None)

    def remove(self, index_id: int, generation: int, dimensions: int) -> None:
        """Delete a generation that no later transaction reads, if that can be done now.

        It is no error if not: what this follows is done, and `sweep` tries again.
        """
        try:
            for rows in (VALUES, CODES):
                store = self.unshared(index_id, generation, dimensions, rows)
                self._stores.pop((index_id, generation, rows), None)
                store.remove()
        except OSError as error:
            _log.warning("a file that is not used any more cannot be deleted: %s", error)

    def adopt(self, index_id: int, generation: int) -> None:
        """Give a file of format 2 its name of today. Safe to call again."""
        assert self._directory is not None
        old = self._directory / f"vectors-{index_id}-{generation}.f32"
        new = self._path(index_id, generation, VALUES)
        if old.exists() and not new.exists():
            old.rename(new)
        old.with_suffix(".codes").unlink(missing_ok=True)
        Directory(str(self._directory)).sync()

    def sweep(self, current: set[tuple[int, int]]) -> list[str]:
        """Delete this database's files of all but the ``current`` pairs (index, generation).

        Returns their names. Only within a write transaction, because another process may be
        writing a new generation.
        """
        unused = self._unused(current)
        for path in unused:
            FileValueStore(path, 1, self._opened()).remove()
        return [path.name for path in unused]

    def unknown(self) -> list[str]:
        """The names of files that are not of this database."""
        if self._directory is None:
            return []
        names = sorted(path.name for path in self._directory.glob("vectors-*.*"))
        return [name for name in names if not name.startswith(f"vectors-{self.token}-")]

    def set_aside(self, current: set[tuple[int, int]]) -> list[str]:
        """`sweep`, for files that may hold what is lost: they get other names, and stay."""
        unused = self._unused(current)
        values = [path for path in unused if path.suffix == VALUES.suffix]
        for path in values:
            path.rename(path.with_name(f"set-aside-{path.name}"))
        for path in set(unused) - set(values):
            # Codes can be made again of these.
            FileValueStore(path, 1, self._opened()).remove()
        return [path.name for path in values]

    def _unused(self, current: set[tuple[int, int]]) -> list[Path]:
        if self._directory is None:
            return []
        wanted = {self._path(*pair, VALUES).stem for pair in current}
        own = self._directory.glob(f"vectors-{self.token}-*.*")
        return sorted(path for path in own if path.stem not in wanted)

    def file(
        self, index_id: int, generation: int, dimensions: int, rows: RowType = VALUES
    ) -> FileValueStore:
        """`unshared` in a directory."""
        path = self._path(index_id, generation, rows)
        return FileValueStore(path, dimensions, self._opened(), rows)

    def _path(self, index_id: int, generation: int, rows: RowType) -> Path:
        assert self._directory is not None
        return self._directory / f"vectors-{self.token}-{index_id}-{generation}{rows.suffix}"


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
