"""Indexes and records on the page: pages of them, one whole, making and deleting."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_vectorize import VectorizeVectorStore
from tests.page.helpers import DIMENSIONS, HOSTILE, INDEXED, MANY, Browser, axis, vector
from vectorize_core import Behavior, ConfigurationError, Vector, VectorizeClient, layout
from vectorize_core.api.d1 import ReadD1
from vectorize_core.layout import Record
from vectorize_core.local.server import create_app
from vectorize_core.page import create_page
from vectorize_core.texts import D1TextIndex, D1Texts


async def pages(browser: Browser, **params: Any) -> list[list[dict[str, Any]]]:
    """All pages of records, as somebody sees them who goes on to the last one."""
    found, cursor = [], None
    while True:
        given = {**params, **({"cursor": cursor} if cursor else {})}
        page = await browser.result("GET", "indexes/docs/records", params=given)
        found.append(page["records"])
        cursor = page["next"]
        if cursor is None:
            return found


def ids(found: list[list[dict[str, Any]]]) -> list[str]:
    return [record["id"] for page in found for record in page]


async def test_about(still: VectorizeClient) -> None:
    about = await Browser(create_page(still)).result("GET", "about")
    assert about["kind"] == "memory"
    assert (about["free"], about["embedder"]) == (True, None)
    assert about["can"] == {"faults": False, "activity": True}
    assert about["map"] == {"default": 20_000, "most": 20_000}


async def test_indexes(client: VectorizeClient) -> None:
    client.create_index("bare", dimensions=DIMENSIONS, record_layout=False, metric="euclidean")
    browser = Browser(create_page(client))
    brief = await browser.result("GET", "indexes")
    assert [(one["name"], one["metric"]) for one in brief] == [
        ("docs", "cosine"),
        ("bare", "euclidean"),
    ]
    docs = await browser.result("GET", "indexes/docs")
    # The note of the layout is told in words.
    assert docs["description"] == ""
    assert (docs["vectors"], docs["dimensions"], docs["pending"]) == (MANY, DIMENSIONS, 0)
    assert docs["last_mutation"]
    assert docs["processed_up_to"]
    kinds = {one["property"]: (one["type"], one["ours"]) for one in docs["metadata_indexes"]}
    assert kinds["year"] == ("number", False)
    assert kinds[layout.OWN] == ("boolean", True)
    assert docs["layout"]["ours"]
    assert "topic, year" in docs["layout"]["note"]
    assert not (await browser.result("GET", "indexes/bare"))["layout"]["ours"]
    status, error = await browser.error("GET", "indexes/none")
    assert (status, error["type"]) == (404, "IndexNotFoundError")
    status, error = await browser.error("GET", "indexes/no%20name")
    assert (status, error["type"]) == (400, "InvalidInputError")


async def test_what_is_pending() -> None:
    with VectorizeClient.local(behavior=Behavior(process_delay=60.0)) as client:
        client.create_index("docs", dimensions=DIMENSIONS, record_layout=False)
        client.index("docs").upsert([Vector("a", axis(1))])
        browser = Browser(create_page(client))
        found = await browser.result("GET", "indexes/docs")
        assert (found["vectors"], found["pending"]) == (0, 1)
        body = {"id": "a", "confirm": "a"}
        # It is accepted, and nobody waits for a minute.
        assert await browser.result("DELETE", "indexes/docs/record", body) == {"visible": False}


async def test_an_index_is_made_and_deleted(client: VectorizeClient) -> None:
    browser = Browser(create_page(client))
    body = {
        "name": "new",
        "dimensions": 48,
        "metric": "dot-product",
        "metadata_indexes": {"a": "string"},
    }
    made = await browser.result("POST", "indexes", body)
    assert (made["dimensions"], made["metric"], made["vectors"]) == (48, "dot-product", 0)
    assert "a" in [one["property"] for one in made["metadata_indexes"]]
    assert (await browser.error("POST", "indexes", body))[1]["type"] == "IndexExistsError"
    for wrong in ({}, {"confirm": "New"}, {"confirm": True}, {"confirm": "docs"}):
        status, _ = await browser.error("DELETE", "indexes/new", wrong)
        assert status == 400
    assert len(client.list_indexes()) == 2
    assert await browser.result("DELETE", "indexes/new", {"confirm": "new"}) is None
    assert [one.name for one in client.list_indexes()] == ["docs"]


@pytest.mark.parametrize("size", [1, 7, MANY - 1, MANY, MANY + 1])
async def test_every_record_is_on_one_page(still: VectorizeClient, size: int) -> None:
    found = await pages(Browser(create_page(still)), limit=size)
    assert ids(found) == [f"r{n}" for n in range(MANY)]
    assert all(len(page) <= size for page in found)


@pytest.mark.parametrize("size", [1, 7, 30, 200])
async def test_every_record_of_a_namespace_is_on_one_page(
    still: VectorizeClient, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in an index of very many, of which a scan does not see the end.
    monkeypatch.setattr("vectorize_core.page.records._AT_ONCE", 11)
    browser = Browser(create_page(still))
    found = await pages(browser, limit=size, namespace="even")
    assert ids(found) == [f"r{n}" for n in range(0, MANY, 2)]
    assert all(len(page) <= size for page in found)
    assert ids(await pages(browser, limit=size, namespace="none")) == []


async def test_a_cursor_leaves_out_nothing_when_the_next_page_is_of_another_size(
    still: VectorizeClient,
) -> None:
    browser, path = Browser(create_page(still)), "indexes/docs/records"
    first = await browser.result("GET", path, params={"limit": 20, "namespace": "even"})
    assert [one["id"] for one in first["records"]][-1] == "r38"
    given = {"limit": 10, "cursor": first["next"]}
    assert ids(await pages(browser, limit=10)) == [f"r{n}" for n in range(MANY)]
    following = await browser.result("GET", path, params=given)
    assert len(following["records"]) == 10
    assert int(following["records"][0]["id"][1:]) == 20


async def test_a_record_as_it_was_given(client: VectorizeClient) -> None:
    metadata: dict[Any, Any] = {
        "when": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
        "key": uuid.UUID(int=7),
        "price": Decimal("1.50"),
        "big": 2**60,
        "infinite": float("inf"),
        "nested": {"a": [1, None, True]},
        7: "a key that is no text",
        "none": None,
    }
    text = "long " * 500
    client.index("docs").upsert(
        [vector(Record("one", text, metadata, ref="source"), axis(1), "ns")]
    )
    browser = Browser(create_page(client))
    whole = await browser.result("GET", "indexes/docs/record", params={"id": "one"})
    assert (whole["text"], whole["text_cut"], whole["namespace"]) == (text, False, "ns")
    assert whole["source"] == "source"
    assert whole["values"][1] == 1.0
    assert len(whole["values"]) == DIMENSIONS
    assert whole["metadata"] == {
        "when": "2026-01-02 03:04:00+00:00",
        "key": str(uuid.UUID(int=7)),
        "price": "1.50",
        "big": str(2**60),
        "infinite": "inf",
        "nested": {"a": [1, None, True]},
        "7": "a key that is no text",
        "none": None,
    }
    assert whole["types"] == {"when": "datetime", "key": "UUID", "price": "Decimal"}
    assert whole["raw_metadata"]["text"] == text
    page = await browser.result("GET", "indexes/docs/records", params={"limit": 200})
    row = next(one for one in page["records"] if one["id"] == "one")
    assert row["text_cut"]
    assert text.startswith(row["text"])
    assert len(row["text"]) < 1_000


async def test_what_others_have_written_is_shown_as_it_is(client: VectorizeClient) -> None:
    newer = layout.encode(Record("newer", "of the future", {"a": 1}), indexed=INDEXED)
    newer[layout.EXTRA] = '{"v":9,"new":"thing"}'
    client.index("docs").upsert(
        [
            Vector("bare", axis(1)),
            Vector("foreign", axis(2), metadata={"title": "no text", "deep": {"x": 1}}),
            Vector("newer", axis(3), metadata=newer),
            Vector("broken", axis(4), metadata={layout.EXTRA: "{", "text": 7}),
        ]
    )
    browser = Browser(create_page(client))
    rows = {row["id"]: row for page in await pages(browser, limit=200) for row in page}
    assert (rows["bare"]["text"], rows["bare"]["metadata"]) == (None, {})
    assert rows["foreign"]["metadata"] == {"title": "no text", "deep": {"x": 1}}
    assert rows["newer"]["text"] == "of the future"
    assert rows["broken"]["metadata"]["text"] == 7
    found = await browser.search(by="id", id="newer", k=200)
    assert len(found["matches"]) == MANY + 3


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_records_leave_as_json_only(text: str) -> None:
    short = text[:40]
    with VectorizeClient.local() as client:
        wanted: Any = {"year": "number"}
        client.create_index("docs", dimensions=DIMENSIONS, metadata_indexes=wanted)
        record_id = short.replace("\0", "")[:16]
        given = {"title": short, f"k{short[:8]}".replace("\0", ""): short}
        metadata = layout.encode(Record(record_id, text[:8_000], given), indexed=INDEXED)
        client.index("docs").upsert([Vector(record_id, axis(1), short[:16], metadata)])
        browser = Browser(create_page(client))
        query: Any = {"by": "vector", "vector": axis(1), "filter": {"year": {short: 1}}}
        for answer in (
            await browser.send("GET", "indexes/docs/records"),
            await browser.send("GET", "indexes/docs/record", params={"id": record_id}),
            await browser.send("GET", "indexes/docs/record", params={"id": short + "?"}),
            await browser.send("GET", f"indexes/{'%3Cscript%3E'}"),
            await browser.send("POST", "indexes/docs/map", {"color": "title"}),
            await browser.send("POST", "indexes/docs/search", {**query, "filter": None}),
            await browser.send("POST", "indexes/docs/search", query),
            await browser.send("GET", "%3Cscript%3Ealert(1)%3C/script%3E"),
        ):
            # No browser takes it for a document, nor guesses that it is one.
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            answer.json()
        (row,) = (await browser.result("GET", "indexes/docs/records"))["records"]
        assert (row["id"], row["metadata"]["title"]) == (record_id, short)
        whole = await browser.result("GET", "indexes/docs/record", params={"id": record_id})
        assert whole["text"] == text[:8_000]


async def test_a_long_text_outside_is_shown_and_deleted(tmp_path: Path) -> None:
    long = "words " * 5_000
    embedding = DeterministicFakeEmbedding(size=DIMENSIONS)
    kept: Any = {"path": tmp_path, "index_name": "docs", "text_index": True}
    with VectorizeVectorStore(embedding, **kept) as store:
        store.add_texts([long, "short words"], ids=["long", "short"])
    with VectorizeClient.local(tmp_path) as client:
        page = create_page(client)
        browser = Browser(page)
        assert (await browser.result("GET", "about"))["kind"] == "directory"
        assert "text index" in (await browser.result("GET", "indexes/docs"))["layout"]["note"]
        whole = await browser.result("GET", "indexes/docs/record", params={"id": "long"})
        assert whole["text"] == long
        assert whole["text_name"]
        body = {"id": "long", "confirm": "long"}
        assert await browser.result("DELETE", "indexes/docs/record", body) == {"visible": True}
        assert ids(await pages(browser)) == ["short"]
    with closing(sqlite3.connect(tmp_path / "texts.sqlite3")) as texts:
        assert texts.execute("SELECT count(*) FROM texts").fetchone() == (0,)
    with VectorizeVectorStore(embedding, **kept, retrieval_mode="text") as store:
        assert [one.id for one in store.similarity_search("words")] == ["short"]


async def test_a_text_that_the_page_cannot_reach_is_not_said_to_be_gone() -> None:
    server = httpx.ASGITransport(create_app())
    client = VectorizeClient(base_url="http://localhost/client/v4", async_transport=server)
    embedding, long = DeterministicFakeEmbedding(size=DIMENSIONS), "words " * 5_000
    given: Any = {"client": client, "index_name": "docs", "create_index": True, "wait": True}
    store = VectorizeVectorStore(
        embedding, texts=D1Texts("texts"), text_index=D1TextIndex("words"), **given
    )
    await store.aadd_texts([long, long], ids=["kept", "deleted"])
    told: dict[bool, Any] = {}
    for reached in (False, True):
        browser = Browser(create_page(client, texts=D1Texts("texts") if reached else None))
        (row, *_) = (await pages(browser))[0]
        found = await browser.result("GET", "indexes/docs/record", params={"id": "kept"})
        assert row["text_elsewhere"] is found["text_elsewhere"] is not reached
        assert found["row_elsewhere"]
        told[reached] = found["text"]
    assert told == {False: None, True: long}
    body = {"id": "deleted", "confirm": "deleted"}
    assert await browser.result("DELETE", "indexes/docs/record", body) == {"visible": True}
    left = ReadD1("texts", (("SELECT count(*) FROM docs WHERE length(text) > 9999", ()),))
    assert await client.connection.async_io().call(left) == ([(1,)],)


def test_texts_are_a_store_of_texts(still: VectorizeClient) -> None:
    with pytest.raises(ConfigurationError, match="texts is a TextStore or None"):
        create_page(still, texts="texts")  # type: ignore[arg-type]


async def test_a_record_is_deleted_only_when_its_id_is_typed(client: VectorizeClient) -> None:
    browser = Browser(create_page(client))
    for wrong in (
        {"id": "r1"},
        {"id": "r1", "confirm": "r2"},
        {"confirm": "r1"},
        {"id": 1, "confirm": 1},
    ):
        assert (await browser.error("DELETE", "indexes/docs/record", wrong))[0] == 400
    assert client.index("docs").info().vector_count == MANY
    found = await browser.error("GET", "indexes/docs/record", params={"id": "none"})
    assert (found[0], found[1]["type"]) == (404, "NotFound")
    assert (await browser.error("GET", "indexes/docs/record"))[0] == 404


@pytest.mark.parametrize(
    "params",
    [
        *({"limit": wrong} for wrong in ("0", "201", "x", "１", "2.5", "-1")),
        *({"cursor": wrong} for wrong in ("x", "0.9-9-9", f"{'9' * 30}.", "999999999.", "0.0.0")),
    ],
)
async def test_wrong_parameters(still: VectorizeClient, params: dict[str, str]) -> None:
    browser = Browser(create_page(still))
    status, _ = await browser.error("GET", "indexes/docs/records", params=params)
    assert status == 400
