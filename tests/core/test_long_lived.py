"""A call costs the same however much a long-lived client has kept, or is given at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from vectorize_core import VectorizeClient
from vectorize_core.state import own_writes
from vectorize_core.state.own_writes import OwnWrites
from vectorize_core.texts import keeping, upkeep
from vectorize_core.texts.frequent import FrequentWords
from vectorize_core.texts.keeping import Removals
from vectorize_core.texts.upkeep import Upkeep
from vectorize_core.transport.io import iterate, run
from vectorize_core.writes.checkpoint import open_checkpoint
from vectorize_core.writes.sources import Ids


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


class CountingQueue(deque[Any]):
    """Counts how often it is gone through."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return super().__iter__()


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


def test_rows_that_are_due_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_MOST_DUE", 100)
    kept, due = Upkeep(), CountingQueue()
    monkeypatch.setattr(kept, "_due", due)
    for turn in range(150):
        assert not kept.take(turn - 120.0)
        kept.leave({f"a{turn}": ["1"], f"b{turn}": ["1"]}, float(turn))
    assert kept._due is due
    assert due.passes == 0
    assert list(kept.take(101.0)) == ["a100", "b100", "a101", "b101"]
    assert len(kept.take()) == 96
    assert not kept


def test_frequent_words_are_not_gone_through_for_a_question() -> None:
    words, found = FrequentWords(), Counting()
    words._found["docs"] = found
    for turn in range(50):
        words.note("docs", {f"w{turn}": 5_000})
        assert words.find("docs", f"w{turn}") == 5_000
    assert found.passes == 0


def test_ids_to_delete_come_by_the_batch() -> None:
    ids = Ids([f"{n}" if n % 2 else "x" * 100 for n in range(1_000)])
    with VectorizeClient.local() as client:
        io, state = client.connection.io(), client.connection.state("docs")
        checkpoint = run(open_checkpoint(io, None, state))
        batches = list(iterate(ids.entries(checkpoint, 100)))
    assert [len(batch) for batch in batches] == [100] * 5
    assert (ids.skipped_count, len(ids.skipped)) == (500, 500)
    # It is asked for after each batch.
    ids.skipped.clear()
    assert ids.skipped_count == 500
