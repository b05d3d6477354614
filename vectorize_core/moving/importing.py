"""Importing: the records of a file, or of any iterable, into an index."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from vectorize_core.moving.moved import Moved
from vectorize_core.records.ingest import Item


def import_records(
    source: str | os.PathLike[str] | Iterable[Item],
    target: Any,
    *,
    namespace: str | None = None,
    resume: str | os.PathLike[str] | None = None,
    verify: bool = False,
    show_progress: bool = False,
) -> Moved:
    """Write the records of ``source``, a file or `Item`s, to ``target``, an index or a store."""
    raise NotImplementedError
