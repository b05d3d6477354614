"""Several accounts side by side, each with a service of its own."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vectorize_core.behavior import Behavior
from vectorize_core.local import faults
from vectorize_core.local.service import Service

MAIN_ACCOUNT: Final = "local"
"""The account whose data lie in the directory itself, where ``path=`` finds them too."""
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
MAX_ACCOUNTS: Final = 1_000


class Accounts:
    """The services of a server, each made when it is first asked for."""

    def __init__(
        self, data: str | os.PathLike[str], behavior: Behavior, clock: Callable[[], float]
    ) -> None:
        self._data = os.fspath(data)
        self._behavior = behavior
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._lock = threading.Lock()

    def directory(self, account: str) -> Path | None:
        """Where an account's data lie, None in memory; 404 for what cannot be an account."""
        if not _ACCOUNT.fullmatch(account):
            raise faults.ServiceFault(404, 7003, "No route for the URI.")
        if self._data == ":memory:":
            return None
        base = Path(self._data)
        return base if account == MAIN_ACCOUNT else base / "accounts" / account

    def service(self, account: str) -> Service:
        """The service of an account."""
        directory = self.directory(account)
        with self._lock:
            service = self._services.get(account)
            if service is None:
                if len(self._services) >= MAX_ACCOUNTS:
                    raise faults.refused("too many accounts on this server", status=429)
                path = ":memory:" if directory is None else directory
                service = Service(path, behavior=self._behavior, clock=self._clock)
                self._services[account] = service
            return service

    def close(self) -> None:
        """Close all services."""
        with self._lock:
            for service in self._services.values():
                service.close()
            self._services.clear()
