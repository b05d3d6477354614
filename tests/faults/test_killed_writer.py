"""A write that breaks off again and again and is gone on with: nothing is missing, or doubled."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.faults.corpus import (
    DIMENSIONS,
    HashEmbeddings,
    Row,
    Target,
    contents,
    discrepancies,
    fates,
)
from tests.faults.proxy import Fault, FaultProxy, mixed
from tests.faults.writer import Job
from tests.nightly import sized
from tests.stores import Call, both_ways
from vectorize_core import (
    ApiError,
    ConnectionFailedError,
    PartialWriteError,
    RetryPolicy,
    UnexpectedAnswerError,
    VectorizeClient,
)

ROOT: Final = Path(__file__).parents[2]
KILLS: Final = sized(2, 4)
ON_THE_WAY: Final = 4
"""Batches: as many as are sent at once, or one less and the one that is being embedded."""

both_kinds_of_ids = pytest.mark.parametrize("named", [True, False], ids=["ids given", "made up"])


def start(job: Job) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.writer", job.encoded()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def embedded(job: Job) -> int:
    """How many texts all attempts have embedded so far."""
    return job.log.read_bytes().count(b"\n") if job.log.exists() else 0


def start_and_kill(job: Job, batches: int, seconds: float) -> None:
    """Kill the job ``seconds`` after it has embedded so many batches, and before it is done."""
    goal = embedded(job) + batches * job.batch_size
    with start(replace(job, many=batches + 5)) as process:
        while embedded(job) < goal and process.poll() is None:
            time.sleep(0.001)
        time.sleep(seconds)
        running = process.poll() is None
        process.kill()
        said = process.stderr.read() if process.stderr is not None else ""
    assert running, f"it ended before it was killed: {said}"


def finish(job: Job) -> list[str]:
    with start(job) as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    ids: list[str] = json.loads(job.ids.read_text())
    return ids


def rows_of(ids: Sequence[str], texts: Sequence[str]) -> list[Row]:
    return [Row(row_id, text, {}) for row_id, text in zip(ids, texts, strict=True)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("named", sized([False], [True, False]))
@pytest.mark.parametrize("seed", range(sized(1, 20)))
def test_a_write_that_is_killed_goes_on_with_what_is_missing(
    target: Target, index: str, tmp_path: Path, named: bool, seed: int
) -> None:
    chance = random.Random(seed)
    job = Job(target.base_url, index, sized(4_000, 8_000), 50, named, str(tmp_path))
    for attempt in range(KILLS):
        moment = chance.randint(0, sized(25, 30)), chance.uniform(0.0, 0.05)
        start_and_kill(replace(job, attempt=attempt), *moment)
    ids = finish(replace(job, attempt=KILLS))

    if named:
        assert ids == [f"id-{number}" for number in range(job.total)]
    told = fates(None, job.total)
    wrong = discrepancies(rows_of(ids, job.texts()), told, contents(target.service, index))
    assert not wrong
    assert not job.checkpoint.exists()
    attempts: defaultdict[str, list[int]] = defaultdict(list)
    for line in job.log.read_text().splitlines():
        attempt_number, _, text = line.partition(" ")
        attempts[text].append(int(attempt_number))
    assert attempts.keys() == {*job.texts()}
    # Of what was embedded before a kill no more is embedded again than was on its way.
    for attempt in range(KILLS):
        again = [text for text, when in attempts.items() if attempt in when[:-1]]
        assert len(again) <= ON_THE_WAY * job.batch_size


class CountedEmbeddings(HashEmbeddings):
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.counts.update(texts)
        return super().embed_documents(texts)


@both_ways
@both_kinds_of_ids
@pytest.mark.covering(2)
@pytest.mark.parametrize("seed", range(sized(2, 20)))
async def test_a_write_that_ends_early_goes_on_from_its_error(
    target: Target, index: str, call: Call, named: bool, seed: int
) -> None:
    texts = [f"text {number}" for number in range(sized(1_500, 4_000))]
    given = [f"id-{number}" for number in range(len(texts))] if named else None
    once = RetryPolicy(read_deadline=60.0, write_deadline=0.0, first_delay=0.005, max_delay=0.05)
    embeddings = CountedEmbeddings()
    error: PartialWriteError | None = None
    may_be_embedded_again: Counter[str] = Counter()
    ids: list[str] = []
    weights = {**dict.fromkeys(Fault, 1.0), Fault.SILENT: 0.1}
    async with FaultProxy(
        target.base_url, mixed(sized(0.2, 0.1), seed, weights), seed=seed
    ) as proxy:
        client = VectorizeClient(base_url=proxy.base_url, retry=once, timeout=1.0)
        async with client.to_async():
            store = VectorizeVectorStore(embeddings, client=client, index_name=index, batch_size=50)
            for attempt in count():
                said = f"attempt {attempt}: {error}"
                assert attempt < 200, said
                options: dict[str, Any] = {} if error is None else {"resume": error}
                try:
                    ids = await call(store, "add_texts", iter(texts), ids=given, **options)
                    break
                except PartialWriteError as failure:
                    error = failure
                except (ApiError, ConnectionFailedError, UnexpectedAnswerError):
                    # Nothing was taken; what is known is what was before.
                    may_be_embedded_again.update(texts)
                    continue
                may_be_embedded_again.update(
                    texts[position] for position in (*error.unknown, *error.not_written)
                )
    assert error is not None, "no fault has ended the write: take another seed"
    if named:
        assert ids == given
    told = fates(None, len(texts))
    wrong = discrepancies(rows_of(ids, texts), told, contents(target.service, index))
    assert not wrong
    assert embeddings.counts <= Counter(texts) + may_be_embedded_again


@both_kinds_of_ids
def test_a_resumed_write_that_ends_even_earlier_forgets_nothing(named: bool) -> None:
    texts = [f"text {number}" for number in range(40)]
    given = [f"id-{number}" for number in range(len(texts))] if named else None
    embeddings = CountedEmbeddings()

    def until(end: int) -> Iterator[str]:
        yield from texts[:end]
        raise OSError("the disk is gone")

    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=DIMENSIONS)
        store = VectorizeVectorStore(embeddings, client=client, index_name="docs", batch_size=5)
        error: PartialWriteError | None = None
        for end in (23, 7):
            with pytest.raises(PartialWriteError) as caught:
                store.add_texts(until(end), ids=given and iter(given[: end + 1]), resume=error)
            error = caught.value
        ids = store.add_texts(texts, ids=given, resume=error)
        assert sorted(client.index("docs").list_ids()) == sorted(ids)
    # The first 20 were in after the first attempt.
    assert all(embeddings.counts[text] == 1 for text in texts[:20])
