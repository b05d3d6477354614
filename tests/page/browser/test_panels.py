"""Every panel: no fault that axe-core knows, by day and by night, and room for it at any width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS = ["color-contrast"]
"""What differs by night; all else is the same page."""
VIEWS = {
    "indexes": ("#/", "text=hostile"),
    "about": ("#/index/papers/about", "text=Delete this index"),
    "records": ("#/index/papers/records?size=25", "text=moon-00"),
    "record": ("#/index/papers/records?size=25&record=moon-00", "aside ol a"),
    "search": ("#/index/papers/search?by=text&q=moon", ".matches li"),
    "wrong filter": ("#/index/papers/search?filter={'year':{'$foo':1}}", ".filter-error"),
    "map": ("#/index/papers/map?color=subject", ".legend button"),
    "empty": ("#/index/empty/records", "text=This index is empty"),
    "missing": ("#/index/nothing/records", "[role=alert]"),
    "hostile": ("#/index/hostile/records?record=javascript:alert(1)", "aside dl"),
}


@pytest.mark.parametrize(("night", "width"), [(False, 1600), (True, 360)], ids=["day", "night"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_panel_has_no_serious_fault(visit: Visit, name: str, night: bool, width: int) -> None:
    view, there = VIEWS[name]
    page = visit(view, width=width, night=night)
    page.locator(there).first.wait_for()
    assert faults(page, COLOURS if night else None) == []
    for other in (width, 360 if width > 500 else 1600):
        page.set_viewport_size({"width": other, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), other


def test_a_dialog_has_no_serious_fault(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="New index").click()
    page.get_by_role("button", name="Property").click()
    assert faults(page) == []


def test_the_question_for_a_token_has_no_serious_fault(visit: Visit, with_token: str) -> None:
    page = visit(at=with_token)
    page.get_by_label("Token").wait_for()
    assert faults(page) == []


def test_day_and_night_can_be_chosen_and_stay(visit: Visit) -> None:
    page = visit()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    day = page.evaluate(background)
    page.get_by_role("button", name="Switch to night").click()
    night = page.evaluate(background)
    assert night != day
    page.reload()
    page.get_by_role("button", name="Switch to day").wait_for()
    assert page.evaluate(background) == night
    page.get_by_role("button", name="Switch to day").click()
    assert page.evaluate("localStorage.length") == 0


def faults(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe-core finds that is serious or critical, and where; perhaps by some rules only."""
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{fault['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
