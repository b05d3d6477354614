"""Names and ids that look like others, are something of JavaScript's, or that nobody can type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain_core.documents import Document

from tests.page.browser.axe import faults
from tests.page.browser.conftest import OPEN, Visit, once
from tests.page.browser.serving import Words, serving, store
from vectorize_core import VectorizeClient
from vectorize_core.page import create_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = "a-name-as-long-as-one-can-be-which-no-sidebar-has-the-room-for"
BROKEN = "a\r\nb\tc"
IDS = {
    "lead": "lead",
    " lead": r"\x20lead",
    "lead ": r"lead\x20",
    "the lead": "the lead",
    "the  lead": r"the \x20lead",
    "   ": r"\x20\x20\x20",
    BROKEN: r"a\r\nb\tc",
    "le\u200bad": r"le\u200bad",
    "le\u202ead": r"le\u202ead",
    "\u3164": r"\u3164",
    "\u2800": r"\u2800",
    "le\U000e0061ad": r"le\U000e0061ad",
}
OWN = ("constructor", "__proto__", "hasOwnProperty", "toString")
"""Names that every object of JavaScript has."""


@pytest.fixture
def client(browser: Browser) -> VectorizeClient:
    def make() -> VectorizeClient:
        client = OPEN.enter_context(VectorizeClient.local())
        odd = store(client, "odd", namespace="a  b")
        odd.add_documents(
            Document(id=id_, page_content=f"Text {n}", metadata=dict.fromkeys(OWN, n))
            for n, id_ in enumerate(IDS)
        )
        for name in (OWN[0], LONG):
            client.create_index(name, dimensions=32)
        return client

    found: VectorizeClient = once("odd", make)
    return found


@pytest.fixture
def at(client: VectorizeClient) -> str:
    page = lambda: create_page(client, embedder=Words())  # noqa: E731
    found: str = once("odd at", lambda: OPEN.enter_context(serving(page())))
    return found


def test_no_two_look_the_same_and_each_can_be_deleted(
    visit: Visit, client: VectorizeClient, at: str
) -> None:
    page = visit("#/index/odd/records", at=at)
    links = page.locator(".records .row-link")
    links.first.wait_for()
    before = links.count()
    assert before == len(IDS)
    assert set(links.all_inner_texts()) == set(IDS.values())
    assert set(page.locator(".records td[data-label=Namespace]").all_inner_texts()) == {r"a \x20b"}
    assert faults(page) == []
    record, dialog = page.get_by_role("complementary", name="Record"), page.get_by_role("dialog")
    # One as it is, one as it is shown.
    for left, (id_, typed) in enumerate([(" lead", " lead"), (BROKEN, IDS[BROKEN])], start=1):
        n = list(IDS).index(id_)
        links.get_by_text(IDS[id_], exact=True).click()
        record.get_by_text(f"Text {n}", exact=True).wait_for()
        assert record.locator(".metadata dt").all_inner_texts() == list(OWN)
        assert set(record.locator(".metadata dd").all_inner_texts()) == {str(n)}
        record.get_by_role("button", name="Delete this record").click()
        dialog.get_by_text(f"Type {IDS[id_]} to confirm").wait_for()
        dialog.get_by_label("to confirm").fill("lead")
        assert dialog.get_by_role("button", name="Delete record").is_disabled()
        dialog.get_by_label("to confirm").fill(typed)
        dialog.get_by_role("button", name="Delete record").click()
        links.nth(before - left).wait_for(state="detached")
        assert id_ not in set(client.index("odd").list_ids())


def test_one_of_white_space_alone_can_be_searched_from(visit: Visit, at: str) -> None:
    page = visit("#/index/odd/search?by=id&q=lead", at=at)
    matches = page.locator(".matches li")
    matches.first.wait_for()
    page.get_by_label("Id of a record").fill("   ")
    page.get_by_label("Id of a record").press("Enter")
    page.wait_for_url(lambda url: "q=+++" in url)
    matches.filter(has=page.get_by_text("lead", exact=True)).first.wait_for()
    assert matches.filter(has=page.get_by_text(IDS["   "], exact=True)).count() == 0


def test_names_of_an_objects_own_and_long_ones(visit: Visit, at: str) -> None:
    page = visit(f"#/index/{OWN[0]}/about", at=at)
    page.get_by_role("heading", name="Metadata indexes").wait_for()
    for missing in OWN[1:]:
        page.goto(f"{at}/#/index/{missing}/about")
        page.get_by_role("alert").get_by_text(missing).wait_for()
    page.goto(f"{at}/#/index/{LONG}/records")
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name=LONG)
    link.wait_for()
    inside = "link => link.getBoundingClientRect().right <= link.closest('nav').clientWidth"
    assert link.evaluate(inside)
    name = link.locator(".side-name")
    assert name.evaluate("name => name.scrollWidth > name.clientWidth"), "it has an ellipsis"
    assert name.evaluate("name => getComputedStyle(name).textOverflow") == "ellipsis"


def test_what_is_not_there_has_no_label_on_a_telephone(
    visit: Visit, client: VectorizeClient, at: str
) -> None:
    store(client, "odd").add_texts(["Without a namespace"], ids=["alone"])
    page = visit(at=at, width=360)
    shown = """cells => cells.filter(cell => !cell.innerText.trim()
        && getComputedStyle(cell, '::before').content !== 'none'
        && getComputedStyle(cell).display !== 'none').map(cell => cell.dataset.label)"""
    page.get_by_role("link", name="odd").first.wait_for()
    assert page.locator("td[data-label]").evaluate_all(shown) == []
    page.goto(f"{at}/#/index/odd/records")
    page.get_by_text("Without a namespace").wait_for()
    assert page.locator("td[data-label]").evaluate_all(shown) == []
