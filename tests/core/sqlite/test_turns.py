"""Writers get their turn in the order in which they come, or are told in words that they do not."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vectorize_core import StorageError
from vectorize_core.holds import FairLock
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite import connecting, turnstile
from vectorize_core.sqlite.connecting import connect
from vectorize_core.sqlite.turnstile import Turnstile

needs_turnstile = pytest.mark.skipif(turnstile.fcntl is None, reason="there is no order there")
ONES = np.ones(32)


def test_a_fair_lock_is_passed_on_in_order() -> None:
    lock, order, go = FairLock(), list[int](), threading.Semaphore(0)

    def take(number: int) -> None:
        with lock.take():
            order.append(number)
            go.acquire()

    threads = []
    with lock.take():
        for number in range(5):
            thread = threading.Thread(target=take, args=(number,))
            thread.start()
            while len(lock._line) <= number + 1:
                time.sleep(0.001)
            threads.append(thread)
        assert order == []
    for number in range(5):
        while len(order) <= number:
            time.sleep(0.001)
        assert lock.holder is not None
        go.release()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert lock.holder is None


def test_who_gives_up_waiting_for_a_fair_lock_leaves_the_line() -> None:
    lock = FairLock()
    with lock.take():
        assert lock.take_within(0.01) is None
    hold = lock.take_within(0.01)
    assert hold is not None
    hold.release()
    assert lock.holder is None


def test_no_thread_has_a_fair_lock_for_longer_than_its_call() -> None:
    lock = FairLock()

    def forgets() -> None:
        lock.take()

    forgets()
    began = time.monotonic()
    with lock.take():
        # One that waits already is not stopped by one that forgets it later.
        threading.Timer(0.05, forgets).start()
        time.sleep(0.1)
    lock.take().release()
    assert time.monotonic() - began < 30


@needs_turnstile
def test_who_waits_cannot_be_overtaken(tmp_path: Path) -> None:
    """One that could begin at once still waits for one that came first."""
    first, second = Turnstile(str(tmp_path)), Turnstile(str(tmp_path))
    free, waiting, order = threading.Event(), threading.Event(), list[str]()

    def begin() -> bool:
        waiting.set()
        if free.is_set():
            order.append("first")
        return free.is_set()

    def pass_by() -> bool:
        order.append("second")
        return True

    threads = [threading.Thread(target=first.wait, args=(begin, 20.0))]
    threads[0].start()
    waiting.wait()
    threads.append(threading.Thread(target=second.wait, args=(pass_by, 20.0)))
    threads[1].start()
    time.sleep(0.05)
    assert order == []
    free.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


@needs_turnstile
def test_a_turnstile_is_left_free(tmp_path: Path) -> None:
    def fail() -> bool:
        raise KeyError

    with pytest.raises(KeyError):
        Turnstile(str(tmp_path)).wait(fail, 1.0)
    assert not Turnstile(str(tmp_path)).wait(lambda: False, 0.01)
    assert Turnstile(str(tmp_path)).wait(lambda: True, 0.0)


def test_without_locks_of_the_file_system_there_is_no_order_and_no_error(tmp_path: Path) -> None:
    assert Turnstile(str(tmp_path / "none such")).wait(lambda: True, 0.0)
    assert Turnstile(None).wait(lambda: True, 0.0)


def test_a_writer_that_gets_no_turn_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "LOCK_TIMEOUT", 0.05)
    service = Service(tmp_path)
    service.create_index("docs", IndexConfig(32))
    foreign = connect(str(tmp_path / "vectorize.sqlite3"))
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"is locked: another process has been writing.*lsof"):
        service.upsert("docs", [Vector("a", ONES)])
    assert service.list_vectors("docs").ids == ()
    foreign.execute("ROLLBACK")
    service.upsert("docs", [Vector("a", ONES)])
    foreign.close()
    service.close()


@needs_turnstile
def test_no_service_writes_before_a_process_that_waits(tmp_path: Path) -> None:
    """Who waits to write holds a lock on the directory; here nobody does but the test."""
    service = Service(tmp_path)
    service.create_index("docs", IndexConfig(32))
    line = os.open(tmp_path, os.O_RDONLY)
    turnstile.fcntl.flock(line, turnstile.fcntl.LOCK_EX)
    done = threading.Event()

    def write() -> None:
        service.upsert("docs", [Vector("a", ONES)])
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert not done.wait(0.3)
    finally:
        os.close(line)
        thread.join()
    assert service.list_vectors("docs").ids == ("a",)
    service.close()
