"""Who may ask the page: other pages, other names, no token; and what every answer says."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.documents import DOCS, examples, run
from tests.page.helpers import HOST, Browser
from vectorize_core import VectorizeClient
from vectorize_core.errors import ConfigurationError
from vectorize_core.local.server import Settings
from vectorize_core.local.server.hosts import Hosts
from vectorize_core.page import create_page

TOKEN = "a-token"
OWN = f"http://{HOST}"
GOOD: dict[str, list[str | None]] = {
    "Host": [HOST, "localhost:8989", "[::1]:8989"],
    "Origin": ["own", None],
    "Sec-Fetch-Site": ["same-origin", None],
    "Authorization": [f"Bearer {TOKEN}"],
    "Content-Type": ["application/json", "Application/JSON; charset=utf-8"],
    "X-Vectorize-Page": ["1"],
}
BAD: dict[str, list[str | None]] = {
    "Host": ["evil.example", "evil.example:8989", "127.0.0.1.evil.example", "", "a@127.0.0.1"],
    "Origin": [
        "https://evil.example",
        "http://evil.example:8989",
        "http://127.0.0.1:3000",
        "http://localhost:1",
        "null",
        "",
        "file://",
        f"ftp://{HOST}",
    ],
    "Sec-Fetch-Site": ["cross-site", "same-site", "", "none, same-origin"],
    "Authorization": [None, "", "Bearer", "Bearer a-toke", "Bearer a-token2", "Basic a-token"],
    "Content-Type": [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ],
    "X-Vectorize-Page": [None, "", "0"],
}
CHANGES: list[tuple[str, str, Any]] = [
    ("DELETE", "indexes/docs", {"confirm": "docs"}),
    ("DELETE", "indexes/docs/record", {"id": "r1", "confirm": "r1"}),
    ("POST", "indexes", {"name": "more", "dimensions": 32}),
]


async def test_the_code_of_the_page_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = examples("page.md").values()
    names: dict[str, Any] = {}
    await run(code, "page.md", names)
    text = (DOCS / "page.md").read_text(encoding="utf-8")
    ((host, token),) = re.findall(r"`https://([^`]*)/#token=([^`]*)`", text)
    with names["client"]:
        assert (await Browser(names["app"], token, host).send("GET", "indexes")).is_success
        assert (await Browser(names["app"], None, host).send("GET", "indexes")).status_code == 401


def headers(case: dict[str, str | None]) -> dict[str, str | None]:
    origin = case["Origin"]
    return {**case, "Origin": f"http://{case['Host']}" if origin == "own" else origin}


async def test_what_is_wrong_in_any_way_changes_nothing(client: VectorizeClient) -> None:
    browser = Browser(create_page(client, token=TOKEN), TOKEN)
    good = {name: values[0] for name, values in GOOD.items()}
    for method, path, body in CHANGES:
        for name, values in BAD.items():
            for value, (other, others) in itertools.product(values, GOOD.items()):
                for else_right in others if other != name else [None]:
                    case = {**good, **({other: else_right} if other != name else {}), name: value}
                    status, error = await browser.error(method, path, body, headers=headers(case))
                    assert status in (401, 403, 415), (case, error)
                    assert (error["type"] == "TokenNeeded") == (name == "Authorization")
        # A pair of faults is no better.
        for (one, first), (two, second) in itertools.combinations(BAD.items(), 2):
            case = {**good, one: first[0], two: second[0]}
            status, _ = await browser.error(method, path, body, headers=headers(case))
            assert status in (401, 403, 415)
    assert [one.name for one in client.list_indexes()] == ["docs"]
    assert len(client.index("docs").get(["r1"])) == 1


async def test_what_is_right_in_every_way_is_carried_out(client: VectorizeClient) -> None:
    browser = Browser(create_page(client, token=TOKEN), TOKEN)
    cases = [dict(zip(GOOD, values, strict=True)) for values in itertools.product(*GOOD.values())]
    for number, case in enumerate(cases):
        body = {"id": f"r{number}", "confirm": f"r{number}"}
        given = headers(case)
        answer = await browser.send("DELETE", "indexes/docs/record", body, headers=given)
        assert answer.status_code == 200, case
    assert client.index("docs").info().vector_count == 60 - len(cases)


@pytest.mark.parametrize("path", ["about", "indexes", "indexes/docs", "indexes/docs/records", "x"])
async def test_reading_takes_the_token_and_comes_from_no_other_page(
    still: VectorizeClient, path: str
) -> None:
    browser = Browser(create_page(still, token=TOKEN), TOKEN)
    for name in ("Host", "Origin", "Sec-Fetch-Site", "Authorization"):
        for value in BAD[name]:
            status, error = await browser.error("GET", path, headers={name: value})
            assert status == (401 if name == "Authorization" else 403), (name, value)
            assert TOKEN not in error["message"]


async def test_no_get_changes_anything(client: VectorizeClient) -> None:
    browser = Browser(create_page(client))
    for method, (_, path, body) in itertools.product(("GET", "HEAD"), CHANGES):
        await browser.send(method, path, headers={"X-Vectorize-Page": "1"}, params=body)
    assert [one.name for one in client.list_indexes()] == ["docs"]
    assert client.index("docs").info().vector_count == 60


async def test_the_files_take_no_token_but_the_right_name(still: VectorizeClient) -> None:
    browser = Browser(create_page(still, token=TOKEN))
    for path in ("/", "/page/app.js"):
        assert (await browser.send("GET", path)).status_code in (200, 404)
        # A link from anywhere may lead here.
        given = {"Sec-Fetch-Site": "cross-site"}
        assert (await browser.send("GET", path, headers=given)).status_code in (200, 404)
        assert (
            await browser.send("GET", path, headers={"Host": "evil.example"})
        ).status_code == 403
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert (await browser.send(method, path)).status_code == 405


@pytest.mark.parametrize(
    "name",
    ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "no.js", "a\0.js", "", "vendor"],
)
async def test_no_path_leads_out_of_the_folder(still: VectorizeClient, name: str) -> None:
    browser = Browser(create_page(still))
    answer = await browser.send("GET", f"/page/{name}".replace("\0", "%00"))
    assert answer.status_code == 404
    assert b"import" not in answer.content


async def test_a_preflight_allows_nothing(still: VectorizeClient) -> None:
    browser = Browser(create_page(still, token=TOKEN), TOKEN)
    given = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    answer = await browser.send("OPTIONS", "indexes/docs", headers=given)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_below_the_root_of_another_application_data_still_takes_the_token(
    still: VectorizeClient,
) -> None:
    app = Starlette(routes=[Mount("/vectors", create_page(still, token=TOKEN))])
    browser = Browser(app)
    status, error = await browser.error("GET", "/vectors/_/page/indexes")
    assert (status, error["type"]) == (401, "TokenNeeded")
    assert (await browser.send("GET", "/vectors/")).status_code in (200, 404)
    browser.token = TOKEN
    assert await browser.result("GET", "/vectors/_/page/indexes")


@pytest.mark.parametrize(
    ("listening", "known", "unknown"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:1", "127.0.0.2:5", "a.localhost:5"],
            [
                *("evil.example", "10.0.0.7", "[fe80::1]", "localhost.evil.example", "127.0.0.1:x"),
                *("", ":80", "//localhost", "localhost/x", "localhost:80:80", "127.0.0.1.nip.io"),
                *("localhost#", "localhost?x", "localhost\t", " localhost", "user@localhost"),
            ],
        ),
        ("10.0.0.7", ["10.0.0.7:8989", "localhost"], ["10.0.0.8", "evil.example"]),
        ("box.lan", ["box.lan:8989", "BOX.lan"], ["lan", "evil.box.lan", "10.0.0.7"]),
        ("0.0.0.0", ["10.0.0.7:8989", "[fe80::1]:1", "localhost"], ["evil.example", "7.nip.io"]),
        ("", ["10.0.0.7"], ["evil.example"]),
    ],
)
def test_the_names_of_a_server(listening: str, known: list[str], unknown: list[str]) -> None:
    hosts = Hosts([listening])
    assert [name for name in known if not hosts.has(name)] == []
    assert [name for name in unknown if hosts.has(name)] == []


def test_further_names() -> None:
    hosts = Hosts(["127.0.0.1", "vectors.example"])
    assert hosts.has("vectors.example:443")
    assert not hosts.has("other.example")


@pytest.mark.parametrize("names", ["vectors.example", ["vectors.example:443"], [5], [None]])
def test_hosts_that_no_request_could_name_are_refused(still: VectorizeClient, names: Any) -> None:
    with pytest.raises(ConfigurationError, match="without ports"):
        create_page(still, hosts=names)
    with pytest.raises(ConfigurationError, match="without ports"):
        Settings(hosts=names)


@pytest.mark.parametrize("token", ["", " ", " x ", "a b", "t\u00f6k\u00e9n", "a\n"])
def test_a_token_that_no_header_could_carry_is_refused(still: VectorizeClient, token: str) -> None:
    with pytest.raises(ConfigurationError, match="no header could carry it"):
        create_page(still, token=token)


async def test_two_hosts_are_none(still: VectorizeClient) -> None:
    sent: list[Any] = []
    page = create_page(still)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    both = [(b"host", HOST.encode()), (b"host", HOST.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": both, "query_string": b""}
    await page(scope, receive, send)
    assert sent[0]["status"] == 403


async def test_nothing_shows_the_token_or_the_credentials(still: VectorizeClient) -> None:
    page = create_page(still, token="unlikely-token")
    browser = Browser(page, "unlikely-token")
    for path in ("about", "indexes", "indexes/docs", "indexes/none", "nothing"):
        answer = await browser.send("GET", path)
        assert "unlikely-token" not in answer.text + str(answer.headers)
    assert "unlikely-token" not in repr(vars(page))
