"""What a connection has read counts until anything is changed, by itself or by others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vectorize_core.sqlite.connecting import Connection, connect_durably

Pair = tuple[Connection, Connection]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    both = tuple(connect_durably(str(tmp_path / "numbers"), create=True) for _ in range(2))
    both[0].execute("CREATE TABLE numbers (n)")
    both[0].execute("INSERT INTO numbers VALUES (1)")
    yield both  # type: ignore[misc]
    for each in both:
        each.close()


class Reading:
    def __init__(self, connection: Connection) -> None:
        self.connection, self.reads = connection, 0

    def total(self) -> int:
        def read() -> int:
            self.reads += 1
            found = self.connection.execute("SELECT sum(n) FROM numbers").fetchone()
            return int(found[0])

        return self.connection.once("total", read)

    def add(self, number: int, *, learn: bool) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        total = self.total()
        self.connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        if learn:
            self.connection.learn("total", total + number)

    def look(self) -> tuple[int, int]:
        """The total, and how often it was read from the table until then."""
        self.connection.execute("BEGIN")
        total = self.total()
        self.connection.commit()
        return total, self.reads


def test_what_a_transaction_has_learned_need_not_be_read(pair: Pair) -> None:
    one = Reading(pair[0])
    assert one.look() == one.look() == (1, 1)
    one.add(2, learn=True)
    pair[0].commit()
    assert one.look() == (3, 1)
    one.add(3, learn=False)
    pair[0].commit()
    assert one.look() == (6, 2)


def test_what_is_rolled_back_was_not_learned(pair: Pair) -> None:
    one = Reading(pair[0])
    one.look()
    one.add(2, learn=True)
    assert one.total() == 3  # within the transaction
    pair[0].rollback()
    assert one.look()[0] == 1
    one.add(2, learn=True)
    pair[0].commit()
    assert one.look()[0] == 3


def test_what_others_commit_is_read(pair: Pair) -> None:
    one, other = map(Reading, pair)
    for number, (writer, reader) in enumerate([(one, other), (other, one)] * 3, 2):
        assert reader.look()[0] == writer.look()[0]
        writer.add(number, learn=True)
        writer.connection.commit()
        expected = sum(range(number + 1))
        assert writer.look()[0] == reader.look()[0] == expected


def test_locks_are_waited_for_or_not(pair: Pair) -> None:
    for waits, milliseconds in ((False, 0), (True, 60_000), (True, 60_000), (False, 0)):
        pair[0].wait_for_locks(waits)
        assert pair[0].execute("PRAGMA busy_timeout").fetchone() == (milliseconds,)
