"""A LlamaIndex vector store over Cloudflare Vectorize, or over an embedded Vectorize."""

import importlib.util

if importlib.util.find_spec("llama_index") is None or (
    importlib.util.find_spec("llama_index.core") is None
):
    raise ImportError(
        "llama_index_vectorize needs LlamaIndex: pip install 'vectorize-stores[llama-index]'"
    )

from llama_index_vectorize.configured import NodeLayout
from llama_index_vectorize.filters import NodeFilters, to_expression
from llama_index_vectorize.texts import KVStoreTexts
from llama_index_vectorize.vector_store import VectorizeVectorStore

__all__ = ["KVStoreTexts", "NodeFilters", "NodeLayout", "VectorizeVectorStore", "to_expression"]

for _export in (KVStoreTexts, VectorizeVectorStore, to_expression):
    _export.__module__ = __name__
