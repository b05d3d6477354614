"""Records: pages of them, one whole, what is near it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Route

RECORDS = "#/index/papers/records"


_NOTE_PAGES = """() => {
  window.shown = new Set();
  new MutationObserver(() => {
    const numbers = document.querySelector(".pager .quiet-text").textContent;
    const first = document.querySelector(".records .row-link").textContent;
    if (numbers !== "1–25") window.shown.add(`${numbers} ${first}`);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def test_pages_forward_and_back(visit: Visit) -> None:
    page = visit(f"{RECORDS}?size=25")
    pager = page.get_by_role("navigation", name="Pages")
    pager.get_by_text("1–25").wait_for()
    page.evaluate(_NOTE_PAGES)
    seen = []
    for shown in ("1–25", "26–50", "51–60"):
        pager.get_by_text(shown).wait_for()
        seen += page.locator(".records .row-link").all_inner_texts()
        if shown != "51–60":
            pager.get_by_role("button", name="Next").click()
    assert len(set(seen)) == len(seen) == 60
    # At no moment were the rows of one page beside the numbers of another.
    assert page.evaluate("[...window.shown]") == ["26–50 " + seen[25], "51–60 " + seen[50]]
    assert pager.get_by_role("button", name="Next").is_disabled()
    pager.get_by_role("button", name="Previous").click()
    pager.get_by_text("26–50").wait_for()
    page.go_back()
    pager.get_by_text("51–60").wait_for()
    page.reload()
    pager.get_by_text("51–60").wait_for()
    pager.get_by_role("button", name="First page").click()
    pager.get_by_text("1–25").wait_for()


def test_a_namespace_without_records(visit: Visit) -> None:
    page = visit(RECORDS)
    page.get_by_label("Namespace").fill("nobody")
    page.get_by_label("Namespace").press("Enter")
    page.get_by_text("Nothing in this namespace").wait_for()
    page.get_by_role("link", name="Show all namespaces").click()
    page.locator(".records .row-link").first.wait_for()


def test_a_namespace_whose_pages_may_be_empty(visit: Visit) -> None:
    """The server looks through an index a while at a time, and says so by an empty page."""
    asked: list[str] = []

    def slow(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            empty = {"ok": True, "result": {"records": [], "next": "0."}}
            route.fulfill(json=empty)
        else:
            route.continue_()

    page = visit()
    page.route("**/records?*", slow)
    page.goto(page.url.partition("#")[0] + RECORDS)
    page.locator(".records .row-link").first.wait_for()
    page.unroute("**/records?*")
    assert "cursor=0." in asked[1]


def test_one_record_whole_and_its_neighbours(visit: Visit) -> None:
    page = visit(RECORDS)
    page.get_by_label("Open a record by its id").fill("moon-04")
    page.get_by_label("Open a record by its id").press("Enter")
    record = page.get_by_role("complementary", name="Record")
    record.get_by_text("A paper about moon, number 4.").wait_for()
    assert record.locator(".metadata").inner_text().split() == ["year", "1944", "subject", "moon"]
    assert "128 values" in record.inner_text()
    record.get_by_text("As it is stored").click()
    assert '"year": 1944' in record.locator("pre").inner_text()
    near = record.get_by_role("listitem")
    near.first.wait_for()
    assert all("moon-" in text for text in near.all_inner_texts())
    assert "moon-04" not in "".join(near.all_inner_texts())
    near.first.get_by_role("link").click()
    page.wait_for_url(lambda url: "moon-04" not in url)
    record.get_by_role("button", name="Close the record").click()
    assert record.count() == 0


def test_a_record_that_is_not_there(visit: Visit) -> None:
    page = visit(f"{RECORDS}?record=nobody")
    said = page.get_by_role("complementary", name="Record").get_by_role("alert").inner_text()
    assert "no record of 'papers' has the id 'nobody'" in said
