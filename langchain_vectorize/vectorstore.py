"""`VectorizeVectorStore` for LangChain."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.stores import BaseStore

from langchain_vectorize.adding import Adding
from langchain_vectorize.deleting import Deleting
from langchain_vectorize.embedder import LangChainEmbedder
from langchain_vectorize.reading import Reading
from langchain_vectorize.searching import Searching
from langchain_vectorize.texts import as_texts
from langchain_vectorize.updating import Updating
from vectorize_core import layout
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient
from vectorize_core.connection import HttpOptions
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.base import OnOversize
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.io import run

_FACES = ("_io", "_async_io")


class VectorizeVectorStore(
    Adding, Updating, Deleting, Searching, Reading, SyncClosing, AsyncClosing
):
    """LangChain vector store over Cloudflare Vectorize, or over an embedded Vectorize.

    Setup:
        Install ``vectorize-stores[langchain]``. For Cloudflare, set ``CLOUDFLARE_ACCOUNT_ID``
        and ``CLOUDFLARE_API_TOKEN``; with ``path=`` no account is needed.

    Key init args:
        embedding: the embedding model.
        index_name: the index. It may be left out with ``index=``.
        path: work embedded, in ``":memory:"`` or in a directory.
        client: a `VectorizeClient` or `AsyncVectorizeClient` to share; or ``index=``, or
            credentials (``account_id``, ``api_token``, ...), else those of the environment.

    Instantiate:
        .. code-block:: python

            from langchain_vectorize import VectorizeVectorStore

            # On Cloudflare without path=
            store = VectorizeVectorStore(
                embeddings,
                index_name="docs",
                path="./vectors",
                metadata_indexes={"year": "number"},
            )

    Add documents, texts, or embeddings made before:
        .. code-block:: python

            ids = store.add_documents(documents, wait=True)

    Update, embedding only what has changed:
        .. code-block:: python

            store.update_documents(documents, ids=ids)
            store.update_metadata(ids, {"checked": True})

    Delete:
        .. code-block:: python

            store.delete(ids[:1])
            store.delete(filter={"year": {"$lt": 1900}})

    Search:
        .. code-block:: python

            store.similarity_search("What is money for?", k=4)

    Search with a filter (on properties with a metadata index; docs/filters.md):
        .. code-block:: python

            store.similarity_search("What is money for?", filter={"year": {"$gte": 1960}})

    Search with scores:
        .. code-block:: python

            for document, score in store.similarity_search_with_score("What is money for?"):
                print(score, document.page_content)

    Read without a query:
        .. code-block:: python

            for document in store.iter_documents({"year": 1963}):
                print(document.page_content)

    Async, each method natively:
        .. code-block:: python

            await store.aadd_documents(documents)
            await store.asimilarity_search("What is money for?")

    Use as retriever:
        .. code-block:: python

            retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 4})
            retriever.invoke("What is money for?")

    Give each tenant a view (docs/tenants.md):
        .. code-block:: python

            store.with_namespace("customer-1").add_documents(documents)
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        index_name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        client: VectorizeClient | AsyncVectorizeClient | None = None,
        index: Index | AsyncIndex | None = None,
        namespace: str | None = None,
        text_key: str = layout.DEFAULT_TEXT_KEY,
        texts: TextStore | BaseStore[str, Any] | None = None,
        on_oversize: OnOversize = "error",
        on_missing_text: OnMissingText = "error",
        create_index: bool | None = None,
        metric: Metric | None = None,
        metadata_indexes: Mapping[str, IndexType] | None = None,
        batch_size: int | None = None,
        wait: Wait = False,
        wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
        relevance_score_fn: Callable[[float], float] | None = None,
        **credentials: Any,
    ) -> None:
        """A store; this sends nothing.

        Args:
            embedding: embeds documents and queries.
            index_name: the index to work on.
            path: a directory or ``":memory:"``, for an embedded Vectorize.
            client: the client to use; the store does not close it.
            index: the index to use, instead of ``index_name`` and ``client``.
            namespace: where documents are written and searched unless a call says otherwise;
                None writes to the unnamed namespace and searches all of them.
            text_key: the metadata key that holds the text, "text" as in LangChain.js and Mastra.
            texts: where a text goes that does not fit into a vector: a `D1Texts`, a `SqliteTexts`,
                or any `BaseStore`. With ``path`` a file beside the vectors; otherwise such a text
                is an error (docs/long-texts.md).
            on_oversize: what becomes of a text that does not fit and has nowhere to go: an "error",
                or it is "cut"; what is embedded is whole.
            on_missing_text: what a document without a text is: a `MissingTextError` ("error"), or
                an "empty" one.
            create_index: whether the first write creates a missing index. By default only with
                ``path``: on Cloudflare a typo must not make an index that is paid for.
            metric: of an index that is created ("cosine" by default); checked otherwise.
            metadata_indexes: of an index that is created: the properties to filter on, with
                their types, such as ``{"year": "number"}``; checked otherwise.
            batch_size: documents embedded and sent at a time (500).
            wait: what writes wait for: False (accepted), "processed", "visible" or True.
            wait_timeout: for how many seconds at most.
            relevance_score_fn: a score of Vectorize to a relevance in [0, 1].
            **credentials: the arguments of `VectorizeClient` but for transports: ``account_id``,
                ``api_token``, ``api_key``, ``email``, ``base_url``, ``timeout``, ``retry``,
                ``rate_limit``, ``on_event``, ``http_client``, ``async_http_client``.
        """
        options = accept(HttpOptions, credentials, type(self))
        located = locate(index_name, path=path, client=client, index=index, **options)
        self._embedder = LangChainEmbedder(embedding)
        self._relevance_score_fn = relevance_score_fn
        self._records = RecordStore(
            index=StoreIndex(
                located=located,
                create_index=create_index,
                metric=metric,
                metadata_indexes=metadata_indexes,
            ),
            embedder=self._embedder,
            namespace=namespace,
            text_key=text_key,
            texts=as_texts(texts),
            on_oversize=on_oversize,
            on_missing_text=on_missing_text,
            batch_size=batch_size,
            wait=wait,
            wait_timeout=wait_timeout,
        )
        self._connect()

    def _connect(self) -> None:
        self._io = self._records.connection.io()
        self._async_io = self._records.connection.async_io()

    def __getstate__(self) -> dict[str, Any]:
        """All but the connection, which is pickled as where it leads, without its secrets."""
        return {name: held for name, held in vars(self).items() if name not in _FACES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._records = self._records.owning()
        self._connect()

    @classmethod
    def local(
        cls, embedding: Embeddings, path: str | os.PathLike[str] = ":memory:", **kwargs: Any
    ) -> Self:
        """A store over an embedded Vectorize: ``path=`` with a default."""
        return cls(embedding, path=path, **kwargs)

    def with_namespace(self, namespace: str) -> Self:
        """A tenant's view of this store: it can reach no document of another namespace.

        Documents are stored under digests of namespace and id, so tenants may use the same ids;
        the view takes and returns their own. In a view ``namespace=`` is a TypeError. What was
        written into the namespace without a view is found by its searches, but not by id. The
        view shares this store's connection, and leaves it open.
        """
        view = copy.copy(self)
        view._records = self._records.with_namespace(namespace)  # noqa: SLF001 - of our own class
        return view

    def __copy__(self) -> Self:
        """A copy shares the connection."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __repr__(self) -> str:
        shown = f"index_name={self._records.index.name!r}"
        if self._records.namespace is not None:
            shown += f", namespace={self._records.namespace!r}"
        return f"{type(self).__name__}({shown})"

    @property
    def embeddings(self) -> Embeddings:
        """The embedding model."""
        return self._embedder.model

    # Waiting

    def wait(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store, and of its client.

        For at most ``wait_timeout`` seconds (else the store's own), then `WaitTimeoutError`.
        """
        run(self._records.await_writes(self._io, wait_timeout))

    async def await_writes(self, *, wait_timeout: float | None = None) -> None:
        """`wait`, awaited."""
        await self._records.await_writes(self._async_io, wait_timeout)

    # Construction from what there is

    @classmethod
    def from_existing_index(cls, index_name: str, embedding: Embeddings, **kwargs: Any) -> Self:
        """A store over an index that exists, made with the arguments of the constructor.

        It never creates one: if there is none, its first use is an `IndexNotFoundError`.
        """
        return cls(embedding, index_name=index_name, create_index=False, **kwargs)

    # Construction from texts and documents

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings,
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store made with the arguments of the constructor, and the texts added to it."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings,
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_texts`, awaited."""
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        embedding: Embeddings,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store made with the arguments of the constructor, and the documents added to it."""
        store = cls(embedding, **kwargs)
        store.add_documents(documents, ids=ids)
        return store

    @classmethod
    async def afrom_documents(
        cls,
        documents: Iterable[Document],
        embedding: Embeddings,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """`from_documents`, awaited."""
        store = cls(embedding, **kwargs)
        await store.aadd_documents(documents, ids=ids)
        return store

    def close(self) -> None:
        """Close the connection, if it is the store's own; safe to call again."""
        self._records.close()

    async def aclose(self) -> None:
        """`close` both faces, awaited."""
        await self._records.aclose()
