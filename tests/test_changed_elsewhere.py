"""Another client changes an index: nothing that is known of it is believed for ever."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import EVERYWHERE, Call, async_call, both_ways, client_of, recorded, vector
from tests.test_first_writes import other_client
from vectorize_core import (
    PartialIndexError,
    PartialIndexWarning,
    UnindexedPropertyError,
    VectorizeClient,
    layout,
)
from vectorize_core.api.coverage import CountUncovered
from vectorize_core.api.operations import GetIndex, ListMetadataIndexes, Query

pytestmark = pytest.mark.covering(2)

COUNT = 75
YEAR: Any = {"year": "number"}


@pytest.fixture(params=EVERYWHERE)
def client(request: pytest.FixtureRequest) -> Iterator[VectorizeClient]:
    with client_of(request.param) as made:
        yield made


@pytest.fixture
async def call(request: pytest.FixtureRequest, client: VectorizeClient) -> Any:
    """The variant, whose connections are closed in their own loop."""
    yield request.param
    if request.param is async_call:
        await client.connection.aclose()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass, of threads and of event loops."""
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed[0])

    def pass_time(seconds: float) -> None:
        passed[0] += seconds

    return pass_time


# A server in this process would have its time turned back at the end.
embedded = pytest.mark.parametrize("client", ["embedded"], indirect=True)
both_here = pytest.mark.parametrize("call", both_ways.args[1], ids=["sync", "async"], indirect=True)


async def filled(kind: Kind, call: Call, client: VectorizeClient, **options: Any) -> Any:
    """A store of `COUNT` records of one year, and of one document."""
    store = kind.over(client, **options)
    rows = [(f"{n}", f"text {n}", {"year": 1960}) for n in range(COUNT)]
    await kind.add_rows(call, store, rows, wait=True)
    return store


def equals(kind: Kind, value: int) -> Any:
    if kind is LANGCHAIN:
        return {"year": value}
    return MetadataFilters(filters=[MetadataFilter(key="year", value=value)])


async def read_all(kind: Kind, call: Call, store: Any, **options: Any) -> int:
    """All that a filter matches, read."""
    if kind is LLAMA_INDEX:
        return len(await call(store, "get_nodes", None, equals(kind, 1960), **options))
    if call is async_call:
        return len([d async for d in store.aiter_documents({"year": 1960}, **options)])
    return len(list(store.iter_documents({"year": 1960}, **options)))


async def count(kind: Kind, call: Call, store: Any, **options: Any) -> int:
    found: int = await call(store, "count", equals(kind, 1960), **options)
    return found


async def delete(kind: Kind, call: Call, store: Any, **options: Any) -> Any:
    if kind is LANGCHAIN:
        return await call(store, "delete", filter=equals(kind, 1960), **options)
    return await call(store, "delete_nodes", None, equals(kind, 1960), **options)


async def delete_verified(kind: Kind, call: Call, store: Any, **options: Any) -> Any:
    return await delete(kind, call, store, verify=True, **options)


Claim = Callable[..., Awaitable[Any]]
claims = pytest.mark.parametrize("claim", [count, read_all, delete, delete_verified])


def left(client: VectorizeClient) -> int:
    return len(list(client.index("docs").list_ids()))


# A metadata index that another client deletes


@both_stores
@both_here
@claims
@pytest.mark.covering(2)
async def test_a_deleted_metadata_index_makes_nothing_empty(
    kind: Kind, client: VectorizeClient, call: Call, claim: Claim
) -> None:
    store = await filled(kind, call, client, metadata_indexes=YEAR)
    assert await count(kind, call, store) == COUNT
    other_client(client).index("docs").delete_metadata_index("year")
    with pytest.raises(UnindexedPropertyError, match="'year'"):
        await claim(kind, call, store)
    assert left(client) == COUNT


@both_here
async def test_a_document_is_not_said_to_be_deleted(client: VectorizeClient, call: Call) -> None:
    store = await filled(LLAMA_INDEX, call, client)
    other_client(client).index("docs").delete_metadata_index("_vs_ref")
    with pytest.raises(UnindexedPropertyError, match="_vs_ref"):
        await call(store, "delete", "doc", verify=True)
    assert left(client) == COUNT


@both_stores
@both_here
async def test_a_namespace_is_read_whole_without_its_buckets(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    store = await filled(kind, call, client, namespace="mine")
    assert await call(store, "count") == COUNT
    other_client(client).index("docs").delete_metadata_index("_vs_bucket")
    assert await call(store, "count") == COUNT
    await kind.clear(call, store)
    assert left(client) == 0


# After a minute


@both_stores
@embedded
@both_here
async def test_a_search_looks_again_after_a_minute_and_no_sooner(
    kind: Kind, client: VectorizeClient, call: Call, later: Callable[[float], None]
) -> None:
    sent = recorded(client)
    store = await filled(kind, call, client, metadata_indexes=YEAR)

    async def asked(**options: Any) -> list[type]:
        before = len(sent.ops)
        await kind.search(call, store, "text 1", **options)
        return [type(op) for op in sent.ops[before:]]

    later(61)
    assert await asked() == [GetIndex, Query]
    for _ in range(3):
        assert await asked() == [Query]
    filtered: Any = {"filter": {"year": 1960}} if kind is LANGCHAIN else {}
    if filtered:
        assert await asked(**filtered) == [ListMetadataIndexes, CountUncovered, Query]
    later(30)
    assert await asked(**filtered) == [Query]
    later(31)
    kinds = await asked(**filtered)
    assert kinds[-1] is Query
    assert len(kinds) <= 4


@embedded
@both_here
async def test_relevance_is_that_of_the_index_as_it_is(
    client: VectorizeClient, call: Call, later: Callable[[float], None]
) -> None:
    store = await filled(LANGCHAIN, call, client)
    ((_, before),) = await call(store, "similarity_search_with_relevance_scores", "text 1", 1)
    assert before == pytest.approx(1)
    other = other_client(client)
    other.delete_index("docs")
    other.create_index("docs", dimensions=32, metric="euclidean")
    LANGCHAIN.over(other).add_texts(["text 1"], ids=["1"], wait=True)
    later(61)
    ((_, after),) = await call(store, "similarity_search_with_relevance_scores", "text 1", 1)
    assert after == pytest.approx(1)


@both_stores
@embedded
@both_here
async def test_a_metadata_index_that_is_gone_is_noticed_by_a_search(
    kind: Kind, client: VectorizeClient, call: Call, later: Callable[[float], None]
) -> None:
    store = await filled(kind, call, client, metadata_indexes=YEAR)
    other_client(client).index("docs").delete_metadata_index("year")
    later(61)
    asked: Any = {"filter": {"year": 1960}} if kind is LANGCHAIN else None
    if asked is None:
        with pytest.raises(UnindexedPropertyError, match="'year'"):
            await call(store, "get_nodes", None, equals(kind, 1960))
        return
    with pytest.raises(UnindexedPropertyError, match="'year'"):
        await kind.search(call, store, "a", **asked)


# A metadata index that is made late


async def late(kind: Kind, call: Call, client: VectorizeClient) -> Any:
    store = await filled(kind, call, client)
    client.index("docs").create_metadata_index("year", "number")
    return store


@both_stores
@both_here
@claims
@pytest.mark.covering(2)
async def test_older_records_are_not_left_out_in_silence(
    kind: Kind, client: VectorizeClient, call: Call, claim: Claim
) -> None:
    store = await late(kind, call, client)
    for each in (store, kind.over(other_client(client))):
        with pytest.raises(PartialIndexError, match=r"'year'.*reindex_metadata\(\)"):
            await claim(kind, call, each)
    assert left(client) == COUNT
    found = await claim(kind, call, store, unindexed="scan")
    if claim in (count, read_all):
        assert found == COUNT
    else:
        assert left(client) == 0


@both_stores
@both_here
async def test_a_search_that_may_read_all_leaves_nothing_out(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    store = await late(kind, call, client)
    if kind is LANGCHAIN:
        asked: Any = {"filter": {"year": 1960}, "unindexed": "scan"}
        found = await kind.search(call, store, "text 1", **asked)
    else:
        query = VectorStoreQuery(
            query_embedding=vector("text 1"), similarity_top_k=4, filters=equals(kind, 1960)
        )
        found = (await call(kind.over(client, unindexed="scan"), "query", query)).ids
    assert found == await kind.search(call, store, "text 1")


@both_stores
@embedded
@both_here
@claims
@pytest.mark.covering(2)
async def test_a_metadata_index_that_was_made_again_makes_nothing_empty(
    kind: Kind, client: VectorizeClient, call: Call, claim: Claim
) -> None:
    store = await filled(kind, call, client, metadata_indexes=YEAR)
    assert await count(kind, call, store) == COUNT
    other = other_client(client).index("docs")
    other.delete_metadata_index("year")
    other.create_metadata_index("year", "number")
    with pytest.raises(PartialIndexError, match=r"'year'.*reindex_metadata\(\)"):
        await claim(kind, call, store)
    assert left(client) == COUNT


@both_here
async def test_a_search_warns_once_and_never_after_reindexing(
    client: VectorizeClient, call: Call
) -> None:
    store = await late(LANGCHAIN, call, client)
    with pytest.warns(PartialIndexWarning, match=r"'year'.*reindex_metadata\(\)"):
        assert await LANGCHAIN.search(call, store, "text 1", filter={"year": 1960}) == []
    assert await LANGCHAIN.search(call, store, "text 1", filter={"year": 1960}) == []
    assert await call(store, "reindex_metadata", wait=True) == COUNT
    for each in (store, LANGCHAIN.over(other_client(client))):
        found = await LANGCHAIN.search(call, each, "text 1", filter={"year": 1960})
        assert len(found) == 4
        assert await count(LANGCHAIN, call, each) == COUNT
    await delete_verified(LANGCHAIN, call, store)
    assert left(client) == 0


@both_stores
@both_here
async def test_reindexing_adds_what_the_layout_lacks(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=32, record_layout=False)
    store = await filled(kind, call, client)
    index = client.index("docs")
    assert not any("_vs_bucket" in (v.metadata or {}) for v in index.get(["1", "2"]))
    before = await kind.get(call, store, ["1", "2"])
    for name, index_type in layout.METADATA_INDEXES.items():
        index.create_metadata_index(name, index_type)
    if kind is LLAMA_INDEX:
        # The nodes do not have the property at all: they were written without.
        with pytest.raises(PartialIndexError, match=r"'_vs_ref'.*reindex_metadata\(\)"):
            await call(store, "delete", "doc")
        assert left(client) == COUNT
    assert await call(store, "reindex_metadata", wait=True) == COUNT
    for kept in index.iter(filter={"_vs_bucket": {"$gte": 0}}, unindexed="scan"):
        assert kept.metadata is not None
        assert kept.metadata["_vs_bucket"] == layout.bucket(kept.id)
        assert kept.metadata["_vs_own"] is True
        assert kept.metadata.get("_vs_ref") == ("doc" if kind is LLAMA_INDEX else None)
    assert await kind.get(call, store, ["1", "2"]) == before
    if kind is LLAMA_INDEX:
        await call(store, "delete", "doc", verify=True)
        assert left(client) == 0
