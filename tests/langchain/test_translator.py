"""Structured queries become filters, and functions of documents do."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
)

from langchain_vectorize.documents import document_filter
from langchain_vectorize.translator import VectorizeTranslator
from vectorize_core.errors import InvalidFilterError, MissingTextError
from vectorize_core.filters import F
from vectorize_core.filters.describe import describe
from vectorize_core.filters.evaluate import evaluate, matcher
from vectorize_core.filters.parse import parse
from vectorize_core.layout import Record

YEAR = Comparison(Comparator.GTE, "year", 1960)
GENRE = Comparison(Comparator.EQ, "genre", "news")


def translated(query_filter: Any) -> Any:
    query = StructuredQuery(query="greetings", filter=query_filter, limit=None)
    text, options = VectorizeTranslator().visit_structured_query(query)
    assert text == "greetings"
    return options


@pytest.mark.parametrize(
    ("comparator", "value", "matching", "other"),
    [
        (Comparator.EQ, "b", "b", "bc"),
        (Comparator.NE, "b", None, "b"),
        (Comparator.GT, 1, 2, 1),
        (Comparator.GTE, 1, 1, 0),
        (Comparator.LT, 1, 0, None),
        (Comparator.LTE, 1, 1, 2),
        (Comparator.IN, ["a", "b"], "b", "c"),
        (Comparator.IN, "b", "b", "a"),
        (Comparator.NIN, ["a", "b"], "c", "b"),
        (Comparator.NIN, 1, 2, 1),
        (Comparator.LIKE, "b%", "bc", "ab"),
        (Comparator.CONTAIN, "b", ["a", "b"], ["a"]),
        (Comparator.CONTAIN, "b", "abc", "a"),
        (Comparator.EQ, {"type": "date", "date": "2024-05-01"}, "2024-05-01", "2024-05-02"),
        (
            Comparator.LT,
            {"type": "datetime", "datetime": "2024-05-01T00:00:00z"},
            "2024-04-30T23:59:59+00:00",
            "2024-05-01T00:00:00+00:00",
        ),
        (Comparator.IN, [{"type": "date", "date": "2024-05-01"}], "2024-05-01", "2024-05-02"),
    ],
)
def test_every_comparator(comparator: Comparator, value: Any, matching: Any, other: Any) -> None:
    expression = parse(translated(Comparison(comparator, "a", value))["filter"])
    assert evaluate(expression, {"a": matching})
    assert not evaluate(expression, {"a": other})


def test_every_operator() -> None:
    assert {*VectorizeTranslator.allowed_comparators} == {*Comparator}
    assert {*VectorizeTranslator.allowed_operators} == {*Operator}
    year, genre = F("year") >= 1960, F("genre") == "news"
    for operator, expression in (
        (Operator.AND, year & genre),
        (Operator.OR, year | genre),
        (Operator.NOT, ~(year | genre)),
    ):
        assert parse(translated(Operation(operator, [YEAR, GENRE]))["filter"]) == expression
    nested = Operation(Operator.OR, [YEAR, Operation(Operator.NOT, [GENRE])])
    assert parse(translated(nested)["filter"]) == year | ~genre


def test_no_filter_is_no_argument() -> None:
    assert translated(None) == {}


def test_what_a_model_wrote_is_checked_before_the_search() -> None:
    with pytest.raises(InvalidFilterError, match=r"year.\$gte takes a string, a number"):
        translated(Comparison(Comparator.GTE, "year", None))
    with pytest.raises(InvalidFilterError, match=r"\$or\[0\].\$x"):
        translated(Operation(Operator.OR, [Comparison(Comparator.EQ, "$x", 1), YEAR]))


NO_TIMES: dict[str, tuple[dict[str, Any], str]] = {
    "month 13": ({"type": "date", "date": "2024-13-01"}, "a date such as .*; got '2024-13-01'"),
    "day 30 of February": ({"type": "date", "date": "2024-02-30"}, "got '2024-02-30'"),
    "no date": ({"type": "date", "date": "soon"}, "got 'soon'"),
    "a date of None": ({"type": "date", "date": None}, "got None"),
    "a date that is missing": ({"type": "date"}, "got None"),
    "a number": ({"type": "date", "date": 2024}, "got 2024"),
    "a time of month 13": (
        {"type": "datetime", "datetime": "2024-13-01T00:00:00Z"},
        "a datetime such as .*; got '2024-13-01T00:00:00Z'",
    ),
    "hour 25": ({"type": "datetime", "datetime": "2024-05-01T25:00:00"}, "got '2024-05-01T25"),
    "a time that is missing": ({"type": "datetime"}, "a datetime such as .*; got None"),
}


@pytest.mark.parametrize("comparator", [Comparator.EQ, Comparator.GTE, Comparator.IN])
@pytest.mark.parametrize(("value", "said"), NO_TIMES.values(), ids=NO_TIMES)
def test_a_date_that_there_is_not_is_refused_by_name(
    comparator: Comparator, value: dict[str, Any], said: str
) -> None:
    given = [value] if comparator == Comparator.IN else value
    with pytest.raises(InvalidFilterError, match=f"^day is compared with .*{said}"):
        translated(Operation(Operator.AND, [YEAR, Comparison(comparator, "day", given)]))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"type": "date", "date": "2024-5-1"}, "2024-05-01"),
        ({"type": "datetime", "datetime": "2024-05-01T10:00:00"}, "2024-05-01T10:00:00"),
        ({"type": "datetime", "datetime": "2024-05-01t10:00:00z"}, "2024-05-01T10:00:00+00:00"),
    ],
)
def test_a_date_is_compared_as_it_is_stored(value: dict[str, Any], stored: str) -> None:
    comparison = Comparison(Comparator.EQ, "day", value)
    assert translated(comparison) == {"filter": {"day": {"$eq": stored}}}


def test_a_function_gets_the_document_as_the_store_returns_it() -> None:
    seen: list[Document] = []

    def about_us(document: Document) -> bool:
        seen.append(document)
        return "we" in document.page_content

    expression = document_filter(about_us)
    matches = matcher(expression & (F("n") == 1))
    assert matches(Record("1", "so are we", {"n": 1}))
    assert not matches(Record("2", "so are you", {"n": 1}))
    assert seen[0] == Document(id="1", page_content="so are we", metadata={"n": 1})
    assert "about_us" in describe(expression)
    with pytest.raises(MissingTextError):
        matches(Record("3", None, {"n": 1}))


def test_an_async_function_is_no_filter() -> None:
    async def always(_: Document) -> bool:
        return False

    with pytest.raises(InvalidFilterError, match="cannot be async"):
        document_filter(always)  # type: ignore[arg-type]  # it must fail
