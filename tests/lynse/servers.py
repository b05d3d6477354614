"""Real LynseDB servers, which `make lynse` installs into directories of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

ROOT: Final = Path(__file__).parent.parent.parent
OLD, NEW = "0.3.0", "0.9.0"
KEY: Final = "the-key-that-nobody-may-see"


class Lynse:
    """A server on a free port, with a directory of its own."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        self.folder = folder
        self._program = _installed(version)
        self._child: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, port: int | None = None) -> None:
        """Start it, on a free port or that one."""
        for _ in range(5):
            port = port or _free_port()
            self.url = f"http://127.0.0.1:{port}"
            self._child = subprocess.Popen(
                [
                    *(self._program, "-m", "lynse.server", "--host", "127.0.0.1"),
                    *("--port", str(port), "--data-dir", str(self.folder / "data")),
                    *("--api-key", KEY, "--no-audit-log", *self._arguments()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environment(),
            )
            if self._answers():
                return
            self.stop()
            port = None
        raise AssertionError(f"LynseDB {self.version} does not start")

    def _arguments(self) -> list[str]:
        """Further ones of its command."""
        return []

    def _environment(self) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if "LYNSE" not in name}
        # It writes settings there, and opens a second port unless told otherwise.
        home = str(self.folder)
        return known | {"HOME": home, "USERPROFILE": home, "LYNSE_DISABLE_INTERNAL_RPC": "1"}

    def _answers(self) -> bool:
        assert self._child is not None
        with httpx.Client(trust_env=False) as client:
            while self._child.poll() is None:
                try:
                    return client.get(f"{self.url}/healthz").is_success
                except httpx.TransportError:
                    time.sleep(0.02)
        return False

    def kill(self) -> None:
        """End it at once, wherever it is."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def restart(self) -> None:
        """End it at once, and start it on the same port."""
        self.kill()
        self.start(int(self.url.rpartition(":")[2]))

    def stop(self) -> None:
        """End it in good order."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            self._child.wait()


def _installed(version: str) -> str:
    """The Python that has this version."""
    program = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    found = ROOT / ".venv-lynse" / version / program
    if not found.exists():
        pytest.skip(f"LynseDB {version} is not installed: make lynse ({sys.platform})")
    return str(found)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def running(
    version: str, factory: pytest.TempPathFactory, kind: type[Lynse] = Lynse
) -> Iterator[Lynse]:
    """A server, until the end of the block."""
    server = kind(version, factory.mktemp(f"lynse-{version}"))
    (server.folder / "data").mkdir()
    server.start()
    try:
        yield server
    finally:
        # In good order takes as long as connections are kept.
        server.kill()
