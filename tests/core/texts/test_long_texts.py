"""Texts that do not fit into a vector, through both stores and every kind of store of texts."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from llama_index.core.schema import ImageNode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

import langchain_vectorize
import llama_index_vectorize
from tests.core.texts.drivers import Chain, Llama, Watched
from tests.core.texts.kinds import EVERY, MakeTexts
from tests.patience import until
from tests.server.helpers import Clock
from tests.stores import Call, Embedder, both_ways, client_of, recorded, sync_call, vector
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    InvalidVectorError,
    MissingTextError,
    Vector,
    VectorizeClient,
    WaitTimeoutError,
    jsontext,
)
from vectorize_core.api.d1 import ReadD1
from vectorize_core.local import Behavior
from vectorize_core.texts import D1Texts, SqliteTexts

every_kind = pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))
both_stores = pytest.mark.parametrize("kind", [Chain, Llama], ids=lambda kind: kind.name)
Kind = type[Chain] | type[Llama]


def long(name: str) -> str:
    """A text of 200 KB."""
    return f"{name}: " + "Fourscore and seven years é 日本 ago. " * 5_000


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


@pytest.fixture
def texts() -> Watched:
    return Watched(SqliteTexts())


@both_ways
@both_stores
@every_kind
@pytest.mark.covering(2)
async def test_a_long_text_is_stored_found_updated_and_deleted(
    client: VectorizeClient, tmp_path: Path, kind: Kind, make: MakeTexts, call: Call
) -> None:
    texts = Watched(make(tmp_path))
    store = kind(client, texts=texts)
    one, two, new = long("one"), long("two"), long("new")
    assert len(one.encode()) > 200_000
    await store.add(call, ("a", one, 1), ("b", two, 2), ("c", "short", 3))
    everything = {"a": (one, 1), "b": (two, 2), "c": ("short", 3)}
    assert await store.search(call, one) == everything
    assert await store.search(call, two, k=1) == {"b": everything["b"]}
    assert await store.search(call, one, year=2) == {"b": everything["b"]}
    assert await store.get(call, ["c", "a", "x"]) == {"c": ("short", 3), "a": (one, 1)}
    assert sorted(texts.texts) == [one, two]

    await store.add(call, ("a", new, 4))
    assert await store.get(call, ["a"]) == {"a": (new, 4)}
    assert sorted(texts.texts) == sorted([new, two])
    await store.reindex(call)
    assert await store.search(call, new, k=1) == {"a": (new, 4)}
    await store.add(call, ("a", "now short", 4))
    assert await store.get(call, ["a"]) == {"a": ("now short", 4)}
    assert texts.texts == [two]

    await store.delete(call, ["b", "x", "x" * 65])
    assert texts.live == {}
    await store.add(call, ("a", one, 1), ("b", two, 2))
    await store.delete_year(call, 2)
    assert texts.texts == [one]
    await store.clear(call)
    assert texts.live == {}
    assert await store.search(call, one) == {}
    texts.close()


@both_ways
async def test_every_search_of_langchain_gives_the_whole_text(
    client: VectorizeClient, texts: Watched, call: Call
) -> None:
    store = Chain(client, texts=texts).store
    given = {name: long(name) for name in "abc"}
    await call(store, "add_texts", list(given.values()), ids=list(given))
    whole = sorted(given.values())

    def read(documents: list[Document]) -> list[str]:
        return sorted(document.page_content for document in documents)

    query = vector("query")
    scored = await call(store, "similarity_search_with_score", "query")
    assert read([document for document, _ in scored]) == whole
    relevant = await call(store, "similarity_search_with_relevance_scores", "query")
    assert read([document for document, _ in relevant]) == whole
    assert read(await call(store, "similarity_search_by_vector", query)) == whole
    assert read(await call(store, "max_marginal_relevance_search", "query", k=3)) == whole
    assert read(await call(store, "max_marginal_relevance_search_by_vector", query, k=3)) == whole
    for kind in ("similarity", "mmr"):
        assert read(await call(store.as_retriever(search_type=kind), "invoke", "query")) == whole


@both_ways
async def test_every_read_of_llama_index_gives_the_whole_node(
    client: VectorizeClient, texts: Watched, call: Call
) -> None:
    store = Llama(client, texts=texts).store
    link = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc")}
    node = TextNode(id_="a", text=long("a"), embedding=vector("a"), relationships=link)
    image = ImageNode(id_="b", image_url="http://a/b.png", embedding=vector("b"))
    await call(store, "add", [node, image])
    asked = VectorStoreQuery(query_embedding=vector("a"), similarity_top_k=5, node_ids=["a"])
    (found,) = (await call(store, "query", asked)).nodes
    assert (found.text, found.ref_doc_id) == (long("a"), "doc")
    (found, other) = await call(store, "get_nodes", ["a", "b"])
    assert found.text == long("a")
    assert (type(other), other.image_url) == (ImageNode, "http://a/b.png")
    await call(store, "delete", "doc")
    assert texts.live == {}


@both_ways
async def test_a_function_sees_the_whole_text_wherever_it_filters(
    client: VectorizeClient, texts: Watched, call: Call
) -> None:
    store = Chain(client, texts=texts).store
    names = [f"{number:03}" for number in range(130)]
    given = [long(name) if number % 13 == 0 else name for number, name in enumerate(names)]
    metadatas = [{"year": number % 2} for number in range(130)]
    await call(store, "add_texts", given, metadatas, ids=names)

    def is_long(document: Document) -> bool:
        return document.page_content.endswith("ago. ")

    wanted = {name for number, name in enumerate(names) if number % 13 == 0}
    scan = {"filter": is_long, "unindexed": "scan"}
    for k in (100, 20, 3):
        found = await call(store, "similarity_search", "query", k=k, **scan)
        assert {d.id for d in found} <= wanted
        assert len(found) == min(k, 10)
    assert await call(store, "count", **scan) == 10
    await call(store, "delete", **scan)
    assert await call(store, "count") == 120
    assert texts.live == {}


@both_ways
async def test_texts_of_many_hits_come_a_hundred_a_query(
    client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    store = Chain(client, texts=D1Texts("texts")).store
    given = [f"{number} " + "x" * 11_000 for number in range(130)]
    await call(store, "add_texts", given)
    sent.ops.clear()
    found = await call(store, "similarity_search", "query", k=130)
    assert sorted(d.page_content for d in found) == sorted(given)
    assert sorted(len(op.statements[0][1]) for op in sent.of(ReadD1)) == [30, 100]


async def test_what_is_short_costs_nothing_more(client: VectorizeClient, texts: Watched) -> None:
    store = Chain(client, texts=texts).store
    store.add_texts(["one", "two"])
    assert len(store.similarity_search("one")) == 2
    assert (texts.gets, texts.live) == ([], {})


def test_the_largest_text_that_fits_stays_in_its_vector(
    client: VectorizeClient, texts: Watched
) -> None:
    store = Chain(client, texts=texts).store
    store.add_texts(["x"], ids=["a"])
    (stored,) = client.index("docs").get(["a"])
    room = 10_240 - len(jsontext.dumps(stored.metadata))
    store.add_texts(["x" * (room + 1)], ids=["a"])
    assert texts.live == {}
    store.add_texts(["x" * (room + 2)], ids=["a"])
    assert texts.texts == ["x" * (room + 2)]


# What a vector and its reader without the texts see


async def test_a_vector_names_its_text_and_holds_none_of_it(
    client: VectorizeClient, texts: Watched
) -> None:
    Chain(client, texts=texts).store.add_texts([long("a")], [{"year": 1}], ids=["a"])
    (stored,) = client.index("docs").get(["a"])
    (name,) = (name for name in texts.live if name.count("-") == 2)
    assert stored.metadata is not None
    assert stored.metadata["_vs"] == f'{{"v":1,"x":"{name}"}}'
    assert stored.metadata.keys() == {"year", "_vs", "_vs_bucket", "_vs_own"}


@both_ways
@both_stores
async def test_a_record_without_its_text_is_an_error_with_a_cure(
    client: VectorizeClient, texts: Watched, kind: Kind, call: Call
) -> None:
    await kind(client, texts=texts).add(call, ("a", long("a"), 1))
    for options, said in (
        ({}, r"record 'a'.*under 'vs-\w+-\w+', but .*give the store the texts=.*keys \['year'\]"),
        ({"texts": SqliteTexts()}, r"is not in SqliteTexts\(':memory:'\).*write.*again"),
    ):
        store = kind(client, **options)
        for read in (store.search(call, "a"), store.get(call, ["a"])):
            with pytest.raises(MissingTextError, match=said):
                await read
        empty = kind(client, on_missing_text="empty", **options)
        assert await empty.search(call, "a") == {"a": ("", 1)}
        assert await empty.get(call, ["a"]) == {"a": ("", 1)}


@both_ways
@both_stores
async def test_a_vector_that_never_had_a_text_can_be_read_as_empty(
    client: VectorizeClient, kind: Kind, call: Call
) -> None:
    client.create_index("docs", dimensions=32, metadata_indexes={"year": "number"})
    client.index("docs").upsert([Vector("v", vector("v"), metadata={"year": 1})])
    with pytest.raises(MissingTextError, match=r"'v'.*\['year'\]"):
        await kind(client).search(call, "v")
    assert await kind(client, on_missing_text="empty").search(call, "v") == {"v": ("", 1)}
    store = Chain(client, on_missing_text="empty").store
    found = await call(
        store, "similarity_search", "v", filter=lambda d: not d.page_content, unindexed="scan"
    )
    assert [document.id for document in found] == ["v"]


@both_stores
async def test_without_a_store_of_texts_a_long_text_is_an_error(kind: Kind) -> None:
    with (
        client_of("server") as client,
        pytest.raises(InvalidVectorError, match=r"'a'.*takes \d+ bytes.*10240.*texts="),
    ):
        await kind(client).add(sync_call, ("a", long("a"), 1))


@both_stores
async def test_metadata_that_do_not_fit_are_an_error_whatever_the_text(
    client: VectorizeClient, texts: Watched, kind: Kind
) -> None:
    store = Chain(client, texts=texts).store
    with pytest.raises(InvalidVectorError, match=r"'a': the metadata takes 1\d{4} bytes"):
        store.add_texts([long("a")], [{"large": "x" * 10_240}], ids=["a"])
    assert texts.live == {}


def test_a_text_that_d1_does_not_take_is_refused_unsent(
    client: VectorizeClient,
) -> None:
    sent = recorded(client)
    store = Chain(client, texts=D1Texts("texts")).store
    with pytest.raises(InvalidVectorError, match=r"'b'.*2000001 bytes.*D1Texts.*Split"):
        store.add_texts(["short", "x" * 2_000_001], ids=["a", "b"])
    assert sent.changes == []


def test_only_two_things_can_be_done_about_a_missing_text(client: VectorizeClient) -> None:
    for kind in (Chain, Llama):
        with pytest.raises(InvalidInputError, match="on_missing_text"):
            kind(client, on_missing_text="skip")


# Cut


@both_stores
@pytest.mark.parametrize("letter", ["x", "é", "日", "\U0001f600", '"', "\x01"])
async def test_a_text_can_be_cut_to_what_fits(
    client: VectorizeClient, kind: Kind, letter: str
) -> None:
    store = kind(client, on_oversize="cut")
    whole = "A" + letter * 20_000
    await store.add(sync_call, ("a", whole, 1), ("b", "short", 2))
    (stored,) = client.index("docs").get(["a"])
    size = len(jsontext.dumps(stored.metadata))
    assert 10_240 - len(jsontext.dumps(letter)) + len('""') < size <= 10_240
    found = await store.get(sync_call, ["a", "b"])
    assert len(found["a"][0]) > 1_000
    assert whole.startswith(found["a"][0])
    assert found["b"] == ("short", 2)
    # It is found by what the whole of it means.
    (match,) = client.index("docs").query(vector(whole), top_k=1)
    assert (match.id, match.score) == ("a", pytest.approx(1.0))


def test_metadata_are_not_cut(client: VectorizeClient) -> None:
    store = Chain(client, on_oversize="cut").store
    with pytest.raises(InvalidVectorError, match="'a': the metadata takes"):
        store.add_texts(["text"], [{"large": "x" * 10_240}], ids=["a"])


def test_a_store_told_to_cut_keeps_nothing_beside_its_vectors(
    tmp_path: Path,
) -> None:
    kind = langchain_vectorize.VectorizeVectorStore
    with kind(Embedder(), index_name="docs", path=tmp_path, on_oversize="cut") as store:
        store.add_texts([long("a")], ids=["a"])
        assert 1_000 < len(store.get_by_ids(["a"])[0].page_content) < 10_240
    assert not (tmp_path / "texts.sqlite3").exists()


def test_long_texts_are_either_kept_or_cut(client: VectorizeClient, texts: Watched) -> None:
    for kind in (Chain, Llama):
        with pytest.raises(ConfigurationError, match=r"texts=.*on_oversize='cut'"):
            kind(client, texts=texts, on_oversize="cut")
        with pytest.raises(InvalidInputError, match="on_oversize is"):
            kind(client, on_oversize="drop")


# Updates


@both_ways
async def test_metadata_are_updated_and_the_text_stays(
    client: VectorizeClient, texts: Watched, call: Call
) -> None:
    store = Chain(client, texts=texts).store
    await call(store, "add_texts", [long("a"), "x" * 9_000], [{"n": 1}, {"n": 2}], ids=["a", "b"])
    await call(store, "update_metadata", ["a", "b"], {"more": "y" * 2_000})
    expected = [
        Document(long("a"), id="a", metadata={"n": 1, "more": "y" * 2_000}),
        # It does not fit any more.
        Document("x" * 9_000, id="b", metadata={"n": 2, "more": "y" * 2_000}),
    ]
    assert await call(store, "get_by_ids", ["a", "b"]) == expected
    assert sorted(texts.texts) == [long("a"), "x" * 9_000]
    await call(store, "delete", ["a", "b"])
    assert texts.live == {}


@both_ways
async def test_an_unchanged_long_text_is_not_embedded_again(
    client: VectorizeClient, texts: Watched, call: Call
) -> None:
    store = Chain(client, texts=texts).store
    await call(store, "add_texts", [long("a"), long("b")], ids=["a", "b"])
    embedder: Any = store.embeddings
    embedder.batches.clear()
    documents = [Document(long("a"), id="a", metadata={"n": 1}), Document(long("c"), id="b")]
    await call(store, "update_documents", documents)
    assert embedder.batches == [[long("c")]]
    assert await call(store, "get_by_ids", ["a", "b"]) == documents
    assert sorted(texts.texts) == [long("a"), long("c")]


async def test_texts_of_one_call_with_the_same_id_leave_the_last(
    client: VectorizeClient, texts: Watched
) -> None:
    store = Chain(client, texts=texts).store
    given = [long(name) for name in "abc"]
    store.add_texts(given, ids=["a"] * 3, batch_size=1)
    assert store.get_by_ids(["a"])[0].page_content == given[2]
    assert texts.texts == [given[2]]


# Tenants


@both_ways
@both_stores
async def test_tenants_with_the_same_ids_share_no_text(
    client: VectorizeClient, texts: Watched, kind: Kind, call: Call
) -> None:
    store = kind(client, texts=texts)
    one, two = (store.tenant(name) for name in ("one", "two"))
    same = long("same")
    await one.add(call, ("a", same, 1))
    await two.add(call, ("a", same, 2))
    await one.delete(call, ["a"])
    assert await one.get(call, ["a"]) == {}
    assert await two.get(call, ["a"]) == await two.search(call, "query") == {"a": (same, 2)}
    await two.clear(call)
    assert texts.live == {}


def test_a_pickled_store_finds_its_texts(tmp_path: Path) -> None:
    kind = langchain_vectorize.VectorizeVectorStore
    with kind(Embedder(), index_name="docs", path=tmp_path) as store:
        store.add_texts([long("a")], ids=["a"])
        with pickle.loads(pickle.dumps(store)) as again:
            assert again.get_by_ids(["a"])[0].page_content == long("a")


# Embedded


@both_ways
@pytest.mark.parametrize("place", ["directory", "memory"])
async def test_an_embedded_store_keeps_long_texts_beside_its_vectors(
    tmp_path: Path, call: Call, place: str
) -> None:
    path = tmp_path / "data" if place == "directory" else ":memory:"
    kind = langchain_vectorize.VectorizeVectorStore
    with kind(Embedder(), index_name="docs", path=path) as store:
        await call(store, "add_texts", [long("a"), "short"], ids=["a", "b"])
        (found,) = await call(store, "get_by_ids", ["a"])
        assert found.page_content == long("a")
    if place == "directory":
        llama = llama_index_vectorize.VectorizeVectorStore("docs", path=path)
        with llama as again:
            (node,) = await call(again, "get_nodes", ["a"])
            assert node.get_content() == long("a")
            await call(again, "delete_nodes", ["a"])
            assert await call(again, "get_nodes", ["a"]) == []


async def test_no_file_of_texts_is_made_before_there_is_a_long_one(tmp_path: Path) -> None:
    kind = langchain_vectorize.VectorizeVectorStore
    async with kind(Embedder(), index_name="docs", path=tmp_path) as store:
        await store.aadd_texts(["one"], ids=["a"])
        await store.adelete(["a"])
        assert not (tmp_path / "texts.sqlite3").exists()
        await store.aadd_texts([long("one")], ids=["a"])
        assert (tmp_path / "texts.sqlite3").exists()


async def test_sqlite_never_works_on_the_event_loops_thread(
    client: VectorizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    opened = SqliteTexts._opened

    def noted(self: SqliteTexts) -> Any:
        threads.add(threading.get_ident())
        return opened(self)

    monkeypatch.setattr(SqliteTexts, "_opened", noted)
    store = Chain(client, texts=SqliteTexts()).store
    for text in ("one", "two"):
        await store.aadd_texts([long(text)], ids=["a"])
    await store.asimilarity_search("query")
    await store.adelete(["a"])
    assert threads
    assert threading.get_ident() not in threads


# A service whose writes are seen later


@both_stores
async def test_old_texts_go_only_when_reads_no_longer_see_their_vectors(
    kind: Kind, texts: Watched
) -> None:
    behavior = Behavior(process_delay=0.15, propagate_delay=0.1)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind(client, texts=texts, wait=True)
        await store.add(sync_call, ("a", long("one"), 1))
        seen = []

        def read() -> None:
            reader = kind(client, texts=texts)
            while not stop.is_set():
                seen.append(_run(reader))

        stop = threading.Event()
        thread = threading.Thread(target=read)
        thread.start()
        try:
            until(lambda: seen)
            await store.add(sync_call, ("a", long("two"), 2), wait=False)
            # Until then the old text stays; and the reader is to see the new one.
            _wait(store)
            until(lambda: (long("two"), 2) in seen)
            await store.delete(sync_call, ["a"])
        finally:
            stop.set()
            thread.join()
    # At every moment the record is whole: as it was, as it is, or gone.
    assert {1, 2, None} >= {record[1] if record else None for record in seen}
    assert (long("one"), 1) in seen
    assert texts.live == {}


@both_stores
async def test_a_delete_that_is_not_seen_in_time_keeps_the_texts(
    kind: Kind, texts: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    behavior = Behavior(process_delay=60.0)
    with VectorizeClient.local(behavior=behavior, clock=clock) as client:
        store = kind(client, texts=texts, wait_timeout=0.2)
        await store.add(sync_call, ("a", long("one"), 1))
        clock.now += 61
        # A write is done; what it replaces goes when reads see it.
        await store.add(sync_call, ("a", long("two"), 2))
        assert sorted(texts.texts) == [long("one"), long("two")]
        clock.now += 61
        await store.delete(sync_call, ["a"])
        assert long("two") in texts.texts
        assert await store.get(sync_call, ["a"]) == {"a": (long("two"), 2)}
        with pytest.raises(WaitTimeoutError):
            _wait(store)
        assert long("two") in texts.texts
        store.store.close()
        assert "have not been deleted" in caplog.text
        clock.now += 61
        await store.delete(sync_call, ["a"])
        clock.now += 61
        _wait(store)
        assert texts.live == {}


@both_stores
async def test_a_delete_that_waits_takes_the_texts_along(kind: Kind, texts: Watched) -> None:
    behavior = Behavior(process_delay=0.1, propagate_delay=0.05)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind(client, texts=texts, wait=True)
        await store.add(sync_call, ("a", long("one"), 1))
        await store.add(sync_call, ("a", long("two"), 2))
        assert texts.texts == [long("two")]
        await store.delete(sync_call, ["a"])
        assert texts.live == {}


def _wait(store: Chain | Llama) -> None:
    store.store.wait() if isinstance(store, Chain) else store.store.wait_for_writes()


def _run(reader: Chain | Llama) -> tuple[str, int] | None:
    flow = reader.get(sync_call, ["a"])
    try:
        flow.send(None)
    except StopIteration as end:
        return end.value.get("a")  # type: ignore[no-any-return]
    raise AssertionError("a sync call does not suspend")
