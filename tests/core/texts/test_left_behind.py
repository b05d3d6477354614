"""Long texts of calls that are cancelled, or go on side by side: a delete leaves none behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from tests.core.texts.drivers import Chain, Watched
from tests.core.texts.killed import long
from tests.core.texts.kinds import DURABLE
from tests.nightly import NIGHTLY
from tests.stores import async_call, sync_call
from vectorize_core import VectorizeClient
from vectorize_core.job import Job
from vectorize_core.texts import SqliteTexts
from vectorize_core.transport.io import Io, run

OLD, OTHER, NEW = ((long(word), year) for year, word in enumerate(("old", "other", "new"), 1))
_BEHIND: Final = 0.005
"""Seconds by which a thread is behind a caller that does not wait for it."""
ACTIONS: Final[dict[str, Callable[[Chain], Awaitable[Any]]]] = {
    "add": lambda chain: chain.add(async_call, ("a", *OTHER)),
    "update_metadata": lambda chain: chain.store.aupdate_metadata(["a"], {"year": 9}),
    "delete": lambda chain: chain.delete(async_call, ["a"]),
    "delete_by_filter": lambda chain: chain.delete_year(async_call, OLD[1]),
}
KINDS: Final = [
    (kind, action)
    for kind in DURABLE
    for action in ACTIONS
    if NIGHTLY or action == "add" or kind == "SQLite"
]


class Noting(Watched):
    """A store of texts that knows what all were called that it was ever to put."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.names: set[str] = set()

    async def put(self, io: Io, index: str, texts: Mapping[str, str], /) -> None:
        self.names |= texts.keys()
        await self.inner.put(io, index, texts)

    async def delete(self, io: Io, index: str, names: Any, /) -> None:
        await self.inner.delete(io, index, names)

    def left(self, io: Io) -> dict[str, str]:
        return run(self.inner.get(io, "docs", [*self.names]))


class Cancelling:
    """Cancels a task when it has begun its ``at``-th work in a thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left, self._cancel = 0, lambda: None
        run = Job.run

        def watched(job: Job[Any]) -> None:
            self._left -= 1
            if self._left == 0:
                self._cancel()
                time.sleep(_BEHIND)
            run(job)

        monkeypatch.setattr(Job, "run", watched)

    async def cancelled(self, flow: Awaitable[Any], at: int, times: int) -> bool:
        """Whether it was cancelled before it ended."""
        task = asyncio.ensure_future(flow)
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            for _ in range(times):
                loop.call_soon_threadsafe(task.cancel)

        self._left, self._cancel = at, cancel
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False


@pytest.mark.parametrize("times", [1, 2] if NIGHTLY else [2])
@pytest.mark.parametrize(("kind", "action"), KINDS)
async def test_a_delete_removes_what_a_cancelled_call_has_put(
    tmp_path: Path, kind: str, action: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelling, cancelled = Cancelling(monkeypatch), 0
    with VectorizeClient.local(tmp_path) as client:
        texts = Noting(DURABLE[kind](tmp_path))
        chain, io = Chain(client, texts=texts), client.connection.io()
        for at in count(1):
            await chain.add(async_call, ("a", *OLD))
            if not await cancelling.cancelled(ACTIONS[action](chain), at, times):
                break
            cancelled += 1
            await chain.add(async_call, ("a", *NEW))
            assert await chain.get(async_call, ["a"]) == {"a": NEW}
            await chain.delete(async_call, ["a"])
            assert [*texts.left(io)] == [], f"cancelled at {at}"
        texts.close()
    assert cancelled > 2


async def test_a_delete_removes_what_writes_at_once_have_put(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        texts = Noting(SqliteTexts(tmp_path))
        chain, io = Chain(client, texts=texts), client.connection.io()
        for number in range(3):
            several = [(long(f"{number}, {n}"), n) for n in range(4)]
            await asyncio.gather(*(chain.add(async_call, ("a", *one)) for one in several))
            await chain.delete(async_call, ["a"])
            assert [*texts.left(io)] == []
            threads = [
                threading.Thread(target=lambda o=one: run(chain.add(sync_call, ("a", *o))))
                for one in several
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join)
            await chain.delete(async_call, ["a"])
            assert [*texts.left(io)] == []
        texts.close()
