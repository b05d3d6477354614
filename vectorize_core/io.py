"""How a flow does anything: `Io`, its two kinds, and the two ways to drive a flow.

A flow is an ``async def`` that awaits nothing but its `Io`. `AsyncIo` really suspends. `SyncIo`
never does, so `run` finishes a flow with a single step: no event loop, no second body.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent import futures
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from vectorize_core.events import Event, Events
from vectorize_core.executors import Executor
from vectorize_core.operations import Op
from vectorize_core.retry import RetryPolicy, repeat

T = TypeVar("T")
S = TypeVar("S")
Embedding = Sequence[float]
EmbedTexts = Callable[[Sequence[str], bool], Sequence[Embedding]]
"""Texts, and whether they are queries, to embeddings."""
AsyncEmbedTexts = Callable[[Sequence[str], bool], Awaitable[Sequence[Embedding]]]

_in_worker: contextvars.ContextVar[bool] = contextvars.ContextVar("in_worker", default=False)


@dataclass(frozen=True, slots=True)
class Done(Generic[S, T]):
    """What became of one item of `Io.map`: ``value``, or the ``error`` it ended with."""

    item: S
    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """The value, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


class Io(Protocol):
    """All that a flow may await."""

    async def call(self, op: Op[T], /) -> T:
        """Carry ``op`` out, with retries if it is repeatable; raises its typed error."""

    async def repeat(self, attempt: Callable[[], Awaitable[T]], op: Op[Any], /) -> T:
        """Await ``attempt()`` until it ends otherwise than by a transient fault of ``op``."""

    async def embed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        """The embeddings of ``texts``, in order; some models embed queries differently."""

    async def sleep(self, seconds: float, /) -> None:
        """Let time pass."""

    async def offload(self, fn: Callable[[], T], /) -> T:
        """Call ``fn``, which may block: file work, kept off the event loop."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward, for timing."""

    def emit(self, event: Event, /) -> None:
        """Tell what happened to who listens; never fails."""

    def least_seconds(self, requests: int, /) -> float:
        """The least time that so many requests take under the connection's rate limit."""

    def map(
        self,
        fn: Callable[[S], Coroutine[Any, Any, T]],
        items: AsyncIterator[S],
        /,
        limit: int,
    ) -> AsyncGenerator[Done[S, T], None]:
        """``fn`` over ``items``, at most ``limit`` at once, outcomes as they complete.

        The next item is pulled only when a slot is free. When ``items`` itself fails, what is in
        flight is still waited for and yielded before the failure is raised.
        """


def run(flow: Coroutine[Any, Any, T]) -> T:
    """Drive a flow over `SyncIo` to its end, in one step."""
    try:
        flow.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    flow.close()
    raise RuntimeError(f"{flow!r} suspended; a flow may await nothing but its Io")


def iterate(pages: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an async generator over `SyncIo`; closed when the iteration is left."""
    try:
        while True:
            try:
                item = run(_next(pages))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(_close(pages))


async def _next(pages: AsyncGenerator[T, None]) -> T:
    return await anext(pages)


async def _close(pages: AsyncGenerator[Any, None]) -> None:
    await pages.aclose()


async def each(items: Iterable[T]) -> AsyncGenerator[T, None]:
    """``items`` as an async iterator."""
    for item in items:
        yield item


async def in_batches(items: AsyncIterable[T], size: int) -> AsyncGenerator[list[T], None]:
    """``items`` in lists of ``size``, the last one shorter."""
    batch: list[T] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def _outcome(fn: Callable[[S], Coroutine[Any, Any, T]], item: S) -> Done[S, T]:
    try:
        return Done(item, value=await fn(item))
    except Exception as error:
        return Done(item, error=error)


class _Crew(Protocol):
    """Works on several items at once; all that the two kinds of `map` differ in."""

    def start(self, work: Coroutine[Any, Any, Done[Any, Any]], /) -> None:
        """Begin ``work``, which raises nothing."""

    async def finished(self) -> list[Done[Any, Any]]:
        """What has finished since the last time, at least one."""

    async def stop(self) -> None:
        """Give up what has not begun; nothing runs on afterwards."""


class _InlineCrew:
    """Here and now, one at a time: a worker must not wait for other workers."""

    def __init__(self) -> None:
        self._done: list[Done[Any, Any]] = []

    def start(self, work: Coroutine[Any, Any, Done[Any, Any]], /) -> None:
        self._done.append(run(work))

    async def finished(self) -> list[Done[Any, Any]]:
        done, self._done = self._done, []
        return done

    async def stop(self) -> None:
        pass


class _ThreadCrew:
    def __init__(self, limit: int) -> None:
        self._pool = futures.ThreadPoolExecutor(limit, thread_name_prefix="vectorize")
        self._pending: set[futures.Future[Done[Any, Any]]] = set()

    def start(self, work: Coroutine[Any, Any, Done[Any, Any]], /) -> None:
        context = contextvars.copy_context()
        self._pending.add(self._pool.submit(context.run, self._work, work))

    @staticmethod
    def _work(work: Coroutine[Any, Any, Done[Any, Any]]) -> Done[Any, Any]:
        _in_worker.set(True)
        return run(work)

    async def finished(self) -> list[Done[Any, Any]]:
        done, self._pending = futures.wait(self._pending, return_when=futures.FIRST_COMPLETED)
        return [future.result() for future in done]

    async def stop(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class _TaskCrew:
    def __init__(self) -> None:
        self._pending: set[asyncio.Task[Done[Any, Any]]] = set()

    def start(self, work: Coroutine[Any, Any, Done[Any, Any]], /) -> None:
        self._pending.add(asyncio.ensure_future(work))

    async def finished(self) -> list[Done[Any, Any]]:
        done, self._pending = await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        return [task.result() for task in done]

    async def stop(self) -> None:
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)


E = TypeVar("E")


class _BaseIo(Generic[E]):
    """What both kinds share: retries around one attempt, and the shape of `map`."""

    def __init__(
        self,
        executor: Executor,
        policy: RetryPolicy,
        embed: E | None = None,
        *,
        events: Events | None = None,
    ) -> None:
        self._executor = executor
        self._policy = policy
        self._embedder = embed
        self._events = events if events is not None else Events()

    def emit(self, event: Event, /) -> None:
        self._events.emit(event)

    def least_seconds(self, requests: int, /) -> float:
        return 0.0

    async def call(self, op: Op[T], /) -> T:
        attempt = partial(self._send, op)
        return await self.repeat(attempt, op) if op.repeatable else await attempt()

    async def repeat(self, attempt: Callable[[], Awaitable[T]], op: Op[Any], /) -> T:
        return await repeat(attempt, op, self._policy, self.sleep)

    async def map(
        self,
        fn: Callable[[S], Coroutine[Any, Any, T]],
        items: AsyncIterator[S],
        /,
        limit: int,
    ) -> AsyncGenerator[Done[S, T], None]:
        crew = self._crew(limit)
        busy = 0
        more, failure = True, None
        try:
            while more or busy:
                while more and busy < limit:
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        more = False
                    except Exception as error:
                        more, failure = False, error
                    else:
                        crew.start(_outcome(fn, item))
                        busy += 1
                if busy:
                    finished = await crew.finished()
                    busy -= len(finished)
                    for done in finished:
                        yield done
        finally:
            await crew.stop()
        if failure is not None:
            raise failure

    def _crew(self, limit: int) -> _Crew:
        raise NotImplementedError

    async def _send(self, op: Op[T]) -> T:
        raise NotImplementedError

    async def sleep(self, seconds: float, /) -> None:
        raise NotImplementedError


class SyncIo(_BaseIo[EmbedTexts]):
    """`Io` for plain functions: every coroutine finishes without suspending."""

    async def _send(self, op: Op[T]) -> T:
        return self._executor.send(op).result

    async def offload(self, fn: Callable[[], T], /) -> T:
        return fn()

    def now(self) -> float:
        return time.monotonic()

    async def embed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        if self._embedder is None:
            raise RuntimeError("this Io embeds nothing")
        return self._embedder(texts, as_queries)

    async def sleep(self, seconds: float, /) -> None:
        # An Event, unlike time.sleep on every platform, lets Ctrl-C end the wait.
        if seconds > 0:
            threading.Event().wait(seconds)

    def _crew(self, limit: int) -> _Crew:
        inline = limit == 1 or _in_worker.get()
        return _InlineCrew() if inline else _ThreadCrew(limit)


class AsyncIo(_BaseIo[AsyncEmbedTexts]):
    """`Io` for coroutines: suspends wherever it waits."""

    async def _send(self, op: Op[T]) -> T:
        return (await self._executor.asend(op)).result

    async def offload(self, fn: Callable[[], T], /) -> T:
        return await asyncio.to_thread(fn)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def embed(
        self, texts: Sequence[str], /, *, as_queries: bool = False
    ) -> Sequence[Embedding]:
        if self._embedder is None:
            raise RuntimeError("this Io embeds nothing")
        return await self._embedder(texts, as_queries)

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)

    def _crew(self, limit: int) -> _Crew:
        return _TaskCrew()
