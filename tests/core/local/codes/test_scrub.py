"""What the scrub makes of codes that are wrong, gone or used by nobody."""

from __future__ import annotations

import logging
import sys

import pytest

from tests.core.local.codes.coded_files import (
    COUNT,
    CUT,
    METRICS,
    add,
    all_accounted_for,
    also_cut,
    changed,
    cut_off,
    files_of,
    filled,
    full_disk,
    in_use,
    look,
    of_other_values,
    rows_in,
    rows_of,
    said,
    widths,
    zeroed_tail,
)
from vectorize_core.local import scrubbing
from vectorize_core.local.value_store import FileValueStore


@pytest.mark.parametrize("how", ["other values", "bit", "zeroes"])
def test_the_scrub_makes_codes_again_that_searches_use(make, tmp_path, caplog, how):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    if how == "other values":
        of_other_values(tmp_path, 7)
    service = make(tmp_path)
    if how != "other values":
        look(service)
        for path, width in zip(files_of(tmp_path), widths(), strict=True):
            with path.open("r+b") as file:
                file.seek(7 * width)
                file.write(bytes(width) if how == "zeroes" else b"\x01\x02\x03")
    else:
        for name in METRICS:
            service.query(name, vector=rows_of(name)[7], top_k=1)
    service._scrub.run()
    assert len(said(caplog)) == 1
    assert "'docs'" in said(caplog)[0]
    look(service)
    assert in_use(service) == COUNT
    assert (rows_in(tmp_path)[:COUNT] == sound).all()
    service._scrub.run()
    assert len(said(caplog)) == 1


@also_cut
@pytest.mark.parametrize("meanwhile", ["nothing", "searches", "writes", "a full disk"])
@pytest.mark.parametrize("how", ["other values", "memory"])
def test_one_pass_of_the_scrub_makes_all_wrong_codes_again(
    make, tmp_path, caplog, monkeypatch, how, meanwhile
):
    """And what it has found makes no answer wrong any more, from the first one on."""
    monkeypatch.setattr(scrubbing, "_SLICE_ROWS", 8)
    filled(make, tmp_path).close()
    sound, count = rows_in(tmp_path)[:COUNT], COUNT
    if how == "other values":
        for slot in range(10, COUNT, 3):
            of_other_values(tmp_path, slot)
    service = make(tmp_path)
    for name in METRICS:
        service.query(name, vector=rows_of(name)[7], top_k=1)
    if how == "memory":
        known = service._snapshots._latest["docs"]
        known.codes._coded.numbers.factors[10:COUNT:3] *= -1
        known.norms._lengths[10:COUNT:3] *= 9
    restored = FileValueStore.restore
    place = service._scrub.step(None)
    while place is not None:
        place = service._scrub.step(place)
        if meanwhile == "searches" and said(caplog):
            look(service)
        if meanwhile == "writes" and said(caplog) and count < COUNT + 5:
            add(service, count, count + 1)
            count += 1
        if meanwhile == "a full disk" and said(caplog):
            monkeypatch.setattr(FileValueStore, "restore", full_disk)
    monkeypatch.setattr(FileValueStore, "restore", restored)
    look(service, count)
    assert len(said(caplog)) == 1
    if meanwhile != "a full disk":
        assert in_use(service) == count
        assert (rows_in(tmp_path)[:COUNT] == sound).all()
        assert service.check().findings == ()


@also_cut
@pytest.mark.parametrize("kind", [*CUT, "one missing", "one older"])
@pytest.mark.skipif(sys.platform == "win32", reason="files that are mapped are locked")
def test_codes_that_go_while_they_are_used_are_no_damage(make, tmp_path, caplog, kind):
    """The scrub sees that, and the next search makes them again."""
    service = filled(make, tmp_path)
    look(service)
    sound = rows_in(tmp_path)[:COUNT]
    if kind == "one missing":
        files_of(tmp_path)[-1].unlink()
    elif kind == "one older":
        file, older = files_of(tmp_path)[-1], tmp_path / "older"
        older.write_bytes(file.read_bytes()[: 40 * widths()[-1]])
        older.replace(file)
    else:
        cut_off(tmp_path, kind)
    service._scrub.run()
    assert said(caplog) == []
    (line,) = [m for m in said(caplog, logging.INFO) if "missing or cut off" in m]
    assert "'docs'" in line
    look(service)
    assert in_use(service) == COUNT
    assert (rows_in(tmp_path)[:COUNT] == sound).all()
    service._scrub.run()
    assert said(caplog) == []


def test_the_scrub_leaves_codes_alone_that_nobody_uses(make, tmp_path, caplog):
    filled(make, tmp_path).close()
    changed(tmp_path, zeroed_tail)
    service = make(tmp_path)
    assert service.get_by_ids("docs", ["v1", "none"])[0].id == "v1"
    service._scrub.run()
    assert said(caplog) == []
    assert not rows_in(tmp_path)["checksum"][40:].any()


def test_codes_that_were_compacted_away_meanwhile_are_not_damaged(
    make, tmp_path, caplog, monkeypatch
):
    service, other = filled(make, tmp_path), make(tmp_path)
    look(service)
    add(service, 0, 3)
    look(service)
    compare, names = scrubbing.comparing.compare, list(METRICS)

    def compared(*arguments):
        if names:
            other.compact(names.pop(0))
        return compare(*arguments)

    monkeypatch.setattr(scrubbing.comparing, "compare", compared)
    service._scrub.run()
    assert not names
    assert said(caplog) == []
    assert all_accounted_for(tmp_path)


def test_memory_that_flips_is_seen_by_the_scrub(make, tmp_path, caplog):
    service = filled(make, tmp_path)
    look(service)
    service._snapshots._latest["docs"].codes._coded.numbers.losses[4] = 0
    service._scrub.run()
    assert len(said(caplog)) == 1
    assert service._snapshots._latest["docs"].codes._coded is None
    look(service)
    assert in_use(service) == COUNT
