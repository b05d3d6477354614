"""How many requests one read may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vectorize_core.errors import InvalidInputError, TooManyRequestsNeededError

MAX_SEARCH_REQUESTS: Final = 100
MAX_ENUMERATION_REQUESTS: Final = 1_000


@dataclass(slots=True)
class RequestLimit:
    """At most ``most`` requests; ``spent`` of them so far. ``purpose`` is what they are for."""

    most: int
    purpose: str
    spent: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or not isinstance(self.most, int) or self.most < 1:
            raise InvalidInputError(
                f"max_requests is a positive number of requests; got {self.most!r}"
            )

    def charge(self, requests: int = 1) -> None:
        """Before ``requests`` are sent; `TooManyRequestsNeededError` if that is too many."""
        self.expect(requests)
        self.spent += requests

    def expect(self, requests: int) -> None:
        """Give up now if ``requests`` more will be needed and that is too many."""
        if self.spent + requests > self.most:
            needed = self.spent + requests
            raise TooManyRequestsNeededError(
                f"{self.purpose} takes about {needed} requests or more; max_requests={self.most} "
                "allows fewer. Raise max_requests=, or narrow what is read: by a filter on a "
                "property with a metadata index, by namespace=, or by fewer matches",
                needed=needed,
                allowed=self.most,
            )
