"""Small writes leave codes out, and who needs them makes them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.local.codes.coded_files import (
    COUNT,
    METRICS,
    add,
    also_cut,
    bytes_of,
    filled,
    in_use,
    look,
    rows_in,
    rows_of,
    said,
)
from vectorize_core.local import codes, unsynced
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.models import Vector
from vectorize_core.sqlite import read_only


def small(service, start, end):
    """Small writes, of which only the log is synced."""
    for n in range(start, end):
        for name in METRICS:
            service.upsert(name, [Vector(f"v{n}", rows_of(name, n + 1)[n])])


def without_codes(path, count):
    """The slots of the first index whose codes were not made."""
    return np.flatnonzero(codes.are_blank(rows_in(path)[:count])).tolist()


@also_cut
def test_codes_of_small_writes_are_made_by_the_next_search(make, tmp_path, caplog):
    service, other = filled(make, tmp_path), make(tmp_path)
    look(service)
    small(service, COUNT, COUNT + 7)
    assert without_codes(tmp_path, COUNT + 7) == list(range(COUNT, COUNT + 7))
    look(other, COUNT + 7)
    assert without_codes(tmp_path, COUNT + 7) == []
    look(service, COUNT + 7)
    assert in_use(service) == in_use(other) == COUNT + 7
    small(other, COUNT + 7, COUNT + 8)
    look(service, COUNT + 8)
    look(other, COUNT + 8)
    assert said(caplog) == []
    assert service.check().findings == ()


@pytest.mark.parametrize("emptied_by", ["a large write", "a full log"])
def test_codes_of_small_writes_are_made_when_their_log_is_emptied(
    make, tmp_path, monkeypatch, emptied_by
):
    service = filled(make, tmp_path)
    small(service, COUNT, COUNT + 7)
    if emptied_by == "a full log":
        monkeypatch.setattr(unsynced, "_MOST", 14)
        small(service, COUNT + 7, COUNT + 8)
    else:
        monkeypatch.setattr(unsynced, "_SMALL", 0)
        add(service, COUNT + 7, COUNT + 8)
    assert without_codes(tmp_path, COUNT + 8) == []
    look(service, COUNT + 8)
    assert service.check().findings == ()


def test_codes_that_are_deleted_when_the_log_is_emptied_keep_no_write(make, tmp_path, monkeypatch):
    service = filled(make, tmp_path)
    small(service, COUNT, COUNT + 7)
    read = FileValueStore.read

    def deleted(store, slots):
        for path in tmp_path.glob("*.u8*"):
            path.unlink()
        return read(store, slots)

    monkeypatch.setattr(FileValueStore, "read", deleted)
    monkeypatch.setattr(unsynced, "_SMALL", 0)
    add(service, COUNT + 7, COUNT + 8)
    look(service, COUNT + 8)


def test_vectors_of_small_writes_are_found_without_codes_in_a_read_only_directory(
    make, tmp_path, caplog, read_only_directory
):
    service = filled(make, tmp_path)
    small(service, COUNT, COUNT + 7)
    service.close()
    before = bytes_of(tmp_path)
    read_only_directory()
    service = make(tmp_path)
    look(service, COUNT + 7)
    service._scrub.run()
    look(service, COUNT + 7)
    assert (in_use(service), in_use(service, "far")) == (COUNT + 7, COUNT + 7)
    assert said(caplog) == []
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("writes", [True, False], ids=["writing", "read-only"])
def test_codes_that_another_process_makes_meanwhile_are_not_damaged(
    make, tmp_path, caplog, monkeypatch, writes
):
    first = filled(make, tmp_path)
    look(first)
    add(first, COUNT, COUNT + 1)
    with monkeypatch.context() as patch:
        if not writes:
            patch.setattr(read_only, "is_read_only", lambda path: True)
        second = make(tmp_path)
        second.list_indexes()
    intact = codes.intact

    def intact_before(*args):
        """While another process makes the codes of a small write."""
        found = intact(*args)
        if not found.all():
            monkeypatch.setattr(codes, "intact", intact)
            look(first, COUNT + 1)
        return found

    monkeypatch.setattr(codes, "intact", intact_before)
    caplog.clear()
    look(second, COUNT + 1)
    assert codes.intact is intact
    assert caplog.messages == []
