"""What every request passes: token, web pages, rate limit, accounts, request ids."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.server.helpers import ONES, Clock, Peer, bare_fault_of, fault_of, record
from vectorize_core import VectorizeClient
from vectorize_core.errors import AuthenticationError, RateLimitError
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.transport.retry import RetryPolicy

Serve = Callable[..., Peer]
TOKEN = "s3cret"
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer s3cre"},
        {"Authorization": "Bearer s3cret2"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": b"Bearer \xff\xfe"},
        {"X-Auth-Key": "wrong", "X-Auth-Email": "a@b.c"},
    ],
)
@pytest.mark.parametrize("path", ["", "~/query", "~/proxy/docs", "~/_/faults", "~/nothing"])
@pytest.mark.covering(1)
def test_without_the_token_nothing_is_answered(
    serve: Serve, headers: dict[str, str], path: str
) -> None:
    peer = serve(token=TOKEN)
    del peer.http.headers["Authorization"]
    for method in ("GET", "POST", "PUT"):
        answer = peer.send(method, path, content=b"[]", headers=headers)
        fault = bare_fault_of if path in ("~/query", "~/proxy/docs") else fault_of
        assert fault(answer) == (401, 10000, "Authentication error")


def test_the_token_or_a_global_key_lets_a_request_through(serve: Serve) -> None:
    peer = serve(token=TOKEN)
    assert peer.result("GET", "") == []
    del peer.http.headers["Authorization"]
    headers = {"X-Auth-Email": "a@b.c", "X-Auth-Key": TOKEN}
    assert peer.result("GET", "", headers=headers) == []


def test_our_client_tells_a_wrong_token_apart(serve: Serve) -> None:
    peer = serve(token=TOKEN)
    client = VectorizeClient("local", "wrong", base_url=peer.base_url)
    with client, pytest.raises(AuthenticationError) as caught:
        client.list_indexes()
    assert caught.value.code == 10000
    assert caught.value.request_id


ELSEWHERE = [
    *("https://example.com", "null", "http://[", "http://a.localhost.b", "", "file://"),
    # Other programs of this machine have pages as well, on other ports.
    *("http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:80", "http://127.0.0.1"),
]


@pytest.mark.parametrize("origin", ELSEWHERE)
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.covering(1)
def test_a_web_page_from_elsewhere_is_not_answered(
    serve: Serve, origin: str, token: str | None
) -> None:
    peer = serve(token=token)
    peer.create()
    # A form can be sent from any page without being asked for, so this is all that stops it.
    files = {"vectors": b'{"id": "a", "values": [1]}'}
    answer = peer.http.post(peer.url("/docs/upsert"), files=files, headers={"Origin": origin})
    assert fault_of(answer)[0] == 403
    for path in ("~/query", "~/proxy/docs", "~/_/faults"):
        assert peer.send("POST", path, [], headers={"Origin": origin}).status_code == 403
    assert peer.count() == 0


def test_a_web_page_of_this_server_is_answered(docs: Peer) -> None:
    assert docs.send("GET", "/docs", headers={"Origin": docs.root}).is_success


FOREIGN = ["rebound.test", "rebound.test:8989", "10.0.0.7", "127.0.0.1.nip.io", "localhost.a"]


@pytest.mark.parametrize("host", [*FOREIGN, "vector-search"])
def test_without_a_token_no_name_leads_here_but_this_machines(docs: Peer, host: str) -> None:
    given = {"Host": host}
    for method, path in (("GET", ""), ("POST", "/docs/query"), ("GET", "/docs/list")):
        status, _, said = docs.fault(method, path, headers=given)
        assert (status, host in said, "--allow-host" in said) == (403, True, True)
    for path in ("/client/v4/accounts", "/client/v4/accounts/local/d1/database", "/_/faults"):
        assert docs.send("GET", f"~{path}", headers=given).status_code == 403


@pytest.mark.parametrize("host", FOREIGN)
def test_nor_to_a_binding(docs: Peer, host: str) -> None:
    index = {"x-vectorize-index": "docs", "Host": host}
    relayed = {"MF-URL": "http://vector-search/info", "Host": host}
    assert bare_fault_of(docs.send("GET", "~/info", headers=index))[0] == 403
    assert bare_fault_of(docs.send("GET", "~/proxy/docs", headers=relayed))[0] == 403


def test_the_names_that_lead_here(docs: Peer, serve: Serve) -> None:
    for host in ("localhost", "LOCALHOST:1", "[::1]:8989", "127.0.0.2", "docs.localhost", ""):
        assert docs.send("GET", "/docs", headers={"Host": host}).is_success, host
    bound = serve()
    bound.create()
    binding = {"x-vectorize-index": "docs", "Host": "vector-search"}
    assert bound.send("GET", "~/info", headers=binding).is_success
    # A token is what stops others; a name may be of anything in front of it.
    assert serve(token=TOKEN).send("GET", "", headers={"Host": "rebound.test"}).is_success
    named = serve(hosts=["vectors.example"])
    assert named.send("GET", "", headers={"Host": "vectors.example:443"}).is_success
    assert named.send("GET", "", headers={"Host": "10.0.0.7"}).status_code == 403
    everywhere = serve(hosts=["0.0.0.0"])
    assert everywhere.send("GET", "", headers={"Host": "10.0.0.7"}).is_success
    assert everywhere.send("GET", "", headers={"Host": "rebound.test"}).status_code == 403


def test_every_answer_has_a_request_id_of_its_own(docs: Peer, serve: Serve) -> None:
    answers = [docs.send("GET", path) for path in ("", "/docs", "/docs", "/X", "/X/y/z", "~/q")]
    answers.append(serve(token=TOKEN).http.get(docs.base_url, headers={"Authorization": ""}))
    rays = [answer.headers["cf-ray"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{16}", ray) for ray in rays)
    assert len(set(rays)) == len(rays)


def test_no_route_is_7003(docs: Peer) -> None:
    for method, path in (
        ("GET", "/docs/nothing"),
        ("GET", "/docs/info/"),
        ("GET", "/"),
        ("GET", "//info"),
        ("GET", "~/"),
        ("GET", "~/client/v4/zones"),
    ):
        assert docs.fault(method, path) == (404, 7003, "No route for the URI.")
    for method, path in (("PATCH", "/docs"), ("GET", "/docs/query"), ("OPTIONS", "/docs/query")):
        assert docs.fault(method, path)[:2] == (405, 7003)


# Accounts


def test_accounts_do_not_see_each_other(shared_server: BackgroundServer) -> None:
    one, two = (Peer(shared_server.base_url, f"account-{n}") for n in range(2))
    one.create()
    one.write(record("a"))
    assert two.result("GET", "") == []
    two.create(metric="euclidean")
    assert (one.found(), two.found()) == ("a", "")
    one.result("DELETE", "/docs")
    assert two.count() == 0
    one.close()
    two.close()


def test_accounts_are_kept_in_the_directory(tmp_path: Path) -> None:
    for expected in ("", "a"):
        with BackgroundServer(Settings(data=tmp_path)) as server:
            peer = Peer(server.base_url, "other")
            if not expected:
                peer.create()
            assert peer.found() == expected
            peer.write(record("a"))
            peer.close()
            main = Peer(server.base_url)
            assert main.result("GET", "") == []
            main.close()
    # The main account is where path= finds it too.
    with VectorizeClient.local(tmp_path) as client:
        assert client.list_indexes() == ()
    with VectorizeClient.local(tmp_path / "accounts" / "other") as client:
        assert client.index("docs").info().vector_count == 1


# The rate limit


def test_too_many_requests_block_everything_for_five_minutes(serve: Serve, clock: Clock) -> None:
    peer = serve(rate_limit=3, clock=clock)

    def ask() -> httpx.Response:
        return peer.send("GET", "")

    def told(answer: httpx.Response) -> list[str | None]:
        names = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"
        return [answer.headers.get(name) for name in names]

    assert told(ask()) == ["3", "2", "300", None]
    clock.now += 200
    assert told(ask()) == ["3", "1", "100", None]
    assert told(ask()) == ["3", "0", "100", None]
    refused = ask()
    assert fault_of(refused)[:2] == (429, 971)
    assert told(refused) == ["3", "0", "300", "300"]
    clock.now += 299
    assert told(ask()) == ["3", "0", "1", "1"]
    # Faults can be set under a block: they are how a test ends it.
    peer.put_faults()
    clock.now += 1
    assert told(ask()) == ["3", "2", "300", None]


def test_a_window_ends_after_five_minutes(serve: Serve, clock: Clock) -> None:
    peer = serve(rate_limit=2, clock=clock)
    for _ in range(3):
        assert [peer.send("GET", "").status_code for _ in range(2)] == [200, 200]
        clock.now += 300


def test_a_mutation_limit_is_40041_with_status_400_where_wished(serve: Serve, clock: Clock) -> None:
    peer = serve(rate_limit=1, rate_limit_status=400, clock=clock)
    peer.create()
    fault = peer.fault("POST", "/docs/delete_by_ids", {"ids": []})
    assert fault == (400, 40041, "Too Many Requests")
    client = VectorizeClient(base_url=peer.base_url, retry=ONCE)
    with client, pytest.raises(RateLimitError) as caught:
        client.index("docs").query(ONES)
    assert caught.value.retry_after == 300
