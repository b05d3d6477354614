"""`wrangler dev`, with what `vectorize-stores wrangler` has written for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.workers.workerd import WORKERS, free_port

LOCAL = "wrangler.vectorize-local.jsonc"
NODE_FIRST = f"{WORKERS / 'bin'}{os.pathsep}{os.environ['PATH']}"
"""Where a node is that is new enough."""


def installed() -> Path:
    """The packages among which wrangler is; the test is skipped where it is not."""
    modules = WORKERS / "node_modules"
    if not (modules / "wrangler").exists():
        pytest.skip("wrangler is not installed: `make workers` does that, where npm is found")
    return modules


@contextmanager
def wrangler_dev(
    project: Path, modules: Path, path: str, configs: Sequence[str] = (LOCAL,), **more: str
) -> Iterator[str]:
    """The URL of a project's Worker, which is that of the first of its configurations."""
    if os.name == "nt":
        pytest.skip("the processes of wrangler dev are ended by their group")
    port = free_port()
    home = project / "home"
    environment = {
        **os.environ,
        "PATH": path,
        "CI": "true",
        "WRANGLER_SEND_METRICS": "false",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        **more,
    }
    program = shutil.which("node", path=path)
    assert program is not None
    command = [program, modules / "wrangler" / "bin" / "wrangler.js", "dev"]
    command += [part for config in configs for part in ("--config", config)]
    command += ["--port", str(port), "--inspector-port", "0", "--ip", "127.0.0.1"]
    said = project / "said.txt"
    with said.open("wb") as log:
        child = subprocess.Popen(
            command, cwd=project, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            assert child.poll() is None, said.read_text()
            try:
                httpx.get(f"{url}/favicon.ico", timeout=30)
            except httpx.TransportError:
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.1)
            else:
                break
        yield url
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(20)
