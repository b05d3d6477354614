"""The dict form: what it means, and errors that say where they are and what to write instead."""

from __future__ import annotations

import copy
import pickle
import re
from collections import OrderedDict, deque
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from tests.filters import EXPRESSIONS, METADATA
from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters import F
from vectorize_core.filters.ast import (
    EVERYTHING,
    NOTHING,
    OPERATORS,
    And,
    Expression,
    Not,
    Or,
    Test,
    Where,
)
from vectorize_core.filters.describe import describe, unparse
from vectorize_core.filters.evaluate import evaluate
from vectorize_core.filters.parse import parse

CYCLE: list[Any] = []
CYCLE.append(CYCLE)
ONE, TWO = Test("a", "$eq", 1), Test("b", "$eq", 2)


@pytest.mark.parametrize(
    ("given", "expression"),
    [
        ({}, EVERYTHING),
        ({"a": 1}, ONE),
        ({"a": {"$eq": 1}}, ONE),
        ({"a": 1, "b": 2}, And((ONE, TWO))),
        ({"a": None}, Test("a", "$eq", None)),
        ({"a": {"$gte": 1, "$lt": 3}}, And((Test("a", "$gte", 1), Test("a", "$lt", 3)))),
        ({"a": {"$between": [1, 3]}}, And((Test("a", "$gte", 1), Test("a", "$lte", 3)))),
        (
            {"a": {"$ne": 1, "$nin": [2], "$exists": True}},
            And(
                (
                    Test("a", "$ne", 1),
                    Test("a", "$nin", (2,)),
                    Test("a", "$exists", True),
                )
            ),
        ),
        ({"a": {"$eq": [1, ["x"]]}}, Test("a", "$eq", (1, ("x",)))),
        ({"a": {"$in": (1, None, [2])}}, Test("a", "$in", (1, None, (2,)))),
        ({"a": {"$in": {1: "x"}.keys()}}, Test("a", "$in", (1,))),
        ({"a": {"$like": "x%"}}, Test("a", "$like", "x%")),
        ({"a": {"$ilike": r"\_x"}}, Test("a", "$ilike", r"\_x")),
        ({"a": {"$contains": "x"}}, Test("a", "$contains", "x")),
        ({"a.b": {"$lte": date(2024, 5, 1)}}, Test("a.b", "$lte", "2024-05-01")),
        ({"a": {"$not": {"$gt": 1}}}, Not(Test("a", "$gt", 1))),
        ({"a": {"$not": {"$not": {"$eq": 1}}}}, Not(Not(ONE))),
        ({"a": {"$not": 1}}, Not(ONE)),
        ({"$and": []}, EVERYTHING),
        ({"$or": []}, NOTHING),
        ({"$nor": []}, Not(NOTHING)),
        ({"$and": [{"a": 1}]}, ONE),
        ({"$or": [{"a": 1}, {"b": 2}]}, Or((ONE, TWO))),
        ({"$or": ({"a": 1}, {"$or": [{"b": 2}]})}, Or((ONE, TWO))),
        ({"$or": [{"a": 1}, {}]}, Or((ONE, EVERYTHING))),
        ({"$nor": [{"a": 1}, {"b": 2}]}, Not(Or((ONE, TWO)))),
        ({"$not": {"a": 1, "b": 2}}, Not(And((ONE, TWO)))),
        ({"a": 1, "$or": [{"b": 2}, {"$not": {"b": 2}}]}, And((ONE, Or((TWO, Not(TWO)))))),
        ({"$and": [{"a": 1}, {"$and": [{"b": 2}, {"a": 1}]}]}, And((ONE, TWO, ONE))),
        (OrderedDict(a=MappingProxyType({"$eq": 1})), ONE),
        (F("a") == 1, ONE),
        ({"$or": [F("a") == 1, {"b": 2}]}, Or((ONE, TWO))),
    ],
)
def test_the_dict_form(given: Any, expression: Expression) -> None:
    before = copy.copy(given)
    assert parse(given) == expression
    assert given == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": {"$gtt": 1}}, "a.$gtt: $gtt is not an operator; did you mean $gt"),
        ({"a": {"$ninn": [1]}}, "did you mean $nin"),
        ({"a": {"$regex": "x"}}, "a.$regex: $regex is not an operator; there are $eq, $ne"),
        ({"$orr": []}, "$orr: $orr is not an operator; did you mean $or?"),
        ({"$gt": 1}, "$gt needs a property; write {'name': {'$gt': ...}}"),
        ({"a": {"$or": [1]}}, "a.$or: $or joins filters; write {'$or': [{'a': ...}, ...]}"),
        ({"$or": [{"a": 1}, {"year": {"$gte": []}}]}, "$or[1].year.$gte takes a string, a number"),
        (
            {"$not": {"$and": [{"a": {"$in": "x"}}]}},
            "$not.$and[0].a.$in takes a list of values; got str",
        ),
        ({"a": {"$nin": [1, b"x"]}}, "a.$nin[1] takes a string, a number"),
        ({"a": {"$in": None}}, "a.$in takes a list of values; got NoneType"),
        ({"a": {"$in": {"b": 1}}}, "a.$in takes a list of values; got dict"),
        ({"a": {"$gt": True}}, "a.$gt takes a string, a number, a date or a time; got bool"),
        ({"a": {"$gt": None}}, "got NoneType"),
        ({"a": {"$between": [1]}}, "a.$between takes a list of two bounds; got list"),
        ({"a": {"$between": "ab"}}, "a.$between takes a list of two bounds; got str"),
        ({"a": {"$between": [1, None]}}, "a.$between[1] takes a string"),
        ({"a": {"$exists": 1}}, "a.$exists takes True or False; got int"),
        ({"a": {"$like": 1}}, "a.$like takes a pattern, which is a string; got int"),
        ({"a": {"$ilike": "x\\"}}, "a.$ilike: the pattern 'x\\\\' ends with a backslash"),
        ({"a": {"$contains": {"b": 1}}}, "a.$contains takes a string, a number"),
        ({"a": [1]}, "a got a list: write {'$in': [...]}"),
        ({"a": {}}, "a is empty; give it a value or an operator"),
        ({"a": {"b": 1}}, "a.b: write a nested property as a path: 'a.b'"),
        ({"a": {1: 1}}, "as a path: 'a.1'"),
        ({"a": object()}, "a takes a string, a number, a boolean, None"),
        ({"a": float("nan")}, "a: no stored value can be compared with nan"),
        ({"a": {"$lt": float("-inf")}}, "a.$lt: no stored value can be compared with -inf"),
        (
            {"a": 2**1000},
            "a: no stored value can be compared with 1071508607186267320948425049060001810561",
        ),
        ({"a": 10**5_000}, "a: no stored value can be compared with an integer of thousands"),
        ({"a": {"$eq": CYCLE}}, "a.$eq: the value is nested too deep"),
        ({"a": np.array([1])}, "a got a ndarray: write {'$in': [...]}"),
        ({"a": deque([1])}, "a got a deque: write {'$in': [...]}"),
        ({"a": Decimal("1.5")}, "a: a Decimal is stored as text"),
        ({"a": "\ud800"}, "a: the text '\\ud800' is not valid Unicode"),
        ({"\ud800": 1}, "is not valid Unicode"),
        (
            {1: 1},
            "the name of a property is a non-empty string that does not begin with '$'; got 1",
        ),
        ({"": 1}, "the name of a property is a non-empty string"),
        ({"$or": {"a": 1}}, "$or takes a list of filters; got dict"),
        ({"$and": "ab"}, "$and takes a list of filters; got str"),
        ({"$or": [["a", 1]]}, "$or[0] takes a mapping such as"),
        ({"$not": [{"a": 1}]}, "$not takes a mapping such as"),
        ("year > 3", "a filter takes a mapping such as {'year': {'$gte': 1960}}"),
        (None, "got NoneType"),
    ],
)
def test_an_error_says_where_and_what(given: Any, said: str) -> None:
    with pytest.raises(InvalidFilterError, match=re.escape(said)) as caught:
        parse(given)
    # Where the text names a place, so does the error, also a copy in another process.
    place = pickle.loads(pickle.dumps(caught.value)).place
    assert place is not None
    if not str(caught.value).startswith(("a filter ", "the name ")):
        assert re.match(rf"{re.escape(place)}(:| takes | got | needs | is )", str(caught.value))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"n": {"gt": 1}}, "$gt"),
        ({"n": {"GTE": 1}}, "$gte"),
        ({"n": {"$GT": 1}}, "$gt"),
        ({"n": {">": 1}}, "$gt"),
        ({"n": {"<=": 1}}, "$lte"),
        ({"n": {"==": 1}}, "$eq"),
        ({"n": {"!=": 1}}, "$ne"),
        ({"n": {"ge": 1}}, "$gte"),
        ({"n": {"in": [1]}}, "$in"),
        ({"n": {"not in": [1]}}, "$nin"),
        ({"n": {"$gt": 1, "lt": 5}}, "$lt"),
        ({"n": {"between": [1, 2]}}, "$between"),
        ({"n": {"not": {"$gt": 1}}}, "$not"),
        ({"n": {"contains": "x"}}, "$contains"),
        ({"n": {"like": "x%"}}, "$like"),
        ({"n": {"exists": True}}, "$exists"),
        ({"n": {"_gt": 1}}, "$gt"),
        ({"n": {"gt_": 1}}, "$gt"),
        ({"n": {"greater than": 1}}, "$gt"),
        ({"n": {"equals": 1}}, "$eq"),
        ({"n": {"or": [{"gt": 1}, {"lt": 0}]}}, "$or"),
        ({"and": [{"n": 1}]}, "$and"),
        ({"or": ({"n": 1},)}, "$or"),
        ({"OR": [{"n": 1}]}, "$or"),
        ({"$OR": [{"n": 1}]}, "$or"),
        ({"nor": [{"n": 1}]}, "$nor"),
        ({"not": {"n": 1}}, "$not"),
        ({"or": {"n": 1}}, "$or"),
        ({"$and": [{"or": [{"n": 1}]}]}, "$or"),
        ({"$annd": [{"n": 1}]}, "$and"),
        ({"n": {"$gtt": 1}}, "$gt"),
    ],
)
def test_an_operator_in_another_form_is_told_from_what_was_meant(given: Any, meant: str) -> None:
    with pytest.raises(InvalidFilterError, match=re.escape(f"did you mean {meant}?")):
        parse(given)


@pytest.mark.parametrize(
    ("near", "plain"),
    [
        ({"$exists": np.True_}, {"$exists": True}),
        ({"$exists": np.array(False)}, {"$exists": False}),
        ({"$between": np.array([1, 2])}, {"$between": [1, 2]}),
        ({"$between": range(1, 3)}, {"$between": [1, 2]}),
        ({"$between": deque(["a", "b"])}, {"$between": ["a", "b"]}),
        ({"$in": np.array([1, 2])}, {"$in": [1, 2]}),
        ({"$eq": np.array([1, 2])}, {"$eq": [1, 2]}),
        ({"$gt": np.float32(0.5)}, {"$gt": 0.5}),
        ({"$like": np.str_("a%")}, {"$like": "a%"}),
    ],
)
def test_operands_of_near_types_are_taken(near: Any, plain: Any) -> None:
    assert parse({"n": near}) == parse({"n": plain})


@pytest.mark.parametrize("name", ["and", "or", "not", "gt", "in"])
def test_a_property_may_be_called_as_an_operator_is(name: str) -> None:
    assert parse({name: 5}) == Test(name, "$eq", 5)
    assert parse({name: {"$gt": 5}}) == Test(name, "$gt", 5)
    assert parse({f"a.{name}": 5}) == Test(f"a.{name}", "$eq", 5)
    with pytest.raises(InvalidFilterError, match=f"as a path: 'a.{name}'"):
        parse({"a": {name: 5}})


@pytest.mark.parametrize("inner", [{"$not": {}}, {"a": {"$not": {"$eq": 1}}}])
def test_a_filter_is_nested_a_hundred_levels_deep_at_most(inner: Any) -> None:
    key, *_ = inner
    for _ in range(500):
        inner = {"$not": inner} if key == "$not" else {"a": {"$not": inner["a"]}}
    with pytest.raises(InvalidFilterError, match="nested deeper than 100 levels"):
        parse(inner)


@given(EXPRESSIONS, METADATA)
def test_unparsed_and_parsed_a_filter_means_the_same(expression: Expression, metadata: Any) -> None:
    back = parse(unparse(expression))
    assert evaluate(back, metadata) is evaluate(expression, metadata)
    assert unparse(parse(unparse(back))) == unparse(back)


def test_a_description_is_the_dict_form() -> None:
    expression = (F("a") >= 1) & (F("a") < 3) & F("b").isin([1, "x"]) & ~(F("c") == [1])
    assert describe(expression) == (
        "{'a': {'$gte': 1, '$lt': 3}, 'b': {'$in': [1, 'x']}, '$not': {'c': {'$eq': [1]}}}"
    )
    twice = (F("a") == 1) & (F("a") == 2) & Where(len, "it is long")
    assert describe(twice) == "{'$and': [{'a': 1}, {'a': 2}, {'$where': 'it is long'}]}"


PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text(encoding="utf-8")


def test_the_two_examples_of_the_documentation_are_one_filter() -> None:
    dict_form, code, *_ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert parse(eval(dict_form)) == eval(code.partition("\n\n")[2], {"F": F})


def test_the_documentation_has_every_operator() -> None:
    named = {*re.findall(r"\$[a-z]+", PAGE)} - {"$gtt"}
    assert named == {"$and", "$or", "$nor", "$not", "$between", *OPERATORS}
