import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import vectorize_core
from tests.nightly import sized
from vectorize_core.local import Service, querying, schema, storage
from vectorize_core.models import IndexConfig, MetadataIndex, Vector

ROOT = str(Path(vectorize_core.__file__).parents[1])
ONES, ZEROS = np.ones(32), np.zeros(32)


def ids(service):
    return service.list_vectors("docs").ids


def found(service, **more):
    return tuple(match.id for match in service.query("docs", vector=ONES, top_k=50, **more).matches)


def test_making_a_service_touches_nothing(tmp_path):
    service = Service(tmp_path / "new")
    service.close()
    assert not (tmp_path / "new").exists()


def test_importing_starts_no_thread_and_opens_no_file():
    check = (
        "import sys, threading\n"
        "events = []\n"
        "sys.addaudithook(lambda event, args: events.append((event, args)))\n"
        "import vectorize_core.local\n"
        "assert threading.active_count() == 1\n"
        "assert any(event == 'import' for event, _ in events)\n"
        "assert not [args for event, args in events if event == 'sqlite3.connect']\n"
        "modes = {str(args[1]) for event, args in events if event == 'open'}\n"
        "assert modes <= {'r', 'rb', 'None'}, modes\n"
    )
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-c", check], check=True, env=environment)


def test_a_directory_is_made_with_its_parents_and_holds_one_database(tmp_path):
    service = Service(str(tmp_path / "a" / "b"))
    service.create_index("docs", IndexConfig(32))
    service.close()
    names = {path.name for path in (tmp_path / "a" / "b").iterdir()}
    assert names == {"vectorize.sqlite3", "vectorize.commits"}


def test_a_reopened_directory_holds_what_it_held(make, tmp_path, clock):
    service = make(tmp_path)
    details = service.create_index("docs", IndexConfig(32, "euclidean"), "mine")
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [Vector(name, ONES, name, {"n": 1}) for name in "abc"])
    service.delete_by_ids("docs", ["b"])
    service.create_index("gone", IndexConfig(32))
    service.delete_index("gone")
    info = service.index_info("docs")
    service.close()
    clock.now += 1
    again = make(tmp_path)
    assert again.list_indexes() == (details,)
    assert again.index_info("docs") == info
    assert again.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
    assert found(again, filter={"n": 1}) == ("a", "c")
    assert again.get_by_ids("docs", ["a"]) == (Vector("a", ONES, "a", {"n": 1}),)
    with pytest.raises(Exception, match=r"vectorize\.index\.deleted"):
        again.get_index("gone")


def test_pending_mutations_survive_reopening_with_their_times(make, tmp_path, clock):
    service = make(tmp_path, process_delay=10, propagate_delay=10)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector("a", ONES, "n", {"t": "x"}), Vector("b", ONES)])
    last = service.delete_by_ids("docs", ["b"])
    service.close()
    # Without delays of its own, a later write must still not overtake the earlier ones.
    again = make(tmp_path)
    assert ids(again) == ()
    receipt = again.upsert("docs", [Vector("a", ZEROS)])
    assert again.index_info("docs").processed_up_to_mutation is None
    clock.now += 10
    assert again.index_info("docs").processed_up_to_mutation == receipt.mutation_id
    assert receipt.mutation_id != last.mutation_id
    assert ids(again) == ()
    clock.now += 10
    assert again.get_by_ids("docs", ["a", "b"]) == (Vector("a", ZEROS),)


def test_two_services_on_one_directory_see_each_others_commits(make, tmp_path):
    one, two = make(tmp_path), make(tmp_path)
    one.create_index("docs", IndexConfig(32))
    assert found(two) == ()
    one.upsert("docs", [Vector("a", ONES, None, {"n": 1})])
    assert found(two) == found(one) == ("a",)
    two.create_metadata_index("docs", "n", "number")
    two.upsert("docs", [Vector("b", ONES, None, {"n": 1})])
    assert found(one, filter={"n": 1}) == ("b",)
    two.delete_by_ids("docs", ["a"])
    assert found(one) == ("b",)
    two.delete_index("docs")
    with pytest.raises(Exception, match=r"vectorize\.index\.deleted"):
        found(one)
    two.create_index("docs", IndexConfig(32))
    assert found(one) == ()
    two.upsert("docs", [Vector("old", ONES)])
    assert found(one) == ("old",)
    two.delete_index("docs")
    two.create_index("docs", IndexConfig(32))
    two.upsert("docs", [Vector("new", ONES)])
    assert found(one) == ("new",)


def test_an_index_deleted_elsewhere_is_no_longer_held_in_memory(make, tmp_path):
    one, two = make(tmp_path), make(tmp_path)
    one.create_index("docs", IndexConfig(32))
    found(one)
    assert list(one._snapshots._latest) == ["docs"]
    two.delete_index("docs")
    with pytest.raises(Exception, match=r"vectorize\.index\.deleted"):
        ids(one)
    assert one._snapshots._latest == {}


def test_memory_is_private(make):
    one, two = make(), make()
    one.create_index("docs", IndexConfig(32))
    assert two.list_indexes() == ()


def test_the_file_is_written_ahead_and_synced_and_keeps_references(tmp_path):
    database = storage.Database(tmp_path)
    with database.writing() as tx:
        assert tx.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert tx.execute("PRAGMA synchronous").fetchone() == (2,)
        assert tx.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert tx.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)
    database.close()


def test_values_are_float32_and_metadata_compact_json(make, tmp_path):
    service = make(tmp_path)
    service.create_index("docs", IndexConfig(32))
    values = np.arange(32, dtype=np.float32) / 3
    service.upsert("docs", [Vector("a", values, None, {"a": [1, "é"]})])
    service.close()
    with sqlite3.connect(tmp_path / storage.FILE_NAME) as file:
        (metadata,) = file.execute("SELECT metadata FROM vectors").fetchone()
    file.close()
    (path,) = tmp_path.glob("vectors-*-1-0.f32")
    data = path.read_bytes()
    assert data[: values.nbytes] == values.astype("<f4").tobytes()
    assert metadata == '{"a":[1,"é"]}'


def test_an_unfinished_write_leaves_nothing(tmp_path):
    database = storage.Database(tmp_path)

    def fail_halfway():
        with database.writing() as tx:
            tx.execute("INSERT INTO deleted_indexes VALUES ('x')")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    with database.reading() as tx:
        assert tx.execute("SELECT count(*) FROM deleted_indexes").fetchone() == (0,)
    database.close()


def test_a_newer_format_is_refused_and_left_alone(make, tmp_path):
    service = make(tmp_path)
    service.create_index("docs", IndexConfig(32))
    service.close()
    file = sqlite3.connect(tmp_path / storage.FILE_NAME)
    file.execute("PRAGMA user_version = 5")
    file.close()
    for _ in range(2):
        with pytest.raises(storage.StorageError, match=r"newer version .*format 5"):
            make(tmp_path).list_indexes()


def test_close_may_be_repeated_and_ends_the_service(service):
    service.create_index("docs", IndexConfig(32))
    found(service)
    service.close()
    service.close()
    assert service._snapshots._latest == {}
    with pytest.raises(storage.StorageError, match="closed"):
        service.list_indexes()


def test_a_new_directory_may_be_opened_many_times_at_once(tmp_path):
    failures = []

    def open_it(path, barrier):
        service = Service(path)
        barrier.wait()
        try:
            service.list_indexes()
            service.close()
        except Exception as error:
            failures.append(error)

    for attempt in range(sized(25, 80)):
        barrier = threading.Barrier(6)
        arguments = (tmp_path / str(attempt), barrier)
        threads = [threading.Thread(target=open_it, args=arguments) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


WRITER = """
import sys, numpy
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector
service = Service(sys.argv[1])
try:
    service.create_index("docs", IndexConfig(32))
except Exception as error:
    assert error.code == 3002, error
for i in range(20):
    service.upsert("docs", [Vector(f"{sys.argv[2]}-{i}", numpy.ones(32))])
service.close()
"""


def test_processes_may_open_and_write_one_directory_at_once(make, tmp_path):
    environment = os.environ | {"PYTHONPATH": ROOT}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "new"), str(n)], env=environment
        )
        for n in range(4)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    assert sorted(ids(make(tmp_path / "new"))) == sorted(
        f"{n}-{i}" for n in range(4) for i in range(20)
    )


def test_threads_share_a_service(service):
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    failures = []

    def work(number: int) -> None:
        try:
            for i in range(15):
                name = f"{number}-{i}"
                service.upsert("docs", [Vector(name, ONES, str(number), {"n": i})])
                assert service.get_by_ids("docs", [name])[0].metadata == {"n": i}
                got = service.query(
                    "docs",
                    vector=ONES,
                    namespace=str(number),
                    filter={"n": {"$gte": i}},
                    return_metadata="all",
                )
                assert [(m.id, m.metadata) for m in got.matches] == [(name, {"n": i})]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ids(service)) == 90


def between_search_and_fetch(monkeypatch, change, *, times):
    """Lets ``change`` happen after the first ``times`` searches, before their hits are fetched."""
    searches = []
    original = querying.run

    def run(prepared, **more):
        hits = original(prepared, **more)
        searches.append(hits)
        if len(searches) <= times:
            change()
        return hits

    monkeypatch.setattr(querying, "run", run)
    # So that no search is so short that it ends within the transaction.
    monkeypatch.setattr(querying, "_SHORT", 0)
    return searches


def test_a_hit_that_is_deleted_meanwhile_is_replaced(service, monkeypatch):
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, ONES, None, {"t": name}) for name in "abc"])
    searches = between_search_and_fetch(
        monkeypatch, lambda: service.delete_by_ids("docs", ["a"]), times=1
    )
    got = service.query("docs", vector=ONES, top_k=2, return_metadata="all")
    assert [(match.id, match.metadata) for match in got.matches] == [
        ("b", {"t": "b"}),
        ("c", {"t": "c"}),
    ]
    assert len(searches) == 2


def test_a_hit_never_shows_the_metadata_of_another_version(service, monkeypatch):
    service.create_index("docs", IndexConfig(32, "euclidean"))
    service.upsert("docs", [Vector("a", ONES, None, {"t": "old"})])
    between_search_and_fetch(
        monkeypatch,
        lambda: service.upsert("docs", [Vector("a", ZEROS, None, {"t": "new"})]),
        times=1,
    )
    (match,) = service.query("docs", vector=ONES, return_metadata="all").matches
    assert match.metadata == {"t": "new"}
    assert match.score > 0


def test_a_hit_is_not_taken_for_what_a_compaction_put_into_its_slot(service, monkeypatch):
    service.create_index("docs", IndexConfig(32))
    names = [f"v{i}" for i in range(20)]
    service.upsert("docs", [Vector(name, np.eye(32)[i]) for i, name in enumerate(names)])
    service.delete_by_ids("docs", names[::2])
    between_search_and_fetch(monkeypatch, service.compact, times=1)
    (match,) = service.query("docs", vector=np.eye(32)[3], top_k=1).matches
    assert (match.id, match.score) == ("v3", 1.0)


def test_a_query_ends_however_often_its_hits_change(service, monkeypatch):
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, ONES, None, {"t": 0}) for name in "abc"])
    searches = between_search_and_fetch(
        monkeypatch,
        lambda: service.upsert("docs", [Vector("a", ONES, None, {"t": 1})]),
        times=2,
    )
    got = service.query("docs", vector=ONES, return_metadata="all")
    assert [match.metadata["t"] for match in got.matches] == [1, 0, 0]
    assert len(searches) == 3


def test_other_calls_go_on_while_a_query_searches(service, monkeypatch):
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector("a", ONES)])
    written = []

    def write_in_another_thread():
        thread = threading.Thread(
            target=lambda: written.append(service.upsert("docs", [Vector("b", ONES)]))
        )
        thread.start()
        thread.join(timeout=20)

    between_search_and_fetch(monkeypatch, write_in_another_thread, times=1)
    assert found(service) == ("a",)
    assert len(written) == 1


def test_an_unchanged_index_is_not_read_again(make):
    service = make()
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [Vector("a", ONES, None, {"n": 1})])
    found(service, filter={"n": 1})
    first = service._snapshots._latest["docs"]
    service.delete_by_ids("docs", ["none such"])
    service.insert("docs", [Vector("a", ZEROS)])
    found(service, filter={"n": 1})
    assert service._snapshots._latest["docs"] is first
    service.upsert("docs", [Vector("a", ZEROS)])
    found(service)
    assert service._snapshots._latest["docs"] is not first
    service.delete_index("docs")
    assert service._snapshots._latest == {}
