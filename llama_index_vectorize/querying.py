"""The queries of the LlamaIndex store: by embedding, by maximal marginal relevance, by filter."""

from __future__ import annotations

import inspect
import math
from contextlib import aclosing
from functools import partial
from typing import Any, Final, TypedDict, cast

import numpy as np
from llama_index.core.schema import BaseNode, ImageNode, IndexNode
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_vectorize.filters import is_filter, to_expression
from llama_index_vectorize.nodes import class_of, source_of, to_node
from llama_index_vectorize.selecting import Selecting
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.plan import Unindexed
from vectorize_core.models import Filter, Values, as_values
from vectorize_core.reads.by_id import check_k
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import Hit
from vectorize_core.scoring import choose_diverse, similarity
from vectorize_core.transport.io import Io, run

Mode = VectorStoreQueryMode
_KEYWORDS = "it searches texts, and Vectorize has none to search"
_BM25 = (
    f"{_KEYWORDS}; LlamaIndex's BM25Retriever beside this store's retriever does, in a "
    "QueryFusionRetriever, and so do the stores of Qdrant, Elasticsearch and Milvus"
)
_LEARNER = (
    "it trains on all embeddings; LlamaIndex's SimpleVectorStore, which holds them in memory, does"
)
_ELSEWHERE: Final = {
    Mode.TEXT_SEARCH: _BM25,
    Mode.SPARSE: _BM25,
    Mode.HYBRID: _BM25,
    Mode.SEMANTIC_HYBRID: f"{_KEYWORDS}; LlamaIndex's store of Azure AI Search does",
    Mode.SVM: _LEARNER,
    Mode.LOGISTIC_REGRESSION: _LEARNER,
    Mode.LINEAR_REGRESSION: _LEARNER,
}
"""Why Vectorize lacks a mode, and who has it."""
_PREFETCH: Final = 4
"""So many times as many nodes as asked for are what maximal marginal relevance chooses from."""
_THRESHOLD: Final = 0.5
_LOOK_AT: Final = 20
"""Nodes that are read at a time to learn what a retriever's ids name."""


class QueryOptions(TypedDict, total=False):
    """What a query takes besides the query itself.

    ``namespace`` narrows it to one namespace, ``vectorize_filter`` is a filter that is sent to
    the service as it is. ``unindexed="scan"`` allows reading nodes to evaluate what no metadata
    index can look up, ``max_requests`` is how many requests the query may take (100).

    In the mode "mmr", ``mmr_threshold`` weighs nearness (1) against diversity (0), and
    ``mmr_prefetch_k``, or ``mmr_prefetch_factor`` times ``similarity_top_k``, is how many of the
    nearest nodes it chooses from (4 times as many).

    ``strict_node_ids`` restricts a retriever to its ``node_ids`` even if all of them name
    IndexNodes and ImageNodes.
    """

    namespace: str | None
    vectorize_filter: Filter | None
    unindexed: Unindexed
    max_requests: int
    mmr_threshold: float | None
    mmr_prefetch_k: int | None
    mmr_prefetch_factor: float | None
    strict_node_ids: bool


class Querying(Selecting):
    """What `VectorizeVectorStore` answers queries with."""

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes nearest to the query's embedding, best first; similarities: larger is nearer.

        The mode "mmr" chooses nodes that repeat each other least, in order of selection; see
        `QueryOptions`. NotImplementedError for the modes that Vectorize lacks, saying who has them.
        Without an embedding, the first ``similarity_top_k`` nodes that the query's filters and ids
        select, in no order and without similarities.

        ``filters`` may be any, also those of this project (docs/filters.md);
        `UnindexedPropertyError` for what no metadata index can look up, unless
        ``unindexed="scan"``. ``doc_ids`` and ``node_ids`` restrict the search; an empty list does
        not. Nor do a retriever's ``node_ids`` that name IndexNodes and ImageNodes only:
        ``as_retriever()`` passes those that its index was given, and means all nodes. Other
        options: ``namespace``, ``vectorize_filter``, ``max_requests`` (100), ``strict_node_ids``.
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
        _check_query(query, options)
        restricted = await self._restriction(io, query, options)
        if query.query_embedding is None:
            return await self._select(io, query, restricted, options)
        if query.mode == Mode.MMR:
            hits = await self._choose(io, query, restricted, options)
        else:
            hits = await self._search(io, query, query.similarity_top_k, restricted, options)
        metric = await self._records.index.metric_of(io)
        return VectorStoreQueryResult(
            nodes=[to_node(hit.record) for hit in hits],
            similarities=[similarity(metric, hit.match.score) for hit in hits],
            ids=[hit.record.id for hit in hits],
        )

    async def _search(
        self,
        io: Io,
        query: VectorStoreQuery,
        k: int,
        node_ids: list[str] | None,
        options: QueryOptions,
        *,
        return_values: bool = False,
    ) -> list[Hit]:
        """The ``k`` nearest hits."""
        embedding = cast("list[float]", query.query_embedding)
        find = _find_options(options)
        if node_ids is None:
            return await self._records.search(
                io,
                embedding,
                k,
                filter=to_expression(query.filters),
                refs=query.doc_ids or None,
                return_values=return_values,
                **find,
            )
        return await self._records.search_among(
            io,
            node_ids,
            embedding,
            k,
            filter=to_expression(query.filters),
            refs=query.doc_ids or None,
            vectorize_filter=find.get("vectorize_filter"),
            namespace=find.get("namespace"),
        )

    async def _choose(
        self, io: Io, query: VectorStoreQuery, node_ids: list[str] | None, options: QueryOptions
    ) -> list[Hit]:
        """Hits by maximal marginal relevance, in order of selection."""
        threshold, prefetch = _mmr_settings(query, options)
        hits = await self._search(io, query, prefetch, node_ids, options, return_values=True)
        if not hits:
            return []
        choose = partial(
            choose_diverse,
            await self._records.index.metric_of(io),
            np.stack(cast("list[Values]", [hit.match.values for hit in hits])),
            as_values(cast("list[float]", query.query_embedding)),
            threshold,
            query.similarity_top_k,
        )
        # Of many, this takes a while.
        return [hits[position] for position in await io.offload(choose)]

    async def _select(
        self,
        io: Io,
        query: VectorStoreQuery,
        node_ids: list[str] | None,
        options: QueryOptions,
    ) -> VectorStoreQueryResult:
        """Without an embedding: whatever the filters and ids select."""
        find, refs = _find_options(options), query.doc_ids or None
        nodes: list[BaseNode] = []
        if node_ids is not None:
            found = await self._get_nodes(io, node_ids, query.filters, find)
            nodes = [node for node in found if refs is None or source_of(node) in refs]
        elif query.similarity_top_k:
            async with aclosing(self._iter_nodes(io, query.filters, find, refs)) as every:
                async for node in every:
                    nodes.append(node)
                    if len(nodes) == query.similarity_top_k:
                        break
        nodes = nodes[: query.similarity_top_k]
        return VectorStoreQueryResult(nodes=nodes, ids=[node.node_id for node in nodes])

    async def _restriction(
        self, io: Io, query: VectorStoreQuery, options: QueryOptions
    ) -> list[str] | None:
        """The ids that the query is restricted to."""
        if not query.node_ids:
            return None
        # Only retrievers give the text of the query too.
        if query.query_str is None or options.get("strict_node_ids"):
            return query.node_ids
        found = False
        for start in range(0, len(query.node_ids), _LOOK_AT):
            for record in await self._records.get(io, query.node_ids[start : start + _LOOK_AT]):
                found = True
                if not issubclass(class_of(record), (ImageNode, IndexNode)):
                    return query.node_ids
        return None if found else query.node_ids


def _check_query(query: VectorStoreQuery, options: QueryOptions) -> None:
    mode = Mode(query.mode)
    if mode in _ELSEWHERE:
        raise NotImplementedError(
            f"this store has no query mode {mode.value!r}: {_ELSEWHERE[mode]}. Use 'default' or "
            "'mmr' here"
        )
    check_k(query.similarity_top_k, "similarity_top_k")
    if mode != Mode.MMR:
        given = [name for name in options if name.startswith("mmr_")]
        if given:
            raise InvalidInputError(f"{', '.join(given)}: only a query with mode='mmr' takes that")
    if query.query_embedding is not None:
        return
    if mode == Mode.MMR:
        raise InvalidInputError("a query with mode='mmr' needs an embedding")
    native = options.get("vectorize_filter")
    if not (is_filter(query.filters) or query.node_ids or query.doc_ids or native):
        raise InvalidInputError(
            "the query has neither an embedding nor filters; iter_nodes() reads all nodes"
        )


def _mmr_settings(query: VectorStoreQuery, options: QueryOptions) -> tuple[float, int]:
    """The threshold, and how many nodes to choose from."""
    threshold = query.mmr_threshold
    if threshold is None:
        threshold = options.get("mmr_threshold")
    prefetch, factor = options.get("mmr_prefetch_k"), options.get("mmr_prefetch_factor")
    if prefetch is not None and factor is not None:
        raise InvalidInputError("give mmr_prefetch_k or mmr_prefetch_factor, not both")
    if prefetch is None:
        prefetch = math.ceil(query.similarity_top_k * (factor if factor is not None else _PREFETCH))
    check_k(prefetch, "mmr_prefetch_k")
    threshold = threshold if threshold is not None else _THRESHOLD
    if isinstance(threshold, bool) or not 0 <= threshold <= 1:
        raise InvalidInputError(f"mmr_threshold is from 0 (diverse) to 1 (near); got {threshold!r}")
    return float(threshold), max(prefetch, query.similarity_top_k)


def _find_options(options: QueryOptions) -> FindOptions:
    names = inspect.get_annotations(FindOptions)
    return cast("FindOptions", {n: value for n, value in options.items() if n in names})
