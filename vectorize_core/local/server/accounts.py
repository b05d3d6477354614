"""The Cloudflare accounts of a server: each has its own vectors and D1 databases."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vectorize_core import forks, paths
from vectorize_core.behavior import Behavior
from vectorize_core.local import faults
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.service import Service
from vectorize_core.transport.loopback import LOCAL_ACCOUNT

MAX_ACCOUNTS: Final = 1_000
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class Account:
    """One account."""

    service: Service
    databases: D1Databases


class Accounts:
    """The accounts of a server, each made when a request first names it.

    The data of `LOCAL_ACCOUNT` are in the directory itself, where ``path=`` of a store finds them.
    """

    def __init__(
        self, data: str | os.PathLike[str], behavior: Behavior, clock: Callable[[], float]
    ) -> None:
        self._data = paths.absolute_or_memory(data)
        self._behavior = behavior
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._lock = forks.lock()

    def get(self, name: str) -> Account:
        """An account by its id; a 404 fault if no account can have that id."""
        if not _NAME.fullmatch(name):
            raise faults.no_route()
        account = self._accounts.get(name)
        if account is not None:
            return account
        path = self._path(name)
        service = Service(path, behavior=self._behavior, clock=self._clock)
        made = Account(service, D1Databases(path))
        with self._lock:
            if name not in self._accounts and len(self._accounts) >= MAX_ACCOUNTS:
                raise faults.refused("too many accounts on this server", status=429)
            return self._accounts.setdefault(name, made)

    def close(self) -> None:
        """Close all accounts."""
        with self._lock:
            closing = list(self._accounts.values())
            self._accounts.clear()
        for account in closing:
            account.databases.close()
            account.service.close()

    def _path(self, name: str) -> str | Path:
        if self._data == ":memory:" or name == LOCAL_ACCOUNT:
            return self._data
        return Path(self._data) / "accounts" / name
