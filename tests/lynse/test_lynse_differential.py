"""Indexes on LynseDB compared with a dict: two writers, filters, namespaces, and killed servers."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from tests.lynse.servers import KEY, Lynse
from tests.nightly import sized
from vectorize_core import (
    ConnectionFailedError,
    IndexDamagedError,
    PartialWriteError,
    RetryPolicy,
    Vector,
    scoring,
)
from vectorize_core.api import operations as ops
from vectorize_core.filters import native
from vectorize_core.local import matching
from vectorize_core.lynse import LynseClient
from vectorize_core.lynse.rows import BEHAVIOR
from vectorize_core.models import MetadataIndex, Metric
from vectorize_core.transport.io import run

INDEXES = (
    MetadataIndex("word", "string"),
    MetadataIndex("n", "number"),
    MetadataIndex("is", "boolean"),
)
WORDS = [
    "",
    "a",
    "a'b",
    'x" OR "1"="1',
    "[1]",
    '{"a": 1}',
    "é" * 40,
    "\u0000",
    "1e5",
    "null",
    "日本",
]
NUMBERS = [0, -0.0, 1, 1.5, -2, 1e300, -1e-300, 2**53]
SPACES = [None, "t1", "T1", "o'x"]


def a_record(random_: random.Random, vector_id: str) -> Vector:
    metadata: dict[str, Any] = {"text": random_.choice(WORDS)}
    for name, values in (("word", WORDS), ("n", NUMBERS), ("is", [True, False])):
        if random_.random() < 0.8:
            metadata[name] = random_.choice(values)
    values = np.array([random_.gauss(0, 1) for _ in range(32)], np.float32)
    return Vector(vector_id, values, random_.choice(SPACES), metadata)


def a_filter(random_: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in (("word", WORDS), ("n", NUMBERS), ("is", [True, False]), ("no", [1])):
        if random_.random() < 0.4:
            operator = random_.choice(["$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte"])
            if operator in native.MEMBERSHIP:
                found[name] = {operator: random_.sample(values, min(2, len(values)))}
            elif operator in native.EQUALITY or name != "is":
                found[name] = {operator: random_.choice(values)}
    return found


def matches(vector: Vector, conditions: tuple[native.Condition, ...]) -> bool:
    """Whether it meets them, by the embedded Vectorize's own rule."""
    kinds = {index.property_name: index.index_type for index in INDEXES}
    for one in conditions:
        kind = kinds.get(one.property_name)
        value = matching.lookup(vector.metadata or {}, one.property_name)
        entry = () if kind is None else matching.entry(value, kind, BEHAVIOR)
        column = matching.build(kind or "string", 1, [entry])
        if not matching.matches(column, one, BEHAVIOR)[0]:
            return False
    return True


class Model:
    """What must be there; records whose write got no answer may be either."""

    def __init__(self, metric: Metric) -> None:
        self.metric: Metric = metric
        self.records: dict[str, Vector] = {}

    def check(self, client: LynseClient, random_: random.Random) -> None:
        index = client.index("docs")
        assert index.info().vector_count == len(self.records)
        assert sorted(index.list_ids()) == sorted(self.records)
        got = {one.id: one for one in index.get([*self.records, "never"])}
        assert got == self.records
        for _ in range(4):
            space, given = random_.choice(SPACES), a_filter(random_)
            wanted = {
                one.id
                for one in self.records.values()
                if (space is None or one.namespace == space) and matches(one, native.parse(given))
            }
            query = np.array([random_.gauss(0, 1) for _ in range(32)], np.float32)
            asked = ops.Query("docs", query, top_k=10, namespace=space, filter=given)
            found = run(client.connection.io().call(asked))
            assert {one.id for one in found.matches} <= wanted, (given, space)
            assert len(found.matches) == min(10, len(wanted)), (given, space)
            for one in found.matches:
                values = self.records[one.id].values[np.newaxis]
                (score,) = scoring.scores(self.metric, values, query)
                assert one.score == pytest.approx(score, abs=1e-4, rel=1e-4)


def new_index(client: LynseClient, metric: Metric) -> None:
    client.database("app").create_database(drop_if_exists=True)
    indexes = {one.property_name: one.index_type for one in INDEXES}
    client.indexes().create_index(
        "docs", dimensions=32, metric=metric, metadata_indexes=indexes, record_layout=False
    )


def opened(server: Lynse) -> LynseClient:
    retry = RetryPolicy(
        read_deadline=20.0, write_deadline=20.0, first_delay=0.05, request_lifetime=0.1
    )
    return LynseClient(server.url, database="app", api_key=KEY, retry=retry)


@pytest.mark.parametrize("seed", range(sized(2, 40)))
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot-product"])
@pytest.mark.covering(1)
async def test_an_index_is_what_was_written_to_it(
    new_lynse: Lynse, metric: Metric, seed: int
) -> None:
    random_, model = random.Random(seed), Model(metric)
    with opened(new_lynse) as client, opened(new_lynse) as other:
        new_index(client, metric)
        for _ in range(sized(12, 40)):
            writer = random_.choice([client, other])
            names = [f"{random_.choice(WORDS)[:20]}r{random_.randrange(60)}" for _ in range(15)]
            if random_.random() < 0.7:
                new = {name: a_record(random_, name) for name in names}
                if random_.random() < 0.3:
                    writer.index("docs").insert(new.values())
                    model.records = new | model.records
                else:
                    await writer.to_async().index("docs").upsert(new.values())
                    model.records |= new
            else:
                gone = names[: random_.randrange(15)]
                writer.index("docs").delete(gone)
                for name in gone:
                    model.records.pop(name, None)
        await asyncio.to_thread(model.check, client, random_)
        model.check(other, random_)


def until_answered(call: Callable[[Any], object], what: Any) -> None:
    """Call again while the server is not back; it takes a while on a busy machine."""
    while True:
        try:
            call(what)
        except (ConnectionFailedError, PartialWriteError) as error:
            causes = error.causes if isinstance(error, PartialWriteError) else (error,)
            for one in causes:
                if isinstance(one, IndexDamagedError):
                    raise one from error
            if not all(isinstance(one, ConnectionFailedError) for one in causes):
                raise
        else:
            return


class Writers:
    """Two clients of an index; now and then one that knows nothing takes the place of either."""

    def __init__(self, server: Lynse, random_: random.Random, stack: ExitStack) -> None:
        self._server, self._random, self._stack = server, random_, stack
        self._clients = [self._new(), self._new()]

    def _new(self) -> LynseClient:
        return self._stack.enter_context(opened(self._server))

    def replace(self) -> None:
        if self._random.random() < 0.6:
            self._clients[self._random.randrange(2)] = self._new()

    def one(self) -> LynseClient:
        return self._random.choice(self._clients)

    def write(self, verb: str, records: Any) -> None:
        """Write by either, sync or async, until it counts."""
        client, is_async = self.one(), self._random.random() < 0.2

        async def awaited(given: Any) -> None:
            await getattr(client.to_async().index("docs"), verb)(given)

        if is_async:
            until_answered(lambda given: asyncio.run(awaited(given)), records)
        else:
            until_answered(getattr(client.index("docs"), verb), records)


@pytest.mark.parametrize("seed", range(sized(1, 40)))
def test_nothing_is_lost_or_comes_back_when_the_server_is_killed(
    server: Lynse, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Each round is ended by a kill at any moment, of writes that are repeated until they count."""
    random_, model, damaged = random.Random(seed), Model("cosine"), []
    with ExitStack() as stack:
        writers = Writers(server, random_, stack)
        new_index(writers.one(), "cosine")
        for _ in range(sized(12, 15)):
            if random_.random() < 0.2:
                writers.one().collection("docs").compact()
            killer = threading.Timer(random_.uniform(0.0, 0.25), server.restart)
            killer.start()
            try:
                while killer.is_alive():
                    names = [f"r{random_.randrange(80)}" for _ in range(10)]
                    if random_.random() < 0.6:
                        new = {name: a_record(random_, name) for name in names}
                        writers.write("upsert", new.values())
                        model.records |= new
                    else:
                        writers.write("delete", names)
                        for name in names:
                            model.records.pop(name, None)
                killer.join()
                writers.replace()
                model.check(writers.one(), random_)
            except IndexDamagedError as error:
                # It says so, and can be written again.
                killer.join()
                damaged.append(str(error))
                writers.one().indexes().delete_index("docs")
                new_index(writers.one(), "cosine")
                writers.write("upsert", model.records.values())
                model.check(writers.one(), random_)
    record_property("damaged", damaged)


@pytest.mark.parametrize("seed", range(sized(1, 10)))
def test_two_writers_of_the_same_records_leave_one_of_each(new_lynse: Lynse, seed: int) -> None:
    with opened(new_lynse) as client, opened(new_lynse) as other:
        new_index(client, "cosine")
        names = [f"r{n}" for n in range(10)]

        def write(writer: LynseClient, offset: int) -> None:
            random_ = random.Random(seed * 100 + offset)
            for _ in range(6):
                records = [a_record(random_, name) for name in random_.sample(names, 5)]
                writer.index("docs").upsert(records)
                ids = [*writer.index("docs").list_ids()]
                assert len({*ids}) == len(ids)

        threads = [
            threading.Thread(target=write, args=(one, at)) for at, one in enumerate((client, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ids = [*client.index("docs").list_ids()]
        assert len(ids) == len({*ids}) == client.index("docs").info().vector_count
        found = client.index("docs").query(np.ones(32, np.float32), top_k=50)
        assert sorted(one.id for one in found) == sorted(ids)
        assert client.index("docs").get(ids) == other.index("docs").get(ids)


def test_a_call_that_no_server_answers_is_an_error(server: Lynse) -> None:
    retry = RetryPolicy(read_deadline=0.2, write_deadline=0.2, first_delay=0.05)
    with LynseClient(server.url, database="app", api_key=KEY, retry=retry) as client:
        new_index(client, "cosine")
        server.kill()
        with pytest.raises(ConnectionFailedError):
            client.index("docs").info()
