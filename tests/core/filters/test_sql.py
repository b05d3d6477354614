"""The SQL of a filter finds whatever the service may find, and so whatever the filter matches."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.filters import strategies
from tests.core.filters.strategies import BEHAVIORS, INDEXED
from tests.core.filters.test_plan import passes
from tests.nightly import examples
from vectorize_core import jsontext, layout
from vectorize_core.filters import plan, sql
from vectorize_core.filters.ast import EVERYTHING, NOTHING, And, Expression, Operator, Or, Test
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.layout import Record
from vectorize_core.models import IndexType

DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
of_records: Any = {"hidden": plan.in_records("text", refs=True), "unindexed": "scan"}


def finds(condition: sql.Condition | None, kept: Mapping[str, Any]) -> bool:
    if condition is None:
        return True
    assert all(type(parameter) is str for parameter in condition.parameters)
    text = jsontext.dumps(kept).decode()
    (found,) = DATABASE.execute(
        f"SELECT {condition.sql} FROM (SELECT ? AS m)", (*condition.parameters, text)
    ).fetchone()
    return bool(found)


@examples(80)
@given(
    strategies.cases(strategies.user_metadata_of),
    st.sampled_from(BEHAVIORS),
    st.sets(st.sampled_from([*INDEXED, layout.REF])),
)
def test_what_a_branch_or_the_filter_matches_is_found(
    case: strategies.Case, behavior: Any, written_for: set[str]
) -> None:
    expression, metadata = case
    stored = layout.encode(Record("id", "a text", metadata, ref="r"), indexed=INDEXED)
    stored[layout.REF] = "r"
    record = layout.decode("id", stored)
    indexed = {**INDEXED, **layout.METADATA_INDEXES}
    for within in (None, {layout.REF: ["q", "r"]}):
        made = plan.plan(expression, indexed, within=within, **of_records)
        # Some metadata indexes may be younger than the record's row.
        found = finds(sql.condition(made), sql.looked_up(stored, written_for))
        if evaluate(expression, record):
            assert found
        for branch in made.branches:
            if not any("." in name for name in branch) and passes(stored, branch, behavior):
                assert found


@examples(80)
@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["$eq", "$gte", "$lte"]))
@example(0.1 + 0.2, "$eq")
@example(1.7976931348623157e308, "$lte")
@example(-5e-324, "$gte")
def test_every_number_is_found_by_itself(number: float, operator: Operator) -> None:
    made = plan.plan(Test("n", operator, number), INDEXED)
    assert finds(sql.condition(made), {"n": number})
    several = plan.plan(Test("n", "$in", (number, 7, 2.5)), INDEXED)
    assert finds(sql.condition(several), {"n": number})


ONLY_S_AND_N: dict[str, IndexType] = {"s": "string", "n": "number"}


@pytest.mark.parametrize(
    ("expression", "kept", "found"),
    [
        (Test("s", "$eq", "a"), {"s": "a"}, True),
        (Test("s", "$eq", "a"), {"s": "b"}, False),
        (Test("s", "$eq", "a"), {"s": None}, False),
        (Test("s", "$eq", "a"), {}, True),
        (Test("s", "$eq", "a"), {"s": []}, True),
        (Test("s", "$eq", "a"), {"s": "b\x00"}, True),
        (Test("s", "$in", ("a", "o'b\"")), {"s": "o'b\""}, True),
        (Test("s", "$in", ("a", "c")), {"s": "b"}, False),
        (Test("n", "$in", (1, 3)), {"n": 2}, False),
        (Test("n", "$in", (1, 3)), {"n": 3.0}, True),
        (Test("n", "$gt", 5), {"n": 4}, False),
        (And((Test("n", "$gt", 5), Test("s", "$eq", "a"))), {"n": 6, "s": "b"}, False),
        (Or((Test("n", "$gt", 5), Test("s", "$eq", "a"))), {"n": 6, "s": "b"}, True),
        (NOTHING, {"n": 6}, False),
        (EVERYTHING, {"n": 6}, True),
    ],
)
def test_what_is_found(expression: Expression, kept: Mapping[str, Any], found: bool) -> None:
    made = plan.plan(expression, ONLY_S_AND_N)
    assert finds(sql.condition(made), kept) is found


def test_a_name_or_a_number_of_values_that_is_better_not_put_into_sql_is_left_out() -> None:
    for name in ("it's", "a\\", "é", "a\nb"):
        made = plan.plan(Test(name, "$eq", 1), {name: "number"})
        assert sql.condition(made) is None
    ranges = [And((Test("n", "$gt", i + 0.5), Test("n", "$lt", i + 0.7))) for i in range(40)]
    assert sql.condition(plan.plan(Or(tuple(ranges)), INDEXED)) is None
    assert sql.condition(plan.plan(Or(tuple(ranges[:20])), INDEXED)) is not None


def test_a_row_keeps_as_much_as_the_service_looks_at() -> None:
    kept = sql.looked_up(
        {"s": "é" * 40, "x": {"y": 1}, "l": ["a"], layout.BUCKET: 7, "other": 1},
        ["s", "x", "l", "missing", layout.BUCKET, layout.OWN],
    )
    assert kept == {"s": "é" * 32, "x": None, "l": [], "missing": None}
