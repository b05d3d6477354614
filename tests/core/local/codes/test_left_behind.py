"""No file of codes is left where there are no values, nor taken for a store."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress

import numpy as np
import pytest

from tests.core.local.codes.coded_files import (
    COUNT,
    DIMENSIONS,
    all_accounted_for,
    cut_off,
    files_of,
    filled,
    in_use,
    look,
    rows_of,
    widths,
)
from vectorize_core.local import ServiceFault, codes
from vectorize_core.models import IndexConfig, Vector


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
