"""`AccountExecutor`: carries out operations on an account of a server, beside its clients."""

from __future__ import annotations

from typing import Any

from vectorize_core.api.operations import Op
from vectorize_core.local.executor import ThreadedExecutor, carry_out
from vectorize_core.local.server.accounts import Accounts
from vectorize_core.transport.loopback import LOCAL_ACCOUNT


class AccountExecutor(ThreadedExecutor):
    """Carries out operations on an account, whose files others may be using, too."""

    def __init__(self, accounts: Accounts, name: str = LOCAL_ACCOUNT) -> None:
        super().__init__()
        self._accounts = accounts
        self._name = name

    def _carry_out(self, op: Op[Any]) -> Any:
        with self._accounts.use(self._name) as account:
            return carry_out(account.service, account.databases, op)

    def _close_files(self) -> None:
        """They are the server's to close."""

    def _release_files(self) -> None:
        """They are the server's to release."""
