"""Cloudflare's own D1, in Miniflare, where node and npm are found: only at night."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.nightly import NIGHTLY

_SCRIPT = """
import { Miniflare } from "miniflare";
import { createInterface } from "node:readline";
const script = "export default { fetch() { return new Response() } }";
const miniflare = new Miniflare({
  modules: true, script, compatibilityDate: "2026-01-01", d1Databases: ["A"],
});
let name = 0, database = await miniflare.getD1Database("A");
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { sql, params, anew, meta } = JSON.parse(line);
  if (anew) {
    name += 1;
    await miniflare.setOptions({
      modules: true, script, compatibilityDate: "2026-01-01", d1Databases: { A: `${name}` },
    });
    database = await miniflare.getD1Database("A");
    console.log("{}");
    continue;
  }
  try {
    const statement = database.prepare(sql).bind(...params);
    const answer = meta ? { meta: (await statement.all()).meta } : { rows: await statement.raw() };
    console.log(JSON.stringify(answer));
  } catch (error) {
    console.log(JSON.stringify({ refusal: String(error.message) }));
  }
}
await miniflare.dispose();
"""


class Workerd:
    """A database, and what it answers."""

    def __init__(self, folder: Path) -> None:
        (folder / "d1.mjs").write_text(_SCRIPT)
        self._child = subprocess.Popen(
            ["node", "d1.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._line() == "ready"

    def anew(self) -> None:
        """Take a new database from now on."""
        self._ask(anew=True)

    def refusal(self, sql: str, params: list[Any] | None = None) -> str | None:
        """The text of a refusal, or None if the statement was carried out."""
        refusal: str | None = self._ask(sql=sql, params=params or []).get("refusal")
        return refusal

    def rows(self, sql: str, params: list[Any]) -> list[list[Any]]:
        """The rows of a statement that is not refused."""
        answer = self._ask(sql=sql, params=params)
        assert "refusal" not in answer, answer
        rows: list[list[Any]] = answer["rows"]
        return rows

    def meta(self, sql: str, params: list[Any]) -> dict[str, Any]:
        """What is said of the cost of a statement that is not refused."""
        answer = self._ask(sql=sql, params=params, meta=True)
        assert "refusal" not in answer, answer
        meta: dict[str, Any] = answer["meta"]
        return meta

    def _ask(self, **what: Any) -> dict[str, Any]:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(what) + "\n")
        self._child.stdin.flush()
        answer: dict[str, Any] = json.loads(self._line())
        return answer

    def _line(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()

    def close(self) -> None:
        self._child.terminate()
        self._child.communicate()


@contextmanager
def running(factory: pytest.TempPathFactory) -> Iterator[Workerd]:
    """Workerd in a folder of its own; the test is skipped where it cannot be had."""
    if not NIGHTLY:
        pytest.skip("installs workerd, so only at night")
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are needed for workerd")
    folder = factory.mktemp("workerd")
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "miniflare@4"]
    if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode != 0:
        pytest.skip("miniflare cannot be installed")
    workerd = Workerd(folder)
    try:
        yield workerd
    finally:
        workerd.close()
