"""The codes of an index, compared with their checksums when they are first read by a process.

Codes that are missing or damaged are made again from the values: those of a write before a loss of
power, since codes are not synced; all, if an index was written where simsimd is not installed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.local import codes, workers
from vectorize_core.local.attempts import Attempts
from vectorize_core.local.code_numbers import CodeNumbers, Floats
from vectorize_core.local.code_products import Products, products
from vectorize_core.local.codes import CodeRows
from vectorize_core.local.matrix import Matrix, Rows, Slots
from vectorize_core.local.norms import Norms
from vectorize_core.local.ranking import GROUP
from vectorize_core.local.value_store import FileMissingError, ValueStore
from vectorize_core.models import Metric

_ROWS_AT_ONCE: Final = 8_192
_PROGRESS: Final = 5.0
"""Seconds between two lines of progress."""
_LEFT_OUT: Final = 512
"""So many vectors without codes are scored by each search where none can be written: as many as
small writes leave."""
_RETRY: Final = 600.0
"""Seconds after which codes that could not be written are tried again."""

Fill = Callable[[int, CodeRows], None]
"""Takes rows from a slot on into the numbers."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Coded:
    """The codes of the first rows of an index; it never changes."""

    matrix: Matrix
    numbers: CodeNumbers
    group_losses: Floats
    """The greatest of each `GROUP` of rows; there may be rows of later snapshots in the last."""
    group_lengths: Floats
    group_rests: Floats
    products: Products
    attempts: Attempts
    """At searches by the first parts of rows that are cut."""

    def upto(self, count: int) -> Coded:
        """Those of the first ``count`` rows."""
        if count == self.matrix.count:
            return self
        groups = -(-count // GROUP)
        return Coded(
            self.matrix.upto(count),
            self.numbers.upto(count),
            self.group_losses[:groups],
            self.group_lengths[:groups],
            self.group_rests[:groups],
            self.products,
            self.attempts,
        )


class IndexCodes:
    """The codes of one generation of an index, for all its snapshots.

    Threads may share it: what is known is one object, which is replaced. Without ``writes`` codes
    are read where they are, and never made.
    """

    def __init__(self, metric: Metric, store: ValueStore, *, writes: bool = True) -> None:
        self.told_few = False
        """Whether the last pass over all left few rows; if so, the next one likely will."""
        self.are_doubtful = False
        """Whether some are known to be wrong, so that searches read the values."""
        self._metric = metric
        self._store = store
        self._writes = writes
        self._coded: Coded | None = None
        self._is_cut = "rest" in (store.row.names or ())
        self._numbers = CodeNumbers.empty(0, metric, is_cut=self._is_cut)
        self._group_losses = self._group_lengths = self._group_rests = np.empty(0, np.float32)
        self._attempts = Attempts()
        self._useless_until = 0.0
        self._told = ""
        self._lock = threading.RLock()

    def of(self, values: Matrix, norms: Norms) -> Coded | None:
        """The codes of these values; None if there are none and none can be made.

        ``norms`` learn the lengths of new rows, so that they need not read the values for that.
        """
        multiplied = products()
        if multiplied is None or self.are_doubtful:
            return None
        coded = self._coded
        if coded is None or coded.matrix.count < values.count or self._are_cut_off(coded):
            with self._lock:
                coded = self._extended(values, norms, multiplied)
        return None if coded is None else coded.upto(values.count)

    def are_gone(self) -> bool:
        """Whether a file does not hold all codes any more that searches use."""
        coded = self._coded
        return coded is not None and self._store.readable() < coded.matrix.count

    def wrong(self, slots: Slots, values: Rows) -> Slots:
        """Those of ``slots``, whose ``values`` are right, for which searches use wrong codes."""
        coded = self._coded
        if coded is None:
            return slots[:0]
        used = int(np.searchsorted(slots, coded.matrix.count))
        slots = slots[:used]
        rows = coded.matrix.take(slots)
        right = codes.intact(rows, slots, self._store.identity, coded.products)
        right &= codes.covers(rows, values[:used])
        right &= coded.numbers.are_of(self._metric, rows, slots, coded.products)
        # Where a factor is no number, the values are compared in any case.
        wrong: NDArray[np.bool_] = ~(right | np.isnan(coded.numbers.factors[slots]))
        return slots[wrong]

    def _are_cut_off(self, coded: Coded) -> bool:
        return self._store.is_cut_off(coded.matrix.count)

    def _extended(self, values: Matrix, norms: Norms, multiplied: Products) -> Coded | None:
        coded = self._coded
        if coded is not None and self._are_cut_off(coded):
            if self._writes:
                text = "codes were cut off by another program, and have to be made again: %s"
                _log.warning(text, self._store.place)
            coded = self._coded = None
            self._numbers = CodeNumbers.empty(0, self._metric, is_cut=self._is_cut)
            self._store.unmap()
        if coded is not None and coded.matrix.count >= values.count:
            return coded
        if time.monotonic() < self._useless_until:
            return None
        try:
            coded = self._read(values, norms, multiplied) or self._read(values, norms, multiplied)
            if coded is None:
                raise StorageError(f"{self._store.place} does not hold what was written to it")
            self._coded = coded
        except FileMissingError:
            # Compacted or deleted meanwhile, so this is the last search of it.
            self._useless_until = time.monotonic() + _RETRY
            return None
        except (OSError, StorageError) as error:
            if paths.is_alarm(error):
                raise
            # Such as a directory that is read-only, or a full disk.
            self._useless_until = time.monotonic() + _RETRY
            if str(error) != self._told:
                self._told = str(error)
                _log.info("codes cannot be kept, so searches read all values: %s", error)
            return None
        return coded

    def _read(self, values: Matrix, norms: Norms, multiplied: Products) -> Coded | None:
        """The codes; None if those that were made are not there, as after the file was replaced."""
        count, known = values.count, 0 if self._coded is None else self._coded.matrix.count
        # Nothing that is in use, or will be: a thread may fill it when Ctrl-C has ended this.
        fresh = CodeNumbers.empty(count - known, self._metric, is_cut=self._is_cut)
        lengths = np.empty(count - known, np.float32)

        def fill(first: int, rows: CodeRows) -> None:
            # Those of rows that were known may be in use, and stay.
            new = rows[max(0, known - first) :]
            first = max(0, first - known)
            lengths[first : first + len(new)] = new["length"]
            fresh.fill(self._metric, first, new, multiplied)

        compared = self._store.matrix(min(count, self._store.readable()))
        lost = self._compare(compared, multiplied, fill)
        slots = np.concatenate([lost, np.arange(compared.count, count)])
        self._make(slots, values, multiplied, fill)
        matrix = self._store.matrix(count)
        # What is mapped anew may be of another file, which has only what was made.
        anew = np.arange(matrix.mapped_since(compared), count)
        there = np.union1d(slots, anew) if self._writes else np.setdiff1d(anew, slots)
        if not self._are_there(matrix, there, multiplied):
            self._store.unmap()
            return None
        norms.learn(known, lengths)
        numbers = self._room(known, count)
        numbers.put(known, fresh)
        own = numbers.upto(count)
        self._group_losses = _greatest(self._group_losses, own.losses, known)
        self._group_lengths = _greatest(self._group_lengths, own.lengths, known)
        if self._is_cut:
            self._group_rests = _greatest(self._group_rests, own.rests, known)
        self._numbers = numbers
        groups = self._group_losses, self._group_lengths, self._group_rests
        return Coded(matrix, own, *groups, multiplied, self._attempts)

    def _room(self, known: int, count: int) -> CodeNumbers:
        """The numbers of the rows that are known, with room for ``count``."""
        if len(self._numbers.factors) >= count:
            return self._numbers
        # A copy, because other searches may be reading the old ones.
        room = -(-max(count, count + count // 8) // GROUP) * GROUP
        return self._numbers.copied(known, room, self._metric)

    def _compare(self, matrix: Matrix, multiplied: Products, fill: Fill) -> Slots:
        """Fill in the rows that were not known; those without their checksums are returned."""
        known = 0 if self._coded is None else matrix.mapped_since(self._coded.matrix)
        spans = list(matrix.spans(_ROWS_AT_ONCE, known))
        lost: list[Slots] = [np.empty(0, np.int64)] * (len(spans) + 1)
        damaged = [0] * len(spans)

        def work(number: int) -> None:
            rows, first = matrix.block(spans[number]), spans[number].start
            slots = np.arange(first, first + len(rows))
            are_wrong = ~codes.intact(rows, slots, self._store.identity, multiplied)
            if are_wrong.any():
                lost[number] = slots[are_wrong]
                damaged[number] = self._damaged(matrix, slots[are_wrong], multiplied)
            fill(first, rows)

        read = (matrix.count - known) * matrix.row.itemsize
        workers.share(len(spans), work, worthwhile=read > workers.WORTHWHILE)
        if any(damaged) and self._writes:
            text = "the codes of %d of %d vectors are damaged, and have to be made again: %s"
            _log.warning(text, sum(damaged), matrix.count, self._store.place)
        return np.concatenate(lost)

    def _damaged(self, matrix: Matrix, slots: Slots, multiplied: Products) -> int:
        """How many rows in these slots are neither right nor left out."""
        for _ in range(codes.LOOKS):
            # Copies, for another process may be making them: then what is mapped changes.
            rows = matrix.take(slots)
            right = codes.intact(rows, slots, self._store.identity, multiplied)
            slots = slots[~(right | codes.are_blank(rows))]
        return len(slots)

    def _make(self, slots: Slots, values: Matrix, multiplied: Products, fill: Fill) -> None:
        """Make codes that are missing, and say how far that is if it takes long."""
        if len(slots) and not self._writes:
            self._do_without(slots, values, multiplied, fill)
            return
        if len(slots) > _ROWS_AT_ONCE:
            values.read_ahead()
        done, logged = 0, time.monotonic()
        for first, rows in codes.made_again(self._store, slots, values, multiplied):
            fill(first, rows)
            done += len(rows)
            if time.monotonic() > logged + _PROGRESS:
                logged = time.monotonic()
                text = "codes for faster searches: %d of %d made in %s"
                _log.info(text, done, len(slots), self._store.place)

    def _do_without(self, slots: Slots, values: Matrix, multiplied: Products, fill: Fill) -> None:
        """Let few vectors without codes, such as those of small writes, be scored in any case."""
        few = len(slots) <= _LEFT_OUT and self._store.readable() >= values.count
        if not few or self._damaged(self._store.matrix(values.count), slots, multiplied):
            raise StorageError(
                f"the directory is read-only, and {len(slots)} vectors have none or damaged ones"
            )
        for first, rows in codes.made(self._store, slots, values, multiplied):
            rows["scale"] = rows["residual"] = np.nan
            fill(first, rows)

    def _are_there(self, matrix: Matrix, slots: Slots, multiplied: Products) -> bool:
        identity = self._store.identity
        parts = (slots[n : n + _ROWS_AT_ONCE] for n in range(0, len(slots), _ROWS_AT_ONCE))
        return all(codes.intact(matrix.take(p), p, identity, multiplied).all() for p in parts)


def _greatest(known: Floats, numbers: Floats, first: int) -> Floats:
    """The greatest number of each group, of which the ones before that of ``first`` are known."""
    begin = first // GROUP
    groups = np.arange(0, len(numbers) - begin * GROUP, GROUP)
    return np.append(known[:begin], np.fmax.reduceat(numbers[begin * GROUP :], groups))
