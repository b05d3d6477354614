"""What is tried again, for how long, and what is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.core.helpers import (
    RAY,
    Answer,
    Cloudflare,
    Variant,
    both_variants,
    failed,
    ok,
    settled,
)
from tests.held_time import HeldClock
from vectorize_core import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    IndexExistsError,
    IndexNotFoundError,
    NotFoundError,
    RateLimitError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    UnexpectedAnswerError,
    Vector,
    VectorizeError,
)
from vectorize_core.api.operations import (
    CreateIndex,
    DeleteByIds,
    DeleteIndex,
    GetInfo,
    Op,
    Query,
    Upsert,
)
from vectorize_core.models import IndexConfig
from vectorize_core.transport import retry
from vectorize_core.transport.io import AsyncIo, SyncIo

INFO = ok({"dimensions": 32, "vectorCount": 7})
WRITTEN = ok({"mutationId": "m1"})
READ = GetInfo("docs")
WRITE = Upsert("docs", (Vector("a", [58.8]), Vector("b", [1])))
LOST = httpx.ReadError("connection reset by peer")

TRANSIENT: dict[str, Answer | Exception] = {
    "429 with Retry-After": failed(429, 971, headers={"retry-after": "0"}),
    "429": failed(429),
    "40041 as a 400": failed(400, 40041),
    "40041 on a 200": failed(200, 40041),
    "408": failed(408),
    "500": failed(500, 1000),
    "502 that is a page": Answer(502, b"<html>"),
    "503": failed(503),
    "524": failed(524),
    "reset": LOST,
    "closed without an answer": httpx.RemoteProtocolError("Server disconnected"),
    "write failed": httpx.WriteError("broken pipe"),
    "no connection": httpx.ConnectError("refused"),
    "connect timeout": httpx.ConnectTimeout("slow"),
    "read timeout": httpx.ReadTimeout("slow"),
    "write timeout": httpx.WriteTimeout("slow"),
    "no free connection": httpx.PoolTimeout("busy"),
}
FINAL: dict[str, tuple[Answer, type[VectorizeError]]] = {
    "400/40012": (failed(400, 40012), BadRequestError),
    "400/3002": (failed(400, 3002), IndexExistsError),
    "401": (failed(401, 10000), AuthenticationError),
    "403": (failed(403, 10000), AuthenticationError),
    "404/3000": (failed(404, 3000), IndexNotFoundError),
    "404/7003": (failed(404, 7003), NotFoundError),
    "410/3005": (failed(410, 3005), IndexNotFoundError),
    "413": (failed(413), ApiError),
    "200 that failed": (failed(200, 40012), ApiError),
    "200 that is a page": (Answer(200, b"<html>"), UnexpectedAnswerError),
    "an undocumented result": (ok([1]), UnexpectedAnswerError),
}


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays that were asked for; none is waited for."""
    delays: list[float] = []

    async def sleep(_: Any, seconds: float, /) -> None:
        delays.append(seconds)

    monkeypatch.setattr(SyncIo, "sleep", sleep)
    monkeypatch.setattr(AsyncIo, "sleep", sleep)
    return delays


@both_variants
@pytest.mark.parametrize(("op", "answer"), [(READ, INFO), (WRITE, WRITTEN)], ids=["read", "write"])
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT)
async def test_a_transient_fault_is_tried_again_with_the_same_request(
    slept: list[float], variant: Variant, op: Op[Any], answer: Answer, fault: Answer | Exception
) -> None:
    cloudflare = Cloudflare(fault, fault, answer)
    await variant.call(cloudflare.executor(), op, RetryPolicy())
    requests = [(r.method, r.url.raw_path, r.content, r.headers) for r in cloudflare.requests]
    assert requests == requests[:1] * 3
    assert len(slept) == 2


@both_variants
async def test_delays_are_really_waited_for(variant: Variant) -> None:
    cloudflare = Cloudflare(failed(503), LOST, failed(429, headers={"retry-after": "0.001"}), INFO)
    info = await variant.call(cloudflare.executor(), READ, RetryPolicy(first_delay=0.001))
    assert info.vector_count == 7


@both_variants
@pytest.mark.parametrize(("fault", "kind"), FINAL.values(), ids=FINAL)
async def test_what_will_not_get_better_is_not_tried_again(
    slept: list[float], variant: Variant, fault: Answer, kind: type[VectorizeError]
) -> None:
    cloudflare = Cloudflare(fault, INFO)
    with pytest.raises(VectorizeError) as caught:
        await variant.call(cloudflare.executor(), READ, RetryPolicy())
    assert type(caught.value) is kind
    assert (len(cloudflare.requests), slept) == (1, [])


EXHAUSTED: dict[str, tuple[Answer, type[ApiError], int | None, str]] = {
    "429": (failed(429, 971), RateLimitError, 971, "said 971"),
    "40041": (failed(400, 40041), RateLimitError, 40041, "said 40041"),
    "503": (failed(503, 1001), ServerError, 1001, "said 1001"),
}


@both_variants
@pytest.mark.parametrize(("fault", "kind", "code", "message"), EXHAUSTED.values(), ids=EXHAUSTED)
async def test_when_time_is_up_the_last_error_is_raised(
    slept: list[float],
    variant: Variant,
    fault: Answer,
    kind: type[ApiError],
    code: int,
    message: str,
) -> None:
    cloudflare = Cloudflare(fault)
    with pytest.raises(kind) as caught:
        await variant.call(cloudflare.executor(), READ, RetryPolicy())
    error = caught.value
    assert (error.code, error.message, error.request_id) == (code, message, RAY)
    assert len(cloudflare.requests) == len(slept) + 1 > 3
    assert sum(slept) <= 30


@both_variants
@pytest.mark.parametrize(
    ("fault", "kind", "sent"),
    [
        (httpx.ConnectError("refused"), ConnectionFailedError, False),
        (httpx.ConnectTimeout("slow"), ConnectionFailedError, False),
        (httpx.PoolTimeout("busy"), ConnectionFailedError, False),
        (LOST, ConnectionFailedError, True),
        (httpx.RemoteProtocolError("Server disconnected"), ConnectionFailedError, True),
        (httpx.ReadTimeout("slow"), RequestTimeoutError, True),
        (httpx.WriteTimeout(""), RequestTimeoutError, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_a_lost_connection_says_whether_it_may_have_acted(
    slept: list[float], variant: Variant, fault: Exception, kind: type, sent: bool
) -> None:
    with pytest.raises(ConnectionFailedError) as caught:
        await variant.call(Cloudflare(fault).executor(), READ, RetryPolicy(1, 1))
    assert type(caught.value) is kind
    assert caught.value.sent is sent
    assert caught.value.__cause__ is fault
    assert "GetInfo(docs)" in str(caught.value)
    assert (str(fault) or type(fault).__name__) in str(caught.value)


@both_variants
@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"x-ratelimit-reset": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_delay_that_is_asked_for_is_obeyed(
    slept: list[float], variant: Variant, status: int, headers: dict[str, str], asked: float
) -> None:
    cloudflare = Cloudflare(failed(status, headers=headers), INFO)
    await variant.call(cloudflare.executor(), READ, RetryPolicy(first_delay=1))
    (delay,) = slept
    assert asked <= delay <= asked + 0.1


@both_variants
async def test_a_delay_beyond_the_deadline_is_not_begun(
    slept: list[float], variant: Variant
) -> None:
    blocked = failed(429, headers={"retry-after": "300"})
    cloudflare = Cloudflare(blocked, INFO)
    with pytest.raises(RateLimitError) as caught:
        await variant.call(cloudflare.executor(), READ, RetryPolicy())
    assert caught.value.retry_after == 300
    assert (len(cloudflare.requests), slept) == (1, [])


@both_variants
async def test_a_write_waits_out_a_block_of_five_minutes(
    slept: list[float], variant: Variant
) -> None:
    cloudflare = Cloudflare(failed(429, headers={"retry-after": "300"}), WRITTEN)
    await variant.call(cloudflare.executor(), WRITE, RetryPolicy())
    assert slept[0] >= 300


@both_variants
async def test_delays_double_with_jitter_up_to_the_longest(
    slept: list[float], variant: Variant
) -> None:
    policy = RetryPolicy(read_deadline=100, first_delay=1, max_delay=8)
    with pytest.raises(ServerError):
        await variant.call(Cloudflare(failed(503)).executor(), READ, policy)
    for delay, backoff in zip(slept, [1, 2, 4, *[8] * len(slept)], strict=False):
        assert backoff / 2 <= delay <= backoff


@both_variants
@pytest.mark.parametrize("op", [READ, WRITE])
async def test_a_deadline_of_zero_tries_once(
    slept: list[float], variant: Variant, op: Op[Any]
) -> None:
    cloudflare = Cloudflare(failed(503))
    with pytest.raises(ServerError):
        await variant.call(
            cloudflare.executor(), op, RetryPolicy(read_deadline=0, write_deadline=0)
        )
    assert (len(cloudflare.requests), slept) == (1, [])


def test_reads_give_up_sooner_than_writes() -> None:
    policy = RetryPolicy(read_deadline=1, write_deadline=2)
    reads: list[Op[Any]] = [READ, Query("docs", vector_id="a")]
    writes: list[Op[Any]] = [
        WRITE,
        DeleteByIds("docs", ("a",)),
        CreateIndex("docs", IndexConfig(32)),
    ]
    assert [policy.deadline(op.kind) for op in reads] == [1, 1]
    assert [policy.deadline(op.kind) for op in writes] == [2, 2, 2]


async def test_what_is_no_error_of_the_service_is_not_tried_again(slept: list[float]) -> None:
    attempts = []

    async def attempt() -> None:
        attempts.append(1)
        raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        await AsyncIo(Cloudflare().executor(), RetryPolicy()).repeat(attempt, READ)
    assert (len(attempts), slept) == (1, [])


@both_variants
@pytest.mark.parametrize("op", [CreateIndex("docs", IndexConfig(32)), DeleteIndex("docs")])
async def test_an_operation_that_is_not_repeatable_is_sent_once(
    slept: list[float], variant: Variant, op: Op[Any]
) -> None:
    cloudflare = Cloudflare(failed(503))
    with pytest.raises(ServerError):
        await variant.call(cloudflare.executor(), op, RetryPolicy())
    assert (len(cloudflare.requests), slept) == (1, [])


OPEN = failed(503, 1001)
VERDICTS: dict[str, tuple[list[Answer | Exception], type[VectorizeError], str | None]] = {
    "lost, then blocked": ([LOST, failed(429, 971)], ConnectionFailedError, "HTTP 429: said 971"),
    "503, then no connection": ([OPEN, httpx.ConnectError("no")], ServerError, "no connection to"),
    "lost, then 503": ([LOST, OPEN], ServerError, None),
    "blocked, then no connection": (
        [failed(429, 971), httpx.ConnectError("no")],
        ConnectionFailedError,
        None,
    ),
    "lost, then refused for good": ([LOST, failed(400, 40012)], BadRequestError, None),
}


@both_variants
@pytest.mark.parametrize(("answers", "kind", "note"), VERDICTS.values(), ids=VERDICTS)
async def test_a_write_that_may_have_acted_is_not_called_unwritten(
    slept: list[float],
    variant: Variant,
    answers: list[Answer | Exception],
    kind: type[VectorizeError],
    note: str | None,
) -> None:
    cloudflare = Cloudflare(*answers)
    with pytest.raises(VectorizeError) as caught:
        await variant.call(cloudflare.executor(), WRITE, RetryPolicy(write_deadline=5))
    assert type(caught.value) is kind
    assert len(cloudflare.requests) > 1
    notes = getattr(caught.value, "__notes__", [])
    assert len(notes) == (note is not None)
    assert (note or "") in "".join(notes)


@both_variants
async def test_a_read_ends_with_its_last_error(slept: list[float], variant: Variant) -> None:
    with pytest.raises(RateLimitError):
        await variant.call(Cloudflare(LOST, failed(429)).executor(), READ, RetryPolicy(5))


@both_variants
async def test_a_date_to_wait_for_is_obeyed(slept: list[float], variant: Variant) -> None:
    headers = {
        "date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "retry-after": "Wed, 21 Oct 2015 07:28:20 GMT",
    }
    await variant.call(
        Cloudflare(failed(429, headers=headers), INFO).executor(), READ, RetryPolicy()
    )
    assert 20 <= slept[0] <= 21


@both_variants
async def test_what_is_left_of_a_limit_is_no_reason_to_wait(
    slept: list[float], variant: Variant
) -> None:
    told = {"x-ratelimit-remaining": "900", "x-ratelimit-reset": "250"}
    await variant.call(Cloudflare(failed(503, headers=told), INFO).executor(), READ, RetryPolicy())
    assert slept[0] <= 1


def index(dimensions: int = 32, metric: str = "cosine") -> Answer:
    return ok({"name": "docs", "config": {"dimensions": dimensions, "metric": metric}})


def metadata_indexes(**types: str) -> Answer:
    entries = [{"propertyName": name, "indexType": kind} for name, kind in types.items()]
    return ok({"metadataIndexes": entries})


Control = Callable[[Any], Awaitable[Any] | Any]
POST, GET, DELETE = "POST ", "GET /docs", "DELETE /docs"
CREATE = "POST /docs/metadata_index/create"
LIST = "GET /docs/metadata_index/list"
REMOVE = "POST /docs/metadata_index/delete"


def create(client: Any) -> Any:
    return client.create_index("docs", dimensions=32, record_layout=False)


def create_or_keep(client: Any) -> Any:
    return client.create_index("docs", dimensions=32, record_layout=False, exist_ok=True)


def delete(client: Any) -> Any:
    return client.delete_index("docs")


def make_filterable(client: Any) -> Any:
    return client.index("docs").create_metadata_index("year", "number")


def make_unfilterable(client: Any) -> Any:
    return client.index("docs").delete_metadata_index("year")


NOTHING, GONE, DUPLICATE = failed(404, 3000), failed(410, 3005), failed(400, 3002)
UNKNOWN_404 = failed(404)

SETTLED: dict[str, tuple[Control, list[Answer | Exception], list[str]]] = {
    "create, lost but done": (create, [LOST, index()], [POST, GET]),
    "create, 503 but done": (create, [failed(503), index()], [POST, GET]),
    "create, lost and not done": (create, [LOST, NOTHING, index()], [POST, GET, POST]),
    "create, lost and the old one still going": (create, [LOST, GONE, index()], [POST, GET, POST]),
    "create, lost and not done, without a code": (
        create,
        [LOST, UNKNOWN_404, index()],
        [POST, GET, POST],
    ),
    "create, blocked": (create, [failed(429), NOTHING, index()], [POST, GET, POST]),
    "create, lost twice": (
        create,
        [LOST, NOTHING, LOST, index()],
        [POST, GET, POST, GET],
    ),
    "create, lost and the look fails at first": (
        create,
        [LOST, failed(503), LOST, index()],
        [POST, GET, GET, GET],
    ),
    "create or keep, there already": (create_or_keep, [DUPLICATE, index()], [POST, GET]),
    "delete, lost but done": (delete, [LOST, NOTHING], [DELETE, DELETE]),
    "delete, lost but being done": (delete, [LOST, GONE], [DELETE, DELETE]),
    "delete, lost but done, without a code": (delete, [LOST, UNKNOWN_404], [DELETE, DELETE]),
    "delete, 503 but done": (delete, [failed(503), NOTHING], [DELETE, DELETE]),
    "delete, lost and not done": (delete, [LOST, ok(None)], [DELETE, DELETE]),
    "metadata index, lost but done": (
        make_filterable,
        [LOST, metadata_indexes(year="Number")],
        [CREATE, LIST],
    ),
    "metadata index, lost and not done": (
        make_filterable,
        [LOST, metadata_indexes(lang="String"), WRITTEN],
        [CREATE, LIST, CREATE],
    ),
    "metadata index deleted, lost but done": (
        make_unfilterable,
        [LOST, metadata_indexes(lang="String")],
        [REMOVE, LIST],
    ),
    "metadata index deleted, lost and not done": (
        make_unfilterable,
        [LOST, metadata_indexes(year="Number"), WRITTEN],
        [REMOVE, LIST, REMOVE],
    ),
}


@both_variants
@pytest.mark.parametrize(("control", "answers", "calls"), SETTLED.values(), ids=SETTLED)
async def test_a_lost_answer_is_settled_by_looking_at_the_state(
    slept: list[float],
    variant: Variant,
    control: Control,
    answers: list[Answer | Exception],
    calls: list[str],
) -> None:
    cloudflare = Cloudflare(*answers, AssertionError("one request too many"))
    await settled(control(variant.client(cloudflare)))
    assert cloudflare.calls == calls


OTHER = index(64)
UNSETTLED: dict[str, tuple[Control, list[Answer | Exception], list[str], type[VectorizeError]]] = {
    "create, there already": (create, [DUPLICATE], [POST], IndexExistsError),
    "create, lost, another one is there": (
        create,
        [LOST, OTHER, DUPLICATE],
        [POST, GET, POST],
        IndexExistsError,
    ),
    "create, lost, one with another metric is there": (
        create,
        [LOST, index(metric="euclidean"), DUPLICATE],
        [POST, GET, POST],
        IndexExistsError,
    ),
    "create or keep, another one is there": (
        create_or_keep,
        [DUPLICATE, OTHER],
        [POST, GET],
        ConfigurationError,
    ),
    "create or keep, lost, another one is there": (
        create_or_keep,
        [LOST, OTHER, DUPLICATE, OTHER],
        [POST, GET, POST, GET],
        ConfigurationError,
    ),
    "create, refused": (create, [failed(400, 1)], [POST], BadRequestError),
    "delete, never there": (delete, [NOTHING], [DELETE], IndexNotFoundError),
    "delete, gone before": (delete, [GONE], [DELETE], IndexNotFoundError),
    "metadata index, refused": (make_filterable, [failed(400, 1)], [CREATE], BadRequestError),
    "metadata index, lost, one of another type is there": (
        make_filterable,
        [LOST, metadata_indexes(year="String"), failed(400, 1)],
        [CREATE, LIST, CREATE],
        BadRequestError,
    ),
    "metadata index deleted, never there": (
        make_unfilterable,
        [failed(404, 1)],
        [REMOVE],
        NotFoundError,
    ),
}


@both_variants
@pytest.mark.parametrize(("control", "answers", "calls", "kind"), UNSETTLED.values(), ids=UNSETTLED)
async def test_what_was_not_done_by_us_is_an_error(
    slept: list[float],
    variant: Variant,
    control: Control,
    answers: list[Answer | Exception],
    calls: list[str],
    kind: type[VectorizeError],
) -> None:
    cloudflare = Cloudflare(*answers, AssertionError("one request too many"))
    with pytest.raises(kind):
        await settled(control(variant.client(cloudflare)))
    assert cloudflare.calls == calls


@both_variants
@pytest.mark.parametrize("control", [create, delete, make_filterable, make_unfilterable])
async def test_control_operations_give_up_with_the_typed_error(
    slept: list[float], variant: Variant, control: Control
) -> None:
    cloudflare = Cloudflare(failed(503, 1001))
    with pytest.raises(ServerError) as caught:
        await settled(control(variant.client(cloudflare, RetryPolicy(1, 2))))
    assert (caught.value.code, caught.value.request_id) == (1001, RAY)
    assert len(cloudflare.requests) > 1


@both_variants
async def test_what_is_tried_for_long_is_told_once(
    variant: Variant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert retry._TELL_AFTER == 2
    HeldClock().rule(monkeypatch)
    cloudflare = Cloudflare(httpx.ConnectError("refused"))
    with caplog.at_level("WARNING", "vectorize_core"), pytest.raises(ConnectionFailedError):
        await variant.call(
            cloudflare.executor(), READ, RetryPolicy(read_deadline=12, first_delay=1.2)
        )
    (record,) = caplog.records
    text = record.getMessage()
    assert text.startswith("GetInfo(docs): no connection to https://api.cloudflare.com/client/v4")
    assert "refused; it is tried again for up to " in text
    assert len(cloudflare.requests) > 2


class Unreachable:
    """An executor that reaches nothing."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.calls = 0

    def send(self, op: Op[Any], /) -> Any:
        self.calls += 1
        raise ConnectionFailedError("refused", sent=False, patience=self.patience)

    async def asend(self, op: Op[Any], /) -> Any:
        return self.send(op)

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


@both_variants
async def test_nothing_is_told_of_what_is_about_to_be_given_up(
    variant: Variant, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    HeldClock().rule(monkeypatch)
    executor = Unreachable(patience=retry._TELL_AFTER)
    with caplog.at_level("WARNING", "vectorize_core"), pytest.raises(ConnectionFailedError):
        await variant.call(executor, READ, RetryPolicy())
    assert executor.calls > 5
    assert caplog.records == []


@both_variants
async def test_a_failure_with_little_patience_is_not_tried_for_longer(
    variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    HeldClock().rule(monkeypatch)
    executor = Unreachable(patience=0.05)
    with pytest.raises(ConnectionFailedError):
        await variant.call(executor, READ, RetryPolicy(first_delay=0.02, max_delay=0.02))
    assert 2 <= executor.calls <= 8
