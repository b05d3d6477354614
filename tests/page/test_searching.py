"""Searches on the page: by text, id and vector; errors at their place, explanations, hints."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.embeddings import MockEmbedding

from tests.page.helpers import DIMENSIONS, MANY, Browser, Visit, axis, until
from vectorize_core import ConfigurationError, Vector, VectorizeClient
from vectorize_core.errors import InvalidInputError
from vectorize_core.local.server import Settings, create_app
from vectorize_core.page import create_page, embedders

MODELS = {
    "LangChain": DeterministicFakeEmbedding(size=DIMENSIONS),
    "LlamaIndex": MockEmbedding(embed_dim=DIMENSIONS),
}


async def test_by_vector(still: VectorizeClient) -> None:
    found = await Browser(create_page(still)).search(by="vector", vector=axis(3.05), k=5)
    assert [one["id"] for one in found["matches"]] == ["r12", "r13", "r11", "r14", "r10"]
    assert found["matches"][0]["score"] == pytest.approx(0.9986, abs=1e-3)
    assert found["matches"][0]["text"] == "text 12"
    assert found["matches"][0]["metadata"] == {"year": 1912, "topic": "t0", "note": 12}
    assert found["requests"] >= 1
    assert found["seconds"] >= 0.0
    assert found["embedding_seconds"] is None
    assert found["hints"] == []


async def test_more_like_this_leaves_the_record_itself_out(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    found = await browser.search(by="id", id="r12", k=4)
    assert {one["id"] for one in found["matches"]} == {"r13", "r11", "r14", "r10"}
    everything = await browser.search(by="id", id="r12", k=1_000)
    assert len(everything["matches"]) == MANY - 1
    body = {"by": "id", "id": "none"}
    status, error = await browser.error("POST", "indexes/docs/search", body)
    assert (status, error["type"]) == (404, "NotFound")


@pytest.mark.parametrize("name", MODELS)
async def test_by_text_with_either_framework(client: VectorizeClient, name: str) -> None:
    model = MODELS[name]
    embed: Any = getattr(model, "embed_query", None) or model.get_query_embedding  # type: ignore[union-attr]
    client.index("docs").upsert([Vector("meant", embed("a question"))])
    browser = Browser(create_page(client, embedder=model))
    assert (await browser.result("GET", "about"))["embedder"] == type(model).__name__
    found = await browser.search(by="text", text="a question", k=1)
    assert [one["id"] for one in found["matches"]] == ["meant"]
    assert found["embedding_seconds"] >= 0.0


async def test_without_a_model_and_with_one_that_fails(still: VectorizeClient) -> None:
    body = {"by": "text", "text": "x"}
    status, error = await Browser(create_page(still)).error("POST", "indexes/docs/search", body)
    assert (status, error["type"]) == (409, "NoEmbedder")
    assert "--embedder" in error["hint"]

    class Small:
        def embed_query(self, text: str) -> list[float]:
            return [1.0]

    _, error = await Browser(create_page(still, embedder=Small())).error(
        "POST", "indexes/docs/search", body
    )
    assert "dimensions" in error["message"]


@pytest.mark.parametrize(
    "raised",
    [
        RuntimeError("https://models.example/embed?key=s3cret"),
        InvalidInputError("s3cret"),
        SystemExit("s3cret"),
        KeyboardInterrupt("s3cret"),
    ],
)
async def test_what_a_model_says_when_it_fails_is_for_the_log(
    still: VectorizeClient, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def embed_query(self, text: str) -> list[float]:
            raise raised

    browser = Browser(create_page(still, embedder=Broken()))
    body = {"by": "text", "text": "x"}
    answer = await browser.send("POST", "indexes/docs/search", body)
    assert answer.status_code == 502
    assert f"Broken failed: {type(raised).__name__}" in answer.json()["error"]["message"]
    assert "s3cret" not in answer.text
    assert "s3cret" in caplog.text


async def test_a_model_that_hangs_holds_up_nothing_else(
    still: VectorizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "_PATIENCE", 0.05)
    begun: list[Any] = []
    page = create_page(still, embedder=Waiting(begun))
    browser, body = Browser(page), {"by": "text", "text": "x"}
    for number in range(1, 3):
        visit = Visit(page, "POST", "/_/page/indexes/docs/search", body)
        await until(lambda number=number: len(begun) == number)
        visit.leave()
        await visit.task
    # Its threads go on, and there are no more of them.
    status, error = await browser.error("POST", "indexes/docs/search", body)
    assert (status, error["type"], len(begun)) == (503, "Busy", 2)
    assert (await browser.search(by="vector", vector=axis(1)))["matches"]
    begun[0].set()
    await until(lambda: begun[0].ended)
    monkeypatch.setattr(embedders, "_PATIENCE", 60.0)
    again = asyncio.ensure_future(browser.search(**body))
    await until(lambda: len(begun) == 3)
    for one in begun:
        one.set()
    assert (await again)["matches"]


@pytest.mark.parametrize("way", ["stop", "cancel"])
async def test_a_server_that_ends_answers_what_goes_on(still: VectorizeClient, way: str) -> None:
    begun: list[Any] = []
    page: Any = create_page(still, embedder=Waiting(begun))
    visit = Visit(page, "POST", "/_/page/indexes/docs/search", {"by": "text", "text": "x"})
    await until(lambda: begun)
    # uvicorn cancels what has not ended after some seconds.
    getattr(page if way == "stop" else visit.task, way)()
    await asyncio.wait_for(visit.task, 30)
    assert visit.messages[0]["status"] == 503
    begun[0].set()


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"year": {"$foo": 1}}, "$.year.$foo"),
        ({"$or": [{"year": 1}, {"topic": {"$gt": [1]}}]}, "$.$or[1].topic.$gt"),
        ({"$or": {"year": 1}}, "$.$or"),
        ({"$and": [1]}, "$.$and[0]"),
        ({"year": {}}, "$.year"),
        ({"year": [1]}, "$.year"),
        ({"$gt": 1}, "$.$gt"),
        ({"$not": {"year": {"between": [1, 2]}}}, "$.$not.year.between"),
        ({"year": {"$between": [1]}}, "$.year.$between"),
        ({"year": {"$between": [1, {}]}}, "$.year.$between[1]"),
        ({"topic": {"$like": "a\\"}}, "$.topic.$like"),
        ({"year": {"$in": [1, {"x": 1}]}}, "$.year.$in[1]"),
        ({"year": {"$exists": 1}}, "$.year.$exists"),
        ({"yaer": 1}, "$.yaer"),
    ],
)
@pytest.mark.parametrize("call", ["search", "explain"])
async def test_a_filter_is_refused_at_its_place(
    still: VectorizeClient, given: Any, at: str, call: str
) -> None:
    body = {"by": "vector", "vector": axis(1), "filter": given}
    status, error = await Browser(create_page(still)).error("POST", f"indexes/docs/{call}", body)
    assert status == 400
    assert error["type"] in ("InvalidFilterError", "UnindexedPropertyError")
    assert error["at"] == at


async def test_filters_namespaces_and_reading_everything(
    still: VectorizeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(create_page(still))
    near = {"by": "vector", "vector": axis(3)}
    found = await browser.search(**near, filter={"year": {"$gte": 1950}}, namespace="even", k=3)
    assert [one["metadata"]["year"] for one in found["matches"]] == [1950, 1952, 1954]
    explanation = found["explanation"]
    assert explanation["branches"] == [{"year": {"$gte": 1950}}]
    assert explanation["requests"] == 1
    assert explanation["most_requests"] >= 1
    assert explanation["price"] is None
    assert "Asked of the service" in explanation["text"]
    asked = {"filter": {"note": 7}, **near}
    _, error = await browser.error("POST", "indexes/docs/search", asked)
    assert error["type"] == "UnindexedPropertyError"
    found = await browser.search(**asked, scan=True)
    assert [one["id"] for one in found["matches"]] == ["r7"]
    assert found["explanation"]["residual"] == "{'note': 7}"
    monkeypatch.setattr("vectorize_core.page.searching.MAX_SEARCH_REQUESTS", 1)
    explained = await browser.result("POST", "indexes/docs/explain", {**asked, "scan": True})
    assert explained["residual"] == "{'note': 7}"
    assert "no metadata index answers" in explained["warnings"][0]
    assert (await browser.search(**near, filter={}))["matches"]


async def test_why_nothing_was_found(client: VectorizeClient) -> None:
    client.create_index("empty", dimensions=DIMENSIONS)
    browser = Browser(create_page(client))
    near = {"by": "vector", "vector": axis(3)}

    async def hints(**more: Any) -> list[str]:
        found = await browser.search(**near, **more)
        assert found["matches"] == []
        listed: list[str] = found["hints"]
        return listed

    assert await hints(filter={"year": {"$gt": 3000}, "topic": "t1"}) == [
        "nothing matches {'year': {'$gt': 3000}}, even alone"
    ]
    assert "but nothing matches all" in (await hints(filter={"year": 1901, "topic": "t0"}))[0]
    assert "contradict" in (await hints(filter={"year": {"$gt": 5, "$lt": 1}}))[0]
    assert "namespace 'none'" in (await hints(namespace="none"))[0]
    found = await browser.result("POST", "indexes/empty/search", near)
    assert "no vector that reads see" in found["hints"][0]
    # One that was made later: the service's filters do not find what was written before it.
    client.index("docs").create_metadata_index("note", "number")
    assert "does not hold 60 vectors" in (await hints(filter={"note": 7}))[0]
    explained = await browser.result("POST", "indexes/docs/explain", {"filter": {"note": 7}})
    assert "does not hold 60 vectors" in explained["warnings"][0]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"by": "magic"},
        {"by": 1},
        {"by": "vector"},
        {"by": "vector", "vector": "1"},
        {"by": "vector", "vector": [1.0]},
        {"by": "vector", "vector": [[1.0]]},
        {"by": "vector", "vector": ["x"] * DIMENSIONS},
        {"by": "vector", "vector": [None] * DIMENSIONS},
        {"by": "vector", "vector": [1e300] * DIMENSIONS},
        {"by": "vector", "vector": axis(1), "k": 0},
        {"by": "vector", "vector": axis(1), "k": 1_001},
        {"by": "vector", "vector": axis(1), "k": "3"},
        {"by": "vector", "vector": axis(1), "k": True},
        {"by": "vector", "vector": axis(1), "k": 1.0},
        {"by": "vector", "vector": axis(1), "filter": "x"},
        {"by": "vector", "vector": axis(1), "filter": [1]},
        {"by": "vector", "vector": axis(1), "namespace": 1},
        {"by": "vector", "vector": axis(1), "namespace": "x" * 65},
        {"by": "vector", "vector": axis(1), "scan": "yes"},
        {"by": "id", "id": 1},
    ],
)
async def test_what_is_no_search_is_refused(still: VectorizeClient, body: Any) -> None:
    status, error = await Browser(create_page(still)).error("POST", "indexes/docs/search", body)
    assert status == 400, error


def account(**options: Any) -> VectorizeClient:
    """One of Cloudflare, as far as a client can tell."""
    server = httpx.ASGITransport(create_app(Settings(hosts=["api.cloudflare.com"])))
    base_url = "https://api.cloudflare.com/client/v4"
    return VectorizeClient(
        "acc", "s3cret-credential", base_url=base_url, async_transport=server, **options
    )


async def test_over_cloudflare_it_says_what_it_costs_and_keeps_the_credentials() -> None:
    cloud = account()
    index = cloud.to_async().index("docs")
    await cloud.to_async().create_index("docs", dimensions=DIMENSIONS)
    await index.upsert([Vector(f"r{n}", axis(n / 4), metadata={"a": n}) for n in range(70)])
    browser = Browser(create_page(cloud))
    about = await browser.result("GET", "about")
    assert (about["kind"], about["free"], about["map"]["default"]) == ("cloudflare", False, 1_000)
    answers = [
        await browser.send("GET", "about"),
        await browser.send("GET", "indexes"),
        await browser.send("GET", "indexes/docs"),
        await browser.send("GET", "indexes/docs/records", params={"limit": 30}),
        await browser.send("GET", "indexes/docs/map/price"),
        await browser.send("POST", "indexes/docs/map", {"points": 50}),
        await browser.send("POST", "indexes/docs/search", {"by": "vector", "vector": axis(1)}),
        await browser.send("GET", "indexes/none"),
    ]
    for answer in answers:
        assert "s3cret-credential" not in answer.text + str(answer.headers)
    assert answers[2].json()["result"]["pending"] is None
    page = answers[3].json()["result"]
    assert len(page["records"]) == 30
    following = {"limit": 100, "cursor": page["next"]}
    rest = await browser.result("GET", "indexes/docs/records", params=following)
    assert len({one["id"] for one in (*page["records"], *rest["records"])}) == 70
    assert rest["next"] is None
    price = answers[4].json()["result"]
    assert (price["points"], price["requests"], price["dollars"]) == (70, 5, 0.0)
    assert "5 requests" in price["text"]
    drawn = answers[5].json()["result"]
    assert (drawn["points"], drawn["of"]) == (50, 70)
    price = answers[6].json()["result"]["explanation"]["price"]
    each = DIMENSIONS * 0.01 / 1_000_000
    assert price["expected"] == pytest.approx(each)
    # What is read by id is not billed.
    explanation = await browser.result("POST", "indexes/docs/explain", {"k": 70})
    assert explanation["price"]["most"] < explanation["most_requests"] * each


async def test_a_wrong_token_of_cloudflare_is_not_taken_for_one_of_the_page() -> None:
    server = httpx.ASGITransport(create_app(Settings(token="right")))
    cloud = VectorizeClient(
        "acc", "wrong", base_url="https://api.example/v4", async_transport=server
    )
    status, error = await Browser(create_page(cloud)).error("GET", "indexes")
    assert (status, error["type"]) == (502, "AuthenticationError")


async def test_a_browser_that_leaves_ends_its_search(still: VectorizeClient) -> None:
    begun = []
    page = create_page(still, embedder=Waiting(begun))
    visit = Visit(page, "POST", "/_/page/indexes/docs/search", {"by": "text", "text": "x"})
    await until(lambda: begun)
    visit.leave()
    await visit.task
    assert not [m for m in visit.messages if b'"ok":true' in m.get("body", b"")]
    # What it has begun in a thread goes on by itself; nothing waits for it.
    begun[0].set()


class Waiting:
    """A model that takes as long as it is told."""

    def __init__(self, begun: list[Any]) -> None:
        self._begun = begun

    def embed_query(self, text: str) -> list[float]:
        event: Any = threading.Event()
        event.ended = False
        self._begun.append(event)
        assert event.wait(20)
        event.ended = True
        return axis(1)


def test_a_page_is_used_in_one_event_loop_after_the_other(still: VectorizeClient) -> None:
    page = create_page(still)
    for _ in range(2):
        found = asyncio.run(Browser(page).search(by="id", id="r12", k=1))
        assert len(found["matches"]) == 1


async def test_a_search_counts_its_own_requests_only(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    await browser.search(by="vector", vector=axis(1), k=1)
    alone = await browser.search(by="vector", vector=axis(1), k=60)
    both = await asyncio.gather(
        *(browser.search(by="vector", vector=axis(n), k=60) for n in range(4))
    )
    assert {found["requests"] for found in both} == {alone["requests"]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense", "module:attribute"),
        ("no.such.module:x", "there is no module 'no'"),
        ("json:nothing", "nothing"),
        ("json:dumps", "cannot be called without arguments"),
        ("json:JSONDecoder", "has neither"),
        ("sys:path", "is no embedder, but a list"),
    ],
)
def test_what_is_no_embedder(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        embedders.load(given)


class Model:
    """What `embedders.load` finds in this module."""

    def embed_query(self, text: str) -> list[float]:
        return axis(len(text))


made = Model()


@pytest.mark.parametrize("attribute", ["Model", "made", "make"])
def test_an_embedder_is_a_model_or_what_makes_one(attribute: str) -> None:
    assert embedders.load(f"{__name__}:{attribute}").name.endswith(attribute)


def make() -> Model:
    return Model()


def test_the_model_of_the_demo_is_loaded_late() -> None:
    assert embedders.load("demo").name == "demo"
