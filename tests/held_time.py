"""Time that a test holds, so that how fast the machine is does not matter."""

from __future__ import annotations

import pytest

from vectorize_core.transport.io import AsyncIo, SyncIo


class HeldClock:
    """Seconds on a clock that stands still until somebody adds to ``now``."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have it move where a flow of any client sleeps, which takes no time."""

        async def sleep(_: object, seconds: float, /) -> None:
            self.now += seconds

        for variant in (SyncIo, AsyncIo):
            monkeypatch.setattr(variant, "sleep", sleep)
            monkeypatch.setattr(variant, "now", lambda _: self.now)
