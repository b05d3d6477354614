"""First writers of all kinds at once, by seed: none fails, and nothing stands outside a filter."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind
from tests.nightly import sized
from tests.stores import async_call, sync_call, vector
from vectorize_core import VectorizeClient, layout
from vectorize_core.local import Behavior
from vectorize_core.local.server import BackgroundServer, Settings

YEAR: Any = {"year": "number"}
KINDS = {kind.name: kind for kind in (LANGCHAIN, LLAMA_INDEX)}
Clients = Callable[[], VectorizeClient]


def written_by(place: str, where: str, behavior: Behavior, kind: str, row: Any) -> None:
    """What a process does: one first write, by a client of its own."""
    with connect(place, where, behavior) as client:
        store = KINDS[kind].over(client, metadata_indexes=YEAR)
        asyncio.run(KINDS[kind].add_rows(sync_call, store, row))


def connect(place: str, where: str, behavior: Behavior) -> VectorizeClient:
    if place == "server":
        return VectorizeClient(account_id="a", base_url=where)
    return VectorizeClient.local(where, behavior=behavior)


@pytest.mark.parametrize("seed", range(sized(3, 200)))
async def test_first_writers_of_all_kinds(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    place = chance.choice(["memory", "directory", "server"])
    behavior = Behavior(
        metadata_index_delay=chance.choice([0.0, 0.02, 0.3]),
        process_delay=chance.choice([0.0, 0.0, 0.05]),
        duplicate_metadata_index=chance.choice(["error", "accepted"]),
    )
    async with AsyncExitStack() as stack:
        where = str(tmp_path / "data") if place == "directory" else ":memory:"
        if place == "server":
            server = BackgroundServer(Settings(behavior=behavior))
            where = stack.enter_context(server).base_url
        first = connect(place, where, behavior)
        stack.push_async_callback(first.connection.aclose)

        def client() -> VectorizeClient:
            if place == "memory" or chance.random() < 0.5:
                return first
            made = connect(place, where, behavior)
            stack.push_async_callback(made.connection.aclose)
            return made

        stores: list[tuple[Kind, Any]] = []
        tasks, workers, expected = [], [], 0
        for number in range(chance.randint(2, 10)):
            if not stores or chance.random() < 0.6:
                kind = chance.choice([LANGCHAIN, LLAMA_INDEX])
                stores.append((kind, kind.over(client(), metadata_indexes=YEAR)))
            kind, store = chance.choice(stores)
            count = chance.choice([1, 1, 5])
            row = [(f"{number}-{n}", f"text {number} {n}", {"year": 1}) for n in range(count)]
            expected += count
            by = chance.choice(["task", "task", "thread", "process"])
            # A process takes seconds to begin, so few seeds have any.
            if by == "process" and place != "memory" and seed % 10 == 4:
                arguments = (place, where, behavior, kind.name, row)
                spawn = multiprocessing.get_context("spawn")
                workers.append(spawn.Process(target=written_by, args=arguments))
            elif by == "task":
                tasks.append(delayed(chance.random() * 0.05, kind, store, row))
            else:
                workers.append(Thread(chance.random() * 0.05, kind, store, row))
        for worker in workers:
            worker.start()
        await asyncio.gather(*tasks)
        for worker in workers:
            await asyncio.to_thread(worker.join)
            assert getattr(worker, "exitcode", 0) == 0
        await asyncio.sleep(behavior.process_delay * 2)
        check(first, expected)
        nodes = sum("_vs_ref" in (v.metadata or {}) for v in first.index("docs").iter())
        of_nodes = LLAMA_INDEX.over(first)
        await async_call(of_nodes, "delete", "doc", verify=True)
        assert first.index("docs").count() == expected - nodes


async def delayed(seconds: float, kind: Kind, store: Any, row: Any) -> None:
    await asyncio.sleep(seconds)
    assert await kind.add_rows(async_call, store, row) == [each[0] for each in row]


class Thread(threading.Thread):
    """A first write in a thread; ``exitcode`` as of a process."""

    def __init__(self, seconds: float, kind: Kind, store: Any, row: Any) -> None:
        super().__init__(daemon=True)
        self.exitcode = 1
        self._given = seconds, kind, store, row

    def run(self) -> None:
        seconds, kind, store, row = self._given
        threading.Event().wait(seconds)
        asyncio.run(kind.add_rows(sync_call, store, row))
        self.exitcode = 0


def check(client: VectorizeClient, expected: int) -> None:
    index = client.index("docs")
    live = {m.property_name for m in index.list_metadata_indexes()}
    assert live == {*layout.METADATA_INDEXES, "year"}
    vectors = list(index.iter())
    assert len(vectors) == expected
    for each in vectors:
        assert {"_vs", "_vs_bucket", "_vs_own"} <= (each.metadata or {}).keys()
    near = vector("a")
    for one in ({"year": 1}, {"_vs_own": True}, {"_vs_bucket": {"$gte": 0}}):
        assert len(index.query(near, expected, vectorize_filter=one)) == expected
