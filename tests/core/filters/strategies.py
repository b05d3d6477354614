"""Random filters and metadata that meet often: where both come from few values, tests hit."""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from datetime import date
from functools import cache
from itertools import product
from typing import Any, TypeAlias, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from vectorize_core.filters.ast import And, Expression, Not, Or, Test
from vectorize_core.local import Behavior
from vectorize_core.models import IndexType

INDEXED: dict[str, IndexType] = {
    "s": "string",
    "n": "number",
    "b": "boolean",
    "x.y": "number",
    "x.t": "string",
}
"""``u`` and ``a.b`` are the properties without a metadata index."""
PATHS = (*INDEXED, "u", "a.b")

BEHAVIORS = [
    Behavior(
        coerce_types=coerce,
        truncate_filter_values=truncate,
        arrays=cast("Any", arrays),
        negation_matches_missing=missing,
        eq_null=cast("Any", null),
    )
    for coerce, truncate, arrays, missing, null in product(
        (True, False),
        (True, False),
        ("ignored", "elements"),
        (True, False),
        ("nothing", "missing"),
    )
]
"""Every combination of what is not known of the service's filters."""


def _texts() -> list[str]:
    texts = [
        "",
        "a",
        "b",
        "ab",
        "10",
        "true",
        "\u0000",
        "é",
        "日本",
        "\U0001f600",
        "\uffff",
        "\ud7ff",
    ]
    for length in (58, 59, 60, 61, 63, 64, 65):
        start = "x" * length
        texts += [
            start,
            start + "a",
            start + "é",
            start + "日",
            start + "日b",
            start + "\U0001f600z",
        ]
    return [
        *texts,
        "é" * 29 + "x",
        "é" * 30,
        "é" * 32,
        "é" * 33,
        "\uffff" * 22,
        "\ud7ff" * 22,
        "日" * 21 + "zz",
    ]


TEXTS = _texts()
NUMBERS: list[int | float] = [
    *range(-2, 4),
    0.5,
    1.0,
    -0.0,
    10,
    2**53 - 1,
    2**53,
    2**53 + 1,
    2.0**53,
    -(2**53) - 1,
    2**63,
    2**64 + 1,
    10**30,
    1e308,
    5e-324,
]

SOME_TEXTS = ["", "10", "é", "x" * 60, "x" * 61, "x" * 64, "x" * 64 + "a", "x" * 63 + "日b"]
SOME_NUMBERS: list[int | float] = [-1, 0, 1.0, 2, 10, 2**53, 2**53 + 1]

AnyMetadata: TypeAlias = st.SearchStrategy[dict[str, Any]]


def expressions_of(
    given_texts: list[str], given_numbers: list[int | float]
) -> st.SearchStrategy[Expression]:
    """Random trees of tests with operands from these values."""
    texts, numbers = st.sampled_from(given_texts), st.sampled_from(given_numbers)
    scalars = st.one_of(texts, numbers, st.booleans(), st.none())
    lists = st.lists(scalars, max_size=2).map(tuple)
    ranges = st.one_of(texts, numbers)
    several = st.one_of(
        st.lists(texts, max_size=4), st.lists(numbers, max_size=4), st.lists(scalars)
    ).map(tuple)
    operands: dict[str, st.SearchStrategy[Any]] = {
        "$eq": st.one_of(scalars, lists),
        "$ne": st.one_of(scalars, lists),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), ranges),
        "$in": several,
        "$nin": several,
        "$exists": st.booleans(),
        "$contains": scalars,
        "$like": st.sampled_from(["%", "x%", "_", "%a%", ""]),
    }
    tests = [
        st.builds(Test, st.sampled_from(PATHS), st.just(cast("Any", name)), operand)
        for name, operand in operands.items()
    ]
    return st.recursive(st.one_of(*tests), _nested, max_leaves=8)


def _nested(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(st.builds(And, parts), st.builds(Or, parts), st.builds(Not, inner))


def plain_metadata_of(given_texts: list[str], given_numbers: list[int | float]) -> AnyMetadata:
    """Metadata that the service takes as it is: it has no integers of more than 64 bits."""
    numbers = [n for n in given_numbers if isinstance(n, float) or -(2**63) <= n < 2**64]
    return _metadata_of(given_texts, numbers or [0])


def _metadata_of(given_texts: list[str], given_numbers: list[int | float]) -> AnyMetadata:
    texts, numbers = st.sampled_from(given_texts), st.sampled_from(given_numbers)
    scalars = st.one_of(texts, numbers, st.booleans(), st.none())
    values = st.one_of(scalars, st.lists(scalars, max_size=3))
    inside = dict.fromkeys(("y", "t", "b"), values)
    nested = st.one_of(values, st.fixed_dictionaries({}, optional=inside))
    plain = {**dict.fromkeys("snbu", values), "x": nested, "a": nested}
    return st.fixed_dictionaries({}, optional=plain)


class Size(enum.Enum):
    SMALL, LARGE = "a", 10


def user_metadata_of(given_texts: list[str], given_numbers: list[int | float]) -> AnyMetadata:
    """Metadata of users, part of which only our layout can keep."""
    plain = _metadata_of(given_texts, given_numbers)
    values = st.one_of(
        st.sampled_from(given_texts), st.sampled_from(given_numbers), st.booleans(), st.none()
    )
    escaped = dict.fromkeys(("a.b", "x.y", "x.t", "text", "content", "n"), values)
    inside = {"y": values, "t": st.one_of(values, st.sampled_from(Size))}
    # Of this object, JSON cannot say all.
    dated = st.fixed_dictionaries({"when": st.just(date(2026, 1, 2))}, optional=inside)
    more = st.fixed_dictionaries({}, optional={**escaped, "x": dated})
    return st.builds(lambda one, other: {**one, **other}, plain, more)


Case: TypeAlias = tuple[Expression, dict[str, Any]]


def _pools() -> list[tuple[list[str], list[int | float]]]:
    rng = random.Random(1)
    return [(rng.sample(TEXTS, 3), rng.sample(NUMBERS, 3)) for _ in range(40)]


def cases(
    metadata_of: Callable[[list[str], list[int | float]], AnyMetadata],
) -> st.SearchStrategy[Case]:
    """An expression and metadata out of the same few values, so that they often meet."""
    of_pools = [st.tuples(expressions_of(*pool), metadata_of(*pool)) for pool in _pools()]
    return st.integers(0, len(of_pools) - 1).flatmap(of_pools.__getitem__)


expressions = expressions_of(SOME_TEXTS, SOME_NUMBERS)
user_metadata = user_metadata_of(SOME_TEXTS, SOME_NUMBERS)


@cache
def metadatas(count: int) -> list[dict[str, Any]]:
    """So many, the same each time, of all that users put there."""
    found: list[dict[str, Any]] = []

    @settings(max_examples=count * 2, derandomize=True, database=None, deadline=None)
    @given(user_metadata)
    def collect(metadata: dict[str, Any]) -> None:
        found.append(metadata)

    collect()
    return found[:count]
