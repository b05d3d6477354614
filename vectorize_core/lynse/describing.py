"""What a collection is described as: the header of an index, read and kept up.

To describe a collection, a server writes a file anew that has the descriptions of all those in its
database. Who reads meanwhile finds none of them, and a crash at that moment takes them all.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from vectorize_core.errors import (
    BadRequestError,
    ConfigurationError,
    IndexDamagedError,
    IndexExistsError,
    NotFoundError,
    UnsupportedCallError,
)
from vectorize_core.lynse.burying import bury, write_to_disk
from vectorize_core.lynse.filters import ALL_ROWS
from vectorize_core.lynse.header import MODES, Header, no_index
from vectorize_core.lynse.models import Id
from vectorize_core.lynse.operations import collections
from vectorize_core.lynse.operations.base import OnCollection
from vectorize_core.lynse.operations.reading import Query
from vectorize_core.lynse.requests import Requests
from vectorize_core.lynse.rows import has_columns
from vectorize_core.lynse.second_copy import is_claimed, keep_copy, read_copy, take_claim
from vectorize_core.lynse.server import Server
from vectorize_core.models import IndexConfig
from vectorize_core.transport.io import Io

T = TypeVar("T")
Name = tuple[str, str]
"""Of a database, and of a collection in it."""
_ROWS: Final = 500
"""Rows that are looked at at once."""
_LOOKS: Final = 5
_PAUSE: Final = 0.002
"""Seconds after the first look; each further pause is twice as long."""


async def read_header(io: Io | Requests, at: Name) -> Header | None:
    """What a collection is; None if there is none. This look does not make one.

    A description that is lost is made again of its second copy. Raises `ConfigurationError` if it
    is no index, and `IndexDamagedError` if it has neither.
    """
    is_listed = False
    for look in range(_LOOKS):
        try:
            config = await io.call(collections.GetCollectionConfig(*at))
        except BadRequestError:
            if not await io.call(collections.IsCollectionExists(*at)):
                return None
            await io.sleep(_PAUSE * 2**look)
        else:
            if config.description is not None:
                header = Header.of(at[1], config.description)
                # Rows of another index may be there: a server may end while it restores them.
                copy = await read_copy(io, at) if header.rows is None else None
                return header if copy is None else replace(copy, rows=None, epoch=header.epoch)
            # As after a snapshot was restored where there was nothing, or while it is made.
            is_listed = True
            if look and not await is_claimed(io, at):
                break
            await io.sleep(_PAUSE * 2**look)
    copy = await read_copy(io, at)
    if copy is not None:
        return await make(io, at, copy.in_doubt())
    if is_listed:
        raise no_index(at[1])
    raise IndexDamagedError(
        f"the server does not know what the collection {at[1]!r} is: this library did not make it, "
        "or a crash has taken the descriptions of its database. Delete the index and write it again"
    )


async def claim(io: Requests, at: Name, dim: int) -> bool:
    """Make the collection of an index that is described next; False if another client does.

    Of two who make one, the second would describe anew what the first one made.
    """
    for _ in range(_LOOKS):
        await io.call(collections.RequiredCollection(*at, dim=dim))
        if not await take_claim(io, at):
            return False
        _rows, found = await io.call(collections.CollectionShape(*at))
        if found == dim:
            return True
        # Another client has made it, and claims it no more.
        await io.call(collections.DropCollection(*at))
    return False


async def make(io: Io | Requests, at: Name, header: Header) -> Header:
    """Make the collection of an index, or its description."""
    dim, text = header.config.dimensions, header.to_text()
    await io.call(collections.RequiredCollection(*at, dim=dim, description=text))
    return header


async def describe(io: Io | Requests, at: Name, header: Header) -> None:
    """Keep a header that has changed."""
    await io.call(collections.UpdateDescription(*at, header.to_text()))


async def note_rows(io: Io | Requests, at: Name) -> None:
    """Note how many rows there are, so that others miss what a crash takes.

    `IndexDamagedError` if there are fewer than were noted: that is not noted away.
    """
    header = await read_header(io, at)
    rows, _dim = await io.call(collections.CollectionShape(*at))
    if header is None or header.rows == rows:
        return
    if header.rows is None or header.rows < rows:
        await describe(io, at, replace(header, rows=rows))
    elif await read_header(io, at) == header:
        raise lost_rows(at[1], rows, header.rows)


def lost_rows(name: str, rows: int, noted: int) -> IndexDamagedError:
    """What is raised for an index that has fewer rows than it had."""
    return damaged(name, f"it has {rows} rows and had {noted}")


def damaged(name: str, how: str) -> IndexDamagedError:
    """What is raised for an index that a server has lost something of."""
    return IndexDamagedError(
        f"the index {name!r} is damaged: {how}. Restore a snapshot, or delete the index and write "
        "it again"
    )


async def take_rows(server: Server, io: Io, op: OnCollection[T]) -> T:
    """Carry out ``op``, which takes rows away, and tell clients of an index that it was meant.

    A compaction of an index is between checkpoints, without which a crash brings its rows back.
    `ConfigurationError` if rows of another index were put in the place of those of one.
    """
    await server.known(io)
    at = op.database, op.collection
    try:
        header = await read_header(io, at)
    except (ConfigurationError, IndexDamagedError):
        header = None
    if header is None:
        return await io.call(op)
    in_doubt = header.in_doubt()
    await describe(io, at, in_doubt)
    is_compaction = isinstance(op, collections.Compact)
    if is_compaction:
        await bury(io, at, await _ids(io, at))
        await write_to_disk(io, collections.Checkpoint(*at))
    try:
        result = await io.call(op)
    except (BadRequestError, NotFoundError, IndexExistsError, UnsupportedCallError):
        # All is as it was.
        await describe(io, at, header)
        raise
    if is_compaction:
        await write_to_disk(io, collections.Checkpoint(*at))
    else:
        in_doubt = await _header_of_rows(io, at, in_doubt)
    rows, _dim = await io.call(collections.CollectionShape(*at))
    await describe(io, at, replace(in_doubt, rows=rows))
    return result


async def _header_of_rows(io: Io, at: Name, header: Header) -> Header:
    """What the rows say that a server has put in the place of those of an index.

    A snapshot has a second copy. What was exported has none: its columns are compared.
    """
    copy = await read_copy(io, at)
    if copy is not None:
        return replace(copy, rows=None, epoch=header.epoch)
    stats = await io.call(collections.Stats(*at))
    if not stats.n_vectors:
        # Nothing was ever written to it, so only what the server has of it counts.
        metric = next((one for one, mode in MODES.items() if mode == stats.index_mode), None)
        config = header.config
        config = IndexConfig(stats.dimension or config.dimensions, metric or config.metric)
        return replace(header, config=config)
    is_like_it = stats.dimension == header.config.dimensions and not header.is_sparse
    if not (is_like_it and await _has_columns(io, at, header)):
        await io.call(collections.UpdateDescription(*at, "rows of another index"))
        raise ConfigurationError(
            f"what was put in the place of the index {at[1]!r} has other dimensions or metadata "
            "indexes, or no sparse vectors, and cannot be read as an index: delete it, create it "
            "as the index was that was exported, and import that again"
        )
    await keep_copy(io, at, header)
    return header


async def _has_columns(io: Io, at: Name, header: Header) -> bool:
    """Whether all rows are as a client of this header writes them."""
    ids = await _ids(io, at)
    for start in range(0, len(ids), _ROWS):
        found = await io.call(Query(*at, filter_ids=ids[start : start + _ROWS]))
        try:
            if not all(map(partial(has_columns, header=header), found.ids, found.fields)):
                return False
        except IndexDamagedError:
            return False
    return True


async def _ids(io: Io, at: Name) -> tuple[Id, ...]:
    """The ids of all rows."""
    return (await io.call(Query(*at, ALL_ROWS, return_ids_only=True))).ids
