"""Stores as dicts, in other processes and in traces, which hold no secret."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.bridge.pydantic import BaseModel, Field
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.memory import VectorMemoryBlock

from llama_index_vectorize import VectorizeVectorStore
from tests.llama_index.helpers import MODEL, documents, run_pipeline, text_node
from tests.stores import Call, both_ways
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    UnindexedPropertyError,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.local.server import BackgroundServer

SECRET = "s3cr3t-of-the-account"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=["api_token", "api_key"])
async def store(request: pytest.FixtureRequest, server: BackgroundServer) -> AsyncIterator[Any]:
    """A store over HTTP that knows a secret."""
    secret = {request.param: SECRET}
    if "api_key" in secret:
        secret["email"] = "someone@example.com"
    async with VectorizeVectorStore(
        "docs",
        account_id=uuid4().hex,
        base_url=server.base_url,
        create_index=True,
        metadata_indexes={"n": "number"},
        namespace="tenant",
        wait="visible",
        **secret,
    ) as store:
        yield store


class Events(BaseEventHandler):
    said: list[str] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.said.append(f"{event!r}{event.model_dump()}{kwargs}")


class Spans(BaseSpanHandler[SimpleSpan]):
    said: list[str] = Field(default_factory=list)

    def new_span(
        self,
        id_: str,
        bound_args: Any,
        instance: Any | None = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> SimpleSpan | None:
        self.said.append(f"{id_}{bound_args}{instance!r}{vars(instance or self)}{tags}{kwargs}")
        return SimpleSpan(id_=id_)

    def prepare_to_exit_span(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **kwargs: Any
    ) -> SimpleSpan | None:
        self.said.append(f"{result!r}")
        return None

    def prepare_to_drop_span(
        self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **kwargs: Any
    ) -> SimpleSpan | None:
        self.said.append(f"{err!r}")
        return None


@both_ways
async def test_a_secret_is_in_no_event_span_or_log(
    store: VectorizeVectorStore,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    dispatcher = get_dispatcher()
    events, spans = Events(), Spans()
    monkeypatch.setattr(dispatcher, "event_handlers", [events])
    monkeypatch.setattr(dispatcher, "span_handlers", [spans])
    pipeline = IngestionPipeline(transformations=[MODEL], vector_store=store)
    await run_pipeline(call, pipeline, documents("one", "two"))
    index = VectorStoreIndex.from_vector_store(store)
    answer = await call(index.as_query_engine(), "query", "one")
    assert len(answer.source_nodes) == 2
    wrong = index.as_query_engine(vector_store_query_mode="sparse")
    with pytest.raises(ConfigurationError, match="text_index="):
        await call(wrong, "query", "one")
    said = "".join([*events.said, *spans.said, caplog.text, repr(answer)])
    assert SECRET not in said
    assert len(events.said) > 5
    assert "VectorIndexRetriever" in said


def test_a_store_is_made_again_from_its_dict(
    store: VectorizeVectorStore, server: BackgroundServer
) -> None:
    store.add([text_node("a", n=1)])
    data = json.loads(store.to_json())
    assert data["class_name"] == "VectorizeVectorStore"
    with VectorizeVectorStore.from_dict(data) as again:
        assert again.to_dict() == store.to_dict()
        assert [node.node_id for node in again.get_nodes(["a"])] == ["a"]
    with VectorizeVectorStore.from_dict(data, namespace="other") as other:
        assert list(other.iter_nodes()) == []
    with VectorizeVectorStore.from_json(store.to_json()) as third:
        assert third.index_name == "docs"


class Holder(BaseModel):
    store: VectorizeVectorStore


@pytest.mark.parametrize("tenant", [False, True])
def test_a_store_is_made_again_from_what_pydantic_dumps(
    store: VectorizeVectorStore, tenant: bool
) -> None:
    with VectorizeVectorStore.from_dict(store.to_dict(), namespace=None, unindexed="scan") as all_:
        given = all_.with_namespace("acme") if tenant else all_
        given.add([text_node("a", n=1)])
        made = [
            VectorizeVectorStore.model_validate(given.model_dump()),
            VectorizeVectorStore.model_validate_json(given.model_dump_json()),
            VectorizeVectorStore(**given.model_dump()),
            Holder.model_validate({"store": given.model_dump(mode="json")}).store,
            VectorizeVectorStore.from_dict(given.model_dump()),
        ]
        for again in made:
            with again:
                assert again.model_dump() == given.model_dump()
                assert [node.node_id for node in again.get_nodes(["a"])] == ["a"]
                assert again.count() == 1
                assert (again.bound, again.unindexed) == (tenant, "scan")
                if tenant:
                    with pytest.raises(TypeError, match="bound to the namespace 'acme'"):
                        again.count(namespace="other")
    assert SECRET not in repr(given.model_dump())
    for wrong, message in (
        ({"stores_text": False}, "stores_text is True"),
        ({"metric": "hamming"}, "metric"),
        ({"index_name": None}, "index_name"),
    ):
        with pytest.raises(ValueError, match=message):
            VectorizeVectorStore.model_validate({**given.model_dump(), **wrong})
    with pytest.raises(InvalidInputError, match="bound is True or False"):
        VectorizeVectorStore(**{**given.model_dump(), "bound": {}})
    with pytest.raises(TypeError, match=r"'index_nam'.*did you mean 'index_name'"):
        VectorizeVectorStore.model_validate({"index_nam": "docs"})


def test_parameters_have_a_constructor_of_the_usual_name() -> None:
    with VectorizeVectorStore.from_params("docs", path=":memory:", batch_size=3) as store:
        assert (store.index_name, store.path, store.batch_size) == ("docs", ":memory:", 3)
    with pytest.raises(TypeError, match=r"'batchsize'.*did you mean 'batch_size'"):
        VectorizeVectorStore.from_params("docs", path=":memory:", batchsize=3)


ELSEWHERE = """
import asyncio, pickle, sys
store = pickle.load(open(sys.argv[1], "rb"))
print([node.node_id for node in store.iter_nodes()])
print(asyncio.run(store.acount()))
store.close()
"""


def test_a_store_in_a_directory_is_loaded_in_another_process(tmp_path: Path) -> None:
    with VectorizeVectorStore("docs", path=tmp_path / "vectors") as store:
        store.add([text_node("a")])
        (tmp_path / "store.pickle").write_bytes(pickle.dumps(store))
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "store.pickle")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["['a']", "1"]), done.stderr


def test_a_copy_of_pydantics_shares_the_connection() -> None:
    with VectorizeVectorStore.local("docs") as store:
        store.add([text_node("a")])
        for copied in (store.model_copy(), store.model_copy(deep=True)):
            assert copied is not store
            assert [node.node_id for node in copied.iter_nodes()] == ["a"]
        block = VectorMemoryBlock(vector_store=store).model_copy(deep=True)
        assert isinstance(block.vector_store, VectorizeVectorStore)
        assert block.vector_store.count() == 1


SET: dict[str, tuple[Any, Any]] = {
    "wait": ("visible", "often"),
    "wait_timeout": (5.0, -1),
    "unindexed": ("scan", "all"),
    "batch_size": (7, "7"),
    "on_oversize": ("cut", "split"),
    "on_missing_text": ("empty", "none"),
    "show_progress": (True, "yes"),
}


@pytest.mark.parametrize("name", SET)
def test_a_setting_that_is_set_holds(name: str) -> None:
    good, bad = SET[name]
    with VectorizeVectorStore("docs", client=VectorizeClient.local(), create_index=True) as store:
        before = getattr(store, name)
        copied = store.model_copy(update={name: good})
        assert (getattr(store, name), getattr(copied, name)) == (before, good)
        setattr(store, name, good)
        for one in (store, copied):
            assert one.to_dict()[name] == good
            if name != "show_progress":
                assert getattr(one._records, name) == good
        with pytest.raises(VectorizeError, match=name):
            setattr(store, name, bad)
        with pytest.raises(VectorizeError, match=name):
            store.model_copy(update={name: bad})
        assert getattr(store, name) == good


def test_a_filter_of_a_store_may_be_allowed_to_read_later() -> None:
    with VectorizeVectorStore.local("docs") as store:
        store.add([text_node("a", n=1)])
        store.unindexed = "scan"
        assert store.count({"n": 1}) == 1
        store.unindexed = "error"
        with pytest.raises(UnindexedPropertyError):
            store.count({"n": 1})


@pytest.mark.parametrize("name", sorted({*VectorizeVectorStore.model_fields} - {*SET}))
def test_what_a_store_is_made_with_stays(name: str) -> None:
    with VectorizeVectorStore.local("docs", namespace="a") as store:
        before = store.to_dict()
        with pytest.raises(ConfigurationError, match=f"^{name} is what a store is made with"):
            setattr(store, name, "b")
        with pytest.raises(ConfigurationError, match=f"^{name} is what a store is made with"):
            store.model_copy(update={name: "b"})
        assert store.to_dict() == before
        made = VectorizeVectorStore.from_dict(before, namespace="b")
        assert made.namespace == "b"
