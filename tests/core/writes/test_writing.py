"""Writing and deleting: batches, order, and an account of every record."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.helpers import CREDENTIALS, Variant, both_variants, failed, ok
from tests.nightly import examples
from tests.patience import until
from vectorize_core.api.operations import CreateIndex, DeleteByIds, Insert, Op, Upsert
from vectorize_core.connection import Connection, local_connection
from vectorize_core.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidInputError,
    InvalidVectorError,
    PartialWriteError,
    ServerError,
    VectorizeError,
)
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.reads import by_id
from vectorize_core.transport.events import BatchEvent, Event, Events
from vectorize_core.transport.executor import Answer, Executor
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.io import Io, run
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes import batching, writing
from vectorize_core.writes.progress import BatchReport

T = TypeVar("T")
DIMENSIONS = 32
ONCE = RetryPolicy(read_deadline=0, write_deadline=0)
UNKNOWN_FATES = ("503", "503 after", "reset", "reset after", "timeout after")
NOT_WRITTEN_FATES = ("400", "403", "429", "refused")


def record(name: object, number: int = 0) -> Vector:
    return Vector(str(name), np.ones(DIMENSIONS), metadata={"n": number})


def records(count: int) -> list[Vector]:
    return [record(i, i) for i in range(count)]


def bad() -> Vector:
    return Vector("bad", np.ones(DIMENSIONS + 1))


def io_of(variant: Variant, connection: Connection) -> Io:
    return connection.async_io() if variant.is_async else connection.io()


async def driven(variant: Variant, flow: Any) -> Any:
    return await flow if variant.is_async else run(flow)


class Slow:
    """Takes up to four milliseconds before each write, so that requests overtake each other."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.sent: list[Op[Any]] = []
        self.random = random.Random(0)

    def send(self, op: Op[T]) -> Answer[T]:
        time.sleep(self.random.uniform(0, 0.004))
        self.sent.append(op)
        return self.inner.send(op)

    async def asend(self, op: Op[T]) -> Answer[T]:
        await asyncio.sleep(self.random.uniform(0, 0.004))
        self.sent.append(op)
        return await self.inner.asend(op)

    def close(self) -> None:
        self.inner.close()

    async def aclose(self) -> None:
        await self.inner.aclose()

    @property
    def writes(self) -> list[Any]:
        return [op for op in self.sent if isinstance(op, (Upsert, Insert, DeleteByIds))]


@pytest.fixture
def slow() -> Iterator[Slow]:
    connection = local_connection()
    executor = Slow(connection.executor)
    executor.inner.send(CreateIndex("docs", IndexConfig(DIMENSIONS)))
    yield executor
    executor.close()


@pytest.fixture
def connection(slow: Slow) -> Connection:
    return Connection(slow)


class Cloud:
    """An embedded Vectorize behind HTTP; a write has the fate of the batch of its first id."""

    def __init__(self, batch_size: int, fates: dict[int, str]) -> None:
        self.batch_size = batch_size
        self.fates = fates
        self.service = Service()
        self.service.create_index("docs", IndexConfig(DIMENSIONS))
        transport = httpx.MockTransport(self.answer)
        executor = HttpExecutor(CREDENTIALS, transport=transport, async_transport=transport)
        self.connection = Connection(executor, ONCE)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            config = {"dimensions": DIMENSIONS, "metric": "cosine"}
            return self.response(ok({"name": "docs", "config": config}))
        carry_out: Callable[[], Any]
        if request.url.path.endswith("delete_by_ids"):
            ids = json.loads(request.content)["ids"]
            carry_out = lambda: self.service.delete_by_ids("docs", ids)  # noqa: E731
        else:
            vectors = [Vector(**json.loads(line)) for line in request.content.splitlines()]
            ids = [vector.id for vector in vectors]
            carry_out = lambda: self.service.upsert("docs", vectors)  # noqa: E731
        fate, _, after = self.fates.get(int(ids[0]) // self.batch_size, "ok").partition(" ")
        mutation: Any = carry_out() if after or fate == "ok" else None
        match fate:
            case "ok":
                return self.response(ok({"mutationId": mutation.mutation_id}))
            case "reset":
                raise httpx.ReadError("connection reset", request=request)
            case "timeout":
                raise httpx.ReadTimeout("no answer", request=request)
            case "refused":
                raise httpx.ConnectError("connection refused", request=request)
        return self.response(failed(int(fate), 40000))

    @staticmethod
    def response(answer: Any) -> httpx.Response:
        return httpx.Response(answer.status, content=answer.content)

    def stored(self) -> set[int]:
        return {int(i) for i in self.service.list_vectors("docs", count=1_000).ids}

    async def close(self) -> None:
        await self.connection.aclose()
        self.service.close()


async def stored(variant: Variant, connection: Connection, *ids: object) -> dict[str, int]:
    io, state = io_of(variant, connection), connection.state("docs")
    found = await driven(variant, by_id.get_many(io, state, [str(i) for i in ids]))
    return {i: dict(vector.metadata)["n"] for i, vector in found.items()}


async def upsert(variant: Variant, connection: Connection, vectors: Any, **options: Any) -> Any:
    io, state = io_of(variant, connection), connection.state("docs")
    return await driven(variant, writing.upsert(io, state, vectors, **options))


async def delete(variant: Variant, connection: Connection, ids: Any, **options: Any) -> Any:
    io, state = io_of(variant, connection), connection.state("docs")
    return await driven(variant, writing.delete(io, state, ids, **options))


@both_variants
@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(0, 2, []), (1, 2, [1]), (4, 2, [2, 2]), (5, 2, [1, 2, 2]), (501, None, [1, 500])],
)
async def test_batches_are_cut_by_count_and_each_has_its_mutation(
    variant: Variant,
    slow: Slow,
    connection: Connection,
    count: int,
    batch_size: int | None,
    sizes: list[int],
) -> None:
    mutations = await upsert(variant, connection, records(count), batch_size=batch_size)
    assert sorted(len(op.vectors) for op in slow.writes) == sizes
    assert len({m.mutation_id for m in mutations}) == len(sizes)
    assert None not in {m.mutation_id for m in mutations}
    assert len(slow.sent) == len(slow.writes) + bool(count)
    assert await stored(variant, connection, *range(count)) == {str(i): i for i in range(count)}


def test_a_batch_never_has_more_than_5000_records() -> None:
    assert batching.check_batch_size(5_001) == 5_000


@both_variants
@pytest.mark.parametrize("value", [-0.0000063184107, 0.25], ids=["long values", "short values"])
async def test_batches_are_cut_by_bytes_as_sent(variant: Variant, value: float) -> None:
    connection = local_connection()
    executor = Slow(connection.executor)
    executor.inner.send(CreateIndex("docs", IndexConfig(1536)))
    values = np.full(1536, value, np.float32)
    vectors = [Vector(f"{i:064}", values, metadata={"a": "x" * 10_000}) for i in range(600)]
    await upsert(variant, Connection(executor), vectors, batch_size=5_000)
    connection.close()
    sizes = [sum(map(len, op.request().body)) for op in executor.writes]
    assert sum(len(op.vectors) for op in executor.writes) == 600
    assert max(sizes) <= batching.MAX_BATCH_BYTES
    assert max(sizes) > batching.MAX_BATCH_BYTES * 0.95


@both_variants
@pytest.mark.parametrize("as_generator", [False, True])
@pytest.mark.parametrize(("flow", "wins"), [(writing.upsert, max), (writing.insert, min)])
async def test_of_repeated_ids_in_flight_the_right_one_wins(
    variant: Variant, slow: Slow, connection: Connection, flow: Any, wins: Any, as_generator: bool
) -> None:
    chosen = random.Random(7).choices(range(6), k=150)
    vectors = [record(i, n) for n, i in enumerate(chosen)]
    state = connection.state("docs")
    source = iter(vectors) if as_generator else vectors
    options = {"batch_size": 3, "concurrency": 4}
    await driven(variant, flow(io_of(variant, connection), state, source, **options))
    expected = {str(i): wins(n for n, c in enumerate(chosen) if c == i) for i in range(6)}
    assert await stored(variant, connection, *range(6)) == expected
    assert len(slow.writes) == 50


@both_variants
async def test_batches_that_share_no_id_are_in_flight_at_once(
    variant: Variant, slow: Slow, connection: Connection
) -> None:
    under_way = most = 0

    class Counting(Slow):
        def send(self, op: Op[T]) -> Answer[T]:
            nonlocal under_way, most
            if op.kind == "read":
                return self.inner.send(op)
            under_way += 1
            most = max(most, under_way)
            until(lambda: most >= 4)
            time.sleep(0.01)
            under_way -= 1
            return self.inner.send(op)

        async def asend(self, op: Op[T]) -> Answer[T]:
            nonlocal under_way, most
            if op.kind == "read":
                return await self.inner.asend(op)
            under_way += 1
            most = max(most, under_way)
            await asyncio.to_thread(until, lambda: most >= 4)
            await asyncio.sleep(0.01)
            under_way -= 1
            return await self.inner.asend(op)

    await upsert(
        variant, Connection(Counting(slow.inner)), records(12), batch_size=1, concurrency=4
    )
    assert most == 4


@both_variants
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_generator_is_read_at_most_one_batch_ahead(
    variant: Variant, connection: Connection, concurrency: int
) -> None:
    written, ahead = 0, 0

    def produce() -> Iterator[Vector]:
        nonlocal ahead
        for i in range(200):
            ahead = max(ahead, i + 1 - written)
            yield record(i)

    def landed(report: BatchReport) -> None:
        nonlocal written
        written = report.written

    await upsert(
        variant, connection, produce(), batch_size=5, concurrency=concurrency, on_batch=landed
    )
    assert written == 200
    assert concurrency * 5 <= ahead <= (concurrency + 1) * 5


async def test_async_iterables_are_written_by_the_async_variant(connection: Connection) -> None:
    async def produce() -> AsyncIterator[Vector]:
        for i in range(5):
            await asyncio.sleep(0)
            yield record(i, i)

    io, state = connection.async_io(), connection.state("docs")
    assert len(await writing.upsert(io, state, produce(), batch_size=2)) == 3
    assert len(await by_id.get_many(io, state, [str(i) for i in range(5)])) == 5


@both_variants
@pytest.mark.parametrize("flow", [writing.upsert, writing.insert])
async def test_a_sequence_is_checked_as_a_whole_before_anything_is_sent(
    variant: Variant, slow: Slow, connection: Connection, flow: Any
) -> None:
    io, state = io_of(variant, connection), connection.state("docs")
    for wrong in (bad(), Vector("bad", np.full(DIMENSIONS, np.nan)), record("x" * 65)):
        with pytest.raises(InvalidVectorError, match=wrong.id):
            await driven(variant, flow(io, state, [*records(5), wrong], batch_size=1))
    assert slow.writes == []


@both_variants
async def test_a_bad_record_of_a_generator_ends_the_write(
    variant: Variant, slow: Slow, connection: Connection
) -> None:
    yielded = 0

    def produce() -> Iterator[Vector]:
        nonlocal yielded
        for vector in [*records(5), bad(), *records(5)]:
            yielded += 1
            yield vector

    with pytest.raises(PartialWriteError, match="'bad' has 33 dimensions") as caught:
        await upsert(variant, connection, produce(), batch_size=2, concurrency=2)
    error = caught.value
    assert isinstance(error.causes[0], InvalidVectorError)
    assert (error.written, error.unknown, error.not_written) == ((0, 1, 2, 3), (), (4, 5))
    assert error.consumed == yielded == 6
    assert len(error.mutation_ids) == 2
    assert len(slow.writes) == 2


@both_variants
async def test_a_generator_that_fails_is_the_cause_of_the_error(
    variant: Variant, connection: Connection
) -> None:
    def produce() -> Iterator[Vector]:
        yield from records(3)
        raise OSError("the file is gone")

    with pytest.raises(PartialWriteError, match="the file is gone") as caught:
        await upsert(variant, connection, produce(), batch_size=2)
    assert (caught.value.written, caught.value.not_written) == ((0, 1), (2,))
    with pytest.raises(OSError, match="the file is gone"):
        await upsert(variant, connection, produce(), batch_size=4)


@both_variants
@pytest.mark.parametrize("as_generator", [False, True])
@pytest.mark.parametrize(
    ("fate", "unknown", "not_written"),
    [
        ("503", (2, 3), ()),
        ("reset after", (2, 3), ()),
        ("timeout after", (2, 3), ()),
        ("403", (), (2, 3)),
        ("refused", (), (2, 3)),
        ("429", (), (2, 3)),
    ],
)
async def test_a_batch_that_fails_for_good_has_one_of_two_outcomes(
    variant: Variant,
    fate: str,
    unknown: tuple[int, ...],
    not_written: tuple[int, ...],
    as_generator: bool,
) -> None:
    cloud = Cloud(2, {1: fate})
    source = iter(records(8)) if as_generator else records(8)
    with pytest.raises(PartialWriteError) as caught:
        await upsert(variant, cloud.connection, source, batch_size=2, concurrency=1)
    error = caught.value
    rest = () if as_generator else (4, 5, 6, 7)
    assert (error.written, error.unknown) == ((0, 1), unknown)
    assert error.not_written == (*not_written, *rest)
    assert error.consumed == (4 if as_generator else 8)
    await cloud.close()


@both_variants
@pytest.mark.parametrize(
    ("fate", "kind"),
    [("403", AuthenticationError), ("503", ServerError), ("refused", ConnectionFailedError)],
)
async def test_where_all_share_one_fate_the_cause_itself_is_raised(
    variant: Variant, fate: str, kind: type[Exception]
) -> None:
    cloud = Cloud(2, {0: fate})
    with pytest.raises(kind):
        await upsert(variant, cloud.connection, records(2), batch_size=2)
    await cloud.close()


@both_variants
async def test_an_unknown_batch_before_unsent_ones_is_accounted_for(variant: Variant) -> None:
    cloud = Cloud(2, {0: "503"})
    with pytest.raises(PartialWriteError) as caught:
        await upsert(variant, cloud.connection, records(4), batch_size=2, concurrency=1)
    assert (caught.value.unknown, caught.value.not_written) == ((0, 1), (2, 3))
    await cloud.close()


@both_variants
@examples(40)
@given(
    fates=st.lists(
        st.sampled_from(("ok", "ok", "ok", "ok", *UNKNOWN_FATES, *NOT_WRITTEN_FATES)),
        min_size=1,
        max_size=7,
    ),
    concurrency=st.integers(1, 4),
    spare=st.integers(0, 1),
    as_generator=st.booleans(),
)
async def test_every_record_is_in_the_one_list_that_is_true_of_it(
    variant: Variant, fates: list[str], concurrency: int, spare: int, as_generator: bool
) -> None:
    vectors = records(2 * len(fates) - spare)
    yielded = 0

    def produce() -> Iterator[Vector]:
        nonlocal yielded
        for vector in vectors:
            yielded += 1
            yield vector

    cloud = Cloud(2, dict(enumerate(fates)))
    source = produce() if as_generator else vectors
    raised: Exception | None = None
    try:
        await upsert(variant, cloud.connection, source, batch_size=2, concurrency=concurrency)
    except VectorizeError as error:
        raised = error
    stored = cloud.stored()
    await cloud.close()
    if raised is None:
        assert set(fates) == {"ok"}
        assert stored == set(range(len(vectors)))
    elif isinstance(raised, PartialWriteError):
        lists = raised.written, raised.unknown, raised.not_written
        assert sorted(chain(*lists)) == list(range(yielded if as_generator else len(vectors)))
        assert all(list(positions) == sorted(positions) for positions in lists)
        assert {fates[at // 2] for at in raised.written} <= {"ok"}
        assert {fates[at // 2] for at in raised.unknown} <= set(UNKNOWN_FATES)
        assert set(raised.written) <= stored <= {*raised.written, *raised.unknown}
        assert len(raised.mutation_ids) == len({at // 2 for at in raised.written})
    else:
        assert fates[0] != "ok"
        assert {fates[at // 2] for at in stored} <= {fate for fate in fates if "after" in fate}


@both_variants
async def test_progress_is_reported_after_every_batch(
    variant: Variant, connection: Connection
) -> None:
    reports: list[BatchReport] = []
    mutations = await upsert(
        variant, connection, records(7), batch_size=3, concurrency=1, on_batch=reports.append
    )
    assert [report.written for report in reports] == [3, 6, 7]
    assert [report.mutation_id for report in reports] == [m.mutation_id for m in mutations]


@both_variants
async def test_a_report_that_raises_ends_the_write_and_loses_no_account(
    variant: Variant, connection: Connection
) -> None:
    yielded = 0

    def produce() -> Iterator[Vector]:
        nonlocal yielded
        for vector in records(40):
            yielded += 1
            yield vector

    def landed(report: BatchReport) -> None:
        raise RuntimeError("no room on the screen")

    with pytest.raises(PartialWriteError, match="no room on the screen") as caught:
        await upsert(variant, connection, produce(), batch_size=2, concurrency=4, on_batch=landed)
    error = caught.value
    assert sorted([*error.written, *error.unknown, *error.not_written]) == list(range(yielded))
    assert yielded < 40
    assert await stored(variant, connection, *range(40)) == {str(i): i for i in error.written}


@both_variants
@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": -1},
        {"concurrency": 0},
        {"concurrency": -2},
        {"wait": "nonsense"},
        {"wait": None},
        {"wait": 1},
    ],
)
async def test_impossible_options_are_refused_at_once(
    variant: Variant, slow: Slow, connection: Connection, wrong: Any
) -> None:
    source = iter(records(2))
    named = repr(next(iter(wrong.values())))
    with pytest.raises(InvalidInputError, match=f"{next(iter(wrong))}.*{named}"):
        await upsert(variant, connection, source, **wrong)
    assert len(list(source)) == 2
    if "batch_size" not in wrong:
        with pytest.raises(InvalidInputError, match=named):
            await delete(variant, connection, ["a"], **wrong)
    assert slow.sent == []


@both_variants
async def test_unparsable_behavior_is_passed_on(
    variant: Variant, slow: Slow, connection: Connection
) -> None:
    await upsert(variant, connection, records(1), unparsable_behavior="discard")
    assert slow.writes[0].request().params == {"unparsable-behavior": "discard"}


@both_variants
@pytest.mark.parametrize(("count", "sizes"), [(0, []), (100, [100]), (101, [1, 100])])
async def test_deletes_are_cut_into_hundreds(
    variant: Variant, slow: Slow, connection: Connection, count: int, sizes: list[int]
) -> None:
    await upsert(variant, connection, records(count + 1))
    slow.sent.clear()
    mutations = await delete(variant, connection, [str(i) for i in range(count)])
    assert sorted(len(op.ids) for op in slow.writes) == sizes
    assert len(slow.sent) == len(sizes)
    assert len({m.mutation_id for m in mutations}) == len(sizes)
    assert await stored(variant, connection, *range(count + 1)) == {str(count): count}


@both_variants
async def test_unknown_and_repeated_ids_are_deleted_without_harm(
    variant: Variant, connection: Connection
) -> None:
    await upsert(variant, connection, records(2))
    await delete(variant, connection, ["unknown", "0", "0"])
    assert await stored(variant, connection, "0", "1", "unknown") == {"1": 1}


@both_variants
@pytest.mark.parametrize("ids", [["0", ""], ["0", "x" * 65], ["0", 5], "0"])
async def test_ids_that_cannot_be_deleted_are_refused_before_sending(
    variant: Variant, slow: Slow, connection: Connection, ids: Any
) -> None:
    with pytest.raises(InvalidInputError, match="id"):
        await delete(variant, connection, ids)
    assert slow.sent == []


@both_variants
async def test_every_id_of_a_delete_is_accounted_for(variant: Variant) -> None:
    cloud = Cloud(100, {1: "503", 2: "400"})
    await upsert(variant, cloud.connection, records(350), batch_size=350)
    with pytest.raises(PartialWriteError) as caught:
        await delete(variant, cloud.connection, [str(i) for i in range(350)])
    error = caught.value
    assert error.written == (*range(100), *range(300, 350))
    assert error.unknown == tuple(range(100, 200))
    assert error.not_written == tuple(range(200, 300))
    assert cloud.stored() == {*error.unknown, *error.not_written}
    await cloud.close()


@both_variants
async def test_each_request_of_a_write_is_an_event(variant: Variant, slow: Slow) -> None:
    events: list[Event] = []
    connection = Connection(slow, events=Events(events.append))
    mutations = await upsert(variant, connection, records(25), batch_size=10)
    batches = [event for event in events if isinstance(event, BatchEvent)]
    assert sorted(event.records for event in batches) == [5, 10, 10]
    assert all(event.written == event.records and event.seconds > 0 for event in batches)
    assert {event.mutation_id for event in batches} == {m.mutation_id for m in mutations}
    cloud = Cloud(2, {1: "503"})
    cloud.connection = Connection(cloud.connection.executor, ONCE, events=Events(events.append))
    with pytest.raises(PartialWriteError):
        await upsert(variant, cloud.connection, records(4), batch_size=2, concurrency=1)
    assert isinstance(events[-1], BatchEvent)
    assert (events[-1].written, events[-1].error) == (0, "ServerError")
    await cloud.close()


@both_variants
async def test_mutations_come_in_the_order_of_the_input(variant: Variant, slow: Slow) -> None:
    accepted: dict[int, str] = {}

    class Noting(Slow):
        def note(self, op: Op[Any], answer: Any) -> Any:
            if isinstance(op, Upsert):
                accepted[int(op.vectors[0].id)] = answer.result.mutation_id
            return answer

        def send(self, op: Op[T]) -> Any:
            return self.note(op, super().send(op))

        async def asend(self, op: Op[T]) -> Any:
            return self.note(op, await super().asend(op))

    mutations = await upsert(variant, Connection(Noting(slow.inner)), records(150), batch_size=5)
    in_order = [accepted[first] for first in sorted(accepted)]
    assert list(accepted.values()) != in_order
    assert [mutation.mutation_id for mutation in mutations] == in_order
