"""A directory of an older format goes on as one of today.

In format 1 the values lay in SQLite. In format 2 files did not name their database. In format 3 all
writes were synced to their files.
"""

import sqlite3
import threading
import zlib
from contextlib import closing

import numpy as np
import pytest

from vectorize_core.local import schema, storage, value_stores
from vectorize_core.models import IndexConfig, MetadataIndex, Vector

FORMAT_1 = """
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, dimensions INTEGER NOT NULL,
    metric TEXT NOT NULL, description TEXT NOT NULL, created REAL NOT NULL,
    version INTEGER NOT NULL DEFAULT 0, submitted REAL NOT NULL, last_mutation TEXT,
    last_submitted REAL, last_processed REAL
);
CREATE TABLE deleted_indexes (name TEXT PRIMARY KEY);
CREATE TABLE mutations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE, mutation_id TEXT NOT NULL,
    kind TEXT NOT NULL, submitted REAL NOT NULL, processed REAL NOT NULL, visible REAL NOT NULL
);
CREATE INDEX mutations_of_index ON mutations (index_id, seq);
CREATE TABLE mutation_rows (
    seq INTEGER NOT NULL REFERENCES mutations ON DELETE CASCADE, position INTEGER NOT NULL,
    id TEXT NOT NULL, namespace TEXT, metadata TEXT, data BLOB, PRIMARY KEY (seq, position)
);
CREATE TABLE metadata_indexes (
    seq INTEGER PRIMARY KEY, index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    property_name TEXT NOT NULL, index_type TEXT NOT NULL, live REAL NOT NULL, gone REAL
);
CREATE INDEX metadata_indexes_of_index ON metadata_indexes (index_id, seq);
CREATE TABLE vectors (
    slot INTEGER PRIMARY KEY, index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    id TEXT NOT NULL, seq INTEGER NOT NULL, processed REAL NOT NULL, namespace TEXT, metadata TEXT,
    data BLOB NOT NULL, UNIQUE (index_id, id)
);
CREATE INDEX vectors_of_index ON vectors (index_id, slot);
INSERT INTO deleted_indexes VALUES ('gone');
INSERT INTO indexes VALUES
    (2, 'docs', 32, 'cosine', 'mine', 1000.5, 4, 2000.0, 'm-4', 1999.0, 1999.5),
    (3, 'more', 64, 'euclidean', '', 1000.5, 1, 2000.0, 'm-9', 1999.0, 1999.5),
    (4, 'none', 64, 'euclidean', '', 1000.5, 0, 1000.5, NULL, NULL, NULL);
INSERT INTO metadata_indexes VALUES (3, 2, 'n', 'number', 1500.0, NULL);
INSERT INTO mutations VALUES (7, 2, 'm-7', 'upsert', 2000.0, 2000.0, 1900000000.0);
"""


FORMAT_2 = (
    FORMAT_1[: FORMAT_1.index("CREATE TABLE vectors")]
    .replace("version INTEGER NOT NULL DEFAULT 0, ", "")
    .replace(
        "last_processed REAL",
        "last_processed REAL, generation INTEGER NOT NULL DEFAULT 0, "
        "slots INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, "
        "inserted INTEGER NOT NULL DEFAULT 0",
    )
    + """
CREATE TABLE vectors (
    key INTEGER PRIMARY KEY, index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE,
    id TEXT NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL, processed REAL NOT NULL,
    namespace TEXT, metadata TEXT, checksum INTEGER NOT NULL, UNIQUE (index_id, id)
);
CREATE TABLE dead_slots (
    index_id INTEGER NOT NULL REFERENCES indexes ON DELETE CASCADE, ordinal INTEGER NOT NULL,
    slot INTEGER NOT NULL, PRIMARY KEY (index_id, ordinal)
) WITHOUT ROWID;
INSERT INTO deleted_indexes VALUES ('gone');
INSERT INTO indexes VALUES
    (2, 'docs', 32, 'cosine', 'mine', 1000.5, 2000.0, 'm-4', 1999.0, 1999.5, 3, 15, 0, 15),
    (3, 'more', 64, 'euclidean', '', 1000.5, 2000.0, 'm-9', 1999.0, 1999.5, 0, 15, 0, 15),
    (4, 'none', 64, 'euclidean', '', 1000.5, 1000.5, NULL, NULL, NULL, 0, 0, 0, 0);
INSERT INTO metadata_indexes VALUES (3, 2, 'n', 'number', 1500.0, NULL);
INSERT INTO mutations VALUES (7, 2, 'm-7', 'upsert', 2000.0, 2000.0, 1900000000.0);
"""
)


def values(n, dimensions=32):
    return np.random.default_rng(n).standard_normal(dimensions).astype(np.float32)


def make_old(directory, old=1, count=30):
    """Slots with gaps (in format 1), the vectors of two indexes mixed; every other one before its
    metadata index."""
    file = sqlite3.connect(directory / storage.FILE_NAME)
    file.execute("PRAGMA journal_mode = WAL")
    file.executescript(FORMAT_1 if old == 1 else FORMAT_2)
    for n in range(count):
        written = values(n, 32 + 32 * (n % 2)).tobytes()
        index, name, seq, processed = 2 + n % 2, f"v{n}", 2 + n % 4, 1400.0 + 50 * (n % 4)
        space = f"space{n % 3}" if n % 3 else None
        metadata = f'{{"n":{n}}}' if n % 5 else None
        if old == 1:
            row = (3 * n + 1, index, name, seq, processed, space, metadata, written)
        else:
            slot = n // 2
            with (directory / f"vectors-{index}-{3 if index == 2 else 0}.f32").open("ab") as data:
                data.write(written)
            row = (
                index << 40 | slot,
                *(index, name, slot, seq, processed, space, metadata),
                zlib.crc32(written),
            )
        file.execute(f"INSERT INTO vectors VALUES ({', '.join('?' * len(row))})", row)
    file.execute(
        "INSERT INTO mutation_rows VALUES (7, 0, 'late', NULL, NULL, ?)", (values(99).tobytes(),)
    )
    file.execute(f"PRAGMA user_version = {old}")
    file.commit()
    file.close()


@pytest.mark.parametrize("old", [1, 2])
def test_nothing_is_lost_or_changed(make, tmp_path, clock, old):
    make_old(tmp_path, old)
    service = make(tmp_path)
    assert [index.name for index in service.list_indexes()] == ["docs", "more", "none"]
    assert service.get_index("docs").description == "mine"
    assert service.list_vectors("docs").ids == tuple(f"v{n}" for n in range(0, 30, 2))
    assert service.list_vectors("more").ids == tuple(f"v{n}" for n in range(1, 30, 2))
    assert service.list_vectors("none").ids == ()
    for n in range(30):
        name, namespace = "more" if n % 2 else "docs", f"space{n % 3}" if n % 3 else None
        metadata = {"n": n} if n % 5 else None
        expected = Vector(f"v{n}", values(n, 32 + 32 * (n % 2)), namespace, metadata)
        assert service.get_by_ids(name, [f"v{n}"]) == (expected,)
    assert service.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
    found = service.query("docs", vector=values(8), top_k=50, filter={"n": {"$gte": 0}})
    assert found.matches[0].id != "v8"
    assert {m.id for m in found.matches} == {f"v{n}" for n in range(2, 30, 4) if n % 5}
    assert service.query("docs", vector=values(8)).matches[0].id == "v8"
    info = service.index_info("docs")
    assert (info.vector_count, info.processed_up_to_mutation) == (16, "m-7")
    with pytest.raises(Exception, match=r"vectorize\.index\.deleted"):
        service.get_index("gone")
    clock.now += 200_000_000.0
    assert service.get_by_ids("docs", ["late"]) == (Vector("late", values(99)),)
    assert service.check().findings == ()
    service.close()
    again = make(tmp_path)
    assert again.get_by_ids("docs", ["v0"])[0] == Vector("v0", values(0))
    token = again._database.value_stores.token
    names = {path.stem for path in tmp_path.glob("vectors-*")}
    assert names == {f"vectors-{token}-2-{0 if old == 1 else 3}", f"vectors-{token}-3-0"}


@pytest.mark.parametrize("old", [1, 2])
@pytest.mark.parametrize("renamed", [0, 1])
def test_an_upgrade_that_is_interrupted_is_made_anew(make, tmp_path, monkeypatch, old, renamed):
    make_old(tmp_path, old)
    made = []
    stop_at = "store" if old == 1 else "adopt"
    original = getattr(value_stores.ValueStores, stop_at)

    def stop(stores, *arguments):
        if len(made) == renamed:
            raise ZeroDivisionError
        made.append(arguments)
        return original(stores, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(value_stores.ValueStores, stop_at, stop)
        with pytest.raises(ZeroDivisionError):
            make(tmp_path).list_indexes()
    service = make(tmp_path)
    assert len(service.list_vectors("docs").ids) == 15
    assert service.check().findings == ()


@pytest.mark.parametrize("old", [1, 2])
def test_an_upgraded_directory_is_that_of_a_new_one(make, tmp_path, old):
    """But for a column that is obsolete."""
    (tmp_path / "old").mkdir()
    make_old(tmp_path / "old", old)
    shapes = []
    for name in ("old", "new"):
        service = make(tmp_path / name)
        service.list_indexes()
        with service._database.reading() as tx:
            assert tx.execute("PRAGMA user_version").fetchone() == (schema.FORMAT,)
            tables = tx.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
            shapes.append(
                {
                    (table, column)
                    for (table,) in tables
                    for _, column, *_ in tx.execute(f"PRAGMA table_info({table})")
                }
            )
    assert shapes[0] - shapes[1] == ({("indexes", "version")} if old == 1 else set())
    assert shapes[1] <= shapes[0]


@pytest.mark.parametrize("old", [1, 2])
def test_many_may_open_an_old_directory_at_once(make, tmp_path, old):
    make_old(tmp_path, old)
    failures, barrier = [], threading.Barrier(4)

    def open_it(service):
        barrier.wait()
        try:
            assert len(service.list_vectors("docs").ids) == 15
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it, args=(make(tmp_path),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert make(tmp_path).check().findings == ()


def test_a_database_keeps_its_token_and_no_two_have_the_same(make, tmp_path):
    tokens = []
    for name in ("a", "b", "a"):
        service = make(tmp_path / name)
        with service._database.writing() as tx:
            tokens.append(schema.token(tx))
        service.close()
    assert tokens[0] == tokens[2] != tokens[1]


def test_a_directory_of_format_3_gets_a_log_of_values_that_are_not_synced(make, tmp_path):
    service = make(tmp_path)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector("a", values(1))])
    service.close()
    with closing(sqlite3.connect(tmp_path / storage.FILE_NAME)) as file:
        file.execute("DROP TABLE unsynced_values")
        file.execute("PRAGMA user_version = 3")
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["a"]) == (Vector("a", values(1)),)
    service.upsert("docs", [Vector("b", values(2))])
    with service._database.reading() as tx:
        assert tx.execute("SELECT count(*) FROM unsynced_values").fetchone() == (1,)
    assert service.check().findings == ()
