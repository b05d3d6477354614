"""Endpoints: a request's body is read on the event loop, the request is answered in a thread.

So neither a search nor a hundred megabytes of JSON hold up other requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vectorize_core.errors import StorageError
from vectorize_core.local import faults
from vectorize_core.local.faults import ServiceFault

logger = logging.getLogger("vectorize_core.server")


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its whole body; ``names`` are the parameters in its path."""

    path: str
    names: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes

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
    """Reads bodies of at most ``max_bytes``, which must arrive within ``seconds``."""

    max_bytes: int
    seconds: float

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that reads a request, then calls ``handler`` in a thread."""

        async def answer(request: Request) -> Response:
            body = await self._body(request)
            path, names, query = request.scope["path"], request.path_params, request.query_params
            try:
                return await run_in_threadpool(
                    handler, Call(path, names, query, request.headers, body)
                )
            except ServiceFault:
                raise
            except StorageError as error:
                logger.error("%s %s: %s", request.method, path, error)
                raise faults.refused(str(error), status=500) from None
            except Exception as error:
                logger.exception("%s %s", request.method, path)
                text = f"{type(error).__name__} in the server; its log has more"
                raise faults.refused(text, status=500) from None

        return answer

    async def _body(self, request: Request) -> bytes:
        declared = request.headers.get("content-length", "")
        # int() refuses very long strings of digits.
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self.max_bytes):
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self.max_bytes:
                        raise self._too_large()
        except TimeoutError:
            raise faults.refused(f"no body within {self.seconds:g} seconds", status=408) from None
        except ClientDisconnect:
            raise faults.refused("the body broke off") from None
        return bytes(body)

    def _too_large(self) -> ServiceFault:
        return faults.refused(f"the body is larger than {self.max_bytes} bytes", status=413)
