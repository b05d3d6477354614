"""How nodes get into the LlamaIndex store, any number of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llama_index.core.schema import BaseNode

from llama_index_vectorize.configured import Configured
from llama_index_vectorize.nodes import to_items
from vectorize_core.records.kwargs import accept
from vectorize_core.records.store import AddOptions
from vectorize_core.transport.io import Io, run
from vectorize_core.writes.sources import Records


class Adding(Configured):
    """What `VectorizeVectorStore` writes with."""

    def add(self, nodes: Iterable[BaseNode], **add_kwargs: Any) -> list[str]:
        """Write embedded nodes; a node whose id exists replaces the old one whole.

        ``nodes`` may be a generator of any length. Options: ``namespace``, ``dry_run`` (returns a
        `WriteEstimate` and writes nothing) and those of `WriteOptions`: ``batch_size``, ``wait``,
        ``wait_timeout``, ``on_batch``, ``show_progress``, ``resume`` and more.

        Returns the node ids in input order. Raises `InvalidVectorError` naming the node,
        `PartialWriteError` when some were written and some not, `WaitTimeoutError`.
        """
        options = accept(AddOptions, add_kwargs, self.add)
        return run(self._add(self._io, nodes, options))

    async def async_add(self, nodes: Records[BaseNode], **add_kwargs: Any) -> list[str]:
        """`add`, awaited; takes async iterables too."""
        options = accept(AddOptions, add_kwargs, self.async_add)
        return await self._add(self._async_io, nodes, options)

    async def _add(self, io: Io, nodes: Records[BaseNode], options: AddOptions) -> list[str]:
        items = to_items(nodes, text_key=self._records.text_key, stock=self.node_layout == "stock")
        given = AddOptions(**{"show_progress": self.show_progress, **options})
        return await self._records.add(io, items, **given)
