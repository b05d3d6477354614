"""A scripted Cloudflare, and one way to use both variants of a client."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx
import numpy as np
import pytest

from vectorize_core import AsyncVectorizeClient, RetryPolicy, VectorizeClient
from vectorize_core.api.operations import Op
from vectorize_core.secret import Secret
from vectorize_core.transport.credentials import Credentials
from vectorize_core.transport.executor import Executor
from vectorize_core.transport.http import HttpExecutor
from vectorize_core.transport.io import AsyncIo, SyncIo

T = TypeVar("T")
ACCOUNT = "acc0123"
SECRET = "s3cret-t0ken"
CREDENTIALS = Credentials(ACCOUNT, headers=Secret({"Authorization": f"Bearer {SECRET}"}))
PREFIX = f"/client/v4/accounts/{ACCOUNT}/vectorize/v2/indexes"
RAY = "8f1a2b3c4d5e6f70-FRA"


@dataclass(frozen=True)
class Answer:
    """What the scripted Cloudflare says."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def ok(result: object, *messages: object, status: int = 200) -> Answer:
    envelope = {"success": True, "errors": [], "messages": messages, "result": result}
    return Answer(status, json.dumps(envelope).encode())


def failed(status: int, *errors: object, headers: Mapping[str, str] | None = None) -> Answer:
    """A failure; an error is a whole entry, or only its code."""
    entries = [{"code": e, "message": f"said {e}"} if isinstance(e, int) else e for e in errors]
    envelope = {"result": None, "success": False, "errors": entries, "messages": []}
    return Answer(status, json.dumps(envelope).encode(), {"cf-ray": RAY, **(headers or {})})


class Cloudflare(httpx.MockTransport):
    """Gives its answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer | Exception) -> None:
        super().__init__(self._answer)
        self.requests: list[httpx.Request] = []
        self._answers = answers

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status, content=answer.content, headers=answer.headers)

    @property
    def calls(self) -> list[str]:
        """Method and path below the indexes of the account, of every request."""
        return [f"{r.method} {r.url.path.removeprefix(PREFIX)}" for r in self.requests]

    def executor(self, **options: Any) -> HttpExecutor:
        return HttpExecutor(CREDENTIALS, transport=self, async_transport=self, **options)


@dataclass(frozen=True)
class Variant:
    """The sync or the async half of everything; awaited or not, `settled` makes them one."""

    name: str
    client_class: type[VectorizeClient | AsyncVectorizeClient]
    io_class: type[SyncIo | AsyncIo]

    @property
    def is_async(self) -> bool:
        return self.name == "async"

    async def send(self, executor: Executor, op: Op[T]) -> T:
        return (await executor.asend(op) if self.is_async else executor.send(op)).result

    async def call(self, executor: Executor, op: Op[T], policy: RetryPolicy) -> T:
        return await settled(self.io_class(executor, policy).call(op))

    def client(self, cloudflare: Cloudflare, retry: RetryPolicy | None = None) -> Any:
        return self.client_class(
            ACCOUNT,
            SECRET,
            retry=retry,
            rate_limit=None,
            transport=cloudflare,
            async_transport=cloudflare,
        )

    async def close(self, closeable: Any) -> None:
        await settled(closeable.aclose() if self.is_async else closeable.close())


async def settled(value: T | Awaitable[T]) -> T:
    """The value itself, or what it comes to when it is awaited."""
    return cast("T", await value if inspect.isawaitable(value) else value)


SYNC = Variant("sync", VectorizeClient, SyncIo)
ASYNC = Variant("async", AsyncVectorizeClient, AsyncIo)
both_variants = pytest.mark.parametrize("variant", [SYNC, ASYNC], ids=lambda variant: variant.name)


def plain(value: Any) -> Any:
    """Models as dicts and arrays as lists, to compare them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return [f"{value.dtype}", *value.tolist()]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
