"""Reading what people leave: a file for each store that they come from.

A reader needs no library of the store that it reads, except for Parquet and PostgreSQL. What it
reads is other people's: nothing in it is run, imported or fetched, and sizes are checked before
they are believed.
"""

from vectorize_core.moving.foreign.chroma import read_chroma
from vectorize_core.moving.foreign.faiss import read_faiss
from vectorize_core.moving.foreign.foreign import Foreign
from vectorize_core.moving.foreign.pgvector import read_pgvector
from vectorize_core.moving.foreign.pinecone import read_pinecone
from vectorize_core.moving.foreign.qdrant import read_qdrant, read_qdrant_scroll
from vectorize_core.moving.foreign.simple_vector_store import read_simple_vector_store

__all__ = [
    "Foreign",
    "read_chroma",
    "read_faiss",
    "read_pgvector",
    "read_pinecone",
    "read_qdrant",
    "read_qdrant_scroll",
    "read_simple_vector_store",
]
