"""Searches on the page, filters, and what is said of both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.page.browser.conftest import Visit
from tests.page.browser.serving import Words, serving
from vectorize_core import Vector, VectorizeClient
from vectorize_core.page import create_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

SEARCH = "#/index/papers/search"


def test_by_text(visit: Visit) -> None:
    page = visit(SEARCH)
    page.get_by_label("Text", exact=True).last.fill("Something about bread?")
    page.get_by_label("Results").fill("5")
    page.get_by_label("Namespace").press("Enter")
    matches = page.locator(".matches li")
    matches.nth(4).wait_for()
    assert matches.count() == 5
    assert all("bread-" in text for text in matches.all_inner_texts())
    said = page.locator(".found-head").inner_text()
    assert "5 matches" in said
    assert "1 request" in said
    # The view can be linked, and found again.
    linked = page.url
    page.goto("about:blank")
    page.goto(linked)
    matches.nth(4).wait_for()
    assert page.get_by_label("Text", exact=True).last.input_value() == "Something about bread?"
    page.get_by_role("button", name="Explanation").click()
    page.get_by_text("Asked of the service", exact=True).wait_for()


def test_by_the_id_of_a_record_and_by_a_vector(visit: Visit) -> None:
    page = visit(SEARCH)
    page.get_by_role("radio", name="Record").check()
    page.get_by_label("Id of a record").fill("moon-00")
    page.get_by_label("Id of a record").press("Enter")
    page.locator(".matches li").first.wait_for()
    assert "moon-" in page.locator(".matches li").first.inner_text()
    page.get_by_role("radio", name="Vector").check()
    numbers = page.get_by_label("128 numbers")
    numbers.fill("[1, 2, oops]")
    page.get_by_role("button", name="Search", exact=True).click()
    assert "Value 3, oops, is not a number" in page.get_by_role("alert").inner_text()
    numbers.fill("[1, 2]")
    page.get_by_role("button", name="Search", exact=True).click()
    assert "128 dimensions" in page.get_by_role("alert").inner_text()
    numbers.fill(json.dumps(Words().embed_query("clocks")))
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".matches li", has_text="clocks-").first.wait_for()


def test_a_record_that_is_not_there(visit: Visit) -> None:
    page = visit(f"{SEARCH}?by=id&q=nobody")
    assert "no record of 'papers' has the id 'nobody'" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize(
    ("filter", "marked", "said"),
    [
        ('{"year": {"$foo": 1}}', '"$foo"', "$foo"),
        ("{'$or': [{'year': 1}, {'year': {'$gt': None}}]}", "'$gt'", "$or[1].year"),
        ('{"year": }', "}", "Line 1, column 10"),
        ("{'year': 1", "{", "} is missing"),
        ("{'subject': 'moon'}", "'subject'", "no metadata index on 'subject'"),
    ],
)
def test_an_error_in_a_filter_is_shown_at_its_place(
    visit: Visit, filter: str, marked: str, said: str
) -> None:
    page = visit(SEARCH)
    field = page.get_by_label("Filter", exact=True)
    field.fill(filter)
    error = page.locator(".filter-error")
    error.wait_for()
    assert page.locator(".filter-back mark").inner_text() == marked
    assert said in error.inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    error.get_by_role("button").click()
    selected = "e => e.value.slice(e.selectionStart, e.selectionEnd)"
    assert field.evaluate(selected) == marked


def test_a_filter_as_python_writes_it_and_what_it_costs(visit: Visit) -> None:
    page = visit(f"{SEARCH}?by=text&q=moon&k=50")
    page.locator(".matches li").first.wait_for()
    page.get_by_label("Filter", exact=True).fill("{'year': {'$lt': 1943}, }  ")
    page.get_by_role("button", name="What it will do").click()
    assert '{"year":{"$lt":1943}}' in page.locator(".filter-cost").inner_text()
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("3 matches").wait_for()


def test_what_no_metadata_index_answers_can_be_read(visit: Visit) -> None:
    page = visit(f"{SEARCH}?by=text&q=moon&k=50")
    page.get_by_label("Filter", exact=True).fill("{'subject': 'moon'}")
    page.get_by_label("Read every record").check()
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("15 matches").wait_for()


def test_nothing_found_says_why(visit: Visit) -> None:
    page = visit(f"{SEARCH}?by=text&q=moon&ns=nobody")
    page.get_by_text("Nothing was found").wait_for()
    page.goto(
        page.url.partition("#")[0] + "#/index/papers/search?by=text&q=moon&filter={'year':3000}"
    )
    page.reload()
    page.get_by_text("Nothing was found").wait_for()


def test_the_nearer_the_longer_is_the_bar(visit: Visit) -> None:
    """Of distances, and of products of which some are negative; and small ones have digits."""
    with VectorizeClient.local() as client:
        for metric in ("euclidean", "dot-product"):
            client.create_index(metric, dimensions=32, metric=metric)
            client.index(metric).insert(
                [
                    Vector(f"v{n}", [value, *[0.0] * 31])
                    for n, value in enumerate((1.0, 1.0 + 2**-14, 3.0, -2.0))
                ],
                wait="visible",
            )
        with serving(create_page(client)) as at:
            page = visit("#/index/euclidean/search?by=id&q=v0", at=at)
            page.locator(".matches li").nth(2).wait_for()
            assert page.locator(".matches .score").all_inner_texts()[0] == "0.0000610"
            assert bars(page) == pytest.approx([1, 0.667, 0.5], abs=0.01)
            page.goto(f"{at}/#/index/dot-product/search?by=id&q=v0")
            page.get_by_text("-3.0000").wait_for()
            assert bars(page) == pytest.approx([1, 0.333, 0], abs=0.01)
            page.goto(f"{at}/#/index/dot-product/search?by=id&q=v3")
            page.get_by_text("6.0000").wait_for()
            assert bars(page) == pytest.approx([1, 1, 0.333], abs=0.01)


def bars(page: Page) -> list[float]:
    """How long the bars beside scores are."""
    found: list[float] = page.locator(".match-meter").evaluate_all("all => all.map(m => m.value)")
    return found
