"""Where a connection leads: what another process needs to open it again, but for secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vectorize_core.errors import ConfigurationError

if TYPE_CHECKING:
    from vectorize_core.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An embedded Vectorize at ``path``, or an account at an address.

    ``options`` are the other arguments it was opened with, as far as they mean anything in
    another process. ``bound`` says why no other process can open it; empty if one can.
    """

    path: str | None = None
    account_id: str | None = None
    base_url: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    bound: str = ""

    def check_portable(self) -> None:
        """Raises `ConfigurationError` if no other process can open this."""
        if self.bound:
            raise ConfigurationError(f"this connection cannot be pickled: {self.bound}")

    def connect(self) -> Connection:
        """A connection to the same place, authorised by the environment; no I/O."""
        # Here and not above: both make connections, which know their place.
        from vectorize_core.client import VectorizeClient  # noqa: PLC0415
        from vectorize_core.connection import local_connection  # noqa: PLC0415

        if self.path is not None:
            return local_connection(self.path, **self.options)
        try:
            client = VectorizeClient(self.account_id, base_url=self.base_url, **self.options)
        except ConfigurationError as error:
            raise ConfigurationError(f"secrets are not pickled, and here {error}") from None
        return client.connection
