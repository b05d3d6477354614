"""`Outgoing`, `Incoming` and `AsyncIncoming`: a request over our own connections, and its answer.

They stand in the place of httpx's, under the same names, with what the API needs. httpx's own keep
headers in three spellings, and look for cookies, forms and encodings: a fifth of a search.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    MutableMapping,
)
from dataclasses import dataclass, field
from typing import Any, Final

import httpcore
import httpx

HEADERS: Final = {"Accept": "*/*", "Connection": "keep-alive", "User-Agent": "vectorize-stores"}
"""What each request says beside its own headers."""
FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)
"""What httpcore raises; httpx has an error of the same name for each."""


@dataclass(slots=True)
class Outgoing:
    """A request."""

    method: str
    url: httpx.URL
    headers: dict[str, str] = field(repr=False)
    content: bytes | AsyncIterable[bytes] = field(repr=False)
    extensions: dict[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls,
        *,
        method: str,
        url: httpx.URL,
        params: Any,
        headers: dict[str, str],
        timeout: httpx.Timeout,
        extensions: dict[str, Any],
        content: bytes | AsyncIterable[bytes],
    ) -> Outgoing:
        """The request of these options, as httpx would make it."""
        if params is not None:
            url = httpx.URL(url, params=params)
        headers = {"Host": url.netloc.decode(), **HEADERS, **headers}
        if isinstance(content, bytes) and (content or method == "POST"):
            headers["Content-Length"] = str(len(content))
        extensions = {**extensions, "timeout": timeout.as_dict()}
        return cls(method, url, headers, content, extensions)

    def for_httpcore(self) -> httpcore.Request:
        """The same for a connection of httpcore."""
        url = self.url
        return httpcore.Request(
            self.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[*self.headers.items()],
            content=self.content,
            extensions=self.extensions,
        )

    def failed(self, error: Exception) -> httpx.RequestError:
        """The error of httpx for one of `FAILURES`."""
        kind: type[httpx.RequestError] = getattr(httpx, type(error).__name__)
        return kind(str(error), request=httpx.Request(self.method, self.url))


class _Head:
    """The head of an answer; names of headers are in lower case."""

    is_stream_consumed = False

    def __init__(self, request: Outgoing, response: httpcore.Response) -> None:
        self._request = request
        self._stream: Any = response.stream
        self._whole = False
        self.status_code = response.status
        self.extensions: MutableMapping[str, Any] = response.extensions
        self.headers: MutableMapping[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
            before = self.headers.get(name)
            self.headers[name] = value if before is None else f"{before}, {value}"

    @property
    def is_success(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status_code < 300

    @property
    def has_redirect_location(self) -> bool:
        """Whether it says where else to ask."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers


class Incoming(_Head):
    """An answer; when it is closed, ``free`` is called with whether its body was read whole."""

    def __init__(
        self, request: Outgoing, response: httpcore.Response, free: Callable[[bool], None]
    ) -> None:
        super().__init__(request, response)
        self._free = free

    def iter_raw(self) -> Iterator[bytes]:
        """The body as it comes."""
        try:
            yield from self._stream
        except FAILURES as error:
            raise self._request.failed(error) from error
        self._whole = True

    def close(self) -> None:
        """Let go of the connection."""
        try:
            self._stream.close()
        finally:
            self._free(self._whole)


class AsyncIncoming(_Head):
    """As `Incoming`, for an event loop."""

    def __init__(
        self,
        request: Outgoing,
        response: httpcore.Response,
        free: Callable[[bool], Awaitable[None]],
    ) -> None:
        super().__init__(request, response)
        self._free = free

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        try:
            async for chunk in self._stream:
                yield chunk
        except FAILURES as error:
            raise self._request.failed(error) from error
        self._whole = True

    async def aclose(self) -> None:
        """Let go of the connection."""
        try:
            await self._stream.aclose()
        finally:
            await self._free(self._whole)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
