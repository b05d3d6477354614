"""`VectorizeVectorStore` for LlamaIndex."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

from llama_index.core.storage.kvstore.types import BaseKVStore

from llama_index_vectorize.adding import Adding
from llama_index_vectorize.configured import NodeLayout
from llama_index_vectorize.querying import Querying
from llama_index_vectorize.texts import as_texts
from vectorize_core import layout
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient
from vectorize_core.connection import HttpOptions
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import OnOversize, RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.io import run


class VectorizeVectorStore(Adding, Querying):
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

    def __init__(
        self,
        index_name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        client: VectorizeClient | AsyncVectorizeClient | None = None,
        index: Index | AsyncIndex | None = None,
        namespace: str | None = None,
        text_key: str = layout.DEFAULT_TEXT_KEY,
        texts: TextStore | BaseKVStore | None = None,
        on_oversize: OnOversize = "error",
        on_missing_text: OnMissingText = "error",
        node_layout: NodeLayout = "compact",
        create_index: bool | None = None,
        metric: Metric | None = None,
        metadata_indexes: Mapping[str, IndexType] | None = None,
        batch_size: int | None = None,
        show_progress: bool = False,
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
            texts: where a text goes that does not fit into a vector: a `D1Texts`, a `SqliteTexts`,
                or any `BaseKVStore`. With ``path`` a file beside the vectors; otherwise such a
                text is an error (docs/long-texts.md).
            on_oversize: what becomes of a text that does not fit and has nowhere to go: an "error",
                or it is "cut"; what is embedded is whole.
            on_missing_text: what a node without a text is: a `MissingTextError` ("error"), or an
                "empty" one.
            node_layout: how nodes are written, both are read: "compact" (docs/layout.md), or
                "stock", LlamaIndex's ``_node_content``, with its text only once.
            create_index: whether the first write creates a missing index. By default only with
                ``path``: on Cloudflare a typo must not make an index that is paid for.
            metric: of an index that is created ("cosine" by default); checked otherwise.
            metadata_indexes: of an index that is created: the properties to filter on, with
                their types, such as ``{"year": "number"}``; checked otherwise.
            batch_size: nodes sent at a time (500).
            show_progress: whether adding draws a bar (with tqdm).
            wait: what writes wait for: False (accepted), "processed", "visible" or True.
            wait_timeout: for how many seconds at most.
            **credentials: the arguments of `VectorizeClient` but for transports: ``account_id``,
                ``api_token``, ``api_key``, ``email``, ``base_url``, ``timeout``, ``retry``,
                ``rate_limit``, ``on_event``, ``http_client``, ``async_http_client``.
        """
        options = accept(HttpOptions, credentials, type(self))
        located = locate(index_name, path=path, client=client, index=index, **options)
        creation: dict[str, Any] = {
            "create_index": create_index,
            "metric": metric,
            "metadata_indexes": metadata_indexes,
        }
        settings: dict[str, Any] = {
            "namespace": namespace,
            "text_key": text_key,
            "on_oversize": on_oversize,
            "on_missing_text": on_missing_text,
            "batch_size": batch_size,
            "wait": wait,
            "wait_timeout": wait_timeout,
        }
        # First, for its errors say more than those of pydantic.
        records = RecordStore(
            index=StoreIndex(located=located, **creation), texts=as_texts(texts), **settings
        )
        address = located.connection.address
        fields: dict[str, Any] = {
            "index_name": located.index_name,
            "path": os.fspath(path) if path is not None else address.path,
            "account_id": address.account_id,
            "base_url": address.base_url,
            "node_layout": node_layout,
            "show_progress": show_progress,
        }
        super().__init__(**fields, **creation, **settings)
        self._work_on(records)

    @classmethod
    def class_name(cls) -> str:
        """The name LlamaIndex knows the store by."""
        return "VectorizeVectorStore"

    @classmethod
    def from_params(cls, index_name: str | None = None, **kwargs: Any) -> Self:
        """A store: the constructor under the name that LlamaIndex's stores have for it."""
        return cls(index_name, **kwargs)

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

    def wait_for_writes(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store, and of its client.

        For at most ``wait_timeout`` seconds (else the store's own), then `WaitTimeoutError`.
        """
        run(self._records.await_writes(self._io, wait_timeout))

    async def await_writes(self, *, wait_timeout: float | None = None) -> None:
        """`wait_for_writes`, awaited."""
        await self._records.await_writes(self._async_io, wait_timeout)
