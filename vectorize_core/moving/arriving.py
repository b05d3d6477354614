"""Records that arrive: written as they are, under ids and names that fit the place."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from vectorize_core import layout, limits
from vectorize_core.api import validation
from vectorize_core.errors import (
    At,
    ConfigurationError,
    InvalidInputError,
    InvalidVectorError,
    shown,
)
from vectorize_core.layout import Record
from vectorize_core.layout.oversize import oversized
from vectorize_core.models import IndexType, Values, Vector
from vectorize_core.moving.parcel import Parcel
from vectorize_core.records.embedder import NoEmbedder
from vectorize_core.records.ingest import Ingest, Prepared, as_item
from vectorize_core.records.item import Item
from vectorize_core.records.store import RecordStore
from vectorize_core.texts.store import renamed, text_name
from vectorize_core.transport.io import Io
from vectorize_core.writes.checkpoint import Checkpoint


class Arriving(Ingest):
    """Parcels on their way to becoming vectors, a batch at a time."""

    def _prepare(
        self,
        position: int,
        item: Any,
        checkpoint: Checkpoint,
        indexed: Mapping[str, IndexType],
    ) -> tuple[Prepared, Values | None]:
        parcel: Parcel = item
        vector = parcel.vector
        name, namespace = own_name(vector, bound=self._tenant is not None), self._namespace
        most = limits.MAX_ID_BYTES if self._tenant is None else sys.maxsize
        validation.check_id(name, position, most=most, wording=self._index.wording)
        at = At(name, position, "record")
        vector_id = name if self._tenant is None else layout.stored_id(self._tenant, name)
        record = self._record(at, vector, vector_id, parcel.text)
        names: dict[str, str | None] = {} if self._tenant is None else {"id": name}
        if record.text_name is not None:
            names["x"] = record.text_name
        if names:
            vector = layout.readdressed(vector, vector_id, text_key=self._text_key, **names)
        metadata = dict(layout.completed(vector, indexed).metadata or {})
        rounds = self._index.state.capabilities.rounds
        size = validation.check_metadata(at, metadata, rounds=rounds)
        words = parcel.text
        if self._rows is not None and words is None:
            words = layout.decode(vector_id, metadata, text_key=self._text_key).text
        if namespace is None:
            namespace = validation.as_namespace(vector.namespace)
        ready = Prepared(
            position,
            vector_id,
            None,
            size,
            False,
            name,
            None,
            namespace,
            metadata,
            None,
            vector.values,
            record,
            words,
        )
        return ready, vector.values

    def _record(self, at: At, vector: Vector, vector_id: str, text: str | None) -> Record:
        """The record, called ``at`` in errors, with its text and the name of that if outside."""
        if text is None:
            known = layout.text_name_of(vector)
            name = None if known is None else renamed(known, self._index.name, vector_id)
            return Record(vector_id, None, text_name=name)
        if self._texts is None:
            raise ConfigurationError(
                f"{at} has a text that does not fit into its vector, and there is no place for it: "
                "give texts=D1Texts(database_id), or another TextStore"
            )
        return self._texts.outside(Record(vector_id, text), at)


def own_name(vector: Vector, *, bound: bool) -> str:
    """What its owner calls a record; of a tenant that is not the id that it is stored under."""
    return layout.RecordReader(bound=bound).name(vector)


async def arrive(
    io: Io, store: RecordStore, parcels: Sequence[Parcel], *, namespace: str | None, first: int
) -> None:
    """Write records, in a namespace unless None, of which the first is the number ``first``."""
    if parcels:
        ingest = partial(Arriving, first=first)
        await store.add(io, parcels, namespace=namespace, ingest=ingest, wait=False)  # type: ignore[arg-type]


def checked(items: Iterable[Any]) -> Iterator[Item]:
    """``items``. `InvalidInputError` for what is none, `InvalidVectorError` for one that is odd."""
    for position, item in enumerate(items):
        if not isinstance(item, Item) or not isinstance(item.record, Record):
            raise InvalidInputError(
                f"position {position} is no Item(Record(id, text, metadata), values=...) but "
                f"{shown(item)}"
            )
        if not isinstance(item.record.metadata, Mapping):
            at = At(item.record.name, position, "record")
            raise InvalidVectorError(f"{at}: metadata is a dict; got {shown(item.record.metadata)}")
        yield as_item(item, position)


async def of_items(io: Io, store: RecordStore, items: Sequence[Item], first: int) -> list[Parcel]:
    """Items as parcels; those without values are embedded."""
    bare = [item for item in items if item.values is None]
    for n, item in enumerate(items, first):
        if item.values is not None:
            continue
        at = At(item.record.name, n, "record")
        if item.record.text is None:
            raise InvalidVectorError(f"{at} has neither a text nor an embedding")
        if isinstance(store.embedder, NoEmbedder):
            raise InvalidVectorError(
                f"{at} has no embedding, and the store no model that makes one: give Item(values=)"
            )
    texts = [item.record.text for item in bare if item.record.text is not None]
    embedded = iter(await store.embedder.vectors(io, texts) if texts else ())
    return [
        _of_item(store, item, next(embedded) if item.values is None else item.values, first + n)
        for n, item in enumerate(items)
    ]


def _of_item(store: RecordStore, item: Item, values: Any, position: int) -> Parcel:
    record, at = item.record, At(item.record.name, position, "record")
    text = None
    metadata = _encoded(store, record, at)
    if validation.check_encoded(at, metadata) is None:
        text = record.text
        if text is None:
            raise oversized(at, metadata, store.text_key)
        record = replace(record, text_name=text_name(store.index.name, record.id, text))
        metadata = _encoded(store, record, at)
    return Parcel(Vector(record.id, values, item.namespace, metadata), text)


def _encoded(store: RecordStore, record: Record, at: At) -> dict[str, Any]:
    # What else the layout has for metadata indexes is added where it arrives.
    return layout.encode(record, text_key=store.text_key, indexed=(layout.REF,), at=at)
