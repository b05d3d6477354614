"""The address of a LynseDB, and its API key: from an argument, else from the environment."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

from vectorize_core.errors import ConfigurationError
from vectorize_core.secret import Secret, hidden, is_sendable
from vectorize_core.transport.credentials import Credentials, checked_address

KEY_VARIABLE: Final = "LYNSE_API_KEY"
"""The server's own."""
_EXAMPLE: Final = "http://127.0.0.1:7637"


class LynseCredentials(Credentials):
    """The address of a server, and the header with its key."""

    __slots__ = ()

    @property
    def url(self) -> str:
        """The address, which the paths of operations are appended to."""
        return self.base_url

    def __reduce__(self) -> tuple[object, ...]:
        return partial(find_server, self.base_url), ()


def find_server(
    base_url: Secret[str] | str | None, api_key: Secret[str] | None = None
) -> Credentials:
    """Where a server is, and its key; a server that was given none needs none.

    Raises `ConfigurationError`, which shows neither.
    """
    if base_url is None:
        raise ConfigurationError(f"base_url is the address of a LynseDB, such as {_EXAMPLE}")
    address = checked_address(Secret(hidden(base_url).reveal().strip()), _EXAMPLE, "api_key=")
    origin = "api_key="
    if api_key is None:
        api_key, origin = hidden(os.environ.get(KEY_VARIABLE)), KEY_VARIABLE
    if not api_key:
        return LynseCredentials("", address)
    key = Secret(api_key.reveal().strip())
    if not is_sendable(key.reveal()):
        raise ConfigurationError(
            "the API key has a space or a character that no header can hold, or is empty; it "
            f"comes from {origin}"
        )
    return LynseCredentials("", address, Secret({"Authorization": f"Bearer {key.reveal()}"}))
