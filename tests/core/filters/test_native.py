"""The grammar of the service's filters: what is accepted, and what a refusal names."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters.native import Condition, parse


@pytest.mark.parametrize(
    ("expression", "conditions"),
    [
        ({}, []),
        ({"year": 1999}, [("year", "$eq", 1999)]),
        ({"ok": True}, [("ok", "$eq", True)]),
        ({"a": None}, [("a", "$eq", None)]),
        ({"a": ""}, [("a", "$eq", "")]),
        ({"a": {"$eq": "x"}}, [("a", "$eq", "x")]),
        ({"a": {"$ne": None}}, [("a", "$ne", None)]),
        ({"a": {"$in": ["x", 1, False, None]}}, [("a", "$in", ["x", 1, False, None])]),
        ({"a": {"$nin": []}}, [("a", "$nin", [])]),
        ({"a": {"$gt": 1}}, [("a", "$gt", 1)]),
        ({"a": {"$lte": "m"}}, [("a", "$lte", "m")]),
        ({"a": {"$gte": 1.5, "$lt": 2}}, [("a", "$gte", 1.5), ("a", "$lt", 2)]),
        ({"a": {"$lte": 2, "$gt": 1}}, [("a", "$lte", 2), ("a", "$gt", 1)]),
        ({"a.b": 1, "c": {"$ne": 2}}, [("a.b", "$eq", 1), ("c", "$ne", 2)]),
        ({"a|b": 1}, [("a|b", "$eq", 1)]),
        ({"k" * 512: 1}, [("k" * 512, "$eq", 1)]),
        ({"a": {"$eq": 2**64 - 1}}, [("a", "$eq", 2**64 - 1)]),
        (MappingProxyType({"a": MappingProxyType({"$gt": 1})}), [("a", "$gt", 1)]),
    ],
)
def test_accepted(expression: Any, conditions: list[tuple[str, str, Any]]) -> None:
    assert parse(expression) == tuple(Condition(*condition) for condition in conditions)


@pytest.mark.parametrize("operator", ["$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte"])
def test_every_operator_of_the_service_is_accepted(operator: str) -> None:
    operand = [1] if operator in ("$in", "$nin") else 1
    assert parse({"a": {operator: operand}}) == (Condition("a", operator, operand),)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (None, "got NoneType"),
        ([("a", 1)], "got list"),
        ("a = 1", "got str"),
        ({5: 1}, "a property name is a string; got 5"),
        ({"": 1}, "'' cannot be a property name"),
        ({'a"b': 1}, "cannot be a property name.*double quote"),
        ({"k" * 513: 1}, "longer than 512"),
        ({"\ud800": 1}, "lone surrogate"),
        ({"$and": [{"a": 1}]}, "'\\$and'.*an AND of conditions"),
        ({"$or": []}, "'\\$or'"),
        ({"a": {}}, "filter on 'a' is empty"),
        ({"a": {"$regex": "x"}}, "'\\$regex' on 'a' is not an operator.*\\$gte"),
        ({"a": {"$exists": True}}, "'\\$exists' on 'a'"),
        ({"a": {"$EQ": 1}}, "'\\$EQ' on 'a'"),
        ({"a": {"b": 1}}, "'b' on 'a' is not an operator"),
        ({"a": {5: 1}}, "5 on 'a' is not an operator"),
        ({"a": [1]}, "\\$eq on 'a' takes a string.*got list"),
        ({"a": {"$eq": {"b": 1}}}, "\\$eq on 'a'.*got dict"),
        ({"a": {"$ne": [1]}}, "\\$ne on 'a'.*got list"),
        ({"a": b"x"}, "\\$eq on 'a'.*got bytes"),
        ({"a": {"$in": "abc"}}, "\\$in on 'a' takes a list of values; got str"),
        ({"a": {"$in": 5}}, "\\$in on 'a' takes a list of values; got int"),
        ({"a": {"$nin": {1}}}, "\\$nin on 'a' takes a list of values; got set"),
        ({"a": {"$in": [[1]]}}, "\\$in on 'a' takes a string.*got list"),
        ({"a": {"$in": (1, 2)}}, "tuple at a.\\$in"),
        ({"a": {"$gt": True}}, "\\$gt on 'a' takes a number or a string; got bool"),
        ({"a": {"$lt": None}}, "\\$lt on 'a'.*got NoneType"),
        ({"a": {"$gte": []}}, "\\$gte on 'a'.*got list"),
        ({"a": {"$gt": 1, "$gte": 2}}, "'a' combines \\$gt, \\$gte.*one lower bound"),
        ({"a": {"$lt": 1, "$lte": 2}}, "'a' combines \\$lt, \\$lte"),
        ({"a": {"$gt": 1, "$ne": 2}}, "'a' combines \\$gt, \\$ne"),
        ({"a": {"$eq": 1, "$ne": 2}}, "'a' combines \\$eq, \\$ne"),
        ({"a": {"$gt": 1, "$lt": 2, "$ne": 3}}, "'a' combines \\$gt, \\$lt, \\$ne"),
        ({"a": {"$in": [1], "$nin": [2]}}, "'a' combines \\$in, \\$nin"),
        ({"a": float("nan")}, "nan at a"),
        ({"a": {"$lt": float("inf")}}, "inf at a.\\$lt"),
        ({"a": 2**64}, "beyond 64 bits at a"),
        ({"a": "\ud800"}, "lone surrogate at a"),
        ({"fine": 1, "bad": {"$like": "x"}}, "'\\$like' on 'bad'"),
    ],
)
def test_refused_naming_property_and_operator(expression: Any, said: str) -> None:
    with pytest.raises(InvalidFilterError, match=said):
        parse(expression)


@pytest.mark.parametrize("character", ["x", "é"])
def test_a_filter_may_take_2047_bytes_and_not_one_more(character: str) -> None:
    def filter_of(size: int) -> dict[str, str]:
        long, rest = divmod(size - len('{"a":""}'), len(character.encode()))
        return {"a": character * long + "y" * rest}

    assert parse(filter_of(2_047))
    with pytest.raises(InvalidFilterError, match=r"takes 2048 bytes.*below 2048"):
        parse(filter_of(2_048))
