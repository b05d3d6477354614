"""What has been acknowledged survives kill -9, and processes that share a directory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vectorize_core
from tests.nightly import sized

ROOT = Path(vectorize_core.__file__).parents[1]
ROUNDS = sized(24, 500)


def python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True, **options
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_killed_writer_leaves_nothing_half_done(tmp_path):
    script = str(Path(__file__).with_name("crashes.py"))
    seed = int.from_bytes(os.urandom(4))
    process = python(script, str(tmp_path), str(ROUNDS), str(seed))
    said, _ = process.communicate()
    assert process.returncode == 0, f"seed {seed}"
    counts = json.loads(said)
    assert counts["acknowledged"] > ROUNDS / 4
    # A kill that never hits a write would show nothing.
    assert sum(counts["killed in"].values()) > ROUNDS / 4


WRITER = """
import sys
import numpy as np
from tests.nightly import sized
from vectorize_core.local import Service, compaction
from vectorize_core.models import Vector
compaction._WASTE = 64 * 4 * 100
path, who = sys.argv[1:]
service = Service(path)
for i in range(40):
    names = [f"{who}-{i}-{n}" for n in range(20)]
    service.insert("docs", [Vector(name, np.full(64, i + 1.0), who, {"i": i}) for name in names])
    service.upsert("docs", [Vector(f"{who}-same", np.full(64, i + 1.0), who, {"i": i})])
    service.delete_by_ids("docs", names[:15])
    if i % 20 == 10:
        service.compact("docs")
print("done")
"""
READER = """
import sys
import numpy as np
from vectorize_core.local import Service
service = Service(sys.argv[1])
gone, newest, rounds = set(), {"one": -1, "two": -1}, 0
known = set()
ask = np.ones(64)
while not all(newest[who] == 39 for who in newest) or rounds < 4:
    names = set(service.list_vectors("docs", count=1000).ids)
    assert not names & gone, names & gone
    gone |= known - names
    known |= names
    for who in newest:
        same = service.get_by_ids("docs", [f"{who}-same"])
        if same:
            i = same[0].metadata["i"]
            assert i >= newest[who], (i, newest)
            assert (same[0].values == i + 1.0).all()
            newest[who] = i
        found = service.query("docs", vector=ask, top_k=50, namespace=who, return_metadata="all",
                              filter={"i": {"$gte": 0}})
        seen = {match.id for match in found.matches}
        assert len(seen) == len(found.matches)
        assert not seen & gone, seen & gone
        assert f"{who}-same" in seen or newest[who] < 0
    rounds += 1
assert service.check().findings == ()
print(rounds)
"""


def test_two_writers_and_a_reader_in_three_processes(make, tmp_path):
    from vectorize_core.models import IndexConfig

    service = make(tmp_path)
    service.create_index("docs", IndexConfig(64))
    service.create_metadata_index("docs", "i", "number")
    processes = [
        python("-c", WRITER, str(tmp_path), "one"),
        python("-c", WRITER, str(tmp_path), "two"),
        python("-c", READER, str(tmp_path)),
    ]
    try:
        said = [process.communicate(timeout=90)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert int(said[2]) > 3
    wanted = {f"{who}-{i}-{n}" for who in ("one", "two") for i in range(40) for n in range(15, 20)}
    wanted |= {"one-same", "two-same"}
    assert set(service.list_vectors("docs", count=1000).ids) == wanted
    assert service.index_info("docs").vector_count == len(wanted) == 402
    assert service.check().findings == ()
