"""LangChain's FAISS: the pair of files of ``save_local()``, read without FAISS or LangChain."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from vectorize_core import paths
from vectorize_core.errors import StorageError
from vectorize_core.models import Metric
from vectorize_core.moving.foreign import pickles
from vectorize_core.moving.foreign.foreign import Foreign, folder, metric_of
from vectorize_core.moving.foreign.llama_nodes import of_metadata
from vectorize_core.records.item import Item

_HEADER: Final = struct.Struct("<4siqqqBi")
_SIZE: Final = struct.Struct("<Q")
_ARGUMENT: Final = 4
"""Bytes of the argument that a metric other than the first two has."""
_FLAT: Final = (b"IxF2", b"IxFI", b"IxFl")
_METRICS: Final[dict[object, Metric]] = {0: "dot-product", 1: "euclidean"}
_CLASSES: Final = {
    pickles.Class(package, name)
    for package in ("langchain", "langchain_classic", "langchain_community", "langchain_core")
    for name in ("Document", "InMemoryDocstore")
}


class _Flat(NamedTuple):
    path: str
    metric: int
    dimensions: int
    vectors: int
    at: int
    """Where the vectors begin."""


def read_faiss(
    path: str | os.PathLike[str], name: str = "index", *, metric: Metric | None = None
) -> Foreign:
    """The documents in a folder of LangChain's FAISS, with their embeddings.

    ``name`` is the ``index_name`` of `save_local`. ``metric`` stands in for the one of the index.
    All documents are in memory, as LangChain has them. `StorageError` for files that are damaged,
    an index that is not flat, and a pickle that holds more than documents with plain metadata.
    """
    files = f"{name}.faiss", f"{name}.pkl"
    place = folder(path, *files)
    title = f"the FAISS index {name!r} in {place}"
    index, documents = (os.path.join(place, file) for file in files)
    found = _header(index)
    return Foreign(
        title,
        partial(_records, found, documents),
        metric_of(found.metric, _METRICS, metric, title),
        found.dimensions,
        found.vectors,
    )


def _header(path: str) -> _Flat:
    with paths.explained("FAISS", path), open(path, "rb") as file:
        raw = file.read(_HEADER.size + _ARGUMENT + _SIZE.size)
        size = os.fstat(file.fileno()).st_size
    if len(raw) < len(_FLAT[0]) or (raw[:4] in _FLAT and len(raw) < _HEADER.size + _SIZE.size):
        raise StorageError(f"{path} is damaged: it is too short")
    if raw[:4] not in _FLAT:
        raise StorageError(
            f"{path} is no flat index but one of the kind {raw[:4]!r}, which may hold values only "
            "approximately. Make it flat with FAISS: flat = faiss.IndexFlat(index.d, "
            "index.metric_type), flat.add(index.reconstruct_n(0, index.ntotal)), and "
            "faiss.write_index(flat, path)"
        )
    _, dimensions, count, _, _, _, metric = _HEADER.unpack_from(raw)
    at = _HEADER.size + (_ARGUMENT if metric > 1 else 0)
    (values,) = _SIZE.unpack_from(raw, at)
    at += _SIZE.size
    if dimensions < 1 or count < 0 or values != count * dimensions or at + 4 * values > size:
        raise StorageError(
            f"{path} is damaged: it says {count} vectors of {dimensions} dimensions, and has "
            f"{size} bytes"
        )
    return _Flat(path, metric, dimensions, count, at)


def _records(index: _Flat, path: str) -> Iterator[Item]:
    documents, ids = _documents(path)
    shape = (index.vectors, index.dimensions)
    if not index.vectors:
        return
    with paths.explained("FAISS", index.path):
        vectors = np.memmap(index.path, "<f4", "r", index.at, shape)
    for position in range(index.vectors):
        record_id = ids.get(position)
        found = documents.get(record_id) if isinstance(record_id, str) else None
        fields = found.fields if isinstance(found, pickles.Model) else {}
        text, metadata = fields.get("page_content"), fields.get("metadata")
        if not isinstance(record_id, str) or not isinstance(text, str):
            raise StorageError(
                f"{path} does not belong to {os.path.basename(index.path)}, or is damaged: it has "
                f"no document for the vector at position {position}"
            )
        metadata = metadata if isinstance(metadata, dict) else {}
        pickles.check_size(metadata, f"the metadata of {record_id!r} in {path}")
        values = np.array(vectors[position], np.float32)
        yield Item(of_metadata(record_id, text, dict(metadata)), values)


def _documents(path: str) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The documents by id, and the ids by position."""
    with paths.explained("FAISS", path), open(path, "rb") as file:
        found = pickles.load(file, os.path.getsize(path), _CLASSES, path)
    docstore, ids = found if isinstance(found, tuple) and len(found) == 2 else (None, None)
    documents = docstore.fields.get("_dict") if isinstance(docstore, pickles.Model) else None
    if not isinstance(documents, dict) or not isinstance(ids, dict):
        raise StorageError(f"{path} is damaged: it is no pickle of LangChain's FAISS")
    return documents, ids
