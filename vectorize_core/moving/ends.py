"""Where records are moved from and to: an index, or a store of either framework."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol, TypeAlias

from vectorize_core.errors import ConfigurationError, InvalidInputError, shown
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io


class HoldsRecords(Protocol):
    """A store of records: of LangChain, of LlamaIndex, or a tenant's view of one."""

    def __vectorize_records__(self) -> RecordStore:
        """Its records, as the core knows them."""


IndexOrStore: TypeAlias = Index | AsyncIndex | HoldsRecords
"""Where records come from, or go to."""


def record_store(end: IndexOrStore, texts: TextStore | None = None) -> RecordStore:
    """The records of an index or a store, with ``texts`` as the place of its long texts, if given.

    An embedded index has them beside its vectors, as the stores keep them there.
    """
    if texts is not None and not isinstance(texts, TextStore):
        raise ConfigurationError(f"texts is a TextStore, False or None; got {shown(texts)}")
    if isinstance(end, (Index, AsyncIndex)):
        target = locate(None, index=end)
        target = target._replace(makes=target.beside is not None)
        return RecordStore(index=StoreIndex(target=target), texts=texts)
    records = getattr(end, "__vectorize_records__", None)
    if records is None:
        raise InvalidInputError(
            "records are moved from and to an Index, an AsyncIndex or a store of this library; "
            f"got {shown(end)}"
        )
    found: RecordStore = records()
    return found if texts is None else replace(found, texts=texts)


@asynccontextmanager
async def opened(
    io: Io, end: IndexOrStore, texts: TextStore | None
) -> AsyncGenerator[RecordStore, None]:
    """`record_store`; of one that was made for this call, texts that are due go at the end."""
    store = record_store(end, texts)
    try:
        yield store
    finally:
        if isinstance(end, (Index, AsyncIndex)):
            await io.either(store.close, store.aclose)
