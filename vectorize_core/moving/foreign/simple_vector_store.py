"""LlamaIndex's `SimpleVectorStore`: the folder of ``storage_context.persist()``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from vectorize_core import paths
from vectorize_core.errors import InvalidInputError, StorageError
from vectorize_core.models import Metric
from vectorize_core.moving.foreign import json_values
from vectorize_core.moving.foreign.foreign import Foreign, check_metric, folder
from vectorize_core.moving.foreign.json_values import Value
from vectorize_core.moving.foreign.llama_nodes import of_node
from vectorize_core.records.item import Item

_NODES: Final = "docstore.json"


def read_simple_vector_store(
    path: str | os.PathLike[str], name: str = "default", *, metric: Metric | None = None
) -> Foreign:
    """The nodes in a folder that LlamaIndex has persisted, with their embeddings.

    ``name`` is that of the vector store, for an index of images ``"image"``. It compares by the
    cosine; ``metric`` stands in for that, for an index with another one. Of each node its id and
    place in the file of nodes are in memory. `StorageError` for files that are damaged, or that
    lack a node.
    """
    check_metric(metric)
    place = paths.absolute(path, error=InvalidInputError)
    file = f"{name}__vector_store.json"
    if name == "default" and not os.path.exists(os.path.join(place, file)):
        file = "vector_store.json"  # as versions before 0.8 called it
    place = folder(place, file, _NODES)
    title = f"the SimpleVectorStore {name!r} in {place}"
    vectors, nodes = os.path.join(place, file), os.path.join(place, _NODES)
    dimensions = next((len(values) for _, values in _embeddings(vectors)), None)
    return Foreign(title, partial(_records, vectors, nodes), metric or "cosine", dimensions)


def _records(vectors: str, nodes: str) -> Iterator[Item]:
    with json_values.opened(nodes) as documents:
        data = _object(documents, "docstore/data", nodes)
        found = {} if data is None else dict(data.members())
        for node_id, values in _embeddings(vectors):
            if node_id not in found:
                raise StorageError(
                    f"{nodes} has no node {node_id!r}, whose embedding is in "
                    f"{os.path.basename(vectors)}: persist both together"
                )
            entry = found[node_id].load()
            content = entry.get("__data__") if isinstance(entry, dict) else None
            if not isinstance(content, dict):
                raise StorageError(f"{nodes} is damaged: the node {node_id!r} is no object")
            yield Item(of_node(node_id, None, content), values)


def _embeddings(path: str) -> Iterator[tuple[str, Any]]:
    with json_values.opened(path) as documents:
        found = _object(documents, "embedding_dict", path)
        for node_id, value in () if found is None else found.members():
            values = value.load()
            if not isinstance(values, list):
                raise StorageError(f"{path} is damaged: the embedding of {node_id!r} is no list")
            yield node_id, values


def _object(documents: Iterator[Value], name: str, path: str) -> Value | None:
    """The object under a name in the first document of a file, None if it has none."""
    document = next(documents, None)
    if document is None or not document.is_object:
        raise StorageError(f"{path} is damaged: it is no JSON object")
    found = document.member(name)
    if found is not None and not found.is_object:
        raise StorageError(f"{path} is damaged: {name!r} is no object")
    return found
