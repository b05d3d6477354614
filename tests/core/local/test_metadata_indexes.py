import numpy as np
import pytest

from vectorize_core.models import IndexConfig, MetadataIndex, Vector

ONES = np.ones(32)


@pytest.fixture
def docs(service):
    service.create_index("docs", IndexConfig(32))
    return service


def put(service, *names, **metadata):
    service.upsert("docs", [Vector(name, ONES, None, metadata) for name in names])


def found(service, **conditions):
    result = service.query("docs", vector=ONES, top_k=50, filter=conditions)
    return "".join(match.id for match in result.matches)


def test_metadata_indexes_are_listed_in_order_of_creation(docs):
    docs.create_metadata_index("docs", "t", "string")
    docs.create_metadata_index("docs", "a.n", "number")
    docs.create_metadata_index("docs", "b", "boolean")
    assert docs.list_metadata_indexes("docs") == (
        MetadataIndex("t", "string"),
        MetadataIndex("a.n", "number"),
        MetadataIndex("b", "boolean"),
    )


def test_their_mutations_show_in_the_info(docs):
    created = docs.create_metadata_index("docs", "n", "number")
    info = docs.index_info("docs")
    assert (info.processed_up_to_mutation, info.vector_count) == (created.mutation_id, 0)
    deleted = docs.delete_metadata_index("docs", "n")
    assert docs.index_info("docs").processed_up_to_mutation == deleted.mutation_id
    assert created.mutation_id != deleted.mutation_id


def test_there_is_no_backfill(docs, clock):
    put(docs, "a", "b", n=1)
    clock.now += 1
    docs.create_metadata_index("docs", "n", "number")
    put(docs, "c", n=1)
    assert found(docs, n=1) == "c"
    assert found(docs, n={"$ne": 1}) == "ab"
    put(docs, "a", n=1)
    assert found(docs, n=1) == "ac"


def test_what_filters_read_of_a_deleted_index_is_freed(docs):
    docs.create_metadata_index("docs", "kept", "number")
    for _ in range(3):
        docs.create_metadata_index("docs", "n", "number")
        put(docs, "a", n=1, kept=2)
        assert found(docs, n=1, kept=2) == "a"
        docs.delete_metadata_index("docs", "n")
        assert found(docs, n=1) == ""
        assert found(docs, kept=2) == "a"
    assert len(docs._snapshots._latest["docs"].columns._known) == 1


def test_an_ignored_insert_does_not_index(docs):
    put(docs, "a", n=1)
    docs.create_metadata_index("docs", "n", "number")
    docs.insert("docs", [Vector("a", ONES, None, {"n": 1})])
    assert found(docs, n=1) == ""


def test_a_new_metadata_index_starts_afresh_after_a_deleted_one(docs):
    docs.create_metadata_index("docs", "n", "number")
    put(docs, "a", n=1)
    docs.delete_metadata_index("docs", "n")
    assert docs.list_metadata_indexes("docs") == ()
    assert found(docs, n=1) == ""
    docs.create_metadata_index("docs", "n", "string")
    assert docs.list_metadata_indexes("docs") == (MetadataIndex("n", "string"),)
    assert found(docs, n=1) == ""
    put(docs, "b", n=1)
    assert found(docs, n="1") == "b"


def test_ten_metadata_indexes_an_index(docs, refused):
    for i in range(10):
        docs.create_metadata_index("docs", f"p{i}", "string")
    with refused(None, "max count is 10"):
        docs.create_metadata_index("docs", "p10", "string")
    docs.delete_metadata_index("docs", "p3")
    docs.create_metadata_index("docs", "p10", "string")
    assert len(docs.list_metadata_indexes("docs")) == 10
    docs.create_index("other", IndexConfig(32))
    docs.create_metadata_index("other", "p10", "string")


def test_pending_ones_count_towards_the_ten(make, refused):
    service = make(metadata_index_delay=60)
    service.create_index("docs", IndexConfig(32))
    for i in range(10):
        service.create_metadata_index("docs", f"p{i}", "string")
    with refused(None, "max count is 10"):
        service.create_metadata_index("docs", "p10", "string")


@pytest.mark.parametrize("name", ["", 'a"b', "$a", "x" * 513, 7, "\ud835"])
def test_property_names_that_are_refused(docs, refused, name):
    with refused(None, "propert"):
        docs.create_metadata_index("docs", name, "string")


def test_property_names_that_are_accepted(docs):
    for name in ("a.b.c", "x" * 512, "a|b", "é"):
        docs.create_metadata_index("docs", name, "string")


@pytest.mark.parametrize("kind", ["text", "String", None])
def test_other_types_are_refused(docs, refused, kind):
    with refused(49999, "indexType"):
        docs.create_metadata_index("docs", "n", kind)


def test_an_existing_property_again(make, refused):
    for switch in ("error", "accepted"):
        service = make(duplicate_metadata_index=switch)
        service.create_index("docs", IndexConfig(32))
        service.create_metadata_index("docs", "n", "number")
        put(service, "a", n=1)
        if switch == "error":
            with refused(None, "already exists"):
                service.create_metadata_index("docs", "n", "number")
        else:
            receipt = service.create_metadata_index("docs", "n", "string")
            assert service.index_info("docs").processed_up_to_mutation == receipt.mutation_id
        assert service.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
        assert found(service, n=1) == "a"


def test_one_that_does_not_exist_deleted(make, refused):
    for switch in ("error", "accepted"):
        service = make(missing_metadata_index=switch)
        service.create_index("docs", IndexConfig(32))
        if switch == "error":
            with refused(None, "no metadata index", 404):
                service.delete_metadata_index("docs", "n")
        else:
            assert service.delete_metadata_index("docs", "n").mutation_id
        with refused(None, "propertyName: expected a string"):
            service.delete_metadata_index("docs", None)


def test_a_metadata_index_goes_live_after_its_delay(make, clock):
    service = make(metadata_index_delay=60)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    clock.now += 59
    put(service, "a", n=1)
    assert service.list_metadata_indexes("docs") == ()
    assert found(service, n=1) == ""
    clock.now += 1
    assert service.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
    assert found(service, n=1) == ""
    put(service, "b", n=1)
    assert found(service, n=1) == "b"
    service.delete_metadata_index("docs", "n")
    assert found(service, n=1) == "b"
    clock.now += 60
    assert (found(service, n=1), service.list_metadata_indexes("docs")) == ("", ())


def test_what_is_written_after_the_clock_went_back_is_not_taken_for_held(make, clock):
    service = make(metadata_index_delay=60)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    clock.now += 61
    assert service.count_uncovered("docs", "n") == 0
    clock.now -= 30
    put(service, "a", n=1)
    clock.now += 90
    assert service.count_uncovered("docs", "n") == 1


def test_a_vector_processed_after_the_index_went_live_is_covered(make, clock):
    service = make(metadata_index_delay=60, process_delay=30)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    clock.now += 29
    put(service, "a", n=1)
    clock.now += 1
    put(service, "b", n=1)
    clock.now += 30
    assert service.list_vectors("docs").ids == ("a", "b")
    assert found(service, n=1) == "b"


def test_at_the_same_instant_the_order_of_the_calls_decides(make):
    service = make()
    service.create_index("docs", IndexConfig(32))
    put(service, "a", n=1)
    service.create_metadata_index("docs", "n", "number")
    put(service, "b", n=1)
    assert found(service, n=1) == "b"


def test_a_property_may_be_indexed_again_during_its_deletion(make, clock):
    service = make(metadata_index_delay=60)
    service.create_index("docs", IndexConfig(32))
    service.create_metadata_index("docs", "n", "number")
    clock.now += 60
    put(service, "a", n=1)
    service.delete_metadata_index("docs", "n")
    service.create_metadata_index("docs", "n", "string")
    assert service.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
    clock.now += 60
    assert service.list_metadata_indexes("docs") == (MetadataIndex("n", "string"),)
    assert found(service, n=1) == ""


def test_an_older_services_longer_delays_are_kept(make, tmp_path, clock):
    slow, quick = make(tmp_path, metadata_index_delay=60), make(tmp_path)
    slow.create_index("docs", IndexConfig(32))
    slow.create_metadata_index("docs", "n", "number")
    clock.now += 60
    slow.delete_metadata_index("docs", "n")
    quick.create_metadata_index("docs", "n", "string")
    assert quick.list_metadata_indexes("docs") == (MetadataIndex("n", "number"),)
    clock.now += 60
    assert quick.list_metadata_indexes("docs") == (MetadataIndex("n", "string"),)


def test_one_deleted_before_it_went_live_is_never_listed(make, tmp_path, clock):
    slow, quick = make(tmp_path, metadata_index_delay=60), make(tmp_path)
    slow.create_index("docs", IndexConfig(32))
    slow.create_metadata_index("docs", "n", "number")
    clock.now += 30
    quick.delete_metadata_index("docs", "n")
    for _ in range(4):
        assert slow.list_metadata_indexes("docs") == ()
        clock.now += 30


def indexed(service):
    matches = service.query("docs", vector=ONES, return_metadata="indexed").matches
    return {match.id: match.metadata for match in matches}


def test_indexed_metadata_is_what_the_metadata_indexes_hold(docs):
    put(docs, "a", t="before the index")
    docs.create_metadata_index("docs", "t", "string")
    docs.create_metadata_index("docs", "d.n", "number")
    put(docs, "b", t="x" * 63 + "é", d={"n": 1, "m": 2}, other=3)
    put(docs, "c", t=10, d={"n": "many"})
    put(docs, "d", t=None, d=5)
    docs.upsert("docs", [Vector("e", ONES)])
    assert indexed(docs) == {
        "a": {},
        "b": {"t": "x" * 63, "d": {"n": 1}},
        "c": {"t": 10},
        "d": {},
        "e": None,
    }


def test_indexed_metadata_of_arrays(make):
    for switch, expected in (("ignored", {}), ("elements", {"t": ["x" * 64, "y"]})):
        service = make(arrays=switch)
        service.create_index("docs", IndexConfig(32))
        service.create_metadata_index("docs", "t", "string")
        put(service, "a", t=["x" * 70, "y"])
        assert indexed(service) == {"a": expected}


def test_indexed_metadata_of_nested_properties(make):
    for switch, expected in (
        ("nested", {"a": {"b": 1, "c": {"d": 2}}}),
        ("flat", {"a.b": 1, "a.c.d": 2}),
    ):
        service = make(indexed_metadata=switch)
        service.create_index("docs", IndexConfig(32))
        service.create_metadata_index("docs", "a.b", "number")
        service.create_metadata_index("docs", "a.c.d", "number")
        put(service, "x", a={"b": 1, "c": {"d": 2}, "e": 3})
        assert indexed(service) == {"x": expected}
