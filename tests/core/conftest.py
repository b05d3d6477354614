"""What tests of more than one module of the core begin with."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.helpers import Face
from tests.core.waits import World, Worlds


@pytest.fixture
def worlds() -> Iterator[Worlds]:
    made: list[World] = []

    def make(face: Face, **behavior: Any) -> World:
        made.append(World(face, **behavior))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in a background job that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
