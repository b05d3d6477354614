"""The keyword arguments of the LlamaIndex store, as type checkers and editors see them."""

import os
from typing import Final, Literal, TypedDict

from llama_index.core.storage.kvstore.types import BaseKVStore

from vectorize_core.filters.plan import Unindexed
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records import settings
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.http_options import HttpOptions

NodeLayout = Literal["compact", "stock"]


class StoreSettings(settings.StoreSettings, total=False):
    """The settings of a `VectorizeVectorStore` and its credentials. See its constructor."""

    texts: TextStore | BaseKVStore | None
    node_layout: NodeLayout
    create_index: bool | None
    show_progress: bool
    unindexed: Unindexed


class StoreOptions(StoreSettings, total=False):
    """All arguments of a `VectorizeVectorStore`."""

    index_name: str | None
    path: str | os.PathLike[str] | None


class DumpedOptions(HttpOptions, total=False):
    """Credentials, and what else `to_dict` and `model_dump` write."""

    bound: bool
    stores_text: bool
    is_embedding_query: bool
    flat_metadata: bool
    class_name: str


class GetOptions(FindOptions, total=False):
    """As `FindOptions`; at most ``limit`` nodes, with their embeddings if those are wanted.

    With ``offset``, after so many, in the order of their ids or of ``node_ids``.
    """

    limit: int | None
    offset: int | None
    include_embeddings: bool


class DeleteOptions(WaitOptions, total=False):
    """How nodes are deleted, and from which namespace.

    ``verify`` waits until the deletion is visible, looks again, and deletes what still matches,
    until nothing does.
    """

    namespace: str | None
    verify: bool


class DeleteNodesOptions(WaitOptions, FindOptions, total=False):
    """As `DeleteOptions`, and how much may be read to find the nodes."""

    verify: bool


class CompareOptions(TypedDict, total=False):
    """Which nodes are compared, and how many requests may read them (1,000)."""

    namespace: str | None
    max_requests: int | None


ELSEWHERE: Final = {
    "dimensions": "VectorizeClient.create_index()",
    "similarity_top_k": "VectorStoreQuery()",
    "include_embeddings": "get_nodes()",
    "limit": "get_nodes()",
    "offset": "get_nodes()",
    "text_index": "VectorizeVectorStore()",
    "fusion": "query()",
}
"""What takes the keywords that are often given to another method."""
