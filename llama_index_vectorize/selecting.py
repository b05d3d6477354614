"""Nodes by id, by filter or by source document: getting, counting and deleting them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from llama_index.core.schema import BaseNode

from llama_index_vectorize.configured import Configured
from llama_index_vectorize.filters import NodeFilters, is_filter, to_expression
from llama_index_vectorize.nodes import to_node
from vectorize_core.api import validation
from vectorize_core.errors import InvalidInputError
from vectorize_core.filters.explain import Explanation
from vectorize_core.filters.plan import Unindexed
from vectorize_core.models import Filter
from vectorize_core.reads.selection import FindOptions
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import CountOptions
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.transport.io import Io, iterate, run


class DeleteOptions(WaitOptions, total=False):
    """How nodes are deleted, and of which namespace.

    ``verify`` looks again after the deletion is visible until nothing that matches is left.
    """

    namespace: str | None
    verify: bool


class DeleteNodesOptions(WaitOptions, FindOptions, total=False):
    """As `DeleteOptions`, and how much may be read to find the nodes."""

    verify: bool


class Selecting(Configured):
    """What `VectorizeVectorStore` gets, counts and deletes nodes with."""

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: NodeFilters | None = None,
        **get_kwargs: Any,
    ) -> list[BaseNode]:
        """Nodes by id, by filter, or those that satisfy both; neither is an error.

        ``filters`` are LlamaIndex's, or this project's, such as ``{"open": True}``. By ids nodes
        come in the order of the ids, and missing ones are left out. Options: ``namespace``,
        ``vectorize_filter``, ``unindexed`` and ``max_requests`` (1,000).
        """
        options = accept(FindOptions, get_kwargs, self.get_nodes)
        return run(self._get_nodes(self._io, node_ids, filters, options))

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: NodeFilters | None = None,
        **get_kwargs: Any,
    ) -> list[BaseNode]:
        """`get_nodes`, awaited."""
        options = accept(FindOptions, get_kwargs, self.aget_nodes)
        return await self._get_nodes(self._async_io, node_ids, filters, options)

    async def _get_nodes(
        self,
        io: Io,
        node_ids: list[str] | None,
        filters: NodeFilters | None,
        options: FindOptions,
    ) -> list[BaseNode]:
        _check_selected(node_ids, filters, options.get("vectorize_filter"))
        found = await self._records.records(
            io, ids=node_ids, filter=to_expression(filters), **options
        )
        return [to_node(record) for record in found]

    def iter_nodes(
        self, filters: NodeFilters | None = None, **find_kwargs: Any
    ) -> Iterator[BaseNode]:
        """All nodes, or all that ``filters`` match, once each and in no order.

        They are read a few answers at a time, so that any number takes little memory. Options:
        ``namespace``, ``vectorize_filter``, ``unindexed`` and ``max_requests`` (1,000).
        """
        options = accept(FindOptions, find_kwargs, self.iter_nodes)
        return iterate(self._iter_nodes(self._io, filters, options))

    def aiter_nodes(
        self, filters: NodeFilters | None = None, **find_kwargs: Any
    ) -> AsyncGenerator[BaseNode, None]:
        """`iter_nodes`, awaited."""
        options = accept(FindOptions, find_kwargs, self.aiter_nodes)
        return self._iter_nodes(self._async_io, filters, options)

    async def _iter_nodes(
        self,
        io: Io,
        filters: NodeFilters | None,
        options: FindOptions,
        refs: Sequence[str] | None = None,
    ) -> AsyncGenerator[BaseNode, None]:
        found = self._records.iter_records(io, filter=to_expression(filters), refs=refs, **options)
        async with aclosing(found) as records:
            async for record in records:
                yield to_node(record)

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a source document; an unknown one is no error.

        Options: ``namespace``, ``wait``, ``wait_timeout``, and ``verify``, which looks again after
        the deletion is visible until no node of the document is left.
        """
        options = accept(DeleteOptions, delete_kwargs, self.delete)
        run(self._delete_documents(self._io, [ref_doc_id], options))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """`delete`, awaited."""
        options = accept(DeleteOptions, delete_kwargs, self.adelete)
        await self._delete_documents(self._async_io, [ref_doc_id], options)

    def delete_many(self, ref_doc_ids: Sequence[str], **delete_kwargs: Any) -> None:
        """`delete` for many source documents at once: far fewer requests than one by one."""
        options = accept(DeleteOptions, delete_kwargs, self.delete_many)
        run(self._delete_documents(self._io, ref_doc_ids, options))

    async def adelete_many(self, ref_doc_ids: Sequence[str], **delete_kwargs: Any) -> None:
        """`delete_many`, awaited."""
        options = accept(DeleteOptions, delete_kwargs, self.adelete_many)
        await self._delete_documents(self._async_io, ref_doc_ids, options)

    async def _delete_documents(
        self, io: Io, ref_doc_ids: Sequence[str], options: DeleteOptions
    ) -> None:
        validation.check_id_list(ref_doc_ids)
        if ref_doc_ids:
            await self._records.delete_matching(io, refs=ref_doc_ids, **options)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: NodeFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes by id, by filter, or those that satisfy both; neither is an error.

        Options: ``namespace``, ``vectorize_filter``, ``wait``, ``wait_timeout``, ``unindexed``,
        ``max_requests`` (1,000), and ``verify``, which looks again after the deletion is visible
        until nothing that matches is left. To delete everything, use `clear`.
        """
        options = accept(DeleteNodesOptions, delete_kwargs, self.delete_nodes)
        run(self._delete_nodes(self._io, node_ids, filters, options))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: NodeFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """`delete_nodes`, awaited."""
        options = accept(DeleteNodesOptions, delete_kwargs, self.adelete_nodes)
        await self._delete_nodes(self._async_io, node_ids, filters, options)

    async def _delete_nodes(
        self,
        io: Io,
        node_ids: list[str] | None,
        filters: NodeFilters | None,
        options: DeleteNodesOptions,
    ) -> None:
        _check_selected(node_ids, filters, options.get("vectorize_filter"))
        if node_ids is None:
            await self._records.delete_matching(io, filter=to_expression(filters), **options)
            return
        ids: Sequence[str] = node_ids
        namespace = self._records.in_namespace(options.get("namespace"))
        # A tenant's ids name nobody else's nodes; those of a namespace might.
        if filters is not None or (namespace is not None and not self._records.bound):
            found = await self._records.records(
                io,
                ids=ids,
                filter=to_expression(filters),
                namespace=options.get("namespace"),
            )
            ids = [record.id for record in found]
        wait = "visible" if options.get("verify") else options.get("wait")
        await self._records.delete(io, ids, wait=wait, wait_timeout=options.get("wait_timeout"))

    def clear(self) -> None:
        """Delete every node; in a store with a namespace, every node of that namespace."""
        run(self._records.clear(self._io))

    async def aclear(self) -> None:
        """`clear`, awaited."""
        await self._records.clear(self._async_io)

    def count(self, filters: NodeFilters | None = None, **kwargs: Any) -> int:
        """How many nodes ``filters`` match, or there are; this client's own writes included.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), and
        ``precision="high"``, which leaves nothing to the service's approximation.
        """
        options = accept(CountOptions, kwargs, self.count)
        return run(self._records.count(self._io, filter=to_expression(filters), **options))

    async def acount(self, filters: NodeFilters | None = None, **kwargs: Any) -> int:
        """`count`, awaited."""
        options = accept(CountOptions, kwargs, self.acount)
        return await self._records.count(self._async_io, filter=to_expression(filters), **options)

    def explain_filter(
        self,
        filters: NodeFilters | None,
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
        filters: NodeFilters | None,
        similarity_top_k: int | None = 4,
        *,
        unindexed: Unindexed = "error",
    ) -> Explanation:
        """`explain_filter`, awaited."""
        given = to_expression(filters)
        return await self._records.explain_filter(
            self._async_io, given, similarity_top_k, unindexed=unindexed
        )


def _check_selected(
    node_ids: Sequence[str] | None, filters: NodeFilters | None, native: Filter | None
) -> None:
    if node_ids is not None:
        validation.check_id_list(node_ids)
        if native is not None:
            raise InvalidInputError("vectorize_filter= cannot be combined with a list of ids")
    elif not is_filter(filters) and native is None:
        raise InvalidInputError(
            "give node_ids or filters; iter_nodes() reads everything, clear() deletes it"
        )
