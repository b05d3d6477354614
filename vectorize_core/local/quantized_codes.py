"""The extra ``fast``: turbovec scans 4-bit codes for candidates, which are then scored exactly.

The codes are derived from the values, a tenth of their size, and made when a large index is first
searched. Their file only saves time: if it is missing, damaged or of other rows, they are made
again.
Scores stay exact; a near vector can be missed, but with the lists below none was among 300,000 real
embeddings (docs/storage.md).
"""

from __future__ import annotations

import importlib
import logging
import threading
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.norms import Norms
from vectorize_core.local.value_store import Matrix, Rows, Slots
from vectorize_core.models import Metric, Values

WORTHWHILE: Final = 20_000_000
"""Codes are used from so many numbers on: they are faster than the values then."""
_MIN_CANDIDATES: Final = 300
_CANDIDATES_PER_RESULT: Final = 10
CHECKSUM_SUFFIX: Final = ".sum"
"""Of the file beside the codes that holds their checksum."""
_FILE_BLOCK: Final = 1 << 20
_BITS: Final = 4
_MULTIPLE: Final = 8
"""The dimensions must be a multiple of this for turbovec."""
_SAMPLE: Final = 2_048
_ROWS_AT_ONCE: Final = 32_768
_UNSAVED: Final = 0.1
"""The fraction of codes that may be missing in the file before it is written again."""

_log = logging.getLogger(__name__)
_logged: set[str] = set()


class QuantizedCodes:
    """The codes of one generation of an index, for all its snapshots."""

    def __init__(self, metric: Metric, dimensions: int, path: Path | None) -> None:
        self._metric = metric
        self._dimensions = dimensions
        self._path = path
        self._codes: Any = None
        self._saved = 0
        self._broken = False
        self._lock = threading.Lock()

    def candidates(
        self, matrix: Matrix, norms: Norms, query: Values, k: int, mask: NDArray[np.bool_] | None
    ) -> Slots | None:
        """Rows that are likely to include the best ``k``, in ascending order.

        None if codes would not be faster or are not available: then all rows are to be scored.
        """
        count = matrix.count if mask is None else int(np.count_nonzero(mask))
        if self._broken or count * matrix.dimensions < WORTHWHILE:
            return None
        library = _library()
        if library is None or norms.of(matrix)[2]:
            return None
        with self._lock:
            try:
                self._extend(library, matrix, norms)
                return self._candidates(matrix, query, k, mask)
            except Exception as error:
                # Whatever fails in this library, the values can be searched.
                self._broken = True
                _log_once(f"turbovec failed, so every vector is scored: {error!r}")
                return None

    def _extend(self, library: Any, matrix: Matrix, norms: Norms) -> None:
        lengths = norms.of(matrix)[0]
        if self._codes is None:
            self._codes = self._loaded(library, matrix)
        if self._codes is None:
            width = -(-self._width(matrix.dimensions) // _MULTIPLE) * _MULTIPLE
            self._codes = library.TurboQuantIndex(dim=width, bit_width=_BITS)
            drawn = np.random.default_rng(0).choice(
                matrix.count, min(_SAMPLE, matrix.count), replace=False
            )
            drawn.sort()
            self._codes.calibrate(self._coded(matrix.take(drawn), lengths[drawn]))
        for start, rows in matrix.blocks(_ROWS_AT_ONCE, len(self._codes)):
            self._codes.add(self._coded(rows, lengths[start : start + len(rows)]))
        if len(self._codes) - self._saved > _UNSAVED * len(self._codes):
            self._save()

    def _candidates(
        self, matrix: Matrix, query: Values, k: int, mask: NDArray[np.bool_] | None
    ) -> Slots:
        if len(self._codes) > matrix.count:
            # A later snapshot has added codes.
            wide = np.zeros(len(self._codes), np.bool_)
            wide[: matrix.count] = True if mask is None else mask
            mask = wide
        size = max(_MIN_CANDIDATES, _CANDIDATES_PER_RESULT * k)
        _, found = self._codes.search(self._padded_query(query), size, mask=mask)
        slots: Slots = np.sort(found[0].astype(np.int64))
        return slots

    def _coded(self, rows: Rows, lengths: NDArray[np.float32]) -> Rows:
        """Rows whose inner products with a `_padded_query` rank them as the metric does."""
        width = self._width(self._dimensions)
        coded = np.zeros((len(rows), -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
        coded[:, : self._dimensions] = rows
        if self._metric == "cosine":
            # These are the inverse norms.
            coded *= lengths[:, np.newaxis]
        elif self._metric == "euclidean":
            # q.x - |x|^2/2; the last term is spread over several coordinates, which codes prefer.
            spread = lengths**2 / np.float32(-2 * np.sqrt(_MULTIPLE))
            coded[:, self._dimensions : width] = spread[:, np.newaxis]
        return coded

    def _padded_query(self, query: Values) -> Rows:
        width = self._width(self._dimensions)
        padded = np.zeros((1, -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
        padded[0, : self._dimensions] = query
        if self._metric == "euclidean":
            padded[0, self._dimensions : width] = 1 / np.sqrt(_MULTIPLE)
        return padded

    def _width(self, dimensions: int) -> int:
        return dimensions + (_MULTIPLE if self._metric == "euclidean" else 0)

    def _loaded(self, library: Any, matrix: Matrix) -> Any:
        """The codes in the file, None if it is missing, damaged or of other rows."""
        if self._path is None or not self._path.exists():
            return None
        try:
            if not self._is_intact():
                raise ValueError("it does not have its checksum")
            codes = library.TurboQuantIndex.load(str(self._path))
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read and is made anew: %r", self._path, error)
            return None
        width = -(-self._width(matrix.dimensions) // _MULTIPLE) * _MULTIPLE
        if codes.dim != width or len(codes) > matrix.count:
            return None
        self._saved = len(codes)
        return codes

    def _save(self) -> None:
        self._saved = len(self._codes)
        if self._path is not None:
            try:
                # Not synced: after a loss of power the codes are made again.
                self._codes.write(str(self._path), durable=False)
                checksum = self._checksum(self._path)
                self._path.with_suffix(CHECKSUM_SUFFIX).write_text(checksum, "ascii")
            except Exception as error:
                # Such as a directory that is read-only. They are made again when it is opened.
                _log_once(f"the codes of an index cannot be kept: {error}", logging.INFO)

    def _is_intact(self) -> bool:
        """Whether the file is the one that was written last, for these rows."""
        assert self._path is not None
        try:
            written = self._path.with_suffix(CHECKSUM_SUFFIX).read_text("ascii")
        except FileNotFoundError:
            return False
        return written == self._checksum(self._path)

    @staticmethod
    def _checksum(path: Path) -> str:
        """The checksum of a file of codes, with the name of its rows."""
        checksum = 0
        with path.open("rb") as file:
            while block := file.read(_FILE_BLOCK):
                checksum = zlib.crc32(block, checksum)
        return f"{path.stem} {checksum:08x}\n"


def _library() -> Any:
    """The package turbovec, None if it is not installed."""
    try:
        return importlib.import_module("turbovec")
    except ImportError:
        _log_once(
            "a large index is searched by scoring every vector; with "
            "pip install 'vectorize-stores[fast]' it would be several times as fast",
            logging.INFO,
        )
        return None


def _log_once(text: str, level: int = logging.WARNING) -> None:
    if text not in _logged:
        _logged.add(text)
        _log.log(level, text)
