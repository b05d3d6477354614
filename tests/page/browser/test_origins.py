"""A page of somebody else in the same browser: it changes nothing, and reads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from tests.page.browser.chromium import REBOUND
from tests.page.browser.serving import serving, store
from vectorize_core import VectorizeClient
from vectorize_core.local.server import Settings
from vectorize_core.local.server.app import create_parts
from vectorize_core.page import create_page
from vectorize_core.page.served import page_beside

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ATTACK = """async target => {
    const read = [];
    const all = `${target}/_/page/indexes`;
    const one = `${all}/docs`;
    const confirm = JSON.stringify({confirm: "docs"});
    const made = {name: "theirs", dimensions: 32, metric: "cosine"};
    const mark = {"x-vectorize-page": "1"};
    const json = {...mark, "content-type": "application/json"};
    const plain = {"content-type": "text/plain"};
    const add = (parent, name, with_) =>
        parent.appendChild(Object.assign(document.createElement(name), with_));
    const ways = [
        [all, {}],
        [all, {headers: mark}],
        [`${target}/_/page/activity`, {mode: "no-cors"}],
        [one, {method: "DELETE", body: confirm, headers: json}],
        [one, {method: "DELETE", body: confirm, headers: json, mode: "same-origin"}],
        [one, {method: "POST", body: confirm, mode: "no-cors"}],
        [`${one}/record`, {method: "POST", body: confirm, mode: "no-cors", credentials: "include"}],
        [all, {method: "POST", mode: "no-cors", headers: plain, body: JSON.stringify(made)}],
    ];
    for (const [url, options] of ways) {
        try {
            read.push(await (await fetch(url, options)).text());
        } catch {}
    }
    const kinds = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
    for (const enctype of kinds) {
        const frame = add(document.body, "iframe", {name: enctype});
        const form = {method: "post", action: all, enctype, target: enctype};
        const sent = add(document.body, "form", form);
        add(sent, "input", {name: JSON.stringify({...made, x: ""}).slice(0, -2), value: '"}'});
        const loaded = new Promise(done => frame.addEventListener("load", done));
        sent.submit();
        await loaded;
    }
    const frame = add(document.body, "iframe", {});
    const loaded = new Promise(done => frame.addEventListener("load", done));
    frame.src = `${target}/`;
    await loaded;
    try { read.push(frame.contentDocument.body.innerHTML); } catch {}
    const image = new Image();
    const ended = new Promise(done => { image.onload = image.onerror = done; });
    image.src = `${target}/page/icon.svg`;
    await ended;
    return [...read.filter(text => text.trim()), image.naturalWidth];
}"""


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    with VectorizeClient.local() as client:
        store(client, "docs").add_texts(["a secret"], ids=["a"])
        yield client


@pytest.fixture
def target(client: VectorizeClient) -> Iterator[str]:
    with serving(create_page(client)) as address:
        yield address


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def test_a_page_of_another_origin(window: Page, client: VectorizeClient, target: str) -> None:
    async def theirs(_: object) -> HTMLResponse:
        return HTMLResponse("<!doctype html><body>Have a look!")

    with serving(Starlette(routes=[Route("/", theirs)])) as elsewhere:
        window.goto(elsewhere)
        read = window.evaluate(ATTACK, target)
    assert read == [0]
    assert [index.name for index in client.list_indexes()] == ["docs"]
    assert list(client.index("docs").list_ids()) == ["a"]


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/_/page/indexes"])
def test_a_name_that_was_rebound_to_this_machine(window: Page, target: str, path: str) -> None:
    answer = window.goto(f"http://{REBOUND}:{target.rpartition(':')[2]}{path}")
    assert answer is not None
    assert answer.status == 403
    assert json.loads(answer.text())["error"]["type"] == "Refused"
    assert "docs" not in answer.text()


FORM = """async target => {
    const file = new File(['{"id": "theirs", "values": [1]}'], "vectors.ndjson");
    const body = new FormData();
    body.append("vectors", file);
    await fetch(target, {method: "POST", body, mode: "no-cors"});
}"""


def test_the_api_of_a_server_with_a_page(window: Page) -> None:
    parts = create_parts()
    path = "/client/v4/accounts/local/vectorize/v2/indexes"
    seen: list[int] = []
    window.on("response", lambda answer: seen.append(answer.status))
    with serving(page_beside(parts, Settings())) as address, serving(Starlette()) as elsewhere:
        window.goto(f"http://{REBOUND}:{address.rpartition(':')[2]}{path}")
        # Another program of this machine, and another origin.
        window.goto(elsewhere)
        window.evaluate(FORM, f"{address}{path}/docs/insert")
    assert seen == [403, 404, 403]
