"""What the parts of a store share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import AsyncIo, SyncIo


class StoreParts:
    """The records of a store, and what carries calls out. Its fields are pydantic's to declare."""

    if TYPE_CHECKING:
        _records: RecordStore
        _io: SyncIo
        _async_io: AsyncIo
        show_progress: bool
