"""`VectorizeVectorStore` for LangChain."""

from __future__ import annotations

import copy
import inspect
import math
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any, Self, TypeAlias, TypedDict, Unpack

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.stores import BaseStore
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever
from numpy.typing import ArrayLike

from langchain_vectorize.documents import (
    document_filter,
    from_documents,
    from_embeddings,
    from_texts,
    to_document,
)
from langchain_vectorize.embedder import LangChainEmbedder
from langchain_vectorize.texts import as_texts
from vectorize_core import layout
from vectorize_core.client import AsyncVectorizeClient, VectorizeClient
from vectorize_core.connection import HttpOptions
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.models import Filter, IndexType, Metric, as_values
from vectorize_core.reads.by_id import check_k
from vectorize_core.reads.selection import AnyFilter, FindOptions
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import AddOptions, CountOptions, OnOversize, RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.scoring import choose_diverse
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait, WaitOptions
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.store import TextStore
from vectorize_core.transport.closing import AsyncClosing, SyncClosing
from vectorize_core.transport.io import Io, iterate, run
from vectorize_core.writes.sources import Records

_FACES = ("_io", "_async_io")
Scored = list[tuple[Document, float]]
DocumentFilter: TypeAlias = AnyFilter | Callable[[Document], bool]
"""The dict form of a filter, an expression, or a function of a document."""


ELSEWHERE = {
    "score_threshold": "search_type='similarity_score_threshold', or "
    "similarity_search_with_relevance_scores(),",
    "fetch_k": "search_type='mmr', or max_marginal_relevance_search(),",
    "lambda_mult": "search_type='mmr', or max_marginal_relevance_search(),",
}
"""What takes the options that a retriever with another search type has."""


class SearchOptions(TypedDict, total=False):
    """What every search takes besides ``filter``.

    ``namespace`` narrows the search to one namespace. ``vectorize_filter`` is a filter that is
    sent to the service as it is. ``unindexed="scan"`` allows reading documents to evaluate what no
    metadata index can look up, ``max_requests`` is how many requests a search may take (100).
    """

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int


class RetrieverOptions(TypedDict, total=False):
    """What a retriever is made with; ``search_kwargs`` are the options of its searches."""

    search_type: str
    search_kwargs: dict[str, Any]
    tags: list[str] | None
    metadata: dict[str, Any] | None
    name: str | None


IN_SEARCH_KWARGS = dict.fromkeys(
    ("k", "filter", *inspect.get_annotations(SearchOptions), *ELSEWHERE), "search_kwargs={...}"
)
"""What a retriever's searches take, and it does not itself."""


class DeleteOptions(WaitOptions, FindOptions, total=False):
    """What a delete takes besides ids."""

    delete_all: bool
    filter: DocumentFilter | None
    verify: bool


class VectorizeVectorStore(VectorStore, SyncClosing, AsyncClosing):
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

    # Adding. The options are those of `AddOptions`, each else the store's own.

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and write them; a text whose id exists replaces the old one whole.

        ``texts`` may be a generator of any length: it is embedded and sent a batch at a time. Ids
        that are None become UUIDs; of equal ids in one call the last wins. Options: ``namespace``,
        ``dry_run`` (returns a `WriteEstimate`; nothing is embedded or written) and those of
        `WriteOptions`: ``batch_size``, ``wait``, ``wait_timeout``, ``on_batch``,
        ``show_progress``, ``resume`` and more.

        Returns the ids in input order. Raises `InvalidVectorError` naming the record,
        `PartialWriteError` when some were written and some not, `WaitTimeoutError`.
        """
        options = accept(AddOptions, kwargs, self.add_texts)
        items = from_texts(texts, metadatas, ids)
        return run(self._records.add(self._io, items, **options))

    async def aadd_texts(
        self,
        texts: Records[str],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_texts)
        items = from_texts(texts, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)

    def add_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed documents and write them; ids are ``ids``, else the documents', else UUIDs.

        See `add_texts`; the documents are not changed.
        """
        options = accept(AddOptions, kwargs, self.add_documents)
        return run(self._records.add(self._io, from_documents(documents, ids), **options))

    async def aadd_documents(
        self,
        documents: Records[Document],
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_documents)
        return await self._records.add(self._async_io, from_documents(documents, ids), **options)

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Iterable[ArrayLike],
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_texts` with embeddings that were made before; nothing is embedded.

        An embedding for each text, of as many numbers as the index has dimensions.
        """
        options = accept(AddOptions, kwargs, self.add_embeddings)
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return run(self._records.add(self._io, items, **options))

    async def aadd_embeddings(
        self,
        texts: Records[str],
        embeddings: Records[ArrayLike],
        metadatas: Records[dict[str, Any]] | None = None,
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_embeddings`, awaited; takes async iterables too."""
        options = accept(AddOptions, kwargs, self.aadd_embeddings)
        items = from_embeddings(texts, embeddings, metadatas, ids)
        return await self._records.add(self._async_io, items, **options)

    # Updating

    def update_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Iterable[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`add_documents` of documents that have ids; only texts that have changed are embedded.

        What is stored is read first, once reads see this client's own writes. A document that is
        not there is added. Options as of `add_texts`.
        """
        options = accept(AddOptions, kwargs, self.update_documents)
        return run(self._records.update(self._io, from_documents(documents, ids), **options))

    async def aupdate_documents(
        self,
        documents: Records[Document],
        *,
        ids: Records[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """`update_documents`, awaited."""
        options = accept(AddOptions, kwargs, self.aupdate_documents)
        items = from_documents(documents, ids)
        return await self._records.update(self._async_io, items, **options)

    def update_metadata(
        self,
        ids: Sequence[str],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        replace: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """Merge ``metadata``, one for all or one for each id, into that of documents.

        With ``replace`` it takes the old one's place. Texts and embeddings stay as they are and
        nothing is embedded. They are read and written again, once reads see this client's own
        writes: what another client writes in between is set back. Options: ``wait``,
        ``wait_timeout``. Returns the ids of the documents that are there, in order.
        """
        options = accept(WaitOptions, kwargs, self.update_metadata)
        changed = self._records.update_metadata(self._io, ids, metadata, replace=replace, **options)
        return run(changed)

    async def aupdate_metadata(
        self,
        ids: Sequence[str],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        replace: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        """`update_metadata`, awaited."""
        options = accept(WaitOptions, kwargs, self.aupdate_metadata)
        return await self._records.update_metadata(
            self._async_io, ids, metadata, replace=replace, **options
        )

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

    # Deleting

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id, or those that ``filter=`` matches, however many. Returns True.

        Unknown ids are no error. Everything goes with ``delete_all=True`` only; in a store with a
        namespace, everything in it. Options: ``wait`` and ``wait_timeout``; with a filter also
        those of the searches, and ``verify=True``, which looks again after the deletion is
        visible until nothing that matches is left.
        """
        options = accept(DeleteOptions, kwargs, self.delete)
        return run(self._delete(self._io, ids, **options))

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """`delete`, awaited."""
        options = accept(DeleteOptions, kwargs, self.adelete)
        return await self._delete(self._async_io, ids, **options)

    async def _delete(
        self,
        io: Io,
        ids: Sequence[str] | None,
        *,
        delete_all: bool = False,
        verify: bool = False,
        filter: DocumentFilter | None = None,
        wait: Wait | None = None,
        wait_timeout: float | None = None,
        **options: Unpack[FindOptions],
    ) -> bool:
        filtered = filter is not None or options.get("vectorize_filter") is not None
        if (ids is not None) + delete_all + filtered != 1:
            raise InvalidInputError(
                "delete takes ids, or filter=, or delete_all=True to delete everything"
            )
        if (verify or options) and not filtered:
            names = ", ".join(["verify"] * verify + list(options))
            raise InvalidInputError(f"{names}: only a delete with filter= takes that")
        if filtered:
            await self._records.delete_matching(
                io,
                filter=as_filter(filter),
                verify=verify,
                wait=wait,
                wait_timeout=wait_timeout,
                **options,
            )
        elif ids is None:
            await self._records.clear(io, wait=wait, wait_timeout=wait_timeout)
        else:
            await self._records.delete(io, ids, wait=wait, wait_timeout=wait_timeout)
        return True

    # Searching. Every search takes ``filter=`` and the options of `SearchOptions`.

    def similarity_search(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` documents nearest to ``query``, best first.

        ``filter`` is a dict such as ``{"year": {"$gte": 1960}}``, an expression, or a function of
        a document (docs/filters.md). `UnindexedPropertyError` for what no metadata index can look
        up; ``unindexed="scan"`` evaluates it on what is read instead. Other options: ``namespace``
        (None searches all of them), ``vectorize_filter`` and ``max_requests``;
        `TooManyRequestsNeededError` where a search takes more than those.
        """
        options = _accept(kwargs, self.similarity_search)
        return _bare(run(self._search(self._io, query, k, filter, options)))

    async def asimilarity_search(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search`, awaited."""
        options = _accept(kwargs, self.asimilarity_search)
        return _bare(await self._search(self._async_io, query, k, filter, options))

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        """`similarity_search` with Vectorize's own scores.

        Cosine similarity (larger is nearer), Euclidean distance or negative dot product (smaller
        is nearer), by the metric of the index; best first in each case.
        """
        options = _accept(kwargs, self.similarity_search_with_score)
        return run(self._search(self._io, query, k, filter, options))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        """`similarity_search_with_score`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_score)
        return await self._search(self._async_io, query, k, filter, options)

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The ``k`` documents nearest to an embedding, best first. See `similarity_search`."""
        options = _accept(kwargs, self.similarity_search_by_vector)
        return _bare(run(self._search(self._io, embedding, k, filter, options)))

    async def asimilarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`similarity_search_by_vector`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_by_vector)
        return _bare(await self._search(self._async_io, embedding, k, filter, options))

    def similarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_score` for an embedding."""
        options = _accept(kwargs, self.similarity_search_with_score_by_vector)
        return run(self._search(self._io, embedding, k, filter, options))

    async def asimilarity_search_with_score_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_score_by_vector`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_score_by_vector)
        return await self._search(self._async_io, embedding, k, filter, options)

    def similarity_search_by_id(
        self, id: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The ``k`` documents nearest to a stored one, itself left out; nothing is embedded.

        `InvalidInputError` if no document has the id.
        """
        options = _accept(kwargs, self.similarity_search_by_id)
        return run(self._search_like(self._io, id, k, filter, options))

    async def asimilarity_search_by_id(
        self, id: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> list[Document]:
        """`similarity_search_by_id`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_by_id)
        return await self._search_like(self._async_io, id, k, filter, options)

    async def _search_like(
        self, io: Io, id: str, k: int, filter: DocumentFilter | None, options: SearchOptions
    ) -> list[Document]:
        hits = await self._records.search_like(io, id, k, filter=as_filter(filter), **options)
        return [to_document(hit.record) for hit in hits]

    async def _search(
        self,
        io: Io,
        query: str | list[float],
        k: int,
        filter: DocumentFilter | None,
        options: SearchOptions,
    ) -> Scored:
        hits = await self._records.search(io, query, k, filter=as_filter(filter), **options)
        return [(to_document(hit.record), hit.match.score) for hit in hits]

    def as_retriever(self, **kwargs: Any) -> VectorStoreRetriever:
        """A retriever over this store; its options are those of `RetrieverOptions`.

        ``search_type`` is "similarity", "similarity_score_threshold" or "mmr"; ``search_kwargs``
        are the keyword arguments of that search, such as ``{"k": 4, "filter": {...}}``.
        """
        accept(RetrieverOptions, kwargs, self.as_retriever, IN_SEARCH_KWARGS)
        return super().as_retriever(**kwargs)

    # Relevance

    def similarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        score_threshold: float | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search` with relevance from 0 to 1, larger for nearer, for every metric.

        Only documents of at least ``score_threshold``, unless that is None. The constructor's
        ``relevance_score_fn`` makes relevance out of Vectorize's scores otherwise.
        """
        options = _accept(kwargs, self.similarity_search_with_relevance_scores)
        return super().similarity_search_with_relevance_scores(
            query, k, filter=filter, score_threshold=score_threshold, **options
        )

    async def asimilarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        *,
        filter: DocumentFilter | None = None,
        score_threshold: float | None = None,
        **kwargs: Any,
    ) -> Scored:
        """`similarity_search_with_relevance_scores`, awaited."""
        options = _accept(kwargs, self.asimilarity_search_with_relevance_scores)
        return await super().asimilarity_search_with_relevance_scores(
            query, k, filter=filter, score_threshold=score_threshold, **options
        )

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return run(self._relevance(self._io))

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        options = _accept(kwargs, self.similarity_search)
        return run(self._search_relevance(self._io, query, k, filter, options))

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, *, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Scored:
        options = _accept(kwargs, self.asimilarity_search)
        return await self._search_relevance(self._async_io, query, k, filter, options)

    async def _search_relevance(
        self, io: Io, query: str, k: int, filter: DocumentFilter | None, options: SearchOptions
    ) -> Scored:
        scored = await self._search(io, query, k, filter, options)
        relevance = await self._relevance(io)
        return [(document, relevance(score)) for document, score in scored]

    async def _relevance(self, io: Io) -> Callable[[float], float]:
        if self._relevance_score_fn is not None:
            return self._relevance_score_fn
        return RELEVANCE[await self._records.index.metric_of(io)]

    # Maximal marginal relevance

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """The ``k`` documents of the ``fetch_k`` nearest that repeat each other least.

        ``lambda_mult`` weighs nearness against novelty: 1 gives the nearest, 0 the most diverse.
        Both are measured by the metric of the index. In order of selection.
        """
        options = _accept(kwargs, self.max_marginal_relevance_search)
        return run(self._mmr(self._io, query, k, fetch_k, lambda_mult, filter, options))

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search`, awaited."""
        options = _accept(kwargs, self.amax_marginal_relevance_search)
        return await self._mmr(self._async_io, query, k, fetch_k, lambda_mult, filter, options)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` for an embedding."""
        options = _accept(kwargs, self.max_marginal_relevance_search_by_vector)
        return run(self._mmr(self._io, embedding, k, fetch_k, lambda_mult, filter, options))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: DocumentFilter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, awaited."""
        options = _accept(kwargs, self.amax_marginal_relevance_search_by_vector)
        return await self._mmr(self._async_io, embedding, k, fetch_k, lambda_mult, filter, options)

    async def _mmr(
        self,
        io: Io,
        query: str | list[float],
        k: int,
        fetch_k: int,
        lambda_mult: float,
        filter: DocumentFilter | None,
        options: SearchOptions,
    ) -> list[Document]:
        check_k(k)
        check_k(fetch_k, "fetch_k")
        if not 0 <= lambda_mult <= 1:
            raise InvalidInputError(f"lambda_mult is from 0 to 1; got {lambda_mult!r}")
        if isinstance(query, str):
            embedded = await self._records.embed_query(
                io, query, filter=as_filter(filter), **options
            )
            if embedded is None:
                return []
            query = list(embedded)
        hits = await self._records.search(
            io, query, max(k, fetch_k), filter=as_filter(filter), return_values=True, **options
        )
        if not hits:
            return []
        matrix = np.stack([values for hit in hits if (values := hit.match.values) is not None])
        choose = partial(
            choose_diverse,
            await self._records.index.metric_of(io),
            matrix,
            as_values(query),
            lambda_mult,
            k,
        )
        # Of many, this takes a while.
        return [to_document(hits[position].record) for position in await io.offload(choose)]

    # Reading without a query

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in the order of ``ids``; missing ones are left out."""
        return [to_document(record) for record in run(self._records.get(self._io, ids))]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, awaited."""
        return [to_document(record) for record in await self._records.get(self._async_io, ids)]

    def iter_documents(
        self, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> Iterator[Document]:
        """Every document that ``filter`` matches, or there is, in no order, as answers come in.

        Waits first until reads see this client's own writes. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000; about thirty documents each).
        """
        options = accept(FindOptions, kwargs, self.iter_documents)
        return iterate(self._iter_documents(self._io, filter, options))

    def aiter_documents(
        self, filter: DocumentFilter | None = None, **kwargs: Any
    ) -> AsyncIterator[Document]:
        """`iter_documents`, for ``async for``."""
        options = accept(FindOptions, kwargs, self.aiter_documents)
        return self._iter_documents(self._async_io, filter, options)

    async def _iter_documents(
        self, io: Io, filter: DocumentFilter | None, options: FindOptions
    ) -> AsyncGenerator[Document, None]:
        found = self._records.iter_records(io, filter=as_filter(filter), **options)
        async with aclosing(found) as records:
            async for record in records:
                yield to_document(record)

    def iter_ids(self, filter: DocumentFilter | None = None, **kwargs: Any) -> Iterator[str]:
        """The id of every document that ``filter`` matches, or there is. See `iter_documents`.

        Without a filter or a namespace a request lists a thousand.
        """
        options = accept(FindOptions, kwargs, self.iter_ids)
        return iterate(self._records.iter_ids(self._io, filter=as_filter(filter), **options))

    def aiter_ids(self, filter: DocumentFilter | None = None, **kwargs: Any) -> AsyncIterator[str]:
        """`iter_ids`, for ``async for``."""
        options = accept(FindOptions, kwargs, self.aiter_ids)
        return self._records.iter_ids(self._async_io, filter=as_filter(filter), **options)

    def count(self, filter: DocumentFilter | None = None, **kwargs: Any) -> int:
        """How many documents ``filter`` matches, or there are; this client's own writes included.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), and
        ``precision="high"``, which leaves nothing to the service's approximation.
        """
        options = accept(CountOptions, kwargs, self.count)
        return run(self._records.count(self._io, filter=as_filter(filter), **options))

    async def acount(self, filter: DocumentFilter | None = None, **kwargs: Any) -> int:
        """`count`, awaited."""
        options = accept(CountOptions, kwargs, self.acount)
        return await self._records.count(self._async_io, filter=as_filter(filter), **options)

    def explain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """How a search for ``k`` (None: for all) would be answered, and for how many requests."""
        given = as_filter(filter)
        return run(self._records.explain_filter(self._io, given, k, unindexed=unindexed))

    async def aexplain_filter(
        self, filter: DocumentFilter | None, k: int | None = 4, *, unindexed: Unindexed = "error"
    ) -> Explanation:
        """`explain_filter`, awaited."""
        given = as_filter(filter)
        return await self._records.explain_filter(self._async_io, given, k, unindexed=unindexed)

    # Waiting and closing

    def wait(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store, and of its client.

        For at most ``wait_timeout`` seconds (else the store's own), then `WaitTimeoutError`.
        """
        run(self._records.await_writes(self._io, wait_timeout))

    async def await_writes(self, *, wait_timeout: float | None = None) -> None:
        """`wait`, awaited."""
        await self._records.await_writes(self._async_io, wait_timeout)

    def close(self) -> None:
        """Close the connection, if it is the store's own; safe to call again."""
        self._records.close()

    async def aclose(self) -> None:
        """`close` both faces, awaited."""
        await self._records.aclose()


def cosine_relevance(score: float) -> float:
    """Cosine similarity, from -1 to 1, moved to 0 to 1."""
    return min(1.0, max(0.0, (1.0 + score) / 2.0))


def euclidean_relevance(score: float) -> float:
    """A distance from 0 on: 1 for the same vector, towards 0 with the distance."""
    return 1.0 / (1.0 + max(0.0, score))


def dot_product_relevance(score: float) -> float:
    """A negative dot product of any size, through the logistic function."""
    if score > 0:
        shrunk = math.exp(-score)
        return shrunk / (1.0 + shrunk)
    return 1.0 / (1.0 + math.exp(score))


RELEVANCE: dict[Metric, Callable[[float], float]] = {
    "cosine": cosine_relevance,
    "euclidean": euclidean_relevance,
    "dot-product": dot_product_relevance,
}


def as_filter(given: DocumentFilter | None) -> AnyFilter | None:
    """A filter as the core takes it: a function of a document becomes an expression."""
    return document_filter(given) if callable(given) else given


def _accept(kwargs: dict[str, Any], method: Callable[..., Any]) -> SearchOptions:
    return accept(SearchOptions, kwargs, method, ELSEWHERE)


def _bare(scored: Scored) -> list[Document]:
    return [document for document, _ in scored]
