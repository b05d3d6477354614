"""`VectorizeVectorStore` for LlamaIndex."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypedDict

from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_vectorize.filters import to_expression
from llama_index_vectorize.nodes import to_items, to_node
from vectorize_core import checks, layout
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient
from vectorize_core.closing import AsyncClosing, SyncClosing
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.flows.source import Records
from vectorize_core.flows.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.io import AsyncIo, Io, SyncIo, run
from vectorize_core.keywords import accept
from vectorize_core.locate import ConnectOptions, locate
from vectorize_core.models import Filter, IndexType, Metric
from vectorize_core.store import AddOptions, CountOptions, FindOptions, RecordStore
from vectorize_core.store_index import StoreIndex


class QueryOptions(TypedDict, total=False):
    """What a query takes besides the query itself.

    ``namespace`` narrows it to one namespace, ``vectorize_filter`` is a filter that is sent to
    the service as it is. ``unindexed="scan"`` allows reading nodes to evaluate what no metadata
    index can look up, ``max_requests`` is how many requests the query may take (100).
    """

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int


class DeleteOptions(WaitOptions, total=False):
    """How nodes are deleted; ``verify`` looks again until nothing that matches is left."""

    verify: bool


class DeleteNodesOptions(DeleteOptions, total=False):
    """As `DeleteOptions`, and how much may be read to find the nodes."""

    unindexed: Unindexed
    max_requests: int


class VectorizeVectorStore(BasePydanticVectorStore, SyncClosing, AsyncClosing):
    """LlamaIndex vector store over Cloudflare Vectorize, or over an embedded Vectorize.

    ``pip install 'vectorize-stores[llama-index]'``. For Cloudflare, set ``CLOUDFLARE_ACCOUNT_ID``
    and ``CLOUDFLARE_API_TOKEN``; with ``path=`` no account is needed.

    Similarities are larger for nearer nodes, whatever the metric: cosine similarity as it is,
    the dot product, and 1 / (1 + distance) for Euclidean distance.

    Examples:
        .. code-block:: python

            from llama_index.core import StorageContext, VectorStoreIndex
            from llama_index_vectorize import VectorizeVectorStore

            store = VectorizeVectorStore(index_name="docs", path="./vectors")
            store = VectorizeVectorStore(index_name="docs")  # Cloudflare

            context = StorageContext.from_defaults(vector_store=store)
            index = VectorStoreIndex.from_documents(documents, storage_context=context)
            index = VectorStoreIndex.from_vector_store(store)  # what is there already
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    index_name: str = Field(description="The index to work on.")
    path: str | None = Field(default=None, description="Where an embedded Vectorize is kept.")
    namespace: str | None = Field(
        default=None,
        description="Where nodes are written and searched; None searches all namespaces.",
    )
    text_key: str = Field(
        default=layout.DEFAULT_TEXT_KEY, description="The metadata key that holds the text."
    )
    create_index: bool | None = Field(
        default=None, description="Whether the first write creates a missing index."
    )
    metric: Metric | None = Field(default=None, description="Of an index that is created.")
    metadata_indexes: Mapping[str, IndexType] | None = Field(
        default=None, description="Filterable properties of an index that is created."
    )
    batch_size: int | None = Field(default=None, description="Nodes sent at a time (500).")
    wait: bool | Literal["processed", "visible"] = Field(
        default=False, description="What writes wait for."
    )
    wait_timeout: float = Field(
        default=DEFAULT_WAIT_TIMEOUT, description="For how many seconds at most."
    )

    _records: RecordStore = PrivateAttr()
    _io: SyncIo = PrivateAttr()
    _async_io: AsyncIo = PrivateAttr()

    def __init__(
        self,
        index_name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        client: VectorizeClient | AsyncVectorizeClient | None = None,
        index: Index | AsyncIndex | None = None,
        namespace: str | None = None,
        text_key: str = layout.DEFAULT_TEXT_KEY,
        create_index: bool | None = None,
        metric: Metric | None = None,
        metadata_indexes: Mapping[str, IndexType] | None = None,
        batch_size: int | None = None,
        wait: Wait = False,
        wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
        **credentials: Any,
    ) -> None:
        """A store; this sends nothing.

        Args:
            index_name: the index to work on.
            path: a directory or ``":memory:"``, for an embedded Vectorize.
            client: the client to use; the store does not close it.
            index: the index to use, instead of ``index_name`` and ``client``.
            namespace: where nodes are written and searched unless a call says otherwise; None
                writes to the unnamed namespace and searches all of them.
            text_key: the metadata key that holds the text.
            create_index: whether the first write creates a missing index. By default only with
                ``path``: on Cloudflare a typo must not make an index that is paid for.
            metric: of an index that is created ("cosine" by default); checked otherwise.
            metadata_indexes: of an index that is created: the properties to filter on, with
                their types, such as ``{"year": "number"}``; checked otherwise.
            batch_size: nodes sent at a time (500).
            wait: what writes wait for: False (accepted), "processed", "visible" or True.
            wait_timeout: for how many seconds at most.
            **credentials: the arguments of `VectorizeClient` but for transports: ``account_id``,
                ``api_token``, ``api_key``, ``email``, ``base_url``, ``timeout``, ``retry``,
                ``rate_limit``, ``on_event``, ``http_client``, ``async_http_client``.
        """
        options = accept(ConnectOptions, credentials, type(self))
        located = locate(index_name, path=path, client=client, index=index, **options)
        creation: dict[str, Any] = {
            "create_index": create_index,
            "metric": metric,
            "metadata_indexes": metadata_indexes,
        }
        settings: dict[str, Any] = {
            "namespace": namespace,
            "text_key": text_key,
            "batch_size": batch_size,
            "wait": wait,
            "wait_timeout": wait_timeout,
        }
        place: dict[str, Any] = {
            "index_name": located.index_name,
            "path": os.fspath(path) if path is not None else None,
        }
        # First, for its errors say more than those of pydantic.
        records = RecordStore(index=StoreIndex(located=located, **creation), **settings)
        super().__init__(**place, **creation, **settings)
        self._records = records
        self._io = located.connection.io()
        self._async_io = located.connection.async_io()

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex knows the store by."""
        return "VectorizeVectorStore"

    @classmethod
    def local(
        cls, index_name: str, path: str | os.PathLike[str] = ":memory:", **kwargs: Any
    ) -> Self:
        """A store over an embedded Vectorize: ``path=`` with a default."""
        return cls(index_name, path=path, **kwargs)

    @property
    def client(self) -> Index:
        """The index underneath."""
        return Index(self._records.index.located.connection, self.index_name)

    @property
    def aclient(self) -> AsyncIndex:
        """The index underneath, for async code."""
        return AsyncIndex(self._records.index.located.connection, self.index_name)

    def add(self, nodes: Iterable[BaseNode], **add_kwargs: Any) -> list[str]:
        """Write embedded nodes; a node whose id exists replaces the old one whole.

        ``nodes`` may be a generator of any length. Options: ``namespace``, ``dry_run`` (returns a
        `WriteEstimate` and writes nothing) and those of `WriteOptions`: ``batch_size``, ``wait``,
        ``wait_timeout``, ``on_batch``, ``show_progress``, ``resume`` and more.

        Returns the node ids in input order. Raises `InvalidVectorError` naming the node,
        `PartialWriteError` when some were written and some not, `WaitTimeoutError`.
        """
        options = accept(AddOptions, add_kwargs, self.add)
        return run(self._records.add(self._io, to_items(nodes), **options))

    async def async_add(self, nodes: Records[BaseNode], **add_kwargs: Any) -> list[str]:
        """`add`, awaited; takes async iterables too."""
        options = accept(AddOptions, add_kwargs, self.async_add)
        return await self._records.add(self._async_io, to_items(nodes), **options)

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a source document; an unknown one is no error.

        Options: ``wait``, ``wait_timeout``, and ``verify``, which looks again after the deletion
        is visible until no node of the document is left.
        """
        options = accept(DeleteOptions, delete_kwargs, self.delete)
        run(self._delete_document(self._io, ref_doc_id, options))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """`delete`, awaited."""
        options = accept(DeleteOptions, delete_kwargs, self.adelete)
        await self._delete_document(self._async_io, ref_doc_id, options)

    async def _delete_document(self, io: Io, ref_doc_id: str, options: DeleteOptions) -> None:
        await self._records.delete_matching(io, refs=[ref_doc_id], **options)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes by id, by filter, or those that satisfy both; neither is an error.

        Options: ``wait``, ``wait_timeout``, ``unindexed``, ``max_requests`` (1,000), and
        ``verify``, which looks again after the deletion is visible until nothing that matches is
        left. To delete everything, use `clear`.
        """
        options = accept(DeleteNodesOptions, delete_kwargs, self.delete_nodes)
        run(self._delete_nodes(self._io, node_ids, filters, options))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """`delete_nodes`, awaited."""
        options = accept(DeleteNodesOptions, delete_kwargs, self.adelete_nodes)
        await self._delete_nodes(self._async_io, node_ids, filters, options)

    async def _delete_nodes(
        self,
        io: Io,
        node_ids: list[str] | None,
        filters: MetadataFilters | None,
        options: DeleteNodesOptions,
    ) -> None:
        _check_selected(node_ids, filters)
        if node_ids is None:
            await self._records.delete_matching(io, filter=to_expression(filters), **options)
            return
        ids: Sequence[str] = node_ids
        if filters is not None:
            found = await self._records.records(io, ids=ids, filter=to_expression(filters))
            ids = [record.id for record in found]
        await self._records.delete(
            io, ids, wait=options.get("wait"), wait_timeout=options.get("wait_timeout")
        )

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **get_kwargs: Any,
    ) -> list[BaseNode]:
        """Nodes by id, by filter, or those that satisfy both; neither is an error.

        Options: ``namespace``, ``unindexed`` and ``max_requests`` (1,000).
        """
        options = accept(FindOptions, get_kwargs, self.get_nodes)
        return run(self._get_nodes(self._io, node_ids, filters, options))

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **get_kwargs: Any,
    ) -> list[BaseNode]:
        """`get_nodes`, awaited."""
        options = accept(FindOptions, get_kwargs, self.aget_nodes)
        return await self._get_nodes(self._async_io, node_ids, filters, options)

    async def _get_nodes(
        self,
        io: Io,
        node_ids: list[str] | None,
        filters: MetadataFilters | None,
        options: FindOptions,
    ) -> list[BaseNode]:
        _check_selected(node_ids, filters)
        found = await self._records.records(
            io, ids=node_ids, filter=to_expression(filters), **options
        )
        return [to_node(record) for record in found]

    def count(self, filters: MetadataFilters | None = None, **kwargs: Any) -> int:
        """How many nodes ``filters`` match, or there are; this client's own writes included.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), and
        ``precision="high"``, which leaves nothing to the service's approximation.
        """
        options = accept(CountOptions, kwargs, self.count)
        return run(self._records.count(self._io, filter=to_expression(filters), **options))

    async def acount(self, filters: MetadataFilters | None = None, **kwargs: Any) -> int:
        """`count`, awaited."""
        options = accept(CountOptions, kwargs, self.acount)
        return await self._records.count(self._async_io, filter=to_expression(filters), **options)

    def explain_filter(
        self,
        filters: MetadataFilters | None,
        similarity_top_k: int | None = 4,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """How a query for so many nodes (None: for all) is answered, for how many requests."""
        given = to_expression(filters)
        return run(
            self._records.explain_filter(self._io, given, similarity_top_k, unindexed=unindexed)
        )

    async def aexplain_filter(
        self,
        filters: MetadataFilters | None,
        similarity_top_k: int | None = 4,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """`explain_filter`, awaited."""
        given = to_expression(filters)
        return await self._records.explain_filter(
            self._async_io, given, similarity_top_k, unindexed=unindexed
        )

    def clear(self) -> None:
        """Delete every node; in a store with a namespace, every node of that namespace."""
        run(self._records.clear(self._io))

    async def aclear(self) -> None:
        """`clear`, awaited."""
        await self._records.clear(self._async_io)

    def reindex_metadata(self, **kwargs: Any) -> int:
        """Write every vector of the index again as it is; returns how many there were.

        A metadata index covers what is written once it is live; this makes it cover what is older,
        in all namespaces. Nobody else should write meanwhile. Options: ``wait``, ``wait_timeout``.
        """
        options = accept(WaitOptions, kwargs, self.reindex_metadata)
        return run(self._records.reindex_metadata(self._io, **options))

    async def areindex_metadata(self, **kwargs: Any) -> int:
        """`reindex_metadata`, awaited."""
        options = accept(WaitOptions, kwargs, self.areindex_metadata)
        return await self._records.reindex_metadata(self._async_io, **options)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes nearest to the query's embedding, best first.

        ``filters`` may be any (docs/filters.md); `UnindexedPropertyError` for what no metadata
        index can look up, unless ``unindexed="scan"``. ``doc_ids`` and ``node_ids`` restrict the
        search; an empty list does not. Other options: ``namespace``, ``vectorize_filter`` and
        ``max_requests`` (100).
        """
        options = accept(QueryOptions, kwargs, self.query)
        return run(self._query(self._io, query, options))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """`query`, awaited."""
        options = accept(QueryOptions, kwargs, self.aquery)
        return await self._query(self._async_io, query, options)

    async def _query(
        self, io: Io, query: VectorStoreQuery, options: QueryOptions
    ) -> VectorStoreQueryResult:
        if query.mode != VectorStoreQueryMode.DEFAULT:
            raise NotImplementedError(
                f"the query mode {query.mode.value!r} is not supported; Vectorize searches by "
                "vector only: use the mode 'default'"
            )
        if query.query_embedding is None:
            raise InvalidInputError("the query has no embedding; use get_nodes(filters=) instead")
        expression = to_expression(query.filters)
        refs = query.doc_ids or None
        embedding, k = query.query_embedding, query.similarity_top_k
        if query.node_ids:
            hits = await self._records.search_among(
                io,
                query.node_ids,
                embedding,
                k,
                filter=expression,
                refs=refs,
                vectorize_filter=options.get("vectorize_filter"),
                namespace=options.get("namespace"),
            )
        else:
            hits = await self._records.search(
                io, embedding, k, filter=expression, refs=refs, **options
            )
        metric = await self._records.index.metric_of(io)
        return VectorStoreQueryResult(
            nodes=[to_node(hit.record) for hit in hits],
            similarities=[similarity(metric, hit.match.score) for hit in hits],
            ids=[hit.record.id for hit in hits],
        )

    def wait_for_writes(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store, and of its client.

        For at most ``wait_timeout`` seconds (else the store's own), then `WaitTimeoutError`.
        """
        run(self._records.await_writes(self._io, wait_timeout))

    async def await_writes(self, *, wait_timeout: float | None = None) -> None:
        """`wait_for_writes`, awaited."""
        await self._records.await_writes(self._async_io, wait_timeout)

    def close(self) -> None:
        """Close the connection, if it is the store's own; safe to call again."""
        self._records.close()

    async def aclose(self) -> None:
        """`close` both faces, awaited."""
        await self._records.aclose()


def _check_selected(node_ids: Sequence[str] | None, filters: MetadataFilters | None) -> None:
    if node_ids is not None:
        checks.check_id_list(node_ids)
    elif filters is None or not filters.filters:
        raise InvalidInputError(
            "give node_ids or filters; clear() deletes everything, and client.list_ids() lists it"
        )


def similarity(metric: Metric, score: float) -> float:
    """A score of Vectorize as LlamaIndex wants it: larger is nearer, for every metric."""
    if metric == "cosine":
        return score
    return -score if metric == "dot-product" else 1.0 / (1.0 + score)
