"""`Server`: what is known of the server at an address, and calls in its dialect."""

from __future__ import annotations

from typing import TypeVar

from vectorize_core.errors import ConfigurationError, NotFoundError
from vectorize_core.lynse.dialect import COORDINATOR, Dialect
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.lynse.operations.servers import ClusterInfo, OpenApi
from vectorize_core.lynse.requests import Requests
from vectorize_core.transport.io import Io

T = TypeVar("T")


class Server:
    """Shared by all that is made of a client. What it is asked first is what it speaks."""

    def __init__(self) -> None:
        self.dialect: Dialect | None = None

    def forget(self) -> None:
        """Ask again with the next call."""
        self.dialect = None

    async def known(self, io: Io | Requests) -> Dialect:
        """The dialect of the server.

        Raises `ConfigurationError` if there is no LynseDB at the address.
        """
        dialect = self.dialect
        if dialect is None:
            dialect = self.dialect = await _find(io)
        return dialect

    async def call(self, io: Io, op: LynseOp[T]) -> T:
        """Carry ``op`` out in the dialect of the server."""
        await self.known(io)
        return await io.call(op)


async def _find(io: Io | Requests) -> Dialect:
    try:
        return await io.call(OpenApi())
    except NotFoundError:
        pass
    try:
        await io.call(ClusterInfo())
    except NotFoundError as error:
        raise ConfigurationError(
            f"there is no LynseDB at this address: it has no /openapi.json, and {error}"
        ) from error
    return COORDINATOR
