"""Cursors of scans: a place in the values of an index, which lasts until these are moved."""

from __future__ import annotations

import re
from typing import Final

from vectorize_core.local import faults
from vectorize_core.local.catalog import Index

_CURSOR: Final = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{1,18})", re.ASCII)


def cursor(index: Index, slot: int) -> str:
    """The cursor of a slot of an index, in its generation."""
    return f"{index.id}-{index.generation}-{slot}"


def start(index: Index, given: str | None) -> int:
    """The slot of a cursor; a fault if it is of another index, or of before a compaction."""
    if given is None:
        return 0
    found = _CURSOR.fullmatch(given)
    if found is None or (int(found[1]), int(found[2])) != (index.id, index.generation):
        raise faults.unknown_cursor()
    return int(found[3])
