"""What concerns the whole index of a `RecordStore`; a tenant's view refuses it."""

from __future__ import annotations

import math
from typing import Final, Unpack

from vectorize_core.api import validation
from vectorize_core.client import VectorizeClient, over
from vectorize_core.errors import ConfigurationError, InvalidInputError, TenantViewError
from vectorize_core.index import Index
from vectorize_core.models import IndexType
from vectorize_core.reads.by_id import iter_ids
from vectorize_core.records.deleting import clear
from vectorize_core.records.store import RecordStore
from vectorize_core.records.text_search import TextSearch
from vectorize_core.state import lifecycle, metadata_indexes
from vectorize_core.state.index_state import get_metadata_indexes
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts import reindexing
from vectorize_core.texts.keeping import Keeping
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.transport.io import Io, in_batches
from vectorize_core.writes import by_filter

METADATA_INDEX_TIMEOUT: Final = metadata_indexes.DEFAULT_WAIT_TIMEOUT
_AT_ONCE: Final = 500


def _check_is_whole(records: RecordStore, method: str, does: str) -> None:
    if records.bound:
        raise InvalidInputError(
            f"{method}() {does}, of other namespaces too: call it on the store that this view is of"
        )


def check_reaches_all(records: RecordStore, name: str) -> None:
    """A view has nothing that reaches the records of all namespaces."""
    if records.bound:
        raise TenantViewError(
            f"a tenant's view has no {name}, which would reach the records of all namespaces: this "
            f"one is bound to the namespace {records.namespace!r}. Take {name} of the store that "
            "it is a view of"
        )


def the_index(records: RecordStore) -> Index:
    """The index of a store; a view has none."""
    check_reaches_all(records, "index")
    return Index(records.connection, records.index.name)


def the_client(records: RecordStore, name: str = "client") -> VectorizeClient:
    """A client of a store's connection, as its property ``name``; a view has none."""
    check_reaches_all(records, name)
    return over(VectorizeClient, records.connection)


async def create_metadata_index(
    io: Io,
    records: RecordStore,
    property_name: str,
    index_type: IndexType,
    *,
    wait_timeout: float = METADATA_INDEX_TIMEOUT,
) -> None:
    """Make a property filterable, and wait until the metadata index is live.

    It covers what is written from then on; `reindex_metadata` makes it cover the rest. One that is
    there is left as it is; of another type, it is a `ConfigurationError`.
    """
    method = "create_metadata_index"
    _check_is_whole(records, method, "makes a property filterable for all vectors")
    validation.number("wait_timeout", wait_timeout, least=0.0, most=math.inf)
    wanted = {validation.text("property_name", property_name): index_type}
    metadata_indexes.check_metadata_indexes(records.index.name, wanted)
    if not await records.index.exists(io, refresh=True):
        raise ConfigurationError(
            f"the index {records.index.name!r} is not there yet: its first write makes it, with "
            f"the metadata_indexes= that the store is given, such as {wanted!r}"
        )
    await get_metadata_indexes(io, records.state, refresh=True)
    records.index.check_indexable(records.text_key, wanted)
    await metadata_indexes.ensure_metadata_indexes(
        io, records.state, wanted, wait_timeout=wait_timeout
    )


async def drop(io: Io, records: RecordStore) -> None:
    """Delete the index, with its text index and the long texts of all its records.

    A store that has a namespace refuses it. Long texts go when the index is gone; to know their
    names takes a list of all ids.
    """
    _check_is_whole(records, "drop", "deletes the index with the records")
    if records.namespace is not None:
        raise InvalidInputError(
            f"drop() deletes the index with all its namespaces, and this store is of the namespace "
            f"{records.namespace!r}: call it on a store without one, or reset(), which deletes the "
            "records of this one"
        )
    if not await records.index.exists(io, refresh=True):
        return
    texts = await _long_texts(io, records)
    await lifecycle.delete_index(io, records.state)
    await _drop_beside(io, records, texts)


async def reset(io: Io, records: RecordStore) -> None:
    """Delete all records, and make the index anew as it was, with its metadata indexes.

    In a store that has a namespace, and in a tenant's view, only the records of that namespace are
    deleted. An index that is not there yet is not made.
    """
    if records.namespace is not None:
        await clear(io, records)
        return
    if not await records.index.exists(io, refresh=True):
        return
    texts = await _long_texts(io, records)
    await lifecycle.recreate_index(io, records.state)
    await _drop_beside(io, records, texts)


async def _long_texts(io: Io, records: RecordStore) -> list[str]:
    """What all long texts of the index are called, and the lists of them."""
    if records.long_texts is None:
        return []
    keeping = Keeping(records.long_texts, records.state)
    await records.await_writes(io, purpose="finding all long texts")
    names = []
    async for ids in in_batches(iter_ids(io, records.state), _AT_ONCE):
        names += keeping.names(await keeping.find(io, ids))
    return names + keeping.names(records.removals.take())


async def _drop_beside(io: Io, records: RecordStore, texts: list[str]) -> None:
    """Delete what was kept beside the vectors of an index that is gone."""
    if records.long_texts is not None:
        await io.whole(records.long_texts.delete(io, records.index.name, texts))
    if records.rows is not None:
        await records.rows.index.drop(io, records.index.name)


async def reindex_metadata(io: Io, records: RecordStore, **waits: Unpack[WaitOptions]) -> int:
    """Write every vector of the index again as it is. See `by_filter.reindex_metadata`."""
    _check_is_whole(records, "reindex_metadata", "writes every vector of the index")
    goal = records.waits(**waits)
    if not await records.index.exists(io):
        return 0
    return await by_filter.reindex_metadata(io, records.state, **goal)


async def reindex_texts(io: Io, records: RecordStore, *, show_progress: bool = False) -> int:
    """Put the texts of all records into the text index; see `texts.reindexing`."""
    _check_is_whole(records, "reindex_texts", "reads every vector of the index")
    validation.flag("show_progress", show_progress)
    text_search = TextSearch.of(records.rows, records.reading, {})
    if not await records.index.exists(io):
        return 0
    return await reindexing.reindex_texts(
        io,
        text_search.rows,
        records.reading,
        wait_timeout=records.wait_timeout,
        show_progress=show_progress,
    )


async def explain_text(io: Io, records: RecordStore, query: str) -> TextExplanation:
    """Which words of a query are searched for, and how many texts of the index have each."""
    _check_is_whole(records, "explain_text", "tells how many records have a word")
    query = validation.text("query", query)
    records.connection.executor.check()
    return await TextSearch.of(records.rows, records.reading, {}).explain(io, query)
