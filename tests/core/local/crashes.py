"""Rounds of a process that writes and is killed, each followed by a look at what is left.

    python crashes.py DIRECTORY ROUNDS SEED

Every mutation follows from the seed. It is noted before it is called and again when it is
acknowledged, in a file that outlives the process. After a kill the directory must hold either all
acknowledged mutations or those and the whole of the one that was under way. With an odd seed rows
of codes are cut.

By night another process writes vectors of other ids meanwhile, and is killed soon after.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from tests.core.local.coded import always_by_codes, cut_rows
from tests.nightly import sized
from vectorize_core import scoring
from vectorize_core.local import Service, ServiceFault, compaction
from vectorize_core.local.code_products import products
from vectorize_core.models import IndexConfig, Vector

DIMENSIONS = 64
NAMES = [f"v{n}" for n in range(1500)]
PROPERTIES = ["a", "b", "c"]
State = tuple[dict[str, int], set[str]]
"""The version of each vector, and the indexed properties."""


def values(version: int) -> np.ndarray:
    return np.sin(version % 1_000_003 + np.arange(DIMENSIONS) ** 2).astype(np.float32)


def step(source: random.Random) -> tuple[str, list[str], int]:
    """What a writer does next: a call, the ids or the property, and the first version."""
    kind = source.choices(
        ["insert", "upsert", "delete", "compact", "index", "unindex"], [4, 4, 3, 2, 1, 1]
    )[0]
    if kind in ("index", "unindex"):
        return kind, [source.choice(PROPERTIES)], 0
    most = 100 if kind == "delete" else source.choice([1, 50, 700])
    return kind, source.sample(NAMES, source.randint(1, most)), source.randrange(2**40)


def call(service: Service, kind: str, names: list[str], given: list[Vector]) -> None:
    try:
        if kind == "insert":
            service.insert("docs", given)
        elif kind == "upsert":
            service.upsert("docs", given)
        elif kind == "delete":
            service.delete_by_ids("docs", names)
        elif kind == "compact":
            service.compact("docs")
        elif kind == "index":
            service.create_metadata_index("docs", names[0], "number")
        else:
            service.delete_metadata_index("docs", names[0])
    except ServiceFault as fault:
        # A property that is indexed already, or not.
        assert kind in ("index", "unindex"), fault  # noqa: PT017


def expected(state: State, kind: str, names: list[str], version: int) -> State:
    held, indexed = dict(state[0]), set(state[1])
    for i, name in enumerate(names):
        if kind == "upsert" or (kind == "insert" and name not in held):
            held[name] = version + i
        elif kind == "delete":
            held.pop(name, None)
    if kind == "index":
        indexed |= {names[0]}
    elif kind == "unindex":
        indexed -= {names[0]}
    return held, indexed


def look(directory: Path) -> State:
    """What is there, having checked it."""
    service = Service(directory)
    found = service.check()
    assert found.findings == (), found
    page = service.list_vectors("docs", count=1000)
    names = list(page.ids)
    while page.next_cursor:
        page = service.list_vectors("docs", count=1000, cursor=page.next_cursor)
        names += page.ids
    assert len(set(names)) == len(names) == service.index_info("docs").vector_count
    held = {}
    for start in range(0, len(names), 20):
        for vector in service.get_by_ids("docs", names[start : start + 20]):
            held[vector.id] = vector.metadata["v"]
            assert (vector.values == values(held[vector.id])).all(), vector.id
    search(service, held)
    indexed = {item.property_name for item in service.list_metadata_indexes("docs")}
    service.close()
    return {name: version for name, version in held.items() if name in NAMES}, indexed


def search(service: Service, held: dict[str, int]) -> None:
    """Compare answers that are found by codes with those of float64."""
    names = list(held)
    rows = np.array([values(held[name]) for name in names], np.float32).reshape(-1, DIMENSIONS)
    with always_by_codes():
        for asked in rows[:: max(1, len(rows) // 5)]:
            slots, scores = scoring.nearest("cosine", rows, asked, 10)
            found = service.query("docs", vector=asked, top_k=10).matches
            assert [match.id for match in found] == [names[slot] for slot in slots.tolist()]
            assert [match.score for match in found] == scoring.shortest(scores)
        if len(names) > 10 and products():
            codes = service._snapshots._latest["docs"].codes
            assert codes is not None
            assert codes._coded is not None


def write(directory: Path, log: int, seed: int) -> None:
    """Write until killed."""
    # So that writes compact by themselves too.
    compaction._WASTE = DIMENSIONS * 4 * 1000
    service, source = Service(directory), random.Random(seed)
    while True:
        kind, names, version = step(source)
        given = [
            Vector(name, values(version + i), None, {"v": version + i, "a": i})
            for i, name in enumerate(names)
        ]
        os.write(log, (json.dumps([kind, names, version]) + "\n").encode())
        call(service, kind, names, given)
        os.write(log, b"done\n")


def beside(directory: Path, seed: int) -> None:
    """Write vectors of other ids until killed."""
    service, source = Service(directory), random.Random(seed)
    while True:
        versions = [source.randrange(2**40) for _ in range(source.choice([1, 5, 300]))]
        rows = [Vector(f"x{v % 400}", values(v), None, {"v": v}) for v in versions]
        service.upsert("docs", rows)
        if source.random() < 0.1:
            service.compact("docs")


def in_child(work: object) -> int:
    """``work`` in a process of its own; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()  # type: ignore[operator]
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def main(directory: Path, rounds: int, seed: int) -> None:
    source = random.Random(seed)
    state: State = ({}, set())
    found = directory / "found.json"
    log_path = directory / "log"

    def begin() -> None:
        service = Service(directory / "data")
        service.create_index("docs", IndexConfig(DIMENSIONS))
        service.close()

    os.waitpid(in_child(begin), 0)
    acknowledged = 0
    under_way: dict[str, int] = {}
    for number in range(rounds):
        log = os.open(log_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
        others = [
            in_child(lambda: beside(directory / "data", seed + number))  # noqa: B023
            for _ in range(sized(0, 1))
        ]
        child = in_child(lambda: write(directory / "data", log, seed + number))  # noqa: B023
        # However busy the machine is, some rounds kill the first call, and others a later one.
        lines_before = source.choice([1, 5, 9, 13])
        while log_path.read_bytes().count(b"\n") < lines_before:
            time.sleep(0.001)
        time.sleep(source.random() * source.choice([0.01, 0.1, 0.3]))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        time.sleep(source.random() * 0.003)
        for other in others:
            os.kill(other, signal.SIGKILL)
            assert os.WIFSIGNALED(os.waitpid(other, 0)[1]), "the other writer failed by itself"
        os.close(log)
        assert os.WIFSIGNALED(status), "the writer failed by itself"
        lines = log_path.read_bytes().split(b"\n")
        last = None
        for line in lines:
            if line == b"done":
                state = expected(state, *last)
                last, acknowledged = None, acknowledged + 1
            elif line.endswith(b"]"):
                last = json.loads(line)

        def inspect() -> None:
            held, indexed = look(directory / "data")
            found.write_text(json.dumps([held, sorted(indexed)]))

        _, status = os.waitpid(in_child(inspect), 0)
        assert status == 0, f"round {number}"
        held, indexed = json.loads(found.read_text())
        now: State = (held, set(indexed))
        possible = [state] if last is None else [state, expected(state, *last)]
        assert now in possible, f"round {number}: {last and last[0]}"
        if last is not None:
            under_way[last[0]] = under_way.get(last[0], 0) + 1
        state = now
    json.dump({"acknowledged": acknowledged, "killed in": under_way}, sys.stdout)


if __name__ == "__main__":
    with cut_rows() if int(sys.argv[3]) % 2 else nullcontext():
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
