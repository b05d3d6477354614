"""A forked process works at once, whatever the threads of its parent were doing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

from tests.interrupting import everywhere, in_time
from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind
from tests.patience import until
from tests.stores import vector
from vectorize_core import SqliteTexts, StorageError, VectorizeClient, forks
from vectorize_core.forks import Fork
from vectorize_core.local import Service
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite.file import SqliteFile
from vectorize_core.texts.keeping import Removals
from vectorize_core.transport.io import run

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
ONES = np.ones(32)
LONG = "word " * 2_500
SOON = 15.0
"""Seconds; a lock that nobody holds is waited for a minute."""


def forked(work: Callable[[], object]) -> None:
    """``work`` in a child, which must succeed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            began = time.monotonic()
            work()
            code = 0 if time.monotonic() - began < SOON else 3
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def locks_of(pid: int) -> list[str]:
    """The POSIX locks of a process, where the system tells them."""
    try:
        return [line for line in Path("/proc/locks").read_text().splitlines() if f" {pid} " in line]
    except OSError:
        return ["unknown"]


@contextmanager
def busy(work: Callable[[int], object]) -> Iterator[None]:
    """Threads that do it again and again."""
    stop, failures = threading.Event(), []

    def again(number: int) -> None:
        try:
            count = number
            while not stop.is_set():
                work(count)
                count += 10
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=again, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def service_at(place: Any) -> Service:
    service = Service(place)
    service.create_index("docs", IndexConfig(32))
    return service


@pytest.mark.parametrize("place", ["v", ":memory:"])
def test_a_service(place: str, tmp_path: Path) -> None:
    service = service_at(place if place == ":memory:" else tmp_path / place)

    def write(name: str) -> None:
        service.upsert("docs", [Vector(name, ONES)])
        assert service.query("docs", vector=ONES, top_k=1).matches
        assert service.get_by_ids("docs", [name])[0].id == name

    def in_child() -> None:
        write("child")
        write("again")
        if place != ":memory:":
            # SQLite in the child takes none of the parent's locks for its own.
            assert locks_of(os.getpid())
        service.close()

    with busy(lambda count: write(str(count))):
        for _ in range(4):
            time.sleep(0.02)
            forked(in_child)
    if place != ":memory:":
        assert len(service.get_by_ids("docs", ["child", "again"])) == 2
    assert service.check().ok
    service.close()


def test_a_write_of_another_process_is_not_lost_when_the_parent_closes(tmp_path: Path) -> None:
    """Without locks of its own the child would write to a log that the parent deletes."""
    service = service_at(tmp_path / "v")
    service.upsert("docs", [Vector("a", ONES)])
    service.query("docs", vector=ONES)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            service.upsert("docs", [Vector("b", ONES)])
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            service.upsert("docs", [Vector("c", ONES)])
            code = 0
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    service.close()
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    again = Service(tmp_path / "v")
    assert again.list_vectors("docs").ids == ("a", "b", "c")
    assert again.check().ok
    again.close()


@pytest.mark.parametrize("kind", [LANGCHAIN, LLAMA_INDEX], ids=lambda kind: kind.name)
def test_a_store_with_long_texts(kind: Kind, tmp_path: Path) -> None:
    store = kind.local(path=tmp_path / "v")

    def write(name: str) -> None:
        if kind is LANGCHAIN:
            store.add_texts([LONG], ids=[name])
            assert store.get_by_ids([name])[0].page_content == LONG
        else:
            node = LLAMA_INDEX.item((name, LONG, {}), {LONG: vector("a")})
            store.add([node])
            assert store.get_nodes([name])[0].get_content() == LONG

    write("first")
    with busy(lambda count: write(str(count))):
        for _ in range(3):
            time.sleep(0.02)
            # An id that a thread of the parent may have on its way, too.
            forked(lambda: [write(name) for name in ("child", "0", "1", "10", "11")])
    store.close()


def test_texts_and_d1(tmp_path: Path) -> None:
    texts, databases, client = SqliteTexts(tmp_path), D1Databases(tmp_path), VectorizeClient.local()
    io = client.connection.io()
    make = [("CREATE TABLE IF NOT EXISTS t (a)", ()), ("INSERT INTO t VALUES (1)", ())]

    def write(name: str) -> None:
        run(texts.put(io, "docs", {name: LONG}))
        assert run(texts.get(io, "docs", [name])) == {name: LONG}
        databases.run("d", make)

    with busy(lambda count: write(str(count))):
        for _ in range(3):
            time.sleep(0.02)
            forked(lambda: write("child"))
    texts.close()
    databases.close()
    client.close()


def test_a_fork_waits_for_a_transaction_of_another_thread(tmp_path: Path) -> None:
    service = service_at(tmp_path / "v")
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with service._database.writing() as tx:
            tx.execute("INSERT INTO deleted_indexes VALUES ('x')")
            holding.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    threading.Timer(0.2, release.set).start()

    def in_child() -> None:
        assert release.is_set()
        service.upsert("docs", [Vector("a", ONES)])

    forked(in_child)
    thread.join()
    assert service.list_vectors("docs").ids == ("a",)
    service.close()


def test_a_fork_does_not_wait_for_a_thread_that_waits_for_another_process(tmp_path: Path) -> None:
    service, other = service_at(tmp_path / "v"), Service(tmp_path / "v")
    done = []

    def write() -> None:
        service.upsert("docs", [Vector("a", ONES)])
        done.append("a")

    with other._database.writing():
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.1)
        # The other one has its transaction in this thread, so nobody ends it meanwhile.
        file, fork = service._database._file, Fork()
        file.before_fork(fork, 60.0)
        assert [link.lock.holder for link in file._links] == [fork, fork]
        file.after_fork(fork)
        assert done == []
    thread.join()
    assert service.list_vectors("docs").ids == ("a",)
    service.close()
    other.close()


def test_what_is_never_ready_is_read_only_in_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "PATIENCE", 0.2)
    service = service_at(tmp_path / "v")
    service.upsert("docs", [Vector("a", ONES)])

    def in_child() -> None:
        assert service.list_vectors("docs").ids == ("a",)
        with pytest.raises(StorageError, match=r"forked while another thread was writing.*spawn"):
            service.upsert("docs", [Vector("b", ONES)])

    with service._database.writing():
        forked(in_child)
    service.upsert("docs", [Vector("c", ONES)])
    assert service.list_vectors("docs").ids == ("a", "c")
    service.close()


def uses_the_lock(lock: threading.Lock) -> None:
    assert lock.acquire(timeout=1)
    lock.release()


def of_its_own() -> tuple[threading.Lock, Callable[[], object]]:
    lock = forks.lock()
    return lock, lambda: uses_the_lock(lock)


def of_removals() -> tuple[threading.Lock, Callable[[], object]]:
    removals = Removals()
    return removals._lock, lambda: removals.note_own(["a"])


@pytest.mark.parametrize("made", [of_its_own, of_removals])
def test_locks_are_free_in_the_child(
    made: Callable[[], tuple[threading.Lock, Callable[[], object]]],
) -> None:
    lock, use = made()
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            holding.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    threading.Timer(0.1, release.set).start()

    def in_child() -> None:
        signal.alarm(30)
        use()

    forked(in_child)
    thread.join()
    uses_the_lock(lock)
    forked(in_child)


def test_a_fork_that_python_was_not_told_of_is_noticed(tmp_path: Path) -> None:
    service = service_at(tmp_path / "v")
    service.upsert("docs", [Vector("a", ONES)])
    file = service._database._file
    connection = file._writer.connection
    file._pid = -1
    service.upsert("docs", [Vector("b", ONES)])
    assert file._pid == os.getpid()
    assert file._writer.connection is not connection
    assert service.list_vectors("docs").ids == ("a", "b")
    service.close()


def test_files_that_are_dropped_are_not_kept_for_forks(tmp_path: Path) -> None:
    before = len(forks._transacting)
    file = SqliteFile(str(tmp_path / "f"), "it", lambda *_: None)
    assert len(forks._transacting) == before + 1
    del file
    assert len(forks._transacting) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("place", ["v", ":memory:"])
def test_ctrl_c_at_any_step_of_a_fork(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the hundreds of files that servers of other tests have open: each has its steps.
    for name in ("_locks", "_transacting"):
        monkeypatch.setattr(forks, name, WeakSet())
    service = service_at(place if place == ":memory:" else tmp_path / place)
    lock = forks.lock()

    def use() -> None:
        service.upsert("docs", [Vector("a", ONES)])
        assert [m.id for m in service.query("docs", vector=ONES).matches] == ["a"]
        uses_the_lock(lock)
        # Another one can be registered.
        forks.lock()

    def fork() -> None:
        if (child := os.fork()) == 0:
            code = 1
            try:
                sys.settrace(None)
                signal.alarm(round(SOON))
                use()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)

    def use_both() -> None:
        use()
        while children:
            assert os.waitpid(children.pop(), 0)[1] == 0

    children: list[int] = []
    use()
    everywhere(fork, use_both, day=5)
    service.close()


def test_ctrl_c_while_a_fork_waits_for_a_transaction(tmp_path: Path) -> None:
    service = service_at(tmp_path / "v")
    holding, noticed = threading.Event(), []
    line = service._database._file._reader.lock._line

    def hold() -> None:
        with service._database.reading() as tx:
            tx.execute("SELECT * FROM indexes").fetchall()
            holding.set()
            until(lambda: len(line) > 1)
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda: noticed)

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()

    def use() -> None:
        service.upsert("docs", [Vector("a", ONES)])
        assert service.query("docs", vector=ONES).matches

    hook, sys.unraisablehook = sys.unraisablehook, noticed.append
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        forked(use)
    finally:
        signal.signal(signal.SIGINT, handler)
        sys.unraisablehook = hook
    assert [each.exc_type for each in noticed] == [KeyboardInterrupt]
    noticed.clear()
    in_time(use)
    thread.join()
    service.close()
