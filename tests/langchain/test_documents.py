"""Documents come back as they were, by every way, and go away when they are told to."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from pydantic import ValidationError

from langchain_vectorize import VectorizeVectorStore
from langchain_vectorize.documents import to_document
from tests.nightly import examples
from tests.stores import (
    ODD_METADATA,
    Call,
    Embedder,
    Make,
    Recorder,
    both_ways,
    shape,
    vector,
)
from vectorize_core import (
    IndexNotFoundError,
    InvalidInputError,
    InvalidVectorError,
    MissingTextError,
    Vector,
    VectorizeClient,
    WaitTimeoutError,
    jsontext,
    layout,
)
from vectorize_core.api.operations import DeleteByIds, GetByIds
from vectorize_core.local import Behavior


@both_ways
@pytest.mark.parametrize("text_key", ["text", "page_content"])
async def test_metadata_of_any_key_and_type_comes_back_as_it_was(
    make: Make, call: Call, text_key: str
) -> None:
    store = make(text_key=text_key)
    document = Document(id="a", page_content="body", metadata=copy.deepcopy(ODD_METADATA))
    await call(store, "add_documents", [document])
    assert shape(document.metadata) == shape(ODD_METADATA)
    (got,) = await call(store, "get_by_ids", ["a"])
    (found,) = await call(store, "similarity_search", "body")
    (diverse,) = await call(store, "max_marginal_relevance_search", "body")
    for back in (got, found, diverse):
        assert (back.id, back.page_content) == ("a", "body")
        assert shape(back.metadata) == shape(ODD_METADATA)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@examples(40)
@given(st.text(max_size=50), st.dictionaries(st.text(max_size=20), JSON, max_size=4))
def test_any_document_comes_back(text: str, metadata: dict[str, Any]) -> None:
    with VectorizeVectorStore.local(Embedder(), index_name="docs") as store:
        (vector_id,) = store.add_documents([Document(text, metadata=metadata)])
        (back,) = store.get_by_ids([vector_id])
        assert (back.page_content, shape(back.metadata)) == (text, shape(metadata))


@pytest.mark.parametrize("over", [0, 1])
def test_metadata_may_take_10240_bytes_and_not_one_more(
    store: VectorizeVectorStore, client: VectorizeClient, over: int
) -> None:
    def size(metadata: dict[str, Any]) -> int:
        record = layout.Record("a", "é", metadata)
        encoded = layout.encode(record, indexed=layout.METADATA_INDEXES)
        return len(jsontext.dumps(encoded))

    metadata = {"a": "x" * (10_240 - size({"a": ""}) + over)}
    if over:
        with pytest.raises(InvalidVectorError, match=r"'a'.*takes \d+ bytes.*10240"):
            store.add_texts(["é"], [metadata], ids=["a"])
    else:
        store.add_texts(["é"], [metadata], ids=["a"])
        assert store.get_by_ids(["a"])[0].metadata == metadata


@both_ways
async def test_documents_are_got_in_the_order_of_their_ids(
    store: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    ids = [f"id {i}" for i in range(45)]
    store.add_texts(ids, ids=ids)
    wanted = [*reversed(ids), "unknown", ids[3], "x" * 100, ""]
    documents = await call(store, "get_by_ids", wanted)
    assert [document.id for document in documents] == ids[::-1]
    assert [document.page_content for document in documents] == ids[::-1]
    assert max(len(get.ids) for get in sent.of(GetByIds)) <= 20
    assert await call(store, "get_by_ids", []) == []


@both_ways
async def test_deleting_takes_any_ids_in_requests_of_a_hundred(
    store: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    ids = [f"{i}" for i in range(250)]
    store.add_texts(ids, ids=ids)
    assert await call(store, "delete", [*ids[:-1], "unknown", "x" * 65]) is True
    assert sorted(len(delete.ids) for delete in sent.of(DeleteByIds)) == [50, 100, 100]
    assert [document.id for document in store.similarity_search("q", k=100)] == ["249"]


@both_ways
async def test_deleting_nothing_sends_nothing(
    store: VectorizeVectorStore, sent: Recorder, call: Call
) -> None:
    store.add_texts(["a"], ids=["a"])
    sent.ops.clear()
    assert await call(store, "delete", []) is True
    assert await call(store, "delete", ["x" * 65, ""]) is True
    assert sent.changes == []
    assert len(store.get_by_ids(["a"])) == 1


@both_ways
@pytest.mark.parametrize(
    ("args", "named"),
    [((), {}), ((None,), {}), ((["a"],), {"delete_all": True}), (("a",), {})],
)
async def test_what_to_delete_has_to_be_said(
    store: VectorizeVectorStore, sent: Recorder, call: Call, args: Any, named: Any
) -> None:
    store.add_texts(["a"], ids=["a"])
    sent.ops.clear()
    with pytest.raises(InvalidInputError, match=r"delete_all=True|\['a'\]"):
        await call(store, "delete", *args, **named)
    assert sent.changes == []


@both_ways
async def test_one_string_is_no_list_of_ids_to_get(store: VectorizeVectorStore, call: Call) -> None:
    store.add_texts(["a"], ids=["a"])
    with pytest.raises(InvalidInputError, match="list of ids"):
        await call(store, "get_by_ids", "a")


@both_ways
async def test_deleting_all_empties_the_index(
    store: VectorizeVectorStore, client: VectorizeClient, call: Call
) -> None:
    assert await call(store, "delete", delete_all=True) is True
    store.add_texts([f"{i}" for i in range(130)])
    assert await call(store, "delete", delete_all=True) is True
    assert list(client.index("docs").list_ids()) == []


@both_ways
async def test_deleting_all_in_a_namespace_leaves_the_others(make: Make, call: Call) -> None:
    mine, all_of_them = make(namespace="mine"), make()
    mine.add_texts(["a", "b"])
    all_of_them.add_texts(["c"], ids=["c"])
    all_of_them.add_texts(["d"], ids=["d"], namespace="other")
    await call(mine, "delete", delete_all=True)
    assert sorted(d.page_content for d in all_of_them.similarity_search("q")) == ["c", "d"]


@both_ways
async def test_before_the_first_write_there_is_nothing_to_get_or_delete(
    make: Make, sent: Recorder, call: Call
) -> None:
    assert await call(make(), "get_by_ids", ["a"]) == []
    assert await call(make(), "delete", ["a"]) is True
    assert sent.changes == []
    for method, args in (("get_by_ids", (["a"],)), ("delete", (["a"],))):
        with pytest.raises(IndexNotFoundError, match="create_index=True"):
            await call(make(create_index=False), method, *args)


@both_ways
@pytest.mark.parametrize(
    ("metadata", "keys"), [({"title": "t", "url": "u"}, r"\['title', 'url'\]"), (None, r"\[\]")]
)
async def test_a_foreign_vector_without_text_lists_its_metadata_keys(
    client: VectorizeClient, make: Make, call: Call, metadata: Any, keys: str
) -> None:
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert([Vector("foreign", vector("x"), metadata=metadata)])
    for method, argument in (("get_by_ids", ["foreign"]), ("similarity_search", "q")):
        with pytest.raises(MissingTextError, match=rf"'foreign'.*{keys}.*text_key="):
            await call(make(), method, argument)


# Waiting for what was written


class Slow:
    """Makes stores over a Vectorize whose writes are seen when a minute has passed."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.clients: list[VectorizeClient] = []

    def __call__(self, **options: Any) -> VectorizeVectorStore:
        behavior = Behavior(propagate_delay=60.0)
        client = VectorizeClient.local(behavior=behavior, clock=lambda: self.now)
        self.clients.append(client)
        given = {"index_name": "docs", "client": client, "create_index": True, **options}
        return VectorizeVectorStore(Embedder(), **given)


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    for client in made.clients:
        client.close()


@both_ways
@pytest.mark.parametrize("where", ["store", "call"])
@pytest.mark.parametrize("wait", [True, "visible"])
async def test_waiting_ends_with_an_error_when_its_time_is_over(
    slow: Slow, call: Call, where: str, wait: Any
) -> None:
    waits = {"wait": wait, "wait_timeout": 0.02}
    store = slow(**(waits if where == "store" else {}))
    options = waits if where == "call" else {}
    with pytest.raises(WaitTimeoutError, match=r"'docs'.*not visible.*wait_timeout="):
        await call(store, "add_texts", ["a"], ids=["a"], **options)
    slow.now += 61
    assert len(await call(store, "get_by_ids", ["a"])) == 1
    with pytest.raises(WaitTimeoutError, match=r"'docs'.*not visible"):
        await call(store, "delete", ["a"], **options)


@both_ways
async def test_no_write_waits_unless_told_to(slow: Slow, call: Call) -> None:
    waiting = slow(wait=True, wait_timeout=0.02)
    assert await call(waiting, "add_texts", ["a"], ids=["a"], wait=False) == ["a"]
    assert await call(slow(), "add_texts", ["a"], ids=["a"]) == ["a"]
    assert await call(slow(wait="processed"), "add_texts", ["a"], ids=["a"]) == ["a"]
    assert await call(waiting, "similarity_search", "a") == []


@both_ways
async def test_after_waiting_a_write_is_seen(
    slow: Slow, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = slow(wait="visible")

    async def sleep(seconds: float) -> None:
        slow.now += 30

    for io in (store._io, store._async_io):
        monkeypatch.setattr(io, "sleep", sleep)
    await call(store, "add_texts", ["a", "b"], ids=["a", "b"], batch_size=1)
    assert len(await call(store, "similarity_search", "q")) == 2
    await call(store, "delete", ["a"])
    assert [d.id for d in await call(store, "similarity_search", "q")] == ["b"]
    await call(store, "delete", delete_all=True)
    assert await call(store, "similarity_search", "q") == []


@pytest.mark.parametrize("text", ["body", None, 7])
def test_a_document_is_the_one_that_its_constructor_makes(text: Any) -> None:
    metadata = {"tags": ["a"], "none": None}
    record = layout.Record("a", text, metadata, node={} if text is None else None)
    if text == 7:
        with pytest.raises(ValidationError):
            to_document(record)
        return
    made = to_document(record)
    expected = Document(id="a", page_content=text or "", metadata=metadata)
    assert type(made) is Document
    for of in (vars, Document.model_dump, Document.to_json, repr):
        assert of(made) == of(expected)
    for name in ("model_fields_set", "__pydantic_extra__", "__pydantic_private__"):
        assert getattr(made, name) == getattr(expected, name)
    assert made.metadata is not metadata
