"""Deletes the rows that do not count: what newer ones have taken the place of, and graves.

Who writes a newer row deletes the older ones then, but may end before that; and a crash takes
deletions back. A compaction takes what is deleted: a grave, and leaves what is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vectorize_core.errors import EngineError
from vectorize_core.lynse import rows
from vectorize_core.lynse.models import Id
from vectorize_core.lynse.operations import records
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.lynse.requests import Requests
from vectorize_core.transport.io import Io

_DELETES: Final = 10_000
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.1


async def bury(io: Io | Requests, at: tuple[str, str], ids: Sequence[Id]) -> None:
    """Delete those of all rows of an index that do not count, and are not deleted."""
    newest = rows.newest(ids)
    deleted = {*await io.call(records.ListDeletedIds(*at))}
    left = [one for one in ids if one not in deleted]
    await delete_rows(io, at, [one for one in left if rows.is_superseded(one, newest)])
    # Not before: a compaction must not take a grave and leave what is in it.
    await delete_rows(io, at, [one for one in left if rows.split(one)[1] % 2])


async def delete_rows(io: Io | Requests, at: tuple[str, str], ids: Sequence[Id]) -> None:
    """Soft-delete rows that newer ones have taken the place of."""
    for start in range(0, len(ids), _DELETES):
        await io.call(records.DeleteItems(*at, ids[start : start + _DELETES]))


async def write_to_disk(io: Io | Requests, op: LynseOp[None]) -> None:
    """Commit or make a checkpoint, which fails while another client does."""
    for attempt in range(_ATTEMPTS):
        try:
            await io.call(op)
            break
        except EngineError:
            if attempt == _ATTEMPTS - 1:
                raise
            await io.sleep(_PAUSE)
