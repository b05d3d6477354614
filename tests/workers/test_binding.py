"""A client and both stores through a Worker's binding: what they do, and what they refuse."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery

import langchain_vectorize
import llama_index_vectorize
from tests.stores import DIMENSIONS, Embedder, vector
from tests.workers.bindings import D1Binding, VectorizeBinding
from tests.workers.bridge import running
from tests.workers.conftest import Bind
from tests.workers.workerd import ROOT
from vectorize_core import (
    AsyncVectorizeClient,
    ConfigurationError,
    D1TextIndex,
    D1Texts,
    InvalidVectorError,
    PartialIndexError,
    PartialIndexWarning,
    UnindexedPropertyError,
    UnsupportedCallError,
    Vector,
)
from vectorize_core.layout import bucket
from vectorize_core.local.server import BackgroundServer
from vectorize_core.moving import aimport_records
from vectorize_core.writes.batching import Batch, Entry

ROWS = np.random.default_rng(7).standard_normal((1_200, DIMENSIONS)).astype(np.float32)
PAGE = (ROOT / "docs" / "workers.md").read_text(encoding="utf-8")
VECTORS = [
    Vector(f"v{n}", row, "even" if n % 2 == 0 else None, {"n": n, "deep": {"a": [1.0, None, "é"]}})
    for n, row in enumerate(ROWS)
]


async def test_every_call_reads_as_over_rest(bind: Bind, server: BackgroundServer) -> None:
    binding = bind(n="number")
    client = AsyncVectorizeClient.from_binding(binding, metadata_indexes={"n": "number"})
    through, index = client.index("docs"), binding._headers["x-vectorize-index"]
    async with AsyncVectorizeClient(base_url=server.base_url) as rest:
        over = rest.index(index)
        await through.upsert(VECTORS[:60], wait="visible")
        await through.insert(VECTORS[:61])
        await through.delete(["v0", "unknown"], wait="visible")
        wanted = [f"v{n}" for n in range(70)]
        assert await through.get(wanted) == await over.get(wanted)
        for options in (
            {},
            {"return_values": True, "return_metadata": "all"},
            {"filter": {"n": {"$lt": 30}}, "return_metadata": "indexed"},
            {"namespace": "even"},
        ):
            for top_k in (5, 55):
                found = await through.query(ROWS[3], top_k, **options)  # type: ignore[arg-type]
                same = await over.query(ROWS[3], top_k, **options)  # type: ignore[arg-type]
                assert repr(found) == repr(same)
        near = await through.query_by_id("v3", 3)
        assert repr(near) == repr(await over.query_by_id("v3", 3))
        assert await through.info() == await over.info()
        assert (await through.details()).config == (await over.details()).config
        assert await through.count(filter={"n": {"$gte": 50}}) == 11


async def test_a_write_has_no_more_vectors_than_a_worker_may_send(bind: Bind) -> None:
    binding = bind()
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    estimate = await index.upsert(VECTORS, batch_size=5_000, dry_run=True)
    assert estimate.requests == 2
    await index.upsert(VECTORS, batch_size=5_000)
    assert [len(vectors) for name, (vectors,) in binding.calls if name == "upsert"] == [1_000, 200]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create_index", ("a",)),
        ("list_indexes", ()),
        ("delete_index", ("a",)),
    ],
)
async def test_what_a_binding_has_not_is_for_the_rest_client(
    bind: Bind, method: str, arguments: Any
) -> None:
    client = AsyncVectorizeClient.from_binding(bind())
    options = {"dimensions": 32} if method == "create_index" else {}
    with pytest.raises(UnsupportedCallError, match=r"binding .* no such call. Over REST .*account"):
        await getattr(client, method)(*arguments, **options)


async def test_ids_cannot_be_listed_nor_metadata_indexes_made(bind: Bind) -> None:
    binding = bind()
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    for call in (
        index.create_metadata_index("a", "string"),
        index.delete_metadata_index("a"),
        anext(index.list_ids()),
        index.reindex_metadata(),
        index.upsert(VECTORS[:1], unparsable_behavior="discard"),
    ):
        with pytest.raises(UnsupportedCallError, match="REST"):
            await call
    assert not binding.calls


@pytest.mark.parametrize(
    ("metadata", "place"),
    [
        ({"year": 1, "big": 2**53 + 1}, "integer 9007199254740993 at big"),
        ({"deep": {"list": [1, -(2**60)]}}, r"integer -1152921504606846976 at deep.list\[1\]"),
    ],
)
async def test_integers_that_javascript_changes_are_refused_before_anything_is_sent(
    bind: Bind, tmp_path: Path, metadata: dict[str, Any], place: str
) -> None:
    binding = bind()
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    many = [*VECTORS[:70], Vector("bad", ROWS[0], metadata=metadata)]
    for write in (index.upsert, index.insert):
        with pytest.raises(InvalidVectorError, match=f"position 70, vector 'bad'.*{place},.*REST"):
            await write(many)
    raw = tmp_path / "raw.ndjson"
    raw.write_text(json.dumps({"id": "bad", "values": ROWS[0].tolist(), "metadata": metadata}))
    with pytest.raises(InvalidVectorError, match=f"record 'bad'.*{place}"):
        await aimport_records(raw, index)
    assert not binding.calls


async def test_integers_that_are_taken_come_back_as_they_were(
    server: BackgroundServer, bind: Bind, tmp_path: Path
) -> None:
    powers = [
        sign * (2**n + step) for n in range(50, 64) for step in (-1, 0, 1) for sign in (1, -1)
    ]
    powers += [10**n + step for n in range(15, 20) for step in (-1, 0, 1, 1_000)]
    name = bind()._headers["x-vectorize-index"]
    with running(tmp_path, server.base_url, name) as workerd:
        index = AsyncVectorizeClient.from_binding(workerd).index("docs")
        refused = 0
        taken = []
        for n, number in enumerate(powers):
            try:
                estimate = [Vector(f"{n}", ROWS[n], metadata={"n": number})]
                await index.upsert(estimate, dry_run=True)
            except InvalidVectorError:
                refused += 1
                assert abs(number) > 2**53
            else:
                taken += estimate
        await index.upsert(taken, wait="visible")
        assert refused > 40
        assert len(taken) > 20
        assert await index.get([v.id for v in taken]) == taken
        store = langchain_vectorize.VectorizeVectorStore(
            Embedder(), index_name="docs", binding=workerd, wait="visible"
        )
        kept = {"n": 2**60 + 1, "deep": [-(2**200)]}
        await store.aadd_texts(["a"], [kept], ids=["own"])
        await store.aupdate_metadata(["own"], {"more": 1})
        (document,) = await store.aget_by_ids(["own"])
        assert document.metadata == kept | {"more": 1}


@pytest.mark.parametrize("framework", ["langchain", "llama_index"])
async def test_what_a_store_cannot_do_through_a_binding_is_on_the_page(
    bind: Bind, server: BackgroundServer, framework: str
) -> None:
    binding, rows = bind(), D1TextIndex.from_binding(D1Binding(server.base_url, framework))
    store: Any = (
        langchain_vectorize.VectorizeVectorStore(
            Embedder(), index_name="docs", binding=binding, text_index=rows
        )
        if framework == "langchain"
        else llama_index_vectorize.VectorizeVectorStore("docs", binding=binding, text_index=rows)
    )
    cannot = {
        "reset()": store.areset,
        "drop()": store.adrop,
        "create_metadata_index()": lambda: store.acreate_metadata_index("a", "string"),
        "reindex_metadata()": store.areindex_metadata,
        "reindex_texts()": store.areindex_texts,
    }
    if framework == "langchain":
        cannot["get()"] = lambda: store.aget(limit=1)
        cannot["delete(delete_all=True)"] = lambda: store.adelete(delete_all=True)
    else:
        cannot["get_nodes()"] = lambda: store.aget_nodes(offset=1)
        cannot["clear()"] = store.aclear
    for name, call in cannot.items():
        with pytest.raises(UnsupportedCallError, match="REST"):
            await call()
        assert f"`{name}`" in PAGE


async def test_a_request_that_a_worker_dropped_keeps_nothing_for_ever(bind: Bind) -> None:
    index = AsyncVectorizeClient.from_binding(bind()).index("docs")
    assert index.connection.turns is None
    in_flight, loop = index.connection.state("docs").in_flight, asyncio.get_running_loop()
    dropped = Batch(loop=loop, begun=True, stepped=loop.time())
    dropped.sent["v0"] = Entry.of(0, VECTORS[0], 10)
    assert in_flight.take(dropped, ["v0"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(index.upsert(VECTORS[:1]), 0.1)
    dropped.stepped -= 1_000
    assert len(await asyncio.wait_for(index.upsert(VECTORS[:1]), 30)) == 1


async def test_a_write_that_goes_on_keeps_its_ids(bind: Bind) -> None:
    binding = bind()
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    seen = []

    async def upsert(vectors: list[Any]) -> Any:
        (owner,) = index.connection.state("docs").in_flight.owners(["v0"])
        assert isinstance(owner, Batch)
        seen.append(asyncio.get_running_loop().time() - owner.stepped)
        return await VectorizeBinding.upsert(binding, vectors)

    binding.upsert = upsert  # type: ignore[method-assign]
    await index.upsert(VECTORS[:1])
    assert len(seen) == 1
    assert 0 <= seen[0] < 10


async def test_sync_methods_say_what_to_await(bind: Bind) -> None:
    binding = bind()
    client = AsyncVectorizeClient.from_binding(binding)
    store = langchain_vectorize.VectorizeVectorStore(Embedder(), index_name="docs", binding=binding)
    nodes = llama_index_vectorize.VectorizeVectorStore("docs", binding=binding)
    for call in (
        lambda: client.to_sync().index("docs").upsert(VECTORS),
        lambda: client.to_sync().get_index("docs"),
        lambda: store.add_texts(["a"]),
        lambda: store.similarity_search("a"),
        lambda: nodes.query(VectorStoreQuery(query_embedding=vector("a"))),
    ):
        with pytest.raises(ConfigurationError, match=r"can only be awaited.*aadd_texts"):
            call()
    assert not binding.calls


async def test_it_is_not_pickled_shows_nothing_and_closes_nothing(bind: Bind) -> None:
    binding = bind()
    client = AsyncVectorizeClient.from_binding(binding, "docs")
    assert repr(client) == "AsyncVectorizeClient(the binding of the index 'docs')"
    store = langchain_vectorize.VectorizeVectorStore(Embedder(), index_name="docs", client=client)
    nodes = llama_index_vectorize.VectorizeVectorStore("docs", client=client)
    kept = D1Texts.from_binding(D1Binding("http://127.0.0.1:1"))
    for holder in (client, store, nodes, kept):
        with pytest.raises(ConfigurationError, match="belongs to the Worker"):
            pickle.dumps(holder)
        assert "binding" not in repr(holder) or "127.0.0.1" not in repr(holder)
    async with client:
        await client.index("docs").upsert(VECTORS[:1])
    await store.aclose()
    store.close()
    assert (await client.index("docs").info()).vector_count == 1
    with pytest.raises(ConfigurationError, match="this binding is of the index 'docs'"):
        await client.index("other").info()


@pytest.mark.parametrize(
    ("binding", "missing"),
    [("env.VECTORIZE", "describe, query"), (object(), "describe"), ({"query": 1}, "queryById")],
)
def test_what_is_no_binding_is_refused(binding: Any, missing: str) -> None:
    for make in (
        AsyncVectorizeClient.from_binding,
        lambda given: langchain_vectorize.VectorizeVectorStore(
            Embedder(), index_name="docs", binding=given
        ),
        lambda given: llama_index_vectorize.VectorizeVectorStore("docs", binding=given),
    ):
        with pytest.raises(ConfigurationError, match=rf"env.VECTORIZE.* has no .*{missing}"):
            make(binding)
    for kind in (D1Texts, D1TextIndex):
        with pytest.raises(ConfigurationError, match=r"env.DB.* has no prepare"):
            kind.from_binding(binding)


def test_a_binding_that_the_worker_has_not_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDFLARE_ACCOUNT_ID", "CF_ACCOUNT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "emscripten")
    for make in (
        AsyncVectorizeClient.from_binding,
        D1Texts.from_binding,
        D1TextIndex.from_binding,
        lambda given: langchain_vectorize.VectorizeVectorStore(
            Embedder(), index_name="docs", binding=given
        ),
        lambda given: llama_index_vectorize.VectorizeVectorStore("docs", binding=given),
    ):
        with pytest.raises(ConfigurationError, match=r"env\..*\bNone\b.*wrangler.jsonc"):
            make(None)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": True},
        {"timeout": "1"},
        {"metric": "manhattan"},
        {"metadata_indexes": {"a": "text"}},
        {"metadata_indexes": {"_vs_bucket": "string"}},
        {"metadata_indexes": ["year"]},
        {"metadata_indexes": dict.fromkeys("abcdefgh", "string")},
        {"record_layout": 1},
        {"description": None},
        {"retry": 3},
        {"on_event": "print"},
        {"index_name": "a/b" * 40},
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(bind: Bind, options: Any) -> None:
    binding = bind()
    with pytest.raises(ValueError, match=next(iter(options)).split("_", 1)[0]):
        AsyncVectorizeClient.from_binding(binding, **options)
    assert not binding.calls


def test_a_binding_excludes_other_ways_to_an_index(bind: Bind) -> None:
    for other in ({"path": ":memory:"}, {"api_token": "t"}, {"limits": "cloudflare"}):
        with pytest.raises(ConfigurationError, match=r"binding=.* exclude each other"):
            langchain_vectorize.VectorizeVectorStore(
                Embedder(), index_name="docs", binding=bind(), **other
            )


@pytest.mark.parametrize(("real", "said"), [("euclidean", "cosine"), ("cosine", "euclidean")])
async def test_a_wrong_metric_is_noticed(bind: Bind, real: Any, said: Any) -> None:
    binding = bind(real)
    right = AsyncVectorizeClient.from_binding(binding, metric=real).index("docs")
    await right.upsert(VECTORS[:20], wait="visible")
    assert len(await right.query(ROWS[0])) == 5
    wrong = AsyncVectorizeClient.from_binding(binding, metric=said).index("docs")
    with pytest.raises(ConfigurationError, match=f"is not {said!r}.*give metric="):
        await wrong.query(ROWS[0])


async def test_a_filter_names_what_to_declare(bind: Bind) -> None:
    index = AsyncVectorizeClient.from_binding(bind(year="number")).index("docs")
    with pytest.raises(UnindexedPropertyError, match=r"metadata_indexes=\{'year': .*over REST"):
        await index.query(ROWS[0], filter={"year": 1999})


@pytest.mark.parametrize("layout", [True, False])
async def test_reading_everything_is_advised_where_it_works(bind: Bind, layout: bool) -> None:
    binding = bind(record_layout=layout)
    declared: dict[str, Any] = {"metadata_indexes": {"n": "number"}, "record_layout": layout}
    index = AsyncVectorizeClient.from_binding(binding, **declared).index("docs")
    await index.upsert([*map(stored, VECTORS[:150])], wait="visible")
    said = "; or allow" if layout else "; or, over REST, allow"
    for name in ("n", "q"):
        call = partial(index.count, filter={name: {"$lt": 10}})
        with pytest.raises(UnindexedPropertyError, match=rf"(?i){said[2:]} .*'scan'"):
            await call()
        if layout:
            assert await call(unindexed="scan") == (10 if name == "n" else 0)
        else:
            with pytest.raises(UnsupportedCallError, match="Over REST"):
                await call(unindexed="scan")


def stored(vector: Vector) -> Vector:
    """As a store would write it."""
    own = {"_vs_bucket": bucket(vector.id), "_vs_own": True}
    return Vector(vector.id, vector.values, metadata={**(vector.metadata or {}), **own})


async def test_a_metadata_index_that_is_not_there_is_noticed_without_listing(bind: Bind) -> None:
    binding = bind(record_layout=False)
    declared = {"n": "number"}
    index = AsyncVectorizeClient.from_binding(
        binding,
        metadata_indexes=declared,
        record_layout=False,  # type: ignore[arg-type]
    ).index("docs")
    await index.upsert(VECTORS[:40], wait="visible")
    with pytest.raises(PartialIndexError, match="does not hold the vector"):
        await index.count(filter={"n": {"$lt": 10}})


@pytest.mark.parametrize("namespace", [None, "even"])
@pytest.mark.parametrize("before", [[], [Vector("other", ROWS[50], "even", {"m": 1})]])
async def test_one_that_is_not_there_is_noticed_when_there_is_something_to_find(
    bind: Bind, namespace: str | None, before: list[Vector]
) -> None:
    client = AsyncVectorizeClient.from_binding(bind(), metadata_indexes={"n": "number"})
    index = client.index("docs")
    await index.upsert(before, wait="visible")
    asked: dict[str, Any] = {"filter": {"n": {"$lt": 10}}, "namespace": namespace}
    # Nothing contradicts it yet, nor is this the whole truth.
    assert await index.query(ROWS[0], 3, **asked) == []
    assert await index.count(**asked) == 0
    await index.upsert(VECTORS[:20], wait="visible")
    with pytest.warns(PartialIndexWarning, match=r"no such metadata index.*Over REST, make it"):
        await index.query(ROWS[0], 3, **asked)
    for call in (index.count(**asked), index.delete(**asked)):
        with pytest.raises(PartialIndexError, match=r"no such metadata index.*Over REST, make it"):
            await call
    assert (await index.info()).vector_count == 20 + len(before)


async def test_one_that_is_there_is_not_looked_at_again_and_again(bind: Bind) -> None:
    binding = bind(n="number")
    client = AsyncVectorizeClient.from_binding(binding, metadata_indexes={"n": "number"})
    index = client.index("docs")
    await index.upsert(VECTORS[:20], wait="visible")
    await index.query(ROWS[0], 3, filter={"n": {"$lt": 10}})
    binding.calls.clear()
    await index.query(ROWS[0], 3, filter={"n": {"$lt": 10}})
    assert len(binding.calls) == 1


async def test_many_are_found_by_parts_or_not_at_all(bind: Bind) -> None:
    texts = [f"text {n}" for n in range(260)]
    for layout in (True, False):
        store = langchain_vectorize.VectorizeVectorStore(
            Embedder(), index_name="docs", binding=bind(record_layout=layout), wait="visible"
        )
        ids = await store.aadd_texts(texts, namespace="many")
        assert len(await store.asimilarity_search("text 1", 70)) == 70
        assert await store.acount() == 260
        if not layout:
            # It is believed to be there, until a search by parts finds too little.
            for call in (
                store.asimilarity_search("text 1", 200),
                store.acount(namespace="many"),
                store.asimilarity_search("text 1", filter={"n": 1}, unindexed="scan"),
            ):
                with pytest.raises(UnsupportedCallError, match=r"whole index.* Over REST"):
                    await call
            continue
        found = await store.asimilarity_search("text 1", 200)
        assert len({one.id for one in found}) == 200
        assert found[0].id == ids[1]
        assert await store.acount(namespace="many") == 260


async def test_langchain_finds_by_nearness_and_words_with_long_texts_in_d1(
    bind: Bind, server: BackgroundServer
) -> None:
    database = D1Binding(server.base_url, "both")
    store = langchain_vectorize.VectorizeVectorStore(
        Embedder(),
        index_name="docs",
        binding=bind(year="number"),
        metadata_indexes={"year": "number"},
        texts=D1Texts.from_binding(database, table="long"),
        text_index=D1TextIndex.from_binding(database),
        wait="visible",
    )
    long = "ERR_STREAM_DESTROYED " + "word " * 6_000
    ids = await store.aadd_texts(["near", long, "a third"], [{"year": 1}, {"year": 2}, {"year": 3}])
    (found,) = await store.asimilarity_search("near", 1, filter={"year": {"$lte": 2}})
    assert (found.id, found.page_content) == (ids[0], "near")
    for mode in ("text", "hybrid"):
        (found, *_) = await store.asimilarity_search("err_stream_destroyed", 1, retrieval_mode=mode)
        assert found.page_content == long
    assert any(count > 1 for count in database.batches)
    scored = await store.asimilarity_search_with_relevance_scores("near", 2)
    assert scored[0][1] == pytest.approx(1)
    await store.adelete(filter={"year": 2})
    assert await store.aget_by_ids(ids[1:2]) == []
    assert await store.asimilarity_search("err_stream_destroyed", retrieval_mode="text") == []


async def test_llama_index_upserts_queries_and_deletes(bind: Bind) -> None:
    store = llama_index_vectorize.VectorizeVectorStore(
        "docs",
        binding=bind(year="number"),
        metadata_indexes={"year": "number"},
        wait="visible",
    )
    nodes = [
        TextNode(id_=f"n{n}", text=f"text {n}", metadata={"year": n}, embedding=vector(f"text {n}"))
        for n in range(5)
    ]
    assert await store.async_add(nodes) == [node.node_id for node in nodes]
    only = MetadataFilters(filters=[MetadataFilter(key="year", value=3)])
    query = VectorStoreQuery(query_embedding=vector("text 1"), similarity_top_k=2, filters=only)
    found = await store.aquery(query)
    assert found.ids == ["n3"]
    await store.adelete_nodes(["n3"])
    query = VectorStoreQuery(query_embedding=vector("text 1"), similarity_top_k=5)
    assert (await store.aquery(query)).ids is not None
    assert set((await store.aquery(query)).ids or ()) == {"n0", "n1", "n2", "n4"}
    assert store.to_dict()["account_id"] is None
