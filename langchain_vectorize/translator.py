"""The structured queries of a self-query retriever, as filters."""

from __future__ import annotations

from datetime import date, datetime
from functools import partial
from typing import Any

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

from vectorize_core.errors import InvalidFilterError, shown
from vectorize_core.filters.parse import parse

_COMPARATORS = {
    Comparator.EQ: "$eq",
    Comparator.NE: "$ne",
    Comparator.GT: "$gt",
    Comparator.GTE: "$gte",
    Comparator.LT: "$lt",
    Comparator.LTE: "$lte",
    Comparator.IN: "$in",
    Comparator.NIN: "$nin",
    Comparator.LIKE: "$like",
    Comparator.CONTAIN: "$contains",
}
# NOT of several arguments matches if none of them does.
_OPERATORS = {Operator.AND: "$and", Operator.OR: "$or", Operator.NOT: "$nor"}


class VectorizeTranslator(Visitor):
    """Translates every comparator and operator to the dict form that ``filter=`` takes.

    Use it as the ``structured_query_translator`` of a ``SelfQueryRetriever``. The wildcards of
    ``like`` are ``%`` and ``_``. A date is compared as ISO 8601 text, which is how it is stored.
    """

    allowed_comparators = tuple(_COMPARATORS)
    allowed_operators = tuple(_OPERATORS)

    def visit_operation(self, operation: Operation) -> dict[str, Any]:
        """The filter of an operation."""
        arguments = [argument.accept(self) for argument in operation.arguments]
        return {_OPERATORS[operation.operator]: arguments}

    def visit_comparison(self, comparison: Comparison) -> dict[str, Any]:
        """The filter of a comparison; ``in`` and ``nin`` take a single value as a list of one.

        Raises `InvalidFilterError` for a date or a time that there is not.
        """
        value = comparison.value
        plain = partial(_plain, comparison.attribute)
        several = comparison.comparator in (Comparator.IN, Comparator.NIN)
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        operand = [plain(item) for item in items] if several else plain(value)
        return {comparison.attribute: {_COMPARATORS[comparison.comparator]: operand}}

    def visit_structured_query(
        self, structured_query: StructuredQuery
    ) -> tuple[str, dict[str, Any]]:
        """The query, and the keyword arguments of the search: ``filter=``, if there is one.

        Raises `InvalidFilterError` for a filter that is not valid.
        """
        if structured_query.filter is None:
            return structured_query.query, {}
        translated = structured_query.filter.accept(self)
        parse(translated)
        return structured_query.query, {"filter": translated}


def _plain(attribute: str, value: Any) -> Any:
    """A value as it is stored. LangChain's parser wraps dates in a dict and writes UTC as Z."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("date", "datetime"):
        return value
    written = value.get(kind)
    try:
        return _day(str(written)) if kind == "date" else _moment(str(written))
    except ValueError as error:
        form = "2024-05-31" if kind == "date" else "2024-05-31T23:59:59+00:00"
        raise InvalidFilterError(
            f"{attribute} is compared with a {kind} such as {form}; got {shown(written)}: {error}"
        ) from error


def _day(written: str) -> str:
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        # What LangChain's parser takes for a date as well: 2024-5-1.
        return datetime.strptime(written, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007


def _moment(written: str) -> str:
    return datetime.fromisoformat(written.upper()).isoformat()
