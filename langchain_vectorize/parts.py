"""What the parts of a store share."""

from __future__ import annotations

from collections.abc import Callable

from langchain_vectorize.retrieval import Retrieval
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import AsyncIo, SyncIo


class StoreParts:
    """The records of a store, how its searches find them, and what carries calls out."""

    _records: RecordStore
    _retrieval: Retrieval
    _relevance_score_fn: Callable[[float], float] | None
    _io: SyncIo
    _async_io: AsyncIo
