"""A service on a clock that only waits move, and what its state says of every mutation."""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
from collections.abc import Callable, Collection, Iterable
from itertools import count
from typing import Any, Literal, Self, TypeVar

import numpy as np

from tests.core.helpers import SYNC, Variant
from vectorize_core.api.operations import Op
from vectorize_core.connection import Connection
from vectorize_core.local import Behavior, Service
from vectorize_core.local.executor import EmbeddedExecutor
from vectorize_core.models import IndexConfig, Mutation, Vector
from vectorize_core.reads import by_id
from vectorize_core.state import waiting
from vectorize_core.transport.events import Event, Events
from vectorize_core.transport.executor import Answer
from vectorize_core.transport.io import AsyncIo, Io, SyncIo, run
from vectorize_core.transport.retry import RetryPolicy
from vectorize_core.writes import writing

T = TypeVar("T")
DIMENSIONS = 32
NEVER = 100_000.0
Contents = dict[str, int]
"""The number in each record, by id."""


def record(name: str, number: int = 0) -> Vector:
    return Vector(name, np.ones(DIMENSIONS), metadata={"n": number})


def records(*names: str, number: int = 0) -> list[Vector]:
    return [record(name, number) for name in names]


def contents(vectors: Iterable[Vector]) -> Contents:
    return {vector.id: dict(vector.metadata or {})["n"] for vector in vectors}


class Witness(Service):
    """Keeps what the index holds after each mutation, in the order of acceptance."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._noting = threading.RLock()
        self.order: dict[str, int] = {}
        self.after: list[Contents] = []
        self.touched: dict[str, set[str]] = {}
        self.times: dict[str, tuple[float, float]] = {}

    def forget(self) -> None:
        self.order.clear()
        self.after.clear()

    def insert(self, name: str, vectors: Any) -> Mutation:
        with self._noting:
            mutation = super().insert(name, vectors)
            return self._note(mutation, contents(reversed(vectors)), replace=False)

    def upsert(self, name: str, vectors: Any) -> Mutation:
        with self._noting:
            return self._note(super().upsert(name, vectors), contents(vectors))

    def delete_by_ids(self, name: str, ids: Any) -> Mutation:
        with self._noting:
            return self._note(super().delete_by_ids(name, ids), {}, gone=ids)

    def _note(
        self,
        mutation: Mutation,
        written: Contents,
        *,
        replace: bool = True,
        gone: Collection[str] = (),
    ) -> Mutation:
        before = self.after[-1] if self.after else {}
        held = {**before, **written} if replace else {**written, **before}
        assert mutation.mutation_id
        self.order[mutation.mutation_id] = len(self.after)
        self.touched[mutation.mutation_id] = {*written, *gone}
        self.times[mutation.mutation_id] = self._times(mutation.mutation_id)
        self.after.append({name: n for name, n in held.items() if name not in gone})
        return mutation

    def fate(self, mutation_id: str) -> Literal["accepted", "processed", "visible"]:
        """How far the service has got with a mutation, out of its own journal."""
        processed, visible = self._times(mutation_id)
        if visible <= self._clock():
            return "visible"
        return "processed" if processed <= self._clock() else "accepted"

    def _times(self, mutation_id: str) -> tuple[float, float]:
        """When a mutation is to be processed and visible; now if it has been."""
        with self._database.reading() as tx:
            row = tx.execute(
                "SELECT processed, visible FROM mutations WHERE mutation_id = ?", (mutation_id,)
            ).fetchone()
        return row if row is not None else (self._clock(), self._clock())


class World:
    """One index, its clients, and the only clock there is: it goes on where a client sleeps."""

    def __init__(self, variant: Variant, **behavior: Any) -> None:
        self.variant = variant
        self.now = 1_000.0
        self.service = Witness(behavior=Behavior(**behavior), clock=lambda: self.now)
        self.create()
        self.made: list[Client] = []
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._count = count()

    def create(self) -> None:
        self.service.forget()
        self.service.create_index("docs", IndexConfig(DIMENSIONS))

    def replace(self) -> None:
        """Delete the index and create it again."""
        self.service.delete_index("docs")
        self.create()

    def behave(self, **behavior: Any) -> None:
        """Have other delays from now on."""
        self.service._behavior = Behavior(**behavior)

    def client(self, variant: Variant | None = None, **options: Any) -> Client:
        self.made.append(Client(self, variant if variant is not None else self.variant, **options))
        return self.made[-1]

    def close(self) -> None:
        self.service.close()

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Have something happen while a flow sleeps."""
        heapq.heappush(self._due, (self.now + seconds, next(self._count), act))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            at, _, act = heapq.heappop(self._due)
            self.now = max(self.now, at)
            act()
        self.now = max(self.now, end)

    def stored(self) -> Contents:
        """What reads return at this moment, past all clients."""
        found: list[Vector] = []
        names = list(dict.fromkeys(name for held in self.service.after for name in held))
        for start in range(0, len(names), 20):
            found += self.service.get_by_ids("docs", names[start : start + 20])
        return contents(found)

    def fates(self, mutations: Iterable[Mutation]) -> set[str]:
        return {self.service.fate(str(m.mutation_id)) for m in mutations}

    def seen_at(self, mutation: Mutation) -> float:
        """When a mutation was to be visible, as the service knew when it took it."""
        return self.service.times[str(mutation.mutation_id)][1]

    def assert_not_early(
        self, mutations: Iterable[Mutation], names: Collection[str], goal: str = "visible"
    ) -> None:
        """No record of a write reads as it did before: it does as it was left then, or since.

        What an insert finds is left as it is, so all that is sure is that something is there.
        """
        mutations = tuple(mutations)
        if goal == "processed":
            assert self.fates(mutations) <= {"processed", "visible"}
            return
        stored, service = self.stored(), self.service
        for name in names:
            (written,) = (
                service.order[str(m.mutation_id)]
                for m in mutations
                if name in service.touched[str(m.mutation_id)]
            )
            since = {held.get(name) for held in service.after[written:]}
            left = name in stored and goal == "present"
            assert left or stored.get(name) in since, (
                f"{name} reads {stored.get(name)}, not {since}"
            )


class _Clocked:
    """Sleeps take no time, but for the world's clock."""

    world: World

    def now(self) -> float:
        return self.world.now

    async def sleep(self, seconds: float, /) -> None:
        self.world.pass_time(seconds)

    async def rest(self, _: Any, seconds: float, /) -> None:
        await self.sleep(min(seconds, 0.01))


class ClockedSyncIo(_Clocked, SyncIo):
    pass


class ClockedAsyncIo(_Clocked, AsyncIo):
    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(0)
        await super().sleep(seconds)


Hook = Callable[[Op[Any]], None]


class Direct(EmbeddedExecutor):
    """Carries out at once, keeps what it was asked, and lets others act before and after."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.ops: list[Op[Any]] = []
        self.before: Hook | None = None
        self.after: Hook | None = None

    def send(self, op: Op[T], /) -> Answer[T]:
        self.ops.append(op)
        if self.before is not None:
            self.before(op)
        answer = super().send(op)
        if self.after is not None:
            self.after(op)
        return answer

    async def asend(self, op: Op[T], /) -> Answer[T]:
        return self.send(op)


class Client:
    """One client of the world's service, by one variant."""

    def __init__(self, world: World, variant: Variant, retry: RetryPolicy | None = None) -> None:
        self.world = world
        self.variant = variant
        self.executor = Direct(world.service)
        self.events: list[Event] = []
        told = Events(self.events.append)
        self.connection = Connection(self.executor, retry, events=told)
        self.state = self.connection.state("docs")
        io_class = ClockedAsyncIo if variant.is_async else ClockedSyncIo
        self.io: Io = io_class(self.executor, self.connection.retry, events=told)
        self.io.world = world  # type: ignore[union-attr]

    @classmethod
    def beside(cls, client: Client) -> Client:
        """The same client in another thread."""
        other = cls(client.world, SYNC)
        other.state = client.state
        return other

    def of(self, kind: type[T]) -> list[T]:
        return [op for op in self.executor.ops if isinstance(op, kind)]

    async def run(self, flow: Any) -> Any:
        return await flow if self.variant.is_async else run(flow)

    async def upsert(self, *vectors: Vector, **options: Any) -> tuple[Mutation, ...]:
        return await self.run(writing.upsert(self.io, self.state, vectors, **options))

    async def insert(self, *vectors: Vector, **options: Any) -> tuple[Mutation, ...]:
        return await self.run(writing.insert(self.io, self.state, vectors, **options))

    async def delete(self, *ids: str, **options: Any) -> tuple[Mutation, ...]:
        return await self.run(writing.delete(self.io, self.state, ids, **options))

    async def wait(self, wait_timeout: float = 180.0) -> None:
        await self.run(waiting.wait_for_own(self.io, self.state, wait_timeout))

    async def numbers(self, *ids: str) -> Contents:
        found = await self.run(by_id.get_many(self.io, self.state, ids))
        return contents(found.values())


Worlds = Callable[..., World]
"""Makes worlds of a variant and delays."""


class Elapsed:
    """The seconds a block takes on the world's clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seconds = math.nan

    def __enter__(self) -> Self:
        self._start = self._world.now
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = self._world.now - self._start
