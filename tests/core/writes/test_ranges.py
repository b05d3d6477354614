"""Input positions: a sequence of integers, kept as ranges."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorize_core.writes.ranges import Positions, runs

positions = st.lists(st.integers(0, 60)).map(lambda drawn: sorted(set(drawn)))


def of(members: list[int]) -> Positions:
    return Positions(runs(members))


@given(positions)
def test_they_are_the_sequence_they_stand_for(members: list[int]) -> None:
    these = of(members)
    assert list(these) == members
    assert these == members == [*these]
    assert these == tuple(members)
    assert len(these) == len(members)
    assert [these[at] for at in range(len(these))] == members
    assert these[-3:] == members[-3:]
    assert [at for at in range(-1, 62) if at in these] == members


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9))))
def test_parts_may_touch_overlap_and_come_in_any_order(parts: list[tuple[int, int]]) -> None:
    ranges = [range(start, start + length) for start, length in parts]
    these = Positions(ranges)
    assert these == sorted({position for part in ranges for position in part})
    assert all(a.stop < b.start for a, b in zip(these.ranges, these.ranges[1:], strict=False))


@given(positions, st.integers(61, 70))
def test_what_is_missing_is_the_rest(members: list[int], stop: int) -> None:
    assert of(members).missing(stop) == sorted(set(range(stop)) - set(members))


def test_they_can_be_compared_hashed_pickled_and_read() -> None:
    these = of([1, 2, 3, 7])
    assert these != [1, 2, 3]
    assert these != {1, 2, 3, 7}
    assert hash(these) == hash(of([1, 2, 3, 7]))
    assert pickle.loads(pickle.dumps(these)) == these
    assert repr(these) == "Positions(1-3, 7)"
    with pytest.raises(IndexError, match="4 positions"):
        these[4]
    assert "a" not in these
