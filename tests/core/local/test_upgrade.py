"""A directory of format 1, where the values lay in SQLite, goes on as one of today."""

import sqlite3
import threading

import numpy as np
import pytest

from vectorize_core.local import schema, storage
from vectorize_core.models import MetadataIndex, Vector

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


def values(n, dimensions=32):
    return np.random.default_rng(n).standard_normal(dimensions).astype(np.float32)


def make_old(directory, count=30):
    file = sqlite3.connect(directory / storage.FILE_NAME)
    file.execute("PRAGMA journal_mode = WAL")
    file.executescript(FORMAT_1)
    # Slots with gaps, the vectors of two indexes mixed; every other one before its metadata index.
    file.executemany(
        "INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                3 * n + 1,
                2 + n % 2,
                f"v{n}",
                2 + n % 4,
                1400.0 + 50 * (n % 4),
                f"space{n % 3}" if n % 3 else None,
                f'{{"n":{n}}}' if n % 5 else None,
                values(n, 32 + 32 * (n % 2)).tobytes(),
            )
            for n in range(count)
        ],
    )
    file.execute(
        "INSERT INTO mutation_rows VALUES (7, 0, 'late', NULL, NULL, ?)", (values(99).tobytes(),)
    )
    file.execute("PRAGMA user_version = 1")
    file.commit()
    file.close()


def test_nothing_is_lost_or_changed(make, tmp_path, clock):
    make_old(tmp_path)
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
    assert make(tmp_path).get_by_ids("docs", ["v0"])[0] == Vector("v0", values(0))


def test_an_upgrade_that_is_interrupted_is_made_anew(make, tmp_path, monkeypatch):
    make_old(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "checksum", lambda data: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            make(tmp_path).list_indexes()
    service = make(tmp_path)
    assert len(service.list_vectors("docs").ids) == 15
    assert service.check().findings == ()


def test_an_upgraded_directory_is_that_of_a_new_one(make, tmp_path):
    """But for a column that is obsolete."""
    (tmp_path / "old").mkdir()
    make_old(tmp_path / "old")
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
    assert shapes[0] - shapes[1] == {("indexes", "version")}
    assert shapes[1] <= shapes[0]


def test_many_may_open_an_old_directory_at_once(make, tmp_path):
    make_old(tmp_path)
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
