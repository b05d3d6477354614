"""What the tests of the LlamaIndex store share: models without weights, documents, nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import BaseNode, Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import FilterCondition, MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from tests.stores import Call, sync_call, vector


class Hashed(MockEmbedding):
    """Unlike the mock it extends, another vector for another text."""

    def _get_text_embedding(self, text: str) -> list[float]:
        return vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return vector(query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return vector(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return vector(query)


MODEL = Hashed(embed_dim=32)
SPLITTER = TokenTextSplitter(chunk_size=24, chunk_overlap=4, tokenizer=str.split)
LONG = " ".join(f"word{i}" for i in range(90))


def documents(*texts: str) -> list[Document]:
    return [Document(id_=f"doc-{i}", text=t, metadata={"n": i}) for i, t in enumerate(texts)]


def embedded(node: BaseNode) -> BaseNode:
    """A copy of ``node`` with an embedding, which is that of its id."""
    node = node.model_copy(deep=True)
    node.embedding = vector(node.node_id)
    return node


def text_node(node_id: str, ref: str | None = None, **metadata: Any) -> TextNode:
    """An embedded node of the source document ``ref``."""
    links = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=ref)} if ref is not None else {}
    return TextNode(
        id_=node_id,
        text=f"text {node_id}",
        metadata=metadata,
        relationships=links,
        embedding=vector(node_id),
    )


def equal_to(key: str, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])


async def run_pipeline(call: Call, pipeline: IngestionPipeline, given: list[Document]) -> None:
    # Not by `call`: its async name is arun, but it takes keywords only.
    if call is sync_call:
        pipeline.run(documents=given)
    else:
        await pipeline.arun(documents=given)


def llama_index(filters: MetadataFilters, metadata: Mapping[str, Any]) -> bool | None:
    """What LlamaIndex's own function says; None where it raises TypeError."""
    try:
        return build_metadata_filter_fn(lambda _: metadata, filters)("x")
    except TypeError:
        return None


def meaning(filters: MetadataFilters, metadata: Mapping[str, Any]) -> bool:
    """Nested filters, which LlamaIndex refuses: each group is a leaf of the group around it."""
    answers = [
        meaning(one, metadata)
        if isinstance(one, MetadataFilters)
        else llama_index(MetadataFilters(filters=[one]), metadata)
        for one in filters.filters
    ]
    if filters.condition == FilterCondition.OR:
        return any(answers) or not answers
    if filters.condition == FilterCondition.NOT:
        return not any(answers)
    return all(answers)
