"""The vectors in the files of hnswlib that Chroma keeps, by their labels; no graph is read.

``header.bin`` says where a vector and its label are in each element of ``data_level0.bin``. For the
cosine, vectors are kept at length one, and their lengths in ``length.bin``.
"""

from __future__ import annotations

import os
import struct
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.models import Values

_HEADER: Final = struct.Struct("<iQQQQQQiIQQQdQ")
_LABEL: Final = np.dtype("<u8")
_LARGEST: Final = (1 << 31) - 1
"""Bytes of an element, as NumPy counts them."""
_VALUE: Final = np.dtype("<f4")


class _Header(NamedTuple):
    version: int
    start: int
    most: int
    vectors: int
    size: int
    label_at: int
    vector_at: int


class HnswVectors:
    """The vectors in the folder of an index; ``normalized`` says that they are kept at length one.

    `StorageError` for files that cannot be those of one index of ``dimensions``.
    """

    def __init__(self, place: str, dimensions: int, *, normalized: bool) -> None:
        with paths.explained("an index of hnswlib", place):
            with open(os.path.join(place, "header.bin"), "rb") as file:
                raw = file.read(_HEADER.size)
            if len(raw) < _HEADER.size:
                raise StorageError(f"header.bin in {place} is damaged: it is too short")
            header = _Header(*_HEADER.unpack(raw)[:7])
            path = os.path.join(place, "data_level0.bin")
            wanted = header.vector_at + 4 * dimensions
            if (
                header.label_at != wanted
                or not wanted + _LABEL.itemsize <= header.size <= _LARGEST
                or header.version != 1
                or header.start
            ):
                raise StorageError(
                    f"header.bin in {place} is damaged, or of a version of Chroma that this one "
                    f"does not know: it has no vectors of {dimensions} dimensions"
                )
            kind = np.dtype(
                {
                    "names": ["values", "label"],
                    "formats": [(_VALUE, (dimensions,)), _LABEL],
                    "offsets": [header.vector_at, header.label_at],
                    "itemsize": header.size,
                }
            )
            self._rows = _mapped(path, kind, header.vectors)
            self._lengths: NDArray[np.float32] | None = None
            lengths = os.path.join(place, "length.bin")
            # The first versions did not keep them.
            if normalized and os.path.exists(lengths):
                self._lengths = _mapped(lengths, _VALUE, header.vectors)
        labels = np.array(self._rows["label"])
        self._order = np.argsort(labels)
        self._labels = labels[self._order]

    def get(self, label: int) -> Values | None:
        """The values under a label, None if there are none."""
        at = int(np.searchsorted(self._labels, label))
        if at == len(self._labels) or self._labels[at] != label:
            return None
        row = self._order[at]
        values = np.array(self._rows["values"][row], np.float32)
        return values if self._lengths is None else values * self._lengths[row]


def _mapped(path: str, kind: np.dtype[Any], count: int) -> NDArray[Any]:
    if count * kind.itemsize > os.path.getsize(path):
        raise StorageError(f"{path} is damaged: it holds less than header.bin says")
    return np.memmap(path, kind, "r", shape=(count,)) if count else np.empty(0, kind)
