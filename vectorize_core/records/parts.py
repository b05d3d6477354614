"""What the parts of a framework's store share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import AsyncIo, SyncIo


class StoreParts:
    """The records of a store, and what carries its calls out, as the store itself sets them."""

    if TYPE_CHECKING:  # pydantic would take them for its own
        _records: RecordStore
        _io: SyncIo
        _async_io: AsyncIo
