"""Random event loops over one store: right answers, and no socket left beyond the bound."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind
from tests.nightly import sized
from tests.stores import async_call, sync_call
from tests.test_event_loops import (
    FDS,
    clients,
    files_below,
    open_sockets,
    settled_sockets,
    used,
)
from vectorize_core import VectorizeError
from vectorize_core.local.server import BackgroundServer
from vectorize_core.transport.http_clients import MOST_LOOPS

TEXTS = ["a", "b", "c"]
SECONDS = sized(0.5, 1.5)


class Run:
    """One store, and what the seed has threads and loops do with it until the time is up."""

    def __init__(self, kind: Kind, store: Any, seed: int) -> None:
        self.kind, self.store = kind, store
        self.chance = random.Random(seed)
        self.until = time.monotonic() + SECONDS
        self.wrong: list[BaseException | str] = []
        self.right = 0

    def check(self, found: list[str], text: str) -> None:
        if found[:1] == [text] and sorted(found) == TEXTS:
            self.right += 1
        else:
            self.wrong.append(f"{text}: {found}")

    async def searches(self, chance: random.Random) -> None:
        """Some at once; some of them are cancelled."""
        texts = [chance.choice(TEXTS) for _ in range(chance.choice([1, 1, 3, 20, 90]))]
        tasks = [
            asyncio.create_task(self.kind.search(async_call, self.store, text)) for text in texts
        ]
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.001, 0.01]))
            for task in chance.sample(tasks, len(tasks) // 2 + 1):
                task.cancel()
        for text, task in zip(texts, tasks, strict=True):
            with suppress(asyncio.CancelledError):
                self.check(await task, text)

    async def program(self, chance: random.Random) -> None:
        """What one loop does in its life."""
        for _ in range(chance.choice([1, 1, 2, 4])):
            await self.searches(chance)
            if chance.random() < 0.2:
                self.check(await asyncio.to_thread(self.sync_search, "a"), "a")
        if chance.random() < 0.3:
            await self.store.aclose()
            try:
                await self.kind.search(async_call, self.store, "a")
            except VectorizeError:
                return
            self.wrong.append("a search after aclose")

    def sync_search(self, text: str) -> list[str]:
        found: list[str] = used(self.kind.search(sync_call, self.store, text))
        return found

    def with_run(self, chance: random.Random) -> None:
        asyncio.run(self.program(chance))

    def with_a_loop_that_is_only_closed(self, chance: random.Random) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self.program(chance))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    def without_a_loop(self, chance: random.Random) -> None:
        text = chance.choice(TEXTS)
        self.check(self.sync_search(text), text)

    def in_a_thread(self, seed: int) -> None:
        chance = random.Random(seed)
        ways: list[Callable[[random.Random], None]] = [
            self.with_run,
            self.with_a_loop_that_is_only_closed,
            self.without_a_loop,
        ]
        try:
            while time.monotonic() < self.until and not self.wrong:
                chance.choice(ways)(chance)
        except BaseException as error:
            self.wrong.append(error)

    def go(self) -> None:
        threads = [
            threading.Thread(target=self.in_a_thread, args=(self.chance.random(),))
            for _ in range(self.chance.randint(1, 5))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a thread hangs"


@pytest.mark.skipif(not FDS.exists(), reason="nothing lists the sockets of this process")
@pytest.mark.parametrize("seed", range(sized(2, 200)))
def test_loops_come_and_go(
    seed: int,
    tmp_path: Path,
    no_credentials: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    kind = (LANGCHAIN, LLAMA_INDEX)[seed % 2]
    with BackgroundServer() as server:
        over_http = {"base_url": server.base_url, "create_index": True}
        in_a_directory = {"path": tmp_path / "data"}
        options = (over_http, over_http, in_a_directory, {"path": ":memory:"})[seed // 2 % 4]
        before = open_sockets()
        store = kind.make(index_name="docs", **options)
        used(kind.add(sync_call, store, *TEXTS))
        run = Run(kind, store, seed)
        run.go()
        # One more loop lets go of those that were only closed.
        run.check(asyncio.run(kind.search(async_call, store, "a")), "a")
        assert run.wrong == []
        assert run.right
        if options is over_http:
            assert len(clients(store)._loops) <= MOST_LOOPS
            assert not [loop for _, loop in clients(store)._loops if loop.is_closed()]
        store.close()
        assert settled_sockets(before) <= before
        assert files_below(tmp_path) == []
        del run, store
        gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
