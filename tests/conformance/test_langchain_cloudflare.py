"""langchain-cloudflare's CloudflareVectorize, unchanged, against the local server."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.vector_stores.types import VectorStoreQuery

import llama_index_vectorize
from langchain_vectorize import VectorizeVectorStore
from tests.stores import Call, both_ways
from vectorize_core import MissingTextError
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.texts import D1Texts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from langchain_cloudflare.vectorstores import CloudflareVectorize

TOKEN, DATABASE = "t0ken", "11111111-2222-3333-4444-555555555555"
TEXTS = ["one", "two", "three"]
IDS = ["1", "2", "3"]

# It makes an SQLAlchemy engine for every call and disposes of none.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]


@pytest.fixture(autouse=True)
def _what_it_leaves_open() -> Iterator[None]:
    """Collected here, where the warnings are expected, and not in another test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    """Writes are seen some time later, so that waiting has something to wait for."""
    behavior = Behavior(process_delay=0.2)
    with BackgroundServer(Settings(token=TOKEN, behavior=behavior)) as server:
        yield server


@pytest.fixture
def place(
    request: pytest.FixtureRequest, server: BackgroundServer, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    account = f"{abs(hash(request.node.nodeid)):x}"
    monkeypatch.setenv(
        "CF_D1_BASE_URL", f"{server.base_url}/accounts/{account}/d1/database/{DATABASE}"
    )
    return {
        "embedding": DeterministicFakeEmbedding(size=32),
        "account_id": account,
        "api_token": TOKEN,
        "base_url": server.base_url,
        "index_name": "docs",
        "default_wait_seconds": 0.05,
    }


@pytest.fixture
def with_d1(place: dict[str, Any]) -> CloudflareVectorize:
    return CloudflareVectorize(**place, d1_database_id=DATABASE)


@pytest.fixture
def without_d1(place: dict[str, Any]) -> CloudflareVectorize:
    return CloudflareVectorize(**place)


def test_create_add_search_and_delete_with_texts_in_d1(with_d1: CloudflareVectorize) -> None:
    store = with_d1
    created = store.create_index(dimensions=32, metric="cosine", description="d")
    assert (created["name"], created["config"]["dimensions"]) == ("docs", 32)
    with pytest.raises(ValueError, match="already exists"):
        store.create_index(dimensions=32)
    store.create_metadata_index("kind", "string", wait=True)
    assert store.list_metadata_indexes() == [{"propertyName": "kind", "indexType": "String"}]

    metadatas = [{"kind": "x"}, {"kind": "y"}, {"kind": "y"}]
    namespaces = ["n", "n", "m"]
    added = store.add_texts(
        TEXTS, metadatas=metadatas, ids=IDS, namespaces=namespaces, wait=True, upsert=True
    )
    assert added == IDS
    assert store.get_index_info()["vectorCount"] == 3

    (best, *others) = store.similarity_search("two")
    assert (best.id, best.page_content, best.metadata["kind"]) == ("2", "two", "y")
    assert {other.page_content for other in others} == {"one", "three"}
    found = store.similarity_search_with_score("two", md_filter={"kind": "y"}, namespace="n")
    assert [(document.id, score) for document, score in found] == [("2", pytest.approx(1.0))]
    assert store.similarity_search("two", namespace="unknown") == []
    got = store.get_by_ids(["3", "missing"])
    assert [(document.page_content, document.metadata["_namespace"]) for document in got] == [
        ("three", "m")
    ]

    store.add_texts(["TWO"], ids=["2"], wait=True, upsert=True)
    assert [document.page_content for document in store.get_by_ids(["2"])] == ["TWO"]
    assert store.delete(["2", "3"], wait=True)
    assert store.get_by_ids(["2", "3"]) == []
    assert [document.page_content for document in store.similarity_search("one")] == ["one"]
    assert [index["name"] for index in store.list_indexes()] == ["docs"]
    store.delete_index()
    with pytest.raises(requests.HTTPError) as gone:
        store.get_index("docs")
    assert gone.value.response.status_code == 410


async def test_all_of_it_awaited(with_d1: CloudflareVectorize) -> None:
    store = with_d1
    await store.acreate_index(dimensions=32, metric="euclidean")
    await store.acreate_metadata_index("kind", "string", wait=True)
    assert len(await store.alist_metadata_indexes()) == 1
    metadatas = [{"kind": "x"}, {"kind": "y"}, {"kind": "y"}]
    added = await store.aadd_texts(TEXTS, metadatas=metadatas, ids=IDS, wait=True, upsert=True)
    assert added == IDS
    found = await store.asimilarity_search_with_score("two", k=2, return_metadata="all")
    (best, score) = found[0]
    assert (best.page_content, best.metadata["kind"], score) == ("two", "y", pytest.approx(0.0))
    assert [document.page_content for document in await store.aget_by_ids(["3"])] == ["three"]
    assert await store.adelete(["1"], wait=True)
    assert (await store.aget_index_info())["vectorCount"] == 2
    await store.adelete_metadata_index("kind")
    assert await store.alist_metadata_indexes() == []
    await store.adelete_index()
    assert await store.alist_indexes() == []


def test_without_d1_vectors_are_found_without_their_texts(without_d1: CloudflareVectorize) -> None:
    store = without_d1
    store.create_index(dimensions=32)
    store.add_texts(TEXTS, metadatas=[{"t": text} for text in TEXTS], ids=IDS, wait=True)
    (best, *_) = store.similarity_search("three")
    assert (best.id, best.page_content, best.metadata) == ("3", "", {"t": "three"})
    assert store.delete(["3"], wait=True)
    assert store.get_by_ids(["3"]) == []


def test_texts_in_d1_can_be_asked_for_by_their_metadata(with_d1: CloudflareVectorize) -> None:
    store = with_d1
    store.create_index(dimensions=32)
    store.add_texts(TEXTS, metadatas=[{"n": "a"}, {"n": "b"}, {"n": "b"}], ids=IDS, wait=True)
    rows = store.d1_metadata_query("docs", {"n": ["b"]})
    assert {row["text"] for row in rows} == {"two", "three"}
    store.d1_drop_table("docs")
    with pytest.raises(Exception, match="no such table: docs"):
        store.d1_get_by_ids("docs", ["1"])


def test_its_missing_batches_meet_the_services_limits(without_d1: CloudflareVectorize) -> None:
    """More than 20 ids a get and 100 a delete: the errors its users report, not silence."""
    store = without_d1
    store.create_index(dimensions=32)
    for method, count in ((store.get_by_ids, 21), (store.delete, 101)):
        with pytest.raises(requests.HTTPError) as refused:
            method([str(number) for number in range(count)])
        assert refused.value.response.json()["errors"][0]["code"] == 40007


# An index of theirs in our stores


def our(place: dict[str, Any], kind: Any = None, **options: Any) -> Any:
    """A store of ours over the same index."""
    where = {name: place[name] for name in ("account_id", "api_token", "base_url", "index_name")}
    if kind is llama_index_vectorize.VectorizeVectorStore:
        return kind(**where, **options)
    return VectorizeVectorStore(place["embedding"], **where, **options)


def filled(store: CloudflareVectorize) -> None:
    """Three texts of theirs, of two kinds and in two namespaces."""
    store.create_index(dimensions=32)
    store.create_metadata_index("kind", "string", wait=True)
    metadatas = [{"kind": "x"}, {"kind": "y", "n": 2}, {"kind": "y"}]
    store.add_texts(
        TEXTS, metadatas=metadatas, ids=IDS, namespaces=["n", "n", "m"], wait=True, upsert=True
    )


@both_ways
async def test_an_index_they_filled_opens_in_our_langchain_store(
    with_d1: CloudflareVectorize, place: dict[str, Any], call: Call
) -> None:
    filled(with_d1)
    store = our(place, texts=D1Texts(DATABASE))
    found = await call(store, "similarity_search", "two", k=3)
    assert found[0] == Document("two", id="2", metadata={"kind": "y", "n": 2})
    assert {document.page_content for document in found} == set(TEXTS)
    assert len(await call(store, "similarity_search", "two", k=1)) == 1
    options = {"filter": {"kind": "y"}, "namespace": "m"}
    assert [d.id for d in await call(store, "similarity_search", "two", **options)] == ["3"]
    mmr = await call(store, "max_marginal_relevance_search", "one", k=2)
    assert mmr[0].page_content == "one"
    got = await call(store, "get_by_ids", ["3", "x", "1"])
    assert [(d.id, d.page_content) for d in got] == [("3", "three"), ("1", "one")]
    scan = {"filter": lambda d: d.page_content == "three", "unindexed": "scan"}
    assert [d.id for d in await call(store, "similarity_search", "one", **scan)] == ["3"]


@both_ways
async def test_an_index_they_filled_opens_in_our_llama_index_store(
    with_d1: CloudflareVectorize, place: dict[str, Any], call: Call
) -> None:
    filled(with_d1)
    store = our(place, llama_index_vectorize.VectorizeVectorStore, texts=D1Texts(DATABASE))
    asked = VectorStoreQuery(
        query_embedding=place["embedding"].embed_query("two"), similarity_top_k=3
    )
    nodes = (await call(store, "query", asked)).nodes
    assert (nodes[0].text, nodes[0].metadata) == ("two", {"kind": "y", "n": 2})
    assert {node.text for node in nodes} == set(TEXTS)
    (node,) = await call(store, "get_nodes", ["3"])
    assert node.text == "three"


@both_ways
async def test_what_our_store_updates_and_deletes_is_so_for_both(
    with_d1: CloudflareVectorize, place: dict[str, Any], call: Call
) -> None:
    filled(with_d1)
    store = our(place, texts=D1Texts(DATABASE), namespace="n", wait=True)
    long = "TWO " * 10_000
    await call(store, "add_texts", [long, "ONE"], [{"kind": "y"}, {}], ids=["2", "1"])
    got = await call(store, "get_by_ids", ["1", "2", "3"])
    assert [document.page_content for document in got] == ["ONE", long, "three"]
    # Their rows would have been out of date.
    assert [row["id"] for row in with_d1.d1_get_by_ids("docs", IDS)] == ["3"]
    await call(store, "delete", IDS)
    assert with_d1.similarity_search("two") == []
    assert with_d1.d1_get_by_ids("docs", IDS) == []
    # They go on writing into the same table.
    with_d1.add_texts(["again"], ids=["2"], wait=True, upsert=True)
    (document,) = await call(store, "get_by_ids", ["2"])
    assert document.page_content == "again"


def test_a_table_that_our_store_made_is_one_of_theirs(
    with_d1: CloudflareVectorize, place: dict[str, Any]
) -> None:
    with_d1.create_index(dimensions=32)
    store = our(place, texts=D1Texts(DATABASE), wait=True)
    store.add_texts(["x" * 20_000], ids=["long"])
    with_d1.add_texts(TEXTS, ids=IDS, wait=True, upsert=True)
    assert {d.id: d.page_content for d in store.similarity_search("one", k=10)} == {
        **dict(zip(IDS, TEXTS, strict=True)),
        "long": "x" * 20_000,
    }
    assert [d.page_content for d in with_d1.get_by_ids(["2"])] == ["two"]


def test_without_d1_their_texts_were_never_kept(
    without_d1: CloudflareVectorize, place: dict[str, Any]
) -> None:
    without_d1.create_index(dimensions=32)
    without_d1.add_texts(TEXTS, metadatas=[{"t": text} for text in TEXTS], ids=IDS, wait=True)
    with pytest.raises(MissingTextError, match=r"has no text.*\['t'\].*text_key="):
        our(place).similarity_search("two")
    assert our(place, text_key="t").similarity_search("two", k=1)[0].page_content == "two"
    empty = our(place, on_missing_text="empty")
    assert empty.similarity_search("two", k=1) == [Document("", id="2", metadata={"t": "two"})]
