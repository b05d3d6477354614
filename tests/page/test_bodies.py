"""Bodies of all kinds, at every route: whatever comes is answered as JSON, and within bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from tests.page.helpers import Browser
from vectorize_core import VectorizeClient
from vectorize_core.page import create_page
from vectorize_core.page.app import MOST_AT_ONCE, MOST_BODY

ROUTES = [
    ("POST", "indexes"),
    ("DELETE", "indexes/docs"),
    ("DELETE", "indexes/docs/record"),
    ("POST", "indexes/docs/search"),
    ("POST", "indexes/docs/explain"),
    ("POST", "indexes/docs/map"),
]
NAMES = st.sampled_from(
    [
        *("name", "dimensions", "metric", "metadata_indexes", "id", "by", "text", "vector", "k"),
        *("namespace", "filter", "scan", "points", "color"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":NaN}', b"[" * 5_000, b'{"k":"\\ud800"}'],
)
async def test_what_is_no_object_is_refused(
    still: VectorizeClient, method: str, path: str, content: bytes
) -> None:
    status, error = await Browser(create_page(still)).error(method, path, content=content)
    assert (status, error["type"]) == (400, "InvalidInputError")


async def test_a_body_is_bounded(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    status, _ = await browser.error("POST", "indexes/docs/search", content=b" " * (MOST_BODY + 1))
    assert status == 413


@examples(40)
@given(st.sampled_from(ROUTES), st.dictionaries(NAMES, VALUES, max_size=5))
def test_no_body_is_more_than_the_page_can_answer(
    still: VectorizeClient, route: tuple[str, str], body: dict[str, Any]
) -> None:
    body.pop("confirm", None)
    if route == ("POST", "indexes"):
        body.pop("name", None)
    answer = asyncio.run(Browser(create_page(still)).send(*route, body))
    assert answer.status_code < 500, (answer.text, body)
    assert answer.headers["content-type"] == "application/json"


async def test_calls_at_once_are_bounded(still: VectorizeClient) -> None:
    class Slow:
        def embed_query(self, text: str) -> list[float]:
            raise AssertionError(text)

    browser = Browser(create_page(still, embedder=Slow()))
    asked = [browser.send("GET", "indexes") for _ in range(3 * MOST_AT_ONCE)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) >= MOST_AT_ONCE
    # And there is room again.
    assert (await browser.send("GET", "indexes")).status_code == 200


async def test_methods_and_addresses_that_are_none(still: VectorizeClient) -> None:
    browser = Browser(create_page(still))
    for method, path in (
        ("PUT", "indexes"),
        ("POST", "about"),
        ("PATCH", "indexes/docs"),
        ("GET", "indexes/docs/search"),
        ("GET", "indexes/docs/"),
        ("GET", "indexes/"),
        ("GET", "nothing"),
        ("GET", "/other"),
        ("POST", "activity"),
    ):
        status, error = await browser.error(method, path, {})
        assert status in (404, 405)
        assert error["type"] == "NotFound"
