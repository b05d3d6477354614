"""The gateway of examples/worker in workerd: it answers as the API does, from bindings."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import VectorStoreQuery
from typer.testing import CliRunner

from langchain_vectorize import VectorizeVectorStore
from llama_index_vectorize import VectorizeVectorStore as LlamaIndexStore
from tests.conformance.words import WordsInD1, check_words
from tests.documents import examples, run
from tests.nightly import NIGHTLY
from tests.patience import growing
from tests.server.helpers import NDJSON, ONES, Peer, axis, lines, record
from tests.workers import workerd
from tests.workers.dev import NODE_FIRST, installed, wrangler_dev
from vectorize_core import (
    AsyncVectorizeClient,
    AuthenticationError,
    D1TextIndex,
    D1Texts,
    PartialIndexError,
    RetryPolicy,
    UnsupportedByBindingError,
    Vector,
    VectorizeClient,
)
from vectorize_core.cli.app import app
from vectorize_core.layout import LAST_INDEXED, METADATA_INDEXES, note
from vectorize_core.local.server import BackgroundServer

LAYOUT = {**METADATA_INDEXES, "color": "string", "year": "number"}
DESCRIPTION = note("", LAYOUT)


def about(binding: str) -> dict[str, Any]:
    """What the gateway is told of an index, in the words of the API."""
    made = sorted(LAYOUT, key=lambda name: (name in METADATA_INDEXES, name == LAST_INDEXED))
    listed = [{"propertyName": name, "indexType": LAYOUT[name].capitalize()} for name in made]
    config = {"dimensions": 32, "metric": "cosine"}
    return {
        "binding": binding,
        "config": config,
        "description": DESCRIPTION,
        "metadataIndexes": listed,
    }


NOT_THERE = {"propertyName": "shape", "indexType": "String"}
PLAIN = about("PLAIN") | {"description": ""}
PLAIN["metadataIndexes"] = [*PLAIN["metadataIndexes"], NOT_THERE]
INDEXES = {
    "docs": about("DOCS"),
    "notes": about("NOTES"),
    "plain": PLAIN,
    "bare": {"binding": "BARE"},
}


@dataclass
class Both:
    """The same service, spoken to directly and through the gateway."""

    direct: Peer
    gateway: Peer

    @property
    def base_url(self) -> str:
        return self.gateway.base_url

    def client(self, **options: Any) -> VectorizeClient:
        """The library's client, of the gateway."""
        return VectorizeClient("any", api_token=workerd.TOKEN, base_url=self.base_url, **options)

    def anew(self) -> None:
        """Nothing is in the service but empty indexes."""
        for index in self.direct.result("GET", ""):
            self.direct.result("DELETE", f"/{index['name']}")
        with VectorizeClient(base_url=self.direct.base_url) as client:
            for name in INDEXES:
                client.create_index(name, dimensions=32, metadata_indexes=LAYOUT)
        for (table,) in self.sql(
            "SELECT name FROM sqlite_master WHERE name NOT LIKE '%\\_%' ESCAPE '\\'"
        ):
            self.sql(f'DROP TABLE "{table}"')

    def sql(self, statement: str) -> list[list[Any]]:
        """Rows of the database behind the gateway."""
        path = "~/client/v4/accounts/local/d1/database/words/raw"
        rows: list[list[Any]] = self.direct.result("POST", path, {"sql": statement})[0]["results"][
            "rows"
        ]
        return rows


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with BackgroundServer() as server:
        at = urlsplit(server.base_url)
        address = (str(at.hostname), int(at.port or 0))
        folder = tmp_path_factory.mktemp("gateway")
        with workerd.gateway(folder, address, INDEXES, {"words": "WORDS"}) as url:
            direct = Peer(server.base_url)
            gateway = Peer(f"{url}/client/v4", "any", workerd.TOKEN)
            yield Both(direct, gateway)
            direct.close()
            gateway.close()


@pytest.fixture
def both(opened: Both) -> Both:
    opened.anew()
    return opened


class TestStandard(WordsInD1, VectorStoreIntegrationTests):
    """LangChain's own suite, whole, with the words of texts in D1."""

    @staticmethod
    def get_embeddings() -> Embeddings:
        return DeterministicFakeEmbedding(size=32)

    @pytest.fixture
    async def vectorstore(self, both: Both, text_index: Any) -> AsyncIterator[VectorizeVectorStore]:
        client = both.client(retry=RetryPolicy(request_lifetime=0))
        embedding = self.get_embeddings()
        store = VectorizeVectorStore(
            embedding, index_name="docs", client=client, wait="visible", text_index=text_index
        )
        yield store
        check_words(store, text_index)
        await client.connection.aclose()


FORM = "multipart/form-data; boundary=x"


def form(name: str, content: bytes) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="vectors.ndjson"\r\n'
    return (
        head.encode() + b"Content-Type: application/x-ndjson\r\n\r\n" + content + b"\r\n--x--\r\n"
    )


TWO = lines(
    record("a", axis(0), metadata={"color": "red", "deep": {"year": 1.5}, "big": 2**53}),
    record("b", axis(1), namespace="space", metadata={}),
)
BAD = lines(record("c")) + b"\n\n{no"
WRITES: dict[str, dict[str, Any]] = {
    "raw": {"content": TWO, "kind": NDJSON},
    "a form": {"content": form("vectors", TWO), "kind": FORM},
    "a form with another name": {"content": form("body", TWO), "kind": FORM},
    "nothing": {"content": b"", "kind": NDJSON},
    "blank lines": {"content": b"\n" + TWO + b"\n\n", "kind": NDJSON},
    "a null namespace": {"content": lines(record("n", namespace=None)), "kind": NDJSON},
    "unparsable": {"content": BAD, "kind": NDJSON},
    "unparsable in a form": {"content": form("vectors", BAD), "kind": FORM},
    "discarded": {"content": BAD, "kind": NDJSON, "params": {"unparsable-behavior": "discard"}},
    "without values": {"content": b'{"id": "a", "vector": [1]}', "kind": NDJSON},
    "no object": {"content": b"1", "kind": NDJSON},
    "dimensions": {"content": lines(record("a", [1.0] * 33)), "kind": NDJSON},
    "a long id": {"content": lines(record("a" * 65)), "kind": NDJSON},
    "large metadata": {"content": lines(record("a", metadata={"x": "y" * 11_000})), "kind": NDJSON},
    "JSON": {"body": {"vectors": []}},
    "no type": {"content": TWO},
}
ALL = {"vector": ONES, "topK": 50, "returnMetadata": "all", "returnValues": True}
READS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "index": ("GET", "/docs", {}),
    "info": ("GET", "/docs/info", {}),
    "metadata indexes": ("GET", "/docs/metadata_index/list", {}),
    "all": ("POST", "/docs/query", {"body": ALL}),
    "defaults": ("POST", "/docs/query", {"body": {"vector": ONES}}),
    "by id": ("POST", "/docs/query", {"body": {"vectorId": "a", "topK": 3}}),
    "of a namespace": ("POST", "/docs/query", {"body": {**ALL, "namespace": "space"}}),
    "filtered": ("POST", "/docs/query", {"body": {**ALL, "filter": {"color": "red"}}}),
    "a filter that is none": (
        "POST",
        "/docs/query",
        {"body": {**ALL, "filter": {"color": {"$x": 1}}}},
    ),
    "51 with metadata": ("POST", "/docs/query", {"body": {**ALL, "topK": 51}}),
    "33 dimensions": ("POST", "/docs/query", {"body": {"vector": [1.0] * 33}}),
    "metadata true": ("POST", "/docs/query", {"body": {**ALL, "returnMetadata": True}}),
    "metadata null": ("POST", "/docs/query", {"body": {**ALL, "returnMetadata": None}}),
    "query without a type": ("POST", "/docs/query", {"content": b"{}"}),
    "vectors": ("POST", "/docs/get_by_ids", {"body": {"ids": ["b", "a", "none"]}}),
    "no ids": ("POST", "/docs/get_by_ids", {"body": {}}),
    "null for ids": ("POST", "/docs/delete_by_ids", {"body": {"ids": None}}),
    "21 ids": ("POST", "/docs/get_by_ids", {"body": {"ids": ["a"] * 21}}),
    "101 ids": ("POST", "/docs/delete_by_ids", {"body": {"ids": ["a"] * 101}}),
    "no such index": ("POST", "/none/query", {"body": ALL}),
    "a name that is in use": (
        "POST",
        "",
        {"body": {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}},
    ),
    "no such path": ("GET", "/docs/nothing", {}),
    "SQL": ("POST", "~D1/query", {"body": {"sql": "SELECT 1 AS one, ? AS two", "params": ["2"]}}),
    "raw SQL": ("POST", "~D1/raw", {"body": {"sql": "SELECT 1 AS one, ? AS two", "params": ["2"]}}),
    "a batch": (
        "POST",
        "~D1/raw",
        {"body": {"batch": [{"sql": "SELECT 1 a"}, {"sql": "SELECT 2 b"}]}},
    ),
    "no such table": ("POST", "~D1/raw", {"body": {"sql": "SELECT * FROM none"}}),
}


def told(peer: Peer, method: str, path: str, **more: Any) -> tuple[int, Any]:
    """Status and envelope, without what differs from one call to the next."""
    path = path.replace("~D1", f"~/client/v4/accounts/{peer.account}/d1/database/words")
    answer = peer.send(method, path, **more)
    envelope = answer.json()
    result = envelope["result"]
    for part in result if isinstance(result, list) else [result]:
        if isinstance(part, dict):
            for name in ("mutationId", "created_on", "modified_on", "meta"):
                part.pop(name, None)
    return answer.status_code, {**envelope, "messages": []}


@pytest.mark.parametrize("verb", ["insert", "upsert"])
def test_it_takes_and_refuses_writes_as_the_api_does(both: Both, verb: str) -> None:
    for name, write in WRITES.items():
        both.anew()
        expected = told(both.direct, "POST", f"/docs/{verb}", **write), state(both)
        both.anew()
        assert (told(both.gateway, "POST", f"/docs/{verb}", **write), state(both)) == expected, name


def state(both: Both) -> Any:
    found = both.direct.query(topK=50, returnMetadata="all", returnValues=True)
    return sorted(found, key=lambda match: str(match["id"]))


def test_it_reads_as_the_api_does(both: Both) -> None:
    both.direct.result("POST", "/docs/upsert", content=TWO, kind=NDJSON)
    for name, (method, path, more) in READS.items():
        expected = told(both.direct, method, path, **more)
        assert told(both.gateway, method, path, **more) == expected, name
    assert both.gateway.result("POST", "/docs/delete_by_ids", {"ids": ["a"]})["mutationId"]
    assert both.direct.found() == "b"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 429, "code": 40041, "message": "Too Many Requests"}, (429, 40041)),
        ({"status": 410, "code": 3005, "message": "deleted"}, (410, 3005)),
        ({"status": 400, "code": 40999, "message": "a new one: (code = 1)"}, (400, 40999)),
        ({"reset": True}, (502, 49996)),
    ],
)
def test_failures_of_the_service_are_those_of_the_api(
    both: Both, fault: dict[str, Any], expected: tuple[int, int]
) -> None:
    both.direct.put_faults({"match": "POST /query", **fault})
    status, envelope = told(both.gateway, "POST", "/docs/query", body={"vector": ONES})
    (error,) = envelope["errors"]
    assert (status, error["code"]) == expected
    assert error["message"] == fault.get("message", error["message"])
    assert both.gateway.query() == []


@pytest.mark.parametrize("level", ["some", "", 1, ["all"]])
def test_a_level_that_is_none_is_the_mistake_of_who_asks(both: Both, level: Any) -> None:
    status, envelope = told(
        both.gateway, "POST", "/docs/query", body={**ALL, "returnMetadata": level}
    )
    assert (status, envelope["errors"][0]["code"]) == (400, 40026)


def test_each_index_has_its_binding(both: Both) -> None:
    both.gateway.write(record("a"), name="notes")
    assert (both.direct.count("notes"), both.direct.count("docs")) == (1, 0)
    assert [match["id"] for match in both.gateway.query("notes")] == ["a"]


@pytest.mark.parametrize(
    "given", [None, "Bearer wrong", f"Bearer {workerd.TOKEN}x", "Bearer", f"Basic {workerd.TOKEN}"]
)
def test_a_wrong_token_is_refused(opened: Both, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    for path in ("/vectorize/v2/indexes/docs/info", "/d1/database/words/raw", "/nothing"):
        answer = httpx.get(f"{opened.base_url}/accounts/any{path}", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["errors"] == [{"code": 10000, "message": "Authentication error"}]


def test_the_client_says_what_a_wrong_token_is(opened: Both) -> None:
    with (
        VectorizeClient("any", api_token="a-wrong-token", base_url=opened.base_url) as client,
        pytest.raises(AuthenticationError),
    ):
        client.index("docs").info()


def test_what_a_binding_lacks_is_an_error_that_names_the_rest_client(both: Both) -> None:
    with both.client() as client:
        index = client.index("docs")
        store = VectorizeVectorStore(
            DeterministicFakeEmbedding(size=32),
            index_name="docs",
            client=client,
            text_index=D1TextIndex("words"),
        )
        store.add_texts(["a", "b"], [{"color": "red"}, {"color": "blue"}], ids=["a", "b"])
        for call in (
            lambda: list(index.list_ids()),
            lambda: client.create_index("other", dimensions=32),
            lambda: client.delete_index("docs"),
            lambda: index.create_metadata_index("other", "string"),
            lambda: index.delete_metadata_index("color"),
            lambda: client.index("bare").list_metadata_indexes(),
            store.reset,
            store.drop,
            store.reindex_metadata,
            store.reindex_texts,
            lambda: store.get(limit=1),
            lambda: store.delete(delete_all=True),
        ):
            with pytest.raises(UnsupportedByBindingError, match="without base_url="):
                call()
        assert store.count({"color": "red"}) == 1
        assert sorted(str(document.id) for document in store.iter_documents()) == ["a", "b"]
        store.delete(filter={"color": "red"})
    assert both.direct.found() == "b"
    # Of an index of whose metric it was told nothing it says so, and lists the others.
    assert {index["name"] for index in both.gateway.result("GET", "")} == set(INDEXES) - {"bare"}
    status, envelope = told(both.gateway, "GET", "/bare")
    assert (status, "config.metric" in envelope["errors"][0]["message"]) == (400, True)


@pytest.mark.parametrize("tenant", [False, True])
def test_filters_of_an_index_whose_description_names_no_properties(
    both: Both, tenant: bool
) -> None:
    """As wrangler makes them; ``INDEXES`` may also name what is not there."""
    with both.client() as client:
        store = VectorizeVectorStore(
            DeterministicFakeEmbedding(size=32), index_name="plain", client=client, wait="visible"
        )
        if tenant:
            store = store.with_namespace("one")
        asked: dict[str, Any] = {"filter": {"shape": "round"}}
        assert store.count(**asked) == 0
        store.add_texts(["a", "b"], [{"color": "red"}, {"color": "blue"}], ids=["a", "b"])
        found = store.similarity_search("a", 5, filter={"color": "red"})
        assert [document.id for document in found] == ["a"]
        assert store.count({"color": "red"}) == 1
        store.delete(filter={"color": "red"})
        store.add_texts(["c"], [{"shape": "round"}], ids=["c"])
        with pytest.raises(PartialIndexError, match="whatever is declared"):
            store.count(**asked)


def test_a_write_of_more_than_a_binding_takes_is_refused_whole_and_sent_in_halves(
    both: Both,
) -> None:
    vectors = [Vector(str(n), axis(n % 32)) for n in range(2_500)]
    many = {"content": lines(*(record(v.id) for v in vectors)), "kind": NDJSON}
    status, envelope = told(both.gateway, "POST", "/docs/upsert", **many)
    assert (status, "1000 vectors" in envelope["errors"][0]["message"]) == (400, True)
    assert both.direct.count() == 0
    with both.client() as client:
        client.index("docs").upsert(vectors, batch_size=2_500)
    assert both.direct.count() == 2_500


LOST = 2**53 + 1
BY_SQL = ("POST", "~/client/v4/accounts/any/d1/database/words/raw")


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/docs/upsert", {"content": lines(record("a", metadata={"deep": {"n": LOST}}))}),
        ("POST", "/docs/upsert", {"content": form("f", lines(record("a", metadata={"n": -LOST})))}),
        ("POST", "/docs/query", {"body": {**ALL, "filter": {"n": {"$in": [1, 2**60]}}}}),
        (*BY_SQL, {"body": {"sql": "SELECT ?", "params": [LOST]}}),
    ],
)
def test_integers_that_javascript_would_change_are_refused(
    both: Both, method: str, path: str, sent: dict[str, Any]
) -> None:
    kind = None if "body" in sent else FORM if sent["content"].startswith(b"--x") else NDJSON
    status, envelope = told(both.gateway, method, path, kind=kind, **sent)
    assert (status, envelope["errors"][0]["code"]) == (400, 49996)
    assert "an integer that JavaScript would change" in envelope["errors"][0]["message"]
    assert both.direct.count() == 0


def test_numbers_and_texts_that_look_large_pass_as_they_are(both: Both) -> None:
    given = {"int": 2**53, "float": 1.5e300, "text": f"a: {LOST}, b", "small": 0.1234567890123456}
    both.gateway.write(record("a", metadata=given))
    assert both.direct.query(returnMetadata="all")[0]["metadata"] == given


def test_columns_of_a_batch_that_have_lost_their_order_are_refused(both: Both) -> None:
    sql = {"batch": [{"sql": "SELECT 1 a, 2 '5'"}, {"sql": "SELECT 3 a"}]}
    status, envelope = told(both.gateway, *BY_SQL, body=sql)
    assert (status, '"5"' in envelope["errors"][0]["message"]) == (400, True)
    sql["batch"][0] = {"sql": "SELECT 1 a, 2 b5"}
    results = both.gateway.result(*BY_SQL, sql)
    assert results[0]["results"] == {"columns": ["a", "b5"], "rows": [[1, 2]]}


def test_bodies_have_a_bound(both: Both) -> None:
    line = lines(record("a", metadata={"x": "y" * 9_000}))
    status, _ = told(
        both.gateway, "POST", "/docs/upsert", content=b"\n".join([line] * 1_900), kind=NDJSON
    )
    assert status == 413
    assert both.gateway.write(record("a"))
    assert both.direct.count() == 1


def test_bodies_held_at_once_have_a_bound(both: Both) -> None:
    half = 9 * 2**20
    # Where the second one is read together with the third, it may be the one that is refused.
    for seconds in growing(0.2):
        with beginning(both, half, wait=seconds), beginning(both, half, wait=seconds):
            answer = third(both, 503, 4)
        if answer.status_code == 503:
            break
    assert answer.headers["Retry-After"] == "1"
    # They went away in the middle, and so does what they held.
    assert third(both, 200).is_success
    with beginning(both, half):
        both.gateway.write(record("a"))


@pytest.mark.parametrize("more", [1, 0], ids=["sending", "waiting for the answer"])
def test_who_breaks_off_holds_nothing(both: Both, more: int) -> None:
    half = 9 * 2**20
    both.direct.put_faults(*[{"match": "POST /upsert", "delay": 0.8}] * (2 - 2 * more))
    with beginning(both, half, more) as first, beginning(both, half, more) as second:
        for connection in (first, second):
            # Without a word, as of a process that was killed.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    both.direct.put_faults()
    assert third(both, 200).is_success


def third(both: Both, status: int, seconds: float = 60.0) -> httpx.Response:
    """The answer to a body: again until it is this one, or for so long.

    The gateway takes its time to read those before it.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = both.gateway.send("POST", "/docs/upsert", content=b" " * 2**22, kind=NDJSON)
        if answer.status_code == status or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


@contextmanager
def beginning(both: Both, size: int, more: int = 1, wait: float = 0.2) -> Iterator[socket.socket]:
    """A write of so many bytes, which are given time to come; if there are more, they do not."""
    host, port = both.gateway.address
    head = (
        f"POST /client/v4/accounts/any/vectorize/v2/indexes/docs/upsert HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        f"Authorization: Bearer {workerd.TOKEN}\r\nContent-Type: {NDJSON}\r\n"
        f"Content-Length: {size + more}\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode() + b" " * size)
        time.sleep(wait)
        yield connection


async def test_many_at_once(both: Both) -> None:
    """Far more than the API would take in a second; nobody waits for a rate limit here."""
    client = AsyncVectorizeClient(
        "any", api_token=workerd.TOKEN, base_url=both.base_url, rate_limit=None
    )
    async with client:
        index = client.index("docs")
        batches = [[Vector(f"{n}-{m}", axis(m % 32)) for m in range(100)] for n in range(20)]
        await asyncio.gather(*[index.upsert(batch) for batch in batches])
        found = await asyncio.gather(*[index.query(axis(n % 32), top_k=10) for n in range(300)])
    assert both.direct.count() == 2_000
    assert all(len(matches) == 10 and round(matches[0].score, 5) == 1 for matches in found)


async def test_the_page(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", workerd.TOKEN)
    code = examples("workers.md")["A gateway"]
    address, found = re.subn(r'"https://[^"]*workers.dev/client/v4"', repr(both.base_url), code)
    names: dict[str, Any] = {"embeddings": DeterministicFakeEmbedding(size=32)}
    await run(address.replace('"texts"', '"words"'), "workers.md", names)
    store = names["store"]
    store.add_texts(["to the moon"], ids=["moon"])
    assert (found, store.similarity_search("moon", 1, retrieval_mode="text")[0].id) == (1, "moon")
    store.close()
    names["client"].close()


def test_long_texts_and_the_llama_index_store(both: Both) -> None:
    with both.client() as client:
        store = LlamaIndexStore(
            index_name="docs", client=client, texts=D1Texts("words"), wait="visible"
        )
        nodes = [
            TextNode(id_=str(n), text=f"{n} " + "long " * 4_000, embedding=axis(n))
            for n in range(3)
        ]
        assert store.add(nodes) == ["0", "1", "2"]
        query = VectorStoreQuery(query_embedding=axis(1), similarity_top_k=1)
        (node,) = store.query(query).nodes or ()
        assert node.get_content() == nodes[1].text
        store.delete_nodes(["1"])
        assert [n.node_id for n in store.get_nodes(["0", "1"])] == ["0"]


def test_it_runs_in_wrangler_dev_with_its_own_d1(both: Both, tmp_path: Path) -> None:
    if not NIGHTLY:
        pytest.skip("starts wrangler dev once more, so only at night")
    project = tmp_path / "worker"
    shutil.copytree(workerd.GATEWAY.parent, project)
    config = project / "wrangler.jsonc"
    text = config.read_text().replace('// "d1_databases"', '"d1_databases"')
    text = text.replace('"DATABASES": {}', '"DATABASES": {"words": "TEXTS"}')
    config.write_text(text.replace('"dimensions": 384', '"dimensions": 32'))
    (project / ".dev.vars").write_text(f"GATEWAY_TOKEN={workerd.TOKEN}")
    (project / "node_modules").symlink_to(installed(), target_is_directory=True)
    run = CliRunner().invoke(app, ["wrangler", str(project), "--url", both.direct.base_url])
    assert run.exit_code == 0, run.output
    with wrangler_dev(project, installed(), NODE_FIRST) as url:
        client = VectorizeClient("any", api_token=workerd.TOKEN, base_url=f"{url}/client/v4")
        words = D1TextIndex("words")
        embedding = DeterministicFakeEmbedding(size=32)
        place: dict[str, Any] = {"index_name": "docs", "client": client, "wait": "visible"}
        with client, VectorizeVectorStore(embedding, text_index=words, **place) as store:
            store.add_texts(
                [f"to the moon {n}" for n in range(30)], ids=[f"{n}" for n in range(30)]
            )
            (found,) = store.similarity_search("moon 17", 1, retrieval_mode="text")
            assert found.id == "17"
            store.delete([f"{n}" for n in range(29)])
            found = store.similarity_search("moon", 9, retrieval_mode="text")
            assert [document.id for document in found] == ["29"]
    assert both.direct.found() == "29"
