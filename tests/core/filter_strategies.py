"""Random filters and metadata that meet often: where both come from few values, tests hit."""

from __future__ import annotations

from itertools import product
from typing import Any, cast

from hypothesis import strategies as st

from vectorize_core.filters.ast import And, Expression, Not, Or, Test
from vectorize_core.local import Behavior
from vectorize_core.models import IndexType

INDEXED: dict[str, IndexType] = {"s": "string", "n": "number", "b": "boolean", "x.y": "number"}
"""``u`` and ``a.b`` are the properties without a metadata index."""
PATHS = ("s", "n", "b", "x.y", "u", "a.b")

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
"""Every combination of what nobody knows of the service's filters."""


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
    return [*texts, "é" * 29 + "x", "é" * 30, "é" * 32, "é" * 33, "\uffff" * 22, "日" * 21 + "zz"]


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

texts = st.sampled_from(TEXTS)
numbers = st.sampled_from(NUMBERS)
scalars = st.one_of(texts, numbers, st.booleans(), st.none())


def _tests() -> st.SearchStrategy[Expression]:
    paths = st.sampled_from(PATHS)
    operands = {
        **dict.fromkeys(
            ("$eq", "$ne"), st.one_of(scalars, st.lists(scalars, max_size=2).map(tuple))
        ),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), st.one_of(texts, numbers)),
        **dict.fromkeys(
            ("$in", "$nin"),
            st.one_of(
                st.lists(texts, max_size=4), st.lists(numbers, max_size=4), st.lists(scalars)
            ).map(tuple),
        ),
        "$exists": st.booleans(),
        "$contains": scalars,
        "$like": st.sampled_from(["%", "x%", "_", "%a%", ""]),
    }
    return st.one_of(
        *(
            st.builds(Test, paths, st.just(cast("Any", name)), operand)
            for name, operand in operands.items()
        )
    )


def _nested(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(st.builds(And, parts), st.builds(Or, parts), st.builds(Not, inner))


expressions: st.SearchStrategy[Expression] = st.recursive(_tests(), _nested, max_leaves=8)

_values = st.one_of(scalars, st.lists(scalars, max_size=3))
plain_metadata = st.fixed_dictionaries(
    {},
    optional={
        "s": _values,
        "n": _values,
        "b": _values,
        "u": _values,
        "x": st.one_of(_values, st.fixed_dictionaries({"y": _values})),
        "a": st.one_of(_values, st.fixed_dictionaries({"b": _values})),
    },
)
"""Metadata that the service takes as it is."""
user_metadata = st.one_of(
    plain_metadata,
    st.fixed_dictionaries(
        {}, optional={"a.b": _values, "x.y": _values, "text": _values, "n": numbers}
    ),
)
"""Metadata of users, part of which only our layout can keep."""
