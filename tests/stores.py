"""What the tests of both stores share: one driver for both variants, texts as vectors, a record."""

from __future__ import annotations

import asyncio
import enum
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID, uuid4

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from vectorize_core import VectorizeClient
from vectorize_core.api.operations import Op, Upsert
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.local.server.accounts import MAX_ACCOUNTS
from vectorize_core.models import Metric
from vectorize_core.transport.executor import Answer, Executor

T = TypeVar("T")
Call = Callable[..., Awaitable[Any]]
Make = Callable[..., Any]
"""Makes a store of the options that differ from the usual."""
DIMENSIONS = 32
EVERYWHERE = ("embedded", "server")
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot-product")


async def sync_call(target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(target, method)(*args, **kwargs)


async def async_call(target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return await getattr(target, async_name(method))(*args, **kwargs)


def async_name(method: str) -> str:
    """What both frameworks call the async variant of a method."""
    return "async_add" if method == "add" else f"a{method}"


both_ways = pytest.mark.parametrize("call", [sync_call, async_call], ids=["sync", "async"])


def vector(text: str) -> list[float]:
    """A vector for any text: random, and always the same."""
    return [*_vector(text)]


@lru_cache(10_000)
def _vector(text: str) -> tuple[float, ...]:
    seed = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return tuple(np.random.default_rng(list(seed)).standard_normal(DIMENSIONS).tolist())


class Embedder(Embeddings):
    """`vector`, or what ``special`` says; keeps what it was asked."""

    def __init__(self, special: dict[str, list[float]] | None = None) -> None:
        self.special = special if special is not None else {}
        self.batches: list[list[str]] = []
        self.queries: list[str] = []
        self.used: set[str] = set()

    def of(self, text: str) -> list[float]:
        return self.special[text] if text in self.special else vector(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.used.add("sync")
        return self._documents(texts)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.used.add("async")
        await asyncio.sleep(0)
        return self._documents(texts)

    def embed_query(self, text: str) -> list[float]:
        self.used.add("sync")
        self.queries.append(text)
        return self.of(text)

    async def aembed_query(self, text: str) -> list[float]:
        self.used.add("async")
        await asyncio.sleep(0)
        self.queries.append(text)
        return self.of(text)

    def _documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(list(texts))
        return [self.of(text) for text in texts]


class Given(Embeddings):
    """Embeddings that were made before: row ``i`` is that of the text ``i``."""

    def __init__(self, rows: Any, query: list[float]) -> None:
        self._rows = rows
        self._query = query

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._rows[int(text.rsplit(" ", 1)[1])].tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self._query


class Recorder:
    """An executor that keeps the operations it passes on."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.ops: list[Op[Any]] = []

    def send(self, op: Op[T], /) -> Answer[T]:
        self.ops.append(op)
        return self._executor.send(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        self.ops.append(op)
        return await self._executor.asend(op)

    def check(self) -> None:
        self._executor.check()

    def close(self) -> None:
        self._executor.close()

    async def aclose(self) -> None:
        await self._executor.aclose()

    def of(self, kind: type[T]) -> list[T]:
        return [op for op in self.ops if isinstance(op, kind)]

    @property
    def writes(self) -> list[list[str]]:
        """The ids in each upsert."""
        return [[vector.id for vector in op.vectors] for op in self.of(Upsert)]

    @property
    def changes(self) -> list[Op[Any]]:
        return [op for op in self.ops if op.kind != "read"]


def recorded(client: VectorizeClient) -> Recorder:
    """A record of what is sent over ``client`` from now on."""
    recorder = Recorder(client.connection.executor)
    client.connection.executor = recorder
    return recorder


def ranking(metric: Metric, query: Sequence[float], rows: Sequence[Sequence[float]]) -> list[int]:
    """Positions of ``rows``, best first, by brute force."""
    scores = raw_scores(metric, query, rows)
    return sorted(range(len(rows)), key=lambda i: -scores[i] if metric == "cosine" else scores[i])


def raw_scores(
    metric: Metric, query: Sequence[float], rows: Sequence[Sequence[float]]
) -> list[float]:
    """The scores that Cloudflare documents, in plain numpy."""
    target = np.asarray(query, np.float32).astype(np.float64)
    matrix = np.asarray(rows, np.float32).astype(np.float64)
    if metric == "euclidean":
        return list(np.linalg.norm(matrix - target, axis=1))
    dots = matrix @ target
    if metric == "dot-product":
        return list(-dots)
    return list(dots / np.linalg.norm(matrix, axis=1) / np.linalg.norm(target))


class Level(enum.Enum):
    HIGH = "high"


ODD_METADATA: dict[str, Any] = {
    "a.b": 1,
    "$set": {"x.y": [1, None]},
    "text": "a user's own",
    "_vs": "mine",
    "_vs_bucket": "mine too",
    "_vs_anything": 0,
    'q"uote': "q",
    "": "no name",
    "none": None,
    "yes": True,
    "one": 1,
    "one float": 1.0,
    "big": 2**70,
    "when": datetime(2024, 5, 1, 12, 30, tzinfo=UTC),
    "day": date(2024, 5, 1),
    "uuid": UUID(int=5),
    "price": Decimal("1.50"),
    "raw": b"\xff\x00",
    "pair": (1, "b"),
    "tags": ["a", ["b"], {}],
    "nested": {"deep": {"er": [{"when": datetime(2024, 5, 1, tzinfo=UTC), "none": None}]}},
    "level": Level.HIGH,
    "unicode": "日本\u0000\U0001f600",
}


def shape(value: Any) -> Any:
    """``value`` with its types, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(shape(item) for item in value)
    return type(value).__name__, value


# Records that are refused, as (id, text, metadata, what the message says).
BAD_RECORDS = {
    "an id of 65 bytes": ("é" * 32 + "x", "t", {}, "takes 65 bytes.*64"),
    "an empty id": ("", "t", {}, "non-empty string"),
    "an id with a lone surrogate": ("\ud800", "t", {}, "surrogate"),
    "a text with a lone surrogate": ("bad", "t\ud800", {}, "'bad'.*surrogate"),
    "a value with a lone surrogate": ("bad", "t", {"a": ["\ud800"]}, "'bad'.*surrogate"),
    "a key with a lone surrogate": ("bad", "t", {"\ud800": 1}, "'bad'.*surrogate"),
    "large metadata": ("bad", "t", {"a": "x" * 10_240}, "'bad'.*takes .* bytes.*10240"),
    "an object": ("bad", "t", {"a": object()}, "'bad'.*builtins.object"),
}
bad_records = pytest.mark.parametrize("bad", BAD_RECORDS.values(), ids=BAD_RECORDS)


def server() -> BackgroundServer:
    """One that has room for another account: a night makes more of them than one server has.

    It ends with the process: to stop takes longer than most tests.
    """
    return _started(next(_asked_for) // MAX_ACCOUNTS)


_asked_for = itertools.count()


@cache
def _started(number: int) -> BackgroundServer:
    return BackgroundServer(Settings()).start()


@contextmanager
def client_of(where: str) -> Iterator[VectorizeClient]:
    """A client of an empty Vectorize: an embedded one, or an account of its own on a server."""
    if where == "embedded":
        with VectorizeClient.local() as made:
            yield made
        return
    made = VectorizeClient(uuid4().hex, base_url=server().base_url)
    yield made
    made.close()
