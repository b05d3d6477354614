"""What filters mean, by tables written by hand, and the laws they obey for any metadata."""

from __future__ import annotations

import enum
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.filters import EXPRESSIONS, JSON, METADATA, NAMES, NUMBERS, SCALARS, TEXTS, VALUES
from vectorize_core import layout
from vectorize_core.filters import F, Where
from vectorize_core.filters.ast import EVERYTHING, NOTHING, And, Expression, Not, Or
from vectorize_core.filters.evaluate import evaluate, matcher
from vectorize_core.layout import Record

a = F("a")
BIG = 2**53 + 1
ABSENT: Any = object()


class Color(enum.StrEnum):
    RED = "red"


class Size(enum.Enum):
    ONE = 1


def metadata_of(value: Any) -> dict[str, Any]:
    return {} if value is ABSENT else {"a": value}


@pytest.mark.parametrize("missing", [ABSENT, None], ids=["absent", "null"])
@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        (a == None, True),  # noqa: E711 - a filter
        (a != None, False),  # noqa: E711
        (a == 1, False),
        (a != 1, True),
        (a.isin([1, "x"]), False),
        (a.notin([1, "x"]), True),
        (a.isin([1, None]), True),
        (a.notin([1, None]), False),
        (a.isin([]), False),
        (a.notin([]), True),
        (a > 0, False),
        (a >= 0, False),
        (a < 0, False),
        (a <= "x", False),
        (a.between(0, 1), False),
        (a.exists(), False),
        (a.exists(False), True),
        (a.like("%"), False),
        (a.ilike("%"), False),
        (a.contains(""), False),
        (a.contains(None), False),
    ],
    ids=str,
)
def test_a_missing_property_and_null_are_the_same(
    missing: Any, expression: Expression, matches: bool
) -> None:
    assert evaluate(expression, metadata_of(missing)) is matches


@pytest.mark.parametrize(
    ("value", "matching", "others"),
    [
        (1, [a == 1, a == 1.0, a >= 1, a.between(0, 1), a.isin([2, 1])], [a == 2, a > 1]),
        (1, [a != True, a != "1"], [a == True, a == "1", a < "2"]),  # noqa: E712
        (True, [a == True, a != 1], [a == 1, a.isin([1, 0]), a > 0, a <= 1]),  # noqa: E712
        (0, [a != False, a == 0, a == -0.0], [a == False, a.isin([False])]),  # noqa: E712
        (BIG, [a == BIG, a != 2**53, a != float(2**53), a > float(2**53)], [a <= 2**53]),
        (float(2**53), [a == 2**53, a < BIG], [a == BIG, a >= BIG]),
        (2**70, [a == 2**70, a > 2**69], [a == 2**70 + 1]),
        ("b", [a > "a", a <= "b", a < "ba", a != 1], [a > "b", a > 1, a <= 2]),
        ("\U0001f600", [a > "\ufb01"], [a < "\ufb01"]),  # UTF-16 would have them the other way
        ("x" * 64 + "1", [a == "x" * 64 + "1", a < "x" * 64 + "2"], [a == "x" * 64 + "2"]),
        ("Straße", [a.like("Str%"), a.ilike("%AßE"), a.contains("raß")], [a.like("str%")]),
        ("", [a == "", a.exists(), a.like("%"), a.contains("")], [a.like("_"), a.contains("a")]),
        (["x", 1], [a == ["x", 1], a == ("x", 1.0), a.contains(1)], [a == ["x"], a.contains(True)]),
        (["x"], [a.isin([["x"], 3]), a != "x", a.exists()], [a == "x", a.isin(["x"]), a > ""]),
        (["xy", [1], None], [a.contains([1]), a.contains(None)], [a.contains("x"), a.like("%")]),
        ([], [a == [], a.exists()], [a == None, a.contains(None)]),  # noqa: E711
        ({"b": 1}, [a.exists(), a != 1, F("a.b") == 1], [a.contains("b"), a == 1, a > 0]),
        (12, [a.exists()], [a.like("1%"), a.contains("1"), a.contains(1)]),
    ],
)
def test_values(value: Any, matching: list[Expression], others: list[Expression]) -> None:
    for expression in matching:
        assert evaluate(expression, {"a": value}), expression
        assert not evaluate(~expression, {"a": value}), expression
    for expression in others:
        assert not evaluate(expression, {"a": value}), expression


@pytest.mark.parametrize(
    ("metadata", "path", "value"),
    [
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a.b": None, "a": {"b": 2}}, "a.b", None),
        ({"a": {"b": {"c": 3}}}, "a.b.c", 3),
        ({"a.b": {"c": 3}}, "a.b.c", None),  # half a path is no name
        ({"a": {"b.c": 3}}, "a.b.c", None),
        ({"a": [{"b": 1}]}, "a.b", None),
        ({"a": "b"}, "a.b", None),
        ({"": 1}, "a", None),
    ],
)
def test_a_path_is_a_name_before_it_is_nested(metadata: Any, path: str, value: Any) -> None:
    assert evaluate(F(path) == value, metadata)
    assert evaluate(F(path).exists(), metadata) is (value is not None)


@pytest.mark.parametrize(
    ("value", "operand"),
    [
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (time(1, 2), "01:02:00"),
        (timedelta(seconds=1), 1_000_000),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Color.RED, "red"),
        (Size.ONE, 1),
        (np.float64(0.5), 0.5),
        (np.int64(BIG), BIG),
        (np.str_("x"), "x"),
        (("x", 1), ["x", 1]),
    ],
)
def test_values_of_other_types_compare_as_they_are_shown(value: Any, operand: Any) -> None:
    stored = layout.encode(Record("1", None, {"a": value}))
    back = layout.decode("1", stored).metadata
    for metadata in ({"a": value}, {"a": operand}, back):
        assert evaluate(a == value, metadata)
        assert evaluate(a == operand, metadata)
        assert evaluate(a.isin([value]), metadata)
    if operand != BIG:  # as a float, as near as a metadata index has it
        assert stored["a"] == operand


def test_dates_are_in_the_order_of_their_text() -> None:
    seen = {"a": datetime(2024, 5, 1, 12, 0, 0, 1, tzinfo=UTC)}
    assert evaluate(a > datetime(2024, 5, 1, 12, tzinfo=UTC), seen)
    assert evaluate(a.between(date(2024, 5, 1), date(2024, 5, 2)), seen)
    assert not evaluate(a <= date(2024, 5, 1), seen)


class Weird:
    """Not comparable, not storable."""

    __hash__ = None  # type: ignore[assignment]  # on purpose

    def __eq__(self, other: object) -> bool:
        raise TypeError

    def __repr__(self) -> str:
        return "Weird()"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        2**1000,
        -(2**1000),
        10**5_000,
        np.float32("nan"),
        np.datetime64("NaT", "s"),
        Decimal(1),
        b"x",
        1j,
        Weird(),
        [Weird()],
        {1: Weird()},
        {"x"},
        frozenset({("x", 1)}),
        timedelta.max,
        "\ud800",
        object,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_compares_with_nothing_exists_and_is_unequal(value: Any) -> None:
    for expression in (a == 1, a > 0, a < 0, a == [1], a.isin([1, "a", None]), a.like("a%")):
        assert not evaluate(expression, {"a": value})
    for expression in (a.exists(), a != 1, a.notin([1, None]), ~(a > 0)):
        assert evaluate(expression, {"a": value})


def test_an_integer_is_in_ranges_up_to_the_thousandth_power_of_two() -> None:
    for number in (2**1000 - 1, 1 - 2**1000):
        assert evaluate((a >= number) & (a <= number) & (a == number), {"a": number})
        assert evaluate((a > 0) if number > 0 else (a < 0), {"a": number})


def test_sets_contain_and_equal_no_list() -> None:
    assert evaluate(a.contains("x"), {"a": {"x", "y"}})
    assert not evaluate(a == ["x"], {"a": {"x"}})


def test_a_decimal_compares_as_its_text() -> None:
    assert evaluate(a == "1.50", {"a": Decimal("1.50")})
    assert not evaluate(a == 1.5, {"a": Decimal("1.50")})


def test_a_where_gets_the_whole_record() -> None:
    records = [Record("1", "long text", {"n": 1}), Record("2", None, {"n": 1})]
    expression = Where(lambda record: record.text is not None) & (F("n") == 1)
    assert list(map(matcher(expression), records)) == [True, False]
    assert not evaluate(expression, {"n": 1})


def test_joining_nothing() -> None:
    assert evaluate(EVERYTHING, {})
    assert not evaluate(NOTHING, {"a": 1})


@given(EXPRESSIONS, METADATA)
def test_any_filter_answers_for_any_metadata(expression: Expression, metadata: Any) -> None:
    answer = evaluate(expression, metadata)
    assert evaluate(Not(expression), metadata) is not answer


ODD = st.recursive(
    JSON | st.floats() | st.binary() | st.dates() | st.datetimes() | st.decimals() | st.uuids(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.integers(), inner),
    max_leaves=4,
)


@given(EXPRESSIONS, st.dictionaries(NAMES, ODD, max_size=3))
def test_odd_metadata_raises_nothing(expression: Expression, metadata: Any) -> None:
    evaluate(expression, metadata)


@given(EXPRESSIONS, EXPRESSIONS, METADATA)
def test_de_morgan(one: Expression, other: Expression, metadata: Any) -> None:
    def same(left: Expression, right: Expression) -> bool:
        return evaluate(left, metadata) is evaluate(right, metadata)

    assert same(~(one & other), ~one | ~other)
    assert same(~(one | other), ~one & ~other)
    assert same(And((one, other)), one & other)
    assert same(Or((one, other)), one | other)


@given(NAMES, VALUES, st.lists(VALUES, max_size=3), METADATA)
def test_negations_negate(name: str, value: Any, values: list[Any], metadata: Any) -> None:
    name_ = F(name)
    assert evaluate(name_ != value, metadata) is not evaluate(name_ == value, metadata)
    assert evaluate(name_.notin(values), metadata) is not evaluate(name_.isin(values), metadata)
    some = any(evaluate(name_ == one, metadata) for one in values)
    assert evaluate(name_.isin(values), metadata) is some
    assert evaluate(name_.exists(False), metadata) is evaluate(name_ == None, metadata)  # noqa: E711


@given(NUMBERS | TEXTS, JSON)
def test_ranges_are_a_total_order_within_a_kind(bound: Any, value: Any) -> None:
    metadata = {"a": value}
    below, equal, above = (evaluate(e, metadata) for e in (a < bound, a == bound, a > bound))
    assert below + equal + above <= 1
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if (isinstance(bound, str) and isinstance(value, str)) or (
        not isinstance(bound, str) and number
    ):
        assert below + equal + above == 1
        assert (below, equal, above) == (value < bound, value == bound, value > bound)
    assert evaluate(a <= bound, metadata) is (below or equal)
    assert evaluate(a >= bound, metadata) is (equal or above)


@given(SCALARS, st.lists(JSON, max_size=4))
def test_a_list_contains_what_equals_one_of_its_items(item: Any, values: list[Any]) -> None:
    expected = any(
        evaluate(a == item, {"a": value}) if value is not None else item is None for value in values
    )
    assert evaluate(a.contains(item), {"a": values}) is expected


@given(TEXTS | NUMBERS | st.booleans() | st.dates() | st.datetimes() | st.uuids() | st.timedeltas())
def test_an_operand_equals_what_is_stored_of_the_same_value(value: Any) -> None:
    """What is pushed to the service is the operand: it must be the stored form."""
    stored = layout.encode(Record("1", None, {"a": value}))
    test = a == value
    assert evaluate(test, layout.decode("1", stored).metadata) is ("a" in stored)
    if "a" in stored:
        assert stored["a"] == (float(value) if value == BIG else test.operand)
