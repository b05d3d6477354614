"""From records to vectors: encoded, checked and embedded, a batch at a time."""

from __future__ import annotations

import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vectorize_core import jsontext, layout, limits
from vectorize_core.api import validation
from vectorize_core.errors import At, InvalidVectorError
from vectorize_core.layout import Record
from vectorize_core.layout.oversize import oversized
from vectorize_core.models import (
    IndexType,
    ValueRows,
    Values,
    Vector,
    as_values,
    packed,
    packed_rows,
)
from vectorize_core.records.embedder import Embedder, Embedding
from vectorize_core.records.item import Item
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.state.index_state import find_details
from vectorize_core.texts.fts import TextRow
from vectorize_core.texts.indexing import RowWriting, row_of
from vectorize_core.texts.keeping import Kept, Putting
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing
from vectorize_core.writes.batching import Entry, most_bytes
from vectorize_core.writes.checkpoint import Checkpoint, digest_of
from vectorize_core.writes.sources import CHUNK_SIZE, Prepare, Records, Source, check_values

_TYPICAL = 0.012345678
"""As long in JSON as most values of an embedding."""


def as_item(item: Item, position: int) -> Item:
    """An item whose id, text and reference are plain strings."""
    record = item.record
    if type(record.id) is str and type(record.text) in _TEXTS and type(record.ref) in _TEXTS:
        return item
    where = f"the record at position {position}"
    return replace(
        item,
        record=replace(
            record,
            id=validation.as_id(record.id, f"the id of {where}"),
            text=None
            if record.text is None
            else jsontext.plain(validation.text(f"the text of {where}", record.text)),
            ref=None
            if record.ref is None
            else validation.as_id(record.ref, f"the ref_doc_id of {where}"),
        ),
    )


_TEXTS = (str, type(None))


class Ingest(Source[Item]):
    """Items on their way to becoming vectors, a batch at a time."""

    def __init__(
        self,
        io: Io,
        index: StoreIndex,
        items: Records[Item],
        *,
        embedder: Embedder,
        text_key: str,
        namespace: str | None,
        tenant: bool = False,
        texts: Putting | None = None,
        rows: RowWriting | None = None,
        cut: bool = False,
        first: int = 0,
    ) -> None:
        super().__init__(items, first)
        self._io = io
        self._index = index
        self._embedder = embedder
        self._text_key = text_key
        self._namespace = namespace
        self._tenant = namespace if tenant else None
        self._texts = texts
        self._rows = rows
        self._rows_to_put: dict[int, TextRow | None] = {}
        self._indexed: Mapping[str, IndexType] = {}
        self._resumes = False
        self._cut = cut
        self._dimensions = 0
        self._creates = False
        # Of a collection, which `checked` holds anyway: few writes end so that digests are needed.
        self._prepared: list[Prepared] = []

    @property
    def prepare(self) -> Prepare | None:
        """Puts rows into the text index."""
        return None if self._rows is None else partial(self._put_rows, self._rows)

    def digest(self, position: int) -> int:
        """What a checkpoint recognises a record by; of a collection, found out only now."""
        if self._prepared:
            return self._prepared[position - self.first].digest()
        return super().digest(position)

    async def entries(
        self, checkpoint: Checkpoint, batch_size: int, *, dry_run: bool = False
    ) -> AsyncGenerator[list[Entry], None]:
        """Vectors that are checked and embedded; a dry run only pretends to embed."""
        indexed = await self._index.ready_to_write(self._io, dry_run=dry_run)
        self._indexed = indexed
        # Ids that a checkpoint makes up may be those of an earlier attempt.
        self._resumes = checkpoint.id_for(0, "") != ""
        self._creates = self._index.state.details is None
        async with (
            aclosing(self.checked(self._chunks(checkpoint, batch_size, indexed))) as chunks,
            aclosing(_joined(chunks, batch_size)) as batches,
        ):
            async for batch in batches:
                await (self._pretend(batch) if dry_run else self._embed(batch))
                yield [*batch]

    async def _chunks(
        self, checkpoint: Checkpoint, batch_size: int, indexed: Mapping[str, IndexType]
    ) -> AsyncGenerator[list[Prepared], None]:
        """Records that are to be written; values that are given are checked."""
        asked, lasts = checkpoint.resumes, self.total is not None
        async with aclosing(self.chunks(batch_size)) as chunks:
            async for start, items in chunks:
                await self._io.sleep(0)
                prepared, given, rows = list[Prepared](), list[Prepared](), list[Values]()
                for position, item in enumerate(items, start):
                    ready, values = self._prepare(position, item, checkpoint, indexed)
                    self.ids.append(ready.name)
                    if asked or not lasts:
                        self._digests.append(ready.digest())
                    if asked and checkpoint.holds(position, self.ids[-1], self._digests[-1]):
                        self.skip(position)
                    else:
                        prepared.append(ready)
                        if values is not None:
                            given.append(ready)
                            rows.append(values)
                await self._check(given, rows)
                if lasts and not asked:
                    self._prepared += prepared
                yield prepared

    def _prepare(
        self,
        position: int,
        item: Item,
        checkpoint: Checkpoint,
        indexed: Mapping[str, IndexType],
    ) -> tuple[Prepared, Values | None]:
        """A record that is checked and encoded, and the values that were given, as an array."""
        item = as_item(item, position)
        record, values, named, namespace = item.record, item.values, item.named, item.namespace
        if self._namespace is not None:
            namespace = self._namespace
        elif namespace is not None:
            namespace = validation.as_namespace(namespace)
        text = record.text if values is None else None
        if not named:
            made_up = checkpoint.id_for(position, record.id)
            if made_up != record.id:
                record = replace(record, id=made_up)
        most = limits.MAX_ID_BYTES if self._tenant is None else sys.maxsize
        validation.check_id(record.id, position, most=most, wording=self._index.wording)
        if self._tenant is not None:
            record = layout.of_tenant(record, self._tenant)
        try:
            metadata, size = self._encoded(record, indexed)
        except InvalidVectorError:
            metadata, size = {}, None
        if size is None:
            # Once more, for errors that name the record as its owner does.
            at = At(record.name if named else None, position, "record")
            metadata, size = self._encoded(record, indexed, at)
            if size is None:
                record = self._shorter(at, record, metadata)
                metadata, size = self._encoded(record, indexed, at)
                if self._rows is not None:
                    row = row_of(record.id, record.text, namespace, metadata, indexed)
                    self._rows.index.check(row, at)
            if size is None:
                raise oversized(at, metadata, self._text_key)
        ready = Prepared(
            position,
            record.id,
            None,
            size,
            not named,
            record.name,
            record.ref,
            namespace,
            metadata,
            text,
            values,
            None if self._texts is None else record,
            None if self._rows is None else record.text,
        )
        if values is None and text is None:
            raise InvalidVectorError(f"{ready.at} has neither a text nor an embedding")
        return ready, None if values is None else _array(ready, values)

    def _encoded(
        self, record: Record, indexed: Mapping[str, IndexType], at: At | None = None
    ) -> tuple[dict[str, Any], int | None]:
        """The metadata of a record's vector, and its size, or None if it is too large."""
        metadata = layout.encode(record, text_key=self._text_key, indexed=indexed, at=at)
        return metadata, validation.check_encoded(at, metadata)

    def _shorter(self, at: At, record: Record, metadata: dict[str, Any]) -> Record:
        """A record that is too large with its text outside its vector, or cut."""
        if record.text is None or record.text_name is not None:
            raise oversized(at, metadata, self._text_key)
        if self._cut:
            rest = metadata | {self._text_key: ""}
            room = limits.MAX_METADATA_BYTES - len(jsontext.dumps(rest))
            return replace(record, text=_beginning(record.text, room))
        if self._texts is None:
            raise oversized(at, metadata, self._text_key)
        return self._texts.outside(record, at)

    async def _embed(self, batch: list[Prepared]) -> None:
        texts = [item.text for item in batch if item.text is not None]
        embeddings = await self._embedder.vectors(self._io, texts) if texts else ()
        embedded = iter(embeddings)
        for start in range(0, len(batch), CHUNK_SIZE):
            await self._io.sleep(0)
            chunk = batch[start : start + CHUNK_SIZE]
            rows = _rows(chunk, embedded)
            await self._check(chunk, rows)
            for item, values in zip(chunk, rows, strict=True):
                item.complete(values)
        await self._index.ensure(self._io, self._dimensions, creates=self._creates)
        self._creates = False
        if self._texts is not None:
            kept = [Kept(item.record, item.made_up) for item in batch if item.record is not None]
            await self._texts.put(self._io, kept)
        if self._rows is not None:
            for item in batch:
                self._rows_to_put[item.position] = row_of(
                    item.id, item.words, item.namespace, item.metadata, self._indexed
                )

    async def _put_rows(
        self, rows: RowWriting, io: Io, entries: Collection[Entry]
    ) -> Callable[[], None]:
        wanted = {entry.id: self._rows_to_put.pop(entry.position) for entry in entries}
        made_up = {entry.id for entry in entries if entry.made_up}
        return await rows.put(io, wanted, new=() if self._resumes else made_up)

    async def _pretend(self, batch: list[Prepared]) -> None:
        details = await find_details(self._io, self._index.state)
        dimensions = 0 if details is None else details.config.dimensions
        typical = repeat([_TYPICAL] * dimensions)
        for item, values in zip(batch, _rows(batch, typical), strict=True):
            item.complete(values)

    async def _check(self, some: Sequence[Prepared], rows: ValueRows) -> None:
        """Values that the index takes, or that one can be made for."""
        if not some:
            return
        if self._dimensions == 0:
            self._dimensions = len(rows[0])
        if self._index.state.details is not None:
            await check_values(self._io, self._index.state, rows, lambda i: some[i].at)
        else:
            validation.check_values(
                rows, self._dimensions, index=self._index.name, named=lambda i: some[i].at
            )


def _rows(some: Sequence[Prepared], embedded: Iterator[Embedding]) -> ValueRows:
    """The values of each, from the next embeddings where none are given."""
    given = [item.values if item.text is None else next(embedded) for item in some]
    rows = packed_rows(given)
    if rows is not None:
        return rows
    arrays = list(map(_array, some, given))
    # A copy: a model may give the next batch the same memory while this one is on its way.
    return np.array(arrays) if len(set(map(len, arrays))) == 1 else arrays


def _array(ready: Prepared, values: Any) -> Values:
    """The values of a record, as an embedding model or a caller gave them."""
    found = packed(values)
    if found is not None:
        return found
    return as_values(values, ready.at._replace(kind="the embedding of record"))


@dataclass(slots=True, eq=False)
class Prepared(Entry):
    """A record that is checked and encoded: a ``text`` to embed, or ``values`` to send.

    The values are the caller's own: of a long collection nothing as large is kept here, the
    ``record`` itself only where long texts are kept, and the text as ``words`` where it is indexed.
    """

    name: str
    ref: str | None
    namespace: str | None
    metadata: dict[str, Any]
    text: str | None
    values: ArrayLike | None
    record: Record | None
    words: str | None

    @property
    def at(self) -> At:
        """What errors call it."""
        return At(None if self.made_up else self.name, self.position, "record")

    def complete(self, values: Values) -> None:
        """Give it its vector, which it has until that is sent; ``size`` was its metadata's."""
        self.vector = Vector(self.id, values, self.namespace, self.metadata)
        self.size = most_bytes(len(values), self.size)

    def digest(self) -> int:
        """What a checkpoint recognises it by."""
        # What the index has the layout write besides says nothing of the record.
        contents = {k: v for k, v in self.metadata.items() if k not in layout.METADATA_INDEXES}
        array = None if self.values is None else _array(self, self.values)
        given = None if self.made_up else self.id
        return digest_of(given, self.namespace, contents, array, self.ref)


def _beginning(text: str, room: int) -> str:
    """As much of a text as takes ``room`` bytes inside a JSON string."""
    fits, most = 0, max(min(len(text), room), 0)
    while fits < most:
        length = (fits + most + 1) // 2
        if len(jsontext.dumps(text[:length])) - len('""') <= room:
            fits = length
        else:
            most = length - 1
    return text[:fits]


async def _joined(
    chunks: AsyncIterable[list[Prepared]], size: int
) -> AsyncGenerator[list[Prepared], None]:
    """What ``chunks`` hold, in lists of ``size``, the last one shorter."""
    joined: list[Prepared] = []
    async for chunk in chunks:
        joined += chunk
        while len(joined) >= size:
            yield joined[:size]
            joined = joined[size:]
    if joined:
        yield joined
