"""LlamaIndex metadata filters as filters of this project. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llama_index_vectorize.nodes import recorded_source
from vectorize_core import layout
from vectorize_core.api.validation import as_ids
from vectorize_core.errors import InvalidFilterError, InvalidInputError, shown
from vectorize_core.filters import push
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
    joined,
)
from vectorize_core.filters.builders import F
from vectorize_core.filters.evaluate import matcher, seen
from vectorize_core.filters.parse import build_test, parse
from vectorize_core.filters.patterns import escape
from vectorize_core.layout import Record
from vectorize_core.layout.nested import lookup
from vectorize_core.models import IndexType
from vectorize_core.reads.selection import AnyFilter, FindOptions, Properties

T = TypeVar("T")
OPERATORS: Final[dict[FilterOperator, Operator]] = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
}


SOURCE_KEYS: Final = frozenset({"ref_doc_id", "doc_id", "document_id"})
"""What LlamaIndex's stores call the source document of a node."""
NodeFilters: TypeAlias = MetadataFilters | AnyFilter
"""LlamaIndex's filters, or this project's: a dict or an expression. Those take booleans too."""


def to_expression(filters: NodeFilters | None) -> Expression | None:
    """The expression that means the same; None stays None, an empty list matches everything.

    The meaning is that of LlamaIndex's ``build_metadata_filter_fn``, except that a stored value of
    another type does not match instead of raising an error, True is not 1, and filters may be
    nested (docs/filters.md). Raises `InvalidFilterError` for a value that the operator cannot take.
    """
    if isinstance(filters, MetadataFilters):
        return _group(filters)
    if filters is None or isinstance(filters, (Mapping, Expression)):
        return parse(filters) if filters is not None else None
    listed = isinstance(filters, (list, tuple, MetadataFilter))
    hint = ". Write MetadataFilters(filters=[...])" if listed else ""
    raise InvalidFilterError(f"filters is a MetadataFilters; got {shown(filters)}{hint}")


def is_filter(filters: NodeFilters | None) -> bool:
    """Whether ``filters`` hold any condition."""
    if isinstance(filters, Expression):
        return True
    return bool(filters.filters if isinstance(filters, MetadataFilters) else filters)


async def by_source(expression: Expression, properties: Properties) -> Expression:
    """A filter in which the names that LlamaIndex has for a node's source document mean that.

    LlamaIndex's other stores keep it under these names, over what the metadata say. Here, where
    the index has a metadata index of such a name, the metadata of a node that has it come first.
    """
    named = (leaf.path for leaf in push.leaves(expression) if isinstance(leaf, Test))
    if SOURCE_KEYS.isdisjoint(named):
        return expression
    return _by_source(expression, await properties())


def _by_source(expression: Expression, indexed: Mapping[str, IndexType]) -> Expression:
    match expression:
        case Test(path, _, _) if path in SOURCE_KEYS:
            by_source = _source_test(expression, indexed)
            if path not in indexed:
                return by_source
            own = F(path).exists()
            return joined(Or, (joined(And, (own, expression)), joined(And, (Not(own), by_source))))
        case And(parts) | Or(parts):
            return type(expression)(tuple(_by_source(part, indexed) for part in parts))
        case Not(part):
            return Not(_by_source(part, indexed))
    return expression


def _source_test(test: Test, indexed: Mapping[str, IndexType]) -> Expression:
    """A test of the source document: looked up, where it stands in an index, and is whole."""
    if layout.REF in indexed and test.operator in ("$eq", "$ne", "$in", "$nin"):
        wanted = test.operand if test.operator in ("$in", "$nin") else (test.operand,)
        # The name of a document is a string.
        refs = tuple(layout.ref_value(one) for one in wanted if isinstance(one, str))
        found = Test(layout.REF, "$in", refs) if refs else NOTHING
        return found if test.operator in ("$eq", "$in") else Not(found)
    holds = matcher(test)
    return Where(
        lambda record: holds(Record("", None, {test.path: recorded_source(record)})),
        f"what is asked of {test.path!r}",
    )


def check_no_native(options: FindOptions) -> None:
    """Ids of nodes cannot be combined with a filter in the service's own language."""
    if options.get("vectorize_filter") is not None:
        raise InvalidInputError("vectorize_filter= cannot be combined with node_ids")


def as_node_ids(node_ids: Any, options: FindOptions) -> list[str]:
    """Ids of nodes, where filters are given beside them."""
    if isinstance(node_ids, MetadataFilters):
        raise InvalidInputError("node_ids is a list of ids; got a MetadataFilters: give filters=")
    check_no_native(options)
    return as_ids(node_ids, "node_ids")


def _group(filters: MetadataFilters) -> Expression:
    parts = [
        _group(one) if isinstance(one, MetadataFilters) else _test(one) for one in filters.filters
    ]
    if not parts:
        return EVERYTHING
    if filters.condition == FilterCondition.OR:
        return joined(Or, parts)
    if filters.condition == FilterCondition.NOT:
        return Not(joined(Or, parts))
    return joined(And, parts)


def _test(one: MetadataFilter) -> Expression:
    if one.operator in OPERATORS:
        return _comparison(one, OPERATORS[one.operator])
    match one.operator:
        case FilterOperator.ANY:
            return joined(Or, [_made(one, "$contains", item) for item in _value(one, list)])
        case FilterOperator.ALL:
            # The key has to exist even if the list is empty.
            items = [_made(one, "$contains", item) for item in _value(one, list)]
            return joined(And, (_made(one, "$exists", True), *items))
        case FilterOperator.CONTAINS:
            return _made(one, "$contains", one.value)
        case FilterOperator.TEXT_MATCH:
            return _made(one, "$like", f"%{escape(_value(one, str))}%")
        case FilterOperator.TEXT_MATCH_INSENSITIVE:
            return _made(one, "$ilike", f"%{escape(_value(one, str))}%")
        case FilterOperator.IS_EMPTY:
            return _made(one, "$in", [None, "", []])
    raise InvalidFilterError(f"unknown operator {one.operator!r} (on {one.key!r})")


def _made(one: MetadataFilter, operator: Operator, operand: Any) -> Test:
    """A test whose errors name the operator of LlamaIndex's filter."""
    return build_test(one.key, operator, operand, place=f"{one.operator.value!r} on {one.key!r}")


def _comparison(one: MetadataFilter, operator: Operator) -> Expression:
    # In LlamaIndex nothing equals None, not even a missing value.
    if one.value is None and operator == "$eq":
        return NOTHING
    if one.value is None and operator == "$ne":
        return EVERYTHING
    if isinstance(one.value, str) and operator == "$in":
        return _part_of(one.key, one.value)
    if isinstance(one.value, str) and operator == "$nin":
        return Not(_part_of(one.key, one.value))
    return _made(one, operator, one.value)


def _part_of(key: str, text: str) -> Where:
    """What ``in`` means with a text instead of a list: the stored text is a part of it."""

    def holds(record: Record) -> bool:
        found = recorded_source(record) if key in SOURCE_KEYS else lookup(record.metadata, key)
        kind, value = seen(found)
        return kind == "text" and value in text

    return Where(holds, f"{key!r} is a part of {text!r}")


def _value(one: MetadataFilter, kind: type[T]) -> T:
    """The value of a filter whose operator takes only one type of it."""
    if isinstance(one.value, kind):
        return one.value
    wanted = "a string" if kind is str else "a list"
    raise InvalidFilterError(
        f"{one.operator.value!r} on {one.key!r} takes {wanted}; got {type(one.value).__name__}"
    )
