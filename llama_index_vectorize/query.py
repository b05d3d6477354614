"""How a `VectorStoreQuery` is answered: by nearness, by words, by both, by filter alone."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from typing import Final, cast

import numpy as np
from llama_index.core.schema import BaseNode, ImageNode, IndexNode
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index_vectorize.by_words import BY_WORDS, WORDS_ALONE, check_by_words, search_by_words
from llama_index_vectorize.filters import check_no_native, is_filter, to_expression
from llama_index_vectorize.nodes import class_of, source_of, to_node
from vectorize_core import limits
from vectorize_core.api.validation import as_ids, flag, number, query_vector, whole_number
from vectorize_core.errors import InvalidInputError, shown
from vectorize_core.filters.ast import EVERYTHING, And, Where, joined
from vectorize_core.filters.parse import parse
from vectorize_core.models import Metric, Values, as_values
from vectorize_core.reads.selection import (
    MAX_SEARCH_REQUESTS,
    FindOptions,
    SelectOptions,
    allowance,
    check_ids,
)
from vectorize_core.records.by_ids import search_among
from vectorize_core.records.fusion import Fusion
from vectorize_core.records.hit import Hit
from vectorize_core.records.reading import find, glance, iter_found
from vectorize_core.records.store import RecordStore
from vectorize_core.scoring import choose_diverse, score_of, similarity
from vectorize_core.transport.io import Io
from vectorize_core.transport.workers import aclosing

Mode = VectorStoreQueryMode
_LEARNER = (
    "it trains on all embeddings. Use LlamaIndex's SimpleVectorStore, which holds them in memory"
)
_INSTEAD: Final = {
    Mode.SEMANTIC_HYBRID: "it lets the service rerank. Use 'hybrid' with a reranker as node "
    "postprocessor (docs/reranking.md), or LlamaIndex's store of Azure AI Search",
    Mode.SVM: _LEARNER,
    Mode.LOGISTIC_REGRESSION: _LEARNER,
    Mode.LINEAR_REGRESSION: _LEARNER,
}
"""Why this store lacks a mode, and what to use instead."""
OF_A_QUERY: Final = {f.name: "VectorStoreQuery()" for f in dataclasses.fields(VectorStoreQuery)}
"""What is not given to `query`, but to the `VectorStoreQuery`."""
_PREFETCH: Final = 4
"""Maximal marginal relevance chooses from this many times as many nodes as were asked for."""
_MOST_PREFETCH: Final = 1_000
_THRESHOLD: Final = 0.5
_ROUNDING: Final = 1e-9
_NO_TEXT: Final = (
    "the query's text is empty, and LlamaIndex makes no embedding of an empty one. Give a text, or "
    "filters= to get nodes without it"
)
_NO_QUERY: Final = (
    "the query has neither an embedding nor filters; query_embedding is None. iter_nodes() reads "
    "all nodes"
)
_ONLY_OF: Final = {
    "alpha": (Mode.HYBRID,),
    "fusion": (Mode.HYBRID,),
    "hybrid_top_k": (Mode.HYBRID,),
    "sparse_top_k": BY_WORDS,
    **dict.fromkeys(("mmr_threshold", "mmr_prefetch_k", "mmr_prefetch_factor"), (Mode.MMR,)),
    "similarity_cutoff": (Mode.DEFAULT, Mode.MMR),
}
"""What a query and its options take in some modes only."""
_NOT_SIMILAR: Final = (
    "similarity_cutoff: a query without an embedding has no similarities; query_embedding is None"
)
_MODES: Final = "'default', 'mmr', 'text_search', 'sparse' or 'hybrid'"
_LOOK_AT: Final = 100
"""How many nodes are read at most to learn their classes: five requests."""


class QueryOptions(FindOptions, total=False):
    """What a query takes besides the `VectorStoreQuery` itself: `FindOptions` and these.

    In the mode "mmr", ``mmr_threshold`` weighs nearness (1) against diversity (0). The nodes are
    chosen from the ``mmr_prefetch_k`` nearest ones, or from ``mmr_prefetch_factor`` times
    ``similarity_top_k`` (4 times).

    In the mode "hybrid", ``fusion`` makes one ranking of two: by "relative" scores, which
    ``alpha`` weighs, or "rrf", by reciprocal ranks.

    Only nodes with at least the similarity ``similarity_cutoff`` are found, in the modes "default"
    and "mmr". With ``include_embeddings`` nodes have theirs.

    ``strict_node_ids`` restricts a retriever's query to its ``node_ids`` whatever they are; without
    it, ids of IndexNodes, ImageNodes and deleted nodes alone do not.
    """

    mmr_threshold: float | None
    mmr_prefetch_k: int | None
    mmr_prefetch_factor: float | None
    fusion: Fusion | None
    similarity_cutoff: float | None
    include_embeddings: bool
    strict_node_ids: bool


async def answer(
    io: Io, records: RecordStore, query: VectorStoreQuery, options: QueryOptions
) -> VectorStoreQueryResult:
    """The result of a query. See `VectorizeVectorStore.query`."""
    query = _checked(query, options)
    if query.mode == Mode.MMR:
        threshold, prefetch = _mmr_settings(query, options)
    find = {n: value for n, value in options.items() if n in FindOptions.__annotations__}
    where = cast("SelectOptions", {"filter": to_expression(query.filters), **find})
    if query.node_ids:
        check_no_native(options)
    node_ids = await _restriction(io, records, query, options)
    embeddings = options.get("include_embeddings", False)
    if query.mode not in BY_WORDS and query.query_embedding is None:
        return await _select(io, records, query, node_ids, where, embeddings)
    node_ids, where = _narrowed(node_ids, where, records)
    if query.mode in BY_WORDS:
        fusion = options.get("fusion")
        hits = await search_by_words(io, records, query, node_ids, where, fusion, embeddings)
        return _result(hits, [hit.match.score for hit in hits], embeddings)
    wanted = prefetch if query.mode == Mode.MMR else query.similarity_top_k
    metric, cutoff = await records.index.metric_of(io), options.get("similarity_cutoff")
    worst = None if cutoff is None else _worst_score(metric, cutoff)
    hits = await _search(io, records, query, wanted, node_ids, where, worst, embeddings)
    if cutoff is not None:
        hits = [hit for hit in hits if similarity(metric, hit.match.score) >= cutoff]
    if query.mode == Mode.MMR and hits:
        # Choosing from many takes a while.
        hits = await io.offload(partial(_diverse, hits, metric, query, threshold))
    return _result(hits, [similarity(metric, hit.match.score) for hit in hits], embeddings)


def _result(hits: list[Hit], similarities: list[float], embeddings: bool) -> VectorStoreQueryResult:
    return VectorStoreQueryResult(
        nodes=[to_node(hit.record, hit.match.values if embeddings else None) for hit in hits],
        similarities=similarities,
        ids=[hit.record.id for hit in hits],
    )


async def _search(
    io: Io,
    records: RecordStore,
    query: VectorStoreQuery,
    k: int,
    node_ids: list[str] | None,
    where: SelectOptions,
    worst: float | None,
    embeddings: bool,
) -> list[Hit]:
    """The ``k`` nearest hits; for maximal marginal relevance with their values."""
    embedding = cast("list[float]", query.query_embedding)
    refs, values = query.doc_ids or None, embeddings or query.mode == Mode.MMR
    if node_ids is None:
        return await records.search(
            io, embedding, k, refs=refs, return_values=values, score_threshold=worst, **where
        )
    return await search_among(io, records, node_ids, embedding, k, refs=refs, **where)


def _worst_score(metric: Metric, cutoff: float) -> float:
    """A score that is no better than that of the similarity ``cutoff``, for all rounding."""
    score = score_of(metric, cutoff)
    if math.isinf(score):
        return score
    beyond = _ROUNDING * (1.0 + abs(score))
    return score - beyond if metric == "cosine" else score + beyond


def _narrowed(
    node_ids: list[str] | None, where: SelectOptions, records: RecordStore
) -> tuple[list[str] | None, SelectOptions]:
    """The ids, and what else selects; of more ids than may be read, the latter alone.

    Most of the best nodes are probably among so many: all others are passed over as they are read.
    """
    if node_ids is None:
        return None, where
    among = frozenset(node_ids)
    allowed = allowance(where, MAX_SEARCH_REQUESTS, records.index.state)
    if allowed.allows(math.ceil(len(among) / limits.MAX_IDS_PER_GET)):
        return node_ids, where
    given = where.get("filter")
    expression = parse(given) if given is not None else EVERYTHING
    is_among = Where(lambda record: record.id in among, "the node is one of node_ids")
    return None, {**where, "filter": joined(And, (expression, is_among)), "unindexed": "scan"}


def _diverse(
    hits: list[Hit], metric: Metric, query: VectorStoreQuery, threshold: float
) -> list[Hit]:
    """Hits by maximal marginal relevance, in order of selection."""
    values = np.stack(cast("list[Values]", [hit.match.values for hit in hits]))
    target = as_values(cast("list[float]", query.query_embedding))
    chosen = choose_diverse(metric, values, target, threshold, query.similarity_top_k)
    return [hits[position] for position in chosen]


async def _select(
    io: Io,
    records: RecordStore,
    query: VectorStoreQuery,
    node_ids: list[str] | None,
    where: SelectOptions,
    embeddings: bool,
) -> VectorStoreQueryResult:
    """Without an embedding: nodes that the filters and ids select, in no particular order."""
    refs, nodes = query.doc_ids or None, list[BaseNode]()
    if node_ids is not None:
        check_ids(node_ids, allowance(where, MAX_SEARCH_REQUESTS, records.index.state))
        found = await find(io, records, ids=node_ids, return_values=embeddings, **where)
        nodes = [to_node(one.record, one.values) for one in found]
        nodes = [node for node in nodes if refs is None or source_of(node) in refs]
    elif query.similarity_top_k:
        every = iter_found(io, records, refs=refs, return_values=embeddings, **where)
        async with aclosing(every) as some:
            async for one in some:
                nodes.append(to_node(one.record, one.values))
                if len(nodes) == query.similarity_top_k:
                    break
    nodes = nodes[: query.similarity_top_k]
    return VectorStoreQueryResult(nodes=nodes, ids=[node.node_id for node in nodes])


async def _restriction(
    io: Io, records: RecordStore, query: VectorStoreQuery, options: QueryOptions
) -> list[str] | None:
    """The ids that the query is restricted to; None if it is not.

    ``as_retriever()`` passes the ids of all IndexNodes and ImageNodes that its index was ever
    given, but means all nodes. So ids restrict if there is a node of another class among them.
    Of many, those looked at are spread over all.
    """
    if not query.node_ids:
        return None
    # Retrievers pass the query's text as well.
    if query.query_str is None or options.get("strict_node_ids"):
        return query.node_ids
    step = math.ceil(len(query.node_ids) / _LOOK_AT)
    for record in await glance(io, records, query.node_ids[::step]):
        if not issubclass(class_of(record), (ImageNode, IndexNode)):
            return query.node_ids
    return None


def _checked(query: VectorStoreQuery, options: QueryOptions) -> VectorStoreQuery:
    """The query with values of the types that they are to have; its maker's stays as it is."""
    if not isinstance(query, VectorStoreQuery):
        raise InvalidInputError(
            f"query is a VectorStoreQuery; got {shown(query)}. For a text, use "
            "VectorStoreIndex.from_vector_store(store).as_retriever().retrieve(text)"
        )
    mode = _mode(query, options)
    if mode in BY_WORDS:
        check_by_words(query, options.get("fusion"))
    node_ids = None if query.node_ids is None else as_ids(query.node_ids, "node_ids")
    doc_ids = None if query.doc_ids is None else as_ids(query.doc_ids, "doc_ids")
    embedding = query.query_embedding
    if embedding is not None:
        embedding = cast("list[float]", query_vector(embedding, "query_embedding"))
    elif mode in (Mode.MMR, Mode.HYBRID):
        needs = f"a query with mode='{mode.value}' needs an embedding; query_embedding is None"
        raise InvalidInputError(_NO_TEXT if query.query_str == "" else needs)
    elif mode not in WORDS_ALONE and not (
        is_filter(query.filters) or node_ids or doc_ids or options.get("vectorize_filter")
    ):
        raise InvalidInputError(_NO_TEXT if query.query_str == "" else _NO_QUERY)
    for name in ("strict_node_ids", "include_embeddings"):
        flag(name, options.get(name, False))
    _check_cutoff(options.get("similarity_cutoff"), embedding)
    return dataclasses.replace(
        query,
        mode=mode,
        query_embedding=embedding,
        similarity_top_k=whole_number("similarity_top_k", query.similarity_top_k),
        node_ids=node_ids,
        doc_ids=doc_ids,
    )


def _check_cutoff(cutoff: float | None, embedding: list[float] | None) -> None:
    if cutoff is not None:
        number("similarity_cutoff", cutoff, least=-math.inf, most=math.inf)
        if embedding is None:
            raise InvalidInputError(_NOT_SIMILAR)


def _mode(query: VectorStoreQuery, options: QueryOptions) -> Mode:
    """The mode of a query: one of this store's, and one that uses what is given with it."""
    try:
        mode = Mode(query.mode)
    except ValueError:
        raise InvalidInputError(f"mode is {_MODES}; got {shown(query.mode)}") from None
    if mode in _INSTEAD:
        raise NotImplementedError(
            f"this store has no query mode {mode.value!r}: {_INSTEAD[mode]}. With this "
            f"store, use {_MODES}"
        )
    for name, modes in _ONLY_OF.items():
        given = options.get(name, getattr(query, name, None))
        if given is not None and mode not in modes:
            words = " or ".join(repr(one.value) for one in modes)
            raise InvalidInputError(f"{name}: only a query with mode={words} takes that")
    return mode


def _mmr_settings(query: VectorStoreQuery, options: QueryOptions) -> tuple[float, int]:
    """The threshold, and how many nodes to choose from."""
    threshold = query.mmr_threshold
    if threshold is None:
        threshold = options.get("mmr_threshold")
    threshold = number(
        "mmr_threshold", threshold if threshold is not None else _THRESHOLD, least=0, most=1
    )
    prefetch, factor = options.get("mmr_prefetch_k"), options.get("mmr_prefetch_factor")
    if prefetch is not None and factor is not None:
        raise InvalidInputError("give mmr_prefetch_k or mmr_prefetch_factor, not both")
    if prefetch is None:
        factor = factor if factor is not None else _PREFETCH
        factor = number("mmr_prefetch_factor", factor, least=0, most=_MOST_PREFETCH)
        prefetch = math.ceil(query.similarity_top_k * factor)
    prefetch = whole_number("mmr_prefetch_k", prefetch)
    return threshold, max(prefetch, query.similarity_top_k)
