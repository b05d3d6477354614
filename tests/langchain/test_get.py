"""Documents by pages, as lists side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, Make, both_ways, vector


@pytest.fixture(params=[False, True], ids=["store", "view"])
def one(request: pytest.FixtureRequest, store: VectorizeVectorStore) -> VectorizeVectorStore:
    """A store, or a tenant's view."""
    return store.with_namespace("one") if request.param else store


@both_ways
async def test_documents_come_as_lists_side_by_side(one: VectorizeVectorStore, call: Call) -> None:
    one.add_texts(["text b", "text a", "text c"], [{"n": 1}, {"n": 2}, {}], ids=["b", "a", "c"])
    assert await call(one, "get") == {
        "ids": ["a", "b", "c"],
        "documents": ["text a", "text b", "text c"],
        "metadatas": [{"n": 2}, {"n": 1}, {}],
        "embeddings": None,
    }
    assert await call(one, "get", ["c", "gone", "a"], include=["metadatas"]) == {
        "ids": ["c", "a"],
        "documents": None,
        "metadatas": [{}, {"n": 2}],
        "embeddings": None,
    }
    found = await call(one, "get", include=["embeddings"], limit=1, offset=1)
    assert (found["ids"], found["documents"], found["metadatas"]) == (["b"], None, None)
    (values,) = found["embeddings"]
    assert values.dtype == np.float32
    assert values.tolist() == pytest.approx(vector("text b"), abs=1e-6)
    assert (await call(one, "get", include=[]))["ids"] == ["a", "b", "c"]
    assert (await call(one, "get", []))["ids"] == []


@both_ways
async def test_pages_of_documents_that_a_filter_matches(make: Make, call: Call) -> None:
    store = make(metadata_indexes={"n": "number"})
    given = [{"n": n} for n in range(60)]
    store.add_texts([str(n) for n in range(60)], given, ids=[f"{n:02}" for n in range(60)])
    pages: list[Any] = [
        await call(store, "get", filter={"n": {"$gte": 10}}, limit=20, offset=offset)
        for offset in (0, 20, 40, 60)
    ]
    assert [page["ids"] for page in pages[:1]] == [[f"{n}" for n in range(10, 30)]]
    assert [i for page in pages for i in page["ids"]] == [f"{n}" for n in range(10, 60)]
    of_function: Any = {"filter": lambda d: d.metadata["n"] % 2 == 1, "unindexed": "scan"}
    assert (await call(store, "get", limit=2, offset=1, **of_function))["ids"] == ["03", "05"]
