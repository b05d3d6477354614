"""What is stored is never run: scripts in every field, endless texts, other directions, emoji."""

from __future__ import annotations

import pytest

from tests.page.browser.conftest import Visit
from tests.page.browser.serving import HOSTILE_IDS, IMAGE, RIGHT_TO_LEFT, SCRIPT

HOSTILE = "#/index/hostile"


def shown(record_id: str) -> str:
    """An id as the page shows it: what joins emoji cannot be seen."""
    return record_id.replace("\u200d", r"\u200d").replace("\ufe0f", r"\ufe0f")


@pytest.mark.parametrize("width", [360, 1600])
def test_a_page_of_records(visit: Visit, width: int) -> None:
    page = visit(f"{HOSTILE}/records", width=width)
    ids = page.locator(".records .row-link")
    ids.first.wait_for()
    assert set(ids.all_text_contents()) == set(map(shown, HOSTILE_IDS))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#page script, #page img[src='x']").count() == 0
    written = page.locator(".records .col-text").all_inner_texts()
    assert any(SCRIPT in text and IMAGE in text for text in written)


@pytest.mark.parametrize("record_id", HOSTILE_IDS)
def test_a_record_by_a_click_and_by_its_address(visit: Visit, record_id: str) -> None:
    page = visit(f"{HOSTILE}/records")
    page.locator(".records .row-link").get_by_text(shown(record_id), exact=True).click()
    record = page.get_by_role("complementary", name="Record")
    record.locator(".metadata").wait_for()
    record.get_by_text("As it is stored").click()
    page.reload()
    record.locator(".metadata").wait_for()
    assert record.locator("h2").text_content() == shown(record_id)
    assert SCRIPT in record.locator(".metadata").inner_text()
    assert record.locator("script, img").count() == 0


def test_each_text_has_its_own_direction(visit: Visit) -> None:
    page = visit(f"{HOSTILE}/records")
    text = page.locator(".records [dir=auto]").get_by_text(RIGHT_TO_LEFT)
    assert text.evaluate("shown => getComputedStyle(shown).direction") == "rtl"
    assert page.locator("main").evaluate("shown => getComputedStyle(shown).direction") == "ltr"


def test_long_texts_are_folded(visit: Visit) -> None:
    page = visit(f"{HOSTILE}/records?record=a/../b?c%3Dd%26e%23f%252f")
    record = page.get_by_role("complementary", name="Record")
    record.get_by_role("button", name="Show all 9,000 characters").click()
    assert record.locator(".text").inner_text() == "W" * 9_000
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "view", ["about", "search?by=text&q=x", "search?by=id&q=javascript:alert(1)"]
)
def test_other_panels(visit: Visit, view: str) -> None:
    page = visit(f"{HOSTILE}/{view}")
    page.locator(".matches li, .cards").first.wait_for()
    assert page.locator("#page script, #page img[src='x']").count() == 0


def test_the_map(visit: Visit) -> None:
    page = visit(f"{HOSTILE}/map")
    page.locator(".map-foot").wait_for()
    page.get_by_role("combobox", name="Colour").select_option(IMAGE)
    page.get_by_role("group", name="Colours by").get_by_role("button", name=SCRIPT[:20]).wait_for()
    page.get_by_role("application").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator("#page script, #page img[src='x']").count() == 0


@pytest.mark.parametrize(
    "view", [f"#/index/{SCRIPT}/records", f"#/{IMAGE}", "#/index/%ff/map", "#///?&=&"]
)
def test_an_address_that_somebody_made_up(visit: Visit, view: str) -> None:
    page = visit(view)
    page.get_by_role("navigation", name="Main").wait_for()
    assert page.locator("#page script, #page img[src='x']").count() == 0
