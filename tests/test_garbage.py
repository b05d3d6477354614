"""What a call has used is free when it ends: nothing waits for Python's collector of garbage."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests import stores
from tests.kinds import Kind, Row, both_stores
from tests.stores import DIMENSIONS, EVERYWHERE, Call, both_ways
from vectorize_core import VectorizeClient

ROWS: list[Row] = [(f"id-{n}", f"text {n}", {"n": n}) for n in range(70)]
OURS = ("vectorize_core", "langchain_vectorize", "llama_index_vectorize")


@pytest.fixture(params=EVERYWHERE)
def store(request: pytest.FixtureRequest, kind: Kind) -> Iterator[Any]:
    if request.param == "embedded":
        with kind.local(text_index=True) as made:
            yield made
    else:
        with VectorizeClient(uuid4().hex, base_url=stores.server().base_url) as client:
            client.create_index("docs", dimensions=DIMENSIONS)
            yield kind.over(client)


@both_stores
@both_ways
async def test_calls_leave_no_cycles(kind: Kind, call: Call, store: Any) -> None:
    await everything(kind, call, store)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await everything(kind, call, store)
        gc.collect()
        left = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert [name for name in left if name.startswith((*OURS, "builtins.frame"))] == []


async def everything(kind: Kind, call: Call, store: Any) -> None:
    await kind.add_rows(call, store, ROWS, batch_size=40)
    await call(store, "update_metadata", ["id-1"], {"n": 5})
    assert len(await kind.search_by(call, store, "dense", "text 3")) == 4
    assert len(await kind.get(call, store, ["id-1", "id-2"])) == 2
    assert await call(store, "count") == len(ROWS)
    await kind.delete(call, store, ["id-1"])
