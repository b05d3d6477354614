"""Metadata and filters for property tests: few names and close values, so that filters do match."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from vectorize_core.filters.ast import EVERYTHING, NOTHING, And, Expression, Not, Or, joined
from vectorize_core.filters.parse import build_test

NAMES = st.sampled_from(["a", "b", "a.b", "a.b.c"])
TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "b", "%", "_", "\\", "a%", "1", "ß", "\U0001f600", "\ufb01"]
)
NUMBERS = st.sampled_from(
    [-1, 0, 1, 1.0, 2, 2.5, 2**53, 2**53 + 1, float(2**53), -0.0, 1e300, 2**70]
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = SCALARS | st.lists(SCALARS, max_size=3)

JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)
METADATA: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, JSON, max_size=4)


@st.composite
def tests_of_one(draw: st.DrawFn) -> Expression:
    """Any operator on any property, with an operand it takes."""
    operator, operands = draw(
        st.sampled_from(
            [
                ("$eq", VALUES),
                ("$ne", VALUES),
                ("$gt", NUMBERS | TEXTS),
                ("$gte", NUMBERS | TEXTS),
                ("$lt", NUMBERS | TEXTS),
                ("$lte", NUMBERS | TEXTS),
                ("$in", st.lists(VALUES, max_size=3)),
                ("$nin", st.lists(VALUES, max_size=3)),
                ("$exists", st.booleans()),
                ("$like", PATTERNS),
                ("$ilike", PATTERNS),
                ("$contains", SCALARS),
            ]
        )
    )
    return build_test(draw(NAMES), operator, draw(operands))


PATTERNS = st.lists(st.sampled_from(["%", "_", "a", "B", "ß", r"\%", r"\_", r"\\"])).map("".join)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    tests_of_one() | st.sampled_from([EVERYTHING, NOTHING]),
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(joined, st.sampled_from([And, Or]), st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)
