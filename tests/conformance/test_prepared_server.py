"""The prepared server answers what the suites of Cloudflare's SDKs send."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.prepared_server import ACCOUNT, IDS, INDEX, METADATA_INDEX, Prepared
from vectorize_core.local.server import Settings, create_app

CONFIG = {"name": INDEX, "config": {"dimensions": 768, "metric": "cosine"}}
PROPERTY = {"propertyName": METADATA_INDEX}
FILE = {"": ("anonymous_file", b"some file contents")}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "", {"json": CONFIG}),
    ("GET", "", {}),
    ("GET", f"/{INDEX}", {}),
    ("DELETE", f"/{INDEX}", {}),
    ("GET", f"/{INDEX}/info", {}),
    ("POST", f"/{INDEX}/insert", {"files": FILE}),
    ("POST", f"/{INDEX}/upsert?unparsable-behavior=error", {"content": b"Example data"}),
    ("POST", f"/{INDEX}/query", {"json": {"vector": [0.5, 0.5, 0.5], "filter": {"a": "b"}}}),
    ("POST", f"/{INDEX}/get_by_ids", {"json": {"ids": IDS}}),
    ("POST", f"/{INDEX}/delete_by_ids", {"json": {"ids": IDS}}),
    ("GET", f"/{INDEX}/list?count=50&cursor=suUTaDY5PFUiRweVccnzyt9n75suNPbXHPshvCzue5mHjtj7", {}),
    ("POST", f"/{INDEX}/metadata_index/create", {"json": {**PROPERTY, "indexType": "string"}}),
    ("POST", f"/{INDEX}/metadata_index/delete", {"json": PROPERTY}),
    ("GET", f"/{INDEX}/metadata_index/list", {}),
]


@pytest.fixture
def prepared() -> httpx.ASGITransport:
    return httpx.ASGITransport(Prepared(create_app(Settings(lenient=True))))


async def test_any_call_succeeds_in_any_order(prepared: httpx.ASGITransport) -> None:
    url = f"http://localhost/client/v4/accounts/{ACCOUNT}/vectorize/v2/indexes"
    async with httpx.AsyncClient(transport=prepared) as client:
        for method, path, more in [*CALLS, *reversed(CALLS)]:
            answer = await client.request(method, url + path, **more)
            assert answer.is_success, (method, path, answer.text)
