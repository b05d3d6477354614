"""Both stores with a text index: by words and by both, wherever the words are."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.kinds import Kind, Row, both_stores
from tests.stores import Call, async_call, both_ways, recorded, sync_call
from vectorize_core import (
    ConfigurationError,
    D1TextIndex,
    PartialIndexError,
    SqliteTextIndex,
    VectorizeClient,
)
from vectorize_core.api.d1 import ReadD1
from vectorize_core.local.server import BackgroundServer
from vectorize_core.texts.fts import TextRow
from vectorize_core.transport.io import run

pytestmark = pytest.mark.usefixtures("no_credentials")

MODES = ("text", "hybrid")
NAMES: list[Row] = [
    ("1", "ERR_STREAM_DESTROYED: a write after destroy()", {"year": 1}),
    ("2", "os.path.join puts parts together", {"year": 2}),
    ("3", "How streams end", {"year": 3}),
]
CODE = "ERR_STREAM_DESTROYED"


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture(params=["in memory", "in a directory", "in D1", "in D1 over HTTP"])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    client: VectorizeClient,
    server: BackgroundServer,
) -> dict[str, Any]:
    """Where a store and its words are."""
    return {
        "in memory": {"path": ":memory:", "text_index": True},
        "in a directory": {"path": tmp_path / "data", "text_index": True},
        "in D1": {"client": client, "text_index": D1TextIndex("words")},
        "in D1 over HTTP": {
            "account_id": uuid4().hex,
            "api_token": "token",
            "base_url": server.base_url,
            "text_index": D1TextIndex("words"),
        },
    }[request.param]


def make(kind: Kind, **options: Any) -> Any:
    of_index = {"create_index": True, "metadata_indexes": {"year": "number"}}
    return kind.make(index_name="docs", **of_index, **options)


async def ids(
    kind: Kind, call: Call, store: Any, mode: str, text: str, k: int = 4, **options: Any
) -> list[str]:
    return [one for one, _ in await kind.search_by(call, store, mode, text, k, **options)]


@both_stores
@both_ways
async def test_words_are_found_wherever_they_are(
    kind: Kind, call: Call, place: dict[str, Any]
) -> None:
    with make(kind, **place) as store:
        assert await ids(kind, call, store, "text", CODE) == []
        await kind.add_rows(call, store, NAMES)
        assert await ids(kind, call, store, "text", CODE) == ["1"]
        assert (await ids(kind, call, store, "hybrid", CODE, alpha=0.4))[0] == "1"
        assert await ids(kind, call, store, "text", "os.path") == ["2"]
        assert await ids(kind, call, store, "text", "end OR write", filter={"year": 1}) == ["1"]
        await kind.delete(call, store, ["1"])
        assert await ids(kind, call, store, "text", CODE) == []


@both_stores
async def test_ids_and_scores_are_the_same_everywhere(
    kind: Kind, client: VectorizeClient, server: BackgroundServer
) -> None:
    http = {"account_id": uuid4().hex, "api_token": "token", "base_url": server.base_url}
    places = [
        {"path": ":memory:", "text_index": True},
        {"client": client, "text_index": D1TextIndex("words")},
        {**http, "text_index": D1TextIndex("words")},
    ]
    answers = []
    for given in places:
        with make(kind, **given) as store:
            await kind.add_rows(sync_call, store, NAMES)
            queries = (CODE, "how streams end", "nowhere")
            answers.append(
                [
                    await kind.search_by(call, store, mode, query)
                    for query in queries
                    for mode in MODES
                    for call in (sync_call, async_call)
                ]
            )
    assert answers[0][::2] == answers[0][1::2]
    assert answers[1:] == answers[:1] * 2


# Exact in number


WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")
COUNT = 120


@pytest.fixture(scope="module")
def exact() -> Iterator[Callable[[Kind], Any]]:
    """Stores with 120 records that have a word in common, among 150 rows that are of no record."""
    rng, made = random.Random(3), {}
    rows = [
        (f"r{n}", f"common {' '.join(rng.choices(WORDS, k=1 + n % 9))}", {}) for n in range(COUNT)
    ]
    ghosts = [
        TextRow(f"{kind}{n}", None, "common", {}) for n in range(75) for kind in ("r", "gone")
    ]
    with VectorizeClient.local() as client:

        async def filled(kind: Kind) -> Any:
            if kind not in made:
                words = SqliteTextIndex()
                store = kind.make(
                    index_name=kind.name.replace("_", "-"),
                    client=client,
                    create_index=True,
                    text_index=words,
                )
                await kind.add_rows(sync_call, store, rows)
                run(words.put(client.connection.io(), store._records.index.name, ghosts, "ghost"))
                made[kind] = store
            return made[kind]

        yield filled


@both_stores
@pytest.mark.parametrize("mode", MODES)
async def test_as_many_as_were_asked_for_are_found_each_once(
    kind: Kind, exact: Any, mode: str
) -> None:
    store = await exact(kind)
    everything = await kind.search_by(sync_call, store, mode, "common alpha", COUNT)
    assert len({one for one, _ in everything}) == COUNT
    for k in (0, 1, 50, 51, 100, 1_000):
        for call in (sync_call, async_call):
            found = await kind.search_by(call, store, mode, "common alpha", k, max_requests=500)
            assert found == everything[:k]


@both_stores
async def test_writes_of_several_threads_leave_one_row_a_record(
    kind: Kind, client: VectorizeClient
) -> None:
    words = SqliteTextIndex()
    store = kind.over(client, text_index=words, wait=True)
    names = [name for name, _, _ in NAMES]

    def write(n: int) -> None:
        run(
            kind.add_rows(
                sync_call, store, [(one, f"{text} {n % 2}", {}) for one, text, _ in NAMES]
            )
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    write(8)
    puts = run(words.versions(client.connection.io(), "docs", names))
    assert {name: len(found) for name, found in puts.items()} == dict.fromkeys(names, 1)
    assert sorted(await ids(kind, sync_call, store, "text", "0")) == names


# Without it, and as before


@both_stores
async def test_searches_by_nearness_stay_as_they_are_to_the_bit(kind: Kind) -> None:
    with (
        make(kind, path=":memory:") as plain,
        make(kind, path=":memory:", text_index=True) as store,
    ):
        for one in (plain, store):
            await kind.add_rows(sync_call, one, NAMES)
            await kind.add_rows(sync_call, one, [("3", "How streams start", {})])
            await kind.delete(sync_call, one, ["2"])
        for options in ({}, {"filter": {"year": 1}}, {"k": 60}):
            for call in (sync_call, async_call):
                given: Any = {"mode": "dense", "text": "streams", **options}
                found = await kind.search_by(call, store, **given)
                assert found == await kind.search_by(call, plain, **given)
                assert found


@both_stores
@both_ways
@pytest.mark.parametrize("mode", MODES)
async def test_without_a_text_index_an_error_says_what_to_do(
    kind: Kind, call: Call, client: VectorizeClient, mode: str
) -> None:
    sent, store = recorded(client), kind.over(client)
    said = r"text_index=True if it is embedded.*D1TextIndex"
    with pytest.raises(ConfigurationError, match=said):
        await kind.search_by(call, store, mode, "a")
    for method, given in (("reindex_texts", ()), ("explain_text", ("a",))):
        with pytest.raises(ConfigurationError, match=said):
            await call(store, method, *given)
    assert sent.ops == []
    remote = VectorizeClient(account_id="a", api_token="t")
    with pytest.raises(ConfigurationError, match=r"of an embedded.*text_index=D1TextIndex"):
        kind.over(remote, text_index=True)
    with pytest.raises(ConfigurationError, match=r"text_index is True, a D1TextIndex, .*'docs'"):
        kind.local(text_index="docs")


@both_stores
async def test_a_store_without_a_text_index_never_asks_for_words(
    kind: Kind, client: VectorizeClient
) -> None:
    sent, store = recorded(client), kind.over(client)
    await kind.add_rows(sync_call, store, NAMES)
    await kind.search_by(sync_call, store, "dense", CODE)
    await kind.delete(sync_call, store, ["1"])
    assert sent.of(ReadD1) == []


@both_stores
@both_ways
async def test_an_older_index_is_searched_once_its_texts_are_read(
    kind: Kind, call: Call, client: VectorizeClient
) -> None:
    await kind.add_rows(sync_call, kind.over(client), NAMES)
    store = kind.over(client, text_index=D1TextIndex("words"))
    for mode in MODES:
        with pytest.raises(PartialIndexError, match=r"Call reindex_texts\(\)"):
            await kind.search_by(call, store, mode, "streams")
    assert await call(store, "reindex_texts") == 3
    assert await call(store, "reindex_texts") == 0
    assert await ids(kind, call, store, "text", CODE) == ["1"]
    explained = await call(store, "explain_text", "streams of nowhere")
    assert (explained.records["streams"], explained.records["of"]) == (1, 0)
    assert "'streams': in 1 records" in str(explained)


# Tenants, copies, pickles


@both_stores
@both_ways
async def test_a_tenant_finds_its_own(kind: Kind, call: Call) -> None:
    with make(kind, path=":memory:", text_index=True) as store:
        one, other = store.with_namespace("one"), store.with_namespace("other")
        await kind.add_rows(call, one, NAMES)
        await kind.add_rows(call, other, [("1", "streams of another", {"year": 3})])
        for mode in MODES:
            found = await ids(kind, call, other, mode, "streams", 10)
            assert [(i, text) for i, text, _ in await kind.get(call, other, found)] == [
                ("1", "streams of another")
            ]
            assert sorted(await ids(kind, call, one, mode, "streams end", 1)) == ["3"]
        assert len(await ids(kind, call, store, "text", "streams", 10)) == 2
        await kind.clear(call, one)
        assert len(await ids(kind, call, store, "text", "streams", 10)) == 1


@both_stores
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
@pytest.mark.parametrize("tenant", [False, True])
async def test_a_store_that_was_copied_or_written_down_searches_on(
    kind: Kind,
    tmp_path: Path,
    server: BackgroundServer,
    again: Callable[[Any], Any],
    tenant: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token")
    http = {"account_id": uuid4().hex, "base_url": server.base_url}
    for given in (
        {"path": tmp_path, "text_index": True},
        {**http, "text_index": D1TextIndex("words", tokenizer="trigram")},
    ):
        with make(kind, **given) as whole:
            store = whole.with_namespace("tenant") if tenant else whole
            await kind.add_rows(sync_call, store, NAMES)
            other = again(store)
            assert await ids(kind, sync_call, other, "text", CODE) == ["1"]
            await kind.add_rows(sync_call, other, [("4", "streams flow", {})])
            assert sorted(await ids(kind, sync_call, store, "text", "streams")) == ["3", "4"]
            if other._records.index.target.owned:
                other.close()
