"""Adding to the LangChain store: texts, documents and embeddings, and models that fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document

from langchain_vectorize import VectorizeVectorStore
from tests.stores import (
    DIMENSIONS,
    Call,
    Embedder,
    Make,
    Recorder,
    both_ways,
    vector,
)
from vectorize_core import (
    IndexNotFoundError,
    InvalidInputError,
    InvalidVectorError,
    PartialWriteError,
    VectorizeClient,
)
from vectorize_core.writes.writing import DEFAULT_CONCURRENCY

Row = tuple[str | None, str, dict[str, Any]]
ROWS: list[Row] = [(f"id-{i}", f"text {i}", {"n": i}) for i in range(7)]
IDS = [str(row[0]) for row in ROWS]


def generated(items: Iterable[Any]) -> Iterator[Any]:
    yield from items


def as_texts(rows: Iterable[Row], column: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    ids, texts, metadatas = zip(*rows, strict=True)
    return (column(texts), column(metadatas)), {"ids": column(ids)}


def as_documents(rows: Iterable[Row], column: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # Without validation, which refuses some of the bad records itself.
    made = (Document.model_construct(id=i, page_content=t, metadata=m) for i, t, m in rows)
    return (column(made),), {}


def as_embeddings(rows: Iterable[Row], column: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    ids, texts, metadatas = zip(*rows, strict=True)
    embeddings = [vector(str(text)) for text in texts]
    return (column(texts), column(embeddings), column(metadatas)), {"ids": column(ids)}


FORMS = {"texts": as_texts, "documents": as_documents}
COLUMNS = {"lists": list, "generators": generated}
every_form = pytest.mark.parametrize("form", FORMS)
every_column = pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)


async def add(
    call: Call, store: Any, form: str, rows: Iterable[Row], column: Any = list, **options: Any
) -> list[str]:
    """Add ``rows`` as texts or as documents."""
    args, named = FORMS[form](rows, column)
    ids: list[str] = await call(store, f"add_{form}", *args, **named, **options)
    return ids


def contents(store: VectorizeVectorStore, ids: Iterable[str] = IDS) -> list[Row]:
    return [(d.id, d.page_content, d.metadata) for d in store.get_by_ids(list(ids))]


@both_ways
@every_form
@every_column
async def test_a_store_can_be_made_of_texts_or_documents(
    client: VectorizeClient, embedder: Embedder, call: Call, form: str, column: Any
) -> None:
    (content, *rest), named = FORMS[form](ROWS, column)
    place = {"client": client, "index_name": "docs", "create_index": True, "batch_size": 3}
    make = VectorizeVectorStore
    store = await call(make, f"from_{form}", content, embedder, *rest, **named, **place)
    assert contents(store) == ROWS
    assert [len(batch) for batch in embedder.batches] == [3, 3, 1]


@both_ways
@every_form
async def test_missing_ids_become_uuids_among_given_ones(
    store: VectorizeVectorStore, call: Call, form: str
) -> None:
    rows: list[Row] = [("given", "a", {}), (None, "b", {}), (None, "c", {})]
    given, *new = await add(call, store, form, rows)
    assert given == "given"
    assert len({UUID(vector_id) for vector_id in new}) == 2
    assert [text for _, text, _ in contents(store, [given, *new])] == ["a", "b", "c"]


@both_ways
@every_column
@pytest.mark.parametrize("method", ["add_documents", "from_documents"])
async def test_ids_given_go_before_the_documents_own(
    store: VectorizeVectorStore,
    client: VectorizeClient,
    embedder: Embedder,
    call: Call,
    method: str,
    column: Any,
) -> None:
    documents = column([Document(id="own", page_content="a"), Document(id="too", page_content="b")])
    if method == "add_documents":
        assert (await call(store, method, documents, ids=column(["x", "y"]))) == ["x", "y"]
    else:
        place = {"client": client, "index_name": "docs", "create_index": True}
        await call(
            VectorizeVectorStore, method, documents, embedder, ids=column(["x", "y"]), **place
        )
    assert sorted(client.index("docs").list_ids()) == ["x", "y"]


@both_ways
@every_form
async def test_a_generator_is_embedded_not_far_ahead_of_sending(
    store: VectorizeVectorStore, sent: Recorder, embedder: Embedder, call: Call, form: str
) -> None:
    size, batches = 3, 20
    pulled, ahead = 0, []

    def rows(items: Iterable[Any]) -> Iterator[Any]:
        nonlocal pulled
        for item in items:
            pulled += 1
            ahead.append((pulled - 1) // size - len(sent.writes))
            # What came before is embedded, and no more than that.
            assert len(embedder.batches) == (pulled - 1) // size
            yield item

    many: list[Row] = [(f"{i}", f"text {i}", {}) for i in range(size * batches)]
    if form == "texts":
        given: Any = ((rows([text for _, text, _ in many]),), {"ids": [row[0] for row in many]})
    else:
        given = as_documents(many, rows)
    ids = await call(store, f"add_{form}", *given[0], **given[1], batch_size=size)
    assert ids == [row[0] for row in many]
    assert [len(batch) for batch in embedder.batches] == [size] * batches
    assert max(ahead) <= DEFAULT_CONCURRENCY + 1


@both_ways
async def test_each_variant_embeds_natively(
    store: VectorizeVectorStore, embedder: Embedder, call: Call
) -> None:
    await add(call, store, "texts", ROWS)
    await call(store, "similarity_search", "q")
    assert embedder.used == {call.__name__.removesuffix("_call")}


BAD_EMBEDDINGS = {
    "NaN": ([float("nan")] * DIMENSIONS, "'id-6'.*not a finite"),
    "infinity": ([1.0] * 31 + [1e39], "'id-6'.*not a finite"),
    "too short": ([1.0] * 33, "'id-6'.* 33 dimensions.* 32"),
    "nested": ([[1.0] * 32], "'id-6' is a list of numbers; got .*shape \\(1, 32\\)"),
    "text": (["x"] * 32, "'id-6' is a list of numbers; got .*'x'"),
    "None": (None, "'id-6'"),
}


@both_ways
@every_column
@pytest.mark.parametrize(("values", "message"), BAD_EMBEDDINGS.values(), ids=list(BAD_EMBEDDINGS))
async def test_a_bad_embedding_stops_its_batch_and_names_the_record(
    make: Make,
    sent: Recorder,
    embedder: Embedder,
    call: Call,
    column: Any,
    values: Any,
    message: str,
) -> None:
    embedder.special["text 6"] = values
    with pytest.raises(InvalidVectorError, match=message):
        await add(call, make(), "texts", ROWS, column)
    assert sent.writes == []
    with pytest.raises(PartialWriteError, match=message) as caught:
        await add(call, make(batch_size=2), "texts", ROWS, column)
    assert caught.value.written == tuple(range(6))
    assert caught.value.not_written == (6,)


async def test_a_first_batch_that_cannot_be_written_makes_no_index(
    store: VectorizeVectorStore, sent: Recorder, embedder: Embedder
) -> None:
    for bad in ([float("nan")] * 32, [1.0] * 31):
        embedder.special["bad"] = bad
        with pytest.raises(InvalidInputError):
            store.add_texts(["bad"])
    assert sent.changes == []


@both_ways
async def test_a_model_that_loses_texts_is_found_out(
    store: VectorizeVectorStore,
    sent: Recorder,
    embedder: Embedder,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedder, "_documents", lambda texts: [vector("a")] * (len(texts) - 1))
    with pytest.raises(InvalidInputError, match="returned 6 vectors for 7 texts"):
        await add(call, store, "texts", ROWS)
    assert sent.writes == []


MISMATCHED = {
    "one id short": ({"ids": ["a", "b"]}, "3 texts, 2 ids"),
    "one id more": ({"ids": list("abcd")}, "3 texts, 4 ids"),
    "no metadatas": ({"metadatas": []}, "3 texts, 0 metadatas"),
    "both": ({"metadatas": [{}], "ids": ["a", "b"]}, "3 texts, 1 metadatas, 2 ids"),
}


@both_ways
@pytest.mark.parametrize(("named", "message"), MISMATCHED.values(), ids=list(MISMATCHED))
async def test_lists_of_different_lengths_are_refused_at_once(
    store: VectorizeVectorStore,
    sent: Recorder,
    embedder: Embedder,
    call: Call,
    named: Any,
    message: str,
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        await call(store, "add_texts", ["a", "b", "c"], **named)
    assert (embedder.batches, sent.ops) == ([], [])


@both_ways
@pytest.mark.parametrize("column", ["ids", "metadatas"])
@pytest.mark.parametrize(("length", "written"), [(3, (0, 1)), (5, (0, 1, 2, 3))])
async def test_generators_of_different_lengths_are_found_out(
    store: VectorizeVectorStore,
    embedder: Embedder,
    call: Call,
    column: str,
    length: int,
    written: tuple[int, ...],
) -> None:
    values = {"ids": [*"abcde"], "metadatas": [{}] * 5}
    given = {column: generated(values[column][:length])}
    texts = generated([f"text {i}" for i in range(4)])
    shorter = f"{column} ended after 3" if length == 3 else "texts ended after 4"
    with pytest.raises(PartialWriteError, match=f"of different lengths: {shorter}") as caught:
        await call(store, "add_texts", texts, **given, batch_size=2)
    assert caught.value.written == written
    assert [*chain(*embedder.batches)] == [f"text {i}" for i in written]


@both_ways
@pytest.mark.parametrize(
    ("args", "named", "message"),
    [
        (("one text",), {}, "one string"),
        ((["a", 5],), {}, r"texts\[1\] is a string; got 5 \(int\)"),
        ((["a", None],), {}, r"texts\[1\] is a string; got None"),
        ((b"ab",), {}, "texts is an iterable of texts; got b'ab'"),
        ((["a", "b"],), {"ids": "xy"}, "one string"),
        ((["a"],), {"ids": [5.5]}, "position 0 is 5.5.*an id is a non-empty string"),
        ((["a"],), {"batch_size": 0}, "batch_size is at least 1"),
        ((["a"],), {"namespace": ""}, "namespace"),
        ((["a"],), {"wait": "soon"}, "'soon'"),
    ],
)
async def test_what_is_no_list_of_texts_is_refused_at_once(
    store: VectorizeVectorStore,
    sent: Recorder,
    embedder: Embedder,
    call: Call,
    args: Any,
    named: Any,
    message: str,
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        await call(store, "add_texts", *args, **named)
    assert (embedder.batches, sent.changes) == ([], [])


# Embeddings that were made before


@both_ways
@every_column
@pytest.mark.parametrize("tenant", [False, True])
async def test_embeddings_are_added_as_they_are_and_nothing_is_embedded(
    store: VectorizeVectorStore, embedder: Embedder, call: Call, column: Any, tenant: bool
) -> None:
    if tenant:
        store = store.with_namespace("a")
    args, named = as_embeddings(ROWS, column)
    assert await call(store, "add_embeddings", *args, **named, batch_size=2) == IDS
    assert contents(store) == ROWS
    assert embedder.batches == []
    ((found, score),) = store.similarity_search_with_score("text 3", 1)
    assert (found.id, round(score, 5)) == ("id-3", 1.0)


@both_ways
@pytest.mark.parametrize("column", [np.asarray, iter], ids=["an array", "an iterator of arrays"])
async def test_embeddings_may_be_arrays(
    store: VectorizeVectorStore, call: Call, column: Any
) -> None:
    texts = [text for _, text, _ in ROWS]
    rows = np.asarray([vector(text) for text in texts])
    ids = await call(store, "add_embeddings", texts, column(rows))
    assert [d.page_content for d in store.get_by_ids(ids)] == texts
    assert len({UUID(vector_id) for vector_id in ids}) == len(texts)


@both_ways
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((["a", "b"], [[1.0] * 32]), "2 texts, 1 embeddings"),
        ((iter(["a", "b"]), np.ones((1, 32))), "of different lengths"),
        ((["a"], [[1.0] * 31 + ["x"]]), "is a list of numbers; got .*'x' .* at position 31"),
        ((["a"], "x"), "embeddings is an iterable of embeddings; got one string"),
        ((["a", "b"], [[1.0] * 32, [1.0] * 33]), "33 dimensions.*32"),
        ((["a"], [[float("nan")] * 32]), "not a finite"),
        (([5], [[1.0] * 32]), r"texts\[0\] is a string"),
    ],
)
async def test_embeddings_that_do_not_fit_are_refused(
    store: VectorizeVectorStore, sent: Recorder, call: Call, args: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        await call(store, "add_embeddings", *args)
    assert sent.changes == []


async def test_awaited_methods_take_async_iterables(store: VectorizeVectorStore) -> None:
    async def items(*given: Any) -> Any:
        for item in given:
            yield item

    ids = await store.aadd_embeddings(items("a", "b"), items(vector("a"), vector("b")))
    assert [d.page_content for d in store.get_by_ids(ids)] == ["a", "b"]


# Opening what there is


@pytest.mark.parametrize("place", ["client", "path"])
@both_ways
async def test_a_store_over_an_existing_index_never_makes_one(
    client: VectorizeClient, embedder: Embedder, call: Call, place: str, tmp_path: Path
) -> None:
    where: Any = {"client": client} if place == "client" else {"path": tmp_path / "data"}
    make = VectorizeVectorStore.from_existing_index
    with make("docs", embedder, **where) as store:
        for method, given in (("add_texts", ["a"]), ("similarity_search", "a")):
            with pytest.raises(IndexNotFoundError, match="create_index=True"):
                await call(store, method, given)
    with VectorizeVectorStore(embedder, index_name="docs", create_index=True, **where) as first:
        first.add_texts(["a"], ids=["1"])
    with make(index_name="docs", embedding=embedder, namespace=None, **where) as store:
        assert [d.id for d in await call(store, "similarity_search", "a")] == ["1"]
