"""A large write lets other threads sync its values and make its codes, and is whole as any."""

import os

import numpy as np
import pytest

from tests.core.local.damages import only
from vectorize_core.local import StorageError, codes, value_store
from vectorize_core.local.code_products import products
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS, COUNT = 96, 1_000


def vectors(version):
    rows = np.random.default_rng(version).standard_normal((COUNT, DIMENSIONS))
    return [Vector(f"{version} {n}", row) for n, row in enumerate(rows)]


def docs(make, *arguments, **switches):
    service = make(*arguments, **switches)
    service.create_index("docs", IndexConfig(DIMENSIONS))
    return service


@pytest.mark.parametrize("delay", [0.0, 10.0])
def test_all_that_a_commit_tells_of_is_synced(make, tmp_path, clock, monkeypatch, delay):
    service = docs(make, tmp_path, process_delay=delay)
    synced, whole = [], []
    original = value_store._sync

    def sync(file):
        original(file)
        synced.append(os.pread(file, os.fstat(file).st_size, 0))

    def see(statement):
        if statement == "COMMIT" and synced:
            used = COUNT * (3 if delay else len(whole) + 1) * DIMENSIONS * 4
            whole.append(only(tmp_path, "*.f32").read_bytes()[:used] == synced[-1][:used])

    monkeypatch.setattr(value_store, "_sync", sync)
    service._database._file._writer.connection.set_trace_callback(see)
    for version in range(3):
        service.insert("docs", vectors(version))
    # Those that were waiting are carried out in one transaction.
    clock.now += delay
    assert service.index_info("docs").vector_count == 3 * COUNT
    assert whole == ([True] if delay else [True] * 3)
    service._database._file._writer.connection.set_trace_callback(None)


@pytest.mark.parametrize("failing", ["sync", "codes"])
def test_a_failure_beside_the_rows_undoes_the_write(make, tmp_path, monkeypatch, failing):
    if failing == "codes" and not products():
        pytest.skip("no simsimd")
    service = docs(make, tmp_path)
    service.insert("docs", vectors(0))
    found = []

    def fail(*_):
        found.append(failing)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((value_store, "_sync") if failing == "sync" else (codes, "encoded")), fail)
        with pytest.raises(StorageError, match="no space is left"):
            service.insert("docs", vectors(1))
    assert found
    assert service.index_info("docs").vector_count == COUNT
    service.insert("docs", vectors(2))
    assert service.index_info("docs").vector_count == 2 * COUNT
    assert service.check().findings == ()
    wanted = vectors(2)[7]
    assert service.query("docs", vector=wanted.values, top_k=1).matches[0].id == wanted.id
