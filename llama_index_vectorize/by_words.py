"""The modes of a `VectorStoreQuery` that look for words: alone, or together with nearness."""

from __future__ import annotations

from typing import Final, cast

from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from vectorize_core.api.validation import text, whole_number
from vectorize_core.errors import InvalidInputError
from vectorize_core.reads.selection import SelectOptions
from vectorize_core.records.by_words import search_hybrid, search_text
from vectorize_core.records.fusion import COMPARED, DEFAULT_ALPHA, Fusion, check
from vectorize_core.records.hit import Hit
from vectorize_core.records.store import RecordStore
from vectorize_core.transport.io import Io

Mode = VectorStoreQueryMode
WORDS_ALONE: Final = (Mode.TEXT_SEARCH, Mode.SPARSE)
"""These need no embedding."""
BY_WORDS: Final = (*WORDS_ALONE, Mode.HYBRID)


def check_by_words(query: VectorStoreQuery, fusion: Fusion | None) -> None:
    """Whether a query of such a mode has words, and a weight if it takes one."""
    mode = Mode(query.mode)
    text("query_str", query.query_str, f". With mode={mode.value!r} it holds the words")
    if mode == Mode.HYBRID:
        check(_alpha(query), _fusion(fusion))
        if query.alpha is not None and fusion == "rrf":
            raise InvalidInputError("alpha is a weight, and fusion='rrf' has none: leave out one")


async def search_by_words(
    io: Io,
    records: RecordStore,
    query: VectorStoreQuery,
    node_ids: list[str] | None,
    where: SelectOptions,
    fusion: Fusion | None,
    embeddings: bool,
) -> list[Hit]:
    """The best hits for the words of a query that was checked, by BM25 or with fused scores."""
    words, refs, near = cast("str", query.query_str), query.doc_ids or None, query.similarity_top_k
    sparse = (
        near if query.sparse_top_k is None else whole_number("sparse_top_k", query.sparse_top_k)
    )
    if query.mode in WORDS_ALONE:
        return await search_text(io, records, words, sparse, ids=node_ids, refs=refs, **where)
    k = near if query.hybrid_top_k is None else whole_number("hybrid_top_k", query.hybrid_top_k)
    # Of fewer candidates, the scores would depend on how many are asked for.
    least = max(k, COMPARED)
    return await search_hybrid(
        io,
        records,
        words,
        k,
        values=query.query_embedding,
        alpha=_alpha(query),
        fusion=_fusion(fusion),
        near=max(near, least),
        by_words=max(sparse, least),
        ids=node_ids,
        refs=refs,
        return_values=embeddings,
        **where,
    )


def _alpha(query: VectorStoreQuery) -> float:
    return DEFAULT_ALPHA if query.alpha is None else query.alpha


def _fusion(given: Fusion | None) -> Fusion:
    return "relative" if given is None else given
