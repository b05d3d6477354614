"""Random SQL in a child process: it ends no process, takes little, and gets nothing D1 refuses."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.local.d1.hostile import ACCEPTED, SECONDS, SETUP, Grammar
from tests.nightly import sized
from tests.workerd import Workerd, running

ROOT = Path(__file__).parents[4]
STATEMENTS = sized(250, 1_000)
_CALL = re.compile(r'"?([A-Za-z_][A-Za-z0-9_]*|->>?|~)"?\(')


def carried_out(seed: int, way: str = "direct") -> list[dict[str, Any]]:
    """What a child process said of each statement; it must have ended by itself."""
    command = [sys.executable, "-m", "tests.core.local.d1.hostile", str(seed), str(STATEMENTS), way]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    child = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    lines = child.stdout.splitlines()
    assert child.returncode == 0, (child.returncode, lines[-1:], child.stderr[-2_000:])
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("way", "seed"),
    [("direct", seed) for seed in range(sized(1, 20))] + [("http", sized(100, 101))],
)
def test_random_sql_ends_no_process_and_gets_nothing_that_d1_refuses(way: str, seed: int) -> None:
    said = carried_out(seed, way)
    refused = {*Grammar(seed).functions} - ACCEPTED
    answers = [
        (asked["sql"], answer) for asked, answer in itertools.pairwise(said) if "sql" in asked
    ]
    assert len(answers) == STATEMENTS
    for sql, answer in answers:
        assert answer["seconds"] < SECONDS + 1, sql
        assert not answer["answer"].startswith("5"), (sql, answer)
        if answer["answer"] == "accepted" and sql.startswith(("SELECT", "WITH")):
            assert not refused & {*_CALL.findall(sql)}, sql
    # That it tries much, and that much of it is carried out.
    assert sum(answer["answer"] == "accepted" for _, answer in answers) > STATEMENTS / 8
    assert said[-1]["megabytes"] < 250


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    with running(tmp_path_factory) as workerd:
        yield workerd


_OF_ITS_OWN = re.compile(
    "MISMATCH|CONSTRAINT|malformed|overflow|NOMEM|TOOBIG|bad JSON path|too complex"
    "|ESCAPE expression|no such column: (rowid|oid)|did not contain a statement"
)
"""Refusals of values: its numbers are JavaScript's, and its SQLite is a newer one. And views have
rowids in some builds of SQLite."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(sized(1, 8)))
def test_workerd_accepts_what_is_accepted(workerd: Workerd, seed: int) -> None:
    said = carried_out(1_000 + seed)
    for asked, answer in itertools.pairwise(said):
        if asked.get("new"):
            workerd.anew()
            for sql in SETUP:
                assert workerd.refusal(sql) is None
        elif "sql" in asked and answer["answer"] == "accepted":
            # Blobs are lists of numbers on the way, which takes it long.
            sql = asked["sql"].replace("zeroblob(2200000)", "zeroblob(9)")
            refusal = workerd.refusal(sql, asked["params"])
            assert refusal is None or _OF_ITS_OWN.search(refusal), sql
