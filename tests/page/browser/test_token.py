"""The token: asked for, kept in the tab, in no address."""

from __future__ import annotations

from tests.page.browser.conftest import TOKEN, Visit


def test_it_is_asked_for_and_stays_in_the_tab(visit: Visit, with_token: str) -> None:
    page = visit("#/index/papers/records", at=with_token)
    field = page.get_by_label("Token")
    field.fill("wrong")
    field.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "papers" not in page.locator("body").inner_text()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.locator(".records .row-link").first.wait_for()
    page.reload()
    page.locator(".records .row-link").first.wait_for()
    assert TOKEN not in page.url
    assert TOKEN not in page.content()


def test_one_in_the_address_is_taken_and_removed(visit: Visit, with_token: str) -> None:
    page = visit(f"#token={TOKEN}", at=with_token)
    page.get_by_role("link", name="papers").first.wait_for()
    assert page.url == f"{with_token}/"
    page.go_back()
    assert TOKEN not in page.url


def test_ones_that_no_server_can_have(visit: Visit, with_token: str) -> None:
    page = visit("#token=%", at=with_token)
    for wrong in (f"“{TOKEN}”", "tökén", "two words"):
        page.get_by_role("alert").get_by_text("That was not it").wait_for()
        page.get_by_label("Token").fill(wrong)
        page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").get_by_text("That was not it").wait_for()
    page.reload()
    page.get_by_role("alert").get_by_text("That was not it").wait_for()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Open").click()
    page.get_by_role("link", name="papers").first.wait_for()
