"""What a binding throws becomes the error that REST gives for the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest

from tests.workers.bindings import D1Binding, JsError, VectorizeBinding
from tests.workers.bridge import Workerd, running
from tests.workers.conftest import Bind
from vectorize_core import (
    ApiError,
    AsyncVectorizeClient,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    D1TextIndex,
    D1Texts,
    IndexNotFoundError,
    RateLimitError,
    RequestEvent,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
    Vector,
    VectorizeError,
)
from vectorize_core.api.d1 import ReadD1, WriteD1
from vectorize_core.api.operations import DeleteByIds, GetByIds, GetInfo, Op, Query, Upsert
from vectorize_core.binding.errors import d1_error, vectorize_error
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.models import as_values

ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
ONES = as_values([1.0] * 32)
FORMS: list[tuple[str, type[VectorizeError], int | None, int | None]] = [
    ("VECTOR_QUERY_ERROR (code = 40006): invalid query vector", BadRequestError, 400, 40006),
    ("VECTOR_INSERT_ERROR (code = 40012): invalid vector", BadRequestError, 400, 40012),
    ("VECTOR_UPSERT_ERROR (code = 40041): Too Many Requests", RateLimitError, 429, 40041),
    ("VECTOR_GET_ERROR (code = 40007): too many ids in payload", BadRequestError, 400, 40007),
    ("VECTOR_DELETE_ERROR (code = 3005): vectorize.index.deleted", IndexNotFoundError, 410, 3005),
    ("INDEX_GET_ERROR (code = 3000): vectorize.index.not_found", IndexNotFoundError, 404, 3000),
    ("INDEX_GET_ERROR (code = 10000): Authentication error", AuthenticationError, 403, 10000),
    ("VECTOR_QUERY_ERROR: Status + 503", ServerError, 503, None),
    ("VECTOR_QUERY_ERROR: Status + 429", RateLimitError, 429, None),
    ("VECTOR_QUERY_ERROR: Status + 413", ApiError, 413, None),
    ("VECTOR_GET_ERROR (code = 50000): internal error", ServerError, 500, 50000),
    ("VECTOR_UPSERT_ERROR: undefined", ServerError, 500, None),
    ("Failed to parse body as JSON, got: <html>", UnexpectedAnswerError, None, None),
    ("Network connection lost.", ConnectionFailedError, None, None),
    ("Too many subrequests.", VectorizeError, None, None),
    ("Binding VEC needs to be run remotely", ConfigurationError, None, None),
    ("Invalid returnMetadata option. Expected boolean; got: 1", ConfigurationError, None, None),
    ("Cannot perform I/O on behalf of a different request.", ConnectionFailedError, None, None),
    ("Worker has exceeded memory limit.", ConnectionFailedError, None, None),
    ("Worker exceeded memory limit.", ConnectionFailedError, None, None),
    ("Worker exceeded CPU time limit.", ConnectionFailedError, None, None),
    ('The RPC receiver does not implement the method "query".', ConfigurationError, None, None),
]


class Odd:
    """A backend that answers everything in one way, or with status 0 not at all."""

    status, body = 200, b"{}"

    def __enter__(self) -> Self:
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                if odd.status:
                    self.send_response(odd.status)
                    self.send_header("content-length", str(len(odd.body)))
                    self.end_headers()
                    self.wfile.write(odd.body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(("thrown", "kind", "status", "code"), FORMS)
def test_each_form_of_the_binding(
    thrown: str, kind: type[VectorizeError], status: int | None, code: int | None
) -> None:
    error = vectorize_error(GetInfo("docs"), JsError(thrown))
    assert type(error) is kind
    assert str(error).startswith("GetInfo(docs): ")
    assert (getattr(error, "status", None), getattr(error, "code", None)) == (status, code)
    if code is not None:
        assert getattr(error, "message", "") == thrown.split("): ", 1)[1]


@pytest.mark.parametrize(
    ("thrown", "kind"),
    [
        ("D1_ERROR: no such table: docs: SQLITE_ERROR", BadRequestError),
        ("D1_ERROR: string or blob too big: SQLITE_TOOBIG", BadRequestError),
        ("D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'", BadRequestError),
        ("D1_ERROR: no such column: timeout: SQLITE_ERROR", BadRequestError),
        ("D1_ERROR: database is locked: SQLITE_BUSY", ServerError),
        ("D1_ERROR: Network connection lost.", ServerError),
        ("D1_ERROR: D1 DB is overloaded. Requests queued for too long.", ServerError),
        (
            "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
            ServerError,
        ),
        ("D1_ERROR: Failed to parse body as JSON, got: <html>", UnexpectedAnswerError),
        ("D1_COLUMN_NOTFOUND: Column not found (timeout)", BadRequestError),
        ("D1_DUMP_ERROR: Status + 500", ServerError),
        ("D1_DUMP_ERROR: Status + 400", BadRequestError),
        ("Too many subrequests.", VectorizeError),
        ("Worker exceeded memory limit.", ConnectionFailedError),
        ("D1_TYPE_ERROR: Type 'bigint' not supported for value 'queued'", BadRequestError),
        ("Binding DB needs to be run remotely", ConfigurationError),
        ("internal error; reference = abc", ConnectionFailedError),
    ],
)
def test_each_form_of_d1(thrown: str, kind: type[VectorizeError]) -> None:
    error = d1_error(ReadD1("binding", ()), JsError(thrown))
    assert type(error) is kind
    assert ("no such table" in thrown) == (getattr(error, "message", "").startswith("no such t"))


@pytest.mark.parametrize(
    "said",
    [
        *("TypeError: x is no y", "Worker exceeded memory limit.", "Invalid topK option"),
        *("Worker exceeded CPU time limit.", "Cannot perform I/O on behalf of a different request"),
    ],
)
async def test_what_does_not_pass_is_tried_once(said: str) -> None:
    binding = Throwing(said)
    client = AsyncVectorizeClient.from_binding(binding)
    with pytest.raises(VectorizeError, match=said):
        await client.index("docs").info()
    assert binding.calls == 1


def test_each_binding_has_its_own_way_to_run_locally() -> None:
    remote = JsError("Binding X needs to be run remotely")
    assert "vectorize-stores wrangler" in str(vectorize_error(GetInfo("docs"), remote))
    of_d1 = str(d1_error(ReadD1("binding", ()), remote))
    assert '"remote": true' in of_d1
    assert "Vectorize" not in of_d1


@pytest.mark.parametrize(
    "make",
    [
        lambda index: Query(index, vector=as_values([1.0] * 40)),
        lambda index: Query(index, vector=ONES, top_k=60, return_metadata="all"),
        lambda index: Query(index, vector=ONES, filter={"$a": 1}),
        lambda index: Upsert(index, (Vector("a" * 65, ONES),)),
        lambda index: Upsert(index, (Vector("a", [1.0] * 40),)),
        lambda index: Upsert(index, (Vector("a", ONES, metadata={"a": "b" * 11_000}),)),
        lambda index: GetByIds(index, tuple(map(str, range(21)))),
        lambda index: DeleteByIds(index, tuple(map(str, range(101)))),
    ],
)
async def test_a_refusal_is_the_same_over_both(
    bind: Bind, server: BackgroundServer, make: Any
) -> None:
    binding = bind()
    op: Op[Any] = make(binding._headers["x-vectorize-index"])
    errors = []
    for client in (
        AsyncVectorizeClient.from_binding(binding, retry=ONCE),
        AsyncVectorizeClient(base_url=server.base_url, retry=ONCE),
    ):
        async with client:
            with pytest.raises(BadRequestError) as caught:
                await client.connection.async_io().call(op)
            errors.append(caught.value)
    one, other = errors
    assert type(one) is type(other)
    assert (one.status, one.code, one.operation) == (other.status, other.code, other.operation)
    assert one.message.split(" for vector id")[0] == other.message.split(" for vector id")[0]


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    with Odd() as odd:
        yield odd


@pytest.fixture(scope="module")
def workerd(odd: Odd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    with running(tmp_path_factory.mktemp("workerd"), odd.url) as workerd:
        yield workerd


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"code": 40006, "error": "invalid query vector"}', BadRequestError),
        (429, b'{"code": 40041, "error": "Too Many Requests"}', RateLimitError),
        (404, b'{"code": 3000, "error": "vectorize.index.not_found"}', IndexNotFoundError),
        (500, b'{"code": 50001, "error": "internal error"}', ServerError),
        (500, b'{"error": "no code"}', ServerError),
        (502, b"<html>", ServerError),
        (429, b"<html>", RateLimitError),
        (401, b"", AuthenticationError),
        (200, b"<html>", UnexpectedAnswerError),
        (200, b"{}", UnexpectedAnswerError),
        (0, b"", ConnectionFailedError),
    ],
)
async def test_what_workerd_itself_throws(
    odd: Odd, workerd: Workerd, status: int, body: bytes, kind: type[VectorizeError]
) -> None:
    odd.status, odd.body = status, body
    index = AsyncVectorizeClient.from_binding(workerd, retry=ONCE).index("docs")
    # An accepted write need not have an id.
    writes = () if (status, body) == (200, b"{}") else (index.upsert([Vector("a", ONES)]),)
    for call in (
        index.info(),
        index.query(ONES),
        index.query_by_id("a"),
        index.get(["a"]),
        *writes,
    ):
        with pytest.raises(VectorizeError) as caught:
            await call
        assert type(caught.value) is kind, caught.value
        assert "(docs): " in str(caught.value)


async def test_what_the_database_of_workerd_throws(odd: Odd, workerd: Workerd) -> None:
    texts = D1Texts.from_binding(workerd.database)
    assert texts._client is not None
    texts._client.connection.retry = ONCE
    io = texts._client.connection.async_io()
    odd.status = 200
    for said, kind in (
        ("no such table: docs: SQLITE_ERROR", None),
        ('near "x": syntax error: SQLITE_ERROR', BadRequestError),
        ("D1 DB is overloaded. Requests queued for too long.", ServerError),
    ):
        odd.body = json.dumps({"success": False, "errors": [{"message": said}]}).encode()
        if kind is None:
            assert await texts.get(io, "docs", ["a"]) == {}
            continue
        with pytest.raises(kind, match=r"D1\(binding\): HTTP"):
            await texts.get(io, "docs", ["a"])


async def test_an_index_that_is_not_there(server: BackgroundServer) -> None:
    binding = VectorizeBinding(server.base_url.removesuffix("/client/v4"), "nowhere")
    index = AsyncVectorizeClient.from_binding(binding).index("docs")
    with pytest.raises(IndexNotFoundError) as caught:
        await index.upsert([Vector("a", ONES)])
    assert (caught.value.status, caught.value.code) == (404, 3000)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429, "code": 40041}, RateLimitError),
        ({"status": 503, "code": 7}, ServerError),
        ({"reset": True}, ConnectionFailedError),
    ],
)
async def test_a_passing_failure_is_tried_again(
    fault: dict[str, Any], kind: type[VectorizeError]
) -> None:
    with BackgroundServer(Settings(faults=[{"match": "/query", "nth": 1, **fault}])) as server:
        async with AsyncVectorizeClient(base_url=server.base_url) as rest:
            await rest.create_index("docs", dimensions=32, metadata_indexes=None)
        binding = VectorizeBinding(server.base_url.removesuffix("/client/v4"), "docs")
        seen: list[Any] = []
        retry = RetryPolicy(first_delay=0.01)
        client = AsyncVectorizeClient.from_binding(binding, retry=retry, on_event=seen.append)
        assert await client.index("docs").query(ONES) == []
        asked = [event for event in seen if isinstance(event, RequestEvent)]
        failed, done = [event for event in asked if event.operation == "Query"]
        assert failed.error == kind.__name__
        assert done.error is None


class Silent:
    """A binding whose promises are never kept, or are kept by what is no answer."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer

    async def describe(self, *_: Any) -> Any:
        if self._answer is None:
            await asyncio.sleep(60)
        return self._answer

    def __getattr__(self, method: str) -> Any:
        return self.describe


class Throwing(Silent):
    """A binding that throws."""

    def __init__(self, said: str) -> None:
        self._said, self.calls = said, 0

    async def describe(self, *_: Any) -> Any:
        self.calls += 1
        raise JsError(self._said)


async def test_no_answer_ends_at_the_timeout() -> None:
    client = AsyncVectorizeClient.from_binding(Silent(), timeout=0.05, retry=ONCE)
    with pytest.raises(RequestTimeoutError, match=r"no answer of the binding within 0\.1 s"):
        await client.index("docs").info()


async def test_a_cancelled_call_is_not_swallowed() -> None:
    client = AsyncVectorizeClient.from_binding(Silent(), timeout=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.index("docs").info()


@pytest.mark.parametrize("answer", [7, [], {}, {"matches": 1}, {"result": {}, "success": True}])
async def test_an_odd_answer_is_no_answer(answer: Any) -> None:
    index = AsyncVectorizeClient.from_binding(Silent(answer), retry=ONCE).index("docs")
    for call in (index.info(), index.query(ONES)):
        with pytest.raises(UnexpectedAnswerError, match=r"docs\): the answer is not what the API"):
            await call


async def test_sql_that_d1_refuses(server: BackgroundServer) -> None:
    texts = D1Texts.from_binding(D1Binding(server.base_url, "errors"))
    assert texts._client is not None
    io = texts._client.connection.async_io()
    with pytest.raises(BadRequestError) as caught:
        await io.call(ReadD1("binding", (("SELECT * FROM nowhere", ()),)))
    assert caught.value.code == 7500
    assert await texts.get(io, "docs", ["a"]) == {}
    made = ("CREATE TABLE t (a TEXT)", ())
    await io.call(WriteD1("binding", (made, ("INSERT INTO t VALUES (?)", ("é\x00",)))))
    rows = await io.call(ReadD1("binding", (("SELECT a, 1 AS b FROM t", ()), ("SELECT 2", ()))))
    assert rows == ([("é\x00", 1)], [(2,)])
    with pytest.raises(ConfigurationError, match="only be awaited"):
        texts._client.to_sync().list_indexes()  # type: ignore[union-attr]
    assert "binding" in repr(D1TextIndex.from_binding(D1Binding(server.base_url)))


async def test_columns_that_javascript_would_put_first_are_refused(
    server: BackgroundServer, tmp_path: Path
) -> None:
    with running(tmp_path, server.base_url) as workerd:
        for database in (workerd.database, D1Binding(server.base_url, "words")):
            texts = D1Texts.from_binding(database)
            assert texts._client is not None
            io = texts._client.connection.async_io()
            for name in ("5", "0", "4294967294"):
                one = f'SELECT 1 AS a, 2 AS "{name}", 3 AS "05"'
                (rows,) = await io.call(ReadD1("binding", ((one, ()),)))
                assert rows == [(1, 2, 3)]
                two = ReadD1("binding", ((one, ()), (one, ())))
                with pytest.raises(UnexpectedAnswerError, match=f"column '{name}' .*AS"):
                    await io.call(two)
            named = ('SELECT 1 AS b, 2 AS a, 3 AS "05"', ())
            assert await io.call(ReadD1("binding", (named, named))) == ([(1, 2, 3)], [(1, 2, 3)])


async def test_a_database_is_no_index(server: BackgroundServer) -> None:
    texts = D1Texts.from_binding(D1Binding(server.base_url))
    assert texts._client is not None
    with pytest.raises(VectorizeError, match="takes SQL only"):
        await texts._client.connection.async_io().call(GetInfo("docs"))
