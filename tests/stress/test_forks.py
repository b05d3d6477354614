"""A process forks at random moments while threads write; the children write and read at once."""

from __future__ import annotations

import os
import random
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.kinds import LANGCHAIN
from tests.nightly import sized
from vectorize_core import Vector, VectorizeClient
from vectorize_core.local import Service

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
LONG = "word " * 2_500
PATIENCE = 20.0
"""Seconds that a child may take: a lock that nobody holds is waited for longer."""


class Writer:
    """One thing that threads and children write to, and what was acknowledged."""

    def __init__(self, place: Path, draw: random.Random) -> None:
        self.store = LANGCHAIN.local(path=place)
        self.store.add_texts(["first"], ids=["first"])
        self.service = Service(place)
        self.draw = draw

    def write(self, name: str, kind: int) -> None:
        if kind == 0:
            self.store.add_texts([f"text {name}"], ids=[name])
        elif kind == 1:
            self.store.add_texts([LONG + name], ids=[name])
        else:
            values = np.ones(32, np.float32)
            self.service.upsert("docs", [Vector(name, values, None, {"text": name})])

    def read(self, name: str) -> None:
        assert self.store.get_by_ids([name])[0].id == name
        assert self.store.similarity_search("text", k=1)

    def close(self) -> None:
        self.store.close()
        self.service.close()


def in_child(writer: Writer, name: str, kind: int) -> int:
    """What a child does; its status."""
    began = time.monotonic()
    try:
        writer.write(name, kind)
        writer.read(name)
        writer.read("first")
        writer.close()
        return 0 if time.monotonic() - began < PATIENCE else 3
    except BaseException:
        traceback.print_exc()
        return 2


@pytest.mark.parametrize("seed", range(sized(3, 200)))
def test_children_write_at_once_and_nothing_is_lost(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    writer = Writer(tmp_path / "v", draw)
    acknowledged: list[str] = []
    failures: list[Any] = []
    stop = threading.Event()

    def work(number: int, kinds: random.Random) -> None:
        count = 0
        try:
            while not stop.is_set():
                name = f"thread-{number}-{count}"
                writer.write(name, kinds.randrange(3))
                acknowledged.append(name)
                count += 1
                if kinds.random() < 0.3:
                    writer.read(name)
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(number, random.Random(f"{seed} {number}")))
        for number in range(draw.randint(1, 3))
    ]
    for thread in threads:
        thread.start()
    children: dict[int, str] = {}
    for number in range(draw.randint(2, 4)):
        time.sleep(draw.uniform(0.0, 0.1))
        name, kind = f"child-{number}", draw.randrange(3)
        child = os.fork()
        if child == 0:
            os._exit(in_child(writer, name, kind))
        children[child] = name
    for child, name in children.items():
        assert os.waitpid(child, 0)[1] == 0, name
        acknowledged.append(name)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    writer.close()
    with VectorizeClient.local(tmp_path / "v") as client:
        assert set(client.index("docs").list_ids()) == {"first", *acknowledged}
    service = Service(tmp_path / "v")
    assert service.check().ok
    service.close()
    with LANGCHAIN.local(path=tmp_path / "v") as again:
        assert len(again.get_by_ids(acknowledged)) == len(acknowledged)
