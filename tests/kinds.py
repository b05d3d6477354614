"""The two stores, each used as the other, for tests of what holds for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import tee
from operator import itemgetter
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import langchain_vectorize
import llama_index_vectorize
from tests.stores import Call, Embedder, vector

Row = tuple[str, str, dict[str, Any]]
"""The id, text and metadata of a record."""


@dataclass(frozen=True)
class Kind:
    """One of the two stores, and how to use it as the other."""

    name: str
    store: type
    make: Callable[..., Any]

    def local(self, **options: Any) -> Any:
        return self.make(**{"index_name": "docs", "path": ":memory:", **options})

    def over(self, client: Any, **options: Any) -> Any:
        """A store that may create its index."""
        return self.make(**{"index_name": "docs", "client": client, "create_index": True} | options)

    async def add(self, call: Call, store: Any, *texts: str, **options: Any) -> list[str]:
        """Texts that are their own ids."""
        return await self.add_rows(call, store, [(text, text, {}) for text in texts], **options)

    async def add_rows(
        self,
        call: Call,
        store: Any,
        rows: Iterable[Row],
        special: Mapping[str, Any] | None = None,
        *,
        as_texts: bool = False,
        **options: Any,
    ) -> Any:
        """The ids. ``special`` texts have these embeddings; a node is of the document ``doc``.

        Nothing is validated by the frameworks. What is no list is taken one by one. With
        ``as_texts`` LangChain is given columns instead of documents.
        """
        if self is LANGCHAIN:
            store.embeddings.special.update(special or {})
        if as_texts:
            columns: list[Any] = [map(itemgetter(at), each) for at, each in enumerate(tee(rows, 3))]
            ids, texts, metadatas = map(list, columns) if isinstance(rows, list) else columns
            return await call(store, "add_texts", texts, metadatas, ids=ids, **options)
        items = (self.item(row, special or {}) for row in rows)
        method = "add_documents" if self is LANGCHAIN else "add"
        given = list(items) if isinstance(rows, list) else items
        return await call(store, method, given, **options)

    def item(self, row: Row, special: Mapping[str, Any] | None = None) -> Any:
        row_id, text, metadata = row
        if self is LANGCHAIN:
            return Document.model_construct(id=row_id, page_content=text, metadata=metadata)
        return TextNode.model_construct(
            id_=row_id,
            text=text,
            metadata=metadata,
            # What is left out takes Pydantic a hundred times as long.
            excluded_embed_metadata_keys=[],
            excluded_llm_metadata_keys=[],
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")},
            embedding=(special or {}).get(text) or vector(text),
        )

    async def search(
        self, call: Call, store: Any, text: str, k: int = 4, **options: Any
    ) -> list[str]:
        if self is LANGCHAIN:
            return [d.id for d in await call(store, "similarity_search", text, k, **options)]
        query = VectorStoreQuery(query_embedding=vector(text), similarity_top_k=k)
        ids: list[str] = (await call(store, "query", query, **options)).ids
        return ids

    async def search_by(
        self, call: Call, store: Any, mode: str, text: str, k: int = 4, **options: Any
    ) -> list[tuple[str, float]]:
        """Ids and scores, by "dense", "text" or "hybrid".

        Among the options may be ``alpha`` and ``filter``.
        """
        if self is LANGCHAIN:
            options["retrieval_mode"] = mode
            found = await call(store, "similarity_search_with_score", text, k, **options)
            return [(document.id, score) for document, score in found]
        query = VectorStoreQuery(
            query_str=text,
            query_embedding=None if mode == "text" else vector(text),
            similarity_top_k=k,
            mode=_LLAMA_INDEX_MODES[mode],
            alpha=options.pop("alpha", None),
            filters=options.pop("filter", None),
        )
        result = await call(store, "query", query, **options)
        return [*zip(result.ids, result.similarities, strict=True)]

    async def get(self, call: Call, store: Any, ids: Iterable[str], **options: Any) -> list[Row]:
        if self is LANGCHAIN:
            found = await call(store, "get_by_ids", [*ids], **options)
            return [(d.id, d.page_content, d.metadata) for d in found]
        found = await call(store, "get_nodes", [*ids], **options)
        return [(node.node_id, node.get_content(), node.metadata) for node in found]

    async def delete(self, call: Call, store: Any, ids: Iterable[str], **options: Any) -> None:
        await call(store, "delete" if self is LANGCHAIN else "delete_nodes", [*ids], **options)

    def filter(self, key: str, value: Any) -> Any:
        """The filter of what has a value."""
        if self is LANGCHAIN:
            return {key: value}
        return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])

    async def delete_where(self, call: Call, store: Any, key: str, value: Any) -> None:
        if self is LANGCHAIN:
            await call(store, "delete", filter=self.filter(key, value))
        else:
            await call(store, "delete_nodes", None, self.filter(key, value))

    async def clear(self, call: Call, store: Any) -> None:
        if self is LANGCHAIN:
            await call(store, "delete", delete_all=True)
        else:
            await call(store, "clear")


_LLAMA_INDEX_MODES = {
    "dense": VectorStoreQueryMode.DEFAULT,
    "text": VectorStoreQueryMode.TEXT_SEARCH,
    "hybrid": VectorStoreQueryMode.HYBRID,
}
LANGCHAIN = Kind(
    "langchain",
    langchain_vectorize.VectorizeVectorStore,
    lambda **options: langchain_vectorize.VectorizeVectorStore(Embedder(), **options),
)
LLAMA_INDEX = Kind(
    "llama_index",
    llama_index_vectorize.VectorizeVectorStore,
    llama_index_vectorize.VectorizeVectorStore,
)
both_stores = pytest.mark.parametrize("kind", [LANGCHAIN, LLAMA_INDEX], ids=lambda kind: kind.name)
