"""Importing: the records of a file, or of any iterable, into an index."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal, TypeAlias, Unpack

from vectorize_core import paths
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.kwargs import check_names
from vectorize_core.models import IndexType
from vectorize_core.moving import arriving, formats, manifests, reading
from vectorize_core.moving.alone import alone
from vectorize_core.moving.delivering import begun, deliver, ready
from vectorize_core.moving.departing import Page, everything
from vectorize_core.moving.ends import IndexOrStore, opened, record_store
from vectorize_core.moving.foreign import Foreign
from vectorize_core.moving.formats import Place
from vectorize_core.moving.moved import Moved
from vectorize_core.moving.notes import Notes, notes_path
from vectorize_core.moving.options import ImportOptions, OnProgress
from vectorize_core.moving.pages import pages
from vectorize_core.moving.parcel import size
from vectorize_core.moving.verifying import compared
from vectorize_core.moving.watching import watching
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io, run
from vectorize_core.transport.workers import aclosing

FileOrItems: TypeAlias = str | os.PathLike[str] | Iterable[Item]
"""A file of records, what another store has left, or records of any other origin."""


def import_records(
    source: FileOrItems, target: IndexOrStore, **options: Unpack[ImportOptions]
) -> Moved:
    """Write the records of ``source``, a file or `Item`s, to ``target``, an index or a store.

    A file is one that `export_records` wrote, or any NDJSON as wrangler inserts it; `read_chroma`
    and its like make `Item`s of what other stores have left. Vectors are written as they are there,
    values, metadata and all, and replace those of the same ids. Their rows in the text index of the
    target, and their long texts, are written too. A tenant's view takes records into its own
    namespace.

    The same call continues one that was interrupted, given the same input. `InvalidInputError`
    names the line that is no vector, `RecordsDifferError` says that a file was changed.
    """
    check_names("import_records()", options, ImportOptions.__annotations__)
    return run(_import(record_store(target).connection.io(), source, target, **options))


async def aimport_records(
    source: FileOrItems, target: IndexOrStore, **options: Unpack[ImportOptions]
) -> Moved:
    """`import_records`, awaited."""
    check_names("aimport_records()", options, ImportOptions.__annotations__)
    return await _import(record_store(target).connection.async_io(), source, target, **options)


def verify_records(
    source: FileOrItems,
    target: IndexOrStore,
    *,
    namespace: str | None = None,
    texts: TextStore | Literal[False] | None = None,
) -> Moved:
    """Compare the records of ``source`` with those of ``target``, and return what was compared.

    `RecordsDifferError` names those that are missing there, or others; of equal ids the last one
    counts. What else the target holds does not matter. The arguments are those of the import.
    """
    io = record_store(target).connection.io()
    return run(_verify(io, source, target, namespace=namespace, texts=texts))


async def averify_records(
    source: FileOrItems,
    target: IndexOrStore,
    *,
    namespace: str | None = None,
    texts: TextStore | Literal[False] | None = None,
) -> Moved:
    """`verify_records`, awaited."""
    io = record_store(target).connection.async_io()
    return await _verify(io, source, target, namespace=namespace, texts=texts)


async def _import(
    io: Io,
    source: FileOrItems,
    target: IndexOrStore,
    *,
    namespace: str | None = None,
    create_index: bool | None = None,
    metadata_indexes: Mapping[str, IndexType] | None = None,
    texts: TextStore | Literal[False] | None = None,
    resume: str | os.PathLike[str] | None = None,
    verify: bool = False,
    show_progress: bool = False,
    on_progress: OnProgress | None = None,
) -> Moved:
    incoming = await io.offload(partial(_incoming, source))
    if validation.flag("verify", verify) and isinstance(incoming, Iterator):
        raise InvalidInputError(
            "verify=True reads the records twice, which an iterator does not allow: give a list, "
            "or verify_records() a new iterator afterwards"
        )
    async with opened(io, target, texts or None) as given:
        manifest = None
        if isinstance(incoming, Place):
            manifest = await io.offload(partial(manifests.read, incoming.manifest))
        foreign = incoming if isinstance(incoming, Foreign) else None
        store = await ready(io, given, manifest or foreign, create_index, metadata_indexes)
        into = store.in_namespace(namespace)
        notes = await io.offload(partial(_notes, incoming, store, into, resume))
        async with alone(io, notes.path):
            progress = await begun(io, store, notes)
            done = progress.tally.records
            coming = _pages(io, store, incoming, skip=done, texts=texts is not False)
            total = None if foreign is None else foreign.count
            if manifest is not None:
                total = manifest.records
            with watching(total, show_progress=show_progress, on_progress=on_progress) as report:
                async with aclosing(coming) as read:
                    await deliver(
                        io, store, read, progress, notes, namespace=namespace, report=report
                    )
            await io.offload(notes.remove)
        if manifest is not None and isinstance(incoming, Place):
            manifest.check(progress.tally.moved, incoming.path)
        if verify or store.wait:
            await store.await_writes(io, purpose="an import")
        if verify:
            again = _pages(io, store, incoming, skip=0, texts=False)
            there = everything(store, texts=texts is not False)
            await compared(io, there, into, again)
    return progress.tally.moved


async def _verify(
    io: Io,
    source: FileOrItems,
    target: IndexOrStore,
    *,
    namespace: str | None,
    texts: TextStore | Literal[False] | None,
) -> Moved:
    incoming = await io.offload(partial(_incoming, source))
    async with opened(io, target, texts or None) as store:
        await store.await_writes(io, purpose="a comparison")
        into = store.in_namespace(namespace)
        read = _pages(io, store, incoming, skip=0, texts=texts is not False)
        tally = await compared(io, everything(store, texts=texts is not False), into, read)
    if isinstance(incoming, Place):
        manifest = await io.offload(partial(manifests.read, incoming.manifest))
        if manifest is not None:
            manifest.check(tally.moved, incoming.path)
    return tally.moved


def _incoming(source: FileOrItems) -> Place | Iterable[Item]:
    if isinstance(source, (str, os.PathLike)):
        found = formats.place(source, "source")
        with paths.explained("the records", str(found.path)):
            if not found.path.exists():
                raise InvalidInputError(f"{found.path}: there is no such file")
        return found
    if isinstance(source, Iterable):
        return source
    raise InvalidInputError(
        f"source is the path of a file, or an iterable of Items; got {shown(source)}"
    )


async def _pages(
    io: Io, store: RecordStore, incoming: Place | Iterable[Item], *, skip: int, texts: bool
) -> AsyncGenerator[Page, None]:
    """The records behind the first ones that are to be skipped."""
    at = skip
    if isinstance(incoming, Place):
        given = islice(reading.parcels(incoming, texts=texts), skip, None)
        async with aclosing(pages(io, given, size)) as parcels:
            async for some in parcels:
                at += len(some)
                yield Page(some, str(at))
        return
    given_items = islice(arriving.checked(incoming), skip, None)
    async with aclosing(pages(io, given_items, _size_of)) as items:
        async for few in items:
            found = await arriving.of_items(io, store, few, at)
            at += len(few)
            yield Page(found, str(at))


def _size_of(item: Item) -> int:
    return len(item.record.text or "")


def _notes(
    incoming: Place | Iterable[Item],
    store: RecordStore,
    namespace: str | None,
    resume: str | os.PathLike[str] | None,
) -> Notes:
    """Where it is noted how far the import is: beside the file, or where the caller says."""
    move: dict[str, Any] = {
        "move": "import",
        "index": store.index.name,
        "place": store.state.place,
        "namespace": namespace,
    }
    path = notes_path(resume)
    if isinstance(incoming, Place):
        digest = blake2b(repr(move).encode(), digest_size=4).hexdigest()
        path = path or incoming.beside(f".{digest}.importing.json")
        with paths.explained("the records", str(incoming.path)):
            move["bytes"] = incoming.path.stat().st_size
    return Notes(path, move)
