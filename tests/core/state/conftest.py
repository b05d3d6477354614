from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.core.helpers import Variant
from tests.core.state.waits import World, Worlds
from tests.held_time import HeldClock
from vectorize_core.state import own_writes, pending, waiting


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes do not become older while a test runs, or the machine stands still."""
    for module in (own_writes, pending, waiting):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=HeldClock()))


@pytest.fixture
def worlds() -> Iterator[Worlds]:
    made: list[World] = []

    def make(variant: Variant, **behavior: Any) -> World:
        made.append(World(variant, **behavior))
        return made[-1]

    yield make
    for world in made:
        world.close()
