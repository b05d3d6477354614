"""What is under a path with dots is shown to the service, wherever a record has it."""

from __future__ import annotations

import enum
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.filters.strategies import BEHAVIORS
from tests.core.filters.test_plan import passes
from tests.core.filters.test_sql import finds
from tests.nightly import examples
from tests.stores import shape
from vectorize_core import InvalidInputError, Vector, jsontext, layout
from vectorize_core.filters import plan, sql
from vectorize_core.filters.ast import And, Expression, Not, Or, Test
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record, nested
from vectorize_core.models import IndexType

INDEXED: dict[str, IndexType] = {
    "s": "string",
    "x.t": "string",
    "x.y": "number",
    "x.deep.b": "boolean",
}
HIDDEN = plan.in_records("text")


class Size(enum.Enum):
    SMALL, LARGE = "a", 10


TEXTS = st.sampled_from(["", "a", "10", "x" * 60, "x" * 64 + "a", "2026-01-02"])
NUMBERS = st.sampled_from([0, 1.0, 10, 2**53 + 1, 10**30])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.sampled_from(Size))
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=2), st.just(date(2026, 1, 2)), st.just({"b": True})
)
INSIDE = st.fixed_dictionaries(
    {},
    optional={
        "t": VALUES,
        "y": VALUES,
        "deep": st.one_of(VALUES, st.fixed_dictionaries({}, optional={"b": VALUES})),
        "other": st.sampled_from([date(2026, 1, 2), 1, None, {"a.b": 1}]),
    },
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "s": VALUES,
        "x": st.one_of(INSIDE, INSIDE, VALUES),
        "x.t": VALUES,
        "x.y": VALUES,
        "x.deep.b": VALUES,
        "x.deep": VALUES,
    },
)
TESTS = st.one_of(
    st.builds(Test, st.sampled_from(["x.t", "s"]), st.sampled_from(["$eq", "$gte", "$ne"]), TEXTS),
    st.builds(Test, st.just("x.y"), st.sampled_from(["$eq", "$lte", "$gt"]), NUMBERS),
    st.builds(Test, st.just("x.t"), st.just("$in"), st.tuples(TEXTS, TEXTS)),
    st.builds(Test, st.just("x.deep.b"), st.sampled_from(["$eq", "$ne"]), st.booleans()),
)
EXPRESSIONS: st.SearchStrategy[Expression] = st.one_of(
    TESTS,
    st.builds(lambda one, other: And((one, other)), TESTS, TESTS),
    st.builds(lambda one, other: Or((one, other)), TESTS, TESTS),
    st.builds(Not, TESTS),
)


def later(stored: dict[str, Any], indexed: Any) -> dict[str, Any]:
    """As a vector that was written before anything was indexed, and indexed again."""
    made = layout.completed(Vector("id", [1.0], None, stored), indexed)
    assert made.metadata is not None
    return dict(made.metadata)


@examples(150)
@given(METADATA, EXPRESSIONS, st.sampled_from(BEHAVIORS), st.booleans())
@example({"x.t": "a"}, Test("x.t", "$eq", "a"), BEHAVIORS[0], False)
@example({"x": {"t": "b"}, "x.t": "a"}, Test("x.t", "$eq", "a"), BEHAVIORS[0], True)
@example({"x": {"t": "a", "n": None}}, Test("x.t", "$eq", "a"), BEHAVIORS[0], True)
@example({"x": None, "x.t": "a"}, Test("x.t", "$eq", "a"), BEHAVIORS[0], True)
def test_whatever_matches_is_found(
    metadata: dict[str, Any], expression: Expression, behavior: Any, is_older: bool
) -> None:
    """By the service, and by the SQL of a text index; and it is read as it was written."""
    before = layout.encode(Record("id", "a text", metadata))
    stored = (
        later(before, INDEXED)
        if is_older
        else layout.encode(Record("id", "a text", metadata), indexed=INDEXED)
    )
    record = layout.decode("id", stored)
    assert shape(record.metadata) == shape(layout.decode("id", before).metadata) == shape(metadata)
    assert not any(layout.hides(stored, path) for path in INDEXED)
    assert later(stored, INDEXED) == stored
    assert later(stored, {}) == layout.unshown(stored) == before
    made = plan.plan(expression, INDEXED, hidden=HIDDEN, unindexed="scan")
    condition = sql.condition(made)
    if any(passes(stored, branch, behavior, INDEXED) for branch in made.branches):
        assert finds(condition, sql.looked_up(stored, INDEXED))
    else:
        assert not evaluate(expression, record)
    if evaluate(expression, record):
        # Rows that were put before the paths were indexed, also those that had them as names.
        assert finds(condition, sql.looked_up(before, ["s"]))
        assert finds(condition, {**sql.looked_up(before, ["s"]), "x.t": None, "x.y": None})


ORDERED: list[dict[str, Any]] = [
    {"first": None, "x": {"t": "a", "when": date(2026, 1, 2)}, "last": 1},
    {"x.t": "a", "n": 1},
    {"n": 1, "x": {"t": 1}, "x.t": "a"},
]


@pytest.mark.parametrize("metadata", ORDERED)
def test_the_order_of_metadata_stays(metadata: dict[str, Any]) -> None:
    """A node's prompt and hash depend on it."""
    before = layout.encode(Record("id", "t", metadata))
    for stored in (
        later(before, INDEXED),
        layout.encode(Record("id", "t", metadata), indexed=INDEXED),
    ):
        assert stored != before
        assert list(layout.decode("id", stored).metadata) == list(
            layout.decode("id", before).metadata
        )


def test_what_is_shown() -> None:
    metadata = {"x": {"t": "a", "when": date(2026, 1, 2), "long": "l" * 99}, "x.y": 5, "s": "b"}
    stored = layout.encode(Record("id", "t", metadata), indexed=INDEXED)
    assert {key: stored[key] for key in ("x", "s", "text")} == {
        "x": {"t": "a", "y": 5},
        "s": "b",
        "text": "t",
    }
    # Only that there is more to see changes what is written.
    plain = {"x": {"t": "a", "y": 5}, "s": "b"}
    assert layout.encode(Record("id", "t", plain), indexed=INDEXED) == layout.encode(
        Record("id", "t", plain)
    )
    with_dot = layout.encode(Record("id", "t", {"x.t": "a"}), indexed=INDEXED)
    long = {"x.t": "é" * 40}
    assert layout.encode(Record("id", "t", long), indexed=INDEXED)["x"] == {"t": "é" * 32}
    assert with_dot["_vs"] == '{"v":1,"m":[["x.t","a"]],"s":{"x":null}}'


@pytest.mark.parametrize("edited", ["x", 5, [5, None, ["x"]], None])
def test_what_another_client_put_in_its_place_breaks_no_read(edited: Any) -> None:
    stored = layout.encode(Record("id", "t", {"x.t": "a"}), indexed=INDEXED)
    extra = {**jsontext.loads(stored["_vs"]), "s": edited, "m": edited, "y": edited, "n": edited}
    stored["_vs"] = jsontext.dumps(extra).decode()
    assert layout.decode("id", stored).metadata == {"x": {"t": "a"}}
    again = later(stored, {**INDEXED, "z.a": "string"})
    assert layout.decode("id", again).metadata == {"x": {"t": "a"}}


def test_a_vector_without_room_stays_as_it_is() -> None:
    before = layout.encode(Record("id", "l" * 10_100, {"x.t": "y" * 40}))
    assert later(before, INDEXED) == before
    assert layout.hides(before, "x.t")


def test_vectors_of_others_hide_nothing() -> None:
    for stored in ({"x": {"t": "a"}}, {"x": [{"t": "a"}], "_vs": "mine"}, {}, None):
        assert not layout.hides(stored, "x.t")
        vector = Vector("id", [1.0], None, stored)
        assert layout.completed(vector, INDEXED) is vector


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("text", "where the text of a record stands"),
        ("content", "where the text of a record stands"),
        ("content.lang", "'content' is where the text of a record stands"),
        ("_vs_mine", "inside _vs"),
        ("_vs.t", "inside _vs"),
        ("a..b", "a key, and each part of a path"),
        (".a", "a key, and each part of a path"),
        ("a.", "a key, and each part of a path"),
        ("a.$b", "a key, and each part of a path"),
        ("tags.0", "items of a list"),
        ("tags.*.name", "items of a list"),
        ("author.tags[0]", "items of a list"),
    ],
)
def test_what_cannot_be_looked_up_is_refused_with_the_reason(path: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=f"no metadata index can be on .*{said}"):
        nested.check_indexable([path], "content")


def test_a_value_and_what_is_inside_it_are_not_both_indexed() -> None:
    for wanted, present in (({"a", "a.b"}, ()), ({"a.b"}, {"a"}), ({"a"}, {"a.b"})):
        with pytest.raises(InvalidInputError, match=r"'a\.b' is inside 'a', which has a"):
            nested.check_indexable(wanted, "text", present)
    nested.check_indexable({"a.b", "a.c.d", "ab", *layout.METADATA_INDEXES}, "text", {"text", "c"})
    nested.check_indexable({"revenue.2024", "tags[0]"}, "text", {"c", "c.d"})
    # Where another client has made both, only the value is shown and looked up.
    both: dict[str, IndexType] = {"x": "string", "x.t": "string"}
    stored = layout.encode(Record("id", "t", {"x": "a", "x.t": "b"}), indexed=both)
    assert stored["x"] == "a"
    made = plan.plan(Test("x.t", "$eq", "b"), both, hidden=HIDDEN, unindexed="scan")
    assert made.branches == ({},)
