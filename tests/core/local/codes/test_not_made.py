"""In a read-only directory, on a full disk and without simsimd searches read the values."""

from __future__ import annotations

import logging

import pytest

from tests.core.local.codes.coded_files import (
    CHANGED,
    COUNT,
    CUT,
    METRICS,
    Without,
    add,
    also_cut,
    bytes_of,
    changed,
    cut_off,
    filled,
    full_disk,
    in_use,
    look,
    of_other_values,
    rows_of,
    said,
)
from vectorize_core.local import code_products, index_codes
from vectorize_core.local.value_store import FileValueStore


@also_cut
@pytest.mark.parametrize("kind", ["missing", "cut off", "bit of codes"])
def test_nothing_is_written_to_a_read_only_directory(
    make, tmp_path, caplog, read_only_directory, kind
):
    filled(make, tmp_path).close()
    cut_off(tmp_path, kind) if kind in CUT else changed(tmp_path, CHANGED[kind])
    before = {p.name: p.read_bytes() for p in tmp_path.glob("vectors-*")}
    read_only_directory()
    service = make(tmp_path)
    look(service)
    assert in_use(service) == 0
    assert in_use(service, "far") == COUNT
    assert {p.name: p.read_bytes() for p in tmp_path.glob("vectors-*")} == before
    assert len([m for m in said(caplog, logging.INFO) if "read-only" in m]) == 1
    assert not [m for m in caplog.messages if "are made again" in m]


def test_codes_that_cannot_be_mended_are_not_used(make, tmp_path, read_only_directory):
    filled(make, tmp_path).close()
    of_other_values(tmp_path, 7)
    before = bytes_of(tmp_path)
    read_only_directory()
    service = make(tmp_path)
    for name in METRICS:
        service.query(name, vector=rows_of(name)[7], top_k=1)
    service._scrub.run()
    look(service)
    assert bytes_of(tmp_path) == before
    assert (in_use(service), in_use(service, "far")) == (0, COUNT)


def test_a_full_disk_leaves_searches_to_the_values_until_there_is_room(
    make, tmp_path, caplog, monkeypatch
):
    filled(make, tmp_path).close()
    cut_off(tmp_path, "missing")

    service = make(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FileValueStore, "restore", full_disk)
        look(service)
        assert in_use(service) == 0
        assert len([m for m in said(caplog, logging.INFO) if "No space" in m]) == 1
    look(service)
    assert in_use(service) == 0
    monkeypatch.setattr(service._snapshots._latest["docs"].codes, "_useless_until", 0.0)
    look(service)
    assert in_use(service) == COUNT


@pytest.mark.parametrize("how", ["missing", "failing", "wrong", "empty"])
def test_without_simsimd_searches_read_the_values(make, tmp_path, caplog, monkeypatch, how):
    Without(monkeypatch, how)
    service = filled(make, tmp_path)
    look(service)
    assert in_use(service) == 0
    service.delete_by_ids("docs", ["v3"])
    service.compact()
    assert service.check().findings == ()
    assert service.check(repair=True).findings == ()
    assert list(tmp_path.glob("*.u8*")) == []
    levels = (logging.INFO, logging.WARNING)
    lines = [len([m for m in said(caplog, level) if "simsimd" in m]) for level in levels]
    assert lines == ([1, 0] if how == "missing" else [0, 1])


@pytest.mark.parametrize("then", ["search", "write"])
def test_codes_are_made_once_simsimd_is_there(make, tmp_path, caplog, monkeypatch, then):
    monkeypatch.setattr(index_codes, "_PROGRESS", -1.0)
    with monkeypatch.context() as patch:
        Without(patch, "missing")
        filled(make, tmp_path).close()
    code_products.products.cache_clear()
    service, count = make(tmp_path), COUNT
    if then == "write":
        count += 5
        add(service, COUNT, count)
    look(service, count)
    assert in_use(service) == count
    assert said(caplog) == []
    progress = [m for m in said(caplog, logging.INFO) if f"of {count} made in" in m]
    assert f"{count} of {count}" in progress[-1]
    look(make(tmp_path), count)
