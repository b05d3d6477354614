"""What happens on a connection is told, to loggers and hooks, and holds no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.core.helpers import (
    ACCOUNT,
    RAY,
    SECRET,
    Answer,
    Cloudflare,
    Variant,
    both_variants,
    failed,
    ok,
    settled,
)
from vectorize_core import (
    BatchEvent,
    ConfigurationError,
    Event,
    RateLimit,
    RequestEvent,
    RetryEvent,
    RetryPolicy,
    ServerError,
    Vector,
    VectorizeClient,
    WaitEvent,
)
from vectorize_core.api.operations import GetInfo
from vectorize_core.records.target import locate
from vectorize_core.transport.events import Events
from vectorize_core.transport.io import AsyncIo, SyncIo

QUICK = RetryPolicy(read_deadline=5, write_deadline=5, first_delay=0.001, max_delay=0.002)
INFO = ok({"dimensions": 32, "vectorCount": 7})
WRITTEN = ok({"mutationId": "m1"})
DETAILS = ok({"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}})
LOST = httpx.ReadError("reset")


def with_ray(answer: Answer) -> Answer:
    return Answer(answer.status, answer.content, {"cf-ray": RAY})


def client_of(variant: Variant, cloudflare: Cloudflare, hook: Callable[[Event], None]) -> Any:
    return variant.client_class(
        ACCOUNT,
        SECRET,
        retry=QUICK,
        on_event=hook,
        transport=cloudflare,
        async_transport=cloudflare,
    )


@both_variants
async def test_every_attempt_and_every_repetition_is_told(variant: Variant) -> None:
    told: list[Event] = []
    cloudflare = Cloudflare(failed(503, 1001), LOST, with_ray(INFO))
    client = client_of(variant, cloudflare, told.append)
    await settled(client.index("docs").info())
    requests = [event for event in told if isinstance(event, RequestEvent)]
    assert [
        (e.operation, e.index, e.attempt, e.status, e.request_id, e.error) for e in requests
    ] == [
        ("GetInfo", "docs", 1, 503, RAY, "ServerError"),
        ("GetInfo", "docs", 2, None, None, "ConnectionFailedError"),
        ("GetInfo", "docs", 3, 200, RAY, None),
    ]
    assert all(0 <= event.seconds < 60 for event in requests)
    retries = [event for event in told if isinstance(event, RetryEvent)]
    assert [(e.operation, e.index, e.attempt, e.error) for e in retries] == [
        ("GetInfo", "docs", 1, "ServerError"),
        ("GetInfo", "docs", 2, "ConnectionFailedError"),
    ]
    assert [(e.status, e.code, e.request_id) for e in retries] == [
        (503, 1001, RAY),
        (None, None, None),
    ]
    assert all(0.0005 <= event.delay <= 0.002 for event in retries)
    assert [type(event).name for event in told] == [
        "request",
        "retry",
        "request",
        "retry",
        "request",
    ]


@both_variants
async def test_what_is_embedded_is_told_too(variant: Variant) -> None:
    told: list[Event] = []
    client = variant.client_class.local(on_event=told.append)
    await settled(client.create_index("docs", dimensions=32, record_layout=False))
    event = told[0]
    assert isinstance(event, RequestEvent)
    assert (event.operation, event.index) == ("CreateIndex", "docs")
    assert (event.status, event.request_id, event.error) == (None, None, None)
    await variant.close(client)


@both_variants
async def test_neither_events_nor_logs_hold_content_or_secrets(
    variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vectorize_core")
    told: list[Event] = []
    message = {"code": 1001, "message": "mine-text"}
    cloudflare = Cloudflare(DETAILS, failed(503, message), LOST, WRITTEN)
    client = client_of(variant, cloudflare, told.append)
    vector = Vector("mine-id", [0.7312345] * 32, "mine-namespace", {"text": "mine-text"})
    await settled(client.index("docs").upsert([vector]))
    assert len(told) >= 6
    records = [vars(record) for record in caplog.records if record.name == "vectorize_core"]
    assert len(records) >= len(told)
    everything = repr(told) + repr(records)
    for secret in (SECRET, "mine", "0.7312345", "Bearer", "reset"):
        assert secret not in everything


@both_variants
async def test_events_are_logged_as_dicts_and_repetitions_louder(
    variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "vectorize_core")
    client = client_of(variant, Cloudflare(failed(503, 1001), with_ray(INFO)), lambda _: None)
    await settled(client.index("docs").info())
    logged = [r for r in caplog.records if hasattr(r, "vectorize")]
    assert [(r.levelname, r.vectorize["event"]) for r in logged] == [
        ("DEBUG", "request"),
        ("INFO", "retry"),
        ("DEBUG", "request"),
    ]
    assert logged[0].vectorize == {
        "event": "request",
        "operation": "GetInfo",
        "index": "docs",
        "attempt": 1,
        "seconds": logged[0].vectorize["seconds"],
        "status": 503,
        "request_id": RAY,
        "error": "ServerError",
    }
    assert logged[2].getMessage().startswith("event=request operation=GetInfo index=docs attempt=2")
    assert f"status=200 request_id={RAY}" in logged[2].getMessage()


def test_what_stands_still_for_long_is_a_warning() -> None:
    levels = [RetryEvent("Upsert", "docs", 1, delay, "X").level for delay in (0.5, 9.9, 10.0, 300)]
    assert levels == [logging.INFO, logging.INFO, logging.WARNING, logging.WARNING]
    batch = BatchEvent("docs", 5, 5, 100, 0.1)
    wait = WaitEvent("docs", "visible", 1.0, 3, "m", "seen")
    assert batch.level == wait.level == logging.DEBUG


@both_variants
async def test_a_hook_that_fails_loses_nothing_and_is_logged_once(
    variant: Variant, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(event: Event) -> None:
        raise ZeroDivisionError("a mistake in the hook")

    cloudflare = Cloudflare(DETAILS, failed(503), WRITTEN)
    client = client_of(variant, cloudflare, hook)
    (mutation,) = await settled(client.index("docs").upsert([Vector("a", [1.0] * 32)]))
    assert mutation.mutation_id == "m1"
    (logged,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "on_event" in logged.getMessage()
    assert logged.exc_info is not None
    assert logged.exc_info[0] is ZeroDivisionError


@both_variants
async def test_an_operation_that_fails_is_told_with_its_error(variant: Variant) -> None:
    told: list[Event] = []
    io: SyncIo | AsyncIo = variant.io_class(
        Cloudflare(failed(503)).executor(), RetryPolicy(0, 0), events=Events(told.append)
    )
    with pytest.raises(ServerError):
        await settled(io.call(GetInfo("docs")))
    (event,) = told
    assert isinstance(event, RequestEvent)
    assert event.error == "ServerError"


def test_an_event_is_a_value() -> None:
    event = WaitEvent("docs", "processed", 1.5, 3, "m1", "timeout")
    assert event == WaitEvent("docs", "processed", 1.5, 3, "m1", "timeout")
    with pytest.raises(AttributeError):
        event.polls = 4  # type: ignore[misc]
    assert event.as_dict() == {
        "event": "wait",
        "index": "docs",
        "goal": "processed",
        "seconds": 1.5,
        "polls": 3,
        "mutation_id": "m1",
        "outcome": "timeout",
    }


def test_events_are_told_to_another_as_well() -> None:
    first: list[Event] = []
    second: list[Event] = []
    event = WaitEvent("docs", "visible", 0.1, 1, None, "seen")
    for known in (first.append, None):
        events = Events(known)
        both = events.also(second.append)
        both.emit(event)
        events.emit(event)
    assert (len(first), len(second)) == (2, 2)


def test_a_store_takes_a_hook_and_a_limit() -> None:
    told: list[Event] = []
    embedded = locate("docs", path=":memory:", on_event=told.append)
    embedded.connection.io().emit(WaitEvent("docs", "visible", 0.1, 1, None, "seen"))
    assert len(told) == 1
    embedded.connection.close()
    remote = locate("docs", account_id="a", api_token="t", rate_limit=None, on_event=told.append)
    remote.connection.io().emit(WaitEvent("docs", "visible", 0.1, 1, None, "seen"))
    assert len(told) == 2
    assert remote.connection.limiter is not None
    assert remote.connection.limiter.limit is None
    client = VectorizeClient("a", "t")
    for option in ({"on_event": told.append}, {"rate_limit": RateLimit()}):
        with pytest.raises(
            ConfigurationError, match=f"client= and {next(iter(option))}= exclude each other"
        ):
            locate("docs", client=client, **option)
    with pytest.raises(ConfigurationError, match="; rate_limit= is for a store that makes"):
        locate("docs", path=":memory:", rate_limit=RateLimit())
