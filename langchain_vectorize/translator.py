"""The structured queries of a self-query retriever, as filters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from langchain_core.structured_query import (
    Comparator,
    Comparison,
    Operation,
    Operator,
    StructuredQuery,
    Visitor,
)

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
        """The filter of a comparison; ``in`` and ``nin`` take a single value as a list of one."""
        value = comparison.value
        several = comparison.comparator in (Comparator.IN, Comparator.NIN)
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        operand = [_plain(item) for item in items] if several else _plain(value)
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


def _plain(value: Any) -> Any:
    """A value as it is stored. LangChain's parser wraps dates in a dict and writes UTC as Z."""
    if isinstance(value, dict) and value.get("type") == "date":
        return value["date"]
    if isinstance(value, dict) and value.get("type") == "datetime":
        return datetime.fromisoformat(value["datetime"].upper()).isoformat()
    return value
