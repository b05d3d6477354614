"""What filters match: https://developers.cloudflare.com/vectorize/reference/metadata-filtering/"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.filters import native
from vectorize_core.local import Behavior, Service, matching
from vectorize_core.models import IndexConfig, IndexType, Vector

ONES = np.ones(32)


def fill(
    service: Service, indexes: Mapping[str, IndexType], metadata: Mapping[str, Mapping[str, Any]]
) -> Callable[..., str]:
    """An index of vectors named by single letters, and a function from filter to their names."""
    service.create_index("i", IndexConfig(32))
    for name, kind in indexes.items():
        service.create_metadata_index("i", name, kind)
    service.upsert("i", [Vector(name, ONES, metadata=given) for name, given in metadata.items()])

    def ask(expression: Any, **more: Any) -> str:
        result = service.query("i", vector=ONES, top_k=50, filter=expression, **more)
        return "".join(sorted(match.id for match in result.matches))

    return ask


def test_every_operator_on_numbers(service):
    ask = fill(service, {"n": "number"}, {"a": {"n": 1}, "b": {"n": 2.5}, "c": {"n": -3}, "d": {}})
    assert ask({"n": 1}) == ask({"n": {"$eq": 1}}) == ask({"n": {"$eq": 1.0}}) == "a"
    assert ask({"n": {"$in": [1, -3, 7]}}) == "ac"
    assert ask({"n": {"$gt": 1}}) == "b"
    assert ask({"n": {"$gte": 1}}) == "ab"
    assert ask({"n": {"$lt": 1}}) == "c"
    assert ask({"n": {"$lte": 1}}) == "ac"
    assert ask({"n": {"$gt": -3, "$lte": 2.5}}) == "ab"
    assert ask({"n": {"$ne": 1}}) == "bcd"
    assert ask({"n": {"$nin": [1, 2.5]}}) == "cd"


def test_booleans_are_not_numbers(service):
    ask = fill(
        service,
        {"n": "number", "b": "boolean"},
        {"a": {"n": True, "b": True}, "c": {"n": 1, "b": 1}},
    )
    assert ask({"n": 1}) == "c"
    assert ask({"n": True}) == ""
    assert ask({"b": True}) == "a"
    assert ask({"b": 1}) == ""
    assert ask({"b": {"$ne": False}}) == "ac"


def test_strings_compare_by_their_utf8_bytes(service):
    texts = {
        "a": "net",
        "b": "network",
        "c": "neu",
        "d": "Z",
        "e": "é",
        "f": "\uffff",
        "g": "\U0001f600",
    }
    ask = fill(service, {"t": "string"}, {name: {"t": text} for name, text in texts.items()})
    assert ask({"t": {"$gte": "net", "$lt": "neu"}}) == "ab"
    assert ask({"t": {"$lt": "a"}}) == "d"
    # In UTF-16, as JavaScript compares, the last one would come before the one above it.
    assert ask({"t": {"$gt": "\uffff"}}) == "g"
    assert ask({"t": {"$gt": "z"}}) == "efg"


def test_conditions_on_several_properties_must_all_hold(service):
    ask = fill(
        service,
        {"n": "number", "t": "string"},
        {"a": {"n": 1, "t": "x"}, "b": {"n": 1, "t": "y"}, "c": {"n": 2, "t": "x"}},
    )
    assert ask({"n": 1, "t": "x"}) == "a"
    assert ask({"n": {"$ne": 1}, "t": {"$ne": "y"}}) == "c"


def test_no_filter_and_an_empty_filter_match_everything(service):
    ask = fill(service, {}, {"a": {}, "b": {"n": 1}})
    assert ask(None) == ask({}) == "ab"


def test_dots_lead_into_nested_objects(service):
    ask = fill(
        service,
        {"pandas.nice": "number", "pandas": "string"},
        {
            "a": {"pandas": {"nice": 42}},
            "b": {"pandas": {"nice": {"x": 42}}},
            "c": {"pandas": "42"},
        },
    )
    assert ask({"pandas.nice": 42}) == "a"
    assert ask({"pandas.nice": {"$ne": 42}}) == "bc"
    assert ask({"pandas": {"$gte": ""}}) == "c"


def test_a_property_without_a_metadata_index_matches_nothing(service):
    ask = fill(service, {}, {"a": {"n": 1}, "b": {}})
    for test in (1, {"$in": [1]}, {"$gt": 0, "$lt": 5}, {"$lte": 5}):
        assert ask({"n": test}) == ""
    assert ask({"n": {"$ne": 1}}) == ask({"n": {"$nin": [1]}}) == "ab"


def test_null_and_missing_are_not_indexed(service):
    ask = fill(service, {"n": "number"}, {"a": {"n": 1}, "b": {"n": None}, "c": {}})
    assert ask({"n": {"$ne": None}}) == "abc"
    assert ask({"n": {"$nin": [None]}}) == "abc"
    assert ask({"n": {"$gte": -1e300}}) == "a"


@pytest.mark.parametrize("switch", ["nothing", "missing"])
def test_equal_to_null(make, switch):
    ask = fill(make(eq_null=switch), {"n": "number"}, {"a": {"n": 1}, "b": {"n": None}, "c": {}})
    missing = "" if switch == "nothing" else "bc"
    assert ask({"n": None}) == ask({"n": {"$eq": None}}) == ask({"n": {"$in": [None]}}) == missing
    assert ask({"n": {"$in": [1, None]}}) == "a" + missing
    assert ask({"n": {"$in": [7]}}) == ask({"n": 7}) == ""


@pytest.mark.parametrize("switch", [True, False])
def test_negation_of_missing_properties(make, switch):
    ask = fill(
        make(negation_matches_missing=switch),
        {"n": "number"},
        {"a": {"n": 1}, "b": {"n": 2}, "c": {}},
    )
    missing = "c" if switch else ""
    assert ask({"n": {"$ne": 1}}) == ask({"n": {"$nin": [1, 7]}}) == "b" + missing
    assert ask({"unindexed": {"$ne": 1}}) == ("abc" if switch else "")


@pytest.mark.parametrize("switch", [True, False])
def test_values_and_operands_of_another_type(make, switch):
    ask = fill(
        make(coerce_types=switch),
        {"t": "string", "n": "number", "b": "boolean"},
        {
            "a": {"t": "string value", "n": 200, "b": True},
            "b": {"t": 10, "n": "100", "b": "true"},
            "c": {"t": False, "n": "many", "b": "yes"},
        },
    )
    assert ask({"t": {"$in": ["string value", 10, None]}}) == ("ab" if switch else "a")
    assert ask({"t": "10"}) == ("b" if switch else "")
    assert ask({"t": "false"}) == ask({"t": False}) == ("c" if switch else "")
    assert ask({"n": {"$gt": "150"}}) == ("a" if switch else "")
    assert ask({"n": {"$lte": 200}}) == ("ab" if switch else "a")
    assert ask({"n": {"$gt": "many"}}) == ask({"n": {"$eq": "many"}}) == ""
    assert ask({"b": True}) == ("ab" if switch else "a")
    assert ask({"b": "true"}) == ("ab" if switch else "")
    assert ask({"t": {"$ne": 10}}) == ("ac" if switch else "abc")
    assert ask({"n": {"$ne": "200"}}) == ("bc" if switch else "abc")


@pytest.mark.parametrize("text", ["1_0", " 10", "nan", "inf", "1e999", "٣", "0x10", ""])
def test_only_finite_decimal_text_is_a_number(text):
    assert matching.entry(text, "number", Behavior()) == ()


@pytest.mark.parametrize(("text", "number"), [("10", 10.0), ("-.5", -0.5), ("+1.e3", 1000.0)])
def test_decimal_text_is_a_number(text, number):
    assert matching.entry(text, "number", Behavior()) == (number,)


@pytest.mark.parametrize("switch", ["ignored", "elements"])
def test_arrays(make, switch):
    ask = fill(
        make(arrays=switch),
        {"t": "string"},
        {"a": {"t": ["x", "y"]}, "b": {"t": "x"}, "c": {"t": []}, "d": {"t": [["x"], {"t": "x"}]}},
    )
    elements = switch == "elements"
    assert ask({"t": "x"}) == ("ab" if elements else "b")
    assert ask({"t": {"$in": ["y", "z"]}}) == ("a" if elements else "")
    assert ask({"t": {"$gt": "x"}}) == ("a" if elements else "")
    assert ask({"t": {"$ne": "y"}}) == ("bcd" if elements else "abcd")
    assert ask({"t": {"$nin": ["x"]}}) == ("cd" if elements else "acd")


def test_strings_are_indexed_by_their_first_64_bytes(service):
    ask = fill(
        service,
        {"t": "string"},
        {
            "a": {"t": "x" * 64 + "A"},
            "b": {"t": "x" * 64},
            "c": {"t": "x" * 63},
            "d": {"t": "x" * 62 + "é"},
        },
    )
    assert ask({"t": "x" * 64}) == "ab"
    assert ask({"t": "x" * 63}) == "c"
    assert ask({"t": {"$gt": "x" * 63}}) == "abd"
    assert ask({"t": "x" * 62 + "é"}) == "d"


def test_cutting_never_splits_a_character(service):
    ask = fill(service, {"t": "string"}, {"a": {"t": "x" * 63 + "é"}, "b": {"t": "😀" * 17}})
    assert ask({"t": "x" * 63}) == "a"
    assert ask({"t": "😀" * 16}) == "b"
    assert matching.cut("x" * 63 + "é") == "x" * 63
    assert matching.cut("é" * 40) == "é" * 32


@pytest.mark.parametrize("switch", [True, False])
def test_long_operands(make, switch):
    ask = fill(
        make(truncate_filter_values=switch),
        {"t": "string"},
        {"a": {"t": "x" * 70}, "b": {"t": "y"}},
    )
    assert ask({"t": "x" * 70}) == ("a" if switch else "")
    assert ask({"t": {"$in": ["x" * 90]}}) == ("a" if switch else "")
    assert ask({"t": {"$gte": "x" * 70}}) == ("ab" if switch else "b")
    assert ask({"t": {"$ne": "x" * 70}}) == ("b" if switch else "ab")


def test_namespace_and_filter_narrow_before_the_top_k_is_taken(service):
    service.create_index("i", IndexConfig(32))
    service.create_metadata_index("i", "n", "number")
    near = [Vector(f"near{i}", ONES, "one", {"n": 0}) for i in range(60)]
    far = [Vector(f"far{i}", -ONES, space, {"n": 1}) for i, space in enumerate(["one", "two"])]
    service.upsert("i", near + far)
    found = service.query("i", vector=ONES, top_k=1, filter={"n": 1}, namespace="two")
    assert [match.id for match in found.matches] == ["far1"]


@pytest.mark.parametrize(
    "bad",
    [
        {"": 1},
        {"$and": []},
        {'a"b': 1},
        {"x" * 513: 1},
        {"a": {}},
        {"a": {"$gt": []}},
        {"a": {"$gt": True}},
        {"a": {"$regex": "x"}},
        {"a": {"$gt": 1, "$ne": 2}},
        {"a": {"$gt": 1, "$gte": 2}},
        {"a": {"$in": "x"}},
        {"a": ["x"]},
        {"a": {"$eq": float("nan")}},
        {"a": "\ud835"},
        ["a"],
        [],
        0,
    ],
)
def test_filters_outside_the_language_are_refused(service, refused, bad):
    ask = fill(service, {"a": "number"}, {"a": {"a": 1}})
    with refused(None, "invalid filter"):
        ask(bad)


def test_a_filter_stays_below_2048_bytes(service, refused):
    ask = fill(service, {"t": "string"}, {"a": {"t": "x" * 64}})
    # {"t":"..."} is eight bytes more than its text.
    assert ask({"t": "x" * 2039}) == "a"
    with refused(None, "2048"):
        ask({"t": "x" * 2040})


TEXTS = ["10", "1.5", "true", "a", "b", "é", "x" * 64, "x" * 65, "x" * 63 + "é"]
COMPARABLE = [-1, 0, 1, 1.5, 10, *TEXTS]
scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(COMPARABLE))
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.just({"inner": 1}))
operands = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), scalars),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(scalars, max_size=3)),
    st.tuples(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        scalars.filter(lambda v: type(v) in (int, str)),
    ),
)
behaviors = st.builds(
    Behavior,
    coerce_types=st.booleans(),
    truncate_filter_values=st.booleans(),
    arrays=st.sampled_from(["ignored", "elements"]),
    negation_matches_missing=st.booleans(),
    eq_null=st.sampled_from(["nothing", "missing"]),
)


@examples(80)
@given(
    rows=st.lists(values, max_size=8),
    test=operands,
    kind=st.sampled_from(["string", "number", "boolean"]),
    behavior=behaviors,
)
def test_a_column_answers_like_each_row_on_its_own(rows, test, kind, behavior):
    condition = native.Condition("p", *test)

    def mask(some: list[Any]) -> list[bool]:
        entries = [matching.entry(value, kind, behavior) for value in some]
        column = matching.build(kind, len(some), entries)
        return matching.matches(column, condition, behavior).tolist()

    assert mask(rows) == [mask([row])[0] for row in rows]
    opposite = {"$eq": "$ne", "$ne": "$eq", "$in": "$nin", "$nin": "$in"}.get(condition.operator)
    if opposite:
        indexed = [row for row in rows if matching.entry(row, kind, behavior)]
        negated = native.Condition("p", opposite, condition.operand)
        column = matching.build(
            kind, len(indexed), [matching.entry(v, kind, behavior) for v in indexed]
        )
        assert mask(indexed) == (~matching.matches(column, negated, behavior)).tolist()


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def meets(
    entry: matching.Entry, condition: native.Condition, kind: IndexType, behavior: Behavior
) -> bool:
    """What a condition means, tested on what the index holds for one vector."""
    several = condition.operator in ("$in", "$nin")
    given = condition.operand if several else [condition.operand]
    wanted = [matching.typed_operand(item, kind, behavior) for item in given]
    if condition.operator in COMPARISONS:
        (bound,) = wanted
        compare = COMPARISONS[condition.operator]
        return bound is not None and any(compare(value, bound) for value in entry)
    found = any(value in wanted for value in entry)
    if condition.operator in ("$eq", "$in"):
        return found or (not entry and None in given and behavior.eq_null == "missing")
    return not found if entry else behavior.negation_matches_missing


CONDITIONS = [
    *(native.Condition("p", name, operand) for name in COMPARISONS for operand in COMPARABLE),
    *(
        native.Condition("p", name, operand)
        for name in ("$eq", "$ne")
        for operand in (None, True, False, *COMPARABLE)
    ),
    *(
        native.Condition("p", name, operand)
        for name in ("$in", "$nin")
        for operand in ([], [None], [1, 1.5, 10], ["a", None, 1, True], TEXTS)
    ),
]


@examples(60)
@given(
    rows=st.lists(values, max_size=8),
    kind=st.sampled_from(["string", "number", "boolean"]),
    behavior=behaviors,
)
def test_a_column_answers_as_a_test_of_each_row_would(rows, kind, behavior):
    entries = [matching.entry(value, kind, behavior) for value in rows]
    column = matching.build(kind, len(rows), entries)
    for condition in CONDITIONS:
        expected = [meets(entry, condition, kind, behavior) for entry in entries]
        assert matching.matches(column, condition, behavior).tolist() == expected, condition
