"""The extra `fast`: candidates from 4-bit codes, scores from the values."""

import logging
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from vectorize_core import VectorizeClient
from vectorize_core.local import quantized_codes
from vectorize_core.models import METRICS, IndexConfig, Vector

DIMENSIONS = 36
"""Not a multiple of 8, which turbovec wants."""


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(quantized_codes, "WORTHWHILE", 2_000 * DIMENSIONS)
    monkeypatch.setattr(quantized_codes, "_logged", set())


@pytest.fixture
def library():
    return pytest.importorskip("turbovec")


def rows(count, seed=0):
    """Clustered, of several lengths."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, DIMENSIONS))
    noise = random.standard_normal((count, DIMENSIONS)) * 0.7
    some = centres[random.integers(0, 40, count)] + noise
    return (some * random.lognormal(0, 0.3, (count, 1))).astype(np.float32)


def fill(service, count=4_000, metric="cosine"):
    service.create_index("docs", IndexConfig(DIMENSIONS, metric))
    service.create_metadata_index("docs", "n", "number")
    put(service, range(count), rows(count))


def put(service, numbers, values):
    numbers = list(numbers)
    for start in range(0, len(numbers), 2_000):
        some = numbers[start : start + 2_000]
        service.upsert(
            "docs",
            [Vector(f"v{n}", values[start + i], None, {"n": n % 10}) for i, n in enumerate(some)],
        )


def answers(service, queries, **more):
    return [
        [(m.id, m.score) for m in service.query("docs", vector=query, **more).matches]
        for query in queries
    ]


def used(service):
    """How many codes there are of the index."""
    codes = service._snapshots._latest["docs"].codes._codes
    return 0 if codes is None else len(codes)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.usefixtures("library")
def test_it_finds_what_the_exact_search_finds(make, metric):
    service = make()
    fill(service, metric=metric)
    queries = rows(30, seed=1)
    for more in ({"top_k": 10}, {"top_k": 100}, {"filter": {"n": {"$lt": 7}}}):
        found = answers(service, queries, **more)
        assert found == answers(service, queries, exact=True, **more)
    assert used(service) == 4_000


@pytest.mark.usefixtures("library")
def test_it_follows_writes_and_compaction(make):
    service = make()
    fill(service)
    queries = rows(10, seed=2)
    answers(service, queries)
    put(service, range(0, 4_000, 3), queries[np.arange(1_334) % 10])
    service.delete_by_ids("docs", [f"v{n}" for n in range(0, 300, 3)])
    assert answers(service, queries) == answers(service, queries, exact=True)
    assert used(service) == 4_000 + 1_334
    service.compact()
    assert answers(service, queries) == answers(service, queries, exact=True)
    assert used(service) == 3_900


@pytest.mark.usefixtures("library")
def test_an_older_view_is_searched_while_codes_are_added(make):
    service = make()
    fill(service)
    queries = rows(5, seed=3)
    answers(service, queries)
    old = service._snapshots._latest["docs"]
    put(service, range(4_000, 5_000), np.repeat(queries, 200, axis=0))
    answers(service, queries)
    assert used(service) == 5_000
    for query in queries:
        found = old.codes.candidates(old.matrix, old.norms, query, 10, old.live)
        assert found is not None
        assert len(found) == 300
        assert found.max() < 4_000


def damage_codes(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "cut off":
        del data[-4_000:]
    elif damage == "empty":
        data.clear()
    elif damage == "zeroed":
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    elif damage == "flipped":
        data[len(data) // 3] ^= 4
    elif damage == "another's":
        data.reverse()
    if damage == "removed":
        path.unlink()
    elif damage == "no checksum":
        path.with_suffix(".sum").unlink()
    elif damage is not None:
        path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [None, "cut off", "empty", "removed", "zeroed", "flipped", "another's", "no checksum"],
)
@pytest.mark.usefixtures("library")
def test_codes_are_kept_in_a_file_and_made_anew_without_it(make, tmp_path, damage, caplog):
    service = make(tmp_path)
    fill(service)
    queries = rows(10, seed=4)
    expected = answers(service, queries)
    service.close()
    (path,) = tmp_path.glob("*.codes")
    damage_codes(path, damage)
    written = path.stat().st_mtime_ns if damage is None else None
    again = make(tmp_path)
    assert answers(again, queries) == expected
    assert written in (None, path.stat().st_mtime_ns)
    assert used(again) == 4_000
    assert list(tmp_path.glob("*.codes")) == [path]
    assert bool(caplog.records) == (damage not in (None, "removed"))
    again.delete_index("docs")
    assert list(tmp_path.glob("vectors-*")) == []


@pytest.mark.usefixtures("library")
def test_what_is_exact_does_without(make):
    service = make()
    fill(service)
    queries = rows(3, seed=5)
    answers(service, queries, exact=True)
    answers(service, queries, return_values=True)
    answers(service, queries, filter={"n": 3})
    assert used(service) == 0
    answers(service, queries)
    assert used(service) == 4_000


@pytest.mark.usefixtures("library")
def test_lengths_beyond_its_precision_are_searched_exactly(make):
    service = make()
    fill(service)
    service.upsert("docs", [Vector("huge", np.full(DIMENSIONS, 1e30))])
    queries = np.vstack([rows(5, seed=6), np.ones((1, DIMENSIONS), np.float32)])
    assert answers(service, queries) == answers(service, queries, exact=True)
    assert used(service) == 0


def test_without_the_library_every_vector_is_scored(make, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "turbovec", None)
    caplog.set_level(logging.INFO)
    service = make()
    fill(service)
    queries = rows(3, seed=7)
    assert answers(service, queries) == answers(service, queries, exact=True)
    (record,) = caplog.records
    assert "vectorize-stores[fast]" in record.getMessage()


def test_where_the_library_fails_every_vector_is_scored(make, monkeypatch, caplog):
    def fail(**_):
        raise RuntimeError("no such instruction")

    monkeypatch.setitem(sys.modules, "turbovec", SimpleNamespace(TurboQuantIndex=fail))
    service = make()
    fill(service)
    queries = rows(3, seed=8)
    assert answers(service, queries) == answers(service, queries, exact=True)
    (record,) = caplog.records
    assert "no such instruction" in record.getMessage()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.usefixtures("library")
def test_a_client_can_be_told_to_do_without(exact):
    with VectorizeClient.local(exact=exact) as client:
        service = client.connection.executor.service
        fill(service)
        client.index("docs").query(rows(1, seed=9)[0])
        assert used(service) == (0 if exact else 4_000)
