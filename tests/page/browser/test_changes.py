"""Indexes are made and deleted, records deleted: only after their name was typed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page.browser.conftest import Visit
from tests.page.browser.serving import DIMENSIONS, Words, serving, store
from vectorize_core import Vector, VectorizeClient
from vectorize_core.layout import Record, encode
from vectorize_core.page import create_page
from vectorize_core.texts.store import text_name


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        yield client


@pytest.fixture
def at(client: VectorizeClient) -> Iterator[str]:
    with serving(create_page(client, embedder=Words())) as address:
        yield address


def test_an_index_is_made_and_deleted(visit: Visit, client: VectorizeClient, at: str) -> None:
    page = visit(at=at)
    page.get_by_text("No index yet").wait_for()
    page.get_by_role("button", name="New index").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Not a name!")
    dialog.get_by_label("Dimensions").fill("32")
    dialog.get_by_role("button", name="Make it").click()
    assert "name" in dialog.get_by_role("alert").inner_text()
    dialog.get_by_label("Name").fill("docs")
    dialog.get_by_role("button", name="Property").click()
    dialog.get_by_label("Property").fill("year")
    dialog.get_by_label("Type of its values").select_option("number")
    dialog.get_by_role("button", name="Make it").click()
    page.get_by_role("heading", name="Metadata indexes").wait_for()
    made = {
        index.property_name: index.index_type
        for index in client.index("docs").list_metadata_indexes()
    }
    assert made["year"] == "number"
    page.get_by_role("button", name="Delete this index").click()
    dialog.get_by_label("to confirm").fill("docs")
    dialog.get_by_role("button", name="Delete index").click()
    page.get_by_text("No index yet").wait_for()
    assert list(client.list_indexes()) == []


def test_a_record_is_deleted(visit: Visit, client: VectorizeClient, at: str) -> None:
    store(client, "docs").add_texts(["one", "two"], ids=["a", "b"])
    page = visit("#/index/docs/records?record=a", at=at)
    page.get_by_role("button", name="Delete this record").click()
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name="Delete record")
    assert button.is_disabled()
    dialog.get_by_label("to confirm").fill("a")
    button.click()
    page.locator(".records tbody tr").nth(1).wait_for(state="detached")
    assert page.locator(".records .row-link").all_inner_texts() == ["b"]
    assert list(client.index("docs").list_ids()) == ["b"]


def test_of_a_text_that_stays_it_is_said(visit: Visit, client: VectorizeClient, at: str) -> None:
    client.create_index("docs", dimensions=DIMENSIONS)
    elsewhere = encode(Record("a", None, text_name=text_name("docs", "a", "a text")))
    client.index("docs").upsert([Vector("a", Words().embed_query("a"), metadata=elsewhere)])
    page = visit("#/index/docs/records?record=a", at=at)
    page.get_by_text("Its text is kept elsewhere").wait_for()
    page.get_by_role("button", name="Delete this record").click()
    said = page.get_by_role("dialog").inner_text()
    assert "Its text stays" in said
    assert "--d1 ID" in said


def test_a_server_that_was_stopped(visit: Visit, client: VectorizeClient) -> None:
    with serving(create_page(client)) as address:
        page = visit(at=address)
        page.get_by_text("No index yet").wait_for()
        page.context.set_offline(True)
        page.get_by_role("button", name="New index").first.click()
        page.get_by_label("Name").fill("docs")
        page.get_by_role("button", name="Make it").click()
        said = page.get_by_role("dialog").get_by_role("alert").inner_text()
        page.context.set_offline(False)
    assert "does not answer" in said
