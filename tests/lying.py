"""A way to a local server that tells lies: it changes the results of answers as they pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from vectorize_core import RetryPolicy, VectorizeClient
from vectorize_core.local.server import BackgroundServer

Lie = Callable[[Any, httpx.Request], Any]
"""Makes another result of a true one; the request has been read."""


class Lying(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """``lies`` are by the last part of the path: ``query``, ``list``, ``info``, ``docs``..."""

    def __init__(self) -> None:
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []
        self._way = httpx.HTTPTransport(verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._changed(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        request.stream = httpx.ByteStream(content)
        return self._changed(request)

    def _changed(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        self.asked.append(name)
        method, url, headers, stream = request.method, request.url, request.headers, request.stream
        if name in self.lies:
            # The server does not know an invented cursor.
            url = url.copy_remove_param("cursor")
        passed_on = httpx.Request(method, url, headers=headers, stream=stream)
        response = self._way.handle_request(passed_on)
        content = response.read()
        response.close()
        if name in self.lies and response.status_code == 200:
            envelope = json.loads(content)
            envelope["result"] = self.lies[name](envelope["result"], request)
            content = json.dumps(envelope).encode()
        return httpx.Response(response.status_code, content=content)

    def close(self) -> None:
        self._way.close()

    def client(self, server: BackgroundServer, account: str) -> VectorizeClient:
        return VectorizeClient(
            account,
            base_url=server.base_url,
            retry=RetryPolicy(read_deadline=0, write_deadline=0),
            transport=self,
            async_transport=self,
        )
