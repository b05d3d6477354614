"""Cloudflare's own Python SDK, unchanged, against the local server: every Vectorize method."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import cloudflare
import pytest
from cloudflare import AsyncCloudflare, Cloudflare

from vectorize_core.local.server import BackgroundServer, Settings

pytestmark = pytest.mark.filterwarnings("ignore:Passing raw bytes as `body`:DeprecationWarning")
TOKEN = "t0ken"
ONES = [1.0] * 32
# The SDK says application/json for a write unless it is told otherwise; the service refuses that.
NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*vectors: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(vector) for vector in vectors).encode()


VECTORS = lines(
    {"id": "a", "values": ONES, "namespace": "n", "metadata": {"kind": "x"}},
    {"id": "b", "values": [0.0, *ONES[1:]], "metadata": {"kind": "y"}},
)


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(Settings(token=TOKEN)) as server:
        yield server


def options(server: BackgroundServer, token: str = TOKEN) -> dict[str, Any]:
    return {"base_url": server.base_url, "api_token": token, "max_retries": 0}


@pytest.fixture
def account(request: pytest.FixtureRequest) -> dict[str, str]:
    """An account of its own for each test."""
    return {"account_id": f"{abs(hash(request.node.nodeid)):x}"}


@pytest.fixture
def sdk(server: BackgroundServer) -> Iterator[Cloudflare]:
    with Cloudflare(**options(server)) as client:
        yield client


@pytest.fixture
async def async_sdk(server: BackgroundServer) -> AsyncIterator[AsyncCloudflare]:
    async with AsyncCloudflare(**options(server)) as client:
        yield client


def test_every_method(  # noqa: PLR0915 - there are that many
    sdk: Cloudflare, account: dict[str, str]
) -> None:
    indexes = sdk.vectorize.indexes
    config: Any = {"dimensions": 32, "metric": "cosine"}
    created = indexes.create(name="docs", config=config, description="d", **account)
    assert created is not None
    assert (created.name, created.description) == ("docs", "d")
    assert created.created_on is not None
    assert [index.name for index in indexes.list(**account)] == ["docs"]
    got = indexes.get("docs", **account)
    assert got is not None
    assert got.config is not None
    assert got.config.dimensions == 32

    metadata = indexes.metadata_index
    made = metadata.create("docs", property_name="kind", index_type="string", **account)
    assert made is not None
    assert made.mutation_id
    listed = metadata.list("docs", **account)
    assert listed is not None
    assert listed.metadata_indexes is not None
    assert [(m.property_name, m.index_type) for m in listed.metadata_indexes] == [
        ("kind", "String")
    ]

    inserted = indexes.insert("docs", body=VECTORS, extra_headers=NDJSON, **account)
    assert inserted is not None
    info = indexes.info("docs", **account)
    assert info is not None
    assert (info.vector_count, info.dimensions) == (2, 32)
    assert info.processed_up_to_mutation == inserted.mutation_id
    assert info.processed_up_to_datetime is not None

    upserted = indexes.upsert(
        "docs",
        body=b"nothing\n" + lines({"id": "c", "values": ONES}),
        unparsable_behavior="discard",
        extra_headers=NDJSON,
        **account,
    )
    assert upserted is not None
    assert upserted.mutation_id

    found = indexes.query(
        "docs",
        vector=ONES,
        top_k=2,
        return_values=True,
        return_metadata="all",
        filter={"kind": {"$ne": "y"}},
        extra_body={"namespace": "n"},
        **account,
    )
    assert found is not None
    assert found.matches is not None
    (match,) = found.matches
    assert (found.count, match.id, match.namespace, match.metadata, match.values) == (
        1,
        "a",
        "n",
        {"kind": "x"},
        ONES,
    )
    assert match.score == pytest.approx(1.0)

    vectors: Any = indexes.get_by_ids("docs", ids=["a", "missing"], **account)
    assert [vector["id"] for vector in vectors] == ["a"]
    page = indexes.list_vectors("docs", count=2, **account)
    assert page is not None
    assert (page.count, page.total_count, page.is_truncated) == (2, 3, True)
    assert page.cursor_expiration_timestamp is not None
    rest = indexes.list_vectors("docs", count=2, cursor=page.next_cursor or "", **account)
    assert rest is not None
    assert {vector.id for vector in [*page.vectors, *rest.vectors]} == {"a", "b", "c"}
    assert rest.next_cursor is None

    deleted = indexes.delete_by_ids("docs", ids=["a"], **account)
    assert deleted is not None
    assert deleted.mutation_id
    dropped = metadata.delete("docs", property_name="kind", **account)
    assert dropped is not None
    assert dropped.mutation_id
    assert indexes.delete("docs", **account) is None
    assert list(indexes.list(**account)) == []


async def test_every_method_awaited(async_sdk: AsyncCloudflare, account: dict[str, str]) -> None:
    indexes = async_sdk.vectorize.indexes
    preset: Any = {"preset": "@cf/baai/bge-small-en-v1.5"}
    created = await indexes.create(name="preset", config=preset, **account)
    assert created is not None
    assert created.config is not None
    assert created.config.dimensions == 384
    config: Any = {"dimensions": 32, "metric": "euclidean"}
    await indexes.create(name="docs", config=config, **account)
    assert {index.name async for index in indexes.list(**account)} == {"docs", "preset"}
    got = await indexes.get("docs", **account)
    assert got is not None
    assert got.name == "docs"

    metadata = indexes.metadata_index
    await metadata.create("docs", property_name="kind", index_type="string", **account)
    listed = await metadata.list("docs", **account)
    assert listed is not None
    assert len(listed.metadata_indexes or []) == 1

    await indexes.insert("docs", body=VECTORS, extra_headers=NDJSON, **account)
    upserted = await indexes.upsert("docs", body=VECTORS, extra_headers=NDJSON, **account)
    info = await indexes.info("docs", **account)
    assert upserted is not None
    assert info is not None
    assert info.processed_up_to_mutation == upserted.mutation_id
    found = await indexes.query("docs", vector=ONES, filter={"kind": "y"}, **account)
    assert found is not None
    assert found.matches is not None
    assert [(match.id, match.score) for match in found.matches] == [("b", pytest.approx(1.0))]
    vectors: Any = await indexes.get_by_ids("docs", ids=["b"], **account)
    assert [vector["id"] for vector in vectors] == ["b"]
    page = await indexes.list_vectors("docs", **account)
    assert page is not None
    assert page.total_count == 2

    assert await indexes.delete_by_ids("docs", ids=["b"], **account) is not None
    assert await metadata.delete("docs", property_name="kind", **account) is not None
    assert await indexes.delete("docs", **account) is None


def test_its_errors_are_its_own_classes(
    sdk: Cloudflare, server: BackgroundServer, account: dict[str, str]
) -> None:
    indexes = sdk.vectorize.indexes
    with pytest.raises(cloudflare.NotFoundError) as missing:
        indexes.get("docs", **account)
    assert [error.code for error in missing.value.errors] == [3000]
    config: Any = {"dimensions": 32, "metric": "cosine"}
    indexes.create(name="docs", config=config, **account)
    with pytest.raises(cloudflare.BadRequestError) as taken:
        indexes.create(name="docs", config=config, **account)
    assert [error.code for error in taken.value.errors] == [3002]
    # Bytes without a content type of their own, as the documentation has it.
    with pytest.raises(cloudflare.BadRequestError) as kind:
        indexes.insert("docs", body=VECTORS, **account)
    assert [error.code for error in kind.value.errors] == [1005]
    indexes.delete("docs", **account)
    with pytest.raises(cloudflare.APIStatusError) as gone:
        indexes.info("docs", **account)
    assert gone.value.status_code == 410
    stranger = Cloudflare(**options(server, "wrong"))
    with stranger, pytest.raises(cloudflare.AuthenticationError) as refused:
        list(stranger.vectorize.indexes.list(**account))
    assert [error.code for error in refused.value.errors] == [10000]


def test_a_lenient_server_takes_its_writes_as_they_come(account: dict[str, str]) -> None:
    settings = Settings(lenient=True)
    with BackgroundServer(settings) as server, Cloudflare(**options(server)) as sdk:
        config: Any = {"dimensions": 32, "metric": "cosine"}
        sdk.vectorize.indexes.create(name="docs", config=config, **account)
        sdk.vectorize.indexes.insert("docs", body=VECTORS, **account)
        info = sdk.vectorize.indexes.info("docs", **account)
        assert info is not None
        assert info.vector_count == 2
        # It makes a JSON string of a body that is text.
        text: Any = VECTORS.decode().replace('"a"', '"c"')
        sdk.vectorize.indexes.upsert("docs", body=text, **account)
        assert len(sdk.vectorize.indexes.list_vectors("docs", **account).vectors) == 3


def test_it_tries_again_after_too_many_requests(account: dict[str, str]) -> None:
    rule = {"status": 429, "code": 971, "times": 2, "headers": {"Retry-After": "0"}}
    with (
        BackgroundServer(Settings(faults=[rule])) as server,
        Cloudflare(**{**options(server), "max_retries": 2}) as sdk,
    ):
        assert list(sdk.vectorize.indexes.list(**account)) == []


def test_the_environment_of_the_server_is_enough(
    server: BackgroundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    account_id = server.environment["CLOUDFLARE_ACCOUNT_ID"]
    with Cloudflare() as sdk:
        assert list(sdk.vectorize.indexes.list(account_id=account_id)) == []
