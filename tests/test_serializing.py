"""Both stores written down and copied. Secrets are in nothing that is made of them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.load import dumpd

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, both_stores
from tests.stores import Call, both_ways, sync_call
from vectorize_core import ConfigurationError, VectorizeError
from vectorize_core.local.server import BackgroundServer

pytestmark = pytest.mark.usefixtures("no_credentials")
SECRET = "s3cr3t-of-the-account"
EMAIL = "someone@example.com"


def shown(kind: Kind, store: Any) -> list[str]:
    """All that can be made of a store."""
    things = [store, vars(store), store._records]
    pickles = [pickle.dumps(store, protocol) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    if kind is LANGCHAIN:
        retriever = store.as_retriever(search_kwargs={"k": 1})
        things += [json.dumps(dumpd(thing)) for thing in (store, retriever)]
        things += [retriever, pickle.dumps(retriever), retriever.model_dump_json(fallback=repr)]
    else:
        things += [store.to_dict(), store.to_json(), store.model_dump(), store.model_dump_json()]
        things += [dict(store), store.model_json_schema(), store.__getstate__()]
        if not store.bound:
            parts = (store.client, store.aclient, store.client.connection)
            things += [vars(part) for part in parts]
        things.append(store.__pydantic_private__)
    return [str(store), *map(repr, things), *map(repr, pickles)]


@both_stores
@pytest.mark.parametrize("secret", [{"api_token": SECRET}, {"api_key": SECRET, "email": EMAIL}])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("tenant", [False, True])
@pytest.mark.covering(2)
def test_no_secret_is_in_what_is_made_of_a_store(
    kind: Kind, secret: dict[str, str], copied: bool, tenant: bool
) -> None:
    store = kind.make(
        index_name="docs", account_id="acc", metadata_indexes={"n": "number"}, **secret
    )
    store = store.with_namespace("tenant") if tenant else store
    said = shown(kind, copy.deepcopy(store) if copied else store)
    assert not [text for text in said if SECRET in text or EMAIL in text]
    assert "index_name='docs'" in said[0]


# Pickles


@both_stores
def test_a_loaded_store_takes_its_secret_from_the_environment(
    kind: Kind, no_credentials: pytest.MonkeyPatch
) -> None:
    with kind.make(index_name="docs", account_id="acc", api_token=SECRET) as store:
        pickled = pickle.dumps(store)
    with pytest.raises(ConfigurationError, match=r"secrets are not pickled.*CLOUDFLARE_API_TOKEN"):
        pickle.loads(pickled)
    no_credentials.setenv("CLOUDFLARE_API_TOKEN", "of-this-process")
    with pickle.loads(pickled) as loaded:
        credentials = loaded._records.index.target.connection.executor.credentials
        assert credentials.account_id == "acc"
        assert "of-this-process" in str(credentials.headers.reveal())


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer() as server:
        yield server


@pytest.fixture(params=["in a directory", "over HTTP"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, server: BackgroundServer
) -> dict[str, Any]:
    if request.param == "in a directory":
        return {"path": tmp_path / "data"}
    return {"account_id": uuid4().hex, "base_url": server.base_url, "api_token": SECRET}


def as_a_dict(store: Any) -> Any:
    return type(store).from_dict(json.loads(store.to_json()))


def pickled(store: Any) -> Any:
    return pickle.loads(pickle.dumps(store))


WAYS = [(LANGCHAIN, pickled), (LLAMA_INDEX, pickled), (LLAMA_INDEX, as_a_dict)]


@both_ways
@pytest.mark.parametrize("tenant", [False, True])
@pytest.mark.parametrize(("kind", "again"), WAYS)
@pytest.mark.covering(2)
async def test_a_store_that_was_written_down_goes_on(
    kind: Kind, again: Callable[[Any], Any], place: dict[str, Any], call: Call, tenant: bool
) -> None:
    options = {"metadata_indexes": {"kind": "string"}, "text_key": "body", "create_index": True}
    with kind.make(index_name="docs", **place, **options) as whole:
        store = whole.with_namespace("tenant") if tenant else whole
        await kind.add_rows(sync_call, store, [("1", "a", {"kind": "x"})])
        loaded = again(store)
        assert type(loaded) is kind.store
        assert repr(loaded) == repr(store)
        assert await kind.get(call, loaded, ["1"]) == [("1", "a", {"kind": "x"})]
        assert await kind.add_rows(call, loaded, [("2", "b", {"kind": "y"})]) == ["2"]
        assert await kind.search(call, loaded, "b", 1) == ["2"]
        await kind.delete_where(call, loaded, "kind", "x")
        assert await kind.get(call, loaded, ["1", "2"]) == [("2", "b", {"kind": "y"})]
        if tenant:
            with pytest.raises(TypeError, match="bound to the namespace 'tenant'"):
                await kind.search(call, loaded, "b", namespace="other")
        # It has a connection of its own, which it closes.
        await call(loaded, "close")
        with pytest.raises(VectorizeError, match="closed"):
            await kind.get(call, loaded, ["1"])
        assert await kind.get(sync_call, store, ["2"]) == [("2", "b", {"kind": "y"})]


@both_stores
def test_loading_a_store_sends_nothing(kind: Kind) -> None:
    with kind.make(index_name="docs", account_id="acc", base_url="http://127.0.0.1:9") as deaf:
        again = pickled(deaf)
    assert repr(again) == repr(deaf)
    again.close()


@both_stores
def test_a_store_in_memory_cannot_leave_its_process(kind: Kind) -> None:
    with (
        kind.local() as store,
        pytest.raises(ConfigurationError, match=r"in the memory of this process; path="),
    ):
        pickle.dumps(store)


# Copies


@both_stores
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
async def test_a_copy_shares_the_connection(kind: Kind, copied: Callable[[Any], Any]) -> None:
    with kind.local() as store:
        other = copied(store)
        assert other is not store
        await kind.add(sync_call, other, "a")
        assert await kind.search(sync_call, store, "a") == ["a"]
