"""The scrub: all vectors of the indexes that a service reads are compared with their checksums.

An answer can be wrong because of a vector that is not in it: the nearest one, if it is damaged. So
a thread compares all of them, a slice at a time, with a small share of one processor
(docs/storage.md says how long that takes). What it finds is logged, and raised by later reads
until it is repaired. What a read finds itself is raised only.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from sqlite3 import DatabaseError
from typing import Final

import numpy as np

from vectorize_core.local import catalog, codes, comparing, vectors
from vectorize_core.local.catalog import Index
from vectorize_core.local.matrix import Matrix, Slots
from vectorize_core.local.row_types import CODES, FLOAT_BYTES
from vectorize_core.local.snapshots import Snapshots
from vectorize_core.local.storage import Database, FileMissingError, StorageError, is_damage
from vectorize_core.local.value_store import ValueStore
from vectorize_core.sqlite.connecting import Connection

SHARE: Final = 0.03
"""Of one processor, for a service."""
PAUSE: Final = 600.0
"""Seconds between the end of a pass and the next one."""
AT_FIRST: Final = 1_000
"""An index of up to so many vectors is compared as a whole when it is first read."""
_DELAY: Final = 0.5
"""Seconds before the first slice: a process that ends soon does without."""
_PATIENCE: Final = 10.0
"""Seconds that closing waits for a slice."""
_NAMED: Final = 3
"""Damaged vectors that an error names."""
_SLICE_ROWS: Final = 80
"""A slice is compared within a read transaction, for which queries wait."""
_SLICE_BYTES: Final = 1 << 20

_AGAIN: Final = 10.0
"""Seconds after which a thread is tried again that could not be started."""
_Signal = SimpleQueue[None]
"""An event of Python's could be left locked by Ctrl-C in its middle."""

_log = logging.getLogger(__name__)
_running: weakref.WeakSet[Scrub] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class _Damage:
    """A slice of an index in which something is damaged, and what."""

    generation: int
    start: int
    problem: str
    only_values: bool


class Scrub:
    """The scrub of one service. One in memory does nothing."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self._watched: dict[int, str] = {}
        self._damage: dict[int, _Damage] = {}
        self._pid = 0
        self._stop, self._wake = _Signal(), _Signal()
        self._thread: threading.Thread | None = None
        self._refused_until = 0.0
        self._logged: set[tuple[int, int]] = set()
        self._logged_codes: set[tuple[int, int]] = set()

    def watch(self, tx: Connection, index: Index, *, values: bool = True) -> None:
        """Compare this index from now on; `StorageError` if it is known to be damaged.

        A read that needs no ``values`` is not refused if only these are damaged.
        """
        if self._database.directory is None:
            return
        if self._pid != os.getpid() and time.monotonic() >= self._refused_until:
            self._start()
        with suppress(FileMissingError):
            # Compacted away meanwhile; if it is missing, each read says so.
            self._look(tx, index, values=values)

    def _look(self, tx: Connection, index: Index, *, values: bool) -> None:
        """What is noted stays so until it has been looked at: Ctrl-C may come before."""
        if index.id not in self._watched:
            start: int | None = 0 if index.slots <= AT_FIRST else None
            while start is not None:
                start = self._examine(tx, index, start, AT_FIRST)
            self._watched[index.id] = index.name
            self._wake.put(None)
        known = self._damage.get(index.id)
        if known is None:
            return
        if known.generation == index.generation:
            self._examine(tx, index, known.start, max(AT_FIRST, _SLICE_ROWS))
        found = self._damage[index.id]
        if found is known:
            # It has been repaired.
            del self._damage[index.id]
        elif values or not found.only_values:
            raise StorageError(found.problem)
        else:
            self._log(index, found)

    def close(self, *, waits: bool = True) -> None:
        """End the thread, and wait until it has ended. A later read starts another one."""
        self._stop.put(None)
        self._wake.put(None)
        self._refused_until = 0.0
        thread, self._thread = self._thread, None
        mine = self._pid == os.getpid() and thread is not threading.current_thread()
        self._pid = 0
        if thread is not None and mine and waits:
            thread.join(timeout=_PATIENCE)

    def run(self) -> None:
        """Compare all indexes that are watched, without a pause."""
        place = self.step(None)
        while place is not None:
            place = self.step(place)

    def step(self, place: tuple[int, int] | None) -> tuple[int, int] | None:
        """Compare some vectors: those from a slot of an index on, or the first ones.

        Returns the place of the next ones; None at the end of a pass.
        """
        ids = list(self._watched)
        if place is None:
            return (ids[0], 0) if ids else None
        following = self._slice(*place)
        if following is not None:
            return place[0], following
        rest = ids[ids.index(place[0]) + 1 :] if place[0] in ids else []
        return (rest[0], 0) if rest else None

    def _slice(self, index_id: int, start: int) -> int | None:
        with self._database.reading() as tx:
            # Not all of them: this is done for each slice of each index.
            found = catalog.unverified(tx, "WHERE id = ?", index_id)
            if not found:
                # If another process has deleted it, nobody else frees what is known of it.
                self._snapshots.forget(self._watched.pop(index_id), index_id)
                self._damage.pop(index_id, None)
                return None
            index, _ = found[0]
            row = index.dimensions * FLOAT_BYTES
            count = max(1, min(_SLICE_ROWS, _SLICE_BYTES // row))
            try:
                following = self._examine(tx, index, start, count)
            except FileMissingError:
                # As in `watch`.
                return None
            if index.id in self._damage:
                self._log(index, self._damage[index.id])
            return following

    def _examine(self, tx: Connection, index: Index, start: int, count: int) -> int | None:
        """Compare vectors from a slot on, and note what is damaged; the slot behind them.

        None behind the last one, and after damage. `FileMissingError`.
        """
        store = self._database.value_stores.store(index.id, index.generation, index.dimensions)
        try:
            if store.readable() < index.slots:
                # What is mapped must not be touched; this says whether it is missing or cut off.
                store = self._database.value_stores.unshared(
                    index.id, index.generation, index.dimensions
                )
            matrix = store.matrix(index.slots)
        except FileMissingError:
            raise
        except StorageError as error:
            self._damage[index.id] = _Damage(index.generation, start, str(error), only_values=True)
            return None
        try:
            part = comparing.compare(tx, index, matrix, start, count)
            problem = _problem(tx, index, part)
        except DatabaseError as error:
            if not is_damage(error):
                raise
            part, problem = comparing.NOTHING, f"SQLite cannot read its records ({error})"
        if problem is not None:
            only_values = bool(part.damaged) and all(row.intact for row, _ in part.damaged)
            text = (
                f"the index {index.name!r} is damaged on disk, so answers could be wrong: "
                f"{problem}. Restore the directory or write the vector again; all damage is "
                "listed, and with --repair what can be is repaired, by: "
                "vectorize-stores check --path DIR"
            )
            self._damage[index.id] = _Damage(index.generation, start, text, only_values)
        else:
            self._examine_codes(index, matrix, part)
        following = part.rows[-1].slot + 1 if part.rows else 0
        # A damaged tree of SQLite can lead back.
        return following if problem is None and following > start else None

    def _examine_codes(self, index: Index, matrix: Matrix, part: comparing.Slice) -> None:
        """Make codes again that searches use, and that are gone, damaged or of other values."""
        in_use = self._snapshots.codes_of(index)
        if in_use is None:
            return
        are_gone = in_use.are_gone()
        # Of a file that is cut off, what is mapped must not be touched.
        wrong = np.empty(0, np.int64) if are_gone else in_use.wrong(*part.sound())
        stores, place = self._database.value_stores, (index.id, index.generation, index.dimensions)
        # Values that are not there were compacted away meanwhile, with their codes.
        if (are_gone or len(wrong)) and stores.unshared(*place).readable() < index.slots:
            return
        if are_gone:
            _log.info(
                "files of codes of the index %r are missing or cut off. The next search that needs "
                "them makes them again, or reads the values where that cannot be written",
                index.name,
            )
            self._snapshots.renew_codes(index)
        elif len(wrong):
            self._mend_codes(index, stores.unshared(*place, CODES), wrong, matrix)
        elif not part.rows and in_use.are_doubtful:
            # All were compared, and those that were wrong are made again.
            self._snapshots.renew_codes(index)

    def _mend_codes(self, index: Index, store: ValueStore, wrong: Slots, values: Matrix) -> None:
        # First of all, for Ctrl-C may come when some have been made again.
        self._snapshots.doubt_codes(index, for_good=self._database.is_read_only)
        if (index.id, index.generation) not in self._logged_codes:
            _log.warning(
                "codes of the index %r are damaged, such as of slot %d, so searches may have "
                "overlooked vectors. They read the values until all wrong codes are made again, or "
                "for good where that cannot be written",
                index.name,
                wrong[0],
            )
            self._logged_codes.add((index.id, index.generation))
        if self._database.is_read_only:
            return
        try:
            codes.make_again(store, wrong, values)
        except OSError as error:
            _log.debug("codes cannot be written: %s", error)
            self._snapshots.doubt_codes(index, for_good=True)

    def _log(self, index: Index, damage: _Damage) -> None:
        if (index.id, index.generation) not in self._logged:
            _log.error("%s", damage.problem)
            self._logged.add((index.id, index.generation))

    def _start(self) -> None:
        # One that Ctrl-C has left behind while it was started.
        self._stop.put(None)
        self._wake.put(None)
        # Anew after a fork: the parent's thread may have held the locks of these.
        self._stop, self._wake = _Signal(), _Signal()
        wake = self._wake
        mine = weakref.ref(self, lambda _: wake.put(None))
        thread = threading.Thread(
            target=_run, args=(mine, self._stop, wake), name="vectorize-scrub", daemon=True
        )
        _running.add(self)
        handled = sys.exception()
        try:
            thread.start()
        except RuntimeError as error:
            _check_interruption(error, handled)
            # At a limit of the system, or while the interpreter shuts down: reads go on without.
            _log.warning(
                "vectors are not compared with their checksums, except those that are read: no "
                "thread can be started for it (%s). It is tried again by a read in %g s",
                error,
                _AGAIN,
            )
            self._refused_until = time.monotonic() + _AGAIN
        else:
            self._thread, self._pid = thread, os.getpid()


def _check_interruption(error: RuntimeError, handled: BaseException | None) -> None:
    """Raise the Ctrl-C of which an error has come, where a thread was to begin.

    Python then releases a lock that it has not taken again, whose error hides the Ctrl-C. One that
    was ``handled`` before is another one.
    """
    context = error.__context__
    if isinstance(context, KeyboardInterrupt) and context is not handled:
        raise context.with_traceback(None)


def _run(mine: Callable[[], Scrub | None], stop: _Signal, wake: _Signal) -> None:
    """Go over the indexes of a scrub again and again, as long as it is in use."""
    place: tuple[int, int] | None = None
    stopped = _came(stop, _DELAY)
    while not stopped and (scrub := mine()) is not None:
        while not wake.empty():
            wake.get()
        begun = time.perf_counter()
        try:
            place = scrub.step(place)
        except StorageError as error:
            _log.debug("the scrub pauses: %s", error)
            place = None
        spent = time.perf_counter() - begun
        del scrub
        if place is None and stop.empty():
            # Whoever stops it wakes it after that.
            _came(wake, PAUSE)
        stopped = _came(stop, 0.0 if place is None else spent / SHARE)


def _came(signal: _Signal, seconds: float) -> bool:
    """Whether it does, within so many seconds."""
    try:
        signal.get(timeout=seconds)
    except Empty:
        return False
    return True


def _problem(tx: Connection, index: Index, part: comparing.Slice) -> str | None:
    """What is wrong with some vectors of an index, or with their number if none are left."""
    if part.damaged:
        ids = ", ".join(repr(row.id) for row, _ in part.damaged[:_NAMED])
        return f"vectors do not have their checksums, such as {ids}"
    if not part.rows:
        return vectors.miscount(tx, index)
    missing = vectors.unfindable(tx, index, part.rows)
    return None if missing is None else f"the vector {missing!r} is not found by its id"


@atexit.register
def _stop_all() -> None:
    """Before the interpreter ends: a thread that it froze could hold a lock of SQLite."""
    for scrub in list(_running):
        scrub.close()
