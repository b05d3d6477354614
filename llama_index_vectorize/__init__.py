"""A LlamaIndex vector store over Cloudflare Vectorize, or over an embedded Vectorize."""

import importlib.util

if importlib.util.find_spec("llama_index") is None or (
    importlib.util.find_spec("llama_index.core") is None
):
    raise ImportError(
        "llama_index_vectorize needs LlamaIndex: pip install 'vectorize-stores[llama-index]'"
    )

from llama_index_vectorize.filters import NodeFilters, to_expression
from llama_index_vectorize.options import (
    CompareOptions,
    DeleteNodesOptions,
    DeleteOptions,
    DumpedOptions,
    GetOptions,
    NodeLayout,
    StoreOptions,
    StoreSettings,
)
from llama_index_vectorize.query import QueryOptions
from llama_index_vectorize.texts import KVStoreTexts
from llama_index_vectorize.vector_store import VectorizeVectorStore

__all__ = [
    "CompareOptions",
    "DeleteNodesOptions",
    "DeleteOptions",
    "DumpedOptions",
    "GetOptions",
    "KVStoreTexts",
    "NodeFilters",
    "NodeLayout",
    "QueryOptions",
    "StoreOptions",
    "StoreSettings",
    "VectorizeVectorStore",
    "to_expression",
]

# Not the aliases', and not the store's: pydantic resolves its annotations in its own module.
for _name in {*__all__} - {"NodeFilters", "NodeLayout", "VectorizeVectorStore"}:
    globals()[_name].__module__ = __name__
