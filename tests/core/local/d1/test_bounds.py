"""What a request of D1 may take: rows, bytes, memory, time. Each bomb runs in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.nightly import sized
from vectorize_core.client import VectorizeClient
from vectorize_core.local.d1 import database as module
from vectorize_core.local.d1 import heap, results
from vectorize_core.local.d1.database import D1Database
from vectorize_core.local.faults import ServiceFault
from vectorize_core.texts.d1 import D1Texts
from vectorize_core.transport.io import run

ROOT = Path(__file__).parents[4]
COUNT = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c{}) "
ENDLESS = COUNT.format("") + "SELECT count(*) FROM c"
LARGE = "hex(zeroblob(1000000))"
WORDS = "replace(hex(randomblob(500000)), '0', ' ')"
CONSTANTS = [f"hex(zeroblob({1_000_000 + i}))" for i in range(3_000)]
VIEWS = [f"CREATE VIEW v{i + 1} AS SELECT 1 FROM v{i} a, v{i} b, v{i} c, v{i} d" for i in range(9)]
TOO_LARGE, TOO_MANY, MEMORY, TIME = (
    "larger than 32 MB",
    "more than 100000 rows",
    "NOMEM",
    "INTERRUPT",
)
BOMBS: dict[str, tuple[str, list[str]]] = {
    "long texts": (TOO_LARGE, [COUNT.format(" LIMIT 700") + f"SELECT {LARGE} FROM c"]),
    "blobs": (TOO_LARGE, [COUNT.format(" LIMIT 700") + "SELECT zeroblob(2000000) FROM c"]),
    "a row of texts": (MEMORY, ["SELECT " + ", ".join([LARGE] * 100)]),
    "a row of blobs": (MEMORY, ["SELECT " + ", ".join(["randomblob(2000000)"] * 100)]),
    "a long name": (
        TOO_LARGE,
        [COUNT.format(" LIMIT 99999") + f"SELECT x AS '{'n' * 90_000}' FROM c"],
    ),
    "endless rows": (TOO_MANY, [COUNT.format("") + "SELECT x FROM c"]),
    "many columns": (
        TOO_LARGE,
        [COUNT.format(" LIMIT 99999") + f"SELECT {', '.join('x' * 100)} FROM c"],
    ),
    "a character that JSON escapes": (
        TOO_LARGE,
        [COUNT.format(" LIMIT 9") + f"SELECT replace({LARGE}, '0', char(1)) FROM c"],
    ),
    "json_group_array": (
        MEMORY,
        [COUNT.format(" LIMIT 1000") + f"SELECT json_group_array({LARGE}) FROM c"],
    ),
    "constants": ("too big", [f"SELECT 1 IN ({', '.join(CONSTANTS)})"]),
    "parameters": (MEMORY, [f"SELECT 1 IN ({', '.join(f'?1||{i}' for i in range(3_000))})"]),
    "rows of a table in memory": (
        MEMORY,
        [
            "CREATE TABLE t (a)",
            "INSERT INTO t " + COUNT.format("") + "SELECT zeroblob(2000000) FROM c",
        ],
    ),
    "an index of texts in memory": (
        MEMORY,
        [
            "CREATE VIRTUAL TABLE f USING fts5(x)",
            "INSERT INTO f (f, rank) VALUES ('hashsize', 2000000000)",
            f"INSERT INTO f {COUNT.format(' LIMIT 300')} SELECT {WORDS} FROM c",
        ],
    ),
    "many results": (TOO_LARGE, [f"SELECT {LARGE}"] * 100),
    "views of views": ("", ["CREATE TABLE v0 (a)", *VIEWS, "SELECT * FROM v9"]),
    "a sort": (MEMORY, [COUNT.format("") + "SELECT randomblob(1000000) b FROM c ORDER BY b"]),
    "a queue": (
        TIME,
        [f"WITH RECURSIVE c(b) AS (SELECT {LARGE} UNION ALL SELECT b FROM c) SELECT max(b) FROM c"],
    ),
    "endless": (TIME, [ENDLESS]),
}
PROGRAM = """
import json, resource, sys
from vectorize_core.local.d1 import database as module
from vectorize_core.local.faults import ServiceFault
module.MAX_SECONDS = float(sys.argv[1])
database = module.D1Database(None)
database.run([("SELECT 1", ())], bound_memory=True)
def most():
    unit = 1_000_000 if sys.platform == "darwin" else 1_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
idle, said = most(), None
try:
    params = lambda sql: ["x" * 2000000] if "?1" in sql else []
    database.run([(sql, params(sql)) for sql in json.load(sys.stdin)], bound_memory=True)
except ServiceFault as fault:
    said = fault.message
print(json.dumps([said, most() - idle]))
"""
BY_DAY = ("long texts", "json_group_array", "constants")


@pytest.mark.parametrize("name", sized(BY_DAY, tuple(BOMBS)))
def test_no_statement_takes_all_memory(name: str) -> None:
    pytest.importorskip("resource")
    refusal, statements = BOMBS[name]
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, "5" if refusal is TIME else "60"],
        input=json.dumps(statements),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    said, megabytes = json.loads(child.stdout)
    assert refusal in said
    assert megabytes < 200


def fault(statements: list[str], **options: Any) -> ServiceFault:
    with pytest.raises(ServiceFault) as raised:
        D1Database(None).run([(sql, ()) for sql in statements], **options)
    return raised.value


@pytest.mark.parametrize("name", [name for name, (said, _) in BOMBS.items() if "than" in said])
def test_results_are_bounded_as_they_come(name: str) -> None:
    said, statements = BOMBS[name]
    refused = fault(statements)
    assert said in refused.message
    assert refused.status == (413 if said == TOO_LARGE else 400)


def test_a_result_within_the_bounds_comes_whole() -> None:
    ((text, blob),) = D1Database(None).run([(f"SELECT {LARGE}, zeroblob(1000)", ())])[0][1]
    assert (len(text), blob) == (2_000_000, [0] * 1_000)
    half = COUNT.format(" LIMIT 50000") + "SELECT x, 'a text' FROM c"
    assert len(D1Database(None).run([(half, ())])[0][1]) == 50_000


def test_memory_is_bounded_only_while_requests_are_carried_out() -> None:
    if heap._library() is None:
        pytest.skip("this SQLite cannot be asked")
    _, limit = heap._library() or (None, lambda _: 0)
    for others in (10_000_000_000, 0):
        limit(others)
        with heap.bounded():
            assert 0 < limit(-1) < 10_000_000_000
            with heap.bounded():
                pass
            assert 0 < limit(-1) < 10_000_000_000
        assert limit(-1) == others
    assert MEMORY in fault(BOMBS["json_group_array"][1], bound_memory=True).message
    assert limit(-1) == 0


def test_a_database_has_a_largest_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", 1_000_000)
    for path in (None, str(tmp_path / "d1" / "a.sqlite3")):
        database = D1Database(path)
        database.run([("CREATE TABLE t AS SELECT zeroblob(600000) AS a", ())])
        with pytest.raises(ServiceFault, match="larger than 1 MB: SQLITE_FULL"):
            database.run([("INSERT INTO t VALUES (zeroblob(2000000))", ())])
        database.run([("INSERT INTO t VALUES (zeroblob(200000))", ())])
        database.close()


@pytest.mark.parametrize(
    "statements",
    [
        [ENDLESS],
        BOMBS["a sort"][1],
        BOMBS["a queue"][1],
        ["CREATE TABLE t (a)", "INSERT INTO t " + COUNT.format("") + "SELECT x FROM c"],
        ["SELECT 1"] * 200_000,
    ],
    ids=["endless", "a sort", "a queue", "a write", "many statements"],
)
def test_all_requests_are_interrupted(
    statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is carried out, and one that waits for it."""
    database, texts = D1Database(None), list[str]()
    reading, arrived = database._file.reading, threading.Semaphore(0)
    monkeypatch.setattr(database._file, "reading", lambda: (arrived.release(), reading())[1])

    def ask() -> None:
        with pytest.raises(ServiceFault) as raised:
            database.run([(sql, ()) for sql in statements])
        texts.append(raised.value.message)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert all(arrived.acquire(timeout=30) for _ in threads)
    while database._running is None:
        time.sleep(0.001)
    database.interrupt()
    for thread in threads:
        thread.join()
    # After half a minute each would have been told of that.
    assert len(texts) == 2
    assert all("the server is closing" in text for text in texts)
    assert database.run([("SELECT 1", ())])[0][1] == [(1,)]


def test_a_request_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.05)
    for statements in ([ENDLESS], ["SELECT 1"] * 200_000):
        refused = fault(statements)
        assert (refused.status, refused.code) == (400, 7500)
        assert refused.message.endswith("SQLITE_INTERRUPT")


def test_an_interruption_of_the_caller_is_not_lost() -> None:
    def breathe() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        D1Database(None).run([(ENDLESS, ())], breathe)


def test_many_large_texts_are_asked_for_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_BYTES", 100_000)
    texts, client = D1Texts("texts"), VectorizeClient.local()
    io = client.connection.io()
    kept = {f"{number}": f"{number}" * 9_000 for number in range(60)}
    run(texts.put(io, "docs", kept))
    assert run(texts.get(io, "docs", list(kept))) == kept
    client.close()
