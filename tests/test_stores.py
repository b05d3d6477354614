"""What holds for both stores alike: where they work, their options, both variants, closing."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.held_time import HeldClock
from tests.kinds import LANGCHAIN, Kind, both_stores
from tests.stores import (
    Call,
    Embedder,
    async_call,
    both_ways,
    recorded,
    sync_call,
)
from vectorize_core import (
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    PendingWritesWarning,
    RetryPolicy,
    VectorizeClient,
    VectorizeError,
    WaitTimeoutError,
    layout,
)
from vectorize_core.api.operations import GetInfo, Upsert
from vectorize_core.local import Behavior
from vectorize_core.local.executor import EmbeddedExecutor

SECRET = "s3cret-t0ken"
CREDENTIALS = {"account_id": "acc", "api_token": SECRET}


pytestmark = pytest.mark.usefixtures("no_credentials")


# Where a store works


@both_stores
@pytest.mark.parametrize("given", ["path", "local", "client", "async client", "index", "aindex"])
async def test_a_store_works_over_any_place(kind: Kind, given: str, tmp_path: Path) -> None:
    client = VectorizeClient.local(tmp_path / "data")
    over = client.to_async()
    options: dict[str, Any] = {
        "path": {"index_name": "docs", "path": tmp_path / "data"},
        "local": {"index_name": "docs", "path": tmp_path / "data"},
        "client": {"index_name": "docs", "client": client, "create_index": True},
        "async client": {"index_name": "docs", "client": over, "create_index": True},
        "index": {"index": client.index("docs"), "create_index": True},
        "aindex": {"index": over.index("docs"), "index_name": "docs", "create_index": True},
    }[given]
    if given == "local":
        first = (Embedder(),) if kind is LANGCHAIN else ()
        store = kind.store.local(*first, **options)
    else:
        store = kind.make(**options)

    assert await kind.add(sync_call, store, "a") == ["a"]
    assert await kind.add(async_call, store, "b") == ["b"]
    for call in (sync_call, async_call):
        assert await kind.search(call, store, "a") == ["a", "b"]
    await store.aclose()
    client.close()
    with kind.make(index_name="docs", path=tmp_path / "data") as again:
        assert await kind.search(sync_call, again, "a") == ["a", "b"]


@both_stores
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": ":memory:", "client": ...}, "path= and client=.*give one of"),
        ({"client": ..., "api_token": SECRET}, "client= and api_token="),
        ({"path": ":memory:", "account_id": "a"}, "path= and account_id="),
        ({"path": ":memory:", "timeout": 1.0}, "path= and timeout="),
        ({"client": ..., "retry": RetryPolicy()}, "client= and retry="),
        ({"index": ..., "retry": RetryPolicy()}, "index= and retry="),
        ({"index": ..., "client": ...}, "client= and index="),
        ({"index": ..., "index_name": "other"}, "'other' is not .*docs"),
        ({"index_name": None, "client": ...}, "index_name="),
        ({"index_name": None}, "index_name="),
        ({}, r"CLOUDFLARE_API_TOKEN.*path=':memory:'"),
    ],
)
def test_a_store_needs_one_place_and_says_so(
    kind: Kind, client: VectorizeClient, options: dict[str, Any], message: str
) -> None:
    real = {"client": client, "index": client.index("docs")}
    given = {name: real[name] if value is ... else value for name, value in options.items()}
    with pytest.raises(ConfigurationError, match=message) as caught:
        kind.make(**{"index_name": "docs", **given})
    assert SECRET not in str(caught.value)


@both_stores
def test_credentials_may_come_from_the_environment(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "from-env")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    store = kind.make(index_name="docs")
    assert "from-env" in repr(store._records.index.target.connection.executor.__dict__.values())
    with kind.make(index_name="docs", path=":memory:") as local:
        assert local._records.index.target.makes


@both_stores
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index_name": ""}, "index name"),
        ({"index_name": "x" * 65}, "65 bytes"),
        ({"namespace": ""}, "namespace"),
        ({"namespace": "é" * 33}, "66 bytes"),
        ({"text_key": "_vs"}, "text_key='_vs'"),
        ({"text_key": "a.b"}, "text_key='a.b'"),
        ({"wait": "soon"}, "'soon'"),
        ({"batch_size": 0}, "batch_size"),
        ({"metric": "cosinus"}, "'cosinus' is not a metric.*cosine"),
        ({"metadata_indexes": {"year": "int"}}, "'year' has the type 'int'.*number"),
        ({"metadata_indexes": dict.fromkeys("abcdefghijk", "string")}, "11 metadata indexes"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_the_constructor(
    kind: Kind, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((InvalidInputError, ConfigurationError), match=message):
        kind.make(**{"index_name": "docs", "path": ":memory:", **options})


@both_stores
def test_making_a_store_does_nothing_else(kind: Kind, tmp_path: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with kind.make(index_name="docs", path=tmp_path / "data"):
        assert not (tmp_path / "data").exists()
    http_client = httpx.Client(transport=httpx.MockTransport(refuse))
    before = set(threading.enumerate())
    kind.make(index_name="docs", http_client=http_client, **CREDENTIALS).close()
    assert set(threading.enumerate()) == before
    assert not http_client.is_closed
    http_client.close()


# Creating the index


@both_stores
@both_ways
async def test_over_a_client_an_index_is_created_only_when_told_to(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    for place in ({"client": client, "index_name": "docs"}, {"index": client.index("docs")}):
        store = kind.make(**place)
        with pytest.raises(IndexNotFoundError, match=r"'docs'.*create_index=True"):
            await kind.add(call, store, "a")
        with pytest.raises(IndexNotFoundError, match=r"'docs'.*create_index=True"):
            await kind.search(call, store, "a")
        if kind is LANGCHAIN:
            assert (store.embeddings.batches, store.embeddings.queries) == ([], [])
    assert client.list_indexes() == ()
    assert await kind.add(call, kind.make(**place, create_index=True), "a") == ["a"]
    assert await kind.search(call, store, "a") == ["a"]


@both_stores
@both_ways
async def test_a_path_may_be_told_not_to_create(kind: Kind, call: Call) -> None:
    store = kind.make(index_name="docs", path=":memory:", create_index=False)
    with store, pytest.raises(IndexNotFoundError):
        await kind.add(call, store, "a")


@both_stores
@both_ways
async def test_an_index_is_created_as_told_with_the_record_layout(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    promised = {"year": "number", "open": "boolean"}
    options = {"client": client, "index_name": "docs", "create_index": True}
    store = kind.make(**options, metric="euclidean", metadata_indexes=promised)
    await kind.add(call, store, "a")
    details = client.get_index("docs")
    assert (details.config.dimensions, details.config.metric) == (32, "euclidean")
    indexed = {m.property_name: m.index_type for m in client.index("docs").list_metadata_indexes()}
    assert indexed == {**layout.METADATA_INDEXES, **promised}
    assert layout.read_note(details.description).properties == set(indexed)
    # A second store with the same wishes, and one with none, find nothing to complain of.
    for wishes in ({"metric": "euclidean", "metadata_indexes": {"year": "number"}}, {}):
        assert await kind.add(call, kind.make(**options, **wishes), "b") == ["b"]


@both_stores
@both_ways
async def test_an_index_that_is_not_as_promised_is_an_error(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    client.create_index("docs", dimensions=32, metadata_indexes={"year": "string"})
    sent = recorded(client)
    for wish, message in (
        ({"metric": "euclidean"}, "'cosine'.*'euclidean'.*cannot be changed"),
        ({"metadata_indexes": {"year": "number"}}, "'year': 'number'.*create_metadata_index"),
        ({"metadata_indexes": {"kind": "string"}}, "'kind': 'string'.*create_metadata_index"),
    ):
        store = kind.make(client=client, index_name="docs", create_index=True, **wish)
        with pytest.raises(ConfigurationError, match=message):
            await kind.add(call, store, "a")
        if "metric" in wish:
            with pytest.raises(ConfigurationError, match=message):
                await kind.search(call, store, "a")
        if kind is LANGCHAIN:
            assert store.embeddings.batches == []
    assert sent.changes == []


@both_stores
@both_ways
async def test_too_many_metadata_indexes_are_refused_at_once(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    promised = dict.fromkeys("abcdefgh", "string")
    options = {"client": client, "index_name": "docs", "create_index": True}
    store = kind.make(**options, metadata_indexes=promised)
    with pytest.raises(ConfigurationError, match=r"11 metadata indexes.*10"):
        await kind.add(call, store, "a")
    if kind is LANGCHAIN:
        assert store.embeddings.batches == []
    assert sent.changes == []


# Options of a call, and keywords that do not exist


@both_stores
@both_ways
async def test_a_calls_options_go_before_the_stores(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    sent = recorded(client)
    options = {"client": client, "index_name": "docs", "create_index": True}
    store = kind.make(**options, namespace="store", batch_size=2)
    await kind.add(call, store, *"abc")
    assert sorted(map(len, sent.writes)) == [1, 2]
    await kind.add(call, store, *"def", namespace="call", batch_size=3)
    assert sent.writes[2:] == [["d", "e", "f"]]
    spaces = {vector.id: vector.namespace for op in sent.of(Upsert) for vector in op.vectors}
    assert spaces == {**dict.fromkeys("abc", "store"), **dict.fromkeys("def", "call")}
    assert sorted(await kind.search(call, store, "a")) == ["a", "b", "c"]
    assert sorted(await kind.search(call, store, "a", namespace="call")) == ["d", "e", "f"]


@both_stores
@both_ways
@pytest.mark.parametrize("wait", [True, "visible", "processed"])
async def test_a_store_or_a_call_may_wait_and_not_for_ever(
    kind: Kind, call: Call, wait: Any
) -> None:
    behavior = Behavior(process_delay=60.0)
    with VectorizeClient.local(behavior=behavior) as client:
        options = {"client": client, "index_name": "docs", "create_index": True}
        patient = kind.make(**options, wait=wait, wait_timeout=0.02)
        with pytest.raises(WaitTimeoutError, match=r"'docs'.*wait_timeout="):
            await kind.add(call, patient, "a")
        assert await kind.add(call, patient, "b", wait=False) == ["b"]
        hasty = kind.make(**options)
        assert await kind.add(call, hasty, "c") == ["c"]
        with pytest.raises(WaitTimeoutError, match=r"'docs'.*wait_timeout="):
            await kind.add(call, hasty, "d", wait=wait, wait_timeout=0.02)


async def await_writes(kind: Kind, call: Call, store: Any, **options: Any) -> None:
    if call is async_call:
        await store.await_writes(**options)
    elif kind is LANGCHAIN:
        store.wait(**options)
    else:
        store.wait_for_writes(**options)


@both_stores
@both_ways
async def test_a_store_waits_for_what_was_written_before(
    kind: Kind, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HeldClock()
    clock.rule(monkeypatch)
    behavior = Behavior(process_delay=1.0, propagate_delay=0.5)
    with VectorizeClient.local(behavior=behavior, clock=clock) as client:
        store = kind.make(client=client, index_name="docs", create_index=True, wait_timeout=0.01)
        await await_writes(kind, call, store)
        await kind.add(call, store, "a", "b")
        with pytest.raises(WaitTimeoutError):
            await await_writes(kind, call, store)
        await await_writes(kind, call, store, wait_timeout=30)
        assert sorted(await kind.search(call, store, "a")) == ["a", "b"]
        await kind.add(call, store, "c")
        # A connection has two variants, and other stores may use it.
        again = kind.make(client=client, index_name="docs")
        other = sync_call if call is async_call else async_call
        await await_writes(kind, other, again, wait_timeout=30)
        assert sorted(await kind.search(other, again, "a")) == ["a", "b", "c"]


@both_stores
def test_both_variants_of_waiting_take_the_same_arguments(kind: Kind) -> None:
    one = kind.store.wait if kind is LANGCHAIN else kind.store.wait_for_writes
    assert inspect.signature(one) == inspect.signature(kind.store.await_writes)
    assert inspect.iscoroutinefunction(kind.store.await_writes)
    assert not inspect.iscoroutinefunction(one)


@both_stores
@both_ways
async def test_a_search_in_vain_warns_of_writes_that_cannot_be_found_yet(
    kind: Kind, call: Call
) -> None:
    behavior = Behavior(process_delay=60.0)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind.make(client=client, index_name="docs", create_index=True)
        assert await kind.search(call, store, "a") == []
        await kind.add(call, store, "a")
        with pytest.warns(PendingWritesWarning, match="'docs'.* s ago.*wait='visible'") as warned:
            assert await kind.search(call, store, "a") == []
        # It points at who called the store.
        assert {Path(warning.filename).name for warning in warned} == {"stores.py"}
        assert await kind.search(call, store, "a") == []


@both_stores
@both_ways
async def test_getting_in_vain_warns_too(kind: Kind, call: Call) -> None:
    behavior = Behavior(process_delay=60.0)
    with VectorizeClient.local(behavior=behavior) as client:
        store = kind.make(client=client, index_name="docs", create_index=True)
        await kind.add(call, store, "a")
        with pytest.warns(PendingWritesWarning):
            assert (
                await call(store, "get_by_ids" if kind is LANGCHAIN else "get_nodes", ["a"]) == []
            )


@both_stores
@both_ways
async def test_a_search_in_vain_asks_once_for_pending_writes(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    recorder = recorded(client)
    store = kind.make(client=client, index_name="docs", create_index=True)
    await kind.add(call, store, "a")
    for _ in range(3):
        assert await kind.search(call, store, "a", namespace="empty") == []
    assert len(recorder.of(GetInfo)) == 1


@both_stores
@pytest.mark.parametrize(
    ("wrong", "right"),
    [("index_nam", "index_name"), ("metadata_index", "metadata_indexes"), ("token", "api_token")],
)
def test_an_unknown_keyword_of_the_constructor_names_the_nearest(
    kind: Kind, wrong: str, right: str
) -> None:
    with pytest.raises(TypeError, match=f"'{wrong}'; did you mean '{right}'"):
        kind.make(path=":memory:", **{wrong: 1})
    with pytest.raises(TypeError, match=r"'zzz'; it takes .*index_name"):
        kind.make(path=":memory:", zzz=1)


# Both variants


@both_stores
async def test_async_methods_leave_the_loops_thread_alone(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    threads: list[threading.Thread] = []
    send = EmbeddedExecutor.send
    monkeypatch.setattr(
        EmbeddedExecutor,
        "send",
        lambda self, op: (threads.append(threading.current_thread()), send(self, op))[1],
    )
    async with kind.make(index_name="docs", path=tmp_path / "data", wait=True) as store:
        await kind.add(async_call, store, *"abc", batch_size=1)
        await kind.search(async_call, store, "a")
        if kind is LANGCHAIN:
            await store.aget_by_ids(["a"])
            await store.amax_marginal_relevance_search("a")
            await store.asimilarity_search_with_relevance_scores("a")
            await store.as_retriever().ainvoke("a")
            await store.adelete(["a"])
            await store.adelete(delete_all=True)
            assert store.embeddings.used == {"async"}
        else:
            await store.aget_nodes(["a"])
            await store.adelete_nodes(["a"])
            await store.adelete("unknown")
            await store.aclear()
    assert len(threads) > 10
    assert threading.main_thread() not in threads
    assert {thread.name.rsplit("_", 1)[0] for thread in threads} == {
        "vectorize-read",
        "vectorize-write",
    }


@both_stores
async def test_sync_methods_work_inside_a_running_loop(kind: Kind) -> None:

    with kind.make(index_name="docs", path=":memory:") as store:
        await kind.add(sync_call, store, *"abc", batch_size=1)
        assert len(await kind.search(sync_call, store, "a")) == 3


# Closing


@both_stores
@both_ways
async def test_a_store_closes_its_own_connection_once(kind: Kind, call: Call) -> None:
    store = kind.make(index_name="docs", path=":memory:")
    await kind.add(call, store, "a")
    await call(store, "close")
    await call(store, "close")
    for method in (kind.add, kind.search, kind.get, kind.delete):
        with pytest.raises(VectorizeError, match="closed"):
            await method(call, store, "a")


@both_stores
async def test_blocks_close_what_they_opened(kind: Kind) -> None:

    with kind.make(index_name="docs", path=":memory:") as first:
        assert await kind.search(sync_call, first, "a") == []
    async with kind.make(index_name="docs", path=":memory:") as second:
        assert await kind.search(sync_call, second, "a") == []
    for store in (first, second):
        with pytest.raises(VectorizeError, match="closed"):
            await kind.search(sync_call, store, "a")


@both_stores
@both_ways
async def test_a_borrowed_client_or_index_stays_open(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    for place in ({"client": client, "index_name": "docs"}, {"index": client.index("docs")}):
        store = kind.make(**place, create_index=True)
        await kind.add(call, store, "a")
        await call(store, "close")
        assert await kind.search(call, store, "a") == ["a"]
    assert client.index("docs").info().vector_count == 1
