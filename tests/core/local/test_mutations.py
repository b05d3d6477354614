"""Mutations are accepted at once, processed later, and seen later still."""

from datetime import UTC, datetime

import numpy as np
import pytest

from vectorize_core.local import Behavior
from vectorize_core.models import IndexConfig, Vector

ONES, ZEROS = np.ones(32), np.zeros(32)


def docs(make, **switches):
    service = make(**switches)
    service.create_index("docs", IndexConfig(32))
    return service


def seen(service):
    """What the reads see, which must agree."""
    by_list = service.list_vectors("docs").ids
    assert tuple(m.id for m in service.query("docs", vector=ONES, top_k=50).matches) == by_list
    assert tuple(v.id for v in service.get_by_ids("docs", by_list)) == by_list
    return "".join(by_list)


def done(service):
    info = service.index_info("docs")
    return info.processed_up_to_mutation, info.vector_count


def test_before_the_first_mutation_nothing_is_processed(make):
    info = docs(make).index_info("docs")
    assert (info.dimensions, info.vector_count) == (32, 0)
    assert (info.processed_up_to_mutation, info.processed_up_to_datetime) == (None, None)


def test_without_delays_a_write_is_seen_at_once(make):
    service = docs(make)
    first = service.insert("docs", [Vector("a", ONES)])
    assert seen(service) == "a"
    assert done(service) == (first.mutation_id, 1)
    second = service.delete_by_ids("docs", ["a"])
    assert seen(service) == ""
    assert done(service) == (second.mutation_id, 0)


def test_a_write_is_processed_and_then_seen(make, clock):
    service = docs(make, process_delay=10, propagate_delay=5)
    receipt = service.insert("docs", [Vector("a", ONES)])
    clock.now += 9.9
    assert (done(service), seen(service)) == ((None, 0), "")
    clock.now += 0.1
    assert (done(service), seen(service)) == ((receipt.mutation_id, 1), "")
    assert service.query("docs", vector_id="a").count == 0
    clock.now += 4.9
    assert seen(service) == ""
    clock.now += 0.1
    assert (done(service), seen(service)) == ((receipt.mutation_id, 1), "a")


def test_a_clock_may_give_whole_seconds(make, clock, tmp_path):
    clock.now = 1_800_000_000
    service = make(tmp_path / "data")
    service.create_index("docs", IndexConfig(32))
    service.insert("docs", [Vector("a", ONES)])
    service.insert("docs", [Vector("b", ONES)])
    assert seen(service) == "ab"
    assert make(tmp_path / "data").check().ok


def test_the_count_is_of_processed_vectors_seen_or_not(make, clock):
    service = docs(make, propagate_delay=5)
    service.insert("docs", [Vector("a", ONES), Vector("b", ONES), Vector("a", ONES)])
    assert done(service)[1] == 2
    clock.now += 5
    assert done(service)[1] == 2
    service.upsert("docs", [Vector("a", ZEROS), Vector("c", ONES)])
    assert done(service)[1] == 3
    service.delete_by_ids("docs", ["a", "c", "none such"])
    assert done(service)[1] == 1
    service.insert("docs", [Vector("a", ONES)])
    assert done(service)[1] == 2
    assert seen(service) == "ab"
    clock.now += 5
    # Deleted and inserted again, the first has become the last.
    assert seen(service) == "ba"
    assert done(service)[1] == 2


def test_the_order_of_mutations_is_kept(make, clock):
    service = docs(make, process_delay=10)
    for write in (
        lambda: service.insert("docs", [Vector("a", ONES), Vector("b", ONES)]),
        lambda: service.delete_by_ids("docs", ["a"]),
        lambda: service.insert("docs", [Vector("a", ZEROS), Vector("b", ZEROS)]),
        lambda: service.upsert("docs", [Vector("b", ZEROS, "moved")]),
    ):
        last = write()
    clock.now += 10
    got = {vector.id: vector for vector in service.get_by_ids("docs", ["a", "b"])}
    assert got == {"a": Vector("a", ZEROS), "b": Vector("b", ZEROS, "moved")}
    assert done(service) == (last.mutation_id, 2)


def test_each_mutation_has_its_own_time(make, clock):
    service = docs(make, process_delay=10)
    first = service.insert("docs", [Vector("a", ONES)])
    clock.now += 4
    second = service.insert("docs", [Vector("b", ONES)])
    clock.now += 6
    assert (done(service), seen(service)) == ((first.mutation_id, 1), "a")
    clock.now += 4
    assert (done(service), seen(service)) == ((second.mutation_id, 2), "ab")


@pytest.mark.parametrize("switch", ["processed", "submitted"])
def test_the_processed_time_in_milliseconds(make, clock, switch):
    service = docs(make, process_delay=10, propagate_delay=5, processed_datetime=switch)
    clock.now += 0.1239
    service.insert("docs", [Vector("a", ONES)])
    submitted = clock.now
    expected = datetime.fromtimestamp(submitted + (10 if switch == "processed" else 0), UTC)
    expected = expected.replace(microsecond=123000)
    for delay in (10, 5):
        clock.now += delay
        assert service.index_info("docs").processed_up_to_datetime == expected


def test_without_delays_a_clock_set_back_delays_nothing(make, clock):
    service = docs(make)
    clock.now += 3600
    service.insert("docs", [Vector("a", ONES)])
    clock.now -= 3600
    receipt = service.insert("docs", [Vector("b", ONES)])
    assert seen(service) == "ab"
    assert done(service) == (receipt.mutation_id, 2)


def test_a_clock_that_is_set_back_leaves_times_ascending(make, clock):
    service = docs(make, process_delay=10)
    clock.now += 1000
    service.upsert("docs", [Vector("a", ONES)])
    clock.now -= 100
    service.upsert("docs", [Vector("a", ZEROS), Vector("b", ZEROS)])
    clock.now += 9
    assert seen(service) == ""
    assert done(service) == (None, 0)
    clock.now += 1
    assert service.get_by_ids("docs", ["a"]) == (Vector("a", ZEROS),)
    at = service.index_info("docs").processed_up_to_datetime
    clock.now -= 50
    service.upsert("docs", [Vector("c", ZEROS)])
    clock.now += 60
    assert service.index_info("docs").processed_up_to_datetime >= at


def test_pending_mutations_die_with_their_index(make, clock):
    service = docs(make, process_delay=10)
    service.insert("docs", [Vector("a", ONES)])
    service.delete_index("docs")
    service.create_index("docs", IndexConfig(32))
    clock.now += 10
    assert (done(service), seen(service)) == ((None, 0), "")


def test_a_listing_is_of_what_was_seen_when_it_began(make, clock):
    service = docs(make, process_delay=10)
    service.insert("docs", [Vector("a", ONES), Vector("b", ONES)])
    clock.now += 10
    service.delete_by_ids("docs", ["b"])
    page = service.list_vectors("docs", count=1)
    clock.now += 10
    assert seen(service) == "a"
    assert service.list_vectors("docs", cursor=page.next_cursor).ids == ("b",)


@pytest.mark.parametrize(
    "name", ["process_delay", "propagate_delay", "metadata_index_delay", "cursor_lifetime"]
)
@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_delays_are_durations(name, seconds):
    with pytest.raises(ValueError, match=name):
        Behavior(**{name: seconds})


@pytest.mark.parametrize("reopened", [False, True])
def test_a_clock_that_once_ran_ahead_hides_no_later_write(make, tmp_path, clock, reopened):
    """Hours after it was set right, each write is visible after its own delay, in order."""
    service = make(tmp_path, process_delay=10, propagate_delay=10, metadata_index_delay=30)
    service.create_index("docs", IndexConfig(32))
    right = clock.now
    clock.now += 5 * 3600
    service.upsert("docs", [Vector("a", ONES, None, {"n": 0})])
    clock.now = right + 60
    if reopened:
        service.close()
        service = make(tmp_path, process_delay=10, propagate_delay=10, metadata_index_delay=30)
    # Also what was pending when it was set back.
    service.list_vectors("docs")
    clock.now += 21
    assert service.list_vectors("docs").ids == ("a",)
    service.create_metadata_index("docs", "n", "number")
    clock.now += 31
    for n in range(3):
        service.upsert("docs", [Vector("a", ONES, None, {"n": n}), Vector(f"b{n}", ONES)])
        clock.now += 21
        assert service.get_by_ids("docs", ["a"])[0].metadata == {"n": n}
        found = service.query("docs", vector=ONES, filter={"n": n})
        assert [match.id for match in found.matches] == ["a"]
    service.delete_by_ids("docs", ["a"])
    clock.now -= 7200
    assert "a" in service.list_vectors("docs").ids
    clock.now += 21
    assert "a" not in service.list_vectors("docs").ids
    # The time that is told never goes back, and is the clock's again when that has caught up.
    assert service.index_info("docs").processed_up_to_datetime.timestamp() > right + 5 * 3600
    clock.now = right + 9 * 3600
    service.upsert("docs", [Vector("z", ONES)])
    clock.now += 21
    assert service.list_vectors("docs").ids[-1] == "z"
