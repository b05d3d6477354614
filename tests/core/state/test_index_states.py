"""A client that has named many indexes keeps what it knows of those that are there."""

from __future__ import annotations

import gc

import pytest

from vectorize_core import IndexNotFoundError, VectorizeClient
from vectorize_core.models import Vector
from vectorize_core.state import index_states

FEW = 10


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_states, "_FEW", FEW)


def test_indexes_that_are_not_there_are_not_kept() -> None:
    with VectorizeClient.local() as client:
        states = client.connection._states
        for n in range(5 * FEW):
            with pytest.raises(IndexNotFoundError):
                client.index(f"none-{n}").info()
            client.create_index(f"made-{n}", dimensions=32)
            client.index(f"made-{n}").upsert([Vector("a", [1.0] * 32)])
            client.delete_index(f"made-{n}")
            gc.collect()
            assert len(states._kept) + len(states._left) <= FEW


def test_what_is_known_is_kept_and_what_anyone_has_is_the_same() -> None:
    with VectorizeClient.local() as client:
        connection = client.connection
        held = client.index("held")
        client.create_index("there", dimensions=32)
        assert connection.state("there").details is not None
        writes, vectors = connection.state("written").own_writes, {"a": None}
        writes.accept(writes.begin("upsert", vectors), "m", vectors)
        for n in range(5 * FEW):
            connection.state(f"none-{n}")
        assert connection.state("held") is held._state
        assert connection.state("there").details is not None
        assert connection.state("written").own_writes is writes


def test_those_that_are_there_are_gone_through_ever_more_rarely() -> None:
    with VectorizeClient.local() as client:
        states = client.connection._states
        for n in range(4 * FEW):
            writes, vectors = client.connection.state(f"i{n}").own_writes, {"a": None}
            writes.accept(writes.begin("upsert", vectors), "m", vectors)
        assert len(states._kept) == 4 * FEW
        assert states._most == 4 * FEW
