"""Nodes without a query: by their ids, all that filters match, and how many."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any, Unpack

from llama_index.core.schema import BaseNode

from llama_index_vectorize.filters import NodeFilters, as_node_ids, to_expression
from llama_index_vectorize.nodes import to_node
from llama_index_vectorize.options import GetOptions
from vectorize_core.api.validation import flag, text, whole_number
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records import reading, whole_index
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.records.paging import page
from vectorize_core.records.reading import CountOptions
from vectorize_core.texts.text_explanation import TextExplanation
from vectorize_core.transport.io import Io, iterate, run
from vectorize_core.transport.workers import aclosing


@checks_keywords()
class Reading(FrameworkStore):
    """The part of `VectorizeVectorStore` that reads without a query, and says how it would."""

    def get_nodes(
        self,
        node_ids: Sequence[Id] | None = None,
        filters: NodeFilters | None = None,
        **options: Unpack[GetOptions],
    ) -> list[BaseNode]:
        """Nodes by id, by filter, those that satisfy both, or all; `iter_nodes` reads any number.

        ``filters`` are LlamaIndex's, or this project's, such as ``{"open": True}``. By ids nodes
        come in the order of the ids, and missing ones are left out. Options: ``limit`` and
        ``offset`` (None: all, from the first), ``include_embeddings`` (False), ``namespace``,
        ``vectorize_filter``, ``unindexed`` and ``max_requests`` (1,000), as in `iter_nodes`; see
        `GetOptions`. For ``offset`` the ids of all nodes that match are listed each time.
        """
        return run(self._get_nodes(self._io, node_ids, filters, options))

    async def aget_nodes(
        self,
        node_ids: Sequence[Id] | None = None,
        filters: NodeFilters | None = None,
        **options: Unpack[GetOptions],
    ) -> list[BaseNode]:
        """The async variant of `get_nodes`."""
        return await self._get_nodes(self._async_io, node_ids, filters, options)

    async def _get_nodes(
        self,
        io: Io,
        node_ids: Sequence[Id] | None,
        filters: NodeFilters | None,
        options: GetOptions,
    ) -> list[BaseNode]:
        if node_ids is not None:
            node_ids = as_node_ids(node_ids, options)
        given: dict[str, Any] = {**options}
        embeddings = flag("include_embeddings", given.pop("include_embeddings", False))
        given |= {"ids": node_ids, "filter": to_expression(filters), "return_values": embeddings}
        if given.get("offset") is not None:
            found = await page(io, self._records, **given)
        else:
            given.pop("offset", None)
            found = await reading.find(io, self._records, **given)
        return [to_node(one.record, one.values) for one in found]

    def iter_nodes(
        self, filters: NodeFilters | None = None, **options: Unpack[FindOptions]
    ) -> Iterator[BaseNode]:
        """All nodes, or all that ``filters`` match, once each and in no particular order.

        They are read a few answers at a time, so that any number takes little memory. Options:
        ``namespace`` (the store's, or all), ``vectorize_filter``, ``unindexed`` (the store's) and
        ``max_requests`` (1,000; embedded, and with None, any number); see `FindOptions`.
        """
        return iterate(self._iter_nodes(self._io, filters, options))

    def aiter_nodes(
        self, filters: NodeFilters | None = None, **options: Unpack[FindOptions]
    ) -> AsyncGenerator[BaseNode, None]:
        """The async variant of `iter_nodes`."""
        return self._iter_nodes(self._async_io, filters, options)

    async def _iter_nodes(
        self, io: Io, filters: NodeFilters | None, options: FindOptions
    ) -> AsyncGenerator[BaseNode, None]:
        every = reading.iter_found(io, self._records, filter=to_expression(filters), **options)
        async with aclosing(every):
            async for found in every:
                yield to_node(found.record)

    def iter_ids(
        self, filters: NodeFilters | None = None, **options: Unpack[FindOptions]
    ) -> Iterator[str]:
        """The ids of all nodes, or of all that ``filters`` match. See `iter_nodes`.

        Without filters and a namespace, each request lists a thousand. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000).
        """
        found = reading.iter_ids(self._io, self._records, filter=to_expression(filters), **options)
        return iterate(found)

    def aiter_ids(
        self, filters: NodeFilters | None = None, **options: Unpack[FindOptions]
    ) -> AsyncIterator[str]:
        """The async variant of `iter_ids`."""
        return reading.iter_ids(
            self._async_io, self._records, filter=to_expression(filters), **options
        )

    def count(self, filters: NodeFilters | None = None, **options: Unpack[CountOptions]) -> int:
        """How many nodes ``filters`` match, or there are; this client's own writes included.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), as in
        `iter_nodes`, and ``precision`` ("normal"): "high" leaves nothing to the service's
        approximation.
        """
        return run(reading.count(self._io, self._records, filter=to_expression(filters), **options))

    async def acount(
        self, filters: NodeFilters | None = None, **options: Unpack[CountOptions]
    ) -> int:
        """The async variant of `count`."""
        return await reading.count(
            self._async_io, self._records, filter=to_expression(filters), **options
        )

    def explain_filter(
        self,
        filters: NodeFilters | None,
        similarity_top_k: int | None = 4,
        *,
        unindexed: Unindexed | None = None,
    ) -> Explanation:
        """How a query for so many nodes (None: all) is answered, and with how many requests."""
        return run(self._explain_filter(self._io, filters, similarity_top_k, unindexed))

    async def aexplain_filter(
        self,
        filters: NodeFilters | None,
        similarity_top_k: int | None = 4,
        *,
        unindexed: Unindexed | None = None,
    ) -> Explanation:
        """The async variant of `explain_filter`."""
        return await self._explain_filter(self._async_io, filters, similarity_top_k, unindexed)

    async def _explain_filter(
        self, io: Io, filters: NodeFilters | None, k: int | None, unindexed: Unindexed | None
    ) -> Explanation:
        if k is not None:
            k = whole_number("similarity_top_k", k)
        given = to_expression(filters)
        return await reading.explain_filter(io, self._records, given, k, unindexed=unindexed)

    def explain_text(self, query_str: str) -> TextExplanation:
        """Which words of ``query_str`` a query looks for, and how many nodes have each.

        Words that very many nodes have are dropped, unless there is no other. A view counts none:
        `InvalidInputError`.
        """
        return run(whole_index.explain_text(self._io, self._records, text("query_str", query_str)))

    async def aexplain_text(self, query_str: str) -> TextExplanation:
        """The async variant of `explain_text`."""
        query_str = text("query_str", query_str)
        return await whole_index.explain_text(self._async_io, self._records, query_str)
