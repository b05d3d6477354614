"""`ValueStores`: the value stores of a directory, or of memory, and the names of their files."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vectorize_core.local import open_files
from vectorize_core.local.cut_rows import CutStore
from vectorize_core.local.row_types import CODES, VALUES, RowType
from vectorize_core.local.value_store import (
    HOLDS_DESCRIPTORS,
    FileValueStore,
    MemoryValueStore,
    Shared,
    ValueStore,
)
from vectorize_core.sqlite.identity import Directory

_PART_MAPPED: Final = 0.25
"""Of the files that the process may have open."""
_MOST_MAPPED: Final = 4_096
_MOST_WITHOUT: Final = 16_384
"""Mappings that hold no descriptor: a quarter of those that Linux lets a process have."""

_log = logging.getLogger(__name__)


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
        self._shared = Shared()
        self.kept = self._shared.kept
        self._stores: dict[int, dict[tuple[int, RowType], ValueStore]] = {}
        self._read: dict[tuple[int, int], None] = {}
        self._new: list[tuple[int, int, int]] = []

    def store(
        self, index_id: int, generation: int, dimensions: int, rows: RowType = VALUES
    ) -> ValueStore:
        """The rows of one generation of an index; this opens no file."""
        store = self._stores.get(index_id, {}).get((generation, rows))
        if store is None:
            made = self._made(index_id, generation, dimensions, rows, self._shared)
            store = self._stores.setdefault(index_id, {}).setdefault((generation, rows), made)
        return store

    @property
    def in_memory(self) -> bool:
        """Whether nothing of it is to outlive the process."""
        return self._directory is None

    def mapped(self) -> int:
        """How many descriptors mappings hold."""
        return len(self._shared.mapped) if HOLDS_DESCRIPTORS else 0

    def was_read(self, index_id: int, generation: int) -> set[int]:
        """Note that a generation was read; the indexes that were unmapped because of too many.

        Those were read longest ago. Only within read transactions, which exclude each other.
        """
        self._read.pop((index_id, generation), None)
        if (generation, VALUES) in self._stores.get(index_id, {}):
            self._read[index_id, generation] = None
        unmapped = set[int]()
        most = _MOST_WITHOUT
        if HOLDS_DESCRIPTORS:
            most = open_files.share(_PART_MAPPED, _MOST_MAPPED)
        mapped = self._shared.mapped
        if len(self._read) > 1 and len(mapped) > most:
            for key in list(self._read)[:-1]:
                if len(mapped) > most // 2:
                    self._read.pop(key, None)
                    for (of, _), store in list(self._stores.get(key[0], {}).items()):
                        if of == key[1]:
                            store.unmap()
                    unmapped.add(key[0])
        return unmapped

    def unshared(
        self, index_id: int, generation: int, dimensions: int, rows: RowType = VALUES
    ) -> ValueStore:
        """The same rows in a store that readers do not share: their mappings are left alone."""
        if self._directory is None:
            return self.store(index_id, generation, dimensions, rows)
        return self._made(index_id, generation, dimensions, rows)

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
        for store in list(self._shared.written):
            store.will_sync(needed=False)
        self._shared.written.clear()
        while self._new:
            self.remove(*self._new.pop())

    def sync(self) -> None:
        """Return when all that was written would survive a loss of power."""
        for store in list(self._shared.written):
            store.sync()
        self._shared.written.clear()

    def release(self, index_id: int, before: float = math.inf) -> None:
        """Forget an index's generations ``before`` that one; their files remain."""
        for generation, rows in list(self._stores.get(index_id, {})):
            if generation < before:
                store = self._forgotten(index_id, generation, rows)
                if store is not None:
                    store.close()

    def remove(self, index_id: int, generation: int, dimensions: int) -> None:
        """Delete a generation that no later transaction reads, if that can be done now.

        It is no error if not: what this follows is done, and `sweep` tries again.
        """
        try:
            for rows in (VALUES, CODES):
                store = self._forgotten(index_id, generation, rows)
                (store or self._made(index_id, generation, dimensions, rows)).remove()
        except OSError as error:
            _log.warning("a file that is not used any more cannot be deleted: %s", error)

    def _forgotten(self, index_id: int, generation: int, rows: RowType) -> ValueStore | None:
        self._read.pop((index_id, generation), None)
        own = self._stores.get(index_id, {})
        store = own.pop((generation, rows), None)
        if not own:
            self._stores.pop(index_id, None)
        if store is not None:
            store.unmap()
        return store

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

    def file(self, index_id: int, generation: int, dimensions: int) -> FileValueStore:
        """The file of the values, in a store that readers do not share."""
        return self._file(index_id, generation, dimensions)

    def _made(
        self,
        index_id: int,
        generation: int,
        dimensions: int,
        rows: RowType,
        shared: Shared | None = None,
    ) -> ValueStore:
        parts = rows.parts(dimensions)
        if parts is not None:
            first, rest = (self._made(index_id, generation, dimensions, p, shared) for p in parts)
            whole = None if self.in_memory else self._file(index_id, generation, dimensions, rows)
            return CutStore(dimensions, rows, first, rest, whole)
        if self._directory is None:
            return MemoryValueStore(dimensions, rows)
        made = self._file(index_id, generation, dimensions, rows, shared)
        # All codes are read, and then of the values few.
        made.reads_at_random = shared is not None and not rows.is_derived
        return made

    def _file(
        self,
        index_id: int,
        generation: int,
        dimensions: int,
        rows: RowType = VALUES,
        shared: Shared | None = None,
    ) -> FileValueStore:
        path = self._path(index_id, generation, rows)
        return FileValueStore(path, dimensions, self._opened(), rows, shared)

    def _path(self, index_id: int, generation: int, rows: RowType) -> Path:
        assert self._directory is not None
        return self._directory / f"vectors-{self.token}-{index_id}-{generation}{rows.suffix}"
