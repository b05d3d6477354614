"""Exporting: the records of an index into a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, Unpack

from vectorize_core.api import validation
from vectorize_core.errors import VectorizeError
from vectorize_core.filters.plan import Unindexed
from vectorize_core.kwargs import check_names
from vectorize_core.moving import formats, growing, manifests, reading
from vectorize_core.moving.alone import alone
from vectorize_core.moving.departing import Departing, GoneError, departing, identity
from vectorize_core.moving.ends import IndexOrStore, opened, record_store
from vectorize_core.moving.formats import Place
from vectorize_core.moving.growing import Growing
from vectorize_core.moving.moved import Moved
from vectorize_core.moving.notes import Notes, Progress
from vectorize_core.moving.options import ExportOptions, OnProgress
from vectorize_core.moving.pages import pages
from vectorize_core.moving.parcel import Parcel, Tally, size
from vectorize_core.moving.watching import watching
from vectorize_core.reads.selection import AnyFilter
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import Io, run
from vectorize_core.transport.workers import aclosing

_ATTEMPTS = 5


def export_records(
    source: IndexOrStore, path: str | os.PathLike[str], **options: Unpack[ExportOptions]
) -> Moved:
    """Write the records of ``source``, an index or a store, to a file.

    Its ending says the format: ``.ndjson`` as wrangler reads it, ``.ndjson.gz``, ``.ndjson.zst``
    or ``.parquet``. Texts that do not fit into their vectors stand beside, in ``.texts.ndjson``.
    A tenant's view exports its own records, under the tenant's ids.

    The file has its name when it is whole. The same call continues one that was interrupted.
    """
    check_names("export_records()", options, ExportOptions.__annotations__)
    return run(_export(record_store(source).connection.io(), source, path, **options))


async def aexport_records(
    source: IndexOrStore, path: str | os.PathLike[str], **options: Unpack[ExportOptions]
) -> Moved:
    """`export_records`, awaited."""
    check_names("aexport_records()", options, ExportOptions.__annotations__)
    io = record_store(source).connection.async_io()
    return await _export(io, source, path, **options)


async def _export(
    io: Io,
    source: IndexOrStore,
    path: str | os.PathLike[str],
    *,
    filter: AnyFilter | None = None,
    namespace: str | None = None,
    unindexed: Unindexed | None = None,
    texts: TextStore | Literal[False] | None = None,
    verify: bool = False,
    show_progress: bool = False,
    on_progress: OnProgress | None = None,
) -> Moved:
    validation.flag("verify", verify)
    place = await io.offload(partial(formats.place, path))
    await io.offload(partial(growing.check, place))
    async with opened(io, source, texts or None) as store:
        leaving = await departing(
            io,
            store,
            place.beside(".partial.ids"),
            filter=filter,
            namespace=namespace,
            unindexed=unindexed,
            texts=texts is not False,
        )
        move = await identity(io, store, filter, namespace)
        notes = Notes(place.beside(".partial.json"), {"move": "export", **move})
        files: Files = growing.vectors(place), growing.texts(place.texts)
        async with alone(io, notes.path):
            total = await leaving.count(io)
            with watching(total, show_progress=show_progress, on_progress=on_progress) as report:
                tally = await _read_all(io, leaving, files, notes, report)
            manifest = await manifests.of_index(io, store, tally.moved)
            await io.offload(partial(_finish, files, tally, manifest, place))
            await io.offload(notes.remove)
            await io.offload(leaving.forget)
    if verify:
        found = Tally()
        async for parcels in pages(io, reading.parcels(place), size):
            found.add(parcels)
        manifest.check(found.moved, place.path)
    return tally.moved


Files = tuple[Growing[Any], Growing[Any]]
"""That of vectors, and that of texts beside."""


async def _read_all(
    io: Io,
    leaving: Departing,
    files: Files,
    notes: Notes,
    report: Callable[[int], None],
) -> Tally:
    """Let the files grow to their end, from where an earlier call has left them."""
    progress = await io.offload(partial(_begun, files, notes))
    for _ in range(_ATTEMPTS):
        try:
            async with aclosing(leaving.pages(io, progress.cursor)) as read:
                async for parcels, cursor in read:
                    progress.tally.add(parcels)
                    progress.cursor = cursor
                    await io.offload(partial(_append, files, parcels, progress))
                    if cursor is not None:
                        await io.offload(partial(notes.save, progress))
                    report(progress.tally.records)
        except GoneError:
            progress = Progress()
            await io.offload(partial(_discard, files))
        else:
            return progress.tally
    raise VectorizeError(
        f"the index {leaving.store.index.name!r} is compacted again and again while it is read. "
        "Export it when less is written to it"
    )


def _begun(files: Files, notes: Notes) -> Progress:
    """What an earlier call has left, or the beginning."""
    progress = notes.load()
    if progress is not None:
        resumed = [file.resume(mark) for file, mark in zip(files, progress.marks, strict=True)]
        if all(resumed):
            return progress
    _discard(files)
    return Progress()


def _append(files: Files, parcels: Sequence[Parcel], progress: Progress) -> None:
    rows: tuple[list[Any], list[Any]] = (
        [parcel.vector for parcel in parcels],
        [(parcel.vector.id, parcel.text) for parcel in parcels if parcel.text is not None],
    )
    marks = zip(files, rows, progress.marks, strict=True)
    progress.marks = tuple([file.append(some) if some else mark for file, some, mark in marks])


def _discard(files: Files) -> None:
    for file in files:
        file.discard()


def _finish(files: Files, tally: Tally, manifest: manifests.Manifest, place: Place) -> None:
    vectors, texts = files
    if tally.texts:
        texts.finish()
    else:
        texts.leave_out()
    manifest.write(place.manifest)
    vectors.finish()
