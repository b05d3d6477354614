"""Ctrl-C at any step of a call loses nothing that is known, and leaves nothing to wait for."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.local.damages import only
from tests.interrupting import everywhere, in_time, interrupted
from tests.nightly import sized
from vectorize_core.local import Service, StorageError, scrubbing
from vectorize_core.local.kept_files import KeptFiles
from vectorize_core.local.open_files import OpenFiles
from vectorize_core.local.value_store import FileValueStore
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite.identity import Directory
from vectorize_core.sqlite.turnstile import Turnstile

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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("known", [False, True])
def test_a_damage_is_told_again(tmp_path: Path, known: bool) -> None:
    service = Service(tmp_path)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(f"v{n}", ONES) for n in range(40)])
    with only(tmp_path, "*.f32").open("r+b") as file:
        file.seek(30 * 32 * 4)
        file.write(b"damaged")

    def query() -> None:
        service.query("docs", vector=ONES, top_k=1)

    def refused() -> None:
        for _ in range(2):
            with pytest.raises(StorageError, match="'v30'"):
                query()

    def forget() -> None:
        # As a process that reads it for the first time.
        if not known:
            service._scrub.close()
            service._scrub = scrubbing.Scrub(service._database, service._snapshots)

    if known:
        refused()
    everywhere(query, refused, day=11, after=forget)
    service.upsert("docs", [Vector("v30", ONES)])
    query()
    assert not service._scrub._damage
    service.close()


def test_who_uses_files_stays_known(tmp_path: Path) -> None:
    files, owner = OpenFiles(100), Service(tmp_path)

    def use() -> None:
        with files.using(owner):
            pass

    with files.using(owner):
        everywhere(use, lambda: None, day=1, after=lambda: None)
        assert files._users[owner]
    assert not files._users[owner]


def test_files_that_are_kept_stay_known(tmp_path: Path) -> None:
    kept, directory = KeptFiles(), Directory(str(tmp_path), is_open=True)
    descriptor, _ = kept.open(directory, "f")

    def used() -> None:
        assert kept.open(directory, "f")[0] == descriptor

    everywhere(lambda: kept.open(directory, "f"), used, day=1)


ROW = ONES.tobytes()
USES: dict[str, Callable[[FileValueStore], object]] = {
    "write": lambda store: store.write(0, ROW),
    "restore": lambda store: store.restore(0, ROW),
    "read": lambda store: store.read([0]),
    "map": lambda store: store.matrix(1),
    "sync": lambda store: (store.will_sync(), store.sync()),
}


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux lists what is open")
@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("name", USES)
def test_no_file_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_open: bool
) -> None:
    # That of pytest keeps what came in a `__del__`.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def use() -> None:
        directory = Directory(str(tmp_path), is_open=is_open)
        USES[name](FileValueStore(tmp_path / "v.f32", 32, directory))

    def closed() -> None:
        gc.collect()
        assert not [path for path in opened() if path.startswith(f"{tmp_path}/")]

    FileValueStore(tmp_path / "v.f32", 32).write(0, ROW)
    everywhere(use, lambda: None, day=1, after=closed)


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux lists what is open")
@pytest.mark.parametrize("is_open", [False, True])
def test_a_directory_that_is_synced_is_closed(tmp_path: Path, is_open: bool) -> None:
    directory = Directory(str(tmp_path), is_open=is_open)

    def closed() -> None:
        assert opened().count(str(tmp_path)) == is_open

    everywhere(directory.sync, closed, day=1)


def opened() -> list[str]:
    return [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists()]


@pytest.mark.skipif(sys.platform != "linux", reason="where Linux lists what is open")
def test_a_directory_in_which_it_waits_is_open_once(tmp_path: Path) -> None:
    turnstile = Turnstile(str(tmp_path))

    def once() -> None:
        gc.collect()
        assert opened().count(str(tmp_path)) <= 1

    everywhere(lambda: turnstile.wait(lambda: True, 1), once, day=1)
    assert opened().count(str(tmp_path)) == 1


@pytest.mark.parametrize("place", ["v", ":memory:"])
@pytest.mark.parametrize("name", ["query", "get", "upsert", "delete and compact"])
def test_a_handler_of_a_signal_closes_it_at_any_step(
    tmp_path: Path, place: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    step, came = 1, True

    def closed_at(step: int) -> bool:
        """Whether it was closed at a step of the call, which has so many."""
        service, closes, ended = made_at(tmp_path, place), [], []

        def close() -> None:
            closes.append(service.close())

        def call() -> None:
            try:
                CALLS[name](service)
            except BaseException as error:
                ended.append(f"{type(error).__name__}: {error}")

        in_time(lambda: interrupted(call, step, close))
        service.close()
        assert ended in ([], ["StorageError: this embedded Vectorize is closed"])
        with pytest.raises(StorageError, match="is closed"):
            service.list_indexes()
        return bool(closes)

    while came:
        came = closed_at(step)
        step += sized(29, 1)
    assert step > 50
    assert [r.getMessage() for r in caplog.records if "is closed" not in r.getMessage()] == []
    service = made_at(tmp_path, place)
    assert service.query("docs", vector=ONES).matches[0].id == "a"
    assert service.check().ok
    service.close()


def made_at(tmp_path: Path, place: str) -> Service:
    made = Service(place if place == ":memory:" else tmp_path / place)
    if made.is_empty():
        made.create_index("docs", IndexConfig(32))
        made.upsert("docs", [Vector("a", ONES)])
    return made
