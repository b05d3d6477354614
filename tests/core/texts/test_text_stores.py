"""What every store of texts does: get, put and delete many, over both variants."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from langchain_core.stores import InMemoryByteStore
from llama_index.core.storage.kvstore import SimpleKVStore

import langchain_vectorize.texts
import llama_index_vectorize.texts
from tests.core.helpers import CREDENTIALS, SECRET, Cloudflare, Variant, both_variants, failed, ok
from tests.core.texts.folder import FolderStore
from tests.core.texts.kinds import DURABLE, EVERY, MakeTexts
from tests.stores import Recorder, recorded
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    RetryPolicy,
    UnexpectedAnswerError,
    VectorizeClient,
)
from vectorize_core.api.d1 import ReadD1, WriteD1
from vectorize_core.connection import Connection
from vectorize_core.texts import D1Texts, SqliteTexts, TextStore
from vectorize_core.texts.store import list_name, read_versions, text_name
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.io import Io, run

T = TypeVar("T")
LONG = "Fourscore and seven \u0000 '\"; years é 日本 \U0001f600 " * 4_000
every_kind = pytest.mark.parametrize("make", EVERY.values(), ids=list(EVERY))


async def through(
    variant: Variant, connection: Connection, flow: Callable[[Io], Coroutine[Any, Any, T]]
) -> T:
    """What a flow returns over one variant of a connection."""
    if variant.is_async:
        return await flow(connection.async_io())
    return run(flow(connection.io()))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[VectorizeClient]:
    with VectorizeClient.local(tmp_path) as client:
        yield client


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@every_kind
@both_variants
async def test_texts_are_put_got_replaced_and_deleted(
    client: VectorizeClient, tmp_path: Path, variant: Variant, make: MakeTexts
) -> None:
    texts = make(tmp_path)

    async def flow(io: Io) -> None:
        assert await texts.get(io, "docs", ["a"]) == {}
        await texts.delete(io, "docs", ["a"])
        await texts.put(io, "docs", {"vs-1": LONG, "vs-2": "", "vs-3": "three"})
        wanted = ["vs-3", "vs-0", "vs-1", "vs-2"]
        found = {"vs-1": LONG, "vs-2": "", "vs-3": "three"}
        assert await texts.get(io, "docs", wanted) == found
        await texts.put(io, "docs", {"vs-3": "new"})
        await texts.put(io, "docs", {})
        await texts.delete(io, "docs", ["vs-1", "vs-0"])
        await texts.delete(io, "docs", [])
        assert await texts.get(io, "docs", wanted) == {"vs-2": "", "vs-3": "new"}
        assert await texts.get(io, "docs", []) == {}

    await through(variant, client.connection, flow)
    assert "make" not in repr(texts)
    texts.close()


@every_kind
@both_variants
async def test_lists_of_texts_are_changed_where_they_are(
    client: VectorizeClient, tmp_path: Path, variant: Variant, make: MakeTexts
) -> None:
    texts = make(tmp_path)
    one, two = (list_name("docs", record) for record in ("one", "two"))
    a, b = (text_name("docs", "one", text) for text in ("a", "b"))
    c = text_name("docs", "two", "c")

    async def flow(io: Io) -> None:
        async def lists() -> dict[str, Any]:
            found = await texts.get(io, "docs", [one, two])
            return {name: read_versions(text, name) for name, text in found.items()}

        await texts.put_listed(io, "docs", {}, {one: {a: None}})
        assert await lists() == {}
        await texts.put_listed(io, "docs", {a: "a", c: "c"}, {one: {a: 1.5}, two: {c: 2.25}})
        await texts.put_listed(io, "docs", {b: "b"}, {one: {b: 1764000000.123456}})
        assert await lists() == {one: {a: 1.5, b: 1764000000.123456}, two: {c: 2.25}}
        assert await texts.get(io, "docs", [a, b, c]) == {a: "a", b: "b", c: "c"}
        await texts.put_listed(io, "docs", {}, {one: {a: None}, two: {c: None}})
        assert await lists() == {one: {b: 1764000000.123456}}
        await texts.put(io, "docs", {one: "no list"})
        await texts.put_listed(io, "docs", {}, {one: {a: 3.0}})
        assert await lists() == {one: {a: 3.0}}
        await texts.put(io, "docs", {one: "[1]"})
        await texts.put_listed(io, "docs", {}, {one: {a: None}})
        assert await texts.get(io, "docs", [one, two]) == {}

    await through(variant, client.connection, flow)
    texts.close()


@every_kind
async def test_any_number_of_texts_at_once(
    client: VectorizeClient, tmp_path: Path, make: MakeTexts
) -> None:
    texts, io = make(tmp_path), client.connection.async_io()
    all_of_them = {f"vs-{number}": f"text {number}" for number in range(230)}
    await texts.put(io, "docs", all_of_them)
    assert await texts.get(io, "docs", list(all_of_them)) == all_of_them
    await texts.delete(io, "docs", list(all_of_them)[:229])
    assert await texts.get(io, "docs", list(all_of_them)) == {"vs-229": "text 229"}
    texts.close()


@pytest.mark.parametrize("make", DURABLE.values(), ids=list(DURABLE))
async def test_texts_outlive_their_store(tmp_path: Path, make: MakeTexts) -> None:
    for put in (True, False):
        with VectorizeClient.local(tmp_path) as client:
            texts, io = make(tmp_path), client.connection.async_io()
            if put:
                await texts.put(io, "docs", {"a": LONG})
            assert await texts.get(io, "docs", ["a"]) == {"a": LONG}
            texts.close()


# SQLite


async def test_reading_makes_no_file(client: VectorizeClient, tmp_path: Path) -> None:
    texts = SqliteTexts(tmp_path / "new")
    assert await texts.get(client.connection.async_io(), "docs", ["a"]) == {}
    assert not (tmp_path / "new").exists()


async def test_a_store_that_was_pickled_or_closed_opens_its_file_again(
    client: VectorizeClient, tmp_path: Path
) -> None:
    texts, io = SqliteTexts(tmp_path), client.connection.async_io()
    await texts.put(io, "docs", {"a": "text"})
    texts.close()
    texts.close()
    again = pickle.loads(pickle.dumps(texts))
    for one in (texts, again):
        assert await one.get(io, "docs", ["a"]) == {"a": "text"}
        one.close()


# D1


async def test_d1_takes_a_hundred_parameters_a_query(
    client: VectorizeClient, sent: Recorder
) -> None:
    texts, io = D1Texts("texts"), client.connection.async_io()
    names = [f"vs-{number}" for number in range(201)]
    await texts.put(io, "docs", dict.fromkeys(names, "text"))
    await texts.get(io, "docs", names)
    await texts.delete(io, "docs", names)
    reads = [op for op in sent.of(ReadD1) if not isinstance(op, WriteD1)]
    assert sorted(len(op.statements[0][1]) for op in reads) == [1, 100, 100]
    # The first one finds no table.
    writes = [len(op.statements[0][1]) for op in sent.of(WriteD1)]
    assert writes == [100, 0, 100, 100, 100, 100, 2, 100, 100, 1]


async def test_d1_requests_have_a_bounded_size(client: VectorizeClient, sent: Recorder) -> None:
    texts, io = D1Texts("texts"), client.connection.async_io()
    long = {f"vs-{number}": "x" * 1_500_000 for number in range(4)}
    await texts.put(io, "docs", long)
    assert [len(op.statements[0][1]) for op in sent.of(WriteD1)] == [4, 0, 4, 4]
    assert await texts.get(io, "docs", list(long)) == long


@both_variants
async def test_d1_uses_the_client_it_was_given(variant: Variant, client: VectorizeClient) -> None:
    other = VectorizeClient.local()
    texts = D1Texts("texts", client=other)
    ops = recorded(other)

    async def flow(io: Io) -> dict[str, str]:
        await texts.put(io, "docs", {"a": "text"})
        return await texts.get(io, "docs", ["a"])

    assert await through(variant, client.connection, flow) == {"a": "text"}
    assert len(ops.of(ReadD1)) == 4
    other.close()


@both_variants
async def test_what_d1_is_asked_over_http_and_how_its_answer_is_read(variant: Variant) -> None:
    rows = [["a", "text"], ["b", None]]
    result = [{"success": True, "meta": {}, "results": {"columns": ["id", "text"], "rows": rows}}]
    cloudflare = Cloudflare(ok(result))
    connection = Connection(cloudflare.executor())
    texts = D1Texts("a/b", table='t"t')

    async def flow(io: Io) -> dict[str, str]:
        return await texts.get(io, "docs", ["a", "b"])

    assert await through(variant, connection, flow) == {"a": "text"}
    (request,) = cloudflare.requests
    path = f"/client/v4/accounts/{CREDENTIALS.account_id}/d1/database/a%2Fb/raw"
    assert (request.method, request.url.raw_path.decode()) == ("POST", path)
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    sql = 'SELECT id, text FROM "t""t" WHERE id IN (?, ?)'
    assert request.read().decode() == (
        '{"batch":[{"sql":"' + sql.replace('"', '\\"') + '","params":["a","b"]}]}'
    )
    await connection.aclose()


ODD_ROWS: dict[str, list[Any]] = {
    "another name": [["c", "text"]],
    "twice": [["a", "text"], ["a", "other"]],
    "no name": [[None, "text"]],
    "a list for a name": [[["a"], "text"]],
    "a text alone": [["a"]],
    "more": [["a", "text", "more"]],
    "nothing": [[]],
}


@both_variants
@pytest.mark.parametrize("rows", ODD_ROWS.values(), ids=ODD_ROWS)
async def test_rows_that_were_not_asked_for_are_an_error(variant: Variant, rows: Any) -> None:
    connection = Connection(Cloudflare(ok([{"results": {"rows": rows}}])).executor())
    with pytest.raises(UnexpectedAnswerError, match=r"^ReadD1\(t\): row \d is "):
        await through(variant, connection, lambda io: D1Texts("t").get(io, "docs", ["a", "b"]))
    await connection.aclose()


@both_variants
@pytest.mark.parametrize("text", [None, 7, True, [1, 2], {}])
async def test_what_is_no_text_is_as_good_as_missing(variant: Variant, text: Any) -> None:
    rows = [["a", text], ["b", "text"]]
    connection = Connection(Cloudflare(ok([{"results": {"rows": rows}}])).executor())
    found = await through(variant, connection, lambda io: D1Texts("t").get(io, "docs", ["a", "b"]))
    assert found == {"b": "text"}
    await connection.aclose()


@both_variants
async def test_d1_is_asked_again_like_vectorize(variant: Variant) -> None:
    result = [{"success": True, "results": {"columns": ["id", "text"], "rows": []}}]
    cloudflare = Cloudflare(failed(429, 10000), failed(503, 7500), ok(result))
    policy = RetryPolicy(first_delay=0.001, max_delay=0.001)
    connection = Connection(HttpExecutor(CREDENTIALS, transport=cloudflare), policy)
    assert await through(variant, connection, lambda io: D1Texts("t").get(io, "docs", ["a"])) == {}
    assert len(cloudflare.requests) == 3
    await connection.aclose()


@pytest.mark.parametrize("database", ["", ".", ".."])
async def test_a_database_has_an_id(client: VectorizeClient, database: str) -> None:
    executor = HttpExecutor(CREDENTIALS)
    with pytest.raises(InvalidInputError, match="D1 database"):
        executor.send(ReadD1(database, ()))


# The frameworks' own stores


@pytest.mark.parametrize("package", [langchain_vectorize.texts, llama_index_vectorize.texts])
def test_what_may_be_given_as_texts(package: Any, tmp_path: Path) -> None:
    own = SqliteTexts(tmp_path)
    assert package.as_texts(own) is own
    assert package.as_texts(None) is None
    with pytest.raises(ConfigurationError, match=r"texts= is a TextStore or.*got str"):
        package.as_texts("texts.db")


def test_a_frameworks_own_store_is_taken_as_it_is(tmp_path: Path) -> None:
    chain = langchain_vectorize.texts.as_texts(InMemoryByteStore())
    llama = llama_index_vectorize.texts.as_texts(SimpleKVStore())
    assert isinstance(chain, TextStore)
    assert isinstance(llama, TextStore)
    assert repr(chain) == "BaseStoreTexts(InMemoryByteStore)"
    assert repr(llama) == "KVStoreTexts(SimpleKVStore)"


@both_variants
async def test_the_variant_of_a_foreign_store_that_is_used_is_the_callers(
    variant: Variant, client: VectorizeClient, tmp_path: Path
) -> None:
    used = set()

    class Both(FolderStore):
        def mget(self, keys: Any) -> Any:
            used.add("sync")
            return super().mget(keys)

        async def amget(self, keys: Any) -> Any:
            used.add("async")
            return super().mget(keys)

    texts = langchain_vectorize.texts.BaseStoreTexts(Both(tmp_path / "store"))
    await through(variant, client.connection, lambda io: texts.get(io, "docs", ["a"]))
    assert used == {variant.name}


@pytest.mark.parametrize("written", ["", "{", "5", "[]", '"a"', "null"])
def test_a_list_of_texts_that_was_edited_elsewhere_names_none(written: str) -> None:
    assert read_versions(written, "vs-r") == {}
    assert read_versions('{"vs-r-a":1.5,"vs-r-b":"x","vs-s-a":1,"a":1}', "vs-r") == {"vs-r-a": 1.5}
