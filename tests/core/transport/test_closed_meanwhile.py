"""A client that another thread closes: requests on their way end at once, and say so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.core.transport.raw_server import CERTIFICATE, Part, RawRequest, RawServer
from tests.interrupting import in_time
from vectorize_core import ConnectionFailedError, VectorizeClient


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_a_request_ends(
    monkeypatch: pytest.MonkeyPatch, awaited: bool, tls: bool, writes: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    came = threading.Event()

    def never_ends(_: RawRequest) -> Iterator[Part]:
        came.set()
        yield 60.0

    with RawServer(never_ends, tls=tls) as server:
        client = VectorizeClient("account", "token", base_url=server.base_url, timeout=60.0)
        index = client.index("docs")

        def call() -> None:
            if awaited and writes:
                asyncio.run(client.to_async().index("docs").delete(["a"]))
            elif awaited:
                asyncio.run(client.to_async().index("docs").info())
            elif writes:
                index.delete(["a"])
            else:
                index.info()

        def ends() -> None:
            with pytest.raises(ConnectionFailedError, match=r"was closed before the answer") as no:
                call()
            assert no.value.sent

        closing = threading.Thread(target=lambda: (came.wait(10), client.close()))
        closing.start()
        in_time(ends)
        closing.join()
