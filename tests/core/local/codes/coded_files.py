"""Directories with files of codes, small ones in place of large ones, and what happens to them."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core.local.damages import only
from vectorize_core import scoring
from vectorize_core.local import code_products, codes, index_codes, scrubbing
from vectorize_core.local.cut_rows import CutStore
from vectorize_core.local.row_types import CODES
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS = 40
COUNT = 90
METRICS = {"docs": "cosine", "far": "euclidean"}
FIELDS = ("codes", "scale", "residual", "length", "checksum", "numbers")
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


def half_written(rows):
    """As where whoever made them was killed in the middle of one."""
    whole = rows.view(np.uint8).reshape(len(rows), -1)
    whole[40, CODES.cut(DIMENSIONS) + 5 :] = 0
    whole[41:] = 0
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


def of_other_values(path, slot):
    """Make the codes of a vector those of another one, with all checksums right."""
    store = store_in(files_of(path))
    other = codes.encoded(-rows_of("docs")[[slot]], slot, store.identity, code_products.products())
    store.restore(slot, other.tobytes())


def all_accounted_for(path):
    """There are codes beside values only."""
    return {p.stem for p in path.glob("*.u8*")} <= {p.stem for p in path.glob("*.f32")}


def full_disk(*_):
    raise OSError(28, "No space left on device")


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
