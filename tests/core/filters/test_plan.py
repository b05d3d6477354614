"""What is pushed to the service lets every match through, whatever the service does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.filters import strategies
from tests.core.filters.strategies import BEHAVIORS, INDEXED
from tests.nightly import examples
from vectorize_core import jsontext, layout
from vectorize_core.errors import InvalidInputError, UnindexedPropertyError
from vectorize_core.filters import native, plan
from vectorize_core.filters.ast import (
    EVERYTHING,
    NOTHING,
    And,
    Expression,
    Not,
    Operator,
    Or,
    Test,
    Where,
)
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record
from vectorize_core.local import Behavior, matching
from vectorize_core.models import Filter, IndexType

WHOLE_OPERANDS = Behavior(truncate_filter_values=False)


def passes(
    metadata: Mapping[str, Any],
    branch: Filter,
    behavior: Behavior,
    indexed: Mapping[str, IndexType] = INDEXED,
) -> bool:
    """Whether the service finds a vector by a filter; all named properties are indexed."""
    for condition in native.parse(branch):
        kind = {**indexed, **layout.METADATA_INDEXES}[condition.property_name]
        value = matching.lookup(metadata, condition.property_name)
        column = matching.build(kind, 1, [matching.entry(value, kind, behavior)])
        if not matching.matches(column, condition, behavior)[0]:
            return False
    return True


def check_law(
    made: plan.Plan, metadata: Mapping[str, Any], record: Record, behavior: Behavior
) -> None:
    for branch in made.branches:
        assert len(jsontext.dumps(branch)) <= 2_048 - 64
    found = any(passes(metadata, branch, behavior) for branch in made.branches)
    kept = found and (made.residual is None or evaluate(made.residual, record))
    assert kept == evaluate(made.expression, record)


@examples(120)
@given(strategies.cases(strategies.plain_metadata_of), st.sampled_from(BEHAVIORS))
@example((Test("s", "$eq", "x" * 65), {"s": "x" * 65}), WHOLE_OPERANDS)
@example((Test("s", "$in", ("a", "é" * 33)), {"s": "é" * 33}), WHOLE_OPERANDS)
def test_a_plan_matches_what_its_expression_does_on_any_metadata(
    case: strategies.Case, behavior: Behavior
) -> None:
    expression, metadata = case
    made = plan.plan(expression, INDEXED, unindexed="scan")
    check_law(made, metadata, Record("id", None, metadata), behavior)


@examples(120)
@given(
    strategies.cases(strategies.user_metadata_of),
    st.sampled_from(["text", "content"]),
    st.sampled_from(BEHAVIORS),
)
def test_a_plan_matches_what_its_expression_does_in_our_layout(
    case: strategies.Case, text_key: str, behavior: Behavior
) -> None:
    expression, metadata = case
    stored = layout.encode(
        Record("id", "a text", metadata, ref="r"),
        text_key=text_key,
        indexed={**INDEXED, **layout.METADATA_INDEXES},
    )
    record = layout.decode("id", stored, text_key=text_key)
    of_records = plan.in_records(text_key)
    made = plan.plan(expression, INDEXED, hidden=of_records, unindexed="scan")
    check_law(made, stored, record, behavior)
    options: Any = {"hidden": of_records, "unindexed": "scan"}
    indexed = {**INDEXED, **layout.METADATA_INDEXES}
    within = plan.plan(expression, indexed, within={layout.REF: ["q", "r"]}, **options)
    check_law(within, stored, record, behavior)
    elsewhere = plan.plan(expression, indexed, within={layout.REF: ["q"]}, **options)
    assert not any(passes(stored, branch, behavior) for branch in elsewhere.branches)


ALL_TYPES: dict[str, IndexType] = {"s": "string", "n": "number", "b": "boolean", "m": "number"}


def test_of(path: str, operator: Any, operand: Any) -> Test:
    return Test(path, operator, operand)


test_of.__test__ = False  # type: ignore[attr-defined]

N5 = test_of("n", "$gt", 5)


@pytest.mark.parametrize(
    ("expression", "branches"),
    [
        (EVERYTHING, [{}]),
        (test_of("n", "$eq", 3), [{"n": 3}]),
        (test_of("b", "$eq", True), [{"b": True}]),
        (And((N5, test_of("n", "$lte", 9))), [{"n": {"$gt": 5, "$lte": 9}}]),
        (And((N5, test_of("n", "$gte", 7))), [{"n": {"$gte": 7}}]),
        (And((N5, test_of("n", "$in", (4, 6, 8)))), [{"n": {"$in": [6, 8]}}]),
        (And((N5, test_of("s", "$eq", "a"))), [{"n": {"$gt": 5}, "s": "a"}]),
        (Or((test_of("s", "$eq", "a"), test_of("s", "$eq", "b"))), [{"s": {"$in": ["a", "b"]}}]),
        (Or((N5, test_of("s", "$eq", "a"))), [{"s": "a"}, {"n": {"$gt": 5}}]),
        (Not(test_of("n", "$ne", 3)), [{"n": 3}]),
        (Not(Or((Not(N5), test_of("s", "$ne", "a")))), [{"n": {"$gt": 5}, "s": "a"}]),
        (Not(Not(N5)), [{"n": {"$gt": 5}}]),
        (test_of("s", "$eq", "y" * 61), [{"s": {"$gte": "y" * 60, "$lt": "y" * 59 + "z"}}]),
        (test_of("s", "$gt", "y" * 61), [{"s": {"$gte": "y" * 60}}]),
        (test_of("s", "$lt", "ab" + "\ud7ff" * 22), [{"s": {"$lt": "ac"}}]),
        (test_of("s", "$gt", "é" * 33), [{"s": {"$gte": "é" * 30}}]),
        (test_of("n", "$gt", 2**53), [{"n": {"$gte": 2.0**53}}]),
        (test_of("n", "$nin", ()), [{}]),
        (And((N5, test_of("n", "$ne", 7))), [{"n": {"$gt": 5}}]),
        (And((N5, test_of("u", "$exists", True))), [{"n": {"$gt": 5}}]),
        # What cannot be looked up: everything is asked for.
        (Not(N5), [{}]),
        (test_of("n", "$ne", 3), [{}]),
        (test_of("n", "$nin", (3,)), [{}]),
        (test_of("n", "$eq", None), [{}]),
        (test_of("n", "$in", (3, None)), [{}]),
        (test_of("n", "$exists", True), [{}]),
        (test_of("s", "$eq", ("a",)), [{}]),
        (test_of("s", "$contains", "a"), [{}]),
        (Or((N5, test_of("s", "$like", "a%"))), [{}]),
    ],
)
def test_a_filter_becomes_branches(expression: Expression, branches: list[Filter]) -> None:
    assert list(plan.plan(expression, ALL_TYPES).branches) == branches


@pytest.mark.parametrize(
    "expression",
    [
        NOTHING,
        test_of("n", "$in", ()),
        And((N5, test_of("n", "$lt", 3))),
        And((N5, test_of("n", "$lte", 5))),
        And((N5, test_of("n", "$eq", "a"))),
        And((N5, NOTHING)),
        And((test_of("nowhere", "$eq", 1), test_of("nowhere", "$eq", 2))),
        Or((NOTHING, And((test_of("s", "$eq", "a"), test_of("s", "$in", ("b", "c")))))),
        Not(EVERYTHING),
    ],
)
def test_a_contradiction_has_no_branches(expression: Expression) -> None:
    assert plan.plan(expression, {}).impossible


@pytest.mark.parametrize(
    ("expression", "precise", "readable"),
    [
        (EVERYTHING, True, True),
        (N5, True, True),
        (Or((N5, test_of("s", "$eq", "a"))), True, True),
        (test_of("n", "$gt", 2**53), False, True),
        (test_of("s", "$eq", "y" * 61), False, True),
        (And((N5, test_of("n", "$ne", 7))), False, True),
        (And((N5, test_of("u", "$exists", True))), False, False),
        (And((N5, Where(lambda _: True))), False, False),
    ],
)
def test_a_plan_knows_what_its_residual_is_for(
    expression: Expression, precise: bool, readable: bool
) -> None:
    made = plan.plan(expression, ALL_TYPES)
    assert (made.precise, made.readable is not None) == (precise, readable)
    assert (made.residual is None) == (expression == EVERYTHING)


MISSING = test_of("u", "$eq", 1)
WRONG_TYPE = test_of("n", "$eq", "1999")


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (MISSING, r"'docs' has no metadata index on 'u'.*create_metadata_index\('u'.*scan"),
        (And((N5, MISSING)), "no metadata index on 'u'"),
        (Or((N5, MISSING)), "no metadata index on 'u'"),
        (Not(test_of("u", "$ne", 1)), "no metadata index on 'u'"),
        (WRONG_TYPE, r"on 'n' holds values of type number.*\$eq '1999'"),
        (test_of("b", "$eq", 1), "on 'b' holds values of type boolean"),
        (test_of("u", "$exists", True), "no metadata index on 'u'"),
        (Not(MISSING), "no metadata index on 'u'"),
        (Or((N5, test_of("u", "$like", "a%"))), "no metadata index on 'u'"),
        (Where(lambda _: True, "my function"), "my function cannot be looked up.*scan"),
    ],
)
def test_reading_without_an_index_has_to_be_asked_for(expression: Expression, said: str) -> None:
    with pytest.raises(UnindexedPropertyError, match=said):
        plan.plan(expression, ALL_TYPES, index_name="docs")
    assert not plan.plan(expression, ALL_TYPES, unindexed="scan").impossible


@pytest.mark.parametrize(
    ("operator", "operand", "advised"),
    [
        ("$eq", "a", r"'string'}"),
        ("$gt", 5, r"'number'}"),
        ("$in", (1, 2.5), r"'number'}"),
        ("$ne", True, r"'boolean'}"),
        ("$like", "a%", r"'string'}"),
        *[("$in", ("a", 1), r"'string'} (or 'number', 'boolean')")],
        *[("$exists", True, r"'string'} (or 'number', 'boolean')")],
        *[("$eq", None, r"'string'} (or 'number', 'boolean')")],
    ],
)
def test_the_advised_metadata_index_has_the_type_that_the_filter_asks_for(
    operator: Operator, operand: object, advised: str
) -> None:
    indexed: dict[str, IndexType] = {"n": "number", "_vs_bucket": "number"}
    with pytest.raises(UnindexedPropertyError) as caught:
        plan.plan(test_of("u", operator, operand), indexed, index_name="docs")
    said = str(caught.value)
    assert f"metadata_indexes={{'u': {advised} when" in said
    assert f"create_metadata_index('u', {advised.partition('}')[0]})" in said
    assert "Indexed are: n. Or" in said


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        *[("yaer", "year"), ("Year", "year"), ("years", "year"), ("auhtor", "author")],
        *[("metadata.year", "year"), ("metadata.yaer", "year"), ("year__gt", "year")],
        *[("n.b", None), ("metadata.other", None)],
    ],
)
@pytest.mark.parametrize("operator", ["$eq", "$exists", "$like"])
def test_a_mistyped_property_is_told_from_the_nearest_one(
    typo: str, meant: str | None, operator: Operator
) -> None:
    indexed: dict[str, IndexType] = {
        **layout.METADATA_INDEXES,
        "year": "number",
        "author": "string",
    }
    expression = test_of(typo, operator, True if operator == "$exists" else "x")
    with pytest.raises(UnindexedPropertyError, match=f"no metadata index on '{typo}'") as caught:
        plan.plan(expression, indexed, index_name="docs")
    said = str(caught.value)
    assert (f"did you mean '{meant}'?" in said) == (meant is not None)
    # Nobody is told to make an index on a mistyped name, or to read everything for it.
    assert ("create_metadata_index" in said, "scan" in said) == (meant is None, meant is None)


@pytest.mark.parametrize("path", ["_vs_own", "_vs_bucket", "_vs_ref"])
def test_on_raw_vectors_the_properties_of_the_layout_are_like_others(path: str) -> None:
    kind = layout.METADATA_INDEXES[path]
    operand: Any = {"number": 5, "boolean": True, "string": "a"}[kind]
    expression = test_of(path, "$eq", operand)
    assert plan.plan(expression, {path: kind}).branches == ({path: operand},)
    with pytest.raises(UnindexedPropertyError, match=rf"on '{path}': .*record_layout=True") as e:
        plan.plan(expression, {}, index_name="docs")
    assert "inside _vs" not in str(e.value)


@pytest.mark.parametrize("path", ["text", "content", "_vs_bucket", "_vs_ref"])
def test_a_property_kept_elsewhere_is_not_looked_up(path: str) -> None:
    indexed: dict[str, IndexType] = {path: "string"}
    expression, stored = test_of(path, "$eq", "a"), plan.in_records("content")
    with pytest.raises(UnindexedPropertyError, match="inside _vs"):
        plan.plan(expression, indexed, hidden=stored)
    assert plan.plan(expression, indexed, hidden=stored, unindexed="scan").branches == ({},)


def test_a_long_list_of_values_becomes_several_branches() -> None:
    values = tuple(f"value-{i}" for i in range(5_000))
    made = plan.plan(test_of("s", "$in", values), ALL_TYPES)
    assert made.precise
    assert 30 <= len(made.branches) <= 64
    found = [value for branch in made.branches for value in branch["s"]["$in"]]
    assert sorted(found) == sorted(values)


def test_as_many_equalities_are_one_membership() -> None:
    tests = tuple(test_of("s", "$eq", f"value-{i}") for i in range(5_000))
    values = tuple(f"value-{i}" for i in range(5_000))
    assert (
        plan.plan(Or(tests), ALL_TYPES).branches
        == plan.plan(test_of("s", "$in", values), ALL_TYPES).branches
    )


def test_far_too_many_values_are_asked_for_by_their_range() -> None:
    values = tuple(f"{i:060}" for i in range(5_000))
    made = plan.plan(test_of("s", "$in", values), ALL_TYPES)
    assert made.branches == ({"s": {"$gte": values[0], "$lte": values[-1]}},)
    assert not made.precise


def test_too_many_branches_leave_the_rest_to_be_evaluated() -> None:
    either = tuple(Or((test_of(f"p{i}", "$gt", 1), test_of(f"q{i}", "$gt", 1))) for i in range(12))
    indexed: dict[str, IndexType] = {f"{name}{i}": "number" for name in "pq" for i in range(12)}
    made = plan.plan(And(either), indexed)
    assert made.too_many
    assert not made.precise
    assert made.restricts
    assert len(made.branches) == 64
    ranges = Or(tuple(test_of("n", "$gt", i) for i in range(65)))
    made = plan.plan(ranges, ALL_TYPES)
    assert made.branches == ({},)
    assert made.too_many


def test_within_is_exact_and_needs_nothing_to_be_evaluated() -> None:
    indexed = layout.METADATA_INDEXES
    made = plan.plan(EVERYTHING, indexed, within={layout.REF: ["b", "a"]})
    assert made.branches == ({layout.REF: {"$in": ["a", "b"]}},)
    assert made.residual is None
    assert plan.plan(EVERYTHING, indexed, within={layout.REF: []}).impossible
    with pytest.raises(UnindexedPropertyError, match="no metadata index on '_vs_ref'"):
        plan.plan(EVERYTHING, {}, within={layout.REF: ["a"]}, unindexed="scan")


def test_an_unknown_way_to_treat_unindexed_properties_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'error' or 'scan'; got 'index'"):
        plan.plan(EVERYTHING, {}, unindexed="index")  # type: ignore[arg-type]


def test_a_filter_is_planned_without_unknown_values() -> None:
    made = plan.plan(test_of("n", "$in", tuple(np.arange(3).tolist())), ALL_TYPES)
    assert made.branches == ({"n": {"$in": [0, 1, 2]}},)


def test_no_filter_has_the_plan_that_is_made_for_everything() -> None:
    assert replace(plan.plan(EVERYTHING, {}), readable=None) == plan.ALL
