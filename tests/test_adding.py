"""Adding to both stores: in order, lazily, and refused before it costs anything."""

from __future__ import annotations

import copy
import gc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.stores import (
    ODD_METADATA,
    Call,
    Recorder,
    async_call,
    bad_records,
    both_ways,
    recorded,
    shape,
    sync_call,
)
from vectorize_core import (
    BatchReport,
    InvalidVectorError,
    PartialWriteError,
    Vector,
    VectorizeClient,
    WriteEstimate,
)

ROWS: list[Row] = [(f"id-{i}", f"text {i}", {"n": i}) for i in range(7)]
IDS = [row[0] for row in ROWS]
FORMS = {"texts": (LANGCHAIN, True), "documents": (LANGCHAIN, False), "nodes": (LLAMA_INDEX, False)}
every_form = pytest.mark.parametrize(("kind", "as_texts"), FORMS.values(), ids=FORMS)
every_column = pytest.mark.parametrize("column", [list, iter], ids=["lists", "generators"])
Column = Callable[[Iterable[Row]], Iterable[Row]]


@pytest.fixture
def sent(client: VectorizeClient) -> Recorder:
    return recorded(client)


@pytest.fixture
def store(kind: Kind, client: VectorizeClient, sent: Recorder) -> Any:
    return kind.over(client)


def embedded(kind: Kind, store: Any) -> list[int]:
    """How many texts were embedded in each batch."""
    return [len(batch) for batch in store.embeddings.batches] if kind is LANGCHAIN else []


@both_ways
@every_form
@every_column
async def test_what_is_added_is_kept_and_ids_come_back_in_order(
    kind: Kind, store: Any, call: Call, as_texts: bool, column: Column
) -> None:
    options = {"as_texts": as_texts, "batch_size": 2}
    assert await kind.add_rows(call, store, column(ROWS), **options) == IDS
    assert await kind.get(call, store, IDS) == ROWS


@both_ways
@every_form
async def test_an_id_that_exists_is_replaced_whole(
    kind: Kind, store: Any, call: Call, as_texts: bool
) -> None:
    for row in (("a", "old", {"old": 1}), ("a", "new", {"new": 1})):
        await kind.add_rows(call, store, [row], as_texts=as_texts)
        assert await kind.get(call, store, ["a"]) == [row]
        assert await kind.search(call, store, "new") == ["a"]


@both_ways
@every_form
@pytest.mark.parametrize("batch_size", [1, 2, 10])
@pytest.mark.covering(2)
async def test_of_equal_ids_in_one_call_the_last_wins(
    kind: Kind, store: Any, sent: Recorder, call: Call, as_texts: bool, batch_size: int
) -> None:
    rows: list[Row] = [(f"{i % 3}", f"text {i}", {"n": i}) for i in range(9)]
    options = {"as_texts": as_texts, "batch_size": batch_size}
    for given in (rows, iter(rows)):
        assert await kind.add_rows(call, store, given, **options) == [row[0] for row in rows]
        assert await kind.get(call, store, "012") == rows[6:]
    assert all(len(ids) <= batch_size for ids in sent.writes)


@both_ways
@every_form
async def test_nothing_to_add_sends_and_creates_nothing(
    kind: Kind, store: Any, sent: Recorder, call: Call, as_texts: bool
) -> None:
    for none in ([], iter(())):
        assert await kind.add_rows(call, store, none, as_texts=as_texts) == []
    assert (embedded(kind, store), sent.changes) == ([], [])


@both_ways
@every_form
@bad_records
async def test_a_bad_record_in_a_list_is_refused_at_once(
    kind: Kind, store: Any, sent: Recorder, call: Call, as_texts: bool, bad: Any
) -> None:
    *row, message = bad
    with pytest.raises(InvalidVectorError, match=message):
        await kind.add_rows(call, store, [*ROWS, tuple(row)], as_texts=as_texts, batch_size=1)
    assert (embedded(kind, store), sent.changes) == ([], [])


@both_ways
@every_form
@bad_records
async def test_a_bad_record_in_a_generator_stops_its_batch(
    kind: Kind, store: Any, sent: Recorder, call: Call, as_texts: bool, bad: Any
) -> None:
    *row, message = bad
    rows = iter([*ROWS[:5], tuple(row), ROWS[6]])
    with pytest.raises(PartialWriteError, match=message) as caught:
        await kind.add_rows(call, store, rows, as_texts=as_texts, batch_size=2)
    error = caught.value
    assert (error.written, error.unknown, error.not_written) == ((0, 1, 2, 3), (), (4, 5))
    assert isinstance(error.causes[0], InvalidVectorError)
    assert embedded(kind, store) in ([2, 2], [])
    assert sorted(sent.writes) == [["id-0", "id-1"], ["id-2", "id-3"]]


@both_ways
@both_stores
async def test_callers_objects_are_not_changed(kind: Kind, store: Any, call: Call) -> None:
    rows: list[Row] = [("a", "a", copy.deepcopy(ODD_METADATA)), ("b", "b", {})]
    items = [kind.item(row) for row in rows]
    if kind is LANGCHAIN:
        items[1].id = None  # One is made up, and not put there.
    before = copy.deepcopy(items)
    await call(store, "add_documents" if kind is LANGCHAIN else "add", items)
    assert items == before
    assert [shape(item.metadata) for item in items] == [shape(row[2]) for row in rows]


@both_ways
async def test_callers_columns_are_not_changed(client: VectorizeClient, call: Call) -> None:
    columns = {"ids": ["a", None], "metadatas": [copy.deepcopy(ODD_METADATA), {}]}
    before = copy.deepcopy(columns)
    await call(LANGCHAIN.over(client), "add_texts", ["a", "b"], **columns)
    assert shape(columns) == shape(before)


@both_ways
@both_stores
async def test_batches_are_reported_as_they_are_accepted(
    kind: Kind, store: Any, call: Call
) -> None:
    reports: list[BatchReport] = []
    await kind.add_rows(call, store, ROWS, batch_size=3, on_batch=reports.append)
    assert max(report.written for report in reports) == 7
    assert len({report.mutation_id for report in reports}) == 3


@both_ways
@both_stores
async def test_of_a_list_no_vector_is_kept_that_was_sent(
    kind: Kind, client: VectorizeClient, call: Call
) -> None:
    def count(report: BatchReport) -> None:
        gc.collect()
        kept.append(sum(type(one) is Vector for one in gc.get_objects()))

    kept: list[int] = []
    rows: list[Row] = [(f"id-{n}", f"text {n}", {"n": n}) for n in range(160)]
    await kind.add_rows(call, kind.over(client), rows, batch_size=40, concurrency=1, on_batch=count)
    # A few of each batch show when reads see it.
    assert kept[-1] < kept[0] + 40


@both_ways
@both_stores
async def test_a_dry_run_checks_and_writes_nothing(
    kind: Kind, store: Any, sent: Recorder, call: Call
) -> None:
    found = await kind.add_rows(call, store, ROWS, batch_size=2, dry_run=True)
    assert isinstance(found, WriteEstimate)
    # What embeddings there will be is not known where none is made.
    dimensions = 7 * 32 if kind is LLAMA_INDEX else None
    assert (found, found.requests, found.stored_dimensions) == (IDS, 4, dimensions)
    with pytest.raises(InvalidVectorError, match=r"'bad'.*10240"):
        await kind.add_rows(call, store, [("bad", "t", {"a": "x" * 10_240})], dry_run=True)
    assert (embedded(kind, store), sent.changes) == ([], [])


@both_ways
@every_form
async def test_an_iterator_that_fails_tells_what_was_written(
    kind: Kind, store: Any, call: Call, tmp_path: Path, as_texts: bool
) -> None:
    def failing() -> Iterator[Row]:
        yield from ROWS[:5]
        raise OSError("the disk is gone")

    options = {"as_texts": as_texts, "batch_size": 2, "resume": tmp_path / "checkpoint"}
    with pytest.raises(PartialWriteError, match="the disk is gone") as caught:
        await kind.add_rows(call, store, failing(), **options)
    assert (caught.value.written, caught.value.not_written) == ((0, 1, 2, 3), (4,))
    assert isinstance(caught.value.__cause__, OSError)
    assert embedded(kind, store) in ([2, 2], [])
    assert await kind.add_rows(call, store, ROWS, **options, dry_run=True) == IDS[4:]
    assert await kind.add_rows(call, store, ROWS, **options) == IDS
    assert await kind.get(call, store, IDS) == ROWS
    assert not (tmp_path / "checkpoint").exists()


@both_stores
async def test_awaited_methods_take_async_iterables(kind: Kind, store: Any) -> None:
    async def later() -> AsyncIterator[Any]:
        for row in ROWS:
            yield kind.item(row)

    ids = await async_call(store, "add_documents" if kind is LANGCHAIN else "add", later())
    assert ids == IDS
    assert await kind.get(sync_call, store, IDS) == ROWS
