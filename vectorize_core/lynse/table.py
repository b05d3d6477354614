"""`Table`: the rows of an index, and what keeps them right over crashes and several writers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import numpy as np

from vectorize_core.errors import BadRequestError, ConfigurationError
from vectorize_core.holds import FairLock
from vectorize_core.local import faults
from vectorize_core.lynse import describing, filters, rows
from vectorize_core.lynse.burying import bury, delete_rows, write_to_disk
from vectorize_core.lynse.describing import Name
from vectorize_core.lynse.header import MODES, Header
from vectorize_core.lynse.models import CollectionStats, Hits, Id, Item, Rows, SparseVector
from vectorize_core.lynse.operations import (
    collections,
    indexes,
    reading,
    records,
    search,
    vector_fields,
)
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.lynse.requests import Requests
from vectorize_core.lynse.second_copy import keep_copy, read_copies
from vectorize_core.lynse.words import Words
from vectorize_core.models import MetadataIndex, Values

T = TypeVar("T")

_DOCUMENTS: Final = 500
"""Vectors whose rows are asked for at once."""
_COMMIT_ROWS: Final = 5_000
"""Rows that may be in the log: two crashes with more of them ruin a collection."""
_NOTE_SECONDS: Final = 1.0
"""How often the number of rows is noted: a crash then takes the descriptions of a database."""
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.005
_LONGER_PAUSE: Final = 0.1


class ConflictError(Exception):
    """Another writer has written one of the vectors meanwhile, or a metadata index was made.

    Nothing was added.
    """


class Stored(NamedTuple):
    """What a row holds: a vector, and its columns."""

    values: Values
    field: Mapping[str, object]


@dataclass(slots=True)
class Known:
    """What a client knows of an index, for all of its threads and event loops."""

    state: tuple[float, str] | None = None
    """When the index was created, and its epoch."""
    settled_in: int = -1
    """The process that is known to be settled."""
    kept: tuple[MetadataIndex | None, ...] | None = None
    """The columns that the second copy of the header is known to have."""
    noted: float = 0.0
    """When a write last noted the number of rows."""
    uncommitted: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The versions that were written since the last commit: a crash must leave these."""
    mutation: str | None = None
    counted: tuple[CollectionStats, int] | None = None
    lock: FairLock = field(default_factory=FairLock)

    def renew(self, header: Header) -> None:
        """Forget an index that another one, or less of it, has taken the place of."""
        if (state := (header.created, header.epoch)) != self.state:
            self.state, self.settled_in, self.uncommitted, self.kept = state, -1, 0, None
            self.acknowledged, self.mutation, self.counted = {}, None, None


class Table:
    """The rows of an index; ``process`` is the one that answers."""

    def __init__(self, io: Requests, name: Name, known: Known, process: int, words: Words) -> None:
        self._io = io
        self._at = name
        self._process = process
        self.known = known
        self._words = words

    async def exists(self) -> bool:
        """Whether there is a collection of the name. All else would make one."""
        return await self._call(collections.IsCollectionExists(*self._at))

    async def open(self) -> Header:
        """The header of an index that is there, and settled; a fault if there is none."""
        header = await self._read_header()
        self.known.renew(header)
        if self.known.settled_in != self._process:
            async with self.writing():
                await self._settle(header)
        return header

    async def _read_header(self) -> Header:
        header = await describing.read_header(self._io, self._at)
        if header is None:
            raise faults.index_not_found(self._at[1])
        return header

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Whose turn it is to write: writes, commits and checkpoints do not go side by side."""
        while (hold := self.known.lock.try_take(self._io.caller())) is None:
            await self._io.sleep(_PAUSE)
        with hold:
            yield

    async def _settle(self, header: Header) -> None:
        """Make good what a crash has left: a log, and rows that were deleted and are back.

        And an index that was not made yet, by which the server would compare otherwise.

        `IndexDamagedError` if rows are missing.
        """
        if self.known.settled_in == self._process:
            return
        mode = MODES[header.config.metric]
        if await self._call(indexes.IndexMode(*self._at)) != mode:
            await self._call(indexes.BuildIndex(*self._at, mode))
        await self._write_to_disk(collections.Checkpoint(*self._at))
        ids = await self._all_rows()
        await self._check_table(ids)
        newest = rows.newest(ids)
        if header.rows is not None and len(ids) < header.rows:
            raise describing.lost_rows(self._at[1], len(ids), header.rows)
        for vector_id, version in self.known.acknowledged.items():
            # Of a record that was deleted, a compaction takes all rows.
            if newest.get(vector_id, -1 if version % 2 == 0 else version) < version:
                raise describing.damaged(
                    self._at[1], f"the record {vector_id!r} that was written is gone"
                )
        await bury(self._io, self._at, ids)
        await describing.note_rows(self._io, self._at)
        self.known.settled_in = self._process
        self.known.acknowledged.clear()

    async def _all_rows(self) -> tuple[Id, ...]:
        """The ids of all rows, deleted ones too: as many as there are vectors.

        Other clients may add some meanwhile, and a compaction takes some away.
        """
        for _ in range(_ATTEMPTS):
            before, _dim = await self._call(collections.CollectionShape(*self._at))
            ids = await self.rows_of(filters.ALL_ROWS)
            after, _dim = await self._call(collections.CollectionShape(*self._at))
            if before <= len(ids) <= after:
                return ids
        raise describing.damaged(self._at[1], f"it has {after} vectors and {len(ids)} records")

    async def _check_table(self, ids: Sequence[Id]) -> None:
        """Whether what the other parser looks at has the same rows. A crash may take some there."""
        for _ in range(_ATTEMPTS):
            found = await self.rows_of(filters.ALL_ROWS_BY_SQL)
            after = await self._all_rows()
            if len(found) == len({*found}) and {*ids} <= {*found} <= {*after}:
                return
            ids = after
        raise describing.damaged(
            self._at[1], f"it has {len(ids)} records, and {len(found)} in their table"
        )

    async def rows_of(self, where: str) -> tuple[Id, ...]:
        """The ids of the rows that meet a condition, deleted ones too."""
        found = await self._call(reading.Query(*self._at, where, return_ids_only=True))
        return found.ids

    async def versions(self, vector_ids: Collection[str]) -> dict[str, int]:
        """The newest version of each of these vectors."""
        return rows.newest(await self.rows_of_vectors(vector_ids))

    async def rows_of_vectors(self, vector_ids: Collection[str]) -> list[Id]:
        """The ids of all rows of these vectors, deleted ones too."""
        return [
            row
            for some in _parts([*vector_ids], _DOCUMENTS)
            for row in await self.rows_of(filters.of_documents(some))
        ]

    async def vectors(self, vector_ids: Collection[str]) -> dict[str, Stored]:
        """The newest version of each of these vectors; no graves."""
        stored = await self.stored(vector_ids)
        return {
            vector_id: stored[rows.row_id(vector_id, version)]
            for vector_id, version in rows.newest(stored).items()
            if version % 2 == 0
        }

    async def stored(self, vector_ids: Collection[str]) -> dict[Id, Stored]:
        """All rows of these vectors, deleted ones too."""
        found: dict[Id, Stored] = {}
        for some in _parts([*vector_ids], _DOCUMENTS):
            where = filters.of_documents(some)
            answer = await self._call(reading.QueryVectors(*self._at, where))
            for at, row in enumerate(answer.ids):
                found[row] = Stored(_values(answer, at), answer.fields[at])
        return found

    async def add(self, items: Sequence[Item], header: Header) -> None:
        """Add rows; `ConflictError` if one of their versions exists already."""
        if not items:
            return
        if self.known.kept != header.columns:
            await keep_copy(self._io, self._at, header)
            # Who makes a metadata index meanwhile looks for a copy after that.
            if (await self._read_header()).columns != header.columns:
                raise ConflictError
            self.known.kept = header.columns
        # Before the rows: what sparse_embedding raises must not leave any without words.
        sparse = await self._sparse_of(items)
        try:
            await self._call(records.bulk_add(*self._at, items))
        except BadRequestError as error:
            if "already exists" in error.message:
                raise ConflictError from error
            raise
        await self._add_sparse(sparse)
        self.known.acknowledged |= rows.newest([item.id for item in items])
        self.known.uncommitted += len(items)
        if self.known.uncommitted >= _COMMIT_ROWS:
            await self._write_to_disk(collections.Commit(*self._at))
        if time.monotonic() - self.known.noted > _NOTE_SECONDS:
            self.known.noted = time.monotonic()
            await describing.note_rows(self._io, self._at)

    async def add_lost_words(self, vector_ids: Collection[str]) -> None:
        """Add the sparse vectors of rows that exist: a write that failed may not have come to them.

        Those that are there are replaced by the same.
        """
        if self._words.sparse_embedding is not None:
            stored = await self.stored(vector_ids)
            newest = rows.newest(stored)
            await self._add_sparse(
                await self._sparse_of(
                    Item(row, *found)
                    for row, found in stored.items()
                    if not rows.is_superseded(row, newest)
                )
            )

    async def _sparse_of(self, items: Iterable[Item]) -> dict[Id, SparseVector]:
        """The sparse vectors of the texts of rows, of those that have any words."""
        if self._words.sparse_embedding is None:
            return {}
        texts = {item.id: text for item in items if (text := rows.text_of(item.field or {}))}
        vectors = await self._words.sparse(self._io, [*texts.values()]) if texts else []
        return {row: one for row, one in zip(texts, vectors, strict=True) if one.indices}

    async def _add_sparse(self, vectors: Mapping[Id, SparseVector]) -> None:
        if vectors:
            values = [*vectors.values()]
            await self._call(vector_fields.AddSparseVectors(*self._at, values, [*vectors]))

    def check_words(self, header: Header) -> None:
        """Refuse a client that finds words otherwise than the index was made for."""
        if header.is_sparse != (self._words.sparse_embedding is not None):
            found, instead = (
                ("sparse vectors", "with the same")
                if header.is_sparse
                else (
                    "BM25",
                    "without",
                )
            )
            raise ConfigurationError(
                f"words of the index {self._at[1]!r} are found by {found}, since it was created "
                f"{instead} sparse_embedding=: use a LynseClient {instead} sparse_embedding="
            )

    async def delete(self, row_ids: Sequence[Id]) -> None:
        """Soft-delete rows that newer ones have taken the place of."""
        await delete_rows(self._io, self._at, row_ids)

    async def _write_to_disk(self, op: LynseOp[None]) -> None:
        await write_to_disk(self._io, op)
        self.known.uncommitted = 0
        if self.known.settled_in == self._process:
            self.known.acknowledged.clear()

    async def search(self, vector: Values, k: int, where: str | None) -> Hits:
        """The nearest rows, of those that meet a condition."""
        return await self._call(search.Search(*self._at, vector, k, where, return_fields=True))

    async def search_words(self, text: str, k: int, where: str | None) -> Hits:
        """The rows with words of a text, of those that meet a condition; best first."""
        # A lone surrogate, which cannot be sent, is no part of a word.
        text = text.encode(errors="replace").decode()
        if self._words.sparse_embedding is None:
            return await self._call(search.TextSearch(*self._at, text, ("text",), k, where))
        (vector,) = await self._words.sparse(self._io, [text])
        if not vector.indices:
            return Hits((), np.empty(0))
        return await self._call(search.SparseSearch(*self._at, vector, k, where))

    async def stats(self) -> CollectionStats:
        """How many rows there are."""
        return await self._call(collections.Stats(*self._at))

    async def is_written(self, header: Header | None = None) -> bool:
        """Whether anything was ever written, or is just now, but by who knows this header."""
        copies = await read_copies(self._io, self._at)
        if copies and header is not None:
            return any(one.columns != header.columns for one in copies)
        return bool(copies) or (await self.stats()).n_vectors > 0

    async def ids(self) -> list[str]:
        """The ids of all vectors, in the order in which they were last written."""
        found = await self._all_rows()
        newest = rows.newest(found)
        return [
            vector_id
            for vector_id, version in map(rows.split, found)
            if version == newest[vector_id] and version % 2 == 0
        ]

    async def describe(self, header: Header) -> None:
        """Keep a header whose metadata indexes have changed, even if another client notes rows."""
        for _ in range(_ATTEMPTS):
            await describing.describe(self._io, self._at, header)
            if header.rows == 0:
                return
            await keep_copy(self._io, self._at, header)
            await self._io.sleep(_LONGER_PAUSE)
            if (await self.open()).columns == header.columns:
                return

    async def _call(self, op: LynseOp[T]) -> T:
        return await self._io.call(op)


def _values(answer: Rows, at: int) -> Values:
    assert answer.vectors is not None, "asked for"
    values: Values = answer.vectors[at]
    return values


def _parts(given: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(given), size):
        yield given[start : start + size]
