"""Every panel: no fault that axe-core knows, by day and by night, and room for it at any width."""

from __future__ import annotations

import pytest

from tests.page.browser.axe import COLOURS, faults, faults_day_and_night
from tests.page.browser.conftest import Visit

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
    assert faults(page, *(COLOURS if night else ())) == []
    for other in (width, 360 if width > 500 else 1600):
        page.set_viewport_size({"width": other, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), other


def test_a_dialog_has_no_serious_fault(visit: Visit) -> None:
    page = visit()
    page.get_by_role("button", name="New index").click()
    page.get_by_role("button", name="Property").click()
    assert faults_day_and_night(page) == []


@pytest.mark.parametrize(
    ("view", "button"),
    [
        ("about", "Delete this index"),
        ("records?size=25&record=moon-00", "Delete this record"),
    ],
)
def test_a_question_before_a_deletion_has_no_serious_fault(
    visit: Visit, view: str, button: str
) -> None:
    page = visit(f"#/index/papers/{view}")
    page.get_by_role("button", name=button).click()
    page.get_by_role("dialog").get_by_label("to confirm").wait_for()
    assert faults_day_and_night(page) == []


def test_the_question_for_a_token_has_no_serious_fault(visit: Visit, with_token: str) -> None:
    page = visit(at=with_token)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").wait_for()
    assert faults_day_and_night(page) == []


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
