"""Chroma: the directory of a `PersistentClient`, read without Chroma.

Texts and metadata are in ``chroma.sqlite3``. Vectors are in the files of hnswlib in a folder of the
segment, and those written since these were last saved are in the log, ``embeddings_queue``.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.models import Metric, Values
from vectorize_core.moving.foreign import pickles
from vectorize_core.moving.foreign.foreign import Foreign, folder, metric_of, pick
from vectorize_core.moving.foreign.hnsw import HnswVectors
from vectorize_core.moving.foreign.llama_nodes import of_metadata
from vectorize_core.moving.foreign.sqlite_source import reading
from vectorize_core.records.item import Item

_FILE: Final = "chroma.sqlite3"
_TABLES: Final = (
    "collection_metadata",
    "collections",
    "databases",
    "segments",
    "embeddings",
    "embedding_metadata",
    "embeddings_queue",
    "max_seq_id",
)
_METRICS: Final[dict[object, Metric]] = {
    "l2": "euclidean",
    "cosine": "cosine",
    "ip": "dot-product",
}
_DOCUMENT: Final = "chroma:document"
_IDS: Final = (pickles.Class("chromadb", "PersistentData"),)
"""What versions before 1.0 made a pickle of; it is a dict since."""
_UUID: Final = re.compile(r"[0-9a-f-]{36}")
_ADD, _UPDATE, _DELETE = 0, 1, 3
_ENCODINGS: Final = {"FLOAT32": np.dtype("<f4"), "INT32": np.dtype("<i4")}


class _Collection(NamedTuple):
    id: str
    dimensions: int | None
    space: str
    vectors: str
    """The segment of its vectors: the name of their folder."""
    metadata: str
    """The segment of its metadata."""
    records: int


def read_chroma(
    path: str | os.PathLike[str],
    collection: str | None = None,
    *,
    database: str = "default_database",
    tenant: str = "default_tenant",
    metric: Metric | None = None,
) -> Foreign:
    """The records of a collection in the directory of Chroma's `PersistentClient`.

    ``collection`` may be left out if there is one only. ``metric`` stands in for the collection's
    own, for an index with another one. Chroma must not write meanwhile. `StorageError` for a
    directory that is damaged or none of Chroma's.
    """
    place = folder(path, _FILE)
    with _reading(place) as connection:
        rows = connection.execute(
            "SELECT c.* FROM collections c JOIN databases d ON d.id = c.database_id "
            "WHERE d.name = ? AND d.tenant_id = ?",
            (database, tenant),
        ).fetchall()
        named = {str(row["name"]): row for row in rows}
        name = pick("collection", named, collection, f"Chroma in {place}", "collection")
        found = _collection(connection, named[name], place)
    title = f"the Chroma collection {name!r} in {place}"
    return Foreign(
        title,
        partial(_records, place, found, title),
        metric_of(found.space, _METRICS, metric, title),
        found.dimensions,
        found.records,
    )


def _reading(place: str) -> AbstractContextManager[sqlite3.Connection]:
    return reading(os.path.join(place, _FILE), "Chroma", _TABLES)


def _collection(connection: sqlite3.Connection, row: sqlite3.Row, place: str) -> _Collection:
    segments = {
        scope: str(segment)
        for segment, scope in connection.execute(
            "SELECT id, scope FROM segments WHERE collection = ?", (row["id"],)
        )
    }
    vectors, metadata = segments.get("VECTOR"), segments.get("METADATA")
    if vectors is None or metadata is None or not _UUID.fullmatch(vectors):
        raise StorageError(f"{_FILE} in {place} is damaged: the collection has no segments")
    if not isinstance(row["dimension"], (int, type(None))):
        raise StorageError(f"{_FILE} in {place} is damaged: the collection has no dimensions")
    (count,) = connection.execute(
        "SELECT count(*) FROM embeddings WHERE segment_id = ?", (metadata,)
    ).fetchone()
    space = _space(connection, row)
    return _Collection(row["id"], row["dimension"], space, vectors, metadata, count)


def _space(connection: sqlite3.Connection, row: sqlite3.Row) -> str:
    """What a collection compares by: where each version writes it, the newest first.

    Beside ``hnsw:space`` in the metadata, older versions note their default in the configuration.
    """
    found = _in_json(row, "schema_str", _IN_SCHEMA)
    if found is None:
        given = connection.execute(
            "SELECT str_value FROM collection_metadata WHERE collection_id = ? AND key = ?",
            (row["id"], "hnsw:space"),
        ).fetchone()
        found = None if given is None else given[0]
    found = found or _in_json(row, "config_json_str", ("hnsw", "space"))
    return str(found or _in_json(row, "config_json_str", ("hnsw_configuration", "space")) or "l2")


_IN_SCHEMA: Final = ("keys", "#embedding", "float_list", "vector_index", "config", "space")


def _in_json(row: sqlite3.Row, column: str, path: Sequence[str]) -> Any:
    """What is in a column of JSON, if there is such a column, and it has that."""
    text = row[column] if column in row.keys() else None  # noqa: SIM118 (of a row, not of a dict)
    try:
        found: Any = orjson.loads(text) if text else None
    except orjson.JSONDecodeError as error:
        raise StorageError(f"{column} of a collection of Chroma is no JSON ({error.msg})") from None
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _records(place: str, collection: _Collection, title: str) -> Iterator[Item]:
    with _reading(place) as connection:
        vectors = _Vectors(connection, place, collection, title)
        rows = connection.execute(
            "SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY embedding_id",
            (collection.metadata,),
        )
        metadata_of = _Metadata(connection)
        for row_id, record_id in rows:
            text, metadata = metadata_of(row_id)
            record = of_metadata(record_id, text, metadata)
            yield Item(record, vectors.get(record_id))


class _Metadata:
    """The text and the metadata of a record; lists of values are in a table of newer versions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self._has_lists = "embedding_metadata_array" in {name for (name,) in found}

    def __call__(self, row_id: int) -> tuple[str | None, dict[str, Any]]:
        rows = self._connection.execute("SELECT * FROM embedding_metadata WHERE id = ?", (row_id,))
        metadata = {row["key"]: _value(row) for row in rows}
        if self._has_lists:
            rows = self._connection.execute(
                "SELECT * FROM embedding_metadata_array WHERE id = ? ORDER BY rowid", (row_id,)
            )
            lists: dict[str, list[Any]] = {}
            for row in rows:
                lists.setdefault(row["key"], []).append(_value(row))
            metadata |= lists
        return metadata.pop(_DOCUMENT, None), metadata


def _value(row: sqlite3.Row) -> Any:
    text, number, fraction, truth = (
        row[name] if name in row.keys() else None  # noqa: SIM118 (of a row, not of a dict)
        for name in ("string_value", "int_value", "float_value", "bool_value")
    )
    if truth is not None:
        return bool(truth)
    return next((found for found in (text, number, fraction) if found is not None), None)


class _Vectors:
    """The values of each record: from the log if they are in there, else from the files.

    In memory are the ids, with their labels in the files or their places in the log.
    """

    def __init__(
        self, connection: sqlite3.Connection, place: str, collection: _Collection, title: str
    ) -> None:
        self._connection = connection
        self._title = title
        self._dimensions = collection.dimensions
        self._files: HnswVectors | None = None
        files = os.path.join(place, collection.vectors)
        saved = _saved_ids(files)
        self._labels: dict[str, int] = saved["id_to_label"]
        if self._labels and collection.dimensions is not None:
            normalized = collection.space == "cosine"
            self._files = HnswVectors(files, collection.dimensions, normalized=normalized)
        seen = self._last_seen(collection.vectors)
        self._logged: dict[str, int | None] = {}
        """Where in the log the values of a record are; None: deleted there."""
        self._read_log(collection, saved.get("max_seq_id") or 0 if seen is None else seen)

    def get(self, record_id: str) -> Values:
        """The values of a record. `StorageError` if there are none."""
        values: Values | None = None
        if record_id in self._logged:
            place = self._logged[record_id]
            values = None if place is None else self._from_log(place)
        elif self._files is not None and type(self._labels.get(record_id)) is int:
            values = self._files.get(self._labels[record_id])
        if values is None or len(values) != self._dimensions:
            raise StorageError(
                f"{self._title} is damaged: the record {record_id!r} has no vector of "
                f"{self._dimensions} dimensions"
            )
        return values

    def _read_log(self, collection: _Collection, seen: int) -> None:
        rows = self._connection.execute(
            "SELECT seq_id, operation, id, vector IS NOT NULL FROM embeddings_queue "
            "WHERE topic LIKE '%/' || ? AND seq_id > ? ORDER BY seq_id",
            (collection.id, seen),
        )
        last = 0
        for last, operation, record_id, has_values in rows:
            in_log = record_id in self._logged
            exists = self._logged[record_id] is not None if in_log else record_id in self._labels
            if operation == _DELETE:
                self._logged[record_id] = None
            elif has_values and not (
                exists if operation == _ADD else operation == _UPDATE and not exists
            ):
                self._logged[record_id] = last
        if last > (self._last_seen(collection.metadata) or 0):
            raise StorageError(
                f"{self._title} has writes in its log that were not finished: open it once with "
                "Chroma, and close it"
            )

    def _last_seen(self, segment: str) -> int | None:
        """Up to where in the log a segment holds what was written."""
        found = self._connection.execute(
            "SELECT seq_id FROM max_seq_id WHERE segment_id = ?", (segment,)
        ).fetchone()
        if found is None:
            return None
        # Bytes in versions before 1.0.
        last = int.from_bytes(found[0]) if isinstance(found[0], bytes) else found[0]
        if not isinstance(last, int):
            raise StorageError(f"{self._title} is damaged: it does not say what was saved")
        return last

    def _from_log(self, sequence: int) -> Values | None:
        vector, encoding = self._connection.execute(
            "SELECT vector, encoding FROM embeddings_queue WHERE seq_id = ?", (sequence,)
        ).fetchone()
        kind = _ENCODINGS.get(encoding)
        if kind is None or not isinstance(vector, bytes) or len(vector) % kind.itemsize:
            return None
        return np.frombuffer(vector, kind).astype(np.float32)


def _saved_ids(files: str) -> dict[str, Any]:
    """The pickle beside the vectors, which has their ids; without one, nothing was saved yet."""
    path = os.path.join(files, "index_metadata.pickle")
    if not os.path.exists(path):
        return {"id_to_label": {}}
    with paths.explained("Chroma", files), open(path, "rb") as file:
        found = pickles.load(file, os.path.getsize(path), _IDS, path)
    saved = found.fields if isinstance(found, pickles.Model) else found
    if not isinstance(saved, dict) or type(saved.get("id_to_label")) is not dict:
        raise StorageError(f"{path} is damaged: it has no ids")
    return saved
