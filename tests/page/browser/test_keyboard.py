"""All of it with keys alone, and a focus that is seen and never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.page.browser.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.ariaLabel || ''"
SEEN = """() => {
    const {activeElement: it} = document;
    return [it, it.parentElement, it.nextElementSibling].some(shown => {
        const style = shown && getComputedStyle(shown);
        return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    });
}"""
"""Some show it on what is around or beside them."""

INSIDE = "document.activeElement === document.body || !!document.activeElement.closest('dialog')"


def tab_to(page: Page, label: str) -> None:
    """Press Tab until something of that label has the focus, which has to be seen all the way."""
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate(SEEN), page.evaluate(FOCUSED)
        if page.evaluate(FOCUSED).startswith(label):
            return
    raise AssertionError(f"no Tab leads to {label}")


def test_from_the_indexes_to_a_record_and_back(visit: Visit) -> None:
    page = visit()
    page.get_by_text("hostile").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "To the content"
    page.keyboard.press("Enter")
    tab_to(page, "papers")
    page.keyboard.press("Enter")
    page.locator(".records .row-link").first.wait_for()
    rows = page.locator(".records .row-link").all_inner_texts()
    tab_to(page, rows[0])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == rows[2]
    page.keyboard.press("Home")
    assert page.evaluate(FOCUSED) == rows[0]
    page.keyboard.press("Enter")
    record = page.get_by_role("complementary", name="Record")
    record.locator(".metadata").wait_for()
    assert page.evaluate("document.activeElement.className") == "record"
    page.keyboard.press("Escape")
    assert record.count() == 0
    assert page.evaluate(FOCUSED) == rows[0]


def test_a_dialog_keeps_the_focus_and_gives_it_back(visit: Visit) -> None:
    page = visit("#/index/papers/about")
    page.get_by_role("button", name="Delete this index").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Delete index")
    assert page.evaluate("document.activeElement.tagName") == "INPUT"
    page.keyboard.type("paper")
    page.keyboard.press("Enter")
    assert confirm.is_disabled()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(INSIDE)
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    assert page.evaluate(FOCUSED).startswith("Delete this index")


def test_a_search(visit: Visit) -> None:
    page = visit("#/index/papers/search")
    page.get_by_text("Ask with a sentence").wait_for()
    page.get_by_role("radio", name="Text").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("moon")
    page.keyboard.press("Enter")
    matches = page.locator(".matches .row-link")
    matches.first.wait_for()
    tab_to(page, matches.first.inner_text())
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == matches.last.inner_text()
