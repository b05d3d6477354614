"""`VectorizeVectorStore` for LangChain."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, Unpack

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from langchain_vectorize.embedder import LangChainEmbedder
from langchain_vectorize.options import (
    ELSEWHERE,
    ExistingIndexOptions,
    FromDocumentsOptions,
    FromTextsOptions,
    LocalOptions,
    LongTexts,
    RetrievalMode,
)
from langchain_vectorize.reading import Reading
from langchain_vectorize.retrieval import Retrieval
from langchain_vectorize.searching import Searches
from langchain_vectorize.texts import as_texts
from langchain_vectorize.upkeep import Upkeep
from langchain_vectorize.wording import WORDING
from langchain_vectorize.writing import Writing
from vectorize_core import layout
from vectorize_core.client import IndexClient
from vectorize_core.connection import Limits
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id, IndexType, Metric
from vectorize_core.records.fusion import DEFAULT_ALPHA, Fusion
from vectorize_core.records.store import OnOversize, RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.secret import revealed
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.http_options import HttpOptions

_CONNECTED = ("_io", "_async_io")


@checks_keywords(ELSEWHERE)
class VectorizeVectorStore(Writing, Searches, Reading, Upkeep):
    """LangChain vector store over Cloudflare Vectorize, or over an embedded Vectorize.

    Setup:
        Install ``vectorize-stores[langchain]``. For Cloudflare, set ``CLOUDFLARE_ACCOUNT_ID``
        and ``CLOUDFLARE_API_TOKEN``; with ``path=`` no account is needed.

    Key init args:
        embedding: the embedding model.
        index_name: the index. It may be left out with ``index=``.
        path: use an embedded Vectorize, in ``":memory:"`` or in a directory.
        client: a `VectorizeClient` or `AsyncVectorizeClient` to share. Instead, give ``index=``
            or credentials (``account_id``, ``api_token``, ...). Without any of them, credentials
            are read from the environment.

    Instantiate:
        .. code-block:: python

            from langchain_vectorize import VectorizeVectorStore

            # On Cloudflare without path=
            store = VectorizeVectorStore(
                embeddings,
                index_name="docs",
                path="./vectors",
                metadata_indexes={"year": "number"},
                text_index=True,  # so that words are found, too
            )

    Add documents, texts, or precomputed embeddings:
        .. code-block:: python

            ids = store.add_documents(documents, wait=True)

    Update, embedding only changed texts:
        .. code-block:: python

            store.update_documents(documents, ids=ids)
            store.update_metadata(ids, {"checked": True}, remove=["draft"])

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

    Search down to a score, with embeddings, or for what is little alike:
        .. code-block:: python

            store.similarity_search("What is money for?", k=100, score_threshold=0.7)
            store.similarity_search_with_vectors("What is money for?")
            store.max_marginal_relevance_search_with_score("What is money for?")

    Find words too, such as names and error codes (docs/hybrid.md):
        .. code-block:: python

            store.similarity_search("ERR_STREAM_DESTROYED", retrieval_mode="hybrid")

    Read without a query:
        .. code-block:: python

            for document in store.iter_documents({"year": 1963}):
                print(document.page_content)

            store.get(limit=10, offset=20, include=["documents", "embeddings"])

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

    Look after it (docs/upkeep.md):
        .. code-block:: python

            store.create_metadata_index("checked", "boolean")
            store.reindex_metadata()
            print(store.compare(record_manager))  # that of LangChain's index()
            store.index.info(), store.client.list_indexes()
            store.reset()  # and drop()
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        index_name: str | None = None,
        path: str | os.PathLike[str] | None = None,
        client: IndexClient | None = None,
        index: Index | AsyncIndex | None = None,
        binding: Any = None,
        limits: Limits | None = None,
        namespace: str | None = None,
        text_key: str = layout.DEFAULT_TEXT_KEY,
        texts: LongTexts | None = None,
        text_index: TextIndex | bool | None = None,
        retrieval_mode: RetrievalMode = "dense",
        alpha: float = DEFAULT_ALPHA,
        fusion: Fusion = "relative",
        on_oversize: OnOversize = "error",
        on_missing_text: OnMissingText = "error",
        create_index: bool | None = None,
        metric: Metric | None = None,
        metadata_indexes: Mapping[str, IndexType] | None = None,
        batch_size: int | None = None,
        wait: Wait = False,
        wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
        relevance_score_fn: Callable[[float], float] | None = None,
        **credentials: Unpack[HttpOptions],
    ) -> None:
        """Make a store. This sends no request.

        Args:
            embedding: embeds documents and queries.
            index_name: the index to work on.
            path: a directory or ``":memory:"``, for an embedded Vectorize.
            client: the client to use; the store does not close it.
            index: the index to use, instead of ``index_name`` and ``client``.
            binding: ``env.VECTORIZE`` of a Cloudflare Worker, instead of credentials; for async
                methods only. The index has the ``metric`` ("cosine" by default), and beside those
                of the record layout the ``metadata_indexes`` that are given (docs/workers.md).
            limits: with ``path``, "cloudflare" lets a call take no more requests than there, and
                texts be no longer; by default any number, unless the call has ``max_requests``
                (docs/many-results.md).
            namespace: where documents are written and searched unless a call gives another; None
                writes to the unnamed namespace and searches all of them.
            text_key: the metadata key that holds the text, "text" as in LangChain.js and Mastra.
            texts: where to keep texts that are too long for a vector: a `D1Texts`, a
                `SqliteTexts`, or any `BaseStore`. Embedded it defaults to a file beside the
                vectors; elsewhere such a text is an error (docs/long-texts.md).
            text_index: where to keep the words of texts, so that searches find them: True for
                beside embedded vectors, a `D1TextIndex`, or a `SqliteTextIndex`. It
                belongs to the index: every store that writes to it is given the same
                (docs/hybrid.md).
            retrieval_mode: how searches find documents: "dense" by nearness, "text" by words, or
                "hybrid" by both.
            alpha: the weight of nearness in a hybrid search, from 0 to 1.
            fusion: how a hybrid search makes one ranking of two: by "relative" scores, or "rrf"
                by reciprocal ranks, without a weight.
            on_oversize: what to do with a text that is too long and cannot be kept elsewhere:
                raise an "error", or store it "cut". Its embedding is of the whole text.
            on_missing_text: how to read a document whose text is missing: raise
                `MissingTextError` ("error"), or read an "empty" text.
            create_index: whether the first write creates a missing index. By default only with
                ``path``: on Cloudflare, a typo must not create an index that is paid for.
            metric: the metric of an index that is created ("cosine" by default). An existing
                index must have it.
            metadata_indexes: the properties to filter on and their types, such as
                ``{"year": "number", "author.name": "string"}``, for an index that is created. An
                existing index must have them.
            batch_size: documents embedded and sent at a time (500).
            wait: what writes wait for: False (accepted), "processed", "visible", or True, which
                is the same as "visible".
            wait_timeout: how many seconds writes wait at most.
            relevance_score_fn: turns a score of Vectorize into a relevance from 0 to 1, where
                that of `similarity_search_with_relevance_scores` does not suit.
            **credentials: the arguments of `VectorizeClient` except transports: ``account_id``,
                ``api_token``, ``api_key``, ``email``, ``base_url``, ``timeout``,
                ``max_answer_bytes``, ``retry``, ``rate_limit``, ``on_event``, ``http_client``,
                ``async_http_client``.

        Raises:
            ConfigurationError: arguments that exclude each other, or missing credentials.
            InvalidInputError: an invalid value.
        """
        target = locate(
            index_name,
            path=path,
            client=client,
            index=index,
            binding=binding,
            metric=metric,
            metadata_indexes=metadata_indexes,
            limits=limits,
            **credentials,
        )
        if relevance_score_fn is not None and not callable(relevance_score_fn):
            raise InvalidInputError(
                f"relevance_score_fn is a function of a score; got {shown(relevance_score_fn)}"
            )
        self._embedder = LangChainEmbedder(embedding)
        self._relevance_score_fn = relevance_score_fn
        records = RecordStore(
            index=StoreIndex(
                target=target,
                create_index=create_index,
                metric=metric,
                metadata_indexes=metadata_indexes,
                wording=WORDING,
            ),
            embedder=self._embedder,
            namespace=namespace,
            text_key=text_key,
            texts=as_texts(texts),
            text_index=text_index,
            on_oversize=on_oversize,
            on_missing_text=on_missing_text,
            batch_size=batch_size,
            wait=wait,
            wait_timeout=wait_timeout,
        )
        self._retrieval = Retrieval(retrieval_mode, alpha, fusion, records.has_words)
        self._work_on(records)

    def __getstate__(self) -> dict[str, Any]:
        """All but the open connection; of that, its address is pickled, without secrets."""
        return {name: held for name, held in vars(self).items() if name not in _CONNECTED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._work_on(self._records.owning())

    @classmethod
    def local(
        cls,
        embedding: Embeddings,
        path: str | os.PathLike[str] = ":memory:",
        **options: Unpack[LocalOptions],
    ) -> Self:
        """A store over an embedded Vectorize, by default in memory.

        The options are the arguments of the constructor.
        """
        return cls(embedding, path=path, **revealed(options))

    def with_namespace(self, namespace: str) -> Self:
        """A view of this store for one tenant; it reaches no document of another namespace.

        Documents are stored under a digest of namespace and id, so tenants may use the same ids.
        The view takes and returns the tenant's own ids. In a view, ``namespace=`` is a TypeError.
        A document that was written into the namespace without a view is found by the view's
        searches, but not by its id. The view shares this store's connection and never closes it.
        """
        view = copy.copy(self)
        view._work_on(self._records.with_namespace(namespace))  # noqa: SLF001 - of our own class
        return view

    def __copy__(self) -> Self:
        """A copy that shares the connection."""
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

    @classmethod
    def from_existing_index(
        cls, index_name: str, embedding: Embeddings, **options: Unpack[ExistingIndexOptions]
    ) -> Self:
        """A store over an existing index; the options are the arguments of the constructor.

        It never creates the index. If it is missing, the first call raises `IndexNotFoundError`.
        """
        return cls(embedding, index_name=index_name, create_index=False, **revealed(options))

    @classmethod
    def from_texts(  # type: ignore[override]
        cls,
        texts: Iterable[str],
        embedding: Embeddings,
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[FromTextsOptions],
    ) -> Self:
        """A new store with these texts added; the options are the constructor's arguments."""
        store = cls(embedding, **revealed(options))
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(  # type: ignore[override]
        cls,
        texts: Iterable[str],
        embedding: Embeddings,
        metadatas: Iterable[dict[str, Any]] | None = None,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[FromTextsOptions],
    ) -> Self:
        """`from_texts`, awaited."""
        store = cls(embedding, **revealed(options))
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    def from_documents(  # type: ignore[override]
        cls,
        documents: Iterable[Document],
        embedding: Embeddings,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[FromDocumentsOptions],
    ) -> Self:
        """A new store with these documents added; the options are the constructor's arguments."""
        store = cls(embedding, **revealed(options))
        store.add_documents(documents, ids=ids)
        return store

    @classmethod
    async def afrom_documents(  # type: ignore[override]
        cls,
        documents: Iterable[Document],
        embedding: Embeddings,
        *,
        ids: Iterable[Id | None] | None = None,
        **options: Unpack[FromDocumentsOptions],
    ) -> Self:
        """`from_documents`, awaited."""
        store = cls(embedding, **revealed(options))
        await store.aadd_documents(documents, ids=ids)
        return store
