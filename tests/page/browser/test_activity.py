"""What happens on a server as `serve` runs it: requests as they are answered, faults on and off."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.page.browser.axe import faults_day_and_night
from tests.page.browser.conftest import Visit
from tests.page.browser.serving import DIMENSIONS, Words, serving
from vectorize_core import Vector, VectorizeClient
from vectorize_core.local.server import Settings
from vectorize_core.local.server.app import create_parts
from vectorize_core.page.embedders import Embedder
from vectorize_core.page.served import page_beside


@pytest.fixture
def at() -> Iterator[str]:
    settings = Settings()
    page = page_beside(create_parts(settings), settings, Embedder(Words()))
    with serving(page) as address:
        yield address


def test_requests_appear_as_they_are_answered(visit: Visit, at: str) -> None:
    page = visit("#/activity", at=at)
    page.get_by_text("live", exact=True).wait_for()
    api = f"{at}/client/v4"
    with VectorizeClient("local", "any", base_url=api) as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        index = client.index("docs")
        index.upsert([Vector("a", [1.0] * DIMENSIONS, metadata={"year": 1960})], wait="visible")
    body = {"vector": [1.0] * DIMENSIONS, "filter": {"year": 1960}}
    query = f"{api}/accounts/local/vectorize/v2/indexes/docs/query"
    assert httpx.post(query, json=body).status_code == 200
    rows = page.locator(".requests tbody tr")
    searched = rows.filter(has_text="year")
    searched.first.wait_for()
    assert searched.first.locator(".request-hint").count() == 1
    page.get_by_label("Show only").fill("upsert docs")
    rows.filter(has_text="year").wait_for(state="detached")
    assert rows.count() >= 1
    page.get_by_role("button", name="Hold").click()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("None has that").wait_for()


def test_faults_and_delays_are_turned_on_and_off(visit: Visit, at: str) -> None:
    page = visit("#/activity", at=at)
    faults = page.get_by_role("region", name="Faults and delays")
    faults.get_by_label("What").select_option("down")
    faults.get_by_label("How often").select_option("all")
    faults.get_by_role("button", name="Turn on").click()
    faults.get_by_text("Status 503").wait_for()
    indexes = f"{at}/client/v4/accounts/local/vectorize/v2/indexes"
    assert httpx.get(indexes).status_code == 503
    page.locator(".requests .tag.bad", has_text="503").first.wait_for()
    # Nothing of one request turns the letters of another round.
    httpx.get(f"{at}/client/v4/\u202ebackwards")
    page.locator(".requests b", has_text=r"\u202ebackwards").wait_for()
    assert faults_day_and_night(page) == []
    page.reload()
    faults.get_by_role("button", name="Turn off: Status 503").click()
    faults.get_by_text("None is on").wait_for()
    assert httpx.get(indexes).status_code == 200
    faults.get_by_label("until a write is processed").fill("2.5")
    faults.get_by_role("button", name="Set delays").click()
    page.get_by_text("The delays are set").wait_for()
    page.reload()
    faults.get_by_text("None is on").wait_for()
    assert faults.get_by_label("until a write is processed").input_value() == "2.5"


def test_many_tabs_do_not_lock_each_other_out(visit: Visit, at: str) -> None:
    """A browser has six connections for a host, and a stream holds one as long as it lasts."""
    tabs = [visit("#/activity", at=at) for _ in range(7)]
    for tab in tabs[-3:]:
        tab.get_by_text("live", exact=True).wait_for()
    for tab in tabs[:-3]:
        tab.get_by_text("waits while other tabs are live").wait_for()
    first, last = tabs[0], tabs[-1]
    httpx.get(f"{at}/client/v4/accounts/local/vectorize/v2/indexes/one")
    last.get_by_text("one", exact=True).wait_for()
    first.evaluate("dispatchEvent(new Event('focus'))")
    first.get_by_text("one", exact=True).wait_for()
    with first.expect_event("requestfailed"):
        first.evaluate(HIDE)
    first.get_by_text("waits while other tabs are live").wait_for()


HIDE = """() => {
    Object.defineProperty(document, "hidden", {value: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
