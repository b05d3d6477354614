"""Qdrant: the directory of a local client, and files of points as the scroll API answers them.

The directory is read without Qdrant: its points are pickles in SQLite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from sqlite3 import Connection
from typing import Any, Final
from uuid import UUID

import orjson

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError, InvalidVectorError, StorageError, shown
from vectorize_core.models import Metric
from vectorize_core.moving.foreign import json_values, pickles
from vectorize_core.moving.foreign.foreign import Foreign, check_metric, folder, metric_of, pick
from vectorize_core.moving.foreign.json_values import Value
from vectorize_core.moving.foreign.payloads import of_payload
from vectorize_core.moving.foreign.sqlite_source import reading
from vectorize_core.records.item import Item

_META: Final = "meta.json"
_METRICS: Final[dict[object, Metric]] = {
    "Cosine": "cosine",
    "Euclid": "euclidean",
    "Dot": "dot-product",
}
_WRAPPED: Final = ("result", "points")
"""In what an answer has its points, the one in the other."""
_CLASSES: Final = (
    pickles.Class("qdrant_client", "PointStruct"),
    pickles.Class("qdrant_client", "SparseVector"),
)


def read_qdrant(
    path: str | os.PathLike[str],
    collection: str | None = None,
    *,
    vector: str | None = None,
    text_key: str | None = None,
    metric: Metric | None = None,
) -> Foreign:
    """The points of a collection in the directory of ``QdrantClient(path=...)``.

    ``collection`` may be left out if there is one only, and so ``vector``, the name of the vectors
    to take. The text of a point is under ``text_key`` of its payload; by default under the first
    of ``page_content``, as LangChain has it, ``document`` and ``text`` that is there. Nodes of
    LlamaIndex are recognised. ``metric`` stands in for the collection's own. `StorageError` for a
    directory that is damaged or none of Qdrant's.
    """
    place = folder(path, _META)
    where = f"Qdrant in {place}"
    collections = _collections(os.path.join(place, _META))
    name = pick("collection", collections, collection, where, "collection")
    title = f"the Qdrant collection {name!r} in {place}"
    config = collections[name].get("vectors")
    if isinstance(config, dict) and "size" not in config:
        vector = pick("vectors", config, vector, title, "vector")
        config = config[vector]
    elif vector:
        raise InvalidInputError(f"{title} has vectors without a name: leave vector= out")
    if not isinstance(config, dict) or not isinstance(config.get("size"), int):
        raise StorageError(f"{_META} in {place} is damaged: it does not say the size of vectors")
    found = metric_of(config.get("distance"), _METRICS, metric, title)
    file = os.path.join(place, "collection", name, "storage.sqlite")
    if os.path.dirname(os.path.dirname(file)) != os.path.join(place, "collection"):
        raise StorageError(f"{_META} in {place} is damaged: {name!r} is no name of a collection")
    with _reading(file) as connection:
        (count,) = connection.execute("SELECT count(*) FROM points").fetchone()
    read = partial(_points, file, title, vector, text_key)
    return Foreign(title, read, found, config["size"], count)


def read_qdrant_scroll(
    path: str | os.PathLike[str],
    *,
    vector: str | None = None,
    text_key: str | None = None,
    metric: Metric | None = None,
) -> Foreign:
    """The points in a file of JSON, with their vectors, as the scroll API of Qdrant answers them.

    That is answers as they are, one after the other, lists of points, or lines with a point each.
    ``vector`` and ``text_key`` are as in `read_qdrant`. The file does not say the metric, so it is
    checked only if it is given. `StorageError` for a file that is damaged, `InvalidVectorError` for
    a point without its vector.
    """
    check_metric(metric)
    file = paths.absolute(path, error=InvalidInputError)
    title = f"the points of Qdrant in {file}"
    return Foreign(title, partial(_scrolled, file, title, vector, text_key), metric)


def _collections(path: str) -> dict[str, dict[str, Any]]:
    with paths.explained("Qdrant", path), open(path, "rb") as file:
        raw = file.read()
    try:
        found = orjson.loads(raw)["collections"]
        return {str(name): dict(config) for name, config in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StorageError(f"{path} is damaged: it lists no collections") from None


def _reading(file: str) -> AbstractContextManager[Connection]:
    return reading(file, "Qdrant", ("points",))


def _points(file: str, title: str, vector: str | None, text_key: str | None) -> Iterator[Item]:
    with _reading(file) as connection:
        for number, (raw,) in enumerate(connection.execute("SELECT point FROM points ORDER BY id")):
            where = f"the point at position {number} in {file}"
            if not isinstance(raw, bytes):
                raise StorageError(f"{where} is damaged: no pickle")
            point = pickles.loads(raw, _CLASSES, where)
            if not isinstance(point, pickles.Model):
                raise StorageError(f"{where} is damaged: no point")
            pickles.check_size(point.fields.get("payload"), f"the payload of {where}")
            yield _item(point.fields, title, vector, text_key)


def _scrolled(file: str, title: str, vector: str | None, text_key: str | None) -> Iterator[Item]:
    with json_values.opened(file) as documents:
        for document in documents:
            for value in _found(document, title):
                point = value.load()
                if not isinstance(point, dict):
                    raise StorageError(f"{title}: a point is an object; got {shown(point)}")
                yield _item(point, title, vector, text_key)


def _found(document: Value, title: str, depth: int = 0) -> Iterator[Value]:
    """The points in a document: an answer, what is under its ``result``, a list, or a point."""
    if document.is_array:
        yield from document.items()
    elif document.is_object:
        for key, value in document.members():
            is_answer = depth < len(_WRAPPED) and key in _WRAPPED
            if is_answer and (value.is_object or value.is_array):
                yield from _found(value, title, depth + 1)
                return
            if key in ("id", "vector", "payload"):
                yield document
                return
        raise StorageError(f"{title}: there is an answer without points")
    else:
        raise StorageError(f"{title}: there is a value that is neither an answer nor a point")


def _item(point: dict[str, Any], title: str, vector: str | None, text_key: str | None) -> Item:
    record_id = point.get("id")
    if isinstance(record_id, bool) or not isinstance(record_id, (int, str, UUID)):
        raise InvalidVectorError(f"{title}: a point has the id {shown(record_id)}")
    where = f"{title}: point {record_id!r}"
    values = point.get("vector")
    if isinstance(values, dict):
        dense = {name: found for name, found in values.items() if isinstance(found, list)}
        values = dense[pick("vector", dense, vector, where, "vector")]
    if not isinstance(values, list):
        raise InvalidVectorError(
            f"{where} has no vector but {shown(values)}. The scroll API sends vectors only "
            "if it is asked with with_vector=true"
        )
    payload = point.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise InvalidVectorError(f"{where}: its payload is {shown(payload)}, not an object")
    return Item(of_payload(str(record_id), payload or {}, text_key), values)
