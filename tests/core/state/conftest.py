from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.helpers import Variant
from tests.core.state.waits import World, Worlds


@pytest.fixture
def worlds() -> Iterator[Worlds]:
    made: list[World] = []

    def make(variant: Variant, **behavior: Any) -> World:
        made.append(World(variant, **behavior))
        return made[-1]

    yield make
    for world in made:
        world.close()
