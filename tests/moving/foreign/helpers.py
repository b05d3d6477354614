"""What comes out of the files of another store, in stores of both frameworks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llama_index.core.schema import BaseNode

import langchain_vectorize
import llama_index_vectorize
from tests.moving.foreign.records import documents, nodes
from tests.stores import Embedder
from vectorize_core.moving import Foreign, import_records


def check_documents(source: Foreign, path: Path) -> None:
    """All `documents`, and nothing else, the long one too."""
    store = langchain_vectorize.VectorizeVectorStore(
        Embedder(), index_name="documents", path=path, metric=source.metric
    )
    wanted = documents()
    assert import_records(source, store).records == len(wanted)
    found = store.get_by_ids([str(document.id) for document in wanted])
    assert found == wanted
    assert store.count() == len(wanted)
    store.close()


def check_nodes(source: Foreign, path: Path, wanted: Sequence[BaseNode] | None = None) -> None:
    """All `nodes` as equal ones, of which LlamaIndex makes the same prompts."""
    wanted = nodes() if wanted is None else wanted
    store = llama_index_vectorize.VectorizeVectorStore("nodes", path=path, metric=source.metric)
    import_records(source, store)
    found = store.get_nodes([node.node_id for node in wanted])
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is type(other)
        assert one == other.model_copy(update={"embedding": None})
        assert one.hash == other.hash
        assert list(one.metadata) == list(other.metadata)
    store.delete("the-document")
    assert store.count() == len(wanted) - sum(node.ref_doc_id is not None for node in wanted)
    store.close()
