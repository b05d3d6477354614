"""What a client remembers of its own writes costs as much after many of them as after few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from vectorize_core.state import own_writes
from vectorize_core.state.own_writes import OwnWrites
from vectorize_core.texts import keeping
from vectorize_core.texts.keeping import Removals


class Counting(dict[str, Any]):
    """Counts how often it is gone through from the front, past the places of what was deleted."""

    passes = 0

    def __iter__(self) -> Iterator[str]:
        self.passes += 1
        return super().__iter__()

    def items(self) -> Any:
        self.passes += 1
        return super().items()

    def __ior__(self, other: Any, /) -> Any:
        self.update(other)
        return self


def test_what_is_forgotten_is_found_by_one_pass_of_each_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_writes, "_MOST_WRITTEN", 100)
    monkeypatch.setattr(keeping, "_MOST_OWN", 100)
    written, uncertain, own = Counting(), Counting(), Counting()
    writes, removals = OwnWrites(_written=written, _uncertain=uncertain), Removals()
    removals.own = own
    for turn in range(5):
        names = dict.fromkeys((f"{turn}-{n}" for n in range(60)), None)
        writes.accept(writes.begin("upsert", names), f"{turn}", names)
        removals.note_own(names)
        vectors: Any = dict.fromkeys(names, own_writes.Vector("a", [1.0]))
        writes.fail(writes.begin("upsert", vectors), vectors, may_have_landed=True)
    for kept in (written, uncertain, own):
        assert list(kept)[-60:] == [f"4-{n}" for n in range(60)]
        assert len(kept) == 100
        # And one of the line above.
        assert 0 < kept.passes <= 6
