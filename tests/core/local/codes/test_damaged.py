"""Codes that are damaged or of other values: right answers, and they are made again."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.local.codes.coded_files import (
    CHANGED,
    COUNT,
    DIMENSIONS,
    add,
    all_accounted_for,
    changed,
    copied,
    files_of,
    filled,
    in_use,
    look,
    of_other_values,
    rows_in,
    said,
    widths,
)
from tests.core.local.damages import only


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
