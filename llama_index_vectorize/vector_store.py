"""`VectorizeVectorStore` for LlamaIndex."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, Unpack, cast, get_args

from llama_index.core.bridge.pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    field_serializer,
    model_validator,
)
from llama_index.core.storage.kvstore.types import BaseKVStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index_vectorize.filters import by_source
from llama_index_vectorize.options import (
    ELSEWHERE,
    DumpedOptions,
    NodeLayout,
    StoreOptions,
    StoreSettings,
)
from llama_index_vectorize.query import OF_A_QUERY, QueryOptions, answer
from llama_index_vectorize.reading import Reading
from llama_index_vectorize.text_index import dumped, loaded
from llama_index_vectorize.texts import as_texts
from llama_index_vectorize.upkeep import Upkeep
from llama_index_vectorize.wording import WORDING
from llama_index_vectorize.writing import Writing
from vectorize_core import layout
from vectorize_core.api.validation import flag, one_of
from vectorize_core.client import IndexClient
from vectorize_core.connection import Limits
from vectorize_core.errors import ConfigurationError, NotPersistedWarning
from vectorize_core.filters.plan import Unindexed
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import IndexType, Metric
from vectorize_core.records.store import OnOversize, RecordStore
from vectorize_core.records.store_index import StoreIndex
from vectorize_core.records.target import locate
from vectorize_core.secret import SECRETS, hidden, hide, revealed
from vectorize_core.state.waiting import DEFAULT_WAIT_TIMEOUT, Wait
from vectorize_core.texts.reading import OnMissingText
from vectorize_core.texts.store import TextStore
from vectorize_core.texts.text_index import TextIndex
from vectorize_core.transport.credentials import may_hold_password
from vectorize_core.transport.http_options import HttpOptions
from vectorize_core.transport.io import AsyncIo, SyncIo, run

_ALWAYS: Final = {"stores_text": True, "is_embedding_query": True, "flat_metadata": False}
"""What is the same for every store."""
_CHANGEABLE: Final = frozenset(
    {"on_missing_text", "on_oversize", "batch_size", "wait", "wait_timeout", "unindexed"}
)
"""The settings that can be set on a store: those of its next calls."""
_OF_THE_MAKER: Final = frozenset(HttpOptions.__annotations__)
"""What only the constructor takes, secrets among it."""


# `Writing` names the options of methods which take any in LlamaIndex's own class.
@checks_keywords(ELSEWHERE, query=OF_A_QUERY, aquery=OF_A_QUERY)
class VectorizeVectorStore(Writing, Reading, Upkeep, BasePydanticVectorStore):  # type: ignore[misc]
    """LlamaIndex vector store over Cloudflare Vectorize, or over an embedded Vectorize.

    Similarities are larger for nearer nodes, whatever the metric: cosine similarity as it is,
    the dot product, and 1 / (1 + distance) for Euclidean distance.

    The settings are fields, which LlamaIndex writes into `to_dict`, ``repr`` and pickles. None of
    them holds a secret: a store that is loaded takes its secrets from the environment. Those of
    calls, such as ``wait`` and ``unindexed``, may be set later; the others are a
    `ConfigurationError` then.

    Setup:
        ``pip install 'vectorize-stores[llama-index]'``. For Cloudflare, set
        ``CLOUDFLARE_ACCOUNT_ID`` and ``CLOUDFLARE_API_TOKEN``; with ``path=`` no account is
        needed.

    Instantiate:
        .. code-block:: python

            from llama_index.core import StorageContext, VectorStoreIndex
            from llama_index_vectorize import VectorizeVectorStore

            # On Cloudflare without path=
            store = VectorizeVectorStore(
                "docs",
                path="./vectors",
                metadata_indexes={"year": "number"},
                text_index=True,  # so that words are found, too
            )

    Add documents through an index, or nodes with their embeddings:
        .. code-block:: python

            context = StorageContext.from_defaults(vector_store=store)
            index = VectorStoreIndex.from_documents(documents, storage_context=context)
            index = VectorStoreIndex.from_vector_store(store)  # what is there already

    Query:
        .. code-block:: python

            index.as_query_engine().query("What is money for?")
            index.as_retriever(similarity_top_k=4).retrieve("What is money for?")

    Query with a filter (on properties with a metadata index; docs/filters.md):
        .. code-block:: python

            index.as_retriever(filters={"year": {"$gte": 1960}}).retrieve("What is money for?")

    Find words too, such as names and error codes (docs/hybrid.md):
        .. code-block:: python

            index.as_retriever(vector_store_query_mode="hybrid").retrieve("ERR_STREAM_DESTROYED")

    Diverse results, similar enough, with their embeddings:
        .. code-block:: python

            index.as_retriever(
                vector_store_query_mode="mmr",
                vector_store_kwargs={"similarity_cutoff": 0.1, "include_embeddings": True},
            ).retrieve("What is money for?")

    Read without a query:
        .. code-block:: python

            for node in store.iter_nodes({"year": 1963}):
                print(node.get_content())
            store.count({"year": {"$lt": 1900}})
            store.get_nodes(limit=10, offset=20)

    Change metadata; texts and embeddings stay:
        .. code-block:: python

            node_ids = [node.node_id for node in store.get_nodes(filters={"ref_doc_id": "1963"})]
            store.update_metadata(node_ids, {"checked": True}, remove=["draft"])

    Delete, by document, by id or by filter:
        .. code-block:: python

            index.delete_ref_doc("1863")
            store.delete_nodes(filters={"year": {"$lt": 1900}})

    Async, each method natively:
        .. code-block:: python

            await index.as_retriever().aretrieve("What is money for?")
            await store.acount()

    Look after it (docs/upkeep.md):
        .. code-block:: python

            store.create_metadata_index("checked", "boolean")
            store.reindex_metadata()
            store.compare(index.docstore).missing
            store.index.info(), store.client.list_indexes()
            store.reset()  # and drop()

    Give each tenant a view (docs/tenants.md):
        .. code-block:: python

            view = store.with_namespace("customer-1")
            context = StorageContext.from_defaults(vector_store=view)
            VectorStoreIndex.from_documents(documents, storage_context=context)
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    flat_metadata: bool = False

    index_name: str = Field(description="The index to work on.")
    path: str | None = Field(default=None, description="Where an embedded Vectorize is kept.")
    limits: Limits | None = Field(default=None, description="Whose hold for requests there.")
    account_id: str | None = Field(default=None, description="The Cloudflare account.")
    base_url: str | None = Field(default=None, description="The address of its API.")
    namespace: str | None = Field(default=None, description="Where nodes are kept and searched.")
    bound: bool = Field(default=False, description="Whether this is a view of with_namespace().")
    text_key: str = Field(default=layout.DEFAULT_TEXT_KEY, description="Metadata key of the text.")
    text_index: TextIndex | bool | None = Field(default=None, description="Where words are kept.")
    on_oversize: OnOversize = Field(default="error", description="For a text that fits nowhere.")
    on_missing_text: OnMissingText = Field(default="error", description="For a text that is gone.")
    node_layout: NodeLayout = Field(default="compact", description="How nodes are written.")
    create_index: bool | None = Field(default=None, description="Whether a write may create it.")
    metric: Metric | None = Field(default=None, description="Of an index that is created.")
    metadata_indexes: Mapping[str, IndexType] | None = Field(
        default=None, description="Filterable properties of an index that is created."
    )
    batch_size: int | None = Field(default=None, description="Nodes sent at a time (500).")
    show_progress: bool = Field(default=False, description="Whether adding draws a bar.")
    wait: Wait = Field(default=False, description="What writes wait for.")
    wait_timeout: float = Field(default=DEFAULT_WAIT_TIMEOUT, description="Seconds, at most.")
    unindexed: Unindexed = Field(default="error", description="What no index can look up.")

    _records: RecordStore = PrivateAttr()
    _io: SyncIo = PrivateAttr()
    _async_io: AsyncIo = PrivateAttr()

    def __init__(
        self,
        index_name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        client: IndexClient | None = None,
        index: Index | AsyncIndex | None = None,
        binding: Any = None,
        limits: Limits | None = None,
        namespace: str | None = None,
        text_key: str = layout.DEFAULT_TEXT_KEY,
        texts: TextStore | BaseKVStore | None = None,
        text_index: TextIndex | bool | None = None,
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
        unindexed: Unindexed = "error",
        **credentials: Unpack[DumpedOptions],
    ) -> None:
        """Make a store. This sends nothing.

        Args:
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
            namespace: where nodes are written and searched unless a call names another; None
                writes to the unnamed namespace and searches all of them.
            text_key: the metadata key that holds the text.
            texts: where texts are kept that do not fit into a vector: a `D1Texts`, a
                `SqliteTexts`, or any `BaseKVStore`. Embedded the default is a file beside the
                vectors; elsewhere such a text is an error (docs/long-texts.md).
            text_index: where the words of texts are kept, so that queries find them: True for
                beside embedded vectors, a `D1TextIndex`, or a `SqliteTextIndex`. It
                belongs to the index: every store that writes to it is given the same
                (docs/hybrid.md).
            on_oversize: what happens to a text that does not fit when there is no ``texts``:
                "error" raises an `OversizedError`, "cut" stores its beginning. The embedding is
                that of the whole text.
            on_missing_text: how a node is read whose text is missing: "error" raises a
                `MissingTextError`, "empty" gives it an empty text.
            node_layout: how nodes are written; both layouts are read. "compact" is described in
                docs/layout.md, "stock" is LlamaIndex's ``_node_content``, with the text only once.
            create_index: whether the first write creates a missing index. By default only with
                ``path``: on Cloudflare a typo must not create an index that is paid for.
            metric: of an index that is created ("cosine" by default). An index that exists must
                have it.
            metadata_indexes: of an index that is created: the properties to filter on, with
                their types, such as ``{"year": "number", "author.name": "string"}``. An index that
                exists must have them.
            batch_size: nodes sent at a time (500).
            show_progress: whether adding draws a bar (with tqdm).
            wait: what writes wait for: False (accepted), "processed", "visible" or True.
            wait_timeout: for how many seconds at most.
            unindexed: what becomes of a filter that no metadata index can look up, unless the
                call says it: "error", or "scan", which may read all nodes. For filters that a
                language model writes, as for a VectorIndexAutoRetriever.
            **credentials: the arguments of `VectorizeClient` except transports: ``account_id``,
                ``api_token``, ``api_key``, ``email``, ``base_url``, ``timeout``,
                ``max_answer_bytes``, ``retry``, ``rate_limit``, ``on_event``, ``http_client``,
                ``async_http_client``. And what
                `to_dict` writes, so that ``VectorizeVectorStore(**store.model_dump())`` is the
                store again, with the secrets of the environment.

        Raises:
            ConfigurationError: for arguments that contradict each other, or missing credentials.
            InvalidInputError: for a value that an argument does not take.
        """
        one_of("node_layout", node_layout, get_args(NodeLayout))
        flag("show_progress", show_progress)
        credentials.pop("class_name", None)
        for name, always in _ALWAYS.items():
            if credentials.pop(name, always) != always:  # type: ignore[misc]
                raise ConfigurationError(f"{name} is {always} in every {self.class_name()}")
        bound = flag("bound", credentials.pop("bound", False))
        target = locate(
            index_name,
            path=path,
            client=client,
            index=index,
            binding=binding,
            metric=metric,
            metadata_indexes=metadata_indexes,
            limits=limits,
            **cast("HttpOptions", credentials),
        )
        creation: dict[str, Any] = {
            "create_index": create_index,
            "metric": metric,
            "metadata_indexes": metadata_indexes,
        }
        text_index = loaded(text_index)
        settings: dict[str, Any] = {
            "text_index": text_index,
            "namespace": None if bound else namespace,
            "text_key": text_key,
            "on_oversize": on_oversize,
            "on_missing_text": on_missing_text,
            "batch_size": batch_size,
            "wait": wait,
            "wait_timeout": wait_timeout,
            "unindexed": unindexed,
        }
        # Before the fields are set: its errors are clearer than those of pydantic.
        records = RecordStore(
            index=StoreIndex(target=target, wording=WORDING, **creation),
            texts=as_texts(texts),
            translate=by_source,
            **settings,
        )
        if bound:
            view = records.with_namespace(cast("str", namespace))
            records = view.owning() if target.owned else view
        address = records.connection.address
        settings |= {
            "namespace": records.namespace,
            "index_name": target.state.name,
            "bound": bound,
            "path": address.path,
            "limits": address.options.get("limits"),
            "account_id": address.account_id,
            "base_url": address.base_url,
            "node_layout": node_layout,
            "show_progress": show_progress,
        }
        super().__init__(**creation, **settings)
        self._work_on(records)

    @model_validator(mode="wrap")
    @classmethod
    def _hide_secrets(cls, data: Any, validate: Callable[[Any], Self]) -> Self:
        # Errors of pydantic show what they were given. The constructor takes hidden secrets too.
        if isinstance(data, dict):
            data = dict(data)
            plain = () if may_hold_password(str(data.get("base_url"))) else cls.model_fields
            hide(data, [name for name in SECRETS if name not in plain])
        return validate(data)

    @field_serializer("text_index")
    def _dump_text_index(
        self, given: TextIndex | bool | None
    ) -> bool | dict[str, Any] | str | None:
        return dumped(given)

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex knows the store by."""
        return "VectorizeVectorStore"

    @classmethod
    def from_params(
        cls,
        index_name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        **settings: Unpack[StoreSettings],
    ) -> Self:
        """The constructor, under the name that it has in other stores of LlamaIndex."""
        return cls(index_name, path=path, **revealed(settings))

    @classmethod
    def local(
        cls,
        index_name: str,
        path: str | os.PathLike[str] = ":memory:",
        **settings: Unpack[StoreSettings],
    ) -> Self:
        """A store over an embedded Vectorize: the constructor with a default for ``path``."""
        return cls(index_name, path=path, **revealed(settings))

    @classmethod
    def from_dict(  # type: ignore[override]
        cls, data: dict[str, Any], **options: Unpack[StoreOptions]
    ) -> Self:
        """The store that `to_dict` described, with the secrets of the environment.

        ``options`` replace what ``data`` holds, and give what it cannot hold: ``texts=``, and a
        ``text_index=`` with a client of its own or of a class of your own.
        """
        # Some keep a token in it too, which no frame may show.
        return cls(**{**hidden(data).reveal(), **revealed(options)})

    def with_namespace(self, namespace: str) -> Self:
        """A view of this store for one tenant: it neither reads nor changes another's nodes.

        Tenants may use the same node ids: the view stores its nodes under digests of namespace and
        id, and returns them under their own ids. ``namespace=`` in a call of the view is a
        `TypeError`, and the view has no ``client``. It uses this store's connection; close this
        store, not the view.
        """
        records = self._records.with_namespace(namespace)
        view = self.model_copy()
        view.__dict__.update(namespace=records.namespace, bound=True)
        view._work_on(records)  # noqa: SLF001 - of our own class
        return view

    def query(  # type: ignore[override]
        self, query: VectorStoreQuery, **options: Unpack[QueryOptions]
    ) -> VectorStoreQueryResult:
        """The nodes nearest to the query's embedding, best first; similarities: larger is nearer.

        The mode "mmr" chooses nodes that repeat each other least, in order of selection; see
        `QueryOptions`. With a text index (docs/hybrid.md), "text_search" and "sparse" find nodes
        by the words of ``query_str`` and need no embedding: the ``sparse_top_k`` best (None:
        ``similarity_top_k``) by BM25. "hybrid" makes one ranking of the ``similarity_top_k``
        nearest and the ``sparse_top_k`` best by words, at least 20 of each, and returns
        ``hybrid_top_k`` nodes (None: ``similarity_top_k``) with fused scores. ``alpha`` is the
        weight of nearness (None: 0.6).

        A "default" query without an embedding finds the first ``similarity_top_k`` nodes that its
        filters and ids select, in no particular order and without similarities.

        ``doc_ids`` and ``node_ids`` restrict the search; an empty list does not. Nor do a
        retriever's ``node_ids`` that are ids of IndexNodes, ImageNodes and deleted nodes only:
        ``as_retriever()`` passes those that its index was ever given, and means all nodes. A query
        with a ``query_str`` is taken for a retriever's; ``strict_node_ids=True`` restricts it to
        them. More ids than ``max_requests`` can read are looked for among the best nodes instead.

        ``filters`` may also be this project's own (docs/filters.md). Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (100), ``strict_node_ids``,
        ``fusion``, ``similarity_cutoff``, ``include_embeddings``, and for the mode "mmr"
        ``mmr_threshold``, ``mmr_prefetch_k`` and ``mmr_prefetch_factor``; see `QueryOptions`.
        Raises `UnindexedPropertyError` for a filter that no metadata index can look up, unless
        ``unindexed="scan"``, and `NotImplementedError` for a mode that this store lacks, naming
        what to use instead. By words, it raises `ConfigurationError` without a text index, and
        `PartialIndexError` where texts have to be put into it first, by `reindex_texts`.
        """
        return run(answer(self._io, self._records, query, options))

    async def aquery(  # type: ignore[override]
        self, query: VectorStoreQuery, **options: Unpack[QueryOptions]
    ) -> VectorStoreQueryResult:
        """The async variant of `query`."""
        return await answer(self._async_io, self._records, query, options)

    def persist(self, persist_path: str, fs: Any = None) -> None:
        """Write nothing: the vectors are in Vectorize already, or in the directory ``path``.

        With ``path=":memory:"`` they end with the process, which a `NotPersistedWarning` says.
        """
        if self.path == ":memory:":
            warnings.warn(
                f"the vectors of the index {self.index_name!r} are not among what is persisted: "
                "they are in memory, and end with this process. Give the store the path of a "
                "directory to keep them",
                NotPersistedWarning,
                stacklevel=3,
            )

    # Settings, copies and pickles

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHANGEABLE:
            self._records = dataclasses.replace(self._records, **{name: value})
            value = getattr(self._records, name)
        elif name == "show_progress":
            value = flag(name, value)
        elif name in _OF_THE_MAKER or name in VectorizeVectorStore.model_fields:
            value = hidden(value)
            raise ConfigurationError(
                f"{name} is what a store is made with; make another one, as by "
                f"{self.class_name()}.from_dict(store.to_dict(), {name}=...)"
            )
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A store over the same connection, with the settings of ``update``."""
        copied, changes = super().model_copy(deep=deep), hidden(update)
        for name in () if changes is None else changes.reveal():
            setattr(copied, name, changes.reveal()[name])
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # Not the base class's, which warns of what it cannot pickle, and leaves it out.
        state = BaseModel.__getstate__(self)
        return {**state, "__pydantic_private__": {"_records": self._records}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        BaseModel.__setstate__(self, state)
        self._work_on(self._records.owning())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A copy shares the connection.
        return self.__copy__()
