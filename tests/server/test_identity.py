"""Who the caller is: what wrangler and Cloudflare's SDKs ask around the calls of Vectorize."""

from __future__ import annotations

from collections.abc import Callable

import cloudflare
import pytest
from cloudflare import Cloudflare

from tests.server.helpers import Peer
from vectorize_core.local.server import BackgroundServer

Serve = Callable[..., Peer]
ROOT = "~/client/v4"


@pytest.fixture
def guarded(serve: Serve) -> Peer:
    """A server with a token that this client does not have."""
    peer = serve(token="right")
    peer.http.headers["Authorization"] = "Bearer wrong"
    return peer


def test_the_token_is_active(peer: Peer) -> None:
    for path in ("/user/tokens/verify", "/accounts/local/tokens/verify"):
        assert peer.result("GET", ROOT + path)["status"] == "active"
    assert peer.result("GET", f"{ROOT}/user")["email"]


@pytest.mark.parametrize("path", ["/accounts", "/memberships"])
def test_a_list_has_the_one_account_on_its_first_page(peer: Peer, path: str) -> None:
    whole = peer.send("GET", ROOT + path).json()
    (only,) = whole["result"]
    assert only.get("account", only)["id"] == "local"
    info = {"page": 1, "per_page": 20, "count": 1, "total_count": 1, "total_pages": 1}
    assert whole["result_info"] == info
    params = {"page": "2", "per_page": "5"}
    assert peer.send("GET", ROOT + path, params=params).json()["result"] == []
    for odd in ("0", "-1", "x", "", "9" * 5_000, "１"):
        answer = peer.send("GET", ROOT + path, params={"page": odd, "per_page": odd}).json()
        assert answer["result"] == [only]


def test_any_account_that_could_be_is_answered(peer: Peer) -> None:
    for name in ("local", "023e105f4ecef8ad9ca31a8372d0c353"):
        assert peer.result("GET", f"{ROOT}/accounts/{name}")["id"] == name
    for name in ("x" * 33, "a.b", "%20"):
        assert peer.fault("GET", f"{ROOT}/accounts/{name}")[:2] == (404, 7003)
    assert peer.fault("POST", f"{ROOT}/accounts", {})[:2] == (405, 7003)


def test_with_a_wrong_token_wranglers_own_handler_of_errors_finds_what_it_reads(
    guarded: Peer,
) -> None:
    # Any other code, or no account, and it crashes instead of telling that the token is wrong.
    assert guarded.fault("GET", f"{ROOT}/user/tokens/verify") == (401, 1000, "Invalid API Token")
    assert guarded.fault("GET", f"{ROOT}/user") == (401, 9109, "Invalid access token")
    accounts = guarded.send("GET", f"{ROOT}/accounts", params={"page": "1"})
    assert [account["id"] for account in accounts.json()["result"]] == ["local"]
    assert guarded.send("GET", f"{ROOT}/accounts", params={"page": "2"}).json()["result"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/memberships"),
        ("GET", "/accounts/local"),
        ("GET", "/accounts/local/tokens/verify"),
        ("GET", "/accounts/"),
        ("POST", "/accounts"),
        ("GET", "/accounts/local/vectorize/v2/indexes"),
    ],
)
def test_a_wrong_token_gets_nothing_else(guarded: Peer, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": ""}):
        fault = guarded.fault(method, ROOT + path, headers=headers)
        assert fault == (401, 10000, "Authentication error")


def test_cloudflares_sdk_reads_them(shared_server: BackgroundServer, guarded: Peer) -> None:
    with Cloudflare(base_url=shared_server.base_url, api_token="any", max_retries=0) as sdk:
        assert [account.id for account in sdk.accounts.list()] == ["local"]
        account = sdk.accounts.get(account_id="local")
        assert account is not None
        assert account.name == "local"
        verified = sdk.user.tokens.verify()
        assert verified is not None
        assert verified.status == "active"
        assert sdk.user.get() is not None
        (membership,) = sdk.memberships.list()
        assert membership.account is not None
        assert membership.account.id == "local"
    with (
        Cloudflare(base_url=guarded.base_url, api_token="wrong", max_retries=0) as stranger,
        pytest.raises(cloudflare.AuthenticationError) as refused,
    ):
        stranger.user.tokens.verify()
    assert [error.code for error in refused.value.errors] == [1000]
