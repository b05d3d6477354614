"""Codes that are missing, damaged or of other values: right answers, and they are made again."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core.local.coded import cut_rows, norms_of, small_is_large
from tests.core.local.damages import only
from tests.nightly import sized
from vectorize_core import scoring
from vectorize_core.local import (
    Service,
    ServiceFault,
    StorageError,
    code_products,
    codes,
    index_codes,
    scrubbing,
    unsynced,
    value_store,
)
from vectorize_core.local.cut_rows import CutStore
from vectorize_core.local.index_codes import IndexCodes
from vectorize_core.local.row_types import CODES
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite import read_only

DIMENSIONS = 40
COUNT = 90
METRICS = {"docs": "cosine", "far": "euclidean"}
FIELDS = ("codes", "scale", "residual", "length", "checksum", "numbers")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(autouse=True, params=sized(["whole"], ["whole", "cut"]))
def few_are_many(request, caplog):
    """By day most of it with rows that are not cut; those that are differ in their files alone."""
    caplog.set_level(logging.INFO)
    code_products.products.cache_clear()
    with small_is_large(), cut_rows() if request.param == "cut" else nullcontext():
        yield
    code_products.products.cache_clear()


also_cut = pytest.mark.parametrize("few_are_many", ["whole", "cut"], indirect=True)
"""A test that has rows that are cut by day, too."""


def rows_of(name, count=COUNT):
    random = np.random.default_rng(len(name))
    return random.standard_normal((count, DIMENSIONS)).astype(np.float32)


def add(service, start, end):
    for name in METRICS:
        rows = rows_of(name, end)
        service.upsert(name, [Vector(f"v{n}", rows[n]) for n in range(start, end)])


def filled(make, path, count=COUNT):
    service = make(path)
    for name, metric in METRICS.items():
        service.create_index(name, IndexConfig(DIMENSIONS, metric))
    add(service, 0, count)
    return service


def look(service, count=COUNT):
    """Every vector is the best match of itself, and all answers are those of float64."""
    for name, metric in METRICS.items():
        rows = rows_of(name, count)
        for asked in (*rows[::7], rows[5] - rows[1]):
            slots, scores = scoring.nearest(metric, rows, asked, 6)
            found = service.query(name, vector=asked, top_k=6).matches
            assert [match.id for match in found] == [f"v{slot}" for slot in slots.tolist()]
            assert [match.score for match in found] == scoring.shortest(scores)


def in_use(service, name="docs"):
    """How many vectors are searched by codes."""
    known = service._snapshots._latest[name].codes
    coded = None if known is None else known._coded
    return 0 if coded is None else coded.matrix.count


def parts():
    """What each file of codes of an index has of its rows: one of them, or two."""
    return CODES.parts(DIMENSIONS) or (CODES,)


def widths():
    return [part.of(DIMENSIONS).itemsize for part in parts()]


def files_of(path, index=1):
    return [only(path, f"vectors-*-{index}-*{part.suffix}") for part in parts()]


def bytes_of(path):
    return [file.read_bytes() for file in files_of(path)]


def copied(source, target):
    for one, other in zip(source, target, strict=True):
        shutil.copy(one, other)


def store_in(files):
    stores = [
        FileValueStore(file, DIMENSIONS, rows=part)
        for file, part in zip(files, parts(), strict=True)
    ]
    return CutStore(DIMENSIONS, CODES, *stores) if len(stores) == 2 else stores[0]


def rows_in(path, index=1):
    read = [np.fromfile(file, np.uint8) for file in files_of(path, index)]
    # The files may be longer than their rows, by different lengths.
    count = min(len(data) // width for data, width in zip(read, widths(), strict=True))
    halves = [
        data[: count * width].reshape(count, width)
        for data, width in zip(read, widths(), strict=True)
    ]
    return np.ascontiguousarray(np.hstack(halves)).view(CODES.of(DIMENSIONS))[:, 0]


def changed(path, change):
    """The codes of the first index, changed."""
    rows = np.ascontiguousarray(np.asarray(change(rows_in(path)), CODES.of(DIMENSIONS)))
    whole = rows.view(np.uint8).reshape(len(rows), -1)
    halves = np.hsplit(whole, np.cumsum(widths())[:-1])
    for file, half in zip(files_of(path), halves, strict=True):
        file.write_bytes(half.tobytes())


def cut_off(path, kind):
    for file, width in zip(files_of(path), widths(), strict=True):
        CUT[kind](file, width)


def said(caplog, level=logging.WARNING):
    ours = (index_codes.__name__, code_products.__name__, scrubbing.__name__)
    return [r.getMessage() for r in caplog.records if r.levelno == level and r.name in ours]


def flipped(rows, field):
    rows = rows.copy()
    place = 3 if field == "codes" else rows.dtype.fields[field][1]
    rows.view(np.uint8).reshape(len(rows), -1)[5, place] ^= 0x10
    return rows


def zeroed_tail(rows):
    rows[40:] = 0
    return rows


def zeroed_begin(rows):
    """Of the last rows, as where a file was written and the other one was not."""
    rows["codes"][40:, : CODES.cut(DIMENSIONS)] = 0
    return rows


def zeroed_rest(rows):
    rows.view(np.uint8).reshape(len(rows), -1)[40:, CODES.cut(DIMENSIONS) :] = 0
    return rows


CUT = {
    "missing": lambda path, width: path.unlink(),
    "empty": lambda path, width: os.truncate(path, 0),
    "cut off in a row": lambda path, width: os.truncate(path, 40 * width + 11),
    "cut off": lambda path, width: os.truncate(path, 40 * width),
}
CHANGED = {
    **{f"bit of {name}": partial(flipped, field=name) for name in FIELDS},
    "reversed": lambda rows: rows[:COUNT][::-1],
    "moved": lambda rows: np.roll(rows, 1),
    "no numbers": lambda rows: np.frombuffer(b"\xff" * rows.nbytes, rows.dtype),
}


@also_cut
@pytest.mark.parametrize("kind", CUT)
def test_codes_that_are_gone_are_made_again(make, tmp_path, caplog, kind):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    cut_off(tmp_path, kind)
    service = make(tmp_path)
    assert service.check().findings == ()
    look(service)
    assert in_use(service) == COUNT
    assert said(caplog) == []
    assert (rows_in(tmp_path)[:COUNT] == sound).all()
    # Writes go on behind them.
    add(service, COUNT, COUNT + 30)
    look(service, COUNT + 30)
    assert in_use(service) == COUNT + 30


@also_cut
def test_codes_that_a_loss_of_power_has_zeroed_are_made_again(make, tmp_path, caplog):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    changed(tmp_path, zeroed_tail)
    service = make(tmp_path)
    assert service.check().findings == ()
    look(service)
    assert (in_use(service), said(caplog)) == (COUNT, [])
    assert (rows_in(tmp_path)[:COUNT] == sound).all()


@pytest.mark.parametrize("few_are_many", ["cut"], indirect=True)
@pytest.mark.parametrize("zeroed", [zeroed_begin, zeroed_rest])
def test_a_loss_of_power_may_take_one_of_two_files(make, tmp_path, caplog, zeroed):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    changed(tmp_path, zeroed)
    service = make(tmp_path)
    assert service.check().findings == ()
    look(service)
    assert (in_use(service), said(caplog)) == (COUNT, [])
    assert (rows_in(tmp_path)[:COUNT] == sound).all()


@pytest.mark.parametrize("few_are_many", ["cut"], indirect=True)
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("kind", ["missing", "cut off"])
def test_one_of_two_files_may_be_gone(make, tmp_path, caplog, number, kind):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    CUT[kind](files_of(tmp_path)[number], widths()[number])
    service = make(tmp_path)
    assert service.check().findings == ()
    look(service)
    assert (in_use(service), said(caplog)) == (COUNT, [])
    assert (rows_in(tmp_path)[:COUNT] == sound).all()


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


@pytest.mark.parametrize("kind", CHANGED)
def test_codes_that_are_damaged_are_made_again(make, tmp_path, caplog, kind):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    changed(tmp_path, CHANGED[kind])
    (finding,) = make(tmp_path).check().findings
    assert (finding.index, finding.lost) == ("docs", ())
    assert "codes of" in finding.problem
    service = make(tmp_path)
    look(service)
    assert in_use(service) == COUNT
    (line,) = said(caplog)
    assert "damaged" in line
    assert str(tmp_path) in line
    assert (rows_in(tmp_path)[:COUNT] == sound).all()
    assert service.check().findings == ()


@pytest.mark.parametrize("whose", ["another index", "another database", "older"])
def test_codes_of_another_file_are_not_used(make, tmp_path, whose):
    path = tmp_path / "data"
    service = filled(make, path, 50)
    older = [tmp_path / f"older-{n}" for n in range(len(widths()))]
    copied(files_of(path), older)
    add(service, 50, COUNT)
    service.close()
    if whose == "another index":
        copied(files_of(path, 2), files_of(path))
    elif whose == "another database":
        filled(make, tmp_path / "other").close()
        copied(files_of(tmp_path / "other"), files_of(path))
    else:
        copied(older, files_of(path))
    service = make(path)
    assert service.check().ok == (whose == "older")
    look(service)
    assert in_use(service) == COUNT
    assert service.check().findings == ()


def of_other_values(path, slot):
    """Make the codes of a vector those of another one, with all checksums right."""
    store = store_in(files_of(path))
    other = codes.encoded(-rows_of("docs")[[slot]], slot, store.identity, code_products.products())
    store.restore(slot, other.tobytes())


def test_codes_of_other_values_are_found_by_a_check_and_repaired(make, tmp_path):
    service = filled(make, tmp_path)
    service.delete_by_ids("docs", ["v3"])
    service.close()
    sound = rows_in(tmp_path)
    for slot in (3, 6, 7, 40):
        of_other_values(tmp_path, slot)
    service = make(tmp_path)
    (finding,) = service.check().findings
    assert "the codes of 3 vectors" in finding.problem
    repaired = service.check(repair=True)
    assert repaired.ok
    assert repaired.findings[0].problem == finding.problem
    assert service.check().findings == ()
    assert (np.delete(rows_in(tmp_path), 3) == np.delete(sound, 3)).all()
    assert len(list(tmp_path.glob("*.f32"))) == 2


def test_a_repair_that_moves_an_index_makes_all_codes(make, tmp_path):
    filled(make, tmp_path).close()
    of_other_values(tmp_path, 6)
    values = bytearray(only(tmp_path, "vectors-*-1-0.f32").read_bytes())
    values[7 * DIMENSIONS * 4] ^= 1
    only(tmp_path, "vectors-*-1-0.f32").write_bytes(values)
    service = make(tmp_path)
    assert service.check(repair=True).ok
    assert service.check().findings == ()
    look(service)
    assert in_use(service) == COUNT
    assert all_accounted_for(tmp_path)


def all_accounted_for(path):
    """There are codes beside values only."""
    return {p.stem for p in path.glob("*.u8*")} <= {p.stem for p in path.glob("*.f32")}


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
        known.codes._coded.numbers.factors[10::3] *= -1
        known.norms._lengths[10::3] *= 9
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


@pytest.fixture
def read_only_directory(monkeypatch):
    return lambda: monkeypatch.setattr(read_only, "is_read_only", lambda path: True)


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


def full_disk(*_):
    raise OSError(28, "No space left on device")


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


class Without:
    """simsimd as it may be missing, fail, or compute something else."""

    def __init__(self, monkeypatch, how):
        def fail(*_, **__):
            raise RuntimeError("no such instruction")

        def wrong(query, rows, **_):
            return np.full((1, len(rows)), 3, np.float32)

        module = {
            "missing": None,
            "failing": SimpleNamespace(cdist=fail),
            "wrong": SimpleNamespace(cdist=wrong),
            "empty": SimpleNamespace(),
        }[how]
        monkeypatch.setitem(sys.modules, "simsimd", module)
        code_products.products.cache_clear()


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


def rolled_back(service, monkeypatch, rows):
    """A write that leaves its rows in the files, and is not committed."""

    def fail(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
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


def test_many_threads_may_be_the_first(make, tmp_path, caplog):
    filled(make, tmp_path).close()
    changed(tmp_path, CHANGED["reversed"])
    service, begin = make(tmp_path), threading.Barrier(8)

    def first(_):
        begin.wait()
        look(service)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(first, range(8)))
    assert in_use(service) == COUNT
    assert len(said(caplog)) == 1


def forked(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return child


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


@needs_fork
@pytest.mark.parametrize("kind", ["missing", "reversed"])
def test_many_processes_may_be_the_first(make, tmp_path, kind):
    filled(make, tmp_path).close()
    sound = rows_in(tmp_path)[:COUNT]
    cut_off(tmp_path, kind) if kind in CUT else changed(tmp_path, CHANGED[kind])

    def first():
        service = Service(tmp_path)
        look(service)
        assert in_use(service) == COUNT

    children = [forked(first) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    assert (rows_in(tmp_path)[:COUNT] == sound).all()


@needs_fork
def test_a_forked_process_reads_the_codes_by_itself(make, tmp_path):
    service = filled(make, tmp_path, 50)
    look(service, 50)
    lock = service._snapshots._latest["docs"].codes._lock

    def more():
        add(service, 50, COUNT)
        look(service)
        assert in_use(service) == COUNT

    with lock:
        child = forked(more)
    assert os.waitpid(child, 0)[1] == 0
    look(service)


def cut_off_while_mapped(service, paths):
    """What a search finds then, or how the process ended."""
    for path in paths:
        os.truncate(path, 0)
    try:
        look(service)
    except StorageError as error:
        return str(error)
    return f"{in_use(service)} by codes"


@needs_fork
@also_cut
@pytest.mark.parametrize("which", ["first", "last", "all", "values"])
def test_a_file_that_is_cut_off_while_it_is_mapped_ends_no_process(make, tmp_path, which):
    """Searches make codes again, and say so of values."""
    filled(make, tmp_path).close()
    files = files_of(tmp_path)
    cut = {"first": files[:1], "last": files[-1:], "all": files}.get(which)
    said, expected = tmp_path / "said", f"{COUNT} by codes"
    if cut is None:
        cut, expected = [only(tmp_path, "vectors-*-1-0.f32")], "has been cut off: it holds 0"

    def child():
        service = Service(tmp_path)
        look(service)
        said.write_text(cut_off_while_mapped(service, cut))

    assert os.waitpid(forked(child), 0)[1] == 0
    assert expected in said.read_text()


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="this platform does not tell holes")
@also_cut
@pytest.mark.parametrize("how", ["small", "without simsimd", "after files were deleted"])
def test_no_row_that_searches_read_is_a_hole_of_a_file(make, tmp_path, monkeypatch, how):
    """On a full file system in memory, to read one by a mapping would end the process."""
    service, count = filled(make, tmp_path, 300), 700
    if how != "small":
        monkeypatch.setattr(unsynced, "_SMALL", 0)
    if how == "without simsimd":
        Without(monkeypatch, "missing")
    if how == "after files were deleted":
        cut_off(tmp_path, "missing")
    rows = rows_of("docs", count)
    service.upsert("docs", [Vector(f"v{n}", rows[n]) for n in range(300, count)])
    for part, width in zip(parts(), widths(), strict=True):
        for file in tmp_path.glob(f"vectors-*-1-*{part.suffix}"):
            with file.open("rb") as opened:
                hole = os.lseek(opened.fileno(), 0, os.SEEK_HOLE)
            assert hole >= min(count * width, file.stat().st_size)


def test_a_file_of_codes_may_be_deleted_while_it_is_used(make, tmp_path):
    service = filled(make, tmp_path, 50)
    look(service, 50)
    if sys.platform != "win32":
        cut_off(tmp_path, "missing")
    for count in range(50, COUNT, 4):
        # The last segment is mapped again now and then, of the new file.
        add(service, count, count + 4)
        look(service, count + 4)
        assert in_use(service) == count + 4
    look(make(tmp_path))


@pytest.mark.parametrize("how", ["delete", "compact"])
def test_codes_that_are_made_while_their_index_goes_leave_no_file(make, tmp_path, monkeypatch, how):
    service = filled(make, tmp_path)
    service.delete_by_ids("docs", ["v89"])
    service.close()
    cut_off(tmp_path, "missing")
    service, other, done = make(tmp_path), make(tmp_path), []
    original = codes.encoded

    def encoded(*arguments):
        if not done:
            done.append(True)
            other.delete_index("docs") if how == "delete" else other.compact("docs")
        return original(*arguments)

    monkeypatch.setattr(codes, "encoded", encoded)
    if how == "delete":
        # In the state before, or not at all.
        with suppress(ServiceFault):
            service.query("docs", vector=rows_of("docs")[7])
    else:
        (match,) = service.query("docs", vector=rows_of("docs")[7], top_k=1).matches
        assert match.id == "v7"
    assert all_accounted_for(tmp_path)
    # Windows deletes no file that is mapped.
    if sys.platform != "win32":
        assert len(list(tmp_path.glob("*.f32"))) == (1 if how == "delete" else 2)


def test_compaction_and_deletion_leave_no_codes_behind(make, tmp_path):
    service = filled(make, tmp_path)
    look(service)
    service.upsert("docs", [Vector("v3", rows_of("docs")[3])])
    service.compact()
    look(service)
    assert in_use(service) == COUNT
    assert all_accounted_for(tmp_path)
    assert len(list(tmp_path.glob("*.u8*"))) == 2 * len(widths())
    service.delete_index("docs")
    assert len(list(tmp_path.glob("*.u8*"))) == len(widths())
    # One of the same name has other codes.
    service.create_index("docs", IndexConfig(DIMENSIONS))
    service.upsert("docs", [Vector(f"v{n}", row) for n, row in enumerate(rows_of("docs"))])
    look(service)
    assert in_use(service) == COUNT
    assert all_accounted_for(tmp_path)


def test_codes_without_values_are_no_store_and_no_reason_to_refuse_one(make, tmp_path):
    filled(make, tmp_path / "other").close()
    path = tmp_path / "data"
    path.mkdir()
    name = files_of(tmp_path / "other")[0].name
    shutil.copy(tmp_path / "other" / name, path)
    service = filled(make, path)
    look(service)
    (finding,) = service.check().findings
    assert name in finding.problem
    assert (path / name).exists()


def test_codes_of_what_is_lost_are_not_set_aside(make, tmp_path):
    service = filled(make, tmp_path)
    service.close()
    shutil.copy(tmp_path / "vectorize.sqlite3", tmp_path / "older")
    service = make(tmp_path)
    service.create_index("later", IndexConfig(DIMENSIONS))
    service.upsert("later", [Vector("a", np.ones(DIMENSIONS))])
    service.close()
    (tmp_path / "older").replace(tmp_path / "vectorize.sqlite3")
    service = make(tmp_path)
    assert service.check(repair=True).ok
    assert len(list(tmp_path.glob("set-aside-*.f32"))) == 1
    assert len(list(tmp_path.glob("*.u8*"))) == 2 * len(widths())
    look(service)


@pytest.mark.parametrize("metric", ["cosine", "dot-product", "euclidean"])
def test_codes_of_older_snapshots_stay_as_they_were_in_all_threads(tmp_path, metric):
    multiplied = code_products.products()
    rows = np.random.default_rng(3).standard_normal((240, DIMENSIONS)).astype(np.float32)
    values = FileValueStore(tmp_path / "rows.f32", DIMENSIONS)
    store = store_in([tmp_path / f"rows{part.suffix}" for part in parts()])
    values.height = store.height = 1_024
    shared, norms = IndexCodes(metric, store), norms_of(metric, DIMENSIONS)
    matrices, ended = [], threading.Event()
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)

    def check(matrix):
        coded = shared.of(matrix, norms)
        assert coded.matrix.count == len(coded.numbers.factors) == matrix.count
        groups = -(-matrix.count // index_codes.GROUP)
        assert len(coded.group_losses) == len(coded.group_lengths) == groups
        greatest = np.repeat(coded.group_losses, index_codes.GROUP)[: matrix.count]
        assert (greatest >= coded.numbers.losses).all()
        whole = coded.matrix.take(np.arange(matrix.count))
        assert codes.covers(whole, rows[: matrix.count]).all()
        assert coded.numbers.are_of(metric, whole, np.arange(matrix.count), multiplied).all()
        known = norms.of(matrix)[0]
        inverse = 1 / lengths if metric == "cosine" else lengths
        np.testing.assert_allclose(known, inverse[: matrix.count], rtol=1e-5)

    def search(seed):
        random = np.random.default_rng(seed)
        while not ended.is_set():
            if matrices:
                check(matrices[int(random.integers(len(matrices)))])

    def unmap():
        while not ended.is_set():
            store.unmap()

    with ThreadPoolExecutor(4) as pool:
        running = [*(pool.submit(search, seed) for seed in range(3)), pool.submit(unmap)]
        try:
            for start in range(0, len(rows), 6):
                some = rows[start : start + 6]
                values.write(start, some.tobytes(), durable=False)
                made = codes.encoded(some, start, store.identity, multiplied)
                store.write(start, made.tobytes(), durable=False)
                matrices.append(values.matrix(start + 6))
                check(matrices[-1])
        finally:
            ended.set()
        for each in running:
            each.result()
