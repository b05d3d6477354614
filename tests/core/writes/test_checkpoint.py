"""Going on with a write that ended early: from its error, or from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.executors import Open
from tests.stores import DIMENSIONS, Embedder, both_ways, sync_call
from vectorize_core import (
    ConnectionFailedError,
    InvalidInputError,
    PartialWriteError,
    RetryPolicy,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.operations import Op, Upsert
from vectorize_core.transport.executor import Executor

TEXTS = [f"text {n}" for n in range(40)]


class Cut(Open):
    """An executor over which a write of certain records breaks off, answer and all."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.fatal: set[str] = set()
        self.after = False
        self.upserts = 0

    def _before(self, op: Op[Any]) -> None:
        if isinstance(op, Upsert) and not self.fatal.isdisjoint(v.id for v in op.vectors):
            raise ConnectionFailedError("the connection broke")

    def _after(self, op: Op[Any]) -> None:
        self.upserts += isinstance(op, Upsert)
        if isinstance(op, Upsert) and self.after and self.upserts > 2:
            raise ConnectionFailedError("the answer was lost")

    def send(self, op: Op[Any], /) -> Any:
        self._before(op)
        answer = self.inner.send(op)
        self._after(op)
        return answer

    async def asend(self, op: Op[Any], /) -> Any:
        self._before(op)
        answer = await self.inner.asend(op)
        self._after(op)
        return answer

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
def client() -> Iterator[VectorizeClient]:
    once = RetryPolicy(read_deadline=0, write_deadline=0)
    with VectorizeClient.local(retry=once) as client:
        # Before any store is made, which keeps what it finds.
        client.connection.executor = Cut(client.connection.executor)
        yield client


@pytest.fixture
def cut(client: VectorizeClient) -> Cut:
    assert isinstance(client.connection.executor, Cut)
    return client.connection.executor


def store_on(client: VectorizeClient, embedder: Embedder) -> VectorizeVectorStore:
    return VectorizeVectorStore(
        embedder, client=client, index_name="docs", create_index=True, batch_size=5
    )


def texts_of(store: VectorizeVectorStore, ids: list[str]) -> list[str]:
    return [document.page_content for document in store.get_by_ids(ids)]


def embedded(embedder: Embedder) -> list[str]:
    return [text for batch in embedder.batches for text in batch]


@both_ways
@pytest.mark.parametrize("by", ["error", "file"])
@pytest.mark.parametrize("named", [True, False], ids=["ids given", "ids made up"])
@pytest.mark.parametrize("as_generator", [True, False])
async def test_the_same_call_goes_on_where_the_other_ended(
    call: Any,
    by: str,
    named: bool,
    as_generator: bool,
    client: VectorizeClient,
    tmp_path: Path,
) -> None:
    embedder = Embedder()
    store = store_on(client, embedder)
    given = [f"id-{n}" for n in range(40)] if named else None
    path = tmp_path / "ingest.checkpoint"
    broken = []

    def break_later(texts: list[str]) -> Any:
        for n, text in enumerate(texts):
            if n == 23 and not broken:
                broken.append(True)
                raise OSError("the disk is gone")
            yield text

    def source() -> Any:
        return break_later(TEXTS)

    first = {"resume": path} if by == "file" else {}
    with pytest.raises(PartialWriteError, match="the disk is gone") as caught:
        await call(store, "add_texts", source(), ids=given and iter(given), **first)
    written = set(caught.value.written)
    assert written == set(range(20))
    assert path.exists() == (by == "file")
    resume = path if by == "file" else caught.value
    again = source() if as_generator else TEXTS
    ids = await call(store, "add_texts", again, ids=given, resume=resume)
    if named:
        assert ids == given
    assert caught.value.ids[:20] == tuple(ids[:20])
    assert texts_of(store, ids) == TEXTS
    counts = {text: embedded(embedder).count(text) for text in TEXTS}
    assert all(counts[TEXTS[n]] == 1 for n in written)
    assert not path.exists()
    assert client.index("docs").info().vector_count == 40


@both_ways
async def test_a_second_failure_counts_what_was_in_before(
    call: Any, client: VectorizeClient, cut: Cut, tmp_path: Path
) -> None:
    store, path = store_on(client, Embedder()), tmp_path / "checkpoint"
    ids = [f"id-{n}" for n in range(40)]
    await sync_call(store, "add_texts", ["first"], ids=["first"])
    # The last batch too: on a busy machine the first write comes as far before it fails.
    cut.fatal = {"id-12", "id-37"}
    with pytest.raises(PartialWriteError) as first:
        await call(store, "add_texts", TEXTS, ids=ids, resume=path)
    assert set(range(10, 15)) <= set(first.value.unknown) <= {*range(10, 15), *range(35, 40)}
    cut.fatal = {"id-37"}
    with pytest.raises(PartialWriteError) as second:
        await call(store, "add_texts", TEXTS, ids=ids, resume=path)
    assert set(second.value.written) >= set(first.value.written)
    error = second.value
    assert sorted([*error.written, *error.unknown, *error.not_written]) == list(range(40))
    cut.fatal = set()
    assert await call(store, "add_texts", TEXTS, ids=ids, resume=second.value) == ids
    assert texts_of(store, ids) == TEXTS


@pytest.mark.parametrize("named", [True, False])
def test_another_input_is_refused_at_once(
    client: VectorizeClient, tmp_path: Path, named: bool
) -> None:
    embedder = Embedder()
    store, path = store_on(client, embedder), tmp_path / "checkpoint"
    ids = [f"id-{n}" for n in range(40)] if named else None

    def failing() -> Iterator[str]:
        yield from TEXTS[:20]
        raise OSError("gone")

    with pytest.raises(PartialWriteError) as caught:
        store.add_texts(failing(), ids=ids and iter(ids[:21]), resume=path)
    before = len(embedded(embedder))
    other_ids = ids and ["other", *ids[1:]]
    other_texts = TEXTS if named else ["another text", *TEXTS[1:]]
    with pytest.raises(InvalidInputError, match="written for another input: its record 0"):
        store.add_texts(other_texts, ids=other_ids, resume=path)
    if named:
        with pytest.raises(InvalidInputError, match="record 0 is another one than 'other'"):
            store.add_texts(other_texts, ids=other_ids, resume=caught.value)
    assert len(embedded(embedder)) == before


@both_ways
@pytest.mark.parametrize("by", ["error", "file"])
async def test_what_was_sent_under_a_made_up_id_keeps_it(
    call: Any, by: str, client: VectorizeClient, cut: Cut, tmp_path: Path
) -> None:
    store, path = store_on(client, Embedder()), tmp_path / "checkpoint"
    cut.after = True
    with pytest.raises(PartialWriteError) as caught:
        await call(store, "add_texts", TEXTS, resume=path if by == "file" else None)
    assert caught.value.unknown
    cut.after = False
    resume = path if by == "file" else caught.value
    ids = await call(store, "add_texts", TEXTS, resume=resume)
    assert sorted(client.index("docs").list_ids()) == sorted(ids)
    assert texts_of(store, ids) == TEXTS


def test_ids_given_are_not_taken_for_ones_made_up(
    client: VectorizeClient, cut: Cut, tmp_path: Path
) -> None:
    store, path = store_on(client, Embedder()), tmp_path / "checkpoint"
    cut.fatal = {"bad"}
    with pytest.raises(PartialWriteError):
        store.add_texts([*TEXTS[:39], "x"], ids=[*[None] * 39, "bad"], resume=path)
    cut.fatal = set()
    with pytest.raises(InvalidInputError, match="written for another input"):
        store.add_texts([*TEXTS[:39], "x"], ids=[f"{n}" for n in range(40)], resume=path)


def test_a_line_that_a_crash_cut_off_does_not_count(
    client: VectorizeClient, cut: Cut, tmp_path: Path
) -> None:
    embedder = Embedder()
    store, path = store_on(client, embedder), tmp_path / "checkpoint"
    ids = [f"id-{n}" for n in range(40)]
    cut.fatal = {"id-39"}
    with pytest.raises(PartialWriteError):
        store.add_texts(TEXTS, ids=ids, resume=path)
    content = path.read_bytes()
    cut.fatal = set()
    for size in range(content.index(b"\n"), len(content), 7):
        path.write_bytes(content[:size])
        if b"\n" not in content[:size]:
            with pytest.raises(InvalidInputError, match="is not a checkpoint"):
                store.add_texts(TEXTS, ids=ids, resume=path)
            continue
        embedder.batches.clear()
        assert store.add_texts(TEXTS, ids=ids, resume=path) == ids
        noted = content[:size].count(b"\n") - 1
        assert len(embedded(embedder)) == 40 - 5 * noted


@pytest.mark.parametrize(
    "content",
    [
        *(b"hello\n", b"{}\n", b"hello", b'{"a": [1]}\n{}\n', b"\xff\n"),
        b'{"vectorize_checkpoint": 3, "index": "docs", "place": "", "seed": 7}\n',
    ],
)
def test_a_file_that_is_something_else_is_left_alone(
    client: VectorizeClient, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match="is not a checkpoint"):
        store_on(client, Embedder()).add_texts(TEXTS, resume=path)
    assert path.read_bytes() == content


def test_the_checkpoint_of_another_index_is_refused(
    client: VectorizeClient, cut: Cut, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint"
    store = store_on(client, Embedder())
    cut.fatal = {"id-39"}
    ids = [f"id-{n}" for n in range(40)]
    with pytest.raises(PartialWriteError):
        store.add_texts(TEXTS, ids=ids, resume=path)
    other = VectorizeVectorStore(Embedder(), client=client, index_name="other", create_index=True)
    with pytest.raises(InvalidInputError, match="of the index 'docs', not one of 'other'"):
        other.add_texts(TEXTS, ids=ids, resume=path)


def test_a_missing_directory_is_an_error_before_embedding(
    client: VectorizeClient, tmp_path: Path
) -> None:
    embedder = Embedder()
    with pytest.raises(InvalidInputError, match="no such directory"):
        store_on(client, embedder).add_texts(TEXTS, resume=tmp_path / "no" / "checkpoint")
    assert embedder.batches == []


def test_vectors_go_on_too(client: VectorizeClient, cut: Cut, tmp_path: Path) -> None:
    client.create_index("docs", dimensions=DIMENSIONS)
    index, path = client.index("docs"), tmp_path / "checkpoint"
    vectors = [Vector(str(n), np.ones(DIMENSIONS), metadata={"n": n}) for n in range(40)]
    cut.fatal = {"17"}
    with pytest.raises(PartialWriteError) as caught:
        index.upsert(iter(vectors), batch_size=5, concurrency=1, resume=path)
    assert caught.value.written == tuple(range(15))
    cut.fatal = set()
    assert len(index.upsert(vectors, batch_size=5, resume=path)) == 5
    assert index.upsert(vectors, batch_size=5, resume=caught.value, dry_run=True) == [
        str(n) for n in range(15, 40)
    ]
    assert {v.id for v in index.get([v.id for v in vectors])} == {v.id for v in vectors}
