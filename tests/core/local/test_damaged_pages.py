"""A damaged page of SQLite's file takes what is on it, and no more: the rest is read and saved."""

import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from vectorize_core.local import Service, StorageError
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS, PAGE = 32, 4096


def vector(n):
    values = np.random.default_rng(n).standard_normal(DIMENSIONS)
    return Vector(f"v{n}", values, None, {"text": "x" * 200})


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A large write, and small ones that are in the log."""
    path = tmp_path_factory.mktemp("closed")
    service = Service(path)
    service.create_index("docs", IndexConfig(DIMENSIONS))
    service.upsert("docs", [vector(n) for n in range(300)])
    for n in range(300, 340):
        service.upsert("docs", [vector(n)])
    service.close()
    return path


def damage(path, table, *, last):
    """Overwrite a page of a table: its root, or the one that was written last."""
    file = path / "vectorize.sqlite3"
    with closing(sqlite3.connect(file)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
        page = root
        if last:
            with file.open("rb") as pages:
                pages.seek((root - 1) * PAGE + 8)
                page = int.from_bytes(pages.read(4))  # the right-most child
    with file.open("r+b") as pages:
        pages.seek((page - 1) * PAGE)
        pages.write(b"\xa5" * PAGE)


@pytest.mark.parametrize(
    ("table", "last", "lost"),
    [
        ("unsynced_values", False, 0),
        ("unsynced_values", True, 0),
        ("vectors", True, 16),
    ],
)
def test_what_the_log_cannot_be_compared_with_keeps_nothing_from_being_read_and_saved(
    make, closed, tmp_path, table, last, lost
):
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    damage(tmp_path, table, last=last)
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["v5", "v310"]) == (vector(5), vector(310))
    with pytest.raises(StorageError, match="check --path"):
        service.upsert("docs", [vector(500)])
    service.close()
    service = make(tmp_path)
    assert not service.check().ok
    report = service.check(repair=True)
    gone = {name for finding in report.findings for name in finding.lost}
    assert len(gone) <= lost
    assert service.check().findings == ()
    for n in range(340):
        assert service.get_by_ids("docs", [f"v{n}"]) == (() if f"v{n}" in gone else (vector(n),))
    service.upsert("docs", [vector(500)])


def test_the_page_with_the_name_of_the_database_is_made_anew_by_one_repair(make, closed, tmp_path):
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    damage(tmp_path, "storage", last=False)
    service = make(tmp_path)
    assert service.check(repair=True).ok
    assert service.check().findings == ()
    assert service.get_by_ids("docs", ["v5", "v310"]) == (vector(5), vector(310))


@pytest.mark.parametrize("left", [0.6, 0.8, 0.95])
def test_a_database_that_is_cut_off_is_refused_and_what_is_left_is_saved(
    make, closed, tmp_path, left
):
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "vectorize.sqlite3"
    os.truncate(file, int(file.stat().st_size * left))
    service = make(tmp_path)
    with pytest.raises(StorageError, match="check --path"):
        service.get_by_ids("docs", ["v5"])
    assert not service.check().ok
    report = service.check(repair=True)
    assert report.ok
    assert any("cannot be read" in finding.problem for finding in report.findings)
    assert service.check().findings == ()
    ids = service.list_vectors("docs", count=1000).ids
    # The more of the file is left, the more is.
    assert 340 * (left - 0.5) <= len(ids) < 340
    for name in ids:
        assert service.get_by_ids("docs", [name]) == (vector(int(name[1:])),)
    service.upsert("docs", [vector(500)])


def overwrite(path, wanted, other, count=-1):
    """Write other bytes in the place of those of SQLite's file."""
    file = path / "vectorize.sqlite3"
    before = file.read_bytes()
    assert wanted in before
    file.write_bytes(before.replace(wanted, other, count))


def test_texts_that_are_none_any_more_are_saved_from_a_damaged_file(make, closed, tmp_path):
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    damage(tmp_path, "vectors", last=True)
    # In the table and in SQLite's index of ids.
    overwrite(tmp_path, b"v123", b"\xf6123")
    report = make(tmp_path).check(repair=True)
    assert report.ok
    service = make(tmp_path)
    assert service.check().findings == ()
    assert service.get_by_ids("docs", ["v123"]) == (vector(123),)
    lost = {name for finding in report.findings for name in finding.lost}
    assert service.index_info("docs").vector_count == 340 - len(lost)


@pytest.mark.parametrize("name", [b"tablevectors", b"tableindexes", b"CREATE TABLE vectors"])
def test_a_damage_that_sqlite_names_in_bytes_that_are_no_text_is_an_error_in_words(
    make, closed, tmp_path, name
):
    shutil.copytree(closed, tmp_path, dirs_exist_ok=True)
    overwrite(tmp_path, name, name[:7] + b"\xce" + name[8:])
    service = make(tmp_path)
    for call in (service.list_indexes, lambda: service.upsert("docs", [vector(1)])):
        with pytest.raises(StorageError, match="is damaged"):
            call()
    assert not service.check().ok
    assert not service.check(repair=True).ok
