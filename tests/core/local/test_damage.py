"""Each file damaged in each way: right answers or errors in words, and all is named and saved."""

import gc
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import vectorize_core
from tests.core.local.damages import (
    DIMENSIONS,
    KINDS,
    PLACES,
    Damaged,
    flip_value,
    only,
    tables,
    vector,
    wrong,
)
from tests.nightly import sized
from tests.patience import until
from vectorize_core.local import Service, StorageError, scrubbing
from vectorize_core.models import IndexConfig, Vector

ROOT = str(Path(vectorize_core.__file__).parents[1])
FILES = {
    "database": "vectorize.sqlite3",
    "log": "vectorize.sqlite3-wal",
    "values": "vectors-*-1-0.f32",
    "note": "vectorize.commits",
}
PLACED = ("flip", "zeroes", "truncated")
CASES = [
    (file, kind, place)
    for file in FILES
    for kind in KINDS
    for place in (PLACES if kind in PLACED else ["header"])
]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return Damaged(tmp_path_factory.mktemp("damage"))


@pytest.mark.parametrize(("file", "kind", "place"), CASES)
def test_each_damage_is_right_or_named_and_all_that_can_be_is_saved(
    damaged, tmp_path, file, kind, place
):
    for seed in range(sized(1, 12) if kind in PLACED else 1):
        directory = damaged.damaged(tmp_path / str(seed), FILES[file], kind, place, seed)
        service = Service(directory)
        others, refused = wrong(service, damaged.expected)
        service.close()
        assert others == [], (seed, others)
        values = {path.name: path.read_bytes() for path in directory.glob("vectors-*.f32")}
        service = Service(directory)
        found = service.check()
        if refused:
            assert not found.ok, (seed, refused)
        repaired = service.check(repair=True)
        service.close()
        if repaired.ok:
            look_at_what_is_left(damaged, directory, file, kind, repaired)
        else:
            # What it cannot account for it leaves alone.
            now = {path.name: path.read_bytes() for path in directory.glob("vectors-*.f32")}
            assert now == values, seed
        shutil.rmtree(directory)


def look_at_what_is_left(damaged, directory, file, kind, repaired):
    service = Service(directory)
    assert service.check().findings == ()
    ids = service.list_vectors("docs", count=1000).ids
    for name in ids:
        (found,) = service.get_by_ids("docs", [name])
        assert found in damaged.versions[name], name
    service.upsert("docs", [vector(3, 7)])
    assert service.get_by_ids("docs", ["v3"]) == (vector(3, 7),)
    service.close()
    lost = {name for finding in repaired.findings for name in finding.lost}
    said = any("not known by their ids" in finding.problem for finding in repaired.findings)
    if kind not in ("older", "other") and file in ("database", "values") and not said:
        assert set(damaged.expected["ids"]) - set(ids) <= lost
        assert set(ids) <= set(damaged.expected["ids"])


UNCOVERED = {("storage", "commits"), ("deleted_indexes", "name")}
"""A greater number of commits refuses nothing, and the name of what is deleted only a status."""


@pytest.mark.parametrize(
    "table",
    ["storage", "indexes", "metadata_indexes", "vectors", "dead_slots", "unsynced_values"],
)
@pytest.mark.parametrize("bit", sized([2, 40], [0, 2, 9, 40, 47, 53, 62]))
@pytest.mark.covering(1)
def test_a_flipped_bit_in_any_column_is_refused_and_repaired(damaged, tmp_path, table, bit):
    for column in [column for name, column in tables(damaged.closed) if name == table]:
        directory = tmp_path / column
        shutil.copytree(damaged.closed, directory)
        if not flip_value(directory, table, column, bit) or (table, column) in UNCOVERED:
            continue
        service = Service(directory)
        others, _ = wrong(service, damaged.expected)
        assert others == [], column
        service.close()
        service = Service(directory)
        assert not service.check().ok, column
        repaired = service.check(repair=True)
        service.close()
        # Whether indexes are gone, or their number is wrong, cannot be told.
        assert repaired.ok or (table, column) == ("storage", "indexes"), (column, repaired)
        service = Service(directory)
        assert service.check().findings == (), column
        assert wrong(service, damaged.expected) == ([], []), column
        service.close()


def filled(make, path, count=50):
    service = make(path)
    service.create_index("docs", IndexConfig(DIMENSIONS))
    for start in range(0, count, 5_000):
        some = range(start, min(count, start + 5_000))
        service.upsert("docs", [vector(n, 0) for n in some])
    return service


def flip(path, place, *, bit=4):
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bit]))


def test_a_damaged_best_match_is_not_lost_in_silence(make, tmp_path):
    filled(make, tmp_path).close()
    # The sign of its numbers: it is now the last one.
    for number in range(DIMENSIONS):
        flip(only(tmp_path, "*.f32"), (7 * DIMENSIONS + number) * 4 + 3, bit=0x80)
    service = make(tmp_path)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"'v7'.*check --path"):
            service.query("docs", vector=vector(7, 0).values)
    with pytest.raises(StorageError, match="'v7'"):
        service.query_many("docs", [vector(7, 0).values])
    # What is not damaged can be read, and written again.
    assert service.get_by_ids("docs", ["v8"]) == (vector(8, 0),)
    assert len(service.list_vectors("docs").ids) == 50
    service.upsert("docs", [vector(7, 0)])
    assert service.query("docs", vector=vector(7, 0).values).matches[0].id == "v7"


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot-product"])
@pytest.mark.parametrize("many", [False, True])
def test_a_damaged_vector_that_was_nearly_found_is_named(make, tmp_path, monkeypatch, metric, many):
    monkeypatch.setattr(scrubbing, "AT_FIRST", 0)
    service = make(tmp_path)
    service.create_index("docs", IndexConfig(DIMENSIONS, metric))
    same = vector(0, 0).values
    service.upsert("docs", [Vector(f"v{n}", same) for n in range(10)])
    service.close()
    # The last bit of a number: which of them is the nearest can depend on it.
    flip(only(tmp_path, "*.f32"), 7 * DIMENSIONS * 4, bit=1)
    service = make(tmp_path)
    call = (
        partial(service.query_many, "docs", [same, same])
        if many
        else partial(service.query, "docs", vector=same)
    )
    with pytest.raises(StorageError, match="'v7'"):
        call(top_k=1)


def test_the_scrub_finds_what_is_damaged_while_a_service_is_open(
    make, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(scrubbing, "AT_FIRST", 10)
    monkeypatch.setattr(scrubbing, "_DELAY", 0.0)
    monkeypatch.setattr(scrubbing, "SHARE", 1.0)
    service = filled(make, tmp_path, 1_500)
    flip(only(tmp_path, "*.f32"), 1_400 * DIMENSIONS * 4)
    ask = vector(3, 0).values
    service.query("docs", vector=ask)
    until(lambda: service._scrub._damage)
    with pytest.raises(StorageError, match="v1400"):
        service.query("docs", vector=ask)
    assert [r.name for r in caplog.records if r.levelno == logging.ERROR] == [scrubbing.__name__]
    # A repair in another process.
    other = make(tmp_path)
    assert other.check(repair=True).ok
    assert service.query("docs", vector=ask).matches[0].id == "v3"


def test_what_a_read_finds_is_raised_or_else_logged(make, tmp_path, caplog):
    filled(make, tmp_path).close()
    flip(only(tmp_path, "*.f32"), 7 * DIMENSIONS * 4)
    service = make(tmp_path)
    with pytest.raises(StorageError, match="v7"):
        service.query("docs", vector=vector(3, 0).values)
    assert not caplog.records
    service.close()
    # A read that needs no values goes on.
    assert make(tmp_path).list_vectors("docs", count=5).ids
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("column", ["metadata", "namespace", "id", "position", "seq"])
def test_a_damaged_record_is_refused_wherever_it_is_read(make, tmp_path, column):
    filled(make, tmp_path).close()
    file = sqlite3.connect(tmp_path / "vectorize.sqlite3")
    changed = {
        "metadata": "replace(metadata, '7 7', '7 6')",
        "namespace": "'space2'",
        "id": "'w7'",
        "position": "position + 64",
        "seq": "seq + 2",
    }[column]
    file.execute(f"UPDATE vectors SET {column} = {changed} WHERE id = 'v7'")
    file.commit()
    file.close()
    service = make(tmp_path)
    name = "w7" if column == "id" else "v7"
    with pytest.raises(StorageError, match=f"'{name}'"):
        service.get_by_ids("docs", [name])
    for more in ({}, {"namespace": "space1"}, {"filter": {"n": 1}}):
        with pytest.raises(StorageError, match=f"'{name}'"):
            service.query("docs", vector=vector(7, 0).values, **more)
    (found,) = service.check().findings
    assert found.lost == (name,)


def threads():
    return [t for t in threading.enumerate() if t.name == "vectorize-scrub"]


def test_a_scrub_ends_with_its_service(make, tmp_path):
    assert threads() == []
    memory = filled(make, ":memory:")
    memory.query("docs", vector=np.ones(DIMENSIONS))
    assert threads() == []
    service = filled(make, tmp_path / "a")
    service.query("docs", vector=np.ones(DIMENSIONS))
    assert len(threads()) == 1
    service.query("docs", vector=np.ones(DIMENSIONS))
    assert len(threads()) == 1
    service.close()
    assert threads() == []
    # Also where nobody closes it.
    dropped = Service(tmp_path / "a")
    dropped.query("docs", vector=np.ones(DIMENSIONS))
    assert len(threads()) == 1
    del dropped
    gc.collect()
    until(lambda: not threads())


def test_a_read_on_its_way_leaves_no_scrub_behind_a_close(make, tmp_path):
    service = make(tmp_path)
    service.create_index("docs", IndexConfig(32))
    with service._indexes.reading("docs") as (tx, index, _):
        closing = threading.Thread(target=service.close)
        closing.start()
        until(lambda: service._database._closed)
        service._scrub.watch(tx, index)
        scrubbing = service._scrub._thread
    closing.join()
    assert scrubbing is not None
    assert not scrubbing.is_alive()


def test_a_service_that_is_closed_when_its_scrub_begins_a_pass_ends_it_at_once(
    make, tmp_path, monkeypatch
):
    service = filled(make, tmp_path)
    closing = threading.Thread(target=service.close)

    class Wake(scrubbing._Signal):
        """What the scrub asks before each pass, when it was not yet to stop."""

        def empty(self):
            if closing.ident is None:
                closing.start()
                until(lambda: not super(Wake, self).empty())
            return super().empty()

    signals = iter([scrubbing._Signal(), Wake()])
    monkeypatch.setattr(scrubbing, "_DELAY", 0.0)
    monkeypatch.setattr(scrubbing, "_Signal", partial(next, signals))
    # One that finds nothing left to compare.
    monkeypatch.setattr(scrubbing.Scrub, "step", lambda *_: None)
    service.query("docs", vector=np.ones(DIMENSIONS))
    until(lambda: closing.ident is not None)
    closing.join(scrubbing._PATIENCE / 2)
    assert not closing.is_alive()
    assert threads() == []


def test_a_scrub_does_not_keep_a_process(tmp_path):
    script = f"""
import numpy as np
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector
service = Service({str(tmp_path)!r})
service.create_index("docs", IndexConfig(32))
service.upsert("docs", [Vector("a", np.ones(32))])
service.query("docs", vector=np.ones(32))
"""
    environment = os.environ | {"PYTHONPATH": ROOT}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_scrubs_by_itself(make, tmp_path):
    service = filled(make, tmp_path)
    service.query("docs", vector=np.ones(DIMENSIONS))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            service.query("docs", vector=np.ones(DIMENSIONS))
            code = 0 if len(threads()) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("state", ["missing", "empty", "without tables"])
@pytest.mark.parametrize("beside", ["values", "note"])
def test_values_without_their_database_are_no_empty_store(make, tmp_path, state, beside):
    filled(make, tmp_path).close()
    path = tmp_path / "vectorize.sqlite3"
    path.unlink()
    if state == "empty":
        path.touch()
    elif state == "without tables":
        file = sqlite3.connect(path)
        file.execute("PRAGMA journal_mode = WAL")
        file.close()
    only(tmp_path, "*.f32" if beside == "note" else "*.commits").unlink()

    def others():
        return {p.name: p.read_bytes() for p in tmp_path.iterdir() if path.name not in p.name}

    left = others()
    with pytest.raises(StorageError, match=r"vectorize\.sqlite3 is (missing|empty)"):
        make(tmp_path).list_indexes()
    with pytest.raises(StorageError, match=r"vectorize\.sqlite3 is (missing|empty)"):
        make(tmp_path).create_index("docs", IndexConfig(32))
    for repair in (False, True):
        report = make(tmp_path).check(repair=repair)
        assert not report.ok
        assert (
            "is missing" in report.findings[0].problem or "is empty" in report.findings[0].problem
        )
    assert others() == left


def test_an_older_copy_of_the_database_is_refused_until_it_is_accepted(make, tmp_path):
    directory = tmp_path / "data"
    filled(make, directory).close()
    shutil.copy(directory / "vectorize.sqlite3", tmp_path / "copy")
    service = make(directory)
    service.upsert("docs", [vector(n, 5) for n in range(40, 60)])
    service.delete_by_ids("docs", ["v1"])
    service.compact()
    service.close()
    shutil.copy(tmp_path / "copy", directory / "vectorize.sqlite3")
    values = only(directory, "*.f32").read_bytes()
    for call in (lambda s: s.list_indexes(), lambda s: s.upsert("docs", [vector(1, 1)])):
        with pytest.raises(StorageError, match=r"3 acknowledged commits are gone.*check --repair"):
            call(make(directory))
    found = make(directory).check()
    assert "3 acknowledged commits are gone" in found.findings[0].problem
    repaired = make(directory).check(repair=True)
    assert repaired.ok
    assert "3 acknowledged commits are gone" in repaired.findings[0].problem
    # The values of the lost commits are kept.
    assert only(directory, "set-aside-*.f32").read_bytes() == values
    service = make(directory)
    assert service.check().findings == ()
    service.upsert("docs", [vector(3, 3)])
    assert service.get_by_ids("docs", ["v3"]) == (vector(3, 3),)


@pytest.mark.parametrize("kind", ["older", "other"])
@pytest.mark.parametrize(
    "call",
    [
        lambda service: service.list_indexes(),
        lambda service: service.upsert("docs", [vector(1, 1)]),
        lambda service: service.check(),
    ],
    ids=["read", "write", "check"],
)
def test_a_log_that_is_refused_is_not_moved_into_the_database(damaged, tmp_path, kind, call):
    directory = damaged.damaged(tmp_path / "data", FILES["log"], kind, "header", 0)
    path = directory / "vectorize.sqlite3"
    before = path.read_bytes()
    for _ in range(2):
        service = Service(directory)
        with suppress(StorageError):
            assert not call(service).ok
        service.close()
    assert path.read_bytes() == before
    # With its own log again it is as it was.
    shutil.copy(damaged.now / FILES["log"], directory)
    only(directory, "*-shm").unlink(missing_ok=True)
    service = Service(directory)
    assert wrong(service, damaged.expected) == ([], [])
    service.close()


@pytest.mark.parametrize("version", [0, 1, 2, 3, 35, 1 << 22])
def test_a_damaged_format_is_told_from_another_format(make, tmp_path, version):
    service = filled(make, tmp_path)
    expected = service.get_by_ids("docs", ["v7"])
    service.close()
    with closing(sqlite3.connect(tmp_path / "vectorize.sqlite3")) as file:
        file.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(StorageError, match=rf"format {version}, and its tables.*check --path"):
        make(tmp_path).list_indexes()
    assert f"format {version}" in make(tmp_path).check().findings[0].problem
    assert make(tmp_path).check(repair=True).ok
    assert make(tmp_path).check().findings == ()
    assert make(tmp_path).get_by_ids("docs", ["v7"]) == expected


def test_a_repair_writes_down_the_records_whose_values_are_lost(make, tmp_path):
    filled(make, tmp_path).close()
    only(tmp_path, "*.f32").unlink()
    assert make(tmp_path).check(repair=True).ok
    lines = only(tmp_path, "removed-*.jsonl").read_text().splitlines()
    kept = {record["id"]: record for record in map(json.loads, lines)}
    assert len(kept) == 50
    wanted = vector(7, 0)
    assert kept["v7"] == {"id": "v7", "namespace": wanted.namespace, "metadata": wanted.metadata}


def test_a_repair_keeps_the_values_of_an_index_whose_row_is_gone(make, tmp_path):
    filled(make, tmp_path).close()
    values = only(tmp_path, "*.f32").read_bytes()
    with closing(sqlite3.connect(tmp_path / "vectorize.sqlite3")) as file, file:
        file.execute("DELETE FROM indexes")
    with pytest.raises(StorageError, match="table of indexes"):
        make(tmp_path).list_indexes()
    repaired = make(tmp_path).check(repair=True)
    assert not repaired.ok
    problems = [finding.problem for finding in repaired.findings]
    assert "there are 0 indexes, and there should be 1" in problems
    assert "50 rows of vectors belong to nothing" in problems
    service = make(tmp_path)
    filled(make, tmp_path)
    service.upsert("docs", [vector(n, 2) for n in range(50)])
    service.compact()
    assert only(tmp_path, "set-aside-*.f32").read_bytes() == values


def test_files_of_another_database_are_neither_used_nor_deleted(make, tmp_path):
    service = filled(make, tmp_path / "a")
    filled(make, tmp_path / "b").close()
    foreign = shutil.copy(only(tmp_path / "b", "*.f32"), tmp_path / "a")
    old = tmp_path / "a" / "vectors-1-0.f32"
    old.write_bytes(b"x" * 512)
    service.delete_by_ids("docs", ["v1"])
    service.compact()
    for repair in (False, True):
        problems = " ".join(finding.problem for finding in service.check(repair=repair).findings)
        assert Path(foreign).name in problems
        assert old.name in problems
    assert Path(foreign).exists()
    assert old.exists()


@pytest.mark.parametrize("at", ["copy", "commit", "after"])
def test_a_write_whose_compaction_fails_is_done_and_says_so(
    make, tmp_path, monkeypatch, caplog, at
):
    from vectorize_core.local import compaction, maintenance, schema

    monkeypatch.setattr(compaction, "_WASTE", 1_000)
    service = filled(make, tmp_path)
    service.upsert("docs", [vector(n, 1) for n in range(45)])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if at == "copy":
            original = compaction._copy

            def copy(*arguments):
                original(*arguments)
                full()

            patch.setattr(compaction, "_copy", copy)
        elif at == "commit":
            written = []
            original_count = schema.count_commit

            def count(tx):
                written.append(tx)
                return full() if len(written) == 2 else original_count(tx)

            patch.setattr(schema, "count_commit", count)
        else:
            patch.setattr(maintenance.compaction, "is_wasteful", lambda index: True)
            patch.setattr(os, "unlink", full)
        service.upsert("docs", [vector(n, 2) for n in range(50)])
    assert caplog.records
    assert service.get_by_ids("docs", ["v7"]) == (vector(7, 2),)
    # Nothing of it is left that would fill the disk.
    assert len(list(tmp_path.glob("*.f32"))) == (2 if at == "after" else 1)
    service.compact()
    service.upsert("docs", [vector(1, 3)])
    service.compact()
    assert len(list(tmp_path.glob("*.f32"))) == 1
    assert service.check().findings == ()
    assert service.get_by_ids("docs", ["v7"]) == (vector(7, 2),)


def test_another_service_that_is_open_writes_into_no_file_of_a_newer_directory(make, tmp_path):
    directory = tmp_path / "data"
    old = filled(make, directory)
    directory.rename(tmp_path / "gone")
    new = filled(make, directory)
    before = only(directory, "*.f32").read_bytes()
    with pytest.raises(StorageError):
        old.upsert("docs", [vector(n, 9) for n in range(20)])
    assert only(directory, "*.f32").read_bytes() == before
    assert new.check().findings == ()


def test_pending_writes_that_are_damaged_are_not_carried_out(make, tmp_path, clock):
    service = make(tmp_path, process_delay=10)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector("a", np.ones(32)), Vector("b", np.ones(32))])
    service.close()
    file = sqlite3.connect(tmp_path / "vectorize.sqlite3")
    file.execute("UPDATE mutation_rows SET data = zeroblob(128) WHERE id = 'b'")
    file.commit()
    file.close()
    service = make(tmp_path, process_delay=10)
    clock.now += 20
    with pytest.raises(StorageError, match="'b'"):
        service.list_vectors("docs")
    assert not service.check().ok
    repaired = service.check(repair=True)
    assert [finding.lost for finding in repaired.findings] == [("b",)]
    assert service.list_vectors("docs").ids == ("a",)
