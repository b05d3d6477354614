"""The ``fast`` extra: turbovec's scan of 4-bit codes finds candidates, which are scored exactly.

The codes are derived from the values, a tenth of their size, and made when a large index is first
searched. Their file is only a way to have them sooner: without it, or where it cannot be read, they
are made again. Scores are as exact as ever; what may be missed is a vector among the nearest,
which was not seen with the shortlists below in 300,000 real embeddings (docs/storage.md).
"""

from __future__ import annotations

import importlib
import logging
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vectorize_core.local.norms import Norms
from vectorize_core.local.value_store import Matrix, Rows, Slots
from vectorize_core.models import Metric, Values

WORTHWHILE: Final = 20_000_000
"""Numbers that are to be searched from which on codes are faster than the values themselves."""
_SHORTEST_LIST: Final = 300
_LIST_PER_RESULT: Final = 10
_BITS: Final = 4
_MULTIPLE: Final = 8
"""Of which turbovec wants the dimensions to be a multiple."""
_SAMPLE: Final = 2_048
_ROWS_AT_ONCE: Final = 32_768
_UNSAVED: Final = 0.1
"""The fraction of codes that may be in no file before they are written to it again."""

_log = logging.getLogger(__name__)
_said: set[str] = set()


class QuantizedCodes:
    """The codes of one generation of an index, for all its views."""

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
        """Rows that are likely to hold the best ``k``, in ascending order.

        None where codes do not pay or cannot be had: every row is to be scored then.
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
                return self._shortlist(matrix, query, k, mask)
            except Exception as error:
                # A derived thing of a young library: whatever fails there, the values are here.
                self._broken = True
                _say_once(f"turbovec failed, so every vector is scored: {error!r}")
                return None

    def _extend(self, library: Any, matrix: Matrix, norms: Norms) -> None:
        lengths = norms.of(matrix)[0]
        if self._codes is None:
            self._codes = self._loaded(library, matrix)
        if self._codes is None:
            width = -(-self._width(matrix.dimensions) // _MULTIPLE) * _MULTIPLE
            self._codes = library.TurboQuantIndex(dim=width, bit_width=_BITS)
            # Any sample of rows is a fair one if it is drawn from all of them.
            drawn = np.random.default_rng(0).choice(
                matrix.count, min(_SAMPLE, matrix.count), replace=False
            )
            drawn.sort()
            self._codes.calibrate(self._coded(matrix.take(drawn), lengths[drawn]))
        for start, rows in matrix.blocks(_ROWS_AT_ONCE, len(self._codes)):
            self._codes.add(self._coded(rows, lengths[start : start + len(rows)]))
        if len(self._codes) - self._saved > _UNSAVED * len(self._codes):
            self._save()

    def _shortlist(
        self, matrix: Matrix, query: Values, k: int, mask: NDArray[np.bool_] | None
    ) -> Slots:
        if len(self._codes) > matrix.count:
            # A later view has added to them.
            wide = np.zeros(len(self._codes), np.bool_)
            wide[: matrix.count] = True if mask is None else mask
            mask = wide
        size = max(_SHORTEST_LIST, _LIST_PER_RESULT * k)
        _, found = self._codes.search(self._asked(query), size, mask=mask)
        slots: Slots = np.sort(found[0].astype(np.int64))
        return slots

    def _coded(self, rows: Rows, lengths: NDArray[np.float32]) -> Rows:
        """Rows whose inner products with `_asked` queries rank them as the metric does."""
        width = self._width(self._dimensions)
        coded = np.zeros((len(rows), -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
        coded[:, : self._dimensions] = rows
        if self._metric == "cosine":
            # The norms are one through the lengths.
            coded *= lengths[:, np.newaxis]
        elif self._metric == "euclidean":
            # q.x - |x|^2/2, the last term spread evenly so that no coordinate stands out.
            spread = lengths**2 / np.float32(-2 * np.sqrt(_MULTIPLE))
            coded[:, self._dimensions : width] = spread[:, np.newaxis]
        return coded

    def _asked(self, query: Values) -> Rows:
        width = self._width(self._dimensions)
        asked = np.zeros((1, -(-width // _MULTIPLE) * _MULTIPLE), np.float32)
        asked[0, : self._dimensions] = query
        if self._metric == "euclidean":
            asked[0, self._dimensions : width] = 1 / np.sqrt(_MULTIPLE)
        return asked

    def _width(self, dimensions: int) -> int:
        return dimensions + (_MULTIPLE if self._metric == "euclidean" else 0)

    def _loaded(self, library: Any, matrix: Matrix) -> Any:
        """The codes of the file, if there is one and it is of these rows."""
        if self._path is None or not self._path.exists():
            return None
        try:
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
            # Not synced: what a loss of power leaves of it is made again.
            self._codes.write(str(self._path), durable=False)


def _library() -> Any:
    """The package turbovec, None where it is not installed."""
    try:
        return importlib.import_module("turbovec")
    except ImportError:
        _say_once(
            "a large index is searched by scoring every vector; with "
            "pip install 'vectorize-stores[fast]' it would be several times as fast",
            logging.INFO,
        )
        return None


def _say_once(text: str, level: int = logging.WARNING) -> None:
    if text not in _said:
        _said.add(text)
        _log.log(level, text)
