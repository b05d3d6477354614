"""What a service keeps from one query to the next never hides what has changed since."""

import os
import sqlite3
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core import scoring
from vectorize_core.local import StorageError, snapshots
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite import connecting

ONES = np.ones(32)


@pytest.fixture
def pair(make, tmp_path):
    """Two services on a directory; the first one has kept what a filter lets pass."""
    one, two = make(tmp_path), make(tmp_path)
    one.create_index("docs", IndexConfig(32))
    one.create_metadata_index("docs", "n", "number")
    put(one, "a", 1)
    put(one, "b", 2)
    assert found(one) == ["a"]
    return one, two


def put(service, name, n):
    service.upsert("docs", [Vector(name, ONES, "space", {"n": n})])


def found(service, n=1, **more):
    matches = service.query("docs", vector=ONES, filter={"n": n}, **more).matches
    return sorted(match.id for match in matches)


def test_a_commit_of_another_process_is_seen(pair):
    one, two = pair
    put(two, "c", 1)
    assert found(one) == ["a", "c"]
    put(two, "a", 2)
    assert found(one) == ["c"]
    two.delete_by_ids("docs", ["c"])
    assert found(one) == []


def test_a_new_index_of_the_same_name_is_another_one(pair):
    one, two = pair
    two.delete_index("docs")
    with pytest.raises(Exception, match=r"vectorize\.index\.deleted"):
        found(one)
    two.create_index("docs", IndexConfig(32))
    two.create_metadata_index("docs", "n", "number")
    put(two, "c", 1)
    put(two, "d", 1)
    assert found(one) == ["c", "d"]


def test_a_new_metadata_index_on_the_same_property_is_another_one(pair):
    one, two = pair
    two.delete_metadata_index("docs", "n")
    assert found(one) == []
    two.create_metadata_index("docs", "n", "number")
    assert found(one) == []
    two.upsert("docs", [Vector("a", ONES, None, {"n": 1})])
    assert found(one) == ["a"]


def test_a_metadata_index_that_comes_into_force_is_used(make, clock):
    service = make(metadata_index_delay=60)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    assert found(service) == []
    clock.now += 61
    put(service, "a", 1)
    assert found(service) == ["a"]
    service.delete_metadata_index("docs", "n")
    assert found(service) == ["a"]
    clock.now += 61
    assert found(service) == []


def test_a_compaction_of_another_process_is_seen(pair):
    one, two = pair
    for n in range(8):
        put(two, f"c{n}", 1)
    two.delete_by_ids("docs", ["a", *(f"c{n}" for n in range(7))])
    assert found(one) == ["c7"]
    assert two.compact() > 0
    assert found(one) == ["c7"]
    put(two, "d", 1)
    assert found(one) == ["c7", "d"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_parent_and_child_see_each_others_commits(pair):
    one, _ = pair
    child = os.fork()
    if child == 0:
        code = 1
        try:
            put(one, "c", 1)
            code = 0 if found(one) == ["a", "c"] else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert found(one) == ["a", "c"]


def test_filters_that_python_takes_for_equal_are_told_apart(make):
    service = make()
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    service.create_metadata_index("docs", "yes", "boolean")
    service.upsert("docs", [Vector("a", ONES, "space", {"n": 1, "yes": True})])
    assert (found(service, 1), found(service, True), found(service, 1.0)) == (["a"], [], ["a"])
    assert found(service, {"$in": [1]}) == ["a"]
    assert found(service, {"$in": [True]}) == []
    assert found(service, 1, namespace="space") == ["a"]
    assert found(service, 1, namespace="other") == []


def test_few_filters_are_kept(pair):
    one, _ = pair
    for n in range(20):
        found(one, n)
        found(one, 1)
    masks = one._snapshots._latest["docs"].masks
    assert len(masks) == snapshots._MASKS_KEPT
    assert b'"$eq",1]' in list(masks)[-1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE indexes SET inserted = inserted + 1",
        "UPDATE indexes SET description = description || 'x'",
        "UPDATE indexes SET created = created + 1",
        "UPDATE indexes SET row_checksum = row_checksum + 1",
        "UPDATE metadata_indexes SET property_name = 'm'",
        "UPDATE metadata_indexes SET gone = live + 1e9",
        "DELETE FROM metadata_indexes",
    ],
)
def test_a_row_that_was_whole_is_refused_once_it_is_damaged(pair, tmp_path, change):
    assert found(pair[1]) == ["a"]
    with closing(sqlite3.connect(tmp_path / "vectorize.sqlite3")) as raw, raw:
        raw.execute(change)
    for service in pair:
        for _ in range(2):
            with pytest.raises(StorageError, match="damaged"):
                found(service)


def test_little_is_kept_of_what_a_connection_has_found(monkeypatch):
    monkeypatch.setattr(connecting, "_MOST_FOUND", 3)
    with closing(connecting.connect(":memory:")) as connection:
        for number in range(20):
            assert connection.once(number, partial(str, number)) == str(number)
            assert len(connection._found) <= 3


def test_what_a_connection_has_found_is_read_again_after_a_commit(tmp_path):
    path = str(tmp_path / "db")
    reads = []
    with (
        closing(connecting.connect_durably(path, create=True)) as one,
        closing(connecting.connect_durably(path, create=False)) as two,
    ):

        def read():
            reads.append(1)
            return one.execute("SELECT n FROM t").fetchone()[0]

        one.execute("CREATE TABLE t AS SELECT 0 AS n")
        for number, writer in enumerate([two, one, two], start=1):
            writer.execute("UPDATE t SET n = ?", (number,))
            one.execute("BEGIN")
            assert one.once("n", read) == one.once("n", read) == number
            one.commit()
        one.execute("BEGIN")
        assert one.once("n", read) == 3
        two.execute("UPDATE t SET n = 9")
        assert one.once("n", read) == 3
        one.commit()
        assert one.once("n", read) == 9
    assert len(reads) == 4


def test_what_is_rolled_back_is_not_kept(service, monkeypatch):
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    put(service, "a", 1)
    assert found(service) == ["a"]

    def fail(*_):
        raise OSError(5, "the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(service._database.value_stores, "sync", fail)
        with pytest.raises(StorageError):
            put(service, "b", 1)
    assert found(service) == ["a"]
    put(service, "c", 1)
    assert found(service) == ["a", "c"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=50))
@examples(300)
def test_scores_have_the_shortest_decimals_that_are_the_same_float32(numbers):
    scores = np.array(numbers, np.float32)
    shortest = scoring.shortest(scores)
    assert list(map(repr, shortest)) == [repr(float(str(score))) for score in scores]


def test_a_service_that_is_opened_anew_keeps_nothing_of_the_last(pair):
    one, two = pair
    one.release()
    put(two, "c", 1)
    assert found(one) == ["a", "c"]
