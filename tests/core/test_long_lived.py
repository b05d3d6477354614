"""A call costs the same however much a long-lived client has kept, or is given at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from vectorize_core import VectorizeClient
from vectorize_core.state import in_flight, own_writes
from vectorize_core.state.last_writes import LastWrites
from vectorize_core.state.own_writes import OwnWrite, OwnWrites
from vectorize_core.texts import keeping, upkeep
from vectorize_core.texts.frequent import FrequentWords
from vectorize_core.texts.keeping import Found, Keeping, Removals
from vectorize_core.texts.sqlite import SqliteTexts
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


class CountingList(list[Any]):
    """The same of a list."""

    passes = 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return super().__iter__()


def test_last_writes_are_forgotten_and_found_without_a_look_at_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_writes, "_MOST_WRITTEN", 100)
    writes, written, uncertain = OwnWrites(), Counting(), Counting()
    writes._written._last, writes._uncertain._last = written, uncertain
    for turn in range(50):
        vectors: Any = {f"{turn}-{n}": _of(f"{turn - turn % 2}", n) for n in range(6)}
        if turn < 10:
            writes.fail(writes.begin("upsert", vectors), vectors, may_have_landed=True)
        else:
            writes.accept(writes.begin("upsert", vectors), f"{turn}", vectors)
    assert [*dict.fromkeys(key[:2] for key in written)] == [f"{turn}" for turn in range(33, 50)]
    assert len(uncertain) == 60
    written.passes = 0
    # Not all is known: what was forgotten may be of that document.
    assert writes.of_documents({"48"}, None) is None
    writes.see(writes.pending()[-3])
    pending = writes.of_documents({"48", "2"}, "b")
    assert pending is not None
    assert pending.wanted == {"48-1", "49-1", "2-1", "3-1"}
    assert pending.others(["48-0", "48-1", "34-1", "7"]) == {"48-0"}
    assert writes.unseen_among(["46-1", "47-1", "48-1"]).keys() == {"47-1", "48-1"}
    assert len(written) == 18
    assert written.passes == uncertain.passes == 0


def test_a_write_looks_at_no_other_one_that_shares_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    for name in ("crosses", "precedes", "note_overwrite"):
        monkeypatch.setattr(OwnWrite, name, lambda *_, name=name: looks.append(name))
    looked = set[OwnWrite]()
    monkeypatch.setattr(OwnWrite, "read", lambda write, *_: looked.add(write))
    writes = OwnWrites()
    begun = [writes.begin("upsert", {f"{n}": None}) for n in range(200)]
    for n, write in enumerate(begun):
        writes.accept(write, f"{n}", {f"{n}": None})
    writes.read({"7": None, "8": None}, writes.moment(), begun[:1])
    assert looks == []
    assert [n for n, write in enumerate(begun) if write in looked] == [0, 7, 8]
    large = dict.fromkeys(map(str, range(199, 300)))
    writes.begin("upsert", large)
    assert looks == ["precedes"]
    kept = writes.begin("upsert", large)
    writes.begin("upsert", {"198": None, "250": None})
    assert looks == ["precedes", "precedes", "crosses", "precedes"]
    # What nothing else refers to is not tracked any more.
    begun.clear()
    looked.clear()
    del write
    writes.forget()
    writes.begin("upsert", {})
    assert [*writes._tracked] == [kept]
    assert not writes._tracked._of


def test_of_writes_of_the_same_ids_only_the_last_ones_are_kept() -> None:
    known = LastWrites()
    known.note({"first": _of("1", 0)}, 0, 0.0, sure=True)
    for turn in range(1, 5_001):
        known.note({f"{turn % 7}": _of("1", 0)}, turn, 0.0, sure=turn % 2 == 0)
    kept = len(known._in_order)
    assert kept <= 1_100
    assert sorted(i for i, _ in known.of(["1"])) == [*"0123456", "first"]
    for left in range(kept - 1, -1, -1):
        known.forget_oldest()
        assert len(known._in_order) == left
    assert (len(known), known.unsure, [*known.of(["1"])]) == (0, 0, [])


def test_a_write_says_which_namespaces_it_is_in_without_a_look_at_its_ids() -> None:
    writes = OwnWrites()
    vectors: Any = {"a": _of("1", 0), "b": _of("1", 1), "gone": None}
    write = writes.begin("upsert", vectors)
    assert write.namespaces == frozenset()
    writes.accept(write, "1", vectors)
    assert write.namespaces == {"a", "b"}
    gone = writes.begin("delete", {"a": None})
    writes.accept(gone, "2", {"a": None})
    assert gone.namespaces == frozenset()


def test_it_is_known_of_how_many_ids_the_last_write_may_have_left_another_record() -> None:
    writes = LastWrites()
    writes.note(dict.fromkeys("abcd", _of("one", 0)), 0, 0, sure=False)
    assert writes.unsure == 4
    writes.note({"a": _of("one", 1)}, 1, 1, sure=True)
    writes.note({"b": None}, 2, 2, sure=False)
    writes.discard("cz")
    assert writes.unsure == 1
    writes.note({"d": _of("two", 1)}, 3, 3, sure=False)
    assert writes.unsure == 1
    writes.forget_oldest()
    assert writes.unsure == 1
    while writes.oldest:
        writes.forget_oldest()
    assert writes.unsure == 0


def test_names_of_long_texts_are_forgotten_by_one_pass_of_each_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "_MOST_OWN", 100)
    removals, own = Removals(), Counting()
    removals.own = own
    for turn in range(5):
        removals.note_own(f"{turn}-{n}" for n in range(60))
    assert own.passes <= 5
    assert [*own] == [*(f"3-{n}" for n in range(20, 60)), *(f"4-{n}" for n in range(60))]


def _of(ref: str, number: int) -> own_writes.Vector:
    return own_writes.Vector("", [1.0], "b" if number == 1 else "a", {"_vs_ref": ref})


def test_lost_requests_are_not_gone_through_for_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_MOST_LOST", 100)
    lost, queue = in_flight.InFlight(), CountingQueue()
    monkeypatch.setattr(lost, "_lost", queue)
    for turn in range(60):
        lost.lose("upsert", {f"{turn}": None, "every": None}, turn + 10.0)
        now = float(turn // 4)
        found = lost.exposed("delete", {"every": None, f"{turn}": None, "other": None}, now)
        # What was forgotten may have been of any id.
        other = {} if turn < 50 else {"other": turn - 40.0 - now}
        assert found == {"every": turn + 10.0 - now, f"{turn}": turn + 10.0 - now} | {
            i: left for i, left in other.items() if left > 0
        }
        assert lost._lost is queue
        assert sum(map(len, lost._lost_of.values())) == 2 * len(queue) == lost._lost_ids
    assert queue.passes == 0
    assert lost.exposed("delete", {"every": None, "3": None}, 70.0) == {}
    assert not lost._lost_of


def test_texts_that_are_due_are_not_gone_through_before_any_is_ripe() -> None:
    removals = Removals()
    with VectorizeClient.local() as client:
        io = client.connection.io()
        texts = Keeping(SqliteTexts(":memory:"), client.connection.state("docs"))
        removals._due = due = CountingList()
        for turn in range(50):
            due.append(keeping._Due(turn + 1_000.0, None, Found({f"{turn}": {"a": 1.0}})))
        run(removals.remove(io, texts, until=999.0))
        assert removals._due is due
        assert due.passes == 0


def test_texts_that_stay_due_hide_no_older_ones_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> bool:
        return False

    monkeypatch.setattr(Keeping, "try_to_remove", refuse)
    removals = Removals()
    with VectorizeClient.local() as client:
        texts = Keeping(SqliteTexts(":memory:"), client.connection.state("docs"))
        for since, tenant in ((1.0, "a"), (2.0, "b"), (3.0, "a")):
            removals._due.append(keeping._Due(since, tenant, Found({f"{since}": {"a": 1.0}})))
        run(removals._remove(client.connection.io(), texts, lambda due: due.tenant == "a"))
    assert [due.since for due in removals._due] == [1.0, 2.0, 3.0]


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
