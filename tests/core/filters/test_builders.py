"""Filters as Python expressions, and the mistakes that Python invites."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import pytest

from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import Expression, F
from vectorize_core.filters.ast import And, Not, Or, Test
from vectorize_core.filters.parse import parse

year = F("year")


@pytest.mark.parametrize(
    ("expression", "dict_form"),
    [
        (year == 1, {"year": 1}),
        (year == None, {"year": None}),  # noqa: E711 - a filter
        (year != 1, {"year": {"$ne": 1}}),
        (year > 1, {"year": {"$gt": 1}}),
        (year >= 1, {"year": {"$gte": 1}}),
        (year < 1, {"year": {"$lt": 1}}),
        (year <= 1, {"year": {"$lte": 1}}),
        (operator.lt(1, year), {"year": {"$gt": 1}}),
        (operator.ge(1, year), {"year": {"$lte": 1}}),
        (year.between(1, 2), {"year": {"$between": [1, 2]}}),
        (year.isin([1, 2]), {"year": {"$in": [1, 2]}}),
        (year.isin(range(2)), {"year": {"$in": [0, 1]}}),
        (year.notin([1, 2]), {"year": {"$nin": [1, 2]}}),
        (year.contains("x"), {"year": {"$contains": "x"}}),
        (year.like("x%"), {"year": {"$like": "x%"}}),
        (year.ilike("x%"), {"year": {"$ilike": "x%"}}),
        (year.exists(), {"year": {"$exists": True}}),
        (year.exists(False), {"year": {"$exists": False}}),
        (F("a.b") == "x", {"a.b": "x"}),
    ],
)
def test_each_has_a_dict_form(expression: Expression, dict_form: dict[str, Any]) -> None:
    assert expression == parse(dict_form)


def test_expressions_join_flat() -> None:
    a, b, c = F("a") == 1, F("b") == 2, F("c") == 3
    assert a & b & c == And((a, b, c)) == a & (b & c)
    assert a | b | c == Or((a, b, c))
    assert a & (b | ~c) == And((a, Or((b, Not(c)))))


def test_an_expression_is_a_value() -> None:
    expression = (F("a") == 1) & F("b").isin([1, [2]])
    assert copy.deepcopy(expression) == expression == pickle.loads(pickle.dumps(expression))
    assert len({expression, (F("a") == 1) & F("b").isin([1, [2]])}) == 1
    assert repr(F("a") >= 1) == "Test(path='a', operator='$gte', operand=1)"
    with pytest.raises(AttributeError):
        expression.parts = ()  # type: ignore[union-attr,misc]  # it must fail


def test_true_is_not_the_operand_1() -> None:
    tests: set[Test] = {F("a") == value for value in (1, True, 1.0, "1")}
    assert len(tests) == 4


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: (F("a") == 1) and (F("b") == 2),
        lambda: (F("a") == 1) or (F("b") == 2),
        lambda: operator.not_(F("a") == 1),
        lambda: 1 < F("a") < 3,
        lambda: bool((F("a") == 1) & (F("b") == 2)),
        lambda: bool(Or(())),
    ],
)
def test_a_truth_value_is_refused_with_the_way_to_write_it(misuse: Any) -> None:
    with pytest.raises(TypeError, match=r"& and \|.*~.*between\(1, 3\)"):
        misuse()


def test_other_misuse_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"F\('a'\).exists\(\)"):
        bool(F("a"))
    with pytest.raises(TypeError, match=r"F\('a'\).contains\('x'\)"):
        "x" in F("a")  # noqa: B015 - it must fail
    with pytest.raises(TypeError, match="unhashable"):
        hash(F("a"))
    with pytest.raises(TypeError, match="unsupported operand"):
        (F("a") == 1) & {"b": 2}  # type: ignore[operator]  # it must fail


@pytest.mark.parametrize(
    ("misuse", "said"),
    [
        (lambda: F("a") == F("b"), r"a.\$eq takes a string.*got F"),
        (lambda: F("a").isin("x"), r"a.\$in takes a list of values; got str"),
        (lambda: F("a").isin(x for x in [1]), "got generator"),
        (lambda: F("a").like(1), r"a.\$like takes a pattern"),
        (lambda: F("a").between(1, []), r"a.\$between\[1\] takes a string, a number"),
        (lambda: F("$a") == 1, "does not begin with"),
        (lambda: F(1) == 1, "got 1"),
    ],
)
def test_a_value_that_means_nothing_is_an_error(misuse: Any, said: str) -> None:
    with pytest.raises(InvalidFilterError, match=said):
        misuse()
