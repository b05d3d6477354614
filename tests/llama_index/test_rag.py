"""From documents to answers over real text: the same wherever the vectors are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import TokenTextSplitter
from llama_index.core.schema import BaseNode, Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import Hashed, run_pipeline
from tests.stores import Call, both_ways, vector
from vectorize_core.local.server import BackgroundServer

CORPUS = Path(__file__).parents[2] / "examples" / "data" / "state_of_the_union.jsonl"


class Words(Hashed):
    """The sum of the vectors of a text's words: near for texts that share many."""

    def _of(self, text: str) -> list[float]:
        words = re.findall(r"[a-z]{4,}", text.lower())
        summed: list[float] = np.sum([vector(word) for word in words], axis=0).tolist()
        return summed

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._of(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._of(query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return self._of(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._of(query)


MODEL = Words(embed_dim=32)
SPLITTER = TokenTextSplitter(chunk_size=220, chunk_overlap=20, tokenizer=str.split)


def addresses() -> list[Document]:
    """The first four addresses, and what is known of them."""
    found = []
    for line in CORPUS.read_text(encoding="utf-8").splitlines()[:4]:
        address = json.loads(line)
        text = address.pop("text")[:20_000]
        found.append(Document(id_=f"{address['year']}", text=text, metadata=address))
    return found


class Question(NamedTuple):
    """A question, and how a query engine is made for it."""

    text: str
    options: dict[str, Any]


def year(operator: FilterOperator, value: int) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key="year", operator=operator, value=value)])


QUESTIONS = (
    Question("How shall we reduce taxes and the public debt?", {}),
    Question("What do we build for the army and the navy?", {"similarity_top_k": 6}),
    Question("What about slavery?", {"filters": year(FilterOperator.LT, 1900)}),
    Question("Who shall have work and wages?", {"filters": year(FilterOperator.GTE, 1930)}),
    Question("Which freedoms are essential?", {"response_mode": "tree_summarize"}),
)


class Answers(NamedTuple):
    """What is answered to each question, by which passages, and how near those are."""

    texts: list[str]
    sources: list[tuple[str | None, str]]
    scores: list[float]


async def answers(call: Call, index: VectorStoreIndex) -> Answers:
    told = Answers([], [], [])
    for question in QUESTIONS:
        # Without a number of tokens, this model answers with what it is asked.
        engine = index.as_query_engine(llm=MockLLM(), **question.options)
        answer = await call(engine, "query", question.text)
        assert answer.source_nodes
        told.texts.append(str(answer))
        for one in answer.source_nodes:
            told.sources.append((one.node.ref_doc_id, one.node.get_content()))
            told.scores.append(one.get_score())
    return told


def ingested(nodes: list[BaseNode]) -> list[tuple[str | None, str]]:
    return sorted((node.ref_doc_id, node.get_content()) for node in nodes)


@pytest.fixture(scope="module")
def chunks() -> list[BaseNode]:
    pipeline = IngestionPipeline(transformations=[SPLITTER, MODEL])
    return list(pipeline.run(documents=addresses()))


@pytest.fixture(scope="module")
def simple(chunks: list[BaseNode]) -> VectorStoreIndex:
    """LlamaIndex's own index of the same, in its own memory."""
    context = StorageContext.from_defaults(vector_store=SimpleVectorStore())
    return VectorStoreIndex(chunks, storage_context=context, embed_model=MODEL)


@pytest.fixture(params=["memory", "directory", "http"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    if request.param == "memory":
        yield {"path": ":memory:"}
    elif request.param == "directory":
        yield {"path": tmp_path / "vectors"}
    else:
        server: BackgroundServer = request.getfixturevalue("server")
        yield {"account_id": uuid4().hex, "base_url": server.base_url, "create_index": True}


@both_ways
async def test_the_same_questions_have_the_same_answers_everywhere(
    call: Call, options: dict[str, Any], chunks: list[BaseNode], simple: VectorStoreIndex
) -> None:
    async with VectorizeVectorStore(
        "addresses", metadata_indexes={"year": "number"}, **options
    ) as store:
        pipeline = IngestionPipeline(
            transformations=[SPLITTER, MODEL],
            docstore=SimpleDocumentStore(),
            vector_store=store,
            docstore_strategy=DocstoreStrategy.UPSERTS,
        )
        for _ in range(2):
            await run_pipeline(call, pipeline, addresses())
        assert ingested(list(store.iter_nodes())) == ingested(chunks)
        index = VectorStoreIndex.from_vector_store(store, embed_model=MODEL)
        told = await answers(call, index)
    if isinstance(options.get("path"), Path):
        async with VectorizeVectorStore("addresses", **options) as reopened:
            again = VectorStoreIndex.from_vector_store(reopened, embed_model=MODEL)
            assert await answers(call, again) == told
    expected = await answers(call, simple)
    assert (told.texts, told.sources) == (expected.texts, expected.sources)
    assert told.scores == pytest.approx(expected.scores, abs=1e-6)
