from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.cli.conftest import SECRET
from tests.core.transport.raw_server import RawServer, answer, ok_body
from tests.walking import places
from vectorize_core.cli.app import app
from vectorize_core.cli.target import Target, api_address
from vectorize_core.errors import ConfigurationError
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.secret import Secret


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://127.0.0.1:8989", "http://127.0.0.1:8989/client/v4"),
        ("http://127.0.0.1:8989/", "http://127.0.0.1:8989/client/v4"),
        ("127.0.0.1:8989", "http://127.0.0.1:8989/client/v4"),
        ("http://[::1]:8989", "http://[::1]:8989/client/v4"),
        ("https://proxy.example/cf/client/v4", "https://proxy.example/cf/client/v4"),
    ],
)
def test_addresses_of_servers(given: str, address: str) -> None:
    assert api_address(given) == address


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="user or password") as caught:
        Target(url=f"http://me:{SECRET}@127.0.0.1:1").credentials()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "ftp://127.0.0.1"])
def test_what_is_no_address(run: Any, url: str) -> None:
    result = run("indexes", "--url", url)
    assert result.exit_code in (1, 2)
    assert "--url" in result.stderr


def test_no_credentials(run: Any) -> None:
    result = run("indexes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Cloudflare credentials are missing")
    for name in ("--account-id or CLOUDFLARE_ACCOUNT_ID", "--token or", "--path DIR", "--url URL"):
        assert name in result.stderr


def test_credentials_out_of_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another")
    found = Target(account_id="acc", token=SECRET).credentials()
    assert (found.account_id, found.headers.reveal()) == (
        "acc",
        {"Authorization": f"Bearer {SECRET}"},
    )
    assert (
        Target(account_id="acc").description
        == "account acc at https://api.cloudflare.com/client/v4"
    )
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    key = Target(account_id="acc", api_key=SECRET, email="me@example.com").credentials()
    assert key.headers.reveal() == {"X-Auth-Email": "me@example.com", "X-Auth-Key": SECRET}
    with pytest.raises(ConfigurationError):
        Target(account_id="acc").credentials()


@pytest.mark.parametrize(
    "other", [("--url", "127.0.0.1"), ("--token", SECRET), ("--account-id", "x")]
)
def test_one_place_only(run: Any, other: tuple[str, str]) -> None:
    result = run("indexes", "--path", ".", *other)
    assert result.exit_code == 2
    assert other[0] in result.stderr


def test_a_directory_without_a_vectorize_stays_as_it_is(run: Any, tmp_path: Path) -> None:
    result = run("indexes", "--path", str(tmp_path / "typo"))
    assert result.exit_code == 1
    assert "there is no embedded Vectorize in" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_directory_with_something_else(run: Any, tmp_path: Path) -> None:
    (tmp_path / "vectorize.sqlite3").write_bytes(b"not a database, by far" * 100)
    result = run("indexes", "--path", str(tmp_path))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("Error: ")


def test_nobody_listens(run: Any) -> None:
    result = run("indexes", "--url", "http://127.0.0.1:1", "--json")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "http://127.0.0.1:1/client/v4" in result.stderr
    assert "vectorize-stores serve" in result.stderr


def test_a_token_that_is_not_accepted(run: Any) -> None:
    with BackgroundServer(Settings(token="another")) as server:
        result = run("indexes", "--url", server.base_url, "--token", SECRET)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Check the API token" in result.stderr


def test_what_answers_is_no_vectorize(run: Any) -> None:
    with BackgroundServer() as server:
        result = run("indexes", "--url", f"{server.base_url}/elsewhere")
    assert result.exit_code == 1


def test_the_environment_leads_to_a_server(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with BackgroundServer(Settings(token=SECRET)) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        assert run("indexes", "--json").stdout == "[]\n"


def run_and_walk(*arguments: str) -> str:
    """What a command that fails prints; no variable in a frame of ours shows the secret either."""
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code in (1, 2)
    assert result.exception is not None
    ours = [place for place in places(result.exception, SECRET) if "/vectorize_core/" in place]
    assert not ours
    assert SECRET not in result.output
    return result.output


@pytest.mark.parametrize(
    "address",
    [
        f"http://user:{SECRET}@127.0.0.1:1",
        f"user:{SECRET}@127.0.0.1:1",
        f"127.0.0.1:{SECRET}",
        f"http://user:{SECRET}@127.0.0.1:port",
        f"http://user:{SECRET}@[::1",
        f"http://user:{SECRET}\N{FULLWIDTH COMMERCIAL AT}host",
        f"http://host/client/v4?token={SECRET}",
        f"//user:{SECRET}@host",
    ],
)
@pytest.mark.parametrize("command", [("indexes",), ("info", "docs"), ("doctor",)])
@pytest.mark.parametrize("in_environment", [False, True])
@pytest.mark.covering(2)
def test_no_secret_of_an_address_is_printed(
    command: tuple[str, ...], address: str, in_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_environment:
        monkeypatch.setenv("CLOUDFLARE_BASE_URL", address)
        run_and_walk(*command, "--account-id", "a", "--token", SECRET)
    else:
        run_and_walk(*command, "--account-id", "a", "--token", SECRET, "--url", address)


@pytest.mark.parametrize(
    "options",
    [
        ("--token", f"{SECRET} x", "--account-id", "a"),
        ("--token", SECRET),
        ("--api-key", SECRET, "--account-id", "a"),
        ("--api-key", SECRET, "--email", "a@b.c", "--account-id", "a", "--url", "127.0.0.1:1"),
        ("--token", SECRET, "--path", "."),
        ("--token", SECRET, "--url", "127.0.0.1:1"),
    ],
)
@pytest.mark.parametrize("command", [("indexes",), ("delete", "docs", "a"), ("doctor", "--json")])
def test_no_token_and_no_key_is_printed(command: tuple[str, ...], options: tuple[str, ...]) -> None:
    run_and_walk(*command, *options)


@pytest.mark.parametrize(
    "options",
    [("--host", "0.0.0.0 "), ("--data", "\0"), ("--switch", "x=y"), ("--faults", "missing")],
)
def test_no_token_of_a_server_is_printed(options: tuple[str, ...]) -> None:
    run_and_walk("serve", "--token", SECRET, *options)
    assert SECRET not in repr(Target(token=Secret(SECRET), api_key=Secret(SECRET)))


@pytest.mark.parametrize("command", ["indexes", "doctor"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1"])
def test_a_command_asks_no_proxy_for_this_machine(
    run: Any, command: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answer(ok_body([]))) as server, RawServer(answer(ok_body([]))) as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        options = ("--url", f"http://{host}:{server.port}", "--token", SECRET)
        assert run(command, *options).exit_code == 0
        assert not proxy.requests
        assert SECRET in server.requests[0].headers["authorization"]
