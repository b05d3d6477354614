"""Where records are moved from and to: an index, or a store of either framework."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol, TypeAlias

from vectorize_core import paths
from vectorize_core.errors import ConfigurationError, InvalidInputError, shown
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import Target, locate
from vectorize_core.texts.sqlite import SqliteTexts
from vectorize_core.texts.sqlite_index import SqliteTextIndex
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
        return RecordStore(index=StoreIndex(target=_beside(locate(None, index=end))), texts=texts)
    records = getattr(end, "__vectorize_records__", None)
    if records is None:
        raise InvalidInputError(
            "records are moved from and to an Index, an AsyncIndex or a store of this library; "
            f"got {shown(end)}"
        )
    found: RecordStore = records()
    return found if texts is None else replace(found, texts=texts)


def _beside(target: Target) -> Target:
    place = target.connection.address.path
    if place is None:
        return target
    if place == paths.MEMORY:
        return target._replace(embedded=True)
    return target._replace(
        embedded=True, texts=SqliteTexts(place), text_index=SqliteTextIndex(place)
    )


@asynccontextmanager
async def opened(
    io: Io, end: IndexOrStore, texts: TextStore | None
) -> AsyncGenerator[RecordStore, None]:
    """`record_store`, of which what was made for this call is closed at the end."""
    store = record_store(end, texts)
    try:
        yield store
    finally:
        if isinstance(end, (Index, AsyncIndex)):
            await io.either(store.close, store.aclose)
            await io.offload(store.index.target.close)
