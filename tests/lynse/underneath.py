"""A plugin: tests that work in memory work on LynseDB instead. `pytest -p tests.lynse.underneath`.

What asks for delays, a clock, or Cloudflare's limits stays in memory.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import pytest

from tests.lynse.servers import KEY, NEW, Lynse
from vectorize_core import client as clients
from vectorize_core.api.d1 import ReadD1
from vectorize_core.api.operations import Op
from vectorize_core.connection import Connection, local_connection
from vectorize_core.lynse import LynseClient
from vectorize_core.records import target
from vectorize_core.transport.executor import Answer, Executor

T = TypeVar("T")

_DEFAULTS: Final = {"behavior": None, "clock": time.time, "limits": None}


class _WithD1:
    """An executor with a D1, which LynseDB has not."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._d1 = local_connection().executor

    def _of(self, op: Op[Any]) -> Executor:
        return self._d1 if isinstance(op, ReadD1) else self._executor

    def send(self, op: Op[T], /) -> Answer[T]:
        return self._of(op).send(op)

    async def asend(self, op: Op[T], /) -> Answer[T]:
        return await self._of(op).asend(op)

    def check(self) -> None:
        self._executor.check()

    def close(self) -> None:
        self._d1.close()
        self._executor.close()

    async def aclose(self) -> None:
        await self._d1.aclose()
        await self._executor.aclose()


class _Server:
    """Started by who first needs it."""

    def __init__(self) -> None:
        self._lynse: Lynse | None = None
        self._made: list[tuple[LynseClient, str]] = []

    def connection(self, path: Any = ":memory:", **options: Any) -> Connection:
        only_embedded = {name: options.pop(name, default) for name, default in _DEFAULTS.items()}
        if path != ":memory:" or only_embedded != _DEFAULTS:
            return local_connection(path, **only_embedded, **options)
        if self._lynse is None:
            folder = Path(tempfile.mkdtemp())
            (folder / "data").mkdir()
            self._lynse = Lynse(NEW, folder)
            self._lynse.start()
        name = f"d{uuid4().hex}"
        client = LynseClient(self._lynse.url, database=name, api_key=KEY, **options)
        client.database(name).create_database()
        self._made.append((client, name))
        made: Any = client.connection
        made.executor = _WithD1(made.executor)
        return client.connection

    def clear(self) -> None:
        """Drop what a test has made, for it takes room in the server."""
        while self._made and self._lynse is not None:
            client, name = self._made.pop()
            client.close()
            with LynseClient(self._lynse.url, api_key=KEY) as other:
                other.database(name).drop_database()

    def kill(self) -> None:
        if self._lynse is not None:
            self._lynse.kill()


_SERVER: Final = _Server()


@pytest.fixture(autouse=True)
def _on_lynse(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (clients, target):
        monkeypatch.setattr(module, "local_connection", _SERVER.connection)
    yield
    _SERVER.clear()


def pytest_unconfigure() -> None:
    _SERVER.kill()
