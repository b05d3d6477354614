"""The Cloudflare accounts of a server: each has its own vectors and D1 databases."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final, Unpack

from vectorize_core import paths
from vectorize_core.behavior import Behavior, Delays
from vectorize_core.local import faults, open_files
from vectorize_core.local.d1_databases import D1Databases
from vectorize_core.local.file_names import file_of
from vectorize_core.local.open_files import Named, OpenFiles
from vectorize_core.local.service import Service
from vectorize_core.transport.loopback import LOCAL_ACCOUNT

MAX_ACCOUNTS: Final = 1_000
PART_OF_FILES: Final = 0.25
"""Of those that the process may have open, for the data of all accounts."""
_MOST_FILES: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Account:
    """One account. ``admit`` is called before its first write, and may refuse it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        behavior: Behavior,
        clock: Callable[[], float],
        files: OpenFiles,
        admit: Callable[[], None],
    ) -> None:
        self._admit = admit
        self.service = Service(path, behavior=behavior, clock=clock)
        self.databases = D1Databases(path, files, self.admit)

    def admit(self) -> None:
        """Refuse what would make this account if there are too many."""
        if self.is_empty():
            self._admit()

    def is_empty(self) -> bool:
        """Whether nothing was ever written to it."""
        return self.service.is_empty() and self.databases.is_empty()

    def open_files(self) -> int:
        """How many files of its vectors are open; databases count for themselves."""
        return self.service.open_files()

    def release(self) -> None:
        """Close the files of its vectors until they are needed again."""
        self.service.release()

    def close(self) -> None:
        """Close it for good."""
        self.databases.close()
        self.service.close()


class Accounts:
    """The accounts of a server, each made by the first write to it.

    One that does not exist reads as one that has nothing. Files of accounts that are not in use are
    closed when many are open. The data of `LOCAL_ACCOUNT` are in the directory itself, where
    ``path=`` of a store finds them.
    """

    def __init__(
        self, data: str | os.PathLike[str], behavior: Behavior, clock: Callable[[], float]
    ) -> None:
        self._data = paths.absolute_or_memory(data)
        self._behavior = behavior
        self._clock = clock
        self._files = OpenFiles(open_files.share(PART_OF_FILES, _MOST_FILES))
        self._accounts = Named(self._make, self._files)

    def use(self, name: str) -> AbstractContextManager[Account]:
        """An account by its id; a 404 fault if no account can have that id."""
        if not _NAME.fullmatch(name):
            raise faults.no_route()
        return self._accounts.use(name)

    def release_idle(self) -> None:
        """Close the files of all accounts and databases that are not in use."""
        self._files.release_idle()

    def interrupt(self) -> None:
        """End the statements of D1 that are being carried out, with a fault; from any thread."""
        for account in self._accounts.all():
            account.databases.interrupt()

    @property
    def behavior(self) -> Behavior:
        """The delays and switches of all accounts."""
        return self._behavior

    def delay(self, **delays: Unpack[Delays]) -> None:
        """Change delays of all accounts, for what is written from now on; ValueError."""
        self._behavior = replace(self._behavior, **delays)
        for account in self._accounts.all():
            account.service.delay(**delays)

    def open(self) -> None:
        """Go on after `close`; what was only in memory is lost."""
        self._accounts.open()

    def close(self) -> None:
        """Close all accounts, each as soon as nobody uses it."""
        self._accounts.close()

    def _make(self, name: str) -> Account:
        return Account(
            self._path(name),
            self._behavior,
            self._clock,
            self._files,
            lambda: None if name == LOCAL_ACCOUNT else self._admit(),
        )

    def _admit(self) -> None:
        if self._count() >= MAX_ACCOUNTS:
            raise faults.refused(f"this server has {MAX_ACCOUNTS} accounts, and makes no more")

    def _count(self) -> int:
        if self._data == paths.MEMORY:
            # Without the one that is to be made.
            return len(self._accounts.all()) - 1
        folder = Path(self._data, "accounts")
        return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0

    def _path(self, name: str) -> str | Path:
        if self._data == paths.MEMORY or name == LOCAL_ACCOUNT:
            return self._data
        return file_of(Path(self._data, "accounts"), name)
