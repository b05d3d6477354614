"""Delivering: the pages of a file or of another index, written where they are to go."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, Callable, Mapping
from functools import partial

from vectorize_core import layout
from vectorize_core.errors import CheckpointMismatchError
from vectorize_core.models import IndexType
from vectorize_core.moving.arriving import arrive
from vectorize_core.moving.departing import Page
from vectorize_core.moving.foreign import Foreign
from vectorize_core.moving.manifests import Manifest
from vectorize_core.moving.notes import Notes, Progress
from vectorize_core.records.store import RecordStore
from vectorize_core.state.index_state import find_details
from vectorize_core.state.metadata_indexes import check_metadata_indexes
from vectorize_core.transport.io import Io


async def ready(
    io: Io,
    store: RecordStore,
    config: Manifest | Foreign | None,
    create_index: bool | None,
    metadata_indexes: Mapping[str, IndexType] | None,
) -> RecordStore:
    """The store that records go to; where the index is missing, one like that of ``config``.

    It has ``metadata_indexes`` too. `InvalidInputError` where the index is not made for the vectors
    of another store.
    """
    index, asked = store.index, {} if metadata_indexes is None else metadata_indexes
    check_metadata_indexes(index.name, asked)
    told = index.metadata_indexes
    store = _promising(store, {**({} if told is None else told), **asked})
    details = await find_details(io, store.state, refresh=True)
    if isinstance(config, Foreign):
        dimensions = None if details is None else details.config.dimensions
        metric = index.metric if details is None else details.config.metric
        config.check(index.name, dimensions, metric)
    if details is not None:
        if store.text_index is None and layout.read_note(details.description).text_index:
            # Of an index that was given without a store, beside whose vectors it stands.
            return dataclasses.replace(store, text_index=index.target.beside is not None)
        return store
    if isinstance(config, Manifest) and told is None:
        own = config.metadata_indexes.items()
        wanted = {name: kind for name, kind in own if name not in layout.METADATA_INDEXES}
        store = _promising(store, {**wanted, **asked})
    index = store.index
    if create_index is not None:
        index = dataclasses.replace(index, create_index=create_index)
    if config is not None and index.metric is None:
        index = dataclasses.replace(index, metric=config.metric)
    return dataclasses.replace(store, index=index)


def _promising(store: RecordStore, wanted: Mapping[str, IndexType]) -> RecordStore:
    index = dataclasses.replace(store.index, metadata_indexes=wanted)
    return dataclasses.replace(store, index=index)


async def begun(io: Io, store: RecordStore, notes: Notes) -> Progress:
    """How far an earlier call has come, or the beginning.

    `CheckpointMismatchError` if the index is not the one any more that it wrote to.
    """
    progress = await io.offload(notes.load)
    if progress is None:
        return Progress()
    details = await find_details(io, store.state)
    if progress.created is not None and (
        details is None or str(details.created_on) != progress.created
    ):
        raise CheckpointMismatchError(
            f"{notes.path} says how far a move to another index {store.index.name!r} is, which was "
            f"created on {progress.created}. To begin anew, delete that file"
        )
    return progress


async def deliver(
    io: Io,
    store: RecordStore,
    pages: AsyncIterable[Page],
    progress: Progress,
    notes: Notes,
    *,
    namespace: str | None,
    report: Callable[[int], None],
) -> None:
    """Write pages, and note after each how far that is."""
    async for parcels, cursor in pages:
        await arrive(io, store, parcels, namespace=namespace, first=progress.tally.records)
        progress.tally.add(parcels)
        progress.cursor = cursor
        if progress.created is None and (details := await find_details(io, store.state)):
            progress.created = str(details.created_on)
        if cursor is not None:
            await io.offload(partial(notes.save, progress))
        report(progress.tally.records)
