"""Codes of writes that were not committed are not those of later ones."""

from __future__ import annotations

import os

import pytest

from tests.core.local.codes.coded_files import (
    COUNT,
    Without,
    add,
    bytes_of,
    files_of,
    filled,
    in_use,
    look,
    rows_of,
    widths,
)
from vectorize_core.local import StorageError, code_products, unsynced, value_store
from vectorize_core.models import Vector


@pytest.fixture(autouse=True, params=[0, unsynced._SMALL], ids=["large", "small"])
def next_write(request, monkeypatch):
    monkeypatch.setattr(unsynced, "_SMALL", request.param)


def rolled_back(service, monkeypatch, rows):
    """A write that leaves its rows in the files, and is not committed."""

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        # Small ones leave their codes out.
        patch.setattr(unsynced, "_SMALL", 0)
        patch.setattr("vectorize_core.local.schema.count_commit", fail)
        with pytest.raises(StorageError):
            service.upsert("docs", [Vector(f"w{n}", row) for n, row in enumerate(rows)])


def test_codes_of_a_write_that_was_not_committed_are_not_those_of_the_next_one(
    make, tmp_path, monkeypatch
):
    service = filled(make, tmp_path, 50)
    rolled_back(service, monkeypatch, -rows_of("docs")[50:])
    service.close()
    with monkeypatch.context() as patch:
        # It makes no codes, and leaves none.
        Without(patch, "missing")
        service = make(tmp_path)
        add(service, 50, COUNT)
        service.close()
    code_products.products.cache_clear()
    service = make(tmp_path)
    look(service)
    assert in_use(service) == COUNT
    assert service.check().findings == ()


@pytest.mark.parametrize(
    ("kept", "then"), [(0, "nothing"), (30, "nothing"), (0, "one without simsimd")]
)
def test_codes_of_a_write_that_was_not_committed_do_not_come_back(
    make, tmp_path, monkeypatch, kept, then
):
    """Not even if the disk kept only its last rows, and then the next write is lost."""
    synced = {}
    original = value_store._sync

    def sync(file):
        original(file)
        synced[os.fstat(file).st_ino] = os.pread(file, os.fstat(file).st_size, 0)

    service = filled(make, tmp_path, 50)
    rolled_back(service, monkeypatch, -rows_of("docs")[50:])
    service.close()
    for path, width in zip(files_of(tmp_path), widths(), strict=True):
        with path.open("r+b") as file:
            file.seek(50 * width)
            file.write(bytes(kept * width))
    back = bytes_of(tmp_path)
    monkeypatch.setattr(value_store, "_sync", sync)
    if then != "nothing":
        with monkeypatch.context() as patch:
            Without(patch, "missing")
            service = make(tmp_path)
            rolled_back(service, patch, rows_of("docs")[:COUNT])
            service.close()
        code_products.products.cache_clear()
    service = make(tmp_path)
    add(service, 50, COUNT)
    service.close()
    for path, data in zip(files_of(tmp_path), back, strict=True):
        path.write_bytes(synced.get(path.stat().st_ino, data))
    service = make(tmp_path)
    assert service.check().findings == ()
    look(service)


def test_codes_that_are_deleted_before_they_are_synced_keep_no_write(make, tmp_path, monkeypatch):
    service = filled(make, tmp_path, 50)
    rolled_back(service, monkeypatch, -rows_of("docs")[50:])
    sync = value_store.FileValueStore.sync

    def deleted(store):
        for path in tmp_path.glob("*.u8*"):
            path.unlink()
        sync(store)

    monkeypatch.setattr(value_store.FileValueStore, "sync", deleted)
    add(service, 50, COUNT)
    look(service)
