"""Codes that threads and processes make and read at once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.core.local.coded import norms_of
from tests.core.local.codes.coded_files import (
    CHANGED,
    COUNT,
    CUT,
    DIMENSIONS,
    add,
    also_cut,
    bytes_of,
    changed,
    cut_off,
    files_of,
    filled,
    forked,
    in_use,
    look,
    needs_fork,
    parts,
    rows_in,
    said,
    store_in,
)
from vectorize_core.local import Service, code_products, codes, index_codes
from vectorize_core.local.index_codes import IndexCodes
from vectorize_core.local.value_store import FileValueStore

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


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


@also_cut
@pytest.mark.parametrize(("who", "looks"), [("check", 1), ("search", 2)])
def test_a_row_that_another_process_is_in_the_middle_of_is_not_damaged(
    make, tmp_path, caplog, monkeypatch, who, looks
):
    filled(make, tmp_path).close()
    sound, intact, wrong = bytes_of(tmp_path), codes.intact, []
    changed(tmp_path, CHANGED["bit of codes"])

    def then_whole(*given):
        found = intact(*given)
        if not found.all():
            wrong.append(found)
            if len(wrong) == looks:
                for path, data in zip(files_of(tmp_path), sound, strict=True):
                    with path.open("r+b") as file:
                        file.write(data)
        return found

    monkeypatch.setattr(codes, "intact", then_whole)
    service = make(tmp_path)
    if who == "check":
        assert service.check().findings == ()
    else:
        look(service)
    assert (len(wrong), said(caplog)) == (looks, [])


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
