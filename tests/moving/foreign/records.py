"""What the other stores are given, and what is to come out of their files again."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from llama_index.core.schema import BaseNode

DIMENSIONS = 32


def record_id(name: str) -> str:
    """An id that every store takes: Qdrant's are UUIDs."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def vector(name: str) -> list[float]:
    """Values of length one, that float32 holds exactly."""
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest())
    values = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return [float(value) for value in np.float32(values / np.linalg.norm(values))]


def documents() -> list[Document]:
    from langchain_core.documents import Document

    return [
        Document(
            f"Text {n}: naïve café 東京 \U0001f600 \n\t\"'\\",
            id=record_id(f"document {n}"),
            metadata={"n": n, "half": n / 2, "even": n % 2 == 0, "source": f"page-{n}.md"},
        )
        for n in range(25)
    ] + [Document("long " * 5_000, id=record_id("long"), metadata={"source": "long.md"})]


def nodes() -> list[BaseNode]:
    from llama_index.core.schema import (
        ImageNode,
        IndexNode,
        NodeRelationship,
        ObjectType,
        RelatedNodeInfo,
        TextNode,
    )

    about: dict[str, Any] = {"title": "Ünï", "year": 1863, "score": 0.5}
    source = RelatedNodeInfo(
        node_id="the-document", node_type=ObjectType.DOCUMENT, metadata=about, hash="abc"
    )
    ids = [record_id(f"node {n}") for n in range(3)]
    chunks: list[BaseNode] = [
        TextNode(
            id_=ids[n],
            text=f"Chunk {n}: naïve café 東京 \U0001f600",
            metadata=about | {"chunk": n},
            excluded_embed_metadata_keys=["year"],
            excluded_llm_metadata_keys=["year", "score"],
            relationships={
                NodeRelationship.SOURCE: source,
                NodeRelationship.NEXT: RelatedNodeInfo(node_id=ids[(n + 1) % 3], metadata={"n": 1}),
            },
            start_char_idx=n,
            end_char_idx=n + 10,
            metadata_template="{key} = {value}",
        )
        for n in range(3)
    ]
    chunks += [
        TextNode(id_=record_id("alone"), text="No source, no metadata"),
        IndexNode(id_=record_id("index"), text="Another index", index_id="other"),
        ImageNode(id_=record_id("image"), text="A picture", image_url="https://example.com/a.png"),
    ]
    for node in chunks:
        node.embedding = vector(node.node_id)
    return chunks
