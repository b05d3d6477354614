"""A pickled connection leads to the same place; what cannot be opened elsewhere says so."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.core.helpers import ACCOUNT, SECRET
from vectorize_core import ConfigurationError, RateLimit, RetryPolicy, VectorizeClient
from vectorize_core.connection import Connection, local_connection


def test_a_directory_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = local_connection("vectors")
    data = pickle.dumps(first)
    monkeypatch.chdir(os.sep)
    second = pickle.loads(data)
    assert not (tmp_path / "vectors").exists()
    assert second.address.path == str(tmp_path / "vectors")
    for connection in (first, second):
        connection.close()


def test_a_pickled_address_takes_secrets_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy, limit = RetryPolicy(1, 2), RateLimit()
    client = VectorizeClient(
        ACCOUNT,
        SECRET,
        base_url="https://host.test/v4",
        timeout=3,
        retry=policy,
        rate_limit=limit,
        on_event=lambda event: None,
    )
    data = pickle.dumps(client.connection)
    assert SECRET.encode() not in data
    for name in ("CLOUDFLARE_API_TOKEN", "CF_VECTORIZE_API_TOKEN", "CF_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"not pickled.*CLOUDFLARE_API_TOKEN"):
        pickle.loads(data)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "there")
    again: Any = pickle.loads(data)
    credentials = again.executor.credentials
    assert (credentials.account_id, credentials.base_url) == (ACCOUNT, "https://host.test/v4")
    assert credentials.headers.reveal() == {"Authorization": "Bearer there"}
    assert again.retry == policy
    assert again.limiter.limit == limit
    assert again.address == client.connection.address


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (local_connection, "the memory of this process; path="),
        (lambda: local_connection("x", clock=lambda: 0.0), "its clock"),
        (
            lambda: VectorizeClient(ACCOUNT, SECRET, http_client=httpx.Client()).connection,
            "httpx client",
        ),
        (
            lambda: (
                VectorizeClient(
                    ACCOUNT, SECRET, transport=httpx.MockTransport(lambda _: httpx.Response(200))
                ).connection
            ),
            "httpx client or transport",
        ),
    ],
    ids=["in memory", "a clock", "a client", "a transport"],
)
def test_what_cannot_be_opened_elsewhere_says_why(
    connection: Any, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: Connection = connection()
    with pytest.raises(ConfigurationError, match=f"cannot be pickled: .*{reason}"):
        pickle.dumps(made)
    made.close()


def test_connections_that_are_one_stay_one(tmp_path: Path) -> None:
    client = VectorizeClient.local(tmp_path)
    one, other = pickle.loads(pickle.dumps([client.connection, client.index("a").connection]))
    assert one is other
    client.close()


def test_a_copy_shares_what_the_connection_has() -> None:
    with VectorizeClient.local() as client:
        copied = copy.copy(client.connection)
        assert copied is not client.connection
        assert vars(copied) == vars(client.connection)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "account_id": ({"account_id": 5}, "account_id is a string; got a int"),
    "base_url": ({"base_url": b"http://127.0.0.1"}, "base_url is a string; got a bytes"),
    "timeout": ({"timeout": "5"}, r"timeout is a number of seconds, .*; got '5' \(str\)"),
    "timeout True": ({"timeout": True}, "timeout is a number of seconds, .*; got True"),
    "timeout dict": ({"timeout": {"read": 5}}, "timeout is a number of seconds, .*; got .*dict"),
    "retry": ({"retry": 5}, "retry is a RetryPolicy; got 5"),
    "rate_limit": ({"rate_limit": 5}, "rate_limit is a RateLimit or None; got 5"),
    "on_event": ({"on_event": "print"}, "on_event is a function of an event; got 'print'"),
    "http_client": ({"http_client": "http"}, "http_client is a client of httpx; got 'http'"),
    "async_http_client": ({"async_http_client": 5}, "async_http_client is a client of httpx; got"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_a_client_is_not_made_of_wrong_options(options: dict[str, Any], said: str) -> None:
    given: Any = {"account_id": ACCOUNT, "api_token": SECRET, **options}
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        VectorizeClient(**given)


@pytest.mark.parametrize("name", ["retry", "on_event", "behavior"])
def test_an_embedded_client_is_not_made_of_wrong_options(name: str) -> None:
    given: Any = {name: 5}
    with pytest.raises(ConfigurationError, match=f"^{name} is a .*; got 5"):
        VectorizeClient.local(**given)


@pytest.mark.parametrize("name", ["api_token", "api_key"])
def test_a_secret_of_a_wrong_type_is_not_shown(name: str) -> None:
    given: Any = {"account_id": ACCOUNT, name: SECRET.encode()}
    with pytest.raises(ConfigurationError) as caught:
        VectorizeClient(**given)
    assert str(caught.value) == f"{name} is a string; got a bytes"


@pytest.mark.parametrize("timeout", [5, 0.5, (1.0, 2.0, 3.0, 4.0), httpx.Timeout(5), None])
def test_a_timeout_may_be_what_httpx_takes(timeout: Any) -> None:
    VectorizeClient(ACCOUNT, SECRET, timeout=timeout).close()
