"""Codes that are missing or cut off: they are made again, and nobody is told of damage."""

from __future__ import annotations

import os
import sys
from functools import partial

import pytest

from tests.core.local.coded import cut_rows
from tests.core.local.codes.coded_files import (
    COUNT,
    CUT,
    add,
    all_accounted_for,
    also_cut,
    bytes_of,
    changed,
    cut_off,
    files_of,
    filled,
    half_written,
    in_use,
    look,
    rows_in,
    said,
    widths,
    zeroed_begin,
    zeroed_rest,
    zeroed_tail,
)
from vectorize_core.local.index_codes import IndexCodes
from vectorize_core.local.value_store import FileValueStore


def one_of_two(number, kind):
    return lambda path: CUT[kind](files_of(path)[number], widths()[number])


GONE = {
    **{kind: partial(cut_off, kind=kind) for kind in CUT},
    "zeroed by a loss of power": partial(changed, change=zeroed_tail),
    "written to the middle of a row": partial(changed, change=half_written),
}
ONE_GONE = {
    "its begin zeroed": partial(changed, change=zeroed_begin),
    "its rest zeroed": partial(changed, change=zeroed_rest),
    **{f"{n} {kind}": one_of_two(n, kind) for n in (0, 1) for kind in ("missing", "cut off")},
}


def check_made_again(make, path, caplog, lose):
    filled(make, path).close()
    sound = rows_in(path)[:COUNT]
    lose(path)
    service = make(path)
    assert service.check().findings == ()
    look(service)
    assert (in_use(service), said(caplog)) == (COUNT, [])
    assert (rows_in(path)[:COUNT] == sound).all()
    # Writes go on behind them.
    add(service, COUNT, COUNT + 30)
    look(service, COUNT + 30)
    assert in_use(service) == COUNT + 30


@also_cut
@pytest.mark.parametrize("kind", GONE)
def test_codes_that_are_gone_are_made_again(make, tmp_path, caplog, kind):
    check_made_again(make, tmp_path, caplog, GONE[kind])


@pytest.mark.parametrize("few_are_many", ["cut"], indirect=True)
@pytest.mark.parametrize("kind", ONE_GONE)
def test_one_of_two_files_may_be_gone(make, tmp_path, caplog, kind):
    check_made_again(make, tmp_path, caplog, ONE_GONE[kind])


@pytest.mark.parametrize("few_are_many", ["whole"], indirect=True)
def test_codes_of_an_older_version_are_made_again_and_deleted(make, tmp_path, caplog):
    filled(make, tmp_path).close()
    assert len(list(tmp_path.glob("*.u8"))) == 2
    with cut_rows():
        service = make(tmp_path)
        assert service.check().findings == ()
        # It is written before it is read.
        add(service, COUNT, COUNT + 30)
        look(service, COUNT + 30)
        assert (in_use(service), said(caplog)) == (COUNT + 30, [])
        assert list(tmp_path.glob("*.u8")) == []
        assert all_accounted_for(tmp_path)
        service.delete_index("far")
        assert len(list(tmp_path.glob("*.u8*"))) == 2


@also_cut
@pytest.mark.skipif(sys.platform == "win32", reason="deletes no file that is mapped")
def test_codes_that_are_deleted_while_the_rest_is_made_are_all_made(make, tmp_path, monkeypatch):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    cut_off(tmp_path, "cut off")
    restore = FileValueStore.restore

    def deleted(store, slot, data):
        monkeypatch.undo()
        cut_off(tmp_path, "missing")
        restore(store, slot, data)

    monkeypatch.setattr(FileValueStore, "restore", deleted)
    service = make(tmp_path)
    look(service)
    assert in_use(service) == COUNT
    assert (rows_in(tmp_path)[:COUNT] == sound).all()


@also_cut
def test_codes_that_another_makes_are_looked_at_where_none_can_be_written(
    make, tmp_path, monkeypatch, read_only_directory
):
    filled(make, tmp_path).close()
    whole = bytes_of(tmp_path)
    for path, width in zip(files_of(tmp_path), widths(), strict=True):
        # So few rows are left that codes are of use without theirs.
        os.truncate(path, 85 * width)
    read_only_directory()
    compare = IndexCodes._compare

    def replaced(*given):
        lost = compare(*given)
        monkeypatch.setattr(IndexCodes, "_compare", compare)
        for path, data, width in zip(files_of(tmp_path), whole, widths(), strict=True):
            path.unlink()
            path.write_bytes(bytes(30 * width) + data[30 * width :])
        return lost

    monkeypatch.setattr(IndexCodes, "_compare", replaced)
    look(make(tmp_path))
