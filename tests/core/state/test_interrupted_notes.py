"""Ctrl-C at any step while old writes are forgotten loses nothing of newer ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from tests.interrupting import interrupted
from vectorize_core.models import Vector
from vectorize_core.state import in_flight, last_writes, own_writes
from vectorize_core.state.in_flight import InFlight
from vectorize_core.state.last_writes import LastWrites
from vectorize_core.state.own_writes import OwnWrites

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ONES = np.ones(4, np.float32)


def written(*ids: str) -> Mapping[str, Vector | None]:
    return {i: Vector(i, ONES, metadata={"_vs_ref": "doc"}) for i in ids}


def last_writes_of_three() -> LastWrites:
    made = LastWrites()
    for turn, ids in enumerate(["abc", "b", "c"]):
        made.note(written(*ids), turn, turn, sure=True)
    return made


def test_the_last_writes_of_ids() -> None:
    step = 0
    while True:
        step += 1
        made = last_writes_of_three()
        came = interrupted(made.forget_oldest, step)
        for turn, one in enumerate("bc", 1):
            assert (last := made.get(one)) is not None
            assert last.accepted == turn
        if not isinstance(came, KeyboardInterrupt):
            break
        while made.oldest is not None:
            made.forget_oldest()
        assert (len(made), made._listed, made.unsure) == (0, 0, 0)
    assert step > 2


def test_ids_that_were_written_again_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    step = 0
    while True:
        step += 1
        monkeypatch.setattr(last_writes, "_MOST_IDLE", 1_000)
        made = last_writes_of_three()
        monkeypatch.setattr(last_writes, "_MOST_IDLE", -10)
        came = interrupted(made._leave_out_idle, step)
        assert sorted(one for one, _ in made.of(["doc"])) == ["a", "b", "c"]
        while made.oldest is not None:
            made.forget_oldest()
        assert (len(made), made._listed, made.unsure, made._first_of) == (0, 0, 0, {})
        if not isinstance(came, KeyboardInterrupt):
            break
    assert step > 2


def test_lost_requests_that_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_MOST_LOST", 2)
    step = 0
    while True:
        step += 1
        made = InFlight()
        made.lose("upsert", written("a"), 10.0)
        made.lose("upsert", written("b"), 5.0)
        came = interrupted(lambda made=made: made.lose("upsert", written("c"), 7.0), step)
        assert made.exposed("upsert", {"a": None}, 0.0)
        if not isinstance(came, KeyboardInterrupt):
            break
        for _ in range(4):
            made.lose("upsert", written("d"), 8.0)
    assert step > 2


def test_a_write_that_proves_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_writes, "_REMEMBERED", 1)
    step = 0
    while True:
        step += 1
        made = OwnWrites()
        first, second = (made.begin("upsert", written(one)) for one in "ab")
        made.accept(first, "1", written("a"))
        made._unseen.append(second)
        came = interrupted(made._drop_surplus, step)
        assert first in (*made._unseen, *made._dropped)
        if not isinstance(came, KeyboardInterrupt):
            break
    assert step > 2


def test_many_writes_of_a_record_at_once_say_what_it_may_read_as_in_few() -> None:
    made = OwnWrites()
    begun = [made.begin("upsert", {"a": Vector("a", np.full(4, n, np.float32))}) for n in range(12)]
    most = own_writes._MOST_EXPECTED
    assert all(len(p.expected) <= most for write in begun for p in write.probes.values())
