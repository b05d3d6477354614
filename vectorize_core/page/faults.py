"""Faults and delays of a local server, on and off while it runs."""

from __future__ import annotations

from typing import Any, Final, cast

from vectorize_core.behavior import Delays
from vectorize_core.errors import InvalidInputError
from vectorize_core.local.server.app import Parts
from vectorize_core.page.account import Account
from vectorize_core.page.asked import Asked

_NAMES: Final = tuple(Delays.__annotations__)
_MOST_RULES: Final = 100
_LONGEST: Final = 600.0
"""Seconds; whoever turns a delay on by accident is not to wait for a day."""


class Faults:
    """The rules by which a server's requests fail (docs/local-server.md), and its delays."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def now(self, _: Account, __: Asked) -> Any:
        """The rules and delays in force."""
        behavior = self._parts.accounts.behavior
        delays = {name: getattr(behavior, name) for name in _NAMES}
        return {"rules": self._parts.injector.rules(), "delays": delays}

    async def change(self, account: Account, asked: Asked) -> Any:
        """Replace the ``rules``, the ``delays``, or both; all or nothing."""
        rules, delays = asked.given("rules", list), asked.given("delays", dict) or {}
        for name, seconds in delays.items():
            if name not in _NAMES:
                raise InvalidInputError(f"delays are {', '.join(_NAMES)}; got {name[:40]!r}")
            if type(seconds) not in (int, float) or not 0.0 <= seconds <= _LONGEST:
                raise InvalidInputError(f"{name} is a number of seconds from 0 to {_LONGEST:g}")
        if rules is not None and len(rules) > _MOST_RULES:
            raise InvalidInputError(f"there may be {_MOST_RULES} rules; got {len(rules)}")
        if rules is not None:
            self._parts.injector.replace(rules)
        self._parts.accounts.delay(**cast("Delays", delays))
        return await self.now(account, asked)
