"""What stands in for an executor in tests."""

from __future__ import annotations


class Open:
    """One that is never closed."""

    def check(self) -> None:
        """Raise nothing."""
