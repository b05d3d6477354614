"""The real bindings of workerd, called from Python through a Worker that does as it is told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.workers.bindings import JsError, send
from tests.workers.workerd import (
    COMPATIBLE,
    D1_BY_API,
    binary,
    external,
    free_port,
    quoted,
    text,
    until_listening,
    vectorize,
)

_WORKER = """
export default { async fetch(request, env) {
  const { method, given, statements } = await request.json();
  try {
    if (!statements) return Response.json({ answer: await env.DOCS[method](...given) });
    const bound = statements.map(([sql, params]) => env.DB.prepare(sql).bind(...params));
    const answer = method === "raw" ? bound[0].raw() : env.DB.batch(bound);
    return Response.json({ answer: await answer });
  } catch (error) {
    return Response.json({ thrown: error.message });
  }
} };
"""


class Workerd:
    """``env.DOCS``, a Vectorize binding; ``database`` is ``env.DB``, one of D1."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.database = Database(self)

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)

        async def call(*given: Any) -> Any:
            return await self._ask(method=method, given=given)

        return call

    async def _ask(self, **asked: Any) -> Any:
        said = (await send("POST", self._url, json=asked)).json()
        if "thrown" in said:
            raise JsError(said["thrown"])
        return said["answer"]


class Database:
    """``env.DB``."""

    def __init__(self, bindings: Workerd, *statement: Any) -> None:
        self._bindings = bindings
        self.statement = statement

    def prepare(self, sql: str) -> Database:
        return Database(self._bindings, sql)

    def bind(self, *params: Any) -> Database:
        return Database(self._bindings, self.statement[0], params)

    async def raw(self) -> Any:
        return await self._bindings._ask(method="raw", statements=[self.statement])

    async def batch(self, statements: list[Database]) -> Any:
        some = [one.statement for one in statements]
        return await self._bindings._ask(method="batch", statements=some)


@contextmanager
def running(folder: Path, base_url: str, index: str = "docs") -> Iterator[Workerd]:
    """workerd, with bindings whose backend is a server; skipped where it is not installed."""
    program, port, address = binary(), free_port(), urlsplit(base_url).netloc
    url = "http://localhost/client/v4/accounts/local/d1/database/words/raw"
    config = folder / "bridge.capnp"
    config.write_text(
        f"""using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "bridge", worker = (modules = [(name = "w.js", esModule = {quoted(_WORKER)})],
      compatibilityDate = "{COMPATIBLE}",
      bindings = [{vectorize("DOCS", "index", index)},
        (name = "DB", wrapped = (moduleName = "cloudflare-internal:d1-api",
          innerBindings = [(name = "fetcher", service = "d1")]))])),
    (name = "d1", worker = (modules = [(name = "d1.js", esModule = {quoted(D1_BY_API)})],
      compatibilityDate = "{COMPATIBLE}",
      bindings = [(name = "server", service = "server"), {text("url", url)}])),
    (name = "server", external = (address = {json.dumps(address)}, http = ())),
    {external("index", address, index)}
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "bridge")]
);
"""
    )
    said = folder / "workerd.log"
    with said.open("wb") as log:
        child = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        until_listening(child, port, said)
        yield Workerd(f"http://127.0.0.1:{port}")
    finally:
        child.terminate()
        child.wait(10)
