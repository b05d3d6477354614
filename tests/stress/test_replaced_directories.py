"""A directory is removed, moved and made anew at random, while services and stores use it."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.nightly import sized
from vectorize_core import SqliteTexts, StorageError, VectorizeClient
from vectorize_core.local import Service, ServiceFault
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.transport.io import run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no open file can be removed there")
ONES = np.ones(32, np.float32)


class Directory:
    """What became of the directories at one path; each has a number, under which writes count."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.generation = 0
        self.aside: list[Path] = []

    def remove(self) -> None:
        while self.place.exists():
            # A thread that writes may put a file into it meanwhile.
            with suppress(OSError):
                shutil.rmtree(self.place)
        self.generation += 1

    def move(self) -> None:
        if self.place.exists():
            self.aside.append(self.place.with_name(f"aside-{self.generation}"))
            self.place.rename(self.aside[-1])
        self.generation += 1

    def make(self) -> None:
        """Make a new store, as another process would."""
        service = Service(self.place)
        with suppress(ServiceFault):
            service.create_index("docs", IndexConfig(32))
        service.close()


class Writer:
    """An open service with texts, and what was acknowledged by it while its directory stood."""

    def __init__(self, directory: Directory, name: str) -> None:
        self.directory = directory
        self.name = name
        self.service = Service(directory.place)
        self.texts = SqliteTexts(directory.place)
        self.client = VectorizeClient.local()
        self.count = 0

    def write(self, acknowledged: list[str]) -> None:
        name = f"{self.name}-{self.count}"
        self.count += 1
        text = self.count % 3 == 0
        if text:
            run(self.texts.put(self.client.connection.io(), "docs", {name: name}))
        self.service.upsert("docs", [Vector(name, ONES, None, {"long": text})])
        acknowledged.append(name)

    def read(self, acknowledged: list[str]) -> None:
        known = list(acknowledged)
        found = self.service.get_by_ids("docs", known[-5:])
        assert {vector.id for vector in found} == set(known[-5:])

    def close(self) -> None:
        self.service.close()
        self.texts.close()
        self.client.close()


def check(place: Path, acknowledged: list[str]) -> None:
    """All that was acknowledged is there, and intact."""
    service, texts = Service(place), SqliteTexts(place)
    found, cursor = set[str](), None
    while True:
        page = service.list_vectors("docs", count=1_000, cursor=cursor)
        found.update(page.ids)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found >= set(acknowledged)
    assert service.check().ok
    with VectorizeClient.local() as client:
        io = client.connection.io()
        long = {
            v.id
            for name in acknowledged
            for v in service.get_by_ids("docs", [name])
            if (v.metadata or {})["long"]
        }
        assert run(texts.get(io, "docs", sorted(long))) == {name: name for name in long}
    service.close()
    texts.close()


@pytest.mark.parametrize("seed", range(sized(2, 200)))
def test_one_after_the_other(tmp_path: Path, seed: int) -> None:
    """Steps in random order; after each, every writer knows whether its directory still stands."""
    draw = random.Random(seed)
    directory = Directory(tmp_path / "v")
    directory.make()
    acknowledged: list[str] = []
    writers: list[tuple[Writer, int, bool]] = []
    for step in range(sized(30, 60)):
        action = draw.choice(["open", "write", "write", "write", "read", "away", "close"])
        if action == "open" and len(writers) < 6:
            writer = Writer(directory, f"w{step}")
            writer.write(acknowledged)
            # It has opened its texts too, so that they belong to this directory.
            run(writer.texts.put(writer.client.connection.io(), "docs", {f"t{step}": "t"}))
            writers.append((writer, directory.generation, True))
        elif action == "away":
            draw.choice([directory.remove, directory.move])()
            acknowledged.clear()
            if draw.random() < 0.3:
                for writer, _, _ in writers:
                    with pytest.raises(StorageError, match=r"removed|replaced"):
                        writer.write([])
                assert not directory.place.exists()
            directory.make()
        elif action == "close" and writers:
            writers.pop(draw.randrange(len(writers)))[0].close()
        elif writers:
            writer, generation, _ = draw.choice(writers)
            use: Callable[[list[str]], None] = writer.write if action == "write" else writer.read
            if generation == directory.generation:
                use(acknowledged)
            else:
                with pytest.raises(StorageError, match=r"removed|replaced"):
                    writer.service.get_by_ids("docs", ["a"])
                with pytest.raises(StorageError, match=r"removed|replaced"):
                    writer.write(acknowledged)
        check(directory.place, acknowledged)
    for writer, _, _ in writers:
        writer.close()
    check(directory.place, acknowledged)


@pytest.mark.parametrize("seed", range(sized(3, 200)))
def test_at_once(tmp_path: Path, seed: int) -> None:
    """Threads write while the directory is taken from under them, at any moment."""
    draw = random.Random(seed)
    directory = Directory(tmp_path / "v")
    directory.make()
    failures: list[Any] = []
    stop = threading.Event()
    # By generation: what a writer, opened in it and asked for after, was told is written.
    kept: dict[int, list[str]] = {}
    lock = threading.Lock()

    def work(number: int) -> None:
        turn = 0
        try:
            while not stop.is_set():
                with lock:
                    generation = directory.generation
                    acknowledged = kept.setdefault(generation, [])
                writer = Writer(directory, f"{seed}-{number}-{turn}")
                turn += 1
                try:
                    while not stop.is_set():
                        mine: list[str] = []
                        writer.write(mine)
                        with lock:
                            # Acknowledged before the directory was taken away.
                            if directory.generation == generation:
                                acknowledged += mine
                except (StorageError, ServiceFault):
                    # Refused; or the new index is not there yet.
                    pass
                finally:
                    writer.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(draw.randint(1, 3))]
    for thread in threads:
        thread.start()
    pause = threading.Event()
    for _ in range(draw.randint(2, 5)):
        pause.wait(draw.uniform(0.0, 0.12))
        with lock:
            draw.choice([directory.remove, directory.move])()
            directory.make()
    pause.wait(draw.uniform(0.0, 0.1))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    check(directory.place, kept.get(directory.generation, []))
    for path in directory.aside:
        # What was moved is whole: every write that it holds was complete.
        service = Service(path)
        service.list_vectors("docs")
        service.close()
