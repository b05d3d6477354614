"""Random SQL in a child process: it ends no process, takes little, and gets nothing D1 refuses."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.local.d1.hostile import ACCEPTED, SECONDS, SETUP, Grammar
from tests.nightly import NIGHTLY, sized

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


MINIFLARE = """
import { Miniflare } from "miniflare";
import { createInterface } from "node:readline";
const script = "export default { fetch() { return new Response() } }";
const miniflare = new Miniflare({
  modules: true, script, compatibilityDate: "2026-01-01", d1Databases: ["A"],
});
let name = 0, database = await miniflare.getD1Database("A");
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { sql, params, anew } = JSON.parse(line);
  if (anew) {
    name += 1;
    await miniflare.setOptions({
      modules: true, script, compatibilityDate: "2026-01-01", d1Databases: { A: `${name}` },
    });
    database = await miniflare.getD1Database("A");
    console.log("null");
    continue;
  }
  try {
    await database.prepare(sql).bind(...params).all();
    console.log("null");
  } catch (error) {
    console.log(JSON.stringify(String(error.message)));
  }
}
await miniflare.dispose();
"""


class Workerd:
    """Cloudflare's own D1, in Miniflare."""

    def __init__(self, folder: Path) -> None:
        (folder / "d1.mjs").write_text(MINIFLARE)
        self._child = subprocess.Popen(
            ["node", "d1.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def ask(self, sql: str = "", params: list[Any] | None = None, *, anew: bool = False) -> Any:
        """The text of a refusal, or None; with ``anew`` the following go to a new database."""
        assert self._child.stdin is not None
        what = {"sql": sql, "params": params or [], "anew": anew}
        self._child.stdin.write(json.dumps(what) + "\n")
        self._child.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()

    def close(self) -> None:
        self._child.terminate()
        self._child.communicate()


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    if not NIGHTLY:
        pytest.skip("installs workerd, so only at night")
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are needed for workerd")
    folder = tmp_path_factory.mktemp("workerd")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "miniflare@4"]
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode != 0:
        pytest.skip("miniflare cannot be installed")
    workerd = Workerd(folder)
    yield workerd
    workerd.close()


_OF_ITS_OWN = re.compile(
    "MISMATCH|CONSTRAINT|malformed|overflow|NOMEM|TOOBIG|bad JSON path|too complex"
    "|ESCAPE expression|no such column: (rowid|oid)|did not contain a statement"
)
"""Refusals of values: its numbers are JavaScript's, and its SQLite is a newer one. And views have
rowids in some builds of SQLite."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(sized(0, 8)))
def test_workerd_accepts_what_is_accepted(workerd: Workerd, seed: int) -> None:
    said = carried_out(1_000 + seed)
    for asked, answer in itertools.pairwise(said):
        if asked.get("new"):
            workerd.ask(anew=True)
            for sql in SETUP:
                assert workerd.ask(sql) is None
        elif "sql" in asked and answer["answer"] == "accepted":
            # Blobs are lists of numbers on the way, which takes it long.
            sql = asked["sql"].replace("zeroblob(2200000)", "zeroblob(9)")
            refusal = workerd.ask(sql, asked["params"])
            assert refusal is None or _OF_ITS_OWN.search(refusal), sql
