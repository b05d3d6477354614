"""No write loses a record, whatever happens on the way: what is reported is what is there.

A seed decides the input, the options and the mix of faults; which thread meets which fault is not
repeatable. By day few seeds are taken, in which every two properties of a run meet;
``VECTORIZE_NIGHTLY=1`` makes them 200, with more records.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, product, repeat
from pathlib import Path
from typing import Any, Final

import pytest
from llama_index.core.schema import TextNode

import langchain_vectorize
import llama_index_vectorize
from tests.faults.corpus import (
    Fate,
    HashEmbeddings,
    Row,
    Target,
    contents,
    discrepancies,
    fates,
    hashed,
)
from tests.faults.proxy import Fault, FaultProxy, mixed
from tests.nightly import NIGHTLY, covering, sized
from tests.patience import growing
from tests.stores import Call, async_call, both_ways, sync_call
from vectorize_core import (
    BatchReport,
    PartialWriteError,
    RetryPolicy,
    Vector,
    VectorizeClient,
    VectorizeError,
)

Store = langchain_vectorize.VectorizeVectorStore | llama_index_vectorize.VectorizeVectorStore
CALLS: Final[dict[str, Call]] = {"sync": sync_call, "async": async_call}
FRAMEWORKS: Final = ("langchain", "llama_index")
COMBINATIONS: Final = [*product((0.01, 0.1, 0.4), CALLS, FRAMEWORKS)]
AGAIN: Final = ("the rest", "resume=error", "resume=file")
# A client waits for a silent server until its timeout, so there are but few of these.
HASTY: Final = {**dict.fromkeys(Fault, 1.0), Fault.SILENT: 0.2}
# Cut JSON is not tried again: at a high rate it would end every long write. And a 429 holds all
# requests of a client for up to a second.
PATIENT: Final = {
    **HASTY,
    Fault.CUT_JSON: 0.02,
    Fault.LIMITED: 0.2,
    Fault.LIMITED_WITH_DELAY: 0.2,
}
TIMEOUT: Final = 1.0
# The proxy forwards in the order of arrival: a lost request never comes after a later one.
IN_ORDER: Final = 0.0
SHORT: Final = (0.0, 0.05, 0.2)


@dataclass(frozen=True)
class Run:
    """A write of ``records`` records; all else follows from the seed."""

    seed: int
    records: int

    @property
    def rate(self) -> float:
        return COMBINATIONS[self.seed % 12][0]

    @property
    def call(self) -> Call:
        return CALLS[COMBINATIONS[self.seed % 12][1]]

    @property
    def framework(self) -> str:
        return COMBINATIONS[self.seed % 12][2]

    @property
    def patient(self) -> bool:
        """Whether there is time for every request to be tried until it succeeds."""
        return self.seed // 12 % 3 < 2

    @property
    def repeating(self) -> bool:
        """Whether ids occur more than once in the input."""
        return (self.seed + self.seed // 12) % 2 == 1

    @property
    def again(self) -> str:
        """How a write that ended early is gone on with."""
        return AGAIN[(self.seed + self.seed // 12) % 3]

    @property
    def batch_size(self) -> int:
        """So that there are a dozen to hundreds of batches."""
        return self.records // random.Random(self.seed).choice(
            (44, 111, 222) if NIGHTLY else (12, 25, 50)
        )

    @property
    def retry(self) -> RetryPolicy:
        deadline = 60.0 if self.patient else random.Random(self.seed).choice(SHORT)
        return RetryPolicy(
            read_deadline=60.0,
            write_deadline=deadline,
            first_delay=0.005,
            max_delay=0.05,
            request_lifetime=IN_ORDER,
        )

    def __str__(self) -> str:
        rate, variant, framework = COMBINATIONS[self.seed % 12]
        manner = "patient" if self.patient else "hasty"
        return f"seed-{self.seed}-{framework}-{variant}-{rate:.0%}-{manner}"

    def rows(self) -> list[Row]:
        """The input. An id that repeats does so while the earlier record may be on its way."""
        ids = [f"{self.seed}/{number}" for number in range(self.records)]
        chance = random.Random(self.seed)
        for number in range(0, self.records, chance.randint(30, 60)) if self.repeating else ():
            ids[number] = ids[max(0, number - chance.randint(1, 3 * self.batch_size))]
        return [
            Row(row_id, f"text {number} of {self.seed}", {"n": number, "half": number / 2})
            for number, row_id in enumerate(ids)
        ]

    def proxy(self, target: Target) -> FaultProxy:
        weights = PATIENT if self.patient else HASTY
        return FaultProxy(target.base_url, mixed(self.rate, self.seed, weights), seed=self.seed)

    def store(
        self, base_url: str, index: str, retry: RetryPolicy
    ) -> AbstractAsyncContextManager[Store]:
        return store_at(base_url, self.framework, index, batch_size=self.batch_size, retry=retry)


def runs() -> list[Run]:
    """Few and small by day. Nightly: 20,000 records each, in some runs 100,000."""
    if not NIGHTLY:
        return few([Run(seed, 3_000) for seed in range(36)], "repeating", "again")
    # One of each dozen is large, in turn another combination.
    large = [seed % 12 == seed // 12 % 12 for seed in range(200)]
    return [Run(seed, 100_000 if large[seed] else 20_000) for seed in range(200)]


def few(runs: Sequence[Run], *more: str) -> list[Run]:
    """Some of them, in which every two properties meet."""
    names = ("rate", "call", "framework", "patient", *more)
    chosen = covering([{name: getattr(run, name) for name in names} for run in runs], 2)
    return [runs[at] for at in chosen]


@asynccontextmanager
async def store_at(
    base_url: str,
    framework: str,
    index: str,
    *,
    batch_size: int,
    retry: RetryPolicy,
    seconds: float = TIMEOUT,
) -> AsyncIterator[Store]:
    """A store over HTTP, whose connections are closed at the end."""
    client = VectorizeClient(base_url=base_url, retry=retry, timeout=seconds)
    options: dict[str, Any] = {"client": client, "index_name": index, "batch_size": batch_size}
    async with client.to_async():
        if framework == "langchain":
            yield langchain_vectorize.VectorizeVectorStore(HashEmbeddings(), **options)
        else:
            yield llama_index_vectorize.VectorizeVectorStore(**options)


class Taken:
    """Rows to iterate over once, and how many have been taken."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.count = 0
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.count += 1
            yield row


async def add(
    call: Call, store: Store, rows: Sequence[Row], **options: Any
) -> tuple[list[str], VectorizeError | None, int]:
    """Ids, or the error, and how many rows were taken.

    LangChain's store is given generators, LlamaIndex' a list.
    """
    taken = Taken(rows)
    args: tuple[Any, ...]
    if isinstance(store, langchain_vectorize.VectorizeVectorStore):
        method, args = "add_texts", ((row.text for row in taken), (row.metadata for row in rows))
        options["ids"] = (row.id for row in rows)
    else:
        vectors = hashed(row.text for row in rows).tolist()
        nodes = [
            TextNode(id_=row.id, text=row.text, metadata=row.metadata, embedding=vector)
            for row, vector in zip(taken, vectors, strict=True)
        ]
        method, args = "add", (nodes,)
    try:
        return await call(store, method, *args, **options), None, taken.count
    except VectorizeError as error:
        return [], error, taken.count


def rest(error: VectorizeError, rows: Sequence[Row]) -> list[Row]:
    """What to write again, by the word of the error."""
    if not isinstance(error, PartialWriteError):
        return list(rows)
    again = sorted((*error.unknown, *error.not_written))
    return [*(rows[position] for position in again), *rows[error.consumed :]]


@pytest.mark.parametrize("run", runs(), ids=str)
async def test_every_record_is_written_or_accounted_for(
    run: Run, target: Target, index: str, tmp_path: Path
) -> None:
    rows, reports = run.rows(), list[BatchReport]()
    file = {"resume": tmp_path / "checkpoint"} if run.again == "resume=file" else {}

    async with run.proxy(target) as proxy, run.store(proxy.base_url, index, run.retry) as store:
        ids, error, taken = await add(run.call, store, rows, on_batch=reports.append, **file)

    acknowledged = reports[-1].written if reports else 0
    said = f"{run}: {type(error).__name__}: {error}; {dict(proxy.dealt)}"
    if error is None:
        assert ids == [row.id for row in rows], said
        assert acknowledged == len(rows), said
    elif isinstance(error, PartialWriteError):
        told = [*error.written, *error.unknown, *error.not_written]
        assert sorted(told) == list(range(taken)), said
        assert len(error.written) == acknowledged, said
    else:
        assert acknowledged == 0, said
    if run.patient and not proxy.dealt[Fault.CUT_JSON]:
        assert error is None, said
    wrong = discrepancies(rows, fates(error, len(rows)), contents(target.service, index))
    assert not wrong, said

    if error is not None:
        partial = {"resume": error} if isinstance(error, PartialWriteError) else {}
        given = rest(error, rows) if run.again == "the rest" else rows
        options = partial if run.again == "resume=error" else file
        async with run.store(target.base_url, index, RetryPolicy()) as store:
            ids, error, _ = await add(run.call, store, given, **options)
        assert error is None
        assert ids == [row.id for row in given], said
        wrong = discrepancies(rows, fates(None, len(rows)), contents(target.service, index))
        assert not wrong, said
    assert not (tmp_path / "checkpoint").exists(), said


both_frameworks = pytest.mark.parametrize("framework", FRAMEWORKS)


@both_ways
@both_frameworks
@pytest.mark.covering(2)
@pytest.mark.parametrize("fault", [Fault.LOST, Fault.TRUNCATED, Fault.SILENT, Fault.CUT_JSON])
async def test_what_may_have_acted_once_is_never_called_not_written(
    target: Target, index: str, call: Call, framework: str, fault: Fault
) -> None:
    # Each batch has an id of the one before it, so that they go one after the other.
    rows = [Row(name, f"text {n}", {}) for n, name in enumerate(("same", "a", "same", "b"))]
    for seconds in growing(TIMEOUT if fault is Fault.SILENT else 30.0):
        faults = chain([None, fault], repeat(Fault.LIMITED))
        deadline = seconds + 0.4 if fault is Fault.SILENT else 0.4
        retry = RetryPolicy(
            write_deadline=deadline, first_delay=0.05, max_delay=0.1, request_lifetime=IN_ORDER
        )
        at_once: dict[str, Any] = {"batch_size": 2, "retry": retry, "seconds": seconds}
        async with (
            FaultProxy(target.base_url, faults, match="/upsert") as proxy,
            store_at(proxy.base_url, framework, index, **at_once) as store,
        ):
            _, error, _ = await add(call, store, rows)
        if isinstance(error, PartialWriteError) and error.written:
            break
    found = contents(target.service, index)
    assert sorted(found) == ["a", "b", "same"]
    assert (error.written, error.unknown, error.not_written) == ((0, 1), (2, 3), ())
    assert not discrepancies(rows, fates(error, len(rows)), found)


def deletions() -> list[Run]:
    """Of a quarter more records than are deleted."""
    seeds = [Run(seed, sized(1_200, 4_000)) for seed in range(12, sized(48, 200))]
    return seeds if NIGHTLY else few(seeds)


@pytest.mark.parametrize("run", deletions(), ids=str)
async def test_every_id_is_deleted_or_accounted_for(run: Run, target: Target, index: str) -> None:
    there = [f"{number}" for number in range(run.records)]
    most = run.records * 3 // 4
    target.service.upsert(index, [*map(Vector, there, hashed(there))])
    # Some ids are unknown, some can be none at all, and some repeat.
    ids = [*there[: most - 100], *("unknown", "", "x" * 65) * 20, *there[most // 2 : most]]
    random.Random(run.seed).shuffle(ids)
    method = "delete" if run.framework == "langchain" else "delete_nodes"
    error: VectorizeError | None = None
    async with run.proxy(target) as proxy, run.store(proxy.base_url, index, run.retry) as store:
        try:
            await run.call(store, method, ids)
        except VectorizeError as failure:
            error = failure

    said = f"{run}: {type(error).__name__}: {error}; {dict(proxy.dealt)}"
    if isinstance(error, PartialWriteError):
        told = [*error.written, *error.unknown, *error.not_written]
        assert sorted(told) == list(range(len(ids))), said
    by_fate: dict[Fate, set[str]] = {"written": set(), "unknown": set(), "not_written": set()}
    for vector_id, fate in zip(ids, fates(error, len(ids)), strict=True):
        by_fate[fate].add(vector_id)
    left = contents(target.service, index).keys()
    assert left.isdisjoint(by_fate["written"]), said
    assert left >= {*there} - by_fate["written"] - by_fate["unknown"], said

    if error is not None:
        async with run.store(target.base_url, index, RetryPolicy()) as store:
            await run.call(store, method, ids)
    assert contents(target.service, index).keys() == {*there[most:]}, said
