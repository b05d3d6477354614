"""What the system is told about how a mapped file is going to be read.

By itself it reads megabytes around each page that is missing: right for a pass over all rows, and
all of a file for a few hundred candidates here and there.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray


def at_random(mapped: mmap.mmap) -> None:
    """Pages here and there: read no others."""
    if hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)


def as_a_whole(mapped: mmap.mmap) -> None:
    """All of it again and again: in large pages, which are read a third faster than small ones."""
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a system without such pages
            mapped.madvise(mmap.MADV_HUGEPAGE)


def in_order(rows: NDArray[Any]) -> None:
    """Many pages, one after the other: read ahead."""
    mapped = _mapping(rows)
    if mapped is not None:
        mapped.madvise(mmap.MADV_NORMAL)


def soon(rows: NDArray[Any], first: int, last: int) -> None:
    """These rows now: read them at once."""
    mapped = _mapping(rows)
    if mapped is not None and first <= last:
        start = first * rows.strides[0] // mmap.PAGESIZE * mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, start, (last + 1) * rows.strides[0] - start)


def _mapping(rows: Any) -> mmap.mmap | None:
    """The mapping that an array shows, where it takes advice; None in memory."""
    while rows is not None and not isinstance(rows, mmap.mmap):
        rows = rows.obj if isinstance(rows, memoryview) else getattr(rows, "base", None)
    return rows if hasattr(mmap, "MADV_RANDOM") else None
