"""One way to use both stores with long texts, and to see what their store of texts holds."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

from langchain_core.documents import Document
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery

import langchain_vectorize
import llama_index_vectorize
from tests.executors import Open
from tests.stores import Call, Embedder, vector
from vectorize_core import VectorizeClient
from vectorize_core.api.operations import DeleteByIds, Op, Upsert
from vectorize_core.texts import TextStore
from vectorize_core.transport.executor import Answer, Executor
from vectorize_core.transport.io import Io

T = TypeVar("T")
Seen = dict[str, tuple[str, int]]
"""Text and year of records, by id."""
INDEXES = {"year": "number"}


class Watched(TextStore):
    """A store of texts that shows what is in another one; ``step`` is called around each change."""

    def __init__(self, inner: TextStore, step: Callable[[], None] = lambda: None) -> None:
        self.inner = inner
        self.max_bytes = inner.max_bytes
        self.plain_ids = inner.plain_ids
        self.live: dict[str, str] = {}
        self.gets: list[Sequence[str]] = []
        self.step = step

    @property
    def texts(self) -> list[str]:
        """The texts there are, without the lists of them."""
        return [text for name, text in self.live.items() if name.count("-") == 2]

    async def get(self, io: Io, index: str, names: Sequence[str], /) -> dict[str, str]:
        self.gets.append(names)
        return await self.inner.get(io, index, names)

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        # One after the other, as a store may that is interrupted.
        for name, text in texts.items():
            self.step()
            await self.inner.put(io, index, {name: text})
            self.live[name] = text
        self.step()

    async def delete(self, io: Io, index: str, names: Sequence[str], /) -> None:
        for name in names:
            self.step()
            await self.inner.delete(io, index, [name])
            self.live.pop(name, None)
        self.step()

    def close(self) -> None:
        self.inner.close()


class Stepping(Open):
    """An executor that calls ``step`` around each change of vectors."""

    def __init__(self, executor: Executor, step: Callable[[], None]) -> None:
        self._executor = executor
        self._step = step

    def send(self, op: Op[T], /) -> Answer[T]:
        changes = isinstance(op, (Upsert, DeleteByIds))
        if changes:
            self._step()
        answer = self._executor.send(op)
        if changes:
            self._step()
        return answer

    async def asend(self, op: Op[T], /) -> Answer[T]:
        return await self._executor.asend(op)

    def close(self) -> None:
        self._executor.close()

    async def aclose(self) -> None:
        await self._executor.aclose()


class Chain:
    """LangChain's store."""

    name = "LangChain"

    def __init__(self, client: VectorizeClient, **options: Any) -> None:
        given = {"index_name": "docs", "create_index": True, "metadata_indexes": INDEXES}
        self.store = langchain_vectorize.VectorizeVectorStore(
            Embedder(), client=client, **{**given, **options}
        )

    async def add(self, call: Call, *records: tuple[str, str, int], **options: Any) -> None:
        documents = [
            Document(text, id=record_id, metadata={"year": year})
            for record_id, text, year in records
        ]
        await call(self.store, "add_documents", documents, **options)

    async def get(self, call: Call, ids: Sequence[str]) -> Seen:
        return _documents(await call(self.store, "get_by_ids", list(ids)))

    async def search(self, call: Call, query: str, k: int = 10, year: int | None = None) -> Seen:
        options = {} if year is None else {"filter": {"year": year}}
        return _documents(await call(self.store, "similarity_search", query, k=k, **options))

    async def delete(self, call: Call, ids: Sequence[str]) -> None:
        await call(self.store, "delete", list(ids))

    async def delete_year(self, call: Call, year: int) -> None:
        await call(self.store, "delete", filter={"year": year}, verify=True)

    async def clear(self, call: Call) -> None:
        await call(self.store, "delete", delete_all=True)

    def tenant(self, namespace: str) -> Self:
        view = copy.copy(self)
        view.store = self.store.with_namespace(namespace)
        return view

    async def reindex(self, call: Call) -> None:
        await call(self.store, "reindex_metadata")


class Llama:
    """LlamaIndex' store."""

    name = "LlamaIndex"

    def __init__(self, client: VectorizeClient, **options: Any) -> None:
        given = {"index_name": "docs", "create_index": True, "metadata_indexes": INDEXES}
        self.store = llama_index_vectorize.VectorizeVectorStore(
            client=client, **{**given, **options}
        )

    async def add(self, call: Call, *records: tuple[str, str, int], **options: Any) -> None:
        nodes = [
            TextNode(id_=record_id, text=text, metadata={"year": year}, embedding=vector(text))
            for record_id, text, year in records
        ]
        await call(self.store, "add", nodes, **options)

    async def get(self, call: Call, ids: Sequence[str]) -> Seen:
        return _nodes(await call(self.store, "get_nodes", list(ids)))

    async def search(self, call: Call, query: str, k: int = 10, year: int | None = None) -> Seen:
        filters = None
        if year is not None:
            filters = MetadataFilters(filters=[MetadataFilter(key="year", value=year)])
        asked = VectorStoreQuery(query_embedding=vector(query), similarity_top_k=k, filters=filters)
        return _nodes((await call(self.store, "query", asked)).nodes)

    async def delete(self, call: Call, ids: Sequence[str]) -> None:
        await call(self.store, "delete_nodes", list(ids))

    async def delete_year(self, call: Call, year: int) -> None:
        filters = MetadataFilters(filters=[MetadataFilter(key="year", value=year)])
        await call(self.store, "delete_nodes", None, filters, verify=True)

    async def clear(self, call: Call) -> None:
        await call(self.store, "clear")

    def tenant(self, namespace: str) -> Self:
        view = copy.copy(self)
        view.store = self.store.with_namespace(namespace)
        return view

    async def reindex(self, call: Call) -> None:
        await call(self.store, "reindex_metadata")


def _documents(documents: Sequence[Document]) -> Seen:
    return {str(d.id): (d.page_content, d.metadata["year"]) for d in documents}


def _nodes(nodes: Sequence[Any]) -> Seen:
    return {node.node_id: (node.text, node.metadata["year"]) for node in nodes}
