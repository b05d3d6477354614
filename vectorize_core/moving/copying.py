"""Copying: the records of one index into another, without a file between them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, Unpack

from vectorize_core import paths
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.plan import Unindexed
from vectorize_core.kwargs import check_names
from vectorize_core.models import IndexType
from vectorize_core.moving import manifests
from vectorize_core.moving.alone import alone
from vectorize_core.moving.delivering import begun, deliver, ready
from vectorize_core.moving.departing import Departing, GoneError, departing, everything, identity
from vectorize_core.moving.ends import IndexOrStore, opened, record_store
from vectorize_core.moving.moved import Moved
from vectorize_core.moving.notes import Notes, Progress, notes_path
from vectorize_core.moving.options import CopyOptions, OnProgress
from vectorize_core.moving.parcel import Tally
from vectorize_core.moving.verifying import compared
from vectorize_core.moving.watching import watching
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io, run
from vectorize_core.transport.workers import aclosing


def copy_records(
    source: IndexOrStore, target: IndexOrStore, **options: Unpack[CopyOptions]
) -> Moved:
    """Write the records of ``source`` to ``target``; each is an index or a store.

    Embedded, on a server or on Cloudflare. Vectors are copied as they are, with what stands
    outside of them, and replace those of the same ids.
    """
    check_names("copy_records()", options, CopyOptions.__annotations__)
    reading, writing = record_store(source).connection.io(), record_store(target).connection.io()
    return run(_copy(reading, writing, source, target, **options))


async def acopy_records(
    source: IndexOrStore, target: IndexOrStore, **options: Unpack[CopyOptions]
) -> Moved:
    """`copy_records`, awaited."""
    check_names("acopy_records()", options, CopyOptions.__annotations__)
    reading = record_store(source).connection.async_io()
    writing = record_store(target).connection.async_io()
    return await _copy(reading, writing, source, target, **options)


async def _copy(
    reading: Io,
    writing: Io,
    source: IndexOrStore,
    target: IndexOrStore,
    *,
    filter: AnyFilter | None = None,
    namespace: str | None = None,
    unindexed: Unindexed | None = None,
    to_namespace: str | None = None,
    texts: TextStore | Literal[False] | None = None,
    to_texts: TextStore | None = None,
    create_index: bool | None = None,
    metadata_indexes: Mapping[str, IndexType] | None = None,
    resume: str | os.PathLike[str] | None = None,
    verify: bool = False,
    show_progress: bool = False,
    on_progress: OnProgress | None = None,
) -> Moved:
    validation.flag("verify", verify)
    path = await reading.offload(partial(notes_path, resume))
    async with (
        opened(reading, source, texts or None) as store,
        opened(writing, target, to_texts) as given,
        alone(reading, path),
        _listing(reading, path) as listing,
    ):
        leaving = await departing(
            reading,
            store,
            listing,
            filter=filter,
            namespace=namespace,
            unindexed=unindexed,
            texts=texts is not False,
        )
        config = await manifests.of_index(reading, store, Tally().moved)
        arrived = await ready(writing, given, config, create_index, metadata_indexes)
        into = arrived.in_namespace(to_namespace)
        _check_apart(leaving, arrived, into)
        move = {
            "move": "copy",
            **await identity(reading, store, filter, namespace),
            "to_index": arrived.index.name,
            "to_place": arrived.state.place,
            "to_namespace": into,
        }
        notes = Notes(path, move)
        progress = await begun(writing, arrived, notes)
        total = await leaving.count(reading)
        with watching(total, show_progress=show_progress, on_progress=on_progress) as report:
            while True:
                pages = leaving.pages(reading, progress.cursor)
                try:
                    async with aclosing(pages) as read:
                        await deliver(
                            writing,
                            arrived,
                            read,
                            progress,
                            notes,
                            namespace=to_namespace,
                            report=report,
                        )
                    break
                except GoneError:
                    # What was written is written again, which does no harm.
                    progress = Progress(created=progress.created)
        await reading.offload(notes.remove)
        if verify or arrived.wait:
            await arrived.await_writes(writing, purpose="a copy")
        if verify:
            async with aclosing(leaving.pages(reading, None)) as read:
                there = everything(arrived, texts=texts is not False)
                await compared(writing, there, into, read)
        # Not after an error: the next call goes on with it.
        await reading.offload(leaving.forget)
    return progress.tally.moved


def _check_apart(leaving: Departing, arrived: RecordStore, into: str | None) -> None:
    """`InvalidInputError` if records would be copied to where they are."""
    source, target = leaving.store, arrived
    same = source.state is target.state or (
        (source.state.place, source.index.name) == (target.state.place, target.index.name)
        and source.connection.address.path != paths.MEMORY
    )
    # Ids are of the whole index: in another namespace a record would be gone from its own. Only of
    # a tenant are they stored as others.
    apart = (source.bound or target.bound) and leaving.chosen.namespace not in (None, into)
    if same and not apart:
        raise InvalidInputError(
            f"the index {source.index.name!r} is not copied into itself, where its ids are taken: "
            "give another one, or copy from one namespace into another, of which at least one is a "
            "tenant's view: store.with_namespace(name)"
        )


@asynccontextmanager
async def _listing(io: Io, path: Path | None) -> AsyncGenerator[Path, None]:
    """Where the ids of the source are listed: beside the notes, or anywhere."""
    if path is not None:
        yield path.with_name(f"{path.name}.ids")
        return
    folder = await io.offload(_new_folder)
    try:
        yield Path(folder, "ids")
    finally:
        await io.offload(partial(shutil.rmtree, folder, ignore_errors=True))


def _new_folder() -> str:
    with paths.explained("a list of ids", "the system's directory for temporary files"):
        return tempfile.mkdtemp()
