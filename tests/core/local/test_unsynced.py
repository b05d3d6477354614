"""Small writes are not synced to their file: what a loss of power takes, the database has.

While nobody has the directory open, files go back to what was synced of them, or partly so.
"""

import os
import random
import sqlite3
from contextlib import closing, suppress

import numpy as np
import pytest

from tests.core.local.coded import always_by_codes
from tests.core.local.damages import only
from tests.nightly import sized
from vectorize_core import scoring
from vectorize_core.local import Service, StorageError, compaction, unsynced, value_store
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite import read_only

DIMENSIONS = 64
PAGE = 4096


def vector(n, version=0):
    values = np.random.default_rng(n + 100_000 * version).standard_normal(DIMENSIONS)
    return Vector(f"v{n}", values, None, {"n": n})


def filled(make, path, large=300, small=7):
    """A large write, and some small ones that are not synced; the file as it was in between."""
    service = make(path)
    service.create_index("docs", IndexConfig(DIMENSIONS))
    service.upsert("docs", [vector(n) for n in range(large)])
    synced = only(path, "*.f32").read_bytes()
    for n in range(large, large + small):
        service.upsert("docs", [vector(n)])
    return service, synced


def logged(service):
    with service._database.reading() as tx:
        return tx.execute("SELECT count(*) FROM unsynced_values").fetchone()[0]


def lose(path, synced, how):
    file, used = only(path, "*.f32"), 300 * DIMENSIONS * 4
    now = file.read_bytes()
    if how == "older":
        file.write_bytes(synced + bytes(len(now) - len(synced)))
    elif how == "zeroes":
        file.write_bytes(now[:used] + bytes(len(now) - used))
    elif how == "shorter":
        file.write_bytes(now[:used])
    elif how == "in the middle":
        file.write_bytes(now[: used + 2 * DIMENSIONS * 4 + 100])
    else:
        row = DIMENSIONS * 4
        file.write_bytes(now[:used] + bytes(row) + now[used + row :])


HOW = ["older", "zeroes", "shorter", "in the middle", "one row"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("call", ["read", "write", "check", "compact"])
def test_what_a_loss_of_power_takes_from_a_file_is_there_again(make, tmp_path, caplog, how, call):
    service, synced = filled(make, tmp_path)
    assert logged(service) == 7
    service.close()
    lose(tmp_path, synced, how)
    service = make(tmp_path)
    if call == "write":
        service.upsert("docs", [vector(307)])
    elif call == "check":
        assert service.check().findings == ()
    elif call == "compact":
        service.delete_by_ids("docs", ["v0"])
        service.compact()
    for n in range(290, 307):
        assert service.get_by_ids("docs", [f"v{n}"]) == (vector(n),)
        assert service.query("docs", vector=vector(n).values).matches[0].id == f"v{n}"
    assert service.check().findings == ()
    assert [r.name for r in caplog.records if "loss of power" in r.message] == [unsynced.__name__]


def test_only_large_writes_wait_for_their_file_until_the_log_is_full(make, tmp_path, monkeypatch):
    syncs = []
    original = value_store._sync
    monkeypatch.setattr(value_store, "_sync", lambda file: (syncs.append(file), original(file)))
    service = make(tmp_path)
    for name in ("docs", "more"):
        service.create_index(name, IndexConfig(DIMENSIONS))
        service.upsert(name, [vector(0)])
    # The first write of a file is synced, with its name.
    assert len(syncs) == 2
    for n in range(256):
        service.upsert("docs", [vector(n)])
        service.upsert("more", [vector(n, 1), vector(0, n)][: 1 + (n == 7)])
        service.delete_by_ids("docs", ["v3"])
    # Once both, because of all that was logged of both.
    assert len(syncs) == 4
    assert logged(service) < 10
    for name in ("docs", "more"):
        service.upsert(name, [vector(1000)])
    before = logged(service)
    service.upsert("docs", [vector(n) for n in range(300)])
    assert len(syncs) == 5
    # What is logged of another index stays.
    assert 0 < logged(service) < before


def test_a_write_that_is_rolled_back_leaves_nothing_to_mend(make, tmp_path, monkeypatch):
    service, synced = filled(make, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("vectorize_core.local.schema.count_commit", _fail)
        with pytest.raises(StorageError):
            service.upsert("docs", [vector(n, 5) for n in range(5)])
    assert logged(service) == 7
    service.upsert("docs", [vector(3, 6)])
    service.close()
    lose(tmp_path, synced, "older")
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["v3"]) == (vector(3, 6),)
    assert service.get_by_ids("docs", ["v306"]) == (vector(306),)
    assert service.check().findings == ()


def test_a_write_that_failed_keeps_no_later_one_from_files_that_are_gone(
    make, tmp_path, monkeypatch
):
    service, _ = filled(make, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("vectorize_core.local.schema.count_commit", _fail)
        with pytest.raises(StorageError):
            service.upsert("docs", [vector(n, 5) for n in range(300)])
    other = make(tmp_path)
    other.delete_by_ids("docs", ["v1"])
    other.compact()
    service.upsert("docs", [vector(3, 6)])
    assert service.get_by_ids("docs", ["v3"]) == (vector(3, 6),)


def test_a_deleted_index_leaves_nothing_in_the_log(make, tmp_path):
    service, _ = filled(make, tmp_path)
    service.delete_index("docs")
    assert logged(service) == 0


@pytest.mark.parametrize("how", [None, *HOW])
def test_a_read_only_directory_is_read_if_nothing_is_lost(make, tmp_path, monkeypatch, how):
    service, synced = filled(make, tmp_path)
    service.close()
    if how is not None:
        lose(tmp_path, synced, how)
    before = only(tmp_path, "*.f32").read_bytes()
    monkeypatch.setattr(read_only, "is_read_only", lambda path: True)
    service = make(tmp_path)
    if how is None:
        assert service.get_by_ids("docs", ["v306"]) == (vector(306),)
    else:
        with pytest.raises(StorageError, match=r"values of \d vectors.*where it can be written"):
            service.get_by_ids("docs", ["v306"])
    service.close()
    assert only(tmp_path, "*.f32").read_bytes() == before


@pytest.mark.parametrize("size", [0, 100, 299 * DIMENSIONS * 4])
def test_a_file_that_is_cut_off_before_what_is_logged_is_not_made_longer(make, tmp_path, size):
    filled(make, tmp_path)[0].close()
    os.truncate(only(tmp_path, "*.f32"), size)
    with pytest.raises(StorageError, match="cut off"):
        make(tmp_path).get_by_ids("docs", ["v306"])
    assert only(tmp_path, "*.f32").stat().st_size == size


def test_a_repair_takes_from_the_log_what_is_lost_with_a_file(make, tmp_path):
    filled(make, tmp_path)[0].close()
    only(tmp_path, "*.f32").unlink()
    with pytest.raises(StorageError, match="is missing"):
        make(tmp_path).get_by_ids("docs", ["v306"])
    service = make(tmp_path)
    lost = {name for finding in service.check(repair=True).findings for name in finding.lost}
    assert lost == {f"v{n}" for n in range(300)}
    assert service.check().findings == ()
    assert service.get_by_ids("docs", ["v306"]) == (vector(306),)


def test_damage_to_the_log_is_named_and_changes_no_file(make, tmp_path):
    filled(make, tmp_path)[0].close()
    with closing(sqlite3.connect(tmp_path / "vectorize.sqlite3")) as file, file:
        file.execute("UPDATE unsynced_values SET data = zeroblob(256) WHERE ordinal IN (2, 5)")
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["v301"]) == (vector(301),)
    assert [f.problem for f in service.check().findings] == [
        "a row of unsynced_values is damaged",
        "a row of unsynced_values is damaged",
    ]
    assert service.check(repair=True).ok
    assert service.check().findings == ()
    assert logged(service) == 0
    # All of it was synced instead.
    assert service.get_by_ids("docs", ["v301"]) == (vector(301),)


def test_what_is_damaged_in_the_log_and_lost_in_the_file_is_named(make, tmp_path):
    service, synced = filled(make, tmp_path)
    service.close()
    with closing(sqlite3.connect(tmp_path / "vectorize.sqlite3")) as file, file:
        file.execute("UPDATE unsynced_values SET data = zeroblob(256) WHERE ordinal = 2")
    lose(tmp_path, synced, "older")
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["v302"]) == (vector(302),)
    with pytest.raises(StorageError, match="'v301'"):
        service.get_by_ids("docs", ["v301"])
    (lost,) = [finding.lost for finding in service.check(repair=True).findings if finding.lost]
    assert lost == ("v301",)
    assert service.check().findings == ()


class Power:
    """What is synced of the files of a directory, and the loss of the rest."""

    def __init__(self, monkeypatch, directory):
        self.directory = directory
        self.synced = {}
        original = value_store._sync

        def sync(file):
            original(file)
            self.synced[os.fstat(file).st_ino] = os.pread(file, os.fstat(file).st_size, 0)

        monkeypatch.setattr(value_store, "_sync", sync)

    def lose(self, source):
        for path in [*self.directory.glob("*.f32"), *self.directory.glob("*.i8")]:
            now, number = path.read_bytes(), path.stat().st_ino
            # The file of that number may have been another one before.
            old = self.synced.get(number, b"")[: len(now)]
            size = source.choice([len(old), len(now), source.randint(len(old), len(now))])
            kept = [
                source.choice([now, old.ljust(len(now), b"\0")])[start : start + PAGE]
                for start in range(0, len(now), PAGE)
            ]
            left = self.synced[number] = b"".join(kept)[:size]
            with path.open("r+b") as file:
                file.write(left)
                file.truncate(size)


@pytest.mark.parametrize("seed", range(sized(3, 60)))
def test_no_loss_of_power_takes_what_was_acknowledged(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(compaction, "_WASTE", DIMENSIONS * 4 * 200)
    monkeypatch.setattr(unsynced, "_MOST", 40)
    source, power = random.Random(seed), Power(monkeypatch, tmp_path)
    held = {}
    services = [Service(tmp_path), Service(tmp_path)]
    for step in range(sized(80, 150)):
        name = source.choice(["a", "b"])
        service = source.choice(services)
        kind = source.choices(
            ["upsert", "fail", "delete", "compact", "drop", "power"], [9, 1, 2, 1, 0.4, 2]
        )[0]
        if name not in held:
            service.create_index(name, IndexConfig(DIMENSIONS))
            held[name] = {}
        if kind in ("upsert", "fail"):
            count = source.choice([1, 1, 1, 5, 30, 400])
            given = [vector(n, step + 1) for n in source.sample(range(600), count)]
            if kind == "upsert":
                service.upsert(name, given)
                held[name].update({each.id: each for each in given})
            else:
                with monkeypatch.context() as patch, suppress(StorageError):
                    patch.setattr("vectorize_core.local.schema.count_commit", _fail)
                    service.upsert(name, given)
        elif kind == "delete":
            gone = [f"v{n}" for n in source.sample(range(600), 50)]
            service.delete_by_ids(name, gone)
            for each in gone:
                held[name].pop(each, None)
        elif kind == "compact":
            service.compact(name)
        elif kind == "drop":
            service.delete_index(name)
            del held[name]
        else:
            for each in services:
                each.close()
            power.lose(source)
            services = [Service(tmp_path), Service(tmp_path)]
            look(source.choice(services), held)
    look(services[0], held)
    for each in services:
        each.close()


def _fail(_):
    raise OSError(28, "No space left on device")


def look(service, held):
    for name, vectors in held.items():
        assert service.index_info(name).vector_count == len(vectors)
        for each in list(vectors.values())[:: max(1, len(vectors) // 20)]:
            assert service.get_by_ids(name, [each.id]) == (each,)
            assert service.query(name, vector=each.values, top_k=1).matches[0].id == each.id
        with always_by_codes():
            search(service, name, list(vectors.values()))
    # No codes are of other values: those that were lost in part are made again.
    assert service.check().findings == ()


def search(service, name, vectors):
    """By codes, of which some may be lost."""
    rows = np.array([each.values for each in vectors], np.float32).reshape(-1, DIMENSIONS)
    for asked in rows[:: max(1, len(rows) // 4)]:
        slots, _ = scoring.nearest("cosine", rows, asked, 12)
        found = service.query(name, vector=asked, top_k=12).matches
        assert {match.id for match in found} == {vectors[slot].id for slot in slots.tolist()}
    if len(vectors) > 12:
        assert service._snapshots._latest[name].codes._coded is not None


def test_what_another_process_has_written_again_meanwhile_is_not_told_twice(
    make, tmp_path, monkeypatch, caplog
):
    service, synced = filled(make, tmp_path)
    service.close()
    lose(tmp_path, synced, "older")
    original = unsynced.schema.transaction

    def after_another(connection):
        monkeypatch.setattr(unsynced.schema, "transaction", original)
        assert make(tmp_path).get_by_ids("docs", ["v306"]) == (vector(306),)
        return original(connection)

    monkeypatch.setattr(unsynced.schema, "transaction", after_another)
    assert make(tmp_path).get_by_ids("docs", ["v306"]) == (vector(306),)
    assert [r.args[1] for r in caplog.records if "loss of power" in r.message] == [7]


def test_a_file_that_goes_while_it_is_looked_at_holds_nothing(tmp_path):
    class Going(type(tmp_path)):
        def exists(self, **_):
            return bool(found := super().exists()) and not self.unlink() and found

    store = value_store.FileValueStore(Going(tmp_path / "vectors-a-1-0.f32"), DIMENSIONS)
    store.path.write_bytes(bytes(DIMENSIONS * 4))
    assert store.readable() == 1
    store.path.unlink()
    assert store.readable() == 0
