"""Values as float32, of one vector and of many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.models import packed, packed_rows

NUMBERS = st.floats(width=32) | st.integers(-(2**20), 2**20) | st.booleans()
TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1)
)


@given(TABLES)
@examples(50)
def test_many_lists_are_packed_as_each_is(rows: list[list[float]]) -> None:
    together = packed_rows(rows)
    assert together is not None
    for row, values in zip(rows, together, strict=True):
        alone = packed(row)
        assert alone is not None
        np.testing.assert_array_equal(values, alone)
        assert values.dtype == np.float32
        assert values.flags.c_contiguous
        assert values.flags.writeable


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[]],
        [[1.0], [1.0, 2.0]],
        [[1.0], (1.0,)],
        [[1.0], np.float32([1.0])],
        [[1.0], ["1"]],
        [[1.0], [None]],
        [[1.0], [[1.0]]],
    ],
    ids=repr,
)
def test_rows_of_another_kind_are_left_to_be_looked_at_one_by_one(rows: Any) -> None:
    assert packed_rows(rows) is None
