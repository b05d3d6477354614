"""Ctrl-C at any step of a call leaves nothing behind that a later call would wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interrupting import everywhere
from vectorize_core.local import Service
from vectorize_core.models import IndexConfig, Vector

ONES = np.ones(32, np.float32)

CALLS: dict[str, Callable[[Service], object]] = {
    "list indexes": lambda s: s.list_indexes(),
    "query": lambda s: s.query("docs", vector=ONES),
    "get": lambda s: s.get_by_ids("docs", ["a"]),
    "upsert": lambda s: s.upsert("docs", [Vector("a", ONES), Vector("b", ONES)]),
    "delete and compact": lambda s: (s.delete_by_ids("docs", ["b"]), s.compact("docs")),
    "query of none": lambda s: s.query("none", vector=ONES),
    "release": lambda s: s.release(),
}


@pytest.fixture(params=["v", ":memory:"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    place: Any = request.param if request.param == ":memory:" else tmp_path / request.param
    made = Service(place)
    made.create_index("docs", IndexConfig(32))
    made.upsert("docs", [Vector("a", ONES)])
    yield made
    made.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_interrupted_anywhere(service: Service, name: str) -> None:
    def use() -> None:
        service.delete_by_ids("docs", ["c"])
        assert service.query("docs", vector=ONES).matches[0].score == 1
        assert [vector.id for vector in service.get_by_ids("docs", ["a", "c"])] == ["a"]

    everywhere(lambda: CALLS[name](service), use, day=7, after=lambda: service.compact("docs"))
    assert service.check().ok
