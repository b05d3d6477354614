"""Adding and deleting nodes, changing their metadata, and waiting until reads see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from llama_index.core.schema import BaseNode

from llama_index_vectorize.filters import NodeFilters, as_node_ids, is_filter, to_expression
from llama_index_vectorize.items import to_items
from llama_index_vectorize.nodes import edited
from llama_index_vectorize.options import DeleteNodesOptions, DeleteOptions, NodeLayout
from vectorize_core.api.validation import as_id, as_ids
from vectorize_core.errors import InvalidFilterError
from vectorize_core.kwargs import checks_keywords
from vectorize_core.models import Id
from vectorize_core.records import deleting
from vectorize_core.records.framework_store import FrameworkStore
from vectorize_core.records.store import AddOptions
from vectorize_core.records.updating import NO_CHANGES, update_metadata
from vectorize_core.state.waiting import WaitOptions
from vectorize_core.transport.io import Io, run
from vectorize_core.writes.sources import Records

_update: Final = partial(update_metadata, edit=edited)


@checks_keywords()
class Writing(FrameworkStore):
    """The part of `VectorizeVectorStore` that writes and deletes."""

    if TYPE_CHECKING:
        node_layout: NodeLayout
        show_progress: bool

    # Adding

    def add(self, nodes: Iterable[BaseNode], **options: Unpack[AddOptions]) -> list[str]:
        """Write embedded nodes; a node whose id exists replaces the old one whole.

        ``nodes`` may be a generator of any length. Options: ``namespace``; ``dry_run``, which
        writes nothing and returns a `WriteEstimate`; and those of `WriteOptions`: ``batch_size``,
        ``wait``, ``wait_timeout``, ``on_batch``, ``show_progress``, ``resume`` and more.

        Returns the node ids in input order. Raises `InvalidVectorError` naming a node that cannot
        be written, `PartialWriteError` if only some nodes were written, `WaitTimeoutError`.
        """
        return run(self._add(self._io, nodes, options))

    async def async_add(self, nodes: Records[BaseNode], **options: Unpack[AddOptions]) -> list[str]:
        """The async variant of `add`; takes async iterables too."""
        return await self._add(self._async_io, nodes, options)

    async def _add(self, io: Io, nodes: Records[BaseNode], options: AddOptions) -> list[str]:
        items = to_items(nodes, text_key=self._records.text_key, stock=self.node_layout == "stock")
        given = AddOptions(**{"show_progress": self.show_progress, **options})
        return await self._records.add(io, items, **given)

    # Changing metadata

    def update_metadata(
        self,
        node_ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[str] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """Merge ``metadata`` into the metadata of nodes: one for all, or one for each id.

        The keys ``remove`` are taken out before; with ``replace``, ``metadata`` replaces it all.
        Texts and embeddings stay. This waits until reads see this client's own writes, reads the
        nodes and writes them again, so a write of another client in between is lost. Options:
        ``wait``, ``wait_timeout``. Returns those of ``node_ids`` that are stored, in order.
        """
        ids = as_ids(node_ids, "node_ids")
        return run(
            _update(
                self._io, self._records, ids, metadata, remove=remove, replace=replace, **options
            )
        )

    async def aupdate_metadata(
        self,
        node_ids: Sequence[Id],
        metadata: Mapping[str, Any] | Sequence[Mapping[str, Any]] = NO_CHANGES,
        *,
        remove: Iterable[str] = (),
        replace: bool = False,
        **options: Unpack[WaitOptions],
    ) -> list[str]:
        """The async variant of `update_metadata`."""
        ids = as_ids(node_ids, "node_ids")
        return await _update(
            self._async_io, self._records, ids, metadata, remove=remove, replace=replace, **options
        )

    # Deleting

    def delete(self, ref_doc_id: Id, **options: Unpack[DeleteOptions]) -> None:
        """Delete all nodes of a source document; an unknown one is no error.

        Options: ``namespace`` (the store's, or all), ``wait`` and ``wait_timeout`` (the store's),
        and ``verify`` (False); see `DeleteOptions`.
        """
        run(self._delete_documents(self._io, [as_id(ref_doc_id, "ref_doc_id")], options))

    async def adelete(self, ref_doc_id: Id, **options: Unpack[DeleteOptions]) -> None:
        """The async variant of `delete`."""
        await self._delete_documents(self._async_io, [as_id(ref_doc_id, "ref_doc_id")], options)

    def delete_many(self, ref_doc_ids: Sequence[Id], **options: Unpack[DeleteOptions]) -> None:
        """`delete` for many source documents at once: far fewer requests than one by one.

        `delete_nodes` takes the ids of nodes.
        Options as in `delete`: ``namespace``, ``wait``, ``wait_timeout``, ``verify``.
        """
        run(self._delete_documents(self._io, ref_doc_ids, options))

    async def adelete_many(
        self, ref_doc_ids: Sequence[Id], **options: Unpack[DeleteOptions]
    ) -> None:
        """The async variant of `delete_many`."""
        await self._delete_documents(self._async_io, ref_doc_ids, options)

    async def _delete_documents(
        self, io: Io, ref_doc_ids: Sequence[Id], options: DeleteOptions
    ) -> None:
        self._records.in_namespace(options.get("namespace"))
        refs = as_ids(ref_doc_ids, "ref_doc_ids")
        if refs:
            await deleting.delete_matching(io, self._records, refs=refs, **options)

    def delete_nodes(
        self,
        node_ids: Sequence[Id] | None = None,
        filters: NodeFilters | None = None,
        **options: Unpack[DeleteNodesOptions],
    ) -> None:
        """Delete nodes by id, by filter, or those that satisfy both; with neither, nothing.

        Options: ``namespace``, ``vectorize_filter``, ``unindexed``, ``max_requests`` (1,000), as in
        `iter_nodes`; ``wait``, ``wait_timeout`` and ``verify``, as in `delete`. `clear` deletes
        everything, and an empty filter is an error.
        """
        run(self._delete_nodes(self._io, node_ids, filters, options))

    async def adelete_nodes(
        self,
        node_ids: Sequence[Id] | None = None,
        filters: NodeFilters | None = None,
        **options: Unpack[DeleteNodesOptions],
    ) -> None:
        """The async variant of `delete_nodes`."""
        await self._delete_nodes(self._async_io, node_ids, filters, options)

    async def _delete_nodes(
        self,
        io: Io,
        node_ids: Sequence[Id] | None,
        filters: NodeFilters | None,
        options: DeleteNodesOptions,
    ) -> None:
        self._records.in_namespace(options.get("namespace"))
        expression = to_expression(filters)
        if node_ids is None:
            if filters is None and options.get("vectorize_filter") is None:
                return
            if not is_filter(filters) and options.get("vectorize_filter") is None:
                raise InvalidFilterError(
                    "filters is empty, which would delete every node; clear() does that"
                )
            await deleting.delete_matching(io, self._records, filter=expression, **options)
            return
        await deleting.delete_among(
            io,
            self._records,
            as_node_ids(node_ids, options),
            filter=expression,
            namespace=options.get("namespace"),
            wait="visible" if options.get("verify") else options.get("wait"),
            wait_timeout=options.get("wait_timeout"),
        )

    def clear(self) -> None:
        """Delete every node; in a store with a namespace, every node of that namespace."""
        run(deleting.clear(self._io, self._records))

    async def aclear(self) -> None:
        """The async variant of `clear`."""
        await deleting.clear(self._async_io, self._records)

    # Waiting

    def wait_for_writes(self, *, wait_timeout: float | None = None) -> None:
        """Wait until reads see the latest writes of this store, and of its client.

        For at most ``wait_timeout`` seconds (by default the store's own), then `WaitTimeoutError`.
        """
        run(self._records.await_writes(self._io, wait_timeout))
