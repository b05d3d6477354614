"""What a write would take: checked and counted, nothing written, nothing embedded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.core.helpers import Variant, both_variants, settled
from tests.stores import DIMENSIONS, Embedder, both_ways, recorded
from vectorize_core import InvalidVectorError, RateLimit, Vector, VectorizeClient, WriteEstimate
from vectorize_core.api.operations import Upsert
from vectorize_core.transport.rate_limit import RateLimiter


def vectors(count: int) -> list[Vector]:
    rows = np.random.default_rng(0).standard_normal((count, DIMENSIONS))
    return [Vector(str(n), row, metadata={"n": n}) for n, row in enumerate(rows)]


def index_of(variant: Variant, client: VectorizeClient) -> Any:
    return (client.to_async() if variant.is_async else client).index("docs")


@both_variants
@pytest.mark.parametrize("method", ["upsert", "insert"])
async def test_an_estimate_of_vectors_is_exact_and_writes_nothing(
    variant: Variant, method: str
) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        sent = recorded(client)
        write = getattr(index_of(variant, client), method)
        options = {"batch_size": 30, "max_batch_bytes": 9_000}
        found = await settled(write(iter(vectors(100)), dry_run=True, **options))
        assert isinstance(found, WriteEstimate)
        assert sent.changes == []
        await settled(write(vectors(100), **options))
        assert found == [str(n) for n in range(100)]
        assert found.requests == len(sent.changes) > 100 / 30
        assert found.bytes == sum(len(b"".join(op.request().body)) for op in sent.changes)
        assert found.stored_dimensions == 100 * DIMENSIONS
        assert f"requests={found.requests}" in repr(found)


@both_ways
async def test_an_estimate_of_texts_embeds_nothing_and_comes_close(call: Any) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS, record_layout=True)
        sent, embedder = recorded(client), Embedder()
        store = VectorizeVectorStore(embedder, client=client, index_name="docs", batch_size=40)
        texts, ids = [f"text {n}" for n in range(100)], [str(n) for n in range(100)]
        found = await call(store, "add_texts", texts, ids=ids, dry_run=True)
        assert embedder.batches == []
        assert sent.changes == []
        await call(store, "add_texts", texts, ids=ids)
        size = sum(len(b"".join(op.request().body)) for op in sent.of(Upsert))
        assert found == ids
        assert found.requests == len(sent.of(Upsert)) == 3
        assert found.stored_dimensions == 100 * DIMENSIONS
        assert found.bytes == pytest.approx(size, rel=0.1)


@both_ways
async def test_an_estimate_makes_no_index(call: Any) -> None:
    with VectorizeClient.local() as client:
        store = VectorizeVectorStore(
            Embedder(), client=client, index_name="docs", create_index=True
        )
        found = await call(store, "add_texts", ["a", "b"], dry_run=True)
        assert (len(found), found.requests, found.stored_dimensions) == (2, 1, None)
        assert found.bytes is None
        assert "bytes=unknown without an index, stored_dimensions=unknown" in repr(found)
        none = await call(store, "add_texts", [], dry_run=True)
        assert (none, none.bytes, none.stored_dimensions) == ([], 0, 0)
        assert client.list_indexes() == ()


@both_ways
async def test_bad_records_are_found_without_writing(call: Any) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS, record_layout=True)
        store = VectorizeVectorStore(Embedder(), client=client, index_name="docs")
        with pytest.raises(InvalidVectorError, match=r"'x{65}'"):
            await call(store, "add_texts", ["a"], ids=["x" * 65], dry_run=True)


@both_variants
async def test_the_rate_limit_of_the_connection_says_how_long_it_takes(variant: Variant) -> None:
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        client.connection.limiter = RateLimiter(RateLimit(requests=10, period=5.0))
        index = index_of(variant, client)
        for count, seconds in ((10, 0.0), (11, 0.5), (30, 10.0)):
            found = await settled(index.upsert(vectors(count), batch_size=1, dry_run=True))
            assert (found.requests, found.seconds) == (count, seconds)
