"""Files that are cut off or deleted while they are mapped, and holes in them, end no process."""

from __future__ import annotations

import os
import sys

import pytest

from tests.core.local.codes.coded_files import (
    COUNT,
    Without,
    add,
    also_cut,
    cut_off,
    files_of,
    filled,
    forked,
    in_use,
    look,
    needs_fork,
    parts,
    rows_of,
    widths,
)
from tests.core.local.damages import only
from vectorize_core.local import Service, StorageError, unsynced
from vectorize_core.models import Vector

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


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


READS = {
    "search by an id": lambda service: service.query("docs", vector_id="v7"),
    "get": lambda service: service.get_by_ids("docs", ["none", "v7"]),
    "scan": lambda service: service.scan("docs", count=50),
}


@needs_fork
@pytest.mark.parametrize("read", READS)
def test_values_that_are_cut_off_while_they_are_mapped_end_no_read(make, tmp_path, read):
    filled(make, tmp_path).close()
    path, said = only(tmp_path, "vectors-*-1-0.f32"), tmp_path / "said"

    def child():
        service = Service(tmp_path)
        READS[read](service)
        os.truncate(path, 0)
        with pytest.raises(StorageError) as caught:
            READS[read](service)
        said.write_text(str(caught.value))

    assert os.waitpid(forked(child), 0)[1] == 0
    assert "has been cut off: it holds 0" in said.read_text()


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
