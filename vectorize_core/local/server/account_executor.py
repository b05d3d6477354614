"""`AccountExecutor`: an account of a server, whose files its clients may be using, too."""

from __future__ import annotations

from typing import Any

from vectorize_core.api.operations import Op
from vectorize_core.local.executor import ThreadedExecutor, carry_out
from vectorize_core.local.server.accounts import Accounts
from vectorize_core.transport.loopback import LOCAL_ACCOUNT


class AccountExecutor(ThreadedExecutor):
    """Carries out operations on the account of a server on this machine, beside its clients."""

    def __init__(self, accounts: Accounts) -> None:
        super().__init__()
        self._accounts = accounts

    def _carry_out(self, op: Op[Any]) -> Any:
        with self._accounts.use(LOCAL_ACCOUNT) as account:
            return carry_out(account.service, account.databases, op)

    def _close_files(self) -> None:
        """They are the server's to close."""

    def _release_files(self) -> None:
        """They are the server's to release."""
