"""LlamaIndex filters mean what LlamaIndex itself says, but for the differences listed here."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llama_index_vectorize.filters import to_expression
from tests.llama_index.helpers import llama_index, meaning
from vectorize_core.errors import InvalidFilterError
from vectorize_core.filters.ast import EVERYTHING
from vectorize_core.filters.describe import describe
from vectorize_core.filters.evaluate import evaluate

MISSING: Any = object()
OP = FilterOperator
STORED: list[Any] = [
    *(MISSING, None, "", "b", "B", "abc", "a%c", 0, 2, 2.0, True, False),
    *([], ["b"], ["a", "b"], [2], [2.0, None], [True], [["b"]], {}, {"b": 1}, {"a": {"b": 2}}),
]
OPERANDS: list[Any] = [
    *(None, "", "a", "b", "B", "abc", "a%", 0, 1, 2, 2.0, 3),
    *([], ["b"], ["b", "c"], ["a", "b"], [1, 2], [2.0], [""]),
]
RANGES = (OP.GT, OP.GTE, OP.LT, OP.LTE)


def leaf(operator: FilterOperator, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key="k", value=value, operator=operator)])


def metadata_of(stored: Any) -> dict[str, Any]:
    return {} if stored is MISSING else {"k": stored}


def refused(operator: FilterOperator, value: Any) -> bool:
    """Operands that match nothing at all in LlamaIndex, or raise, or are looked at by letters."""
    if operator in RANGES:
        return value is None or isinstance(value, list)
    if operator in (OP.IN, OP.NIN):
        return not isinstance(value, (list, str))
    if operator in (OP.ANY, OP.ALL):
        return not isinstance(value, list)
    return operator in (OP.TEXT_MATCH, OP.TEXT_MATCH_INSENSITIVE) and not isinstance(value, str)


def with_booleans_apart(value: Any) -> Any:
    """``value`` with booleans as something that Python holds equal to no number."""
    if isinstance(value, bool):
        return object()
    return list(map(with_booleans_apart, value)) if isinstance(value, list) else value


def expected(operator: FilterOperator, value: Any, stored: Any) -> bool:
    if isinstance(stored, dict) and operator in (OP.CONTAINS, OP.ANY, OP.ALL) and value != []:
        return False  # LlamaIndex looks among the keys of an object
    said = llama_index(leaf(operator, value), metadata_of(with_booleans_apart(stored)))
    # Where LlamaIndex raises, nothing matches; what does not match IN matches NIN.
    return said if said is not None else operator is OP.NIN


@pytest.mark.parametrize("operator", OP)
def test_each_leaf_means_what_llama_index_says(operator: FilterOperator) -> None:
    for value, stored in itertools.product(OPERANDS, STORED):
        filters = leaf(operator, value)
        if refused(operator, value):
            with pytest.raises(InvalidFilterError, match=r"\bk\b"):
                to_expression(filters)
            continue
        expression = to_expression(filters)
        assert expression is not None
        assert evaluate(expression, metadata_of(stored)) is expected(operator, value, stored), (
            f"{operator.value} {value!r} on {stored!r}"
        )


def test_the_differences_are_these() -> None:
    """Every case in which LlamaIndex answers, and not as we do."""
    different = [
        (operator.value, value, stored)
        for operator, value, stored in itertools.product(OP, OPERANDS, STORED)
        if not refused(operator, value)
        and llama_index(leaf(operator, value), metadata_of(stored))
        not in (None, expected(operator, value, stored))
    ]
    booleans = [case for case in different if not isinstance(case[2], dict)]
    assert all(str(stored) in ("True", "False", "[True]") for _, _, stored in booleans)
    assert {operator for operator, _, _ in booleans} == {
        *("==", "!=", ">", ">=", "<", "<=", "in", "nin", "contains", "any"),
    }
    objects = [case for case in different if isinstance(case[2], dict)]
    assert {operator for operator, _, _ in objects} == {"contains", "any", "all"}


VALUES = st.sampled_from([1, 2, "a", "b"])
FLAT = st.builds(
    MetadataFilter,
    key=st.sampled_from(["k", "l"]),
    value=VALUES,
    operator=st.sampled_from([OP.EQ, OP.NE]),
)


@given(
    st.lists(FLAT, max_size=3),
    st.sampled_from([*FilterCondition, None]),
    st.dictionaries(st.sampled_from(["k", "l"]), VALUES),
)
def test_conditions_mean_what_llama_index_says(
    filters: list[Any], condition: FilterCondition | None, metadata: dict[str, Any]
) -> None:
    both = MetadataFilters(filters=filters, condition=condition)
    expression = to_expression(both)
    assert expression is not None
    assert evaluate(expression, metadata) is llama_index(both, metadata)


NESTED: st.SearchStrategy[MetadataFilters] = st.recursive(
    st.builds(
        MetadataFilters,
        filters=st.lists(FLAT, max_size=2),
        condition=st.sampled_from(FilterCondition),
    ),
    lambda inner: st.builds(
        MetadataFilters,
        filters=st.lists(FLAT | inner, max_size=3),
        condition=st.sampled_from(FilterCondition),
    ),
    max_leaves=4,
)


@given(NESTED, st.dictionaries(st.sampled_from(["k", "l"]), VALUES))
def test_filters_may_be_nested(filters: MetadataFilters, metadata: dict[str, Any]) -> None:
    expression = to_expression(filters)
    assert expression is not None
    assert evaluate(expression, metadata) is meaning(filters, metadata)


@given(st.text(max_size=4), st.text(max_size=6))
def test_texts_match_as_in_llama_index_whatever_their_case(part: str, text: str) -> None:
    for operator in (OP.TEXT_MATCH, OP.TEXT_MATCH_INSENSITIVE, OP.IN, OP.CONTAINS):
        filters = leaf(operator, part)
        expression = to_expression(filters)
        assert expression is not None
        assert evaluate(expression, {"k": text}) is llama_index(filters, {"k": text})


def test_no_filters_are_no_restriction() -> None:
    assert to_expression(None) is None
    for condition in [*FilterCondition, None]:
        assert to_expression(MetadataFilters(filters=[], condition=condition)) is EVERYTHING


def test_a_key_with_a_dot_may_be_nested() -> None:
    expression = to_expression(MetadataFilters(filters=[MetadataFilter(key="a.b", value=1)]))
    assert expression is not None
    assert evaluate(expression, {"a": {"b": 1}})
    assert evaluate(expression, {"a.b": 1})


def test_the_other_way_round_is_described_in_words() -> None:
    expression = to_expression(leaf(OP.IN, "abc"))
    assert expression is not None
    assert describe(expression) == """{'$where': "'k' is a part of 'abc'"}"""


def test_a_refusal_names_operator_key_and_type() -> None:
    with pytest.raises(InvalidFilterError, match="'any' on 'k' takes a list; got str"):
        to_expression(leaf(OP.ANY, "ab"))
    with pytest.raises(InvalidFilterError, match="'text_match' on 'k' takes a string; got int"):
        to_expression(leaf(OP.TEXT_MATCH, 1))
    with pytest.raises(InvalidFilterError, match="does not begin with"):
        to_expression(MetadataFilters(filters=[MetadataFilter(key="$or", value=1)]))
