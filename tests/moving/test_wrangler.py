"""Files as wrangler reads them: it inserts ours, and what people wrote for it is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.moving.places import vectors_in
from tests.nightly import NIGHTLY
from tests.stores import vector
from vectorize_core import Vector, VectorizeClient
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.moving import export_records, import_records, verify_records

VECTORS = [
    Vector(
        f"{n}", vector(f"{n}"), "n" if n % 2 else None, {"a": {"b": n}, "é": ["日本", n % 3 == 0]}
    )
    for n in range(30)
]


@pytest.fixture
def ours(tmp_path: Path, client: VectorizeClient) -> Path:
    """A file of our vectors."""
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert(VECTORS)
    export_records(client.index("docs"), tmp_path / "docs.ndjson")
    return tmp_path / "docs.ndjson"


@pytest.fixture
def there() -> Iterator[VectorizeClient]:
    """A server with an empty index."""
    with (
        BackgroundServer(Settings()) as server,
        VectorizeClient("local", base_url=server.base_url, api_token="any") as client,
    ):
        client.create_index("docs", dimensions=32)
        yield client


def base_url(client: VectorizeClient) -> str:
    return str(client.connection.address.base_url)


def test_the_form_that_wrangler_sends_holds_our_file(ours: Path, there: VectorizeClient) -> None:
    # One part of that name and type, its lines without the end of the last one.
    form = {"vectors": ("vectors.ndjson", ours.read_bytes().rstrip(b"\n"), "application/x-ndjson")}
    url = f"{base_url(there)}/accounts/local/vectorize/v2/indexes/docs/insert"
    assert httpx.post(url, files=form, trust_env=False).json()["success"]
    assert verify_records(ours, there.index("docs")).records == len(VECTORS)


def test_wrangler_inserts_our_file(
    ours: Path, there: VectorizeClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {
        **os.environ,
        "CI": "true",
        "WRANGLER_SEND_METRICS": "false",
        "CLOUDFLARE_API_BASE_URL": base_url(there),
        "CLOUDFLARE_ACCOUNT_ID": "local",
        "CLOUDFLARE_API_TOKEN": "any",
    }
    wrangler = found(tmp_path_factory)
    done = subprocess.run(
        [wrangler, "vectorize", "insert", "docs", "--file", str(ours)],
        env=environment,
        cwd=ours.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_records(ours, there.index("docs")).records == len(VECTORS)


def found(factory: pytest.TempPathFactory) -> str:
    """The command wrangler; at night it is installed where it is missing."""
    there = shutil.which("wrangler")
    if there is not None:
        return there
    if not NIGHTLY or shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("wrangler is not installed; at night npm and node install it")
    folder = factory.mktemp("wrangler")
    install = ["npm", "install", "--no-audit", "--no-fund", "wrangler"]
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode != 0:
        pytest.skip("wrangler cannot be installed")
    return str(folder / "node_modules" / ".bin" / "wrangler")


def test_a_file_for_wrangler_is_imported(tmp_path: Path, there: VectorizeClient) -> None:
    """Of the form that Cloudflare's page on inserting vectors shows."""
    file = tmp_path / "embeddings.ndjson"
    lines = [
        {"id": "1", "values": vector("1"), "metadata": {"url": "/products/sku/13913913"}},
        {"id": "2", "values": vector("2"), "metadata": {"url": "/products/sku/10148191"}},
        {"id": "3", "values": vector("3"), "namespace": "text"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert import_records(file, there.index("docs"), verify=True).records == 3
    assert vectors_in(there.index("docs")) == {
        str(line["id"]): Vector(
            str(line["id"]), vector(str(line["id"])), line.get("namespace"), line.get("metadata")
        )
        for line in lines
    }
