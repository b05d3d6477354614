"""A refused record is named by its position, its key, and its id if that is the caller's."""

from __future__ import annotations

import pickle
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from llama_index.core.schema import TextNode

from tests.kinds import LANGCHAIN, LLAMA_INDEX
from tests.stores import Call, Embedder, Recorder, both_ways, client_of, vector
from vectorize_core import (
    InvalidVectorError,
    OversizedError,
    PartialWriteError,
    Vector,
    VectorizeClient,
    VectorizeError,
)
from vectorize_core.api.operations import Op, Upsert
from vectorize_core.errors import ApiMessage, error_from_answer
from vectorize_core.transport.executor import Answer

GOOD = 70
"""Records before the bad one: more than are worked on at once."""
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")

Row = tuple[str | None, str, dict[str, Any]]
Form = Callable[[Iterable[Any]], Any]
Add = Callable[[Call, VectorizeClient, list[Row], Form, dict[str, Any]], Awaitable[Any]]


async def add_texts(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    ids, texts, metadatas = (form([row[at] for row in rows]) for at in range(3))
    return await call(LANGCHAIN.over(client), "add_texts", texts, metadatas, ids=ids, **options)


async def add_embeddings(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    ids, texts, metadatas = (form([row[at] for row in rows]) for at in range(3))
    values = form([vector(row[1]) for row in rows])
    store = LANGCHAIN.over(client)
    return await call(store, "add_embeddings", texts, values, metadatas, ids=ids, **options)


async def add_documents(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    documents = [Document(id=row[0], page_content=row[1], metadata=row[2]) for row in rows]
    return await call(LANGCHAIN.over(client), "add_documents", form(documents), **options)


async def update_documents(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    documents = [Document(id=row[0], page_content=row[1], metadata=row[2]) for row in rows]
    return await call(LANGCHAIN.over(client), "update_documents", form(documents), **options)


async def add_in_a_view(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    documents = [Document(id=row[0], page_content=row[1], metadata=row[2]) for row in rows]
    view = LANGCHAIN.over(client).with_namespace("acme")
    return await call(view, "add_documents", form(documents), **options)


async def add_nodes(
    call: Call, client: VectorizeClient, rows: list[Row], form: Form, options: dict[str, Any]
) -> Any:
    nodes = [
        TextNode.model_construct(id_=row[0], text=row[1], metadata=row[2], embedding=vector("n"))
        for row in rows
    ]
    return await call(LLAMA_INDEX.over(client), "add", form(nodes), **options)


WAYS: dict[str, Add] = {
    add.__name__: add
    for add in (
        add_texts,
        add_embeddings,
        add_documents,
        update_documents,
        add_in_a_view,
        add_nodes,
    )
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "an object": (
        {"good": 1, "key": [{"a": object()}]},
        r"metadata\['key'\] has .*builtins.object",
    ),
    "a lone surrogate": ({"key": "\ud800"}, r"metadata\['key'\] has .*surrogate"),
    "a cycle": ({"key": (cycle := [])}, r"metadata\['key'\] has .*nested"),
    "a key": ({"a": 1, "\ud800": 1}, r"metadata\['\\ud800'\] has .*surrogate"),
    "a large value": ({"good": "x" * 900, "key": "x" * 20_000}, r"metadata\['key'\] 20002"),
}
cycle.append(cycle)


def rows_with(bad: Row) -> list[Row]:
    return [*((f"id-{i}", f"text {i}", {"n": i}) for i in range(GOOD)), bad, ("last", "t", {})]


@both_ways
@pytest.mark.parametrize("add", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("form", [list, iter], ids=["list", "generator"])
@pytest.mark.parametrize(("metadata", "said"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("options", [{}, {"dry_run": True}, {"batch_size": 7}], ids=str)
@pytest.mark.covering(2)
async def test_metadata_that_cannot_be_stored_is_named(
    client: VectorizeClient,
    call: Call,
    add: Add,
    form: Form,
    metadata: dict[str, Any],
    said: str,
    options: dict[str, Any],
) -> None:
    with pytest.raises(VectorizeError) as caught:
        await add(call, client, rows_with(("bad", "t", metadata)), form, options)
    cause = getattr(caught.value, "causes", [caught.value])[0]
    assert isinstance(cause, InvalidVectorError)
    assert re.search(rf"position {GOOD}, record 'bad': .*{said}", str(cause)), cause


@both_ways
@pytest.mark.parametrize("add", [add_texts, add_embeddings, add_documents, add_in_a_view])
@pytest.mark.parametrize(("metadata", "said"), BAD.values(), ids=BAD)
@pytest.mark.covering(1)
async def test_an_id_that_was_made_up_is_not_told(
    client: VectorizeClient, call: Call, add: Add, metadata: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidVectorError, match=rf"^record at position {GOOD}: .*{said}") as e:
        await add(call, client, rows_with((None, "t", metadata)), list, {})
    assert not UUID.search(str(e.value))


@both_ways
@pytest.mark.parametrize("add", WAYS.values(), ids=WAYS)
async def test_an_id_that_cannot_be_stored_has_its_position(
    client: VectorizeClient, call: Call, add: Add
) -> None:
    bad = "" if add is add_in_a_view else "x" * 65
    with pytest.raises(InvalidVectorError, match=rf"\(position {GOOD}\)|nodes\[{GOOD}\]"):
        await add(call, client, rows_with((bad, "t", {})), list, {})


class Broken(Embedder):
    """Its embedding of one text is no vector that the index takes."""

    def __init__(self, bad: Any) -> None:
        super().__init__()
        self.bad = bad

    def of(self, text: str) -> Any:
        return self.bad if text == "bad" else super().of(text)


@both_ways
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        ([float("nan")] * 32, "is not a finite"),
        ([1.0] * 31, "has 31 dimensions"),
        (["a"] * 32, "is a list of numbers"),
        (None, "is a list of numbers"),
    ],
    ids=["NaN", "dimensions", "strings", "None"],
)
@pytest.mark.parametrize("exists", [True, False], ids=["index", "no index"])
async def test_an_embedding_that_is_none_is_named(
    client: VectorizeClient, call: Call, named: bool, embedding: Any, said: str, exists: bool
) -> None:
    if exists:
        client.create_index("docs", dimensions=32, record_layout=True)
    store = LANGCHAIN.store(Broken(embedding), index_name="docs", client=client, create_index=True)
    ids = [f"id-{i}" for i in range(GOOD + 1)] if named else None
    texts = [*(f"text {i}" for i in range(GOOD)), "bad"]
    name = f"position {GOOD}, .*record 'id-{GOOD}'" if named else f"record at position {GOOD}"
    with pytest.raises(InvalidVectorError, match=rf"{name}.* {said}"):
        await call(store, "add_texts", texts, ids=ids)


@pytest.mark.parametrize("form", [list, iter], ids=["list", "generator"])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (
            Vector("bad", vector("a"), metadata={"a": {1}}),
            "position {at}, vector 'bad': .*set at a",
        ),
        (Vector("bad", vector("a"), metadata={"a.b": 1}), "position {at}, vector 'bad': .*'a.b'"),
        (
            Vector("bad", vector("a"), metadata={"b": "x", "a": "x" * 20_000}),
            r"position {at}, vector 'bad': .*metadata\['a'\] with 20002",
        ),
        (Vector("x" * 65, vector("a")), r"\(position {at}\) takes 65 bytes"),
        (Vector("bad", [np.nan] * 32), "position {at}, vector 'bad' has a value that is not"),
        (Vector("bad", [1.0] * 31), "position {at}, vector 'bad' has 31 dimensions"),
    ],
    ids=["type", "key", "size", "id", "NaN", "dimensions"],
)
def test_a_bad_vector_is_named_by_its_position(
    client: VectorizeClient, form: Form, bad: Vector, said: str
) -> None:
    client.create_index("docs", dimensions=32)
    vectors = [*(Vector(f"{i}", vector(f"{i}")) for i in range(GOOD)), bad]
    for write in (client.index("docs").upsert, client.index("docs").insert):
        for options in ({}, {"dry_run": True}, {"batch_size": 7}):
            with pytest.raises(VectorizeError) as caught:
                write(form(vectors), **options)
            cause = getattr(caught.value, "causes", [caught.value])[0]
            assert re.search(said.format(at=GOOD), str(cause)), cause


@both_ways
async def test_positions_hold_for_a_write_that_is_resumed(
    client: VectorizeClient, call: Call
) -> None:
    rows = rows_with((None, "t", {"key": object()}))
    resume: Any = None
    for _ in range(2):
        options = {"batch_size": 7, "resume": resume}
        with pytest.raises(PartialWriteError) as caught:
            await add_texts(call, client, rows, iter, options)
        resume = caught.value
        said = rf"^record at position {GOOD}: metadata\['key'\] has"
        assert re.search(said, str(resume.causes[0]))
    fixed = [*rows[:GOOD], (None, "t", {}), rows[-1]]
    await add_texts(call, client, fixed, iter, {"resume": resume})
    assert client.index("docs").info().vector_count == GOOD + 2


class Picky(Recorder):
    """A service that refuses one text."""

    def send(self, op: Op[Any], /) -> Answer[Any]:
        if isinstance(op, Upsert) and any(v.metadata["text"] == "bad" for v in op.vectors):
            raise error_from_answer(str(op), 400, [ApiMessage(40023, "not that one")])
        return super().send(op)


@pytest.mark.parametrize(
    ("bad_id", "said"),
    [("bad", f"record 'bad', position {GOOD}: "), (None, f"record at position {GOOD}: ")],
)
def test_what_only_the_service_refuses_is_named_alike(
    client: VectorizeClient, bad_id: str | None, said: str
) -> None:
    client.connection.executor = Picky(client.connection.executor)
    store = LANGCHAIN.over(client)
    ids = [*(f"id-{i}" for i in range(GOOD)), bad_id]
    with pytest.raises(PartialWriteError) as caught:
        store.add_texts([*(f"text {i}" for i in range(GOOD)), "bad"], ids=ids)
    (cause,) = caught.value.causes
    assert str(cause).startswith(said)
    assert str(pickle.loads(pickle.dumps(cause))) == str(cause)


@both_ways
async def test_a_text_that_is_no_unicode_is_not_taken_for_metadata(
    client: VectorizeClient, call: Call
) -> None:
    store = LANGCHAIN.over(client)
    with pytest.raises(InvalidVectorError, match=r"'b': the record has text .*surrogate") as e:
        await call(store, "add_texts", ["a", "\ud800"], ids=["a", "b"])
    assert "metadata" not in str(e.value)


# What takes the room


@both_ways
@pytest.mark.parametrize(
    ("text", "metadata", "said", "not_said"),
    [
        (
            "t",
            {"a": "x" * 20_000, "b": 1},
            r"metadata\['a'\] 20002, .*Shorten metadata\['a'\],",
            "Split",
        ),
        ("x" * 20_000, {"a": "b"}, r"the text 20002, .*Split the text into smaller", "Shorten"),
        ("x" * 7_000, {"a": "x" * 6_000}, "Split the text", "Shorten"),
        (
            "t",
            {"a": "x" * 6_000, "b": "x" * 6_000},
            r"metadata\['a'\] 6002, metadata\['b'\] 6002, .*Shorten metadata\['a'\],",
            "Split",
        ),
        (
            "x" * 11_000,
            {"a": "x" * 12_000},
            r"Split the text.*Shorten metadata\['a'\]",
            "Leave out",
        ),
        ("t", {"a.b": ["x" * 20_000]}, r"Shorten metadata\['a.b'\]", "Split"),
        ("t", {"a": ("x" * 20_000,)}, r"Shorten metadata\['a'\]", "Split"),
        ("t", {"a": [date(2026, 1, 2)] * 2_000}, r"Shorten metadata\['a'\]", "Split"),
        (
            "t",
            {f"k{i}": date(2026, 1, 2) for i in range(400)},
            r"The 400 values of the metadata take \d+: leave some out",
            "Split",
        ),
        (
            "a text as many chunks are" * 2,
            {f"k{i}": "v" * 40 for i in range(300)},
            "The 300 values of the metadata take 12600: leave some out",
            "Split",
        ),
    ],
    ids=[
        *("value", "text", "mostly the text", "two values", "both", "inside _vs", "tuple"),
        *("dates", "many dates", "many values"),
    ],
)
async def test_the_advice_is_about_what_is_large(
    call: Call, text: str, metadata: Any, said: str, not_said: str
) -> None:
    # Over HTTP: an embedded client has another place for the text.
    with client_of("server") as client:
        store = LANGCHAIN.over(client)
        with pytest.raises(OversizedError, match=r"takes \d+ bytes.*allows 10240.*" + said) as e:
            await call(store, "add_texts", [text], [metadata], ids=["a"])
        assert not_said not in str(e.value)
        await call(store, "add_texts", ["t"], ids=["a"])
        if text == "t":
            with pytest.raises(OversizedError, match=rf"position 0, record 'a': .*{said}") as e:
                await call(store, "update_metadata", ["a"], metadata)
            assert not_said not in str(e.value)


@both_ways
async def test_a_long_text_elsewhere_leaves_advice_about_the_rest(call: Call) -> None:
    store = LANGCHAIN.local()
    with pytest.raises(OversizedError, match=r"Shorten metadata\['a'\]") as e:
        await call(store, "add_texts", ["x" * 20_000], [{"a": "x" * 11_000}])
    assert "Split" not in str(e.value)


@both_ways
async def test_a_node_whose_own_fields_are_large_is_told_so(
    client: VectorizeClient, call: Call
) -> None:
    store = LLAMA_INDEX.over(client)
    node = TextNode(
        id_="n",
        text="t",
        embedding=vector("t"),
        excluded_embed_metadata_keys=[f"key {i}" for i in range(2_000)],
    )
    with pytest.raises(OversizedError, match=r"'n'") as e:
        await call(store, "add", [node])
    assert "Split" not in str(e.value)
