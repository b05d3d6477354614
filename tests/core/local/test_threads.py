"""Jobs that a call lets another thread do, and that Ctrl-C leaves behind at any step."""

from __future__ import annotations

import os
import signal
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interrupting import everywhere, in_time, interrupted
from tests.nightly import sized
from vectorize_core import threads
from vectorize_core.job import Job
from vectorize_core.local import (
    Service,
    code_products,
    codes,
    unsynced,
    value_store,
    vectors,
    workers,
)
from vectorize_core.local import index_codes as reading_codes
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS = 64
ROWS = np.random.default_rng(1).standard_normal((2_048, DIMENSIONS)).astype(np.float32)
VECTORS = [Vector(f"v{n}", row) for n, row in enumerate(ROWS)]

no_thread = pytest.mark.usefixtures("refused")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    workers.stop()
    monkeypatch.setattr(threads, "start_new_thread", refuse)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are used for little, too."""
    monkeypatch.setattr(workers, "processors", lambda: 3)
    monkeypatch.setattr(workers, "WORTHWHILE", 1_000)
    monkeypatch.setattr("vectorize_core.local.candidates._LEAST_READ", 10_000)
    monkeypatch.setattr("vectorize_core.local.exact_search._CODED_FROM", 1_000)
    monkeypatch.setattr(reading_codes, "_ROWS_AT_ONCE", 256)
    monkeypatch.setattr(vectors, "_MUCH", 300)
    monkeypatch.setattr(unsynced, "_SMALL", 300)
    monkeypatch.setattr(value_store, "_SYNCED_AT_ONCE", 300)


def begun(work: Callable[[], Any]) -> Job[Any]:
    job = Job(work)
    workers.begin(job)
    return job


def test_a_job_has_a_result_or_an_error_whoever_does_it() -> None:
    for start in (Job, begun):
        assert start(lambda: 7).result() == 7
        with pytest.raises(ZeroDivisionError):
            start(lambda: 1 // 0).result()


def test_a_job_is_done_once_by_whoever_takes_it_first() -> None:
    done: list[int] = []
    may_end, taken = threading.Event(), threading.Event()

    def work() -> None:
        done.append(threading.get_ident())
        taken.set()
        may_end.wait(10)

    job = begun(work)
    assert taken.wait(10)
    assert not job.cancel()
    job.wait(0.01)
    threading.Timer(0.01, may_end.set).start()
    job.result()
    assert len(done) == 1
    assert done[0] != threading.get_ident()

    late = Job(lambda: done.append(1))
    assert late.cancel()
    workers.begin(late)
    begun(lambda: None).result()
    assert len(done) == 1


def test_jobs_are_done_where_all_threads_are_busy_and_few_are_kept_for_them() -> None:
    may_end = threading.Event()
    busy = [begun(may_end.wait) for _ in range(workers._MAX_THREADS)]
    try:
        assert begun(threading.get_ident).result() == threading.get_ident()
        left = [begun(lambda: None) for _ in range(100)]
        assert workers._threads._crew.jobs.qsize() < workers._MAX_THREADS
    finally:
        may_end.set()
    for each in busy + left:
        each.result()


@no_thread
def test_work_is_done_once_where_no_thread_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "processors", lambda: 3)
    done: list[int] = []
    kept: dict[int, int] = {}
    job = begun(lambda: done.append(-1))
    job.result()
    workers.share(5, done.append, worthwhile=True)
    workers.collect(5, int, kept.__setitem__, worthwhile=True)
    monkeypatch.setattr(threads, "start_new_thread", start_new_thread)
    for each in [begun(lambda: None) for _ in range(3)]:
        each.result()
    workers.stop()
    assert done == [-1, 0, 1, 2, 3, 4]
    assert kept == {n: n for n in range(5)}


def test_a_thread_that_is_idle_is_used_again() -> None:
    workers.stop()
    for _ in range(20):
        begun(lambda: None).wait()
        crew = workers._threads._crew
        while crew.unfinished:
            time.sleep(0.001)
    assert len(crew.begun) <= 1


def test_a_job_is_begun_and_the_end_is_waited_for_while_another_one_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by a signal's handler, or by what is freed meanwhile."""

    def interrupted_start(*arguments: Any) -> int:
        monkeypatch.setattr(threads, "start_new_thread", start_new_thread)
        assert begun(lambda: 7).result() == 7
        workers.stop()
        return start_new_thread(*arguments)

    workers.stop()
    monkeypatch.setattr(threads, "start_new_thread", interrupted_start)
    in_time(lambda: begun(lambda: 7).result())


def test_the_end_waits_for_what_was_begun_and_a_later_search_has_new_threads() -> None:
    done: list[int] = []
    for number in range(3):
        job = begun(lambda: (time.sleep(0.02), done.append(1)))
        workers.stop()
        assert job.cancel() or len(done) == number + 1
        assert not workers._threads._crew.begun


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_has_threads_of_its_own() -> None:
    def is_done_elsewhere() -> bool:
        job = begun(threading.get_ident)
        job.wait(10)
        return job.result() != threading.get_ident()

    assert is_done_elsewhere()
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        # As where another thread is about to begin a job.
        with workers._threads._crew.changing:
            holding.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    for ends_those_of_the_parent in (True, False):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            if ends_those_of_the_parent:
                workers.stop()
            os._exit(0 if is_done_elsewhere() else 1)
        assert os.waitpid(child, 0)[1] == 0
    release.set()
    thread.join()
    assert is_done_elsewhere()


# Ctrl-C


@pytest.fixture(params=["v", ":memory:"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    place: Any = request.param if request.param == ":memory:" else tmp_path / request.param
    made = Service(place)
    made.create_index("docs", IndexConfig(DIMENSIONS))
    made.upsert("docs", VECTORS)
    yield made
    made.close()


CALLS: dict[str, Callable[[Service], object]] = {
    "query": lambda s: s.query("docs", vector=ROWS[5]),
    "first query": lambda s: (s.release(), s.query("docs", vector=ROWS[5])),
    "queries": lambda s: s.query_many("docs", list(ROWS[:3])),
    "write": lambda s: s.upsert("docs", [Vector(f"a{n}", -ROWS[n]) for n in range(12)]),
}


@pytest.mark.usefixtures("shared")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_uses_threads_and_is_interrupted_anywhere(service: Service, name: str) -> None:
    def use() -> None:
        found = service.query("docs", vector=ROWS[7], top_k=1).matches[0]
        assert (found.id, round(found.score, 5)) == ("v7", 1)

    everywhere(lambda: CALLS[name](service), use, day=13)
    assert service.check().ok


@pytest.mark.usefixtures("shared")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(code_products.products() is None, reason="no codes without simsimd")
def test_a_write_that_was_interrupted_writes_no_codes_over_those_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service()
    service.create_index("docs", IndexConfig(DIMENSIONS))
    service.upsert("docs", VECTORS)
    written = [Vector(f"a{n}", -ROWS[n]) for n in range(4)]
    here, original = threading.get_ident(), codes.encoded
    is_written = threading.Event()

    def late(*arguments: Any) -> Any:
        if threading.get_ident() != here:
            is_written.wait(0.05)
        return original(*arguments)

    monkeypatch.setattr(codes, "encoded", late)
    step = 1
    while isinstance(interrupted(lambda: service.upsert("docs", written), step), KeyboardInterrupt):
        row = np.random.default_rng(100 + step).standard_normal(DIMENSIONS).astype(np.float32)
        service.upsert("docs", [Vector("b", row)])
        is_written.set()
        workers.stop()
        assert service.query("docs", vector=row, top_k=1).matches[0].score > 0.999
        is_written.clear()
        step += sized(5, 1)
    assert step > 100
    assert service.check().ok
    service.close()
