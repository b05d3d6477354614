"""The codes of an index, compared with their checksums when they are first read by a process.

Codes that are missing or damaged are made again from the values: those of a write before a loss of
power, since codes are not synced; all, if an index was written where simsimd is not installed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from vectorize_core.errors import StorageError
from vectorize_core.local import codes, workers
from vectorize_core.local.code_numbers import CodeNumbers, Floats
from vectorize_core.local.codes import CodeRows
from vectorize_core.local.int8_products import Products, products
from vectorize_core.local.norms import Norms
from vectorize_core.local.ranking import GROUP
from vectorize_core.local.value_store import Matrix, Slots, ValueStore
from vectorize_core.models import Metric

_ROWS_AT_ONCE: Final = 8_192
_PROGRESS: Final = 5.0
"""Seconds between two lines of progress."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Coded:
    """The codes of the first rows of an index; it never changes."""

    matrix: Matrix
    numbers: CodeNumbers
    group_losses: Floats
    """The greatest of each `GROUP` of rows; there may be rows of later snapshots in the last."""
    group_lengths: Floats
    products: Products


class IndexCodes:
    """The codes of one generation of an index, for all its snapshots."""

    def __init__(self, metric: Metric, store: ValueStore) -> None:
        self._metric = metric
        self._store = store
        self._done = 0
        self._numbers = CodeNumbers.empty(0, metric)
        self._group_losses = self._group_lengths = np.empty(0, np.float32)
        self._matrix = store.matrix(0)
        self._is_useless = False
        self._lock = threading.Lock()

    def of(self, values: Matrix, norms: Norms) -> Coded | None:
        """The codes of these values; None if there are none and none can be made.

        ``norms`` learn the lengths of new rows, so that they need not read the values for that.
        """
        multiplied = products()
        if multiplied is None or self._is_useless:
            return None
        if self._done < values.count:
            with self._lock:
                try:
                    self._extend(values, norms, multiplied)
                except (OSError, StorageError) as error:
                    # Such as a directory that is read-only, or a full disk.
                    self._is_useless = True
                    _log.info("codes cannot be kept, so searches read all values: %s", error)
                    return None
        groups = -(-values.count // GROUP)
        return Coded(
            self._matrix.upto(values.count),
            self._numbers.upto(values.count),
            self._group_losses[:groups],
            self._group_lengths[:groups],
            multiplied,
        )

    def _extend(self, values: Matrix, norms: Norms, multiplied: Products) -> None:
        start, count = self._done, values.count
        if count <= start:
            return
        self._complete(values, start, multiplied)
        numbers = self._numbers
        if len(numbers.factors) < count:
            # A copy, because other searches may be reading the old one.
            room = -(-max(count, count + count // 8) // GROUP) * GROUP
            numbers = self._numbers.copied(start, room, self._metric)
        matrix = self._store.matrix(count)
        blocks = list(matrix.blocks(_ROWS_AT_ONCE, start))
        wrong: list[Slots] = [np.empty(0, np.int64)] * len(blocks)
        lengths = np.empty(count - start, np.float32)

        def fill(first: int, rows: CodeRows) -> None:
            lengths[first - start : first - start + len(rows)] = rows["length"]
            numbers.fill(self._metric, first, rows)

        def work(number: int) -> None:
            first, rows = blocks[number]
            wrong[number] = first + np.flatnonzero(~codes.intact(rows, first, multiplied))
            fill(first, rows)

        read = (count - start) * matrix.row.itemsize
        workers.share(len(blocks), work, worthwhile=read > workers.WORTHWHILE)
        lost = np.concatenate(wrong)
        if len(lost):
            _log.warning("%d of %d codes were lost and are made again", len(lost), count - start)
        for run in _runs(lost):
            rows = codes.encoded(values.take(run), int(run[0]), multiplied)
            self._store.restore(int(run[0]), rows.tobytes())
            fill(int(run[0]), rows)
        norms.learn(start, lengths)
        begin = start // GROUP
        groups = np.arange(0, count - begin * GROUP, GROUP)
        losses, longest = (
            np.append(old[:begin], np.fmax.reduceat(new[begin * GROUP : count], groups))
            for old, new in (
                (self._group_losses, numbers.losses),
                (self._group_lengths, numbers.lengths),
            )
        )
        self._group_losses, self._group_lengths = losses, longest
        self._numbers, self._matrix, self._done = numbers, matrix, count

    def _complete(self, values: Matrix, start: int, multiplied: Products) -> None:
        """Make the codes that the store does not reach to."""
        begin = max(start, min(values.count, self._store.readable()))
        logged = time.monotonic()
        for first, rows in values.blocks(_ROWS_AT_ONCE, begin):
            self._store.restore(first, codes.encoded(rows, first, multiplied).tobytes())
            if time.monotonic() > logged + _PROGRESS:
                logged = time.monotonic()
                _log.info("codes for faster searches: %d of %d", first + len(rows), values.count)


def _runs(slots: Slots) -> Iterator[Slots]:
    """Consecutive slots together, but not too many."""
    for run in np.split(slots, np.flatnonzero(np.diff(slots) != 1) + 1):
        for start in range(0, len(run), _ROWS_AT_ONCE):
            yield run[start : start + _ROWS_AT_ONCE]
