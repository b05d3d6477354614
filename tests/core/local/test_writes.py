import types
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.local import Behavior, ServiceFault, validation
from vectorize_core.models import IndexConfig, Vector

ONES, ZEROS = np.ones(32), np.zeros(32)


@pytest.fixture
def docs(service):
    service.create_index("docs", IndexConfig(32))
    return service


@pytest.fixture(params=["insert", "upsert"])
def put(request, docs):
    def write(*vectors: Vector):
        return getattr(docs, request.param)("docs", vectors)

    write.verb = request.param
    return write


def stored(service):
    ids = service.list_vectors("docs").ids
    return {vector.id: vector for vector in service.get_by_ids("docs", ids)}


def test_what_is_put_comes_back_as_float32(docs, put):
    values = np.random.default_rng(1).standard_normal(32)
    metadata = {"a": {"b": [1, "é", None, 2.5, True]}, "big": 2**63}
    receipt = put(Vector("a", values, "space", metadata))
    made = uuid.UUID(receipt.mutation_id)
    assert (str(made), made.version, made.variant) == (receipt.mutation_id, 4, uuid.RFC_4122)
    (got,) = docs.get_by_ids("docs", ["a"])
    assert got == Vector("a", values.astype(np.float32), "space", metadata)
    assert got.values.dtype == np.float32


def test_insert_lets_the_first_write_win(docs):
    docs.insert("docs", [Vector("a", ONES, "one", {"n": 1}), Vector("a", ZEROS, "two", {"n": 2})])
    docs.insert("docs", [Vector("a", ZEROS), Vector("b", ZEROS)])
    assert stored(docs) == {"a": Vector("a", ONES, "one", {"n": 1}), "b": Vector("b", ZEROS)}
    assert docs.index_info("docs").vector_count == 2


def test_upsert_replaces_as_a_whole_and_the_last_write_wins(docs):
    docs.upsert("docs", [Vector("a", ONES, "one", {"n": 1, "m": 1})])
    docs.upsert("docs", [Vector("a", ONES, "x"), Vector("a", ZEROS, None, {"k": 2})])
    assert stored(docs) == {"a": Vector("a", ZEROS, None, {"k": 2})}


def test_an_upsert_moves_a_vector_to_its_new_namespace(docs):
    docs.upsert("docs", [Vector("a", ONES, "one")])
    docs.upsert("docs", [Vector("a", ONES, "two")])
    assert docs.query("docs", vector=ONES, namespace="one").matches == ()
    (match,) = docs.query("docs", vector=ONES, namespace="two").matches
    assert match.namespace == "two"


def test_a_null_namespace_and_empty_metadata_are_accepted(docs, put):
    put(Vector("a", ONES, None, {}), Vector("b", ONES))
    assert [vector.metadata for vector in docs.get_by_ids("docs", ["a", "b"])] == [None, None]


def test_what_was_passed_may_change_afterwards(docs, put):
    values, metadata = np.ones(32, dtype=np.float32), {"tags": ["x"]}
    put(Vector("a", values, None, metadata))
    values[:] = 7
    metadata["tags"].append("y")
    (got,) = docs.get_by_ids("docs", ["a"])
    assert got == Vector("a", ONES, None, {"tags": ["x"]})
    got.values[:] = 9
    got.metadata["tags"].clear()
    match = docs.query("docs", vector=ONES, return_values=True, return_metadata="all").matches[0]
    assert (match.values == 1).all()
    assert match.metadata == {"tags": ["x"]}
    match.values[:16] = 9
    assert docs.query("docs", vector=ONES).matches[0].score == 1.0


def test_an_empty_write_is_accepted(docs, put):
    assert put().mutation_id
    assert docs.index_info("docs").vector_count == 0


def test_ids_have_up_to_64_bytes(docs, put, refused):
    put(Vector("x" * 64, ONES), Vector("é" * 32, ONES))
    with refused(40008, "id too long; max is 64 bytes, got 65 bytes"):
        put(Vector("x" * 65, ONES))
    with refused(40008, "got 66 bytes"):
        put(Vector("é" * 33, ONES))
    with refused(None, "empty"):
        put(Vector("", ONES))


def test_namespaces_have_up_to_64_bytes(put, refused):
    put(Vector("a", ONES, "é" * 32))
    with refused(None, "namespace too long; max is 64 bytes, got 65 bytes"):
        put(Vector("a", ONES, "x" * 65))


@pytest.mark.parametrize("others", [0, 1])
def test_what_is_no_text_or_mapping_is_refused_also_if_it_is_false(put, refused, others):
    wrong = [Vector("a", ONES, namespace) for namespace in (0, False, [], b"")]
    wrong += [Vector("a", ONES, None, each) for each in (0, False, [], "", np.zeros(2))]
    for vector in wrong:
        with refused(40023, f"line Some({others}) was not expected format"):
            put(*[Vector("other", ONES)] * others, vector)


@pytest.mark.parametrize("others", [0, 1])
def test_values_that_are_assigned_are_checked(docs, put, refused, others):
    before = [Vector("other", ONES)] * others
    assigned = Vector("a", ONES)
    for values in ([1e39] * 32, np.ones((32, 1)), None, "1" * 32, np.ones(32, complex)):
        assigned.values = values
        with refused(40023, f"line Some({others}) was not expected format"):
            put(*before, assigned)
    assigned.values = [2] * 32
    put(*before, assigned)
    assert stored(docs)["a"].values.tolist() == [2.0] * 32


def test_vectors_have_the_dimensions_of_their_index(put, refused):
    for size in (31, 33):
        text = f'invalid vector for id="bad", expected 32 dimensions, and got {size} dimensions'
        with refused(40012, text):
            put(Vector("good", ONES), Vector("bad", np.ones(size)))


def test_metadata_has_up_to_10240_bytes_of_compact_json(docs, put, refused):
    # {"t":"..."} is eight bytes more than its text.
    put(Vector("a", ONES, None, {"t": "é" * 5116}))
    text = (
        'oversized metadata for vector id="a"; the compact JSON representation of the metadata '
        "must not exceed 10240 bytes, got 10241 bytes"
    )
    with refused(40016, text):
        put(Vector("a", ONES, None, {"t": "x" * 10233}))


def test_a_write_has_up_to_5000_vectors(docs, put, refused):
    vectors = [Vector(str(i), ONES) for i in range(5001)]
    with refused(None, "max count is 5000, got 5001"):
        put(*vectors)
    put(*vectors[:5000])
    assert docs.index_info("docs").vector_count == 5000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_json_cannot_say_are_refused(put, refused, value):
    verb = put.verb
    text = (
        f"vectorize.upstream_error - failed to parse {verb} vectors request in ndjson format: "
        "line Some(1) was not expected format"
    )
    with refused(40023, text):
        put(Vector("a", ONES), Vector("b", [value] * 32))


@pytest.mark.parametrize(
    "bad",
    [
        Vector("\ud835", ONES),
        Vector(7, ONES),
        Vector("a", ONES, "\ud835"),
        Vector("a", ONES, 7),
        Vector("a", ONES, None, {"t": "\ud835"}),
        Vector("a", ONES, None, {"t": [{"\ud835": 1}]}),
        Vector("a", ONES, None, {"t": float("nan")}),
        Vector("a", ONES, None, {"t": 2**64}),
        Vector("a", ONES, None, {"t": (1, 2)}),
        Vector("a", ONES, None, {"t": {1, 2}}),
        Vector("a", ONES, None, {7: 1}),
        Vector("a", ONES, None, ["t"]),
    ],
)
def test_what_json_cannot_say_is_refused(put, refused, bad):
    with refused(40023, "line Some(0) was not expected format"):
        put(bad)


@pytest.mark.parametrize("depth", [300, 4000])
def test_metadata_nested_too_deeply_is_refused(put, refused, depth):
    nested: list = []
    for _ in range(depth):
        nested = [nested]
    with refused(40023):
        put(Vector("a", ONES, None, {"t": nested}))


@pytest.mark.parametrize("key", ["", "a.b", ".", 'a"b', "$a"])
def test_metadata_keys_that_are_refused(make, refused, key):
    for switch in ("checked", "free"):
        service = make(nested_keys=switch)
        service.create_index("docs", IndexConfig(32))
        with refused(None, f"the key {key!r}"):
            service.upsert("docs", [Vector("a", ONES, None, {key: 1})])
        nested = Vector("a", ONES, None, {"deep": {"deeper": {key: 1}}})
        if switch == "checked":
            with refused(None, f"the key {key!r}"):
                service.upsert("docs", [nested])
        else:
            service.upsert("docs", [nested])
            assert service.get_by_ids("docs", ["a"]) == (nested,)


@pytest.mark.parametrize("key", ["a$", "a|b", "é", "a b", "_vs", "x" * 600])
def test_metadata_keys_that_are_accepted(docs, put, key):
    put(Vector("a", ONES, None, {key: 1}))
    assert docs.get_by_ids("docs", ["a"])[0].metadata == {key: 1}


def test_any_mapping_may_be_metadata(docs, put):
    view = types.MappingProxyType
    put(Vector("a", ONES, None, view({"n": 1, "deep": [view({"m": 2})]})))
    assert docs.get_by_ids("docs", ["a"])[0].metadata == {"n": 1, "deep": [{"m": 2}]}


def test_one_bad_vector_refuses_the_whole_write(docs, put, refused):
    before = docs.index_info("docs")
    with refused(40008):
        put(Vector("a", ONES), Vector("x" * 65, ONES), Vector("b", ONES))
    with refused(40012):
        put(Vector("a", ONES), Vector("b", np.ones(40)))
    assert docs.list_vectors("docs").ids == ()
    assert docs.index_info("docs") == before


def test_delete_removes_and_unknown_ids_do_no_harm(docs):
    docs.insert("docs", [Vector(name, ONES) for name in "abc"])
    receipt = docs.delete_by_ids("docs", ["b", "none such", "b"])
    assert docs.list_vectors("docs").ids == ("a", "c")
    assert docs.index_info("docs").processed_up_to_mutation == receipt.mutation_id
    assert [match.id for match in docs.query("docs", vector=ONES).matches] == ["a", "c"]


def test_a_delete_of_nothing_is_accepted(docs):
    assert docs.delete_by_ids("docs", []).mutation_id


def test_a_delete_takes_up_to_100_ids(docs, refused):
    docs.delete_by_ids("docs", [str(i) for i in range(100)])
    with refused(40007, "too many ids in payload; max id count is 100, got 101"):
        docs.delete_by_ids("docs", [str(i) for i in range(101)])


@pytest.mark.parametrize("call", ["get_by_ids", "delete_by_ids"])
def test_ids_are_short_strings(docs, refused, call):
    call = getattr(docs, call)
    call("docs", ["x" * 64])
    with refused(40008, "got 65 bytes"):
        call("docs", ["a", "x" * 65])
    for wrong in ([7], ["\ud835"], "abc", None):
        with refused(49999, "ids"):
            call("docs", wrong)


def test_get_takes_up_to_20_ids_and_keeps_their_order(docs, refused):
    docs.insert("docs", [Vector(str(i), ONES) for i in range(30)])
    wanted = [str(i) for i in reversed(range(18))]
    got = docs.get_by_ids("docs", [wanted[0], "none such", *wanted])
    assert [vector.id for vector in got] == wanted
    with refused(40007, "too many ids in payload; max id count is 20, got 21"):
        docs.get_by_ids("docs", [str(i) for i in range(21)])
    assert docs.get_by_ids("docs", []) == ()


def test_text_of_every_kind_survives(docs):
    names = ["nul\x00nul", "quote'", "😀", " ", "\u2028"]
    docs.upsert("docs", [Vector(name, ONES, name, {"t": name}) for name in names])
    assert docs.list_vectors("docs").ids == tuple(names)
    got = docs.get_by_ids("docs", names)
    assert [(v.id, v.namespace, v.metadata["t"]) for v in got] == [(n, n, n) for n in names]


def test_a_key_that_was_fine_once_is_looked_at_again_inside_another(put, refused):
    put(Vector("a", ONES, None, {"fine": 1}), Vector("b", ONES, None, {"fine": {"deep": 1}}))
    with refused(None, "'no.good'"):
        put(Vector("a", ONES, None, {"fine": 1}), Vector("b", ONES, None, {"fine": {"no.good": 1}}))
    with refused(None, "'no.good'"):
        put(
            Vector("a", ONES, None, {"fine": 1}), Vector("b", ONES, None, {"fine": 1, "no.good": 1})
        )


def test_the_vector_that_holds_no_number_is_named_among_others(put, refused):
    for odd in (np.nan, np.inf, -np.inf):
        with refused(40023, "line Some(1)"):
            put(Vector("a", ONES), Vector("b", np.full(32, odd)), Vector("c", ONES))
    put(Vector("a", np.full(32, 3e38)), Vector("b", ONES))


KINDS = [
    Vector("a", ONES),
    Vector("b", ONES, "one", {"t": "x", "n": 1.5, "é": None}),
    Vector("é", ONES, "é", {"t": "},{"}),
    Vector("c", ONES, None, {"nested": {"t": [1]}}),
    Vector("d", ONES, None, types.MappingProxyType({"t": "x"})),
    Vector("e", ONES, None, {}),
    Vector("", ONES),
    Vector("x" * 65, ONES),
    Vector("f", ONES, "x" * 65),
    Vector(7, ONES),
    Vector("g", ONES, 7),
    Vector("h", [*ONES[1:], float("nan")]),
    Vector("i", ONES, None, {"t": float("inf")}),
    Vector("j", ONES, None, {"$t": 1}),
    Vector("k", ONES, None, {7: 1}),
    Vector("l", ONES, None, {"t": "é" * 5_120}),
]


def each_by_itself(vectors):
    """The stored form of each vector, or what is wrong with the first that cannot be stored."""
    stored = []
    for line, vector in enumerate(vectors):
        try:
            stored += validation.batch("insert", [vector], Behavior()).stored()
        except ServiceFault as fault:
            return (
                str(fault).replace("Some(0)", f"Some({line})").replace("vector 0", f"vector {line}")
            )
    return stored


@given(st.lists(st.sampled_from(KINDS), max_size=6))
@examples(100)
def test_many_vectors_are_checked_as_each_by_itself(vectors):
    try:
        found = [*validation.batch("insert", vectors, Behavior()).stored()]
    except ServiceFault as fault:
        found = str(fault)
    assert found == each_by_itself(vectors)
