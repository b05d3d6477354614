"""The map: points, colours, what is pointed at, what is lit; with keys as well."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.page.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

MAP = "#/index/papers/map"
COLOURS = """canvas => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] > 180) found.add(`${data[at]} ${data[at + 1]} ${data[at + 2]}`);
    return found.size;
}"""

A_POINT = """canvas => {
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const at = data.findIndex((value, n) => n % 4 === 3 && value > 180);
    return [(at >> 2) % canvas.width, Math.floor((at >> 2) / canvas.width)];
}"""


NEXT_FRAME = "() => new Promise(shown => requestAnimationFrame(() => setTimeout(shown)))"


def drawn(page: Page) -> int:
    """How many colours the map has, once it is drawn."""
    page.locator(".map-foot").wait_for()
    page.evaluate(NEXT_FRAME)
    found: int = page.locator(".map canvas").first.evaluate(COLOURS)
    return found


def test_points_in_one_colour_or_in_those_of_a_property(visit: Visit) -> None:
    page = visit(MAP)
    plain = drawn(page)
    assert "60 vectors" in page.locator(".map-foot").inner_text()
    page.get_by_role("combobox", name="Colour").select_option("subject")
    legend = page.get_by_role("group", name="Colours by subject")
    legend.wait_for()
    assert sorted(legend.get_by_role("button").all_inner_texts()) == [
        f"{subject}\n15" for subject in ("bread", "clocks", "moon", "rivers")
    ]
    assert drawn(page) > plain > 0
    legend.get_by_role("button", name="moon").click()
    assert legend.get_by_role("button", name="moon").get_attribute("aria-pressed") == "true"
    page.get_by_role("combobox", name="Colour").select_option("year")
    page.get_by_role("img", name="Colours from the least to the greatest").wait_for()
    assert "1940" in page.locator(".legend").inner_text()


def test_a_point_shows_its_text_and_opens_its_record(visit: Visit) -> None:
    page = visit(MAP)
    drawn(page)
    map_ = page.get_by_role("application")
    map_.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator(".tip")
    first = tip.inner_text()
    assert "A paper about" in first
    seen = {first}
    for key in ("ArrowLeft", "ArrowUp", "ArrowDown", "ArrowRight") * 3:
        page.keyboard.press(key)
        seen.add(tip.inner_text())
    assert len(seen) > 3
    assert page.locator(".map-frame [role=status]").inner_text().split(":")[0] in tip.inner_text()
    page.keyboard.press("Enter")
    record = page.get_by_role("complementary", name="Record")
    record.locator(".text").wait_for()
    assert record.locator("h2").inner_text() in tip.inner_text()
    page.keyboard.press("Escape")
    assert record.count() == 0
    # The same by mouse.
    frame = map_.bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + 3, frame["y"] + 3)
    assert tip.count() == 0
    x, y = page.locator(".map canvas").first.evaluate(A_POINT)
    page.mouse.move(frame["x"] + x, frame["y"] + y)
    assert "A paper about" in tip.inner_text()
    page.mouse.down()
    page.mouse.up()
    record.locator(".text").wait_for()


def test_a_search_lights_its_hits_which_are_a_list_too(visit: Visit) -> None:
    page = visit(MAP)
    drawn(page)
    page.get_by_label("Find on the map").fill("rivers")
    page.get_by_label("Find on the map").press("Enter")
    lit = page.get_by_role("region", name="Lit on the map").get_by_role("listitem")
    lit.nth(14).wait_for()
    assert all("rivers-" in text for text in lit.all_inner_texts()[:15])
    lit.first.get_by_role("link").focus()
    assert lit.first.locator(".id").inner_text() in page.locator(".tip").inner_text()
    page.get_by_role("button", name="Put out").click()
    assert lit.count() == 0
    # What the panel of searches found last is lit as well.
    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_label("Text", exact=True).last.fill("clocks")
    page.get_by_label("Text", exact=True).last.press("Enter")
    page.get_by_role("link", name="On the map").click()
    lit.first.wait_for()
    assert "clocks-" in lit.first.inner_text()


def test_where_reading_costs_money_its_price_comes_first(visit: Visit, address: str) -> None:
    """This page says that it is of an account; all else is as it is."""

    def costly(route: Route) -> None:
        answer = route.fetch()
        about = answer.json()
        about["result"]["free"] = False
        route.fulfill(response=answer, body=json.dumps(about))

    page = visit(at=address)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(f"{sent.method} {sent.url.partition('/_/')[2]}"))
    page.route("**/_/page/about", costly)
    page.goto("about:blank")
    page.goto(f"{address}/{MAP}")
    draw = page.get_by_role("button", name="Draw it")
    draw.wait_for()
    assert "60 vectors in" in page.locator(".empty").inner_text()
    assert not [one for one in asked if one.startswith("POST")]
    draw.click()
    assert drawn(page) > 0
