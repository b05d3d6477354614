"""What a server logs, reprs, pickles, logs, events and traces show no token, key or password."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps

from tests.core.transport.raw_server import RawServer
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.secrets.hidden import (
    KEY,
    ONCE,
    PASSWORD,
    SECRETS,
    TOKEN,
    USERS,
    WITH_KEY,
    WITH_TOKEN,
    both_secrets,
    finish,
    refused,
)
from tests.stores import Call, async_call, both_ways, sync_call
from tests.walking import places, shown
from vectorize_core import (
    AsyncVectorizeClient,
    AuthenticationError,
    ServerError,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.local.server import BackgroundServer, Settings, create_app, environment
from vectorize_core.transport.network import find_proxy

pytestmark = pytest.mark.covering(2)


@contextmanager
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """All loggers say everything, those too that do not pass it on, such as uvicorn's."""
    caplog.set_level(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in [*logging.root.manager.loggerDict]]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate = True
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.setLevel(level)
            logger.propagate = propagate


def test_an_error_in_the_server_shows_no_token_of_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> float:
        raise LookupError("the clock is broken")

    settings = Settings(token=TOKEN, rate_limit=5, clock=broken)
    with BackgroundServer(settings) as server, listening(caplog):
        for call in (sync_call, async_call):
            with pytest.raises(ServerError) as caught:
                finish(call, USERS["client"](call, base_url=server.base_url, api_token=TOKEN))
            assert not places(caught.value, *SECRETS)
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert logged
    assert not [place for error in logged if error for place in places(error, *SECRETS)]


def objects() -> dict[str, Any]:
    """Everything public that has seen a secret."""
    options: dict[str, Any] = {"account_id": "account", "base_url": "https://host/client/v4"}
    found: dict[str, Any] = {}
    for name, secret in (("token", WITH_TOKEN), ("key", WITH_KEY)):
        given = {**options, **secret}
        client, other = VectorizeClient(**given), AsyncVectorizeClient(**given)
        langchain = LANGCHAIN.make(index_name="docs", **given)
        llama_index = LLAMA_INDEX.make(index_name="docs", **given)
        found |= {
            f"{name}: {label}": value
            for label, value in {
                "client": client,
                "async client": other,
                "index": client.index("docs"),
                "async index": other.index("docs"),
                "connection": client.connection,
                "address": client.connection.address,
                "executor": client.connection.executor,
                "credentials": client.connection.executor.credentials,  # type: ignore[attr-defined]
                "io": client.connection.io(),
                "langchain": langchain,
                "its view": langchain.with_namespace("a"),
                "its retriever": langchain.as_retriever(),
                "llama_index": llama_index,
                "its client": llama_index.client,
                "its other view": llama_index.with_namespace("a"),
            }.items()
        }
    settings = Settings(token=TOKEN)
    server = BackgroundServer(settings)
    server.stop()
    found |= {"settings": settings, "server": server}
    found["environment"] = environment("http://127.0.0.1:1", TOKEN)
    return found


def test_no_repr_shows_one() -> None:
    for name, value in objects().items():
        texts = [shown(value), f"{value}"]
        fields = getattr(value, "__dict__", {})
        texts += [shown(held) for field, held in fields.items() if field != "_server"]
        assert not [text for text in texts if any(s in text for s in SECRETS)], name


def test_an_application_shows_no_token() -> None:
    application = create_app(Settings(token=TOKEN))
    assert TOKEN not in shown(vars(application))


def test_the_variables_of_a_server_hold_its_token() -> None:
    variables = environment("http://127.0.0.1:1", TOKEN)
    assert variables["CLOUDFLARE_API_TOKEN"] == TOKEN
    assert {**variables} == dict(variables.items()) == json.loads(json.dumps(variables))
    assert Settings(token=TOKEN).token == TOKEN
    assert Settings().token is None


def test_a_proxy_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{TOKEN}:{PASSWORD}@host:1")
    proxy = find_proxy("https://api.example")
    assert proxy is not None
    of_httpx = proxy.for_httpx()
    # httpcore logs the last one for a SOCKS proxy.
    for value in (proxy, of_httpx, of_httpx.raw_auth):
        assert not any(secret in shown(value) for secret in SECRETS)
    assert of_httpx.raw_auth == (TOKEN.encode(), PASSWORD.encode())


def test_no_pickle_and_no_copy_shows_one() -> None:
    pickled = 0
    for name, value in objects().items():
        if name in ("settings", "environment"):
            continue  # A server has its token from them.
        try:
            data = [pickle.dumps(value, p) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
        except (AttributeError, TypeError, pickle.PicklingError, VectorizeError) as error:
            failure: BaseException = error
        else:
            pickled += 1
            assert not any(s.encode() in one for one in data for s in SECRETS), name
            continue
        assert not places(failure, *SECRETS), name
    assert pickled > 10
    for name, value in objects().items():
        for make in (copy.copy, copy.deepcopy):
            with suppress(TypeError, VectorizeError):
                assert not any(secret in shown(make(value)) for secret in SECRETS), name


@both_stores
@both_ways
def test_no_log_and_no_event_shows_one(
    kind: Kind, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """All loggers at DEBUG, of the server too, over calls that work and one that does not."""
    events: list[Any] = []

    async def work(base_url: str, token: str) -> None:
        options = {"base_url": base_url, "api_token": token, "on_event": events.append}
        if call is async_call:
            asyncio.get_running_loop().set_debug(True)
        store = kind.make(index_name="docs", retry=ONCE, create_index=True, **options)
        try:
            await kind.add(call, store, "a", "b")
            await kind.search(call, store, "a")
            await kind.delete(call, store, ["a"])
        finally:
            await (store.aclose() if call is async_call else sync_call(store, "close"))

    with BackgroundServer(Settings(token=TOKEN)) as server, listening(caplog):
        finish(call, work(server.base_url, TOKEN))
        with pytest.raises(AuthenticationError):
            finish(call, work(server.base_url, KEY))
    names = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpcore", "vectorize_core"} <= names
    assert ("asyncio" in names) is (call is async_call)
    texts = [f"{r.getMessage()} {r.args!r} {vars(r)!r}" for r in caplog.records]
    texts += [shown(event) + shown(event.as_dict()) for event in events]
    assert events
    assert not [text for text in texts if any(secret in text for secret in SECRETS)]


def test_no_trace_of_langchain_shows_one() -> None:
    seen: list[Any] = []

    class Tracer(BaseCallbackHandler):
        raise_error = True

        def on_retriever_start(self, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))

        def on_retriever_error(self, *args: Any, **kwargs: Any) -> None:
            seen.append((args, kwargs))

    with RawServer(refused(500)) as server:
        store = LANGCHAIN.make(
            index_name="docs", account_id="a", base_url=server.base_url, api_token=TOKEN, retry=ONCE
        )
        retriever = store.as_retriever()
        with store, pytest.raises(ServerError):
            retriever.invoke("a", config={"callbacks": [Tracer()]})
    assert len(seen) == 2
    texts = [shown(seen), dumps(store), dumps(retriever), str(retriever.lc_attributes)]
    assert not any(secret in text for secret in SECRETS for text in texts)


@both_secrets
def test_nothing_that_llama_index_writes_shows_one(secret: dict[str, str]) -> None:
    store = LLAMA_INDEX.make(
        index_name="docs", account_id="a", base_url="https://host/v4", **secret
    )
    texts = [shown(store.to_dict()), store.to_json(), shown(store.model_dump())]
    texts += [store.model_dump_json(), shown(type(store).model_json_schema())]
    assert not any(secret in text for secret in SECRETS for text in texts)
