"""A client of LynseDB, a vector engine on a server of one's own; sync and async.

Every endpoint of LynseDB's page is a method of a collection, under the page's name, on each version
that has it. docs/lynsedb.md says what is safe there.
"""

from vectorize_core.lynse.async_collection import AsyncLynseCollection
from vectorize_core.lynse.client import AsyncLynseClient, LynseClient
from vectorize_core.lynse.collection import LynseCollection
from vectorize_core.lynse.connecting import LynseOptions
from vectorize_core.lynse.database import AsyncLynseDatabase, LynseDatabase
from vectorize_core.lynse.models import (
    BinaryHits,
    BinaryRows,
    CollectionConfig,
    CollectionStats,
    Fields,
    Hits,
    Id,
    Item,
    Rows,
    ServerInfo,
    SparseVector,
    VectorField,
)
from vectorize_core.lynse.options import FindOptions, HybridOptions, SearchOptions, TextOptions
from vectorize_core.lynse.words import SparseEmbedding

__all__ = [
    "AsyncLynseClient",
    "AsyncLynseCollection",
    "AsyncLynseDatabase",
    "BinaryHits",
    "BinaryRows",
    "CollectionConfig",
    "CollectionStats",
    "Fields",
    "FindOptions",
    "Hits",
    "HybridOptions",
    "Id",
    "Item",
    "LynseClient",
    "LynseCollection",
    "LynseDatabase",
    "LynseOptions",
    "Rows",
    "SearchOptions",
    "ServerInfo",
    "SparseEmbedding",
    "SparseVector",
    "TextOptions",
    "VectorField",
]

for _export in map(globals().get, __all__):
    if isinstance(_export, type):
        _export.__module__ = __name__
