"""Compaction, figures, and what happens where the storage is damaged or full."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import vectorize_core
from vectorize_core.local import Service, compaction, comparing, storage, unsynced, value_store
from vectorize_core.models import IndexConfig, Vector

ROOT = str(Path(vectorize_core.__file__).parents[1])


def vector(name, seed, **metadata):
    random = np.random.default_rng(seed)
    return Vector(name, random.standard_normal(32), None, metadata or None)


def values_file(directory, generation=0):
    """The file of an index's values."""
    (path,) = directory.glob(f"vectors-*-1-{generation}.f32")
    return path


def fill(service, count=300):
    """Three hundred vectors, a third of them replaced, a third deleted."""
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [vector(f"v{i}", i, n=i) for i in range(count)])
    service.upsert("docs", [vector(f"v{i}", count + i, n=-i) for i in range(0, count, 3)])
    for start in range(1, count, 300):
        gone = [f"v{i}" for i in range(start, min(count, start + 300), 3)]
        service.delete_by_ids("docs", gone)


def everything(service):
    """All that reads show."""
    ask = vector("", 7).values
    names = service.list_vectors("docs", count=1000).ids
    gotten = [service.get_by_ids("docs", names[i : i + 20]) for i in range(0, len(names), 20)]
    filters = ({"n": {"$gte": 30}}, {"n": {"$lt": 0}}, {"n": {"$ne": 2}}, None)
    answers = [service.query("docs", vector=ask, top_k=100, filter=f) for f in filters]
    answers.append(service.query("docs", vector=np.zeros(32), top_k=100))
    found = [[(match.id, match.score) for match in answer.matches] for answer in answers]
    return names, gotten, found, service.index_info("docs")


def flip(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def test_compaction_frees_slots_and_changes_nothing_that_is_read(service):
    fill(service)
    before = everything(service)
    assert service.stats().indexes[0].dead_slots == 200
    assert service.compact("docs") == 200
    (figures,) = service.stats().indexes
    assert (figures.vectors, figures.dead_slots, figures.generation) == (200, 0, 1)
    assert figures.value_bytes == 200 * 32 * 4
    assert figures.code_bytes == 200 * (32 + 16)
    assert everything(service) == before
    assert service.compact() == 0
    assert service.check().findings == ()
    service.upsert("docs", [vector("v0", 1), vector("new", 2)])
    assert service.list_vectors("docs", count=1000).ids == (*before[0], "new")


def test_a_compacted_directory_holds_one_file_of_values(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    before = everything(service)
    # What a compaction that was killed has left.
    token = service._database.value_stores.token
    (tmp_path / f"vectors-{token}-1-1.f32").write_bytes(b"x" * 999)
    (tmp_path / f"vectors-{token}-77-0.f32").write_bytes(b"x")
    service.compact()
    assert list(tmp_path.glob("*.f32")) == [values_file(tmp_path, 1)]
    service.close()
    assert everything(make(tmp_path)) == before


def test_a_deleted_index_leaves_no_file(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    found = everything(service)
    service.delete_index("docs")
    assert list(tmp_path.glob("*.f32")) == []
    fill(service)
    assert everything(service)[:3] == found[:3]


def test_another_service_reads_on_through_compactions_and_deletions(make, tmp_path):
    one, two = make(tmp_path), make(tmp_path)
    fill(one)
    before = everything(two)
    one.compact()
    assert everything(two) == before
    # Also where the file is gone before it was first looked into.
    three = make(tmp_path)
    three.list_indexes()
    one.upsert("docs", [vector("v0", 5)])
    one.compact()
    assert everything(three) == everything(one)


def test_a_reader_whose_generation_is_gone_looks_again(make, tmp_path, monkeypatch):
    reader, writer = make(tmp_path), make(tmp_path)
    fill(writer)
    before = everything(writer)
    original, raced = value_store.FileValueStore.matrix, []

    def compacted_first(store, count):
        if not raced:
            raced.append(True)
            # The reader's transaction has begun, and has looked into no file yet.
            thread = threading.Thread(target=writer.compact)
            thread.start()
            thread.join()
        return original(store, count)

    monkeypatch.setattr(value_store.FileValueStore, "matrix", compacted_first)
    assert everything(reader) == before


def test_an_unfinished_compaction_changes_nothing(make, tmp_path, monkeypatch):
    service = make(tmp_path)
    fill(service)
    before = everything(service)

    def fail(self, tx):
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(type(service._snapshots._latest["docs"].index), "save", fail)
        with pytest.raises(KeyError):
            service.compact()
    assert everything(service) == before
    service.compact()
    assert everything(service) == before
    assert service.check().findings == ()


def test_an_index_of_mostly_dead_records_is_compacted(service, monkeypatch):
    monkeypatch.setattr(compaction, "_WASTE", 32 * 4 * 100)
    service.create_index("docs", IndexConfig(32))
    for round_ in range(20):
        service.upsert("docs", [vector(f"v{i}", round_ * 60 + i) for i in range(60)])
        (figures,) = service.stats().indexes
        assert figures.dead_slots <= 120
    assert figures.generation > 3
    assert service.get_by_ids("docs", ["v7"]) == (vector("v7", 19 * 60 + 7),)
    for i in range(60):
        service.delete_by_ids("docs", [f"v{i}"])
    assert service.list_vectors("docs").ids == ()


@pytest.mark.parametrize("how", ["compact", "delete_index"])
def test_an_index_that_goes_while_it_is_checked_is_not_damaged(make, tmp_path, monkeypatch, how):
    service, other = make(tmp_path), make(tmp_path)
    fill(service)
    examine = comparing.examine

    def go(*given):
        monkeypatch.undo()
        getattr(other, how)("docs")
        return examine(*given)

    monkeypatch.setattr(comparing, "examine", go)
    assert service.check().findings == ()


def test_codes_that_go_while_they_are_checked_are_not_damaged(make, tmp_path, monkeypatch):
    service = make(tmp_path)
    fill(service)
    readable = value_store.FileValueStore.readable

    def go(store):
        rows = readable(store)
        if store.path.suffix == ".u8":
            store.path.unlink(missing_ok=True)
        return rows

    monkeypatch.setattr(value_store.FileValueStore, "readable", go)
    assert service.check().findings == ()


def test_a_whole_directory_has_nothing_wrong(service):
    fill(service)
    found = service.check()
    assert (found.ok, found.vectors, found.findings) == (True, 200, ())
    assert service.check(repair=True) == found


def test_a_damaged_vector_is_refused_found_and_taken_out(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    for offset in (17, 90):
        flip(values_file(tmp_path), 32 * 4 * 5 + offset)
    with pytest.raises(storage.StorageError, match=r"'v5' \(slot 5\) are damaged.*check"):
        service.get_by_ids("docs", ["v5"])
    with pytest.raises(storage.StorageError, match="damaged"):
        service.query("docs", vector=vector("", 5).values)
    found = service.check()
    assert not found.ok
    assert [(f.index, f.lost, f.repaired) for f in found.findings] == [("docs", ("v5",), False)]
    repaired = service.check(repair=True)
    assert repaired.ok
    assert [(f.lost, f.repaired) for f in repaired.findings] == [(("v5",), True)]
    assert service.get_by_ids("docs", ["v5", "v6"]) == (vector("v6", 306, n=-6),)
    assert service.check().findings == ()


def test_a_flipped_bit_is_found_and_turned_back(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    before = everything(service)
    for slot in (5, 8):
        flip(values_file(tmp_path), 32 * 4 * slot + 17)
    assert service.check().findings[0].lost == ("v5", "v8")
    (found,) = service.check(repair=True).findings
    assert (found.problem, found.lost) == ("2 vectors had a flipped bit and are restored", ())
    assert everything(service) == before
    assert service.check().findings == ()


def test_a_vector_that_is_written_again_is_whole_again(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    flip(values_file(tmp_path), 32 * 4 * 5)
    service.upsert("docs", [vector("v5", 5)])
    assert service.check().findings == ()
    assert service.get_by_ids("docs", ["v5"]) == (vector("v5", 5),)


@pytest.mark.parametrize("damage", ["cut off", "missing"])
def test_a_file_that_is_not_whole_is_refused_and_what_is_left_is_saved(
    make, tmp_path, monkeypatch, damage
):
    # Without what the log would have of it.
    monkeypatch.setattr(unsynced, "_SMALL", 0)
    service = make(tmp_path)
    fill(service)
    service.close()
    if damage == "cut off":
        os.truncate(values_file(tmp_path), 32 * 4 * 290 + 5)
    else:
        (values_file(tmp_path)).unlink()
    service = make(tmp_path)
    for read in (everything, lambda s: s.query("docs", vector=np.ones(32))):
        with pytest.raises(storage.StorageError, match=rf"{damage}.*check --path"):
            read(service)
    found = service.check()
    assert not found.ok
    left = [f"v{i}" for i in range(290) if i % 3 == 2] if damage == "cut off" else []
    lost = set(found.findings[-1].lost)
    assert lost == set(service.list_vectors("docs", count=1000).ids) - set(left)
    assert service.check(repair=True).ok
    assert list(everything(service)[0]) == left
    assert service.check().findings == ()


def test_false_counts_are_set_right(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    before = everything(service)
    with sqlite3.connect(tmp_path / storage.FILE_NAME) as file:
        file.execute("DELETE FROM dead_slots WHERE ordinal IN (3, 4)")
        file.execute("UPDATE indexes SET dead = dead - 9")
    file.close()
    assert not service.check().ok
    assert service.check(repair=True).ok
    assert service.check().findings == ()
    assert everything(service) == before


def test_a_database_that_is_none_is_refused(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    service.close()
    for path in tmp_path.glob("vectorize.sqlite3*"):
        path.write_bytes(b"no database at all " * 999)
    with pytest.raises(storage.StorageError, match=r"damaged.*check"):
        make(tmp_path).list_indexes()


@pytest.mark.skipif(sys.platform == "win32", reason="this platform cannot limit a file's size")
def test_on_a_full_disk_a_write_changes_nothing(make, tmp_path):
    script = """
import resource, sys
from pathlib import Path
from tests.core.local.test_maintenance import everything, fill, values_file, vector
from vectorize_core.local import Service
from vectorize_core.local.storage import StorageError
import os
service = Service(sys.argv[1])
fill(service)
before = everything(service)
size = values_file(Path(sys.argv[1])).stat().st_size
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, unlimited[1]))
for write in (
    lambda: service.upsert("docs", [vector(f"x{i}", i) for i in range(size // 128)]),
    lambda: service.upsert("docs", [vector("x", 1, text="y" * 9000)] * 1),
    service.compact,
):
    try:
        for _ in range(30):
            write()
    except StorageError as error:
        assert "no space is left" in str(error) or "disk I/O error" in str(error), error
        print("refused")
    assert service.check().findings == ()
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
service.delete_by_ids("docs", ["x"])
assert everything(service)[:3] == before[:3]
service.upsert("docs", [vector("after", 1)])
assert service.check().findings == ()
"""
    environment = os.environ | {"PYTHONPATH": ROOT}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("refused\nrefused\n")
    assert Service(tmp_path).check().ok


def test_a_full_database_is_said_to_be_one(make, tmp_path):
    service = make(tmp_path)
    fill(service)
    before = everything(service)
    connection = service._database._file._writer.connection
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(storage.StorageError, match=r"no space is left.*delete .*\.u8"):
        service.upsert("docs", [vector(f"x{i}", i, text="y" * 999) for i in range(500)])
    assert everything(service) == before
    connection.execute("PRAGMA max_page_count = 100000")
    service.upsert("docs", [vector("x", 1)])
    assert service.check().findings == ()


def test_values_are_synced_before_the_commit_that_tells_of_them(make, tmp_path, monkeypatch):
    service = make(tmp_path)
    fill(service)
    said = []
    original = value_store._sync
    monkeypatch.setattr(
        value_store,
        "_sync",
        lambda file: (said.append("sync"), original(file), said.append("done")),
    )
    service._database._file._writer.connection.set_trace_callback(said.append)
    service.upsert("docs", [vector(f"v{n}", 1) for n in range(2_000)])
    assert said.count("sync") == 1
    assert said.index("done") < said.index("COMMIT")
    said.clear()
    service.compact()
    assert said.count("sync") == 1
    assert said.index("done") < said.index("COMMIT")
    # What needs no sync is not slowed down by one.
    said.clear()
    service.upsert("docs", [vector("v2", 1)])
    service.delete_by_ids("docs", ["v2"])
    assert "sync" not in said


def test_other_calls_go_on_while_an_index_is_compacted(make, tmp_path, monkeypatch):
    service = make(tmp_path)
    fill(service)
    before = everything(service)
    copying, go_on = threading.Event(), threading.Event()
    original = compaction._copy

    def slow(*arguments):
        copying.set()
        go_on.wait(20)
        return original(*arguments)

    monkeypatch.setattr(compaction, "_copy", slow)
    thread = threading.Thread(target=service.compact)
    thread.start()
    copying.wait(20)
    assert everything(service) == before
    assert service.stats().indexes[0].dead_slots == 200
    go_on.set()
    thread.join()
    assert service.stats().indexes[0].dead_slots == 0
    assert everything(service) == before
