"""How many requests a call may take: any number where they cost nothing, unless it is told."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.vector_stores.types import VectorStoreQuery

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.nightly import NIGHTLY
from tests.stores import Call, both_ways, client_of, sync_call
from vectorize_core import (
    ConfigurationError,
    RequestLimitWarning,
    TooManyRequestsNeededError,
    Vector,
    VectorizeClient,
    layout,
)
from vectorize_core.reads import selection

MANY = 3_700
"""So many matches take more than the hundred requests of a search."""


@pytest.fixture(autouse=True)
def first_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not been told yet."""
    monkeypatch.setattr(selection, "_warned", threading.Event())


def fill(client: VectorizeClient, count: int, namespace: str | None = None) -> None:
    values = np.random.default_rng(5).standard_normal((count, 32)).astype(np.float32)
    records = (layout.Record(str(n), "text") for n in range(count))
    if namespace is not None:
        records = (layout.of_tenant(record, namespace) for record in records)
    client.create_index("docs", dimensions=32, exist_ok=True)
    client.index("docs").upsert(
        Vector(record.id, row, namespace, layout.encode(record, indexed=layout.METADATA_INDEXES))
        for row, record in zip(values, records, strict=True)
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("vectors")
    with VectorizeClient.local(path) as client:
        fill(client, MANY)
    return path


@pytest.fixture
def warned() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@pytest.mark.covering(1)
@both_ways
@both_stores
async def test_embedded_a_search_may_take_any_number_and_says_once_what_cloudflare_would(
    directory: Path, kind: Kind, call: Call, warned: list[warnings.WarningMessage]
) -> None:
    with kind.local(path=directory) as store:
        assert len({*await kind.search(call, store, "q", MANY)}) == MANY
        selection.RequestLimit(selection.Allowance(100, warns=True), "another").charge(101)
    (said,) = warned
    assert said.category is RequestLimitWarning
    assert f"a search of {MANY} matches takes about 1" in str(said.message)
    assert "max_requests= is 100" in str(said.message)


@both_ways
@both_stores
async def test_what_it_is_told_is_the_limit(directory: Path, kind: Kind, call: Call) -> None:
    with kind.local(path=directory) as store:
        for most in (3, 100):
            with pytest.raises(TooManyRequestsNeededError, match=f"max_requests={most}"):
                await kind.search(call, store, "q", MANY, max_requests=most)
    with kind.local(path=directory, limits="cloudflare") as store:
        with pytest.raises(TooManyRequestsNeededError, match="max_requests=100"):
            await kind.search(call, store, "q", MANY)
        if kind is LANGCHAIN:
            # And no warning, which would be an error here.
            assert len(await kind.search(call, store, "q", MANY, max_requests=None)) == MANY


async def test_over_http_cloudflares_limits_hold() -> None:
    with client_of("server") as client:
        client.create_index("docs", dimensions=32)
        index = client.index("docs")
        allowed = selection.allowance({}, 100, index.connection.state("docs"))
        assert allowed == selection.Allowance(100)
        assert list(index.iter_ids(max_requests=None)) == []


def test_ids_that_are_read_count_too(directory: Path) -> None:
    query = VectorStoreQuery(node_ids=[*map(str, range(2_001))], similarity_top_k=2_001)
    with LLAMA_INDEX.local(path=directory, limits="cloudflare") as store:
        with pytest.raises(TooManyRequestsNeededError, match="max_requests=100"):
            store.query(query)
        assert store.query(query, max_requests=None).ids == query.node_ids
    said = pytest.warns(RequestLimitWarning, match="reading by 2001 ids takes about 101 requests")
    with LLAMA_INDEX.local(path=directory) as store, said:
        assert store.query(query).ids == query.node_ids


@pytest.mark.skipif(not NIGHTLY, reason="takes a while")
@both_stores
async def test_forty_thousand_records_are_read_unasked(
    tmp_path: Path, kind: Kind, warned: list[warnings.WarningMessage]
) -> None:
    with VectorizeClient.local(tmp_path) as client:
        fill(client, 40_000)
    with kind.local(path=tmp_path) as store:
        every = store.iter_documents() if kind is LANGCHAIN else store.iter_nodes()
        assert sum(1 for _ in every) == 40_000
        assert len(await kind.search(sync_call, store, "q", 5_000)) == 5_000
    (said,) = warned
    assert "max_requests= is 1000" in str(said.message)


def test_a_view_says_no_number(warned: list[warnings.WarningMessage]) -> None:
    allowed = selection.Allowance(100, warns=True)
    selection.RequestLimit(allowed, "a search", confined=True).charge(4_321)
    assert "4321" not in str(warned[0].message)


@both_stores
async def test_copies_keep_their_limits(directory: Path, kind: Kind) -> None:
    def limited(store: Any) -> bool:
        with store:
            return not store._records.connection.capabilities.free_requests

    for limits in ("cloudflare", None):
        store = kind.local(path=directory, limits=limits)
        if kind is LANGCHAIN:
            made = pickle.loads(pickle.dumps(store))
        else:
            made = kind.store.from_dict(store.to_dict())
            assert made.limits == limits
        assert limited(store) == limited(made) == (limits is not None)


@both_stores
def test_limits_are_cloudflares_or_none(kind: Kind, client: VectorizeClient) -> None:
    with pytest.raises(ConfigurationError, match="limits is 'cloudflare' or None; got 'none'"):
        kind.local(limits="none")
    with pytest.raises(ConfigurationError, match="limits is 'cloudflare' or None"):
        VectorizeClient.local(limits=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="client= and limits= exclude each other"):
        kind.over(client, limits="cloudflare")
    # What holds there anyway may be said.
    kind.make(index_name="docs", account_id="a", api_token="t", limits="cloudflare").close()
