"""workerd, the runtime of Workers, as a process: the gateway in it, over the local server.

Its bindings are workerd's own, as on Cloudflare; behind them is our server.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WORKERS = ROOT / ".workers"
GATEWAY = ROOT / "examples" / "worker" / "src"
TOKEN = "a-token-of-the-gateway"
COMPATIBLE = "2026-01-01"

# A D1 binding asks by another protocol than the API: no envelope, and an error in its place.
D1_BY_API = """
export default { async fetch(request, env) {
  const body = await request.json(), many = Array.isArray(body);
  const answer = await env.server.fetch(env.url, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify(many ? { batch: body } : body),
  });
  const { success, errors, result } = await answer.json();
  if (!success) return Response.json({ error: errors[0].message });
  return Response.json(many ? result : result[0]);
} };
"""


def binary() -> Path:
    """workerd's own program; the test is skipped where there is none."""
    name = "workerd.exe" if os.name == "nt" else "workerd"
    for found in (WORKERS / "node_modules" / "@cloudflare").glob(f"workerd-*/bin/{name}"):
        return found
    pytest.skip("workerd is not installed: `make workers` does that, where npm is found")


@contextmanager
def gateway(
    folder: Path,
    server: tuple[str, int],
    indexes: Mapping[str, Any],
    databases: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """The URL of the gateway, with a binding for each index and database of ``server``."""
    program, port = binary(), free_port()
    address = f"{server[0]}:{server[1]}"
    bindings = [
        text("GATEWAY_TOKEN", f"{TOKEN}\n"),
        f'(name = "INDEXES", json = {quoted(json.dumps(indexes))})',
        f'(name = "DATABASES", json = {quoted(json.dumps(databases or {}))})',
    ]
    services = []
    for name, about in indexes.items():
        service = f"vectorize:{name}"
        bindings.append(vectorize(about["binding"], service, name))
        services.append(external(service, address, name))
    bindings += [
        f'(name = "{binding}", wrapped = (moduleName = "cloudflare-internal:d1-api", '
        'innerBindings = [(name = "fetcher", service = "d1")]))'
        for binding in (databases or {}).values()
    ]
    modules = ", ".join(
        f'(name = "{path.name}", esModule = {quoted(path.read_text())})'
        for path in sorted(GATEWAY.iterdir(), key=lambda path: path.name != "index.js")
    )
    config = folder / "gateway.capnp"
    url = "http://localhost/client/v4/accounts/local/d1/database/words/raw"
    config.write_text(
        f"""using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gateway", worker = (modules = [{modules}], compatibilityDate = "{COMPATIBLE}",
      bindings = [{", ".join(bindings)}])),
    (name = "d1", worker = (modules = [(name = "d1.js", esModule = {quoted(D1_BY_API)})],
      compatibilityDate = "{COMPATIBLE}",
      bindings = [(name = "server", service = "server"), {text("url", url)}])),
    (name = "server", external = (address = "{address}", http = ())),
    {", ".join(services)}
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "gateway")]
);
"""
    )
    said = folder / "workerd.log"
    with said.open("wb") as log:
        child = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        until_listening(child, port, said)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(10)


def vectorize(binding: str, service: str, index: str) -> str:
    """A Vectorize binding, as workerd has it on Cloudflare."""
    return (
        f'(name = "{binding}", wrapped = (moduleName = "cloudflare-internal:vectorize-api", '
        f'innerBindings = [(name = "fetcher", service = "{service}"), {text("indexId", index)}, '
        '(name = "indexVersion", text = "v2"), (name = "useNdJson", json = "true")]))'
    )


def external(service: str, address: str, index: str) -> str:
    """The server as what is behind the binding of an index."""
    header = f'(name = "x-vectorize-index", value = "{index}")'
    http = f"(injectRequestHeaders = [{header}])"
    return f'(name = "{service}", external = (address = "{address}", http = {http}))'


def text(name: str, value: str) -> str:
    return f"(name = {quoted(name)}, text = {quoted(value)})"


def quoted(value: str) -> str:
    """A text of Cap'n Proto."""
    return json.dumps(value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_listening(child: subprocess.Popen[bytes], port: int, said: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert child.poll() is None, said.read_text(errors="replace")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(said.read_text(errors="replace"))
