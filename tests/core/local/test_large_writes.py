"""A large write lets other threads sync its values and make its codes, and is whole as any."""

import os
import threading

import numpy as np
import pytest

from tests.core.local.damages import only
from vectorize_core.local import StorageError, codes, value_store, workers
from vectorize_core.local.code_products import products
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS, COUNT = 96, 1_000


def vectors(version):
    rows = np.random.default_rng(version).standard_normal((COUNT, DIMENSIONS))
    return [Vector(f"{version} {n}", row) for n, row in enumerate(rows)]


def docs(make, *arguments, **switches):
    service = make(*arguments, **switches)
    service.create_index("docs", IndexConfig(DIMENSIONS))
    return service


@pytest.mark.parametrize("delay", [0.0, 10.0])
def test_all_that_a_commit_tells_of_is_synced(make, tmp_path, clock, monkeypatch, delay):
    service = docs(make, tmp_path, process_delay=delay)
    synced, whole = [], []
    original = value_store._sync

    def sync(file):
        original(file)
        synced.append(os.pread(file, os.fstat(file).st_size, 0))

    def see(statement):
        if statement == "COMMIT" and synced:
            used = COUNT * (3 if delay else len(whole) + 1) * DIMENSIONS * 4
            whole.append(only(tmp_path, "*.f32").read_bytes()[:used] == synced[-1][:used])

    monkeypatch.setattr(value_store, "_sync", sync)
    service._database._file._writer.connection.set_trace_callback(see)
    for version in range(3):
        service.insert("docs", vectors(version))
    # Those that were waiting are carried out in one transaction.
    clock.now += delay
    assert service.index_info("docs").vector_count == 3 * COUNT
    assert whole == ([True] if delay else [True] * 3)
    service._database._file._writer.connection.set_trace_callback(None)


@pytest.mark.parametrize("failing", ["sync", "codes"])
def test_a_failure_beside_the_rows_undoes_the_write(make, tmp_path, monkeypatch, failing):
    if failing == "codes" and not products():
        pytest.skip("no simsimd")
    service = docs(make, tmp_path)
    service.insert("docs", vectors(0))
    found = []

    def fail(*_):
        found.append(failing)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((value_store, "_sync") if failing == "sync" else (codes, "encoded")), fail)
        with pytest.raises(StorageError, match="no space is left"):
            service.insert("docs", vectors(1))
    assert found
    assert service.index_info("docs").vector_count == COUNT
    service.insert("docs", vectors(2))
    assert service.index_info("docs").vector_count == 2 * COUNT
    assert service.check().findings == ()
    wanted = vectors(2)[7]
    assert service.query("docs", vector=wanted.values, top_k=1).matches[0].id == wanted.id


def test_a_block_that_fails_ends_when_the_work_beside_it_has():
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait()
        ended.append(True)

    def fail():
        begun.wait()
        threading.Timer(0.01, may_end.set).start()
        raise KeyError

    with pytest.raises(KeyError), workers.beside(work, worthwhile=True):
        fail()
    assert ended


@pytest.mark.parametrize("worthwhile", [False, True])
def test_work_beside_a_block_is_done_and_its_errors_are_raised(worthwhile):
    done = []
    with workers.beside(lambda: done.append("work"), worthwhile=worthwhile):
        done.append("block")
    assert sorted(done) == ["block", "work"]
    with pytest.raises(ZeroDivisionError), workers.beside(lambda: 1 // 0, worthwhile=worthwhile):
        pass


def test_work_is_done_where_all_threads_are_busy():
    may_end, done = threading.Event(), []
    busy = [workers.begin(may_end.wait) for _ in range(workers._MAX_THREADS)]
    with workers.beside(lambda: done.append("work"), worthwhile=True):
        done.append("block")
    assert done == ["block", "work"]
    may_end.set()
    for each in busy:
        each.result()


def test_work_is_done_once_where_no_thread_can_be_started(monkeypatch):
    def fail(_):
        raise RuntimeError("can't start new thread")

    done = []
    workers.stop()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with workers.beside(lambda: done.append("work"), worthwhile=True):
            done.append("block")
    # The first thread that there is finds what was left in the queue.
    for each in [workers.begin(lambda: None) for _ in range(2)]:
        each.result()
    assert done == ["work", "block"]
