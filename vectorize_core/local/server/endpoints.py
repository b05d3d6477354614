"""Endpoints: a request's body is read on the event loop, the request is answered in a thread.

So neither a search nor a hundred megabytes of JSON hold up other requests; `lanes` says in whose
turn.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from vectorize_core.errors import StorageError
from vectorize_core.local import faults, open_files
from vectorize_core.local.faults import ServiceFault
from vectorize_core.local.server.accounts import Account, Accounts
from vectorize_core.local.server.bodies import BodyReader
from vectorize_core.local.server.traffic import Traffic
from vectorize_core.transport.loopback import LOCAL_ACCOUNT

logger = logging.getLogger("vectorize_core.server")


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its whole body, on an account; ``names`` are the parameters in its path.

    ``breathe`` is to be called every few milliseconds of a statement of SQL.
    """

    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    account: Account
    breathe: Callable[[], None]

    @property
    def media_type(self) -> str:
        """The content type of the body, without its parameters."""
        return media_type(self.headers.get("content-type", ""))


def media_type(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class RequestReader:
    """Reads requests, and calls their handlers when it is their turn."""

    accounts: Accounts
    bodies: BodyReader
    traffic: Traffic

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that reads a request, then calls ``handler`` in a thread."""

        async def answer(request: Request) -> Response:
            name = request.path_params.get("account", LOCAL_ACCOUNT)

            def work(breathe: Callable[[], None], body: bytes) -> Response:
                with self.accounts.use(name) as account:
                    return handler(
                        Call(
                            request.scope["path"],
                            request.path_params,
                            request.query_params,
                            request.headers,
                            body,
                            account,
                            breathe,
                        )
                    )

            try:
                async with self.bodies.read(request) as body:
                    return await self.traffic.carry_out(request, body, work)
            except ServiceFault:
                raise
            except Exception as error:
                raise self._explained(request, error) from None

        return answer

    def _explained(self, request: Request, error: Exception) -> ServiceFault:
        """A fault for what is no answer of the service; its log has more."""
        where = f"{request.method} {request.scope['path']}"
        if isinstance(error, (StorageError, OSError)) and open_files.are_exhausted():
            logger.error("%s: %s", where, error)
            self.accounts.release_idle()
            return faults.refused("too many files are open; try again", status=503)
        if isinstance(error, StorageError):
            logger.error("%s: %s", where, error)
            return faults.refused(str(error), status=500)
        logger.error("%s", where, exc_info=error)
        return faults.refused(f"{type(error).__name__} in the server; its log has more", status=500)
