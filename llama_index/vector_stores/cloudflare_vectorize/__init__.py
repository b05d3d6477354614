"""The store of `llama_index_vectorize` where LlamaIndex looks for vector stores."""

from llama_index_vectorize import VectorizeVectorStore

__all__ = ["VectorizeVectorStore"]
