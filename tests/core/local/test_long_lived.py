"""What a service keeps, and what a call goes over, does not grow with all that ever was."""

from __future__ import annotations

import atexit
from collections import Counter
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

from vectorize_core.local import (
    Service,
    ServiceFault,
    catalog,
    covering,
    cursors,
    open_files,
    scrubbing,
    value_stores,
    vectors,
)
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.models import IndexConfig, Vector

ONES = np.ones(32)
MANY = 20


def filled(service: Service, *names: str) -> Service:
    for name in names:
        service.create_index(name, IndexConfig(32))
        service.upsert(name, [Vector("a", ONES)])
        service.query(name, vector=ONES)
    return service


class Counting(dict[Any, Any]):
    """Counts how often all of it is gone through."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return super().__iter__()

    def items(self) -> Any:
        self.passes += 1
        return super().items()

    def values(self) -> Any:
        self.passes += 1
        return super().values()


def rows_read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the row of each index is read from now on."""
    read, one = Counter[str](), catalog._index

    def counted(*row: Any) -> Any:
        read.update([row[1]])
        return one(*row)

    monkeypatch.setattr(catalog, "_index", counted)
    return read


def test_metadata_indexes_that_are_gone_are_forgotten(service):
    filled(service, "docs")
    service.create_metadata_index("docs", "kept", "string")
    for n in range(MANY):
        service.create_metadata_index("docs", f"n{n % 3}", "number")
        service.delete_metadata_index("docs", f"n{n % 3}")
    with service._database.reading() as tx:
        assert tx.execute("SELECT count(*) FROM metadata_indexes").fetchone() == (2,)
    assert [each.property_name for each in service.list_metadata_indexes("docs")] == ["kept"]
    assert service.check().ok


def test_one_that_is_still_in_force_is_not_forgotten(make, clock):
    service = make(metadata_index_delay=60)
    filled(service, "docs")
    service.create_metadata_index("docs", "n", "number")
    clock.now += 60
    service.upsert("docs", [Vector("b", ONES, None, {"n": 1})])
    service.delete_metadata_index("docs", "n")
    service.create_metadata_index("docs", "other", "number")
    assert service.query("docs", vector=ONES, filter={"n": 1}).count == 1
    clock.now += 60
    assert service.query("docs", vector=ONES, filter={"n": 1}).count == 0


def test_a_call_goes_over_no_index_but_its_own(make, tmp_path, monkeypatch):
    service = filled(make(tmp_path), *(f"i{n}" for n in range(MANY)))
    stores = service._database.value_stores
    synced = Counter[Any]()
    monkeypatch.setattr(FileValueStore, "sync", lambda store: synced.update([store._name]))
    stores._stores = every = Counting(stores._stores)
    service.upsert("i3", [Vector("b", ONES)])
    service.query("i3", vector=ONES)
    filled(service, "new").delete_index("new")
    service.open_files()
    assert every.passes == 0
    # Values of both, and codes of the first write.
    assert len(synced) <= 4


def test_a_slice_of_the_scrub_reads_the_row_of_its_index_alone(make, tmp_path, monkeypatch):
    service = filled(make(tmp_path), *(f"i{n}" for n in range(MANY)))
    # Before rows are counted: it may have begun by itself.
    service._scrub.close()
    read = rows_read(monkeypatch)
    service._scrub.run()
    assert len(read) == MANY
    # One slice, and one that finds the end.
    assert set(read.values()) <= {1, 2}


def test_nor_of_generations_that_another_service_has_left_while_nobody_reads(make, tmp_path):
    other = filled(make(tmp_path), "docs")
    service = make(tmp_path)
    service.query("docs", vector=ONES)
    service._scrub.close()
    for n in range(MANY):
        other.upsert("docs", [Vector("a", ONES)])
        other.compact("docs")
        service._scrub.run()
        (own,) = service._database.value_stores._stores.values()
        assert {generation for generation, _ in own} == {n + 1}
        assert not service._snapshots._latest
    assert service.query("docs", vector=ONES).count == 1


@pytest.mark.parametrize("holds", [True, False])
def test_what_is_unmapped_is_found_in_one_pass(make, tmp_path, monkeypatch, holds):
    monkeypatch.setattr(value_stores, "HOLDS_DESCRIPTORS", holds)
    monkeypatch.setattr(value_stores, "_MOST_WITHOUT", MANY)
    monkeypatch.setattr(open_files, "allowed", lambda: 4 * MANY)
    service = make(tmp_path)
    filled(service, *(f"i{n}" for n in range(MANY)))
    mapped = service._database.value_stores._shared.mapped
    assert len(mapped) == MANY
    service._snapshots._latest = latest = Counting(service._snapshots._latest)
    filled(service, "more")
    assert latest.passes == 1
    assert len(mapped) == len(latest) == MANY // 2
    assert service._database.value_stores.mapped() == (MANY // 2 if holds else 0)


def test_an_index_too_many_for_the_keys_of_vectors_is_refused(service, refused):
    filled(service, "docs")
    with service._database.writing() as tx:
        tx.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'indexes'", (2**23 - 2,))
    filled(service, "last")
    with refused(None, "8388607 indexes were made here"):
        service.create_index("more", IndexConfig(32))
    assert service.query("last", vector=ONES).count == 1
    assert service.check(repair=True).ok
    service.delete_index("last")
    assert [index.name for index in service.list_indexes()] == ["docs"]


def test_what_is_mapped_is_counted_as_it_is(make, tmp_path):
    service = filled(make(tmp_path), "a", "b")
    stores = service._database.value_stores
    counted = stores.mapped()
    service.query("a", vector=ONES)
    assert stores.mapped() == counted
    for own in list(stores._stores.values()):
        for store in own.values():
            store.unmap()
    assert not stores.mapped()
    service.get_by_ids("a", ["a"])
    assert stores.mapped() in (0, 1)  # It takes no descriptor since Python 3.13.


def test_metadata_indexes_that_hold_every_vector_are_remembered_up_to_a_bound(service, monkeypatch):
    monkeypatch.setattr(covering, "_MOST", 3)
    filled(service, "docs")
    for _ in range(MANY):
        service.create_metadata_index("docs", "n", "number")
        assert service.count_uncovered("docs", "n") == 0
        service.delete_metadata_index("docs", "n")
        assert len(service._covering._known) <= 3


def scans(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often all rows are read from now on."""
    read, one = Counter[str](), vectors.unverified

    def counted(tx: Any, index: Any, start: int = 0, count: int = -1) -> Any:
        read["all"] += (start, count) == (0, -1)
        return one(tx, index, start, count)

    monkeypatch.setattr(vectors, "unverified", counted)
    return read


@pytest.mark.parametrize("namespace", [None, "one"])
def test_what_each_filter_might_leave_out_is_not_looked_for_again(service, monkeypatch, namespace):
    filled(service, "docs")
    service.create_metadata_index("docs", "n", "number")
    read = scans(monkeypatch)
    for n in range(MANY):
        service.upsert("docs", [Vector("b", ONES, "one", {"n": n})])
        assert service.filter_hints("docs", {"n": 1}, namespace) == ()
        assert service.count_uncovered("docs", "n", "one") == 0
    assert read["all"] == 1
    (hint,) = service.filter_hints("docs", {"other": 1}, namespace)
    assert "no metadata index on 'other'" in hint


def test_nor_while_writes_are_always_under_way(make, clock, monkeypatch):
    service = filled(make(process_delay=1, propagate_delay=60), "docs")
    clock.now += 100
    service.create_metadata_index("docs", "n", "number")
    read = scans(monkeypatch)
    for n in range(MANY):
        clock.now += 10
        service.upsert("docs", [Vector("b", ONES, None, {"n": n})])
        assert service.filter_hints("docs", {"n": 1}) == ()
    assert service.count_pending("docs")
    assert read["all"] == 1


def test_what_is_older_than_its_metadata_index_and_seen_later_is_told(make, clock):
    service = make(process_delay=1, propagate_delay=60, metadata_index_delay=2)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [Vector("a", ONES, None, {"n": 1})])
    clock.now += 10
    assert service.filter_hints("docs", {"n": 1}) == ()
    assert service.count_uncovered("docs", "n") == 0
    clock.now += 100
    (hint,) = service.filter_hints("docs", {"n": 1})
    assert "1 vectors with 'n' were written before" in hint
    assert service.count_uncovered("docs", "n") == 1


def test_listings_under_way_are_bounded_in_ids(service, monkeypatch):
    monkeypatch.setattr(cursors, "MAX_IDS", 5)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, ONES) for name in "ab"])
    first, second, third = (service.list_vectors("docs", count=1) for _ in range(3))
    with pytest.raises(ServiceFault):
        service.list_vectors("docs", count=1, cursor=first.next_cursor)
    for page in (second, third):
        assert service.list_vectors("docs", count=1, cursor=page.next_cursor).ids == ("b",)
    service.upsert("docs", [Vector(f"{n}", ONES) for n in range(6)])
    large = service.list_vectors("docs", count=1)
    assert service.list_vectors("docs", cursor=large.next_cursor).total_count == 8
    assert len(service._cursors._listings) == 1


def test_services_that_come_and_go_leave_nothing_for_the_end_of_the_process(tmp_path, monkeypatch):
    # As if no other service were there.
    monkeypatch.setattr(scrubbing, "_running", WeakSet())
    filled(Service(tmp_path), "docs").close()
    before = atexit._ncallbacks()
    for _ in range(3):
        service = Service(tmp_path)
        service.query("docs", vector=ONES)
        service.close()
        del service
    assert atexit._ncallbacks() == before
