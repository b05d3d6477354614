"""What happens: requests of the page and of a server's clients, as a stream; faults and delays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.blocking import watched
from tests.page.helpers import DIMENSIONS, HOST, Browser, Visit, axis, until
from vectorize_core import Vector, VectorizeClient
from vectorize_core.local.server import Settings
from vectorize_core.local.server.app import create_parts
from vectorize_core.page import create_page
from vectorize_core.page.activity import KEPT, MOST_LISTENERS, Activity
from vectorize_core.page.app import Page
from vectorize_core.page.served import page_beside

INDEXES = "/client/v4/accounts/local/vectorize/v2/indexes"


def served(**options: Any) -> Page:
    """A server with the page at its root."""
    settings = Settings(**options)
    return page_beside(create_parts(settings), settings)


@contextmanager
def listening(page: Page, query: str = "") -> Iterator[Visit]:
    visit = Visit(page, "GET", "/_/page/activity", query=query)
    yield visit
    visit.leave()


async def api(page: Page, method: str, path: str, body: Any = None, **headers: str) -> Any:
    transport = httpx.ASGITransport(page)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        return await http.request(
            method, f"http://{HOST}{path}", json=body, headers={"User-Agent": "other/1", **headers}
        )


async def test_a_page_alone_tells_of_its_own_requests(still: VectorizeClient) -> None:
    page = create_page(still)
    browser = Browser(page)
    await browser.result("GET", "indexes")
    with listening(page) as visit:
        await until(visit.events)
        (event,) = visit.events()
        assert event["operation"] == "ListIndexes"
        assert (event["client"], event["status"], event["error"]) == ("this page", None, None)
        await browser.error("GET", "indexes/none")
        await until(lambda: len(visit.events()) == 2)
        assert visit.events()[1]["error"] == "IndexNotFoundError"
        assert visit.events()[1]["index"] == "none"
    await visit.task
    assert visit.status == 200


async def test_a_server_tells_of_all_requests_with_errors_and_hints() -> None:
    page = served()
    config = {"name": "docs", "config": {"dimensions": DIMENSIONS, "metric": "cosine"}}
    with listening(page) as visit:
        assert (await api(page, "POST", INDEXES, config)).status_code == 200
        asked: dict[str, Any] = {"vector": axis(1), "filter": {"title": 1}}
        await api(page, "POST", f"{INDEXES}/docs/query", asked)
        await api(page, "POST", f"{INDEXES}/docs/query", {"vector": [1]})
        await api(page, "GET", f"{INDEXES}/docs/info")
        await api(page, "GET", "/nowhere")
        await api(page, "POST", "/query", {"vector": [1]})
        await api(page, "GET", "/client/v4/accounts/local/d1/database/x/none")
        await until(lambda: len(visit.events()) == 7)
    events = visit.events()
    assert [(one["operation"], one["index"], one["status"]) for one in events] == [
        ("CreateIndex", None, 200),
        ("Query", "docs", 200),
        ("Query", "docs", 400),
        ("GetInfo", "docs", 200),
        ("GET /nowhere", None, 404),
        ("POST /query", None, 400),
        ("D1", "x", 404),
    ]
    assert {one["client"] for one in events} == {"other/1"}
    assert "no metadata index on 'title'" in events[1]["hint"]
    assert events[1]["error"] is None
    assert "expected 32 dimensions" in events[2]["error"]
    assert "No route" in events[4]["error"]
    assert events[5]["error"]
    assert [one["n"] for one in events] == list(range(1, 8))


async def test_the_api_beside_the_page_is_as_without_it() -> None:
    settings = Settings(token="t0ken")
    parts = create_parts(settings)
    page = page_beside(parts, settings)
    for method, path, headers in (
        ("GET", INDEXES, {"Authorization": "Bearer t0ken"}),
        ("GET", INDEXES, {}),
        ("GET", INDEXES, {"Authorization": "Bearer t0ken", "Origin": "https://evil.example"}),
        ("GET", "/nothing", {"Authorization": "Bearer t0ken"}),
        ("PUT", "/_/faults", {"Authorization": "Bearer t0ken"}),
        ("GET", "/_/pages", {"Authorization": "Bearer t0ken"}),
    ):
        ours = await api(page, method, path, [], **headers)
        transport = httpx.ASGITransport(parts.app)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            alone = await http.request(method, f"http://{HOST}{path}", json=[], headers=headers)
        differ = {name for name in ours.headers if ours.headers[name] != alone.headers[name]}
        assert (ours.status_code, ours.content) == (alone.status_code, alone.content)
        assert differ <= {"cf-ray", "date"}
    # And the page takes the server's token.
    assert (await Browser(page).error("GET", "indexes"))[0] == 401
    assert await Browser(page, "t0ken").result("GET", "indexes") == []


async def test_page_and_clients_of_a_server_see_the_same_data(tmp_path: Any) -> None:
    for data in (":memory:", tmp_path / "data"):
        page = served(data=data)
        browser = Browser(page)
        body = {"name": "docs", "dimensions": DIMENSIONS, "metric": "cosine"}
        await browser.result("POST", "indexes", body)
        listed = (await api(page, "GET", INDEXES)).json()["result"]
        assert [one["name"] for one in listed] == ["docs"]
        ndjson = b'{"id": "a", "values": [%s]}' % b",".join([b"1"] * DIMENSIONS)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page), trust_env=False) as http:
            sent = await http.post(
                f"http://{HOST}{INDEXES}/docs/upsert",
                content=ndjson,
                headers={"Content-Type": "application/x-ndjson"},
            )
        assert sent.is_success
        found = await browser.result("GET", "indexes/docs/records")
        assert [one["id"] for one in found["records"]] == ["a"]
        kind = "memory" if data == ":memory:" else "directory"
        assert (await browser.result("GET", "about"))["kind"] == kind


async def test_faults_and_delays_are_turned_on_and_off() -> None:
    page = served()
    browser = Browser(page)
    assert (await browser.result("GET", "about"))["can"]["faults"]
    assert await browser.result("GET", "faults") == {
        "rules": [],
        "delays": {"process_delay": 0.0, "propagate_delay": 0.0, "metadata_index_delay": 0.0},
    }
    rule = {"match": "GET", "status": 503, "message": "later", "times": None}
    changed = await browser.result("PUT", "faults", {"rules": [rule]})
    assert changed["rules"][0]["status"] == 503
    assert (await api(page, "GET", INDEXES)).status_code == 503
    # The page itself still answers, and can turn it off.
    assert await browser.result("GET", "indexes") == []
    assert (await browser.result("PUT", "faults", {"rules": changed["rules"]}))["rules"]
    await browser.result("PUT", "faults", {"rules": []})
    assert (await api(page, "GET", INDEXES)).status_code == 200
    body = {"name": "docs", "dimensions": DIMENSIONS, "metric": "cosine"}
    await browser.result("POST", "indexes", body)
    await browser.result("PUT", "faults", {"delays": {"process_delay": 60}})
    made = VectorizeClient(
        "local", "x", base_url=f"http://{HOST}/client/v4", async_transport=httpx.ASGITransport(page)
    )
    await made.to_async().index("docs").upsert([Vector("a", axis(1))])
    found = await browser.result("GET", "indexes/docs")
    assert (found["vectors"], found["pending"]) == (0, 1)
    await browser.result("PUT", "faults", {"delays": {"process_delay": 0}})
    await made.to_async().index("docs").upsert([Vector("b", axis(2))])


@pytest.mark.parametrize(
    "body",
    [
        {"rules": {}},
        {"rules": [1]},
        {"rules": [{"status": 99}]},
        {"rules": [{"nonsense": 1}]},
        {"rules": [{}] * 101},
        {"delays": []},
        {"delays": {"process_delay": -1}},
        {"delays": {"process_delay": 601}},
        {"delays": {"process_delay": "1"}},
        {"delays": {"process_delay": True}},
        {"delays": {"cursor_lifetime": 1}},
        {"rules": [{"status": 503}], "delays": {"x": 1}},
        {"rules": [{"x": 1}], "delays": {"process_delay": 1}},
    ],
)
async def test_wrong_faults_change_nothing(body: Any) -> None:
    browser = Browser(served())
    before = await browser.result("GET", "faults")
    status, _ = await browser.error("PUT", "faults", body)
    assert status == 400
    assert await browser.result("GET", "faults") == before


async def test_a_page_alone_has_no_faults(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    assert (await browser.error("GET", "faults"))[0] == 404
    assert (await browser.error("PUT", "faults", {"rules": []}))[0] == 404


async def test_who_comes_back_is_told_what_was_missed(still: VectorizeClient) -> None:
    page = create_page(still)
    for _ in range(5):
        await Browser(page).result("GET", "indexes")
    with listening(page, "after=3") as visit:
        await until(visit.events)
        assert [one["n"] for one in visit.events()] == [4, 5]
    # Numbers of a server that ended before this one began mean nothing.
    with listening(page, "after=900") as visit:
        await until(lambda: len(visit.events()) == 5)
    for nonsense in ("after=x", "after=-1", f"after={'9' * 40}"):
        with listening(page, nonsense) as visit:
            await until(lambda visit=visit: len(visit.events()) == 5)


async def test_listeners_are_bounded_and_leave_room_when_they_leave(
    still: VectorizeClient,
) -> None:
    page = create_page(still)
    visits = [Visit(page, "GET", "/_/page/activity") for _ in range(MOST_LISTENERS)]
    await until(lambda: all(visit.status == 200 for visit in visits))
    status, error = await Browser(page).error("GET", "activity")
    assert (status, error["type"]) == (503, "Busy")
    visits[0].leave()
    await visits[0].task
    with listening(page) as one_more:
        await until(lambda: one_more.status == 200)
    page.stop()
    async with asyncio.timeout(30):
        await asyncio.gather(*(visit.task for visit in visits))
    # No stream begins while the server ends.
    assert (await Browser(page).error("GET", "activity"))[0] == 503


async def test_who_reads_too_slowly_loses_the_oldest_and_is_told_so() -> None:
    activity = Activity()
    for number in range(3 * KEPT):
        activity.note(operation="Query", index=f"i{number}", status=200, seconds=0.1, client=None)
    sent: list[Any] = []
    stream = activity.listen(0)
    for _ in range(KEPT + 7):
        activity.note(operation="Query", index="x", status=200, seconds=0.1, client=None)
    held: asyncio.Queue[Any] = asyncio.Queue()

    async def send(message: Any) -> None:
        sent.append(message)

    task = asyncio.ensure_future(stream({}, held.get, send))
    await until(lambda: len(sent) > 2)
    held.put_nowait({"type": "http.disconnect"})
    await task
    text = b"".join(message.get("body", b"") for message in sent)
    assert b'event: lost\ndata: {"lost":%d}' % (KEPT + 7) in text
    assert text.count(b"event: request") == KEPT


async def test_what_clients_say_of_themselves_stays_on_its_line() -> None:
    page = served()
    with listening(page) as visit:
        await api(page, "GET", "/x%0aevent:%20fake%0a%0a", **{"User-Agent": "<script>\t"})
        await until(visit.events)
    assert "event: fake" not in visit.text.split("\n")
    assert visit.events()[0]["client"].startswith("<script>")


async def test_the_lifespan_ends_streams_and_what_stands_beside(tmp_path: Any) -> None:
    page = served(data=tmp_path / "data")
    coming: asyncio.Queue[Any] = asyncio.Queue()
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    alive = asyncio.ensure_future(page({"type": "lifespan", "asgi": {}}, coming.get, send))
    coming.put_nowait({"type": "lifespan.startup"})
    await until(lambda: sent == ["lifespan.startup.complete"])
    with listening(page) as visit:
        await until(lambda: visit.status == 200)
        coming.put_nowait({"type": "lifespan.shutdown"})
        await alive
        await visit.task
    assert sent[-1] == "lifespan.shutdown.complete"


async def test_nothing_blocks_the_event_loop(tmp_path: Any) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        client.index("docs").upsert([Vector(f"r{n}", axis(n)) for n in range(30)])
        browser = Browser(create_page(client))
        asks: list[tuple[str, str, Any]] = [
            ("GET", "/", None),
            ("GET", "about", None),
            ("GET", "indexes", None),
            ("GET", "indexes/docs", None),
            ("GET", "indexes/docs/records", None),
            ("GET", "indexes/docs/record?id=r1", None),
            ("POST", "indexes/docs/search", {"by": "id", "id": "r1"}),
            ("POST", "indexes/docs/map", {}),
            ("DELETE", "indexes/docs/record", {"id": "r1", "confirm": "r1"}),
        ]
        for method, path, body in asks:
            # Once before, for what is imported when it is first needed.
            await browser.send(method, path, body)
        with watched() as seen:
            for method, path, body in asks:
                await browser.send(method, path, body)
    assert seen == []
