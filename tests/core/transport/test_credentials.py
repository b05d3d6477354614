"""Where credentials are found, what is said when they are not, and that the secret stays one."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import httpx
import pytest

from tests.core.helpers import (
    ACCOUNT,
    SECRET,
    Answer,
    Cloudflare,
    Variant,
    both_variants,
    failed,
    ok,
    settled,
)
from vectorize_core import ConfigurationError, RetryPolicy, VectorizeError
from vectorize_core.transport.credentials import (
    ACCOUNT_VARIABLES,
    BASE_URL_VARIABLES,
    DEFAULT_BASE_URL,
    EMAIL_VARIABLE,
    KEY_VARIABLE,
    TOKEN_VARIABLES,
    Credentials,
    find_credentials,
)
from vectorize_core.transport.loopback import is_loopback

BEARER = {"Authorization": f"Bearer {SECRET}"}
KEY_AND_EMAIL = {"X-Auth-Email": "a@b.c", "X-Auth-Key": SECRET}
EVERY_VARIABLE = (
    *ACCOUNT_VARIABLES,
    *TOKEN_VARIABLES,
    *BASE_URL_VARIABLES,
    KEY_VARIABLE,
    EMAIL_VARIABLE,
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in EVERY_VARIABLE:
        monkeypatch.delenv(name, raising=False)


def test_arguments_are_enough() -> None:
    found = find_credentials(account_id=ACCOUNT, api_token=SECRET)
    assert (found.account_id, found.base_url) == (ACCOUNT, DEFAULT_BASE_URL)
    assert found.headers.reveal() == BEARER
    assert found.url == f"{DEFAULT_BASE_URL}/accounts/{ACCOUNT}"


@pytest.mark.parametrize("account", ACCOUNT_VARIABLES)
@pytest.mark.parametrize("token", TOKEN_VARIABLES)
def test_every_variable_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, account: str, token: str
) -> None:
    monkeypatch.setenv(account, "from-env")
    monkeypatch.setenv(token, SECRET)
    found = find_credentials()
    assert (found.account_id, found.headers.reveal()) == ("from-env", BEARER)


@pytest.mark.parametrize("names", [ACCOUNT_VARIABLES, TOKEN_VARIABLES, BASE_URL_VARIABLES])
def test_of_several_variables_the_first_that_is_not_empty_counts(names: tuple[str, ...]) -> None:
    environ = {"CLOUDFLARE_ACCOUNT_ID": "1", "CLOUDFLARE_API_TOKEN": "1"}
    environ |= {name: f"http://{place}" for place, name in enumerate(names)}
    assert "http://0" in said(find_credentials(environ=environ))
    environ[names[0]] = ""
    assert "http://1" in said(find_credentials(environ=environ))


def said(found: Credentials) -> str:
    return f"{found.account_id} {found.base_url} {found.headers.reveal()}"


def test_an_argument_comes_before_the_environment() -> None:
    environ = dict.fromkeys(EVERY_VARIABLE, "http://environment")
    found = find_credentials(
        account_id=ACCOUNT, api_token=SECRET, base_url="https://host/v4/", environ=environ
    )
    assert found == Credentials(ACCOUNT, "https://host/v4")
    assert found.headers.reveal() == BEARER


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        ({"api_key": SECRET, "email": "a@b.c"}, {}),
        ({"api_key": SECRET}, {EMAIL_VARIABLE: "a@b.c"}),
        ({"email": "a@b.c"}, {KEY_VARIABLE: SECRET}),
        ({}, {KEY_VARIABLE: SECRET, EMAIL_VARIABLE: "a@b.c"}),
        ({"api_key": SECRET, "email": "a@b.c"}, {TOKEN_VARIABLES[0]: "not this one"}),
    ],
)
def test_a_key_goes_with_an_email(arguments: dict[str, str], environ: dict[str, str]) -> None:
    found = find_credentials(account_id=ACCOUNT, environ=environ, **arguments)
    assert found.headers.reveal() == KEY_AND_EMAIL


def test_a_token_is_preferred_to_a_key() -> None:
    environ = {KEY_VARIABLE: "k", EMAIL_VARIABLE: "a@b.c", TOKEN_VARIABLES[0]: SECRET}
    assert find_credentials(account_id=ACCOUNT, environ=environ).headers.reveal() == BEARER


def test_a_key_alone_is_an_error_that_names_the_email() -> None:
    with pytest.raises(ConfigurationError, match=rf"email= or {EMAIL_VARIABLE}") as caught:
        find_credentials(account_id=ACCOUNT, api_key=SECRET, environ={})
    assert SECRET not in str(caught.value)


@both_variants
def test_missing_credentials_list_every_place_looked_at(variant: Variant) -> None:
    with pytest.raises(ConfigurationError) as caught:
        variant.client_class()
    for place in (
        *ACCOUNT_VARIABLES,
        *TOKEN_VARIABLES,
        KEY_VARIABLE,
        EMAIL_VARIABLE,
        "account_id=",
        "api_token=",
        "api_key=",
        "email=",
        "path=",
    ):
        assert place in str(caught.value)
    assert "Worker" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "missing", "present"),
    [
        ({"account_id": ACCOUNT}, TOKEN_VARIABLES, ACCOUNT_VARIABLES),
        ({"api_token": SECRET}, ACCOUNT_VARIABLES, TOKEN_VARIABLES),
    ],
)
def test_only_what_is_missing_is_listed(
    arguments: dict[str, str], missing: tuple[str, ...], present: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_credentials(environ={}, **arguments)
    assert all(name in str(caught.value) for name in missing)
    assert not any(name in str(caught.value) for name in present)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8787/client/v4",
        "http://127.0.0.1:1",
        "http://127.8.9.1",
        "http://[::1]:80",
        "http://api.localhost",
        "http://localhost.:8787/client/v4",
        "http://0.0.0.0:8787",
        "http://[::]:8787",
        "http://[::ffff:127.0.0.1]:8787",
        "https://LOCALHOST",
    ],
)
def test_a_loopback_address_needs_no_credentials(url: str) -> None:
    assert is_loopback(url)
    found = find_credentials(base_url=url, environ={})
    assert (found.account_id, found.headers.reveal()) == ("local", {})
    given = find_credentials(base_url=url, account_id=ACCOUNT, api_token=SECRET, environ={})
    assert (given.account_id, given.headers.reveal()) == (ACCOUNT, BEARER)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "https://localhost.example.com",
        "http://[::ffff:10.0.0.1]",
        "https://[fe80::1]",
    ],
)
def test_any_other_address_needs_them(url: str) -> None:
    assert not is_loopback(url)
    with pytest.raises(ConfigurationError, match="missing"):
        find_credentials(base_url=url, environ={})


@pytest.mark.parametrize("url", ["api.cloudflare.com", "ftp://host", "https://", "file:///tmp"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        find_credentials(base_url=url, account_id=ACCOUNT, api_token=SECRET, environ={})


@pytest.mark.parametrize("name", BASE_URL_VARIABLES)
async def test_the_address_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://localhost:8787/client/v4/")
    assert find_credentials().base_url == "http://localhost:8787/client/v4"


@pytest.mark.parametrize("space", ["\n", "\r\n", " ", "\t"])
@pytest.mark.parametrize(
    ("variables", "headers"),
    [
        ({TOKEN_VARIABLES[0]: SECRET}, BEARER),
        ({KEY_VARIABLE: SECRET, EMAIL_VARIABLE: "a@b.c"}, KEY_AND_EMAIL),
    ],
)
def test_space_around_a_value_as_files_leave_it_does_not_matter(
    variables: dict[str, str], headers: dict[str, str], space: str
) -> None:
    environ = {ACCOUNT_VARIABLES[0]: ACCOUNT, **variables}
    environ = {name: value + space for name, value in environ.items()}
    found = find_credentials(environ=environ)
    assert (found.account_id, found.headers.reveal()) == (ACCOUNT, headers)


@pytest.mark.parametrize("token", [f"{SECRET}\nX: y", f"{SECRET}é", f"{SECRET}\x00", f"a {SECRET}"])
def test_a_token_that_no_header_can_hold_is_not_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="token") as caught:
        find_credentials(account_id=ACCOUNT, api_token=token, environ={})
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", [*TOKEN_VARIABLES, KEY_VARIABLE, EMAIL_VARIABLE])
def test_an_error_names_the_variable_that_no_header_can_hold(name: str) -> None:
    others = {} if name in TOKEN_VARIABLES else {KEY_VARIABLE: "key", EMAIL_VARIABLE: "a@b.c"}
    environ = {**others, name: f"{SECRET} x"}
    with pytest.raises(ConfigurationError, match=f"; it comes from {name}$"):
        find_credentials(account_id=ACCOUNT, environ=environ)


@pytest.mark.parametrize("name", ["api_token", "api_key", "email"])
def test_an_error_names_the_argument_that_no_header_can_hold(name: str) -> None:
    others = {} if name == "api_token" else {"api_key": "key", "email": "a@b.c"}
    given: dict[str, Any] = {**others, name: f"{SECRET} x"}
    # Set, and not to blame.
    environ = {TOKEN_VARIABLES[0]: f"{SECRET} y", KEY_VARIABLE: SECRET, EMAIL_VARIABLE: "é"}
    with pytest.raises(ConfigurationError, match=f"; it comes from {name}=$"):
        find_credentials(account_id=ACCOUNT, environ=environ, **given)


@pytest.mark.parametrize("name", BASE_URL_VARIABLES)
@pytest.mark.parametrize("url", [f"https://user:{SECRET}@host", "ftp://host", "nowhere"])
def test_an_error_names_the_variable_of_a_wrong_address(name: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^base_url .*\. It comes from {name}$"):
        find_credentials(account_id=ACCOUNT, api_token=SECRET, environ={name: url})
    with pytest.raises(ConfigurationError, match=r"^base_url ") as caught:
        find_credentials(account_id=ACCOUNT, base_url=url, environ={name: "https://host"})
    assert name not in str(caught.value)


def test_the_secret_is_in_no_description_of_credentials() -> None:
    found = find_credentials(account_id=ACCOUNT, api_token=SECRET)
    assert SECRET not in f"{found!r} {found}"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_credentials_look_the_secret_up_again(
    monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    found = find_credentials(account_id=ACCOUNT, api_token=SECRET, base_url="https://host/v4")
    data = pickle.dumps(found, protocol)
    assert SECRET.encode() not in data
    with pytest.raises(ConfigurationError, match="API token"):
        pickle.loads(data)
    monkeypatch.setenv(TOKEN_VARIABLES[0], "there")
    loaded = pickle.loads(data)
    assert loaded == found
    assert loaded.headers.reveal() == {"Authorization": "Bearer there"}


@both_variants
def test_the_secret_is_in_no_description_of_a_client(variant: Variant) -> None:
    client = variant.client(Cloudflare(ok([])))
    shown = [
        client,
        client.connection,
        client.connection.executor,
        client.connection.io(),
        client.index("docs"),
    ]
    assert SECRET not in f"{shown} {[str(part) for part in shown]}"
    assert ACCOUNT in repr(client)


FAILURES: dict[str, Answer | Exception] = {
    "unauthorised": failed(401, 10000),
    "refused": failed(400, 1),
    "server error": failed(500),
    "timeout": httpx.ReadTimeout("slow"),
    "no connection": httpx.ConnectError("refused"),
    "broken": httpx.RemoteProtocolError("closed"),
    "a page": Answer(200, b"<html>"),
    "another result": ok({"x": 1}),
    "torn": Answer(200, b"x", {"content-encoding": "gzip"}),
}


@both_variants
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("headers", [BEARER, KEY_AND_EMAIL])
async def test_the_secret_is_in_no_error(
    variant: Variant, failure: Any, headers: dict[str, str]
) -> None:
    executor = Cloudflare(failure)
    client = variant.client_class(
        ACCOUNT,
        api_token=SECRET if headers is BEARER else None,
        api_key=SECRET if headers is KEY_AND_EMAIL else None,
        email="a@b.c",
        retry=RetryPolicy(0, 0),
        transport=executor,
        async_transport=executor,
    )
    with pytest.raises(VectorizeError) as caught:
        await settled(client.get_index("docs"))
    error = caught.value
    assert SECRET not in f"{error!r} {error} {vars(error)}"
    assert SECRET not in "".join(traceback.format_exception(error))
    assert SECRET.encode() not in pickle.dumps(error)
    assert executor.requests
