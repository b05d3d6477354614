"""Records that only the service refuses: found, named, and nothing else lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pytest

from tests.core.helpers import CREDENTIALS, Variant, both_variants, failed, ok, settled
from tests.nightly import sized
from vectorize_core import BadRequestError, PartialWriteError, RecordRefusedError, Vector
from vectorize_core.connection import Connection
from vectorize_core.index import AsyncIndex, Index
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.retry import RetryPolicy

DIMENSIONS = 32
MANY = sized(10_000, 50_000)


def record(name: str, number: int = 0) -> Vector:
    return Vector(name, np.ones(DIMENSIONS, np.float32), metadata={"n": number})


class Picky:
    """A Vectorize that refuses requests with certain records; 413 stands for one too large."""

    def __init__(self, refuses: Callable[[Sequence[Vector]], int | None]) -> None:
        self.service = Service()
        self.service.create_index("docs", IndexConfig(DIMENSIONS))
        self.refuses = refuses
        self.sizes: list[int] = []
        transport = httpx.MockTransport(self.answer)
        executor = HttpExecutor(CREDENTIALS, transport=transport, async_transport=transport)
        once = RetryPolicy(read_deadline=0, write_deadline=0)
        self.connection = Connection(executor, once)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            config = {"dimensions": DIMENSIONS, "metric": "cosine"}
            said = ok({"name": "docs", "config": config})
            return httpx.Response(said.status, content=said.content)
        vectors = [Vector(**json.loads(line)) for line in request.content.splitlines()]
        self.sizes.append(len(vectors))
        status = self.refuses(vectors)
        if status is not None:
            said = failed(status, 40023)
        else:
            said = ok({"mutationId": self.service.upsert("docs", vectors).mutation_id})
        return httpx.Response(said.status, content=said.content)

    def stored(self) -> set[str]:
        found: set[str] = set()
        cursor = None
        while True:
            page = self.service.list_vectors("docs", count=1_000, cursor=cursor)
            found.update(page.ids)
            cursor = page.next_cursor
            if cursor is None:
                return found

    def index(self, variant: Variant) -> Any:
        return (AsyncIndex if variant.is_async else Index)(self.connection, "docs")


def refusing(*names: str) -> Callable[[Sequence[Vector]], int | None]:
    return lambda vectors: 400 if any(vector.id in names for vector in vectors) else None


@both_variants
async def test_one_bad_record_of_many_is_named_and_no_other_is_lost(
    variant: Variant,
) -> None:
    picky = Picky(refusing("6789"))
    vectors = (record(str(n), n) for n in range(MANY))
    with pytest.raises(PartialWriteError) as caught:
        await settled(picky.index(variant).upsert(vectors))
    error = caught.value
    assert (len(error.written), error.unknown, error.not_written) == (MANY - 1, (), (6_789,))
    (cause,) = error.causes
    assert isinstance(cause, RecordRefusedError)
    assert (cause.record_id, cause.position, cause.code) == ("6789", 6_789, 40023)
    assert "record '6789', position 6789" in str(error)
    assert picky.stored() == {str(n) for n in range(MANY)} - {"6789"}
    assert len(picky.sizes) <= MANY / 500 + 2 * 9


@both_variants
async def test_several_bad_records_are_all_named(variant: Variant) -> None:
    picky = Picky(refusing("a", "b"))
    with pytest.raises(PartialWriteError) as caught:
        await settled(picky.index(variant).upsert([record("a"), record("b")]))
    assert [cause.record_id for cause in caught.value.causes] == ["a", "b"]
    assert caught.value.not_written == (0, 1)


@both_variants
async def test_a_single_refused_record_is_the_services_own_error(variant: Variant) -> None:
    picky = Picky(refusing("a"))
    with pytest.raises(BadRequestError, match=r"record 'a', position 0.*40023") as caught:
        await settled(picky.index(variant).upsert([record("a")]))
    assert isinstance(caught.value, RecordRefusedError)
    assert picky.sizes == [1]


@both_variants
async def test_every_position_of_a_refused_id_is_accounted_for(variant: Variant) -> None:
    picky = Picky(refusing("twice"))
    vectors = [record("twice", 1), record("a"), record("twice", 2), record("b")]
    with pytest.raises(PartialWriteError) as caught:
        await settled(picky.index(variant).upsert(vectors))
    assert (caught.value.written, caught.value.not_written) == ((1, 3), (0, 2))


@both_variants
async def test_a_request_that_is_too_large_is_split_until_it_is_not(variant: Variant) -> None:
    picky = Picky(lambda vectors: 413 if len(vectors) > 3 else None)
    mutations = await settled(picky.index(variant).upsert([record(str(n)) for n in range(10)]))
    assert picky.stored() == {str(n) for n in range(10)}
    assert len(mutations) == sum(size <= 3 for size in picky.sizes)


@both_variants
async def test_where_everything_is_refused_the_write_is_given_up(variant: Variant) -> None:
    picky = Picky(lambda vectors: 400)
    taken = 0

    def produce() -> Any:
        nonlocal taken
        for n in range(100_000):
            taken += 1
            yield record(str(n))

    with pytest.raises(PartialWriteError) as caught:
        await settled(picky.index(variant).upsert(produce(), concurrency=1))
    assert len(picky.sizes) <= 220
    assert len(caught.value.not_written) == taken <= 2_000


@both_variants
async def test_deletes_are_not_split(variant: Variant) -> None:
    picky = Picky(refusing())
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        said = failed(400, 40008)
        return httpx.Response(said.status, content=said.content)

    transport = httpx.MockTransport(answer)
    executor = HttpExecutor(CREDENTIALS, transport=transport, async_transport=transport)
    index = (AsyncIndex if variant.is_async else Index)(Connection(executor), "docs")
    with pytest.raises(BadRequestError):
        await settled(index.delete(["a", "b"]))
    assert len(asked) == 1
    picky.service.close()
