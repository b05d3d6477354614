"""Nodes that are added, as items of a write, each made when it is needed. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterator
from itertools import count
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.schema import BaseNode

from llama_index_vectorize.nodes import named, to_record, to_stock_record
from vectorize_core.api.validation import several
from vectorize_core.errors import InvalidInputError, InvalidVectorError, shown
from vectorize_core.layout import DEFAULT_TEXT_KEY
from vectorize_core.records.item import Item
from vectorize_core.writes.sources import Records


def to_items(
    nodes: Records[BaseNode], *, text_key: str = DEFAULT_TEXT_KEY, stock: bool = False
) -> Records[Item]:
    """The items of embedded nodes, each made when it is needed; of a collection, a collection."""

    def to_item(position: int, node: Any) -> Item:
        if not isinstance(node, BaseNode):
            raise InvalidInputError(_no_node(position, node))
        if node.embedding is None:
            raise InvalidVectorError(
                f"node {node.node_id!r} has no embedding; embed it first, as VectorStoreIndex and "
                f"an IngestionPipeline with an embedding model do (it is nodes[{position}])"
            )
        try:
            with named(node):
                record = to_stock_record(node) if stock else to_record(node, text_key)
        except InvalidVectorError as error:
            raise type(error)(f"{error} (it is nodes[{position}])") from error
        return Item(record, node.embedding)

    if isinstance(nodes, AsyncIterable):
        return _async_items(nodes, to_item)
    # A node is a model, and so iterable: over its fields.
    several("nodes", nodes, alone=(BaseModel,))
    return _Items(nodes, to_item) if isinstance(nodes, Collection) else map(to_item, count(), nodes)


async def _async_items(
    nodes: AsyncIterable[BaseNode], to_item: Callable[[int, BaseNode], Item]
) -> AsyncIterator[Item]:
    positions = count()
    async for node in nodes:
        yield to_item(next(positions), node)


def _no_node(position: int, given: Any) -> str:
    hint = ""
    if isinstance(getattr(given, "node", None), BaseNode):
        hint = ". Give its .node"
    elif isinstance(given, str):
        hint = ". Make it one: TextNode(text=..., embedding=...)"
    return f"nodes[{position}] is a node; got {shown(given)}{hint}"


class _Items:
    """The items of a collection of nodes, which have its length and can be read again."""

    def __init__(
        self, nodes: Collection[BaseNode], to_item: Callable[[int, BaseNode], Item]
    ) -> None:
        self._nodes = nodes
        self._to_item = to_item

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Item]:
        return map(self._to_item, count(), self._nodes)
