"""The examples in docs/filters.md: explained as it is written there, and answered right."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import DIMENSIONS, Call, Given, both_ways, ranking, vector
from vectorize_core.filters import F
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.filters.parse import parse

PAGE = (Path(__file__).parent.parent / "docs" / "filters.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Examples\n")[1].split("\n## ")[0]
EXAMPLES = re.findall(r"### (.*?)\n.*?```python\n(.*?)```.*?```text\n(.*?)```", SECTION, re.DOTALL)

COUNT = 2_000
ROWS = np.random.default_rng(7).standard_normal((COUNT, DIMENSIONS)).astype(np.float32)
QUERY = vector("the query")


def _metadata(i: int, rng: random.Random) -> dict[str, Any]:
    every = {
        "number": i,
        "year": rng.randrange(1900, 2026),
        "genre": rng.choice(["news", "music", "talk"]),
        "public": rng.random() < 0.1,
        "tags": rng.sample(["live", "mono", "remix"], rng.randrange(3)),
        "rating": rng.randrange(6),
    }
    return {name: value for name, value in every.items() if rng.random() < 0.9}


@pytest.fixture(scope="module")
def metadatas() -> list[dict[str, Any]]:
    rng = random.Random(5)
    return [_metadata(i, rng) for i in range(COUNT)]


@pytest.fixture(scope="module")
def store(metadatas: list[dict[str, Any]]) -> Iterator[VectorizeVectorStore]:
    indexes = {"number": "number", "year": "number", "genre": "string", "public": "boolean"}
    store = VectorizeVectorStore.local(
        Given(ROWS, QUERY), index_name="docs", metadata_indexes=indexes
    )
    ids = [str(i) for i in range(COUNT)]
    store.add_texts([f"text {i}" for i in ids], metadatas, ids=ids)
    yield store
    store.close()


def filter_of(code: str) -> Any:
    return parse(eval(code, {"F": F}))


def test_there_are_six() -> None:
    assert len(EXAMPLES) == 6


@both_ways
@pytest.mark.parametrize(("title", "code", "text"), EXAMPLES, ids=[each[0] for each in EXAMPLES])
async def test_an_example_is_explained_as_it_says_there(
    store: VectorizeVectorStore, call: Call, title: str, code: str, text: str
) -> None:
    told = await call(store, "explain_filter", filter_of(code), unindexed="scan")
    assert str(told) == text.strip()


@both_ways
@pytest.mark.covering(1)
@pytest.mark.parametrize(("title", "code", "text"), EXAMPLES, ids=[each[0] for each in EXAMPLES])
async def test_an_example_is_answered_right(
    store: VectorizeVectorStore,
    metadatas: list[dict[str, Any]],
    call: Call,
    title: str,
    code: str,
    text: str,
) -> None:
    expression = filter_of(code)
    matching = [i for i in range(COUNT) if evaluate(expression, metadatas[i])]
    assert 100 < len(matching) < COUNT
    best = [str(matching[at]) for at in ranking("cosine", QUERY, ROWS[matching].tolist())]
    options: dict[str, Any] = {"filter": expression, "unindexed": "scan"}
    for k in (4, 60):
        found = await call(store, "similarity_search", "the query", k, **options)
        assert [document.id for document in found] == best[:k]
    assert await call(store, "count", **options) == len(matching)
