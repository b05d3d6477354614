"""pytest and rich, which print the variables of frames, find no token, key or password."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.core.transport.raw_server import RawServer
from tests.nightly import sized
from tests.patience import growing
from tests.secrets.hidden import ROOT, SECRETS, TOKEN, USERS, finish, refused
from tests.stores import Call, both_ways
from vectorize_core import ConnectionFailedError, RequestTimeoutError

pytestmark = pytest.mark.covering(2)

PLAIN = ("-p", "no:cacheprovider", "-o", "addopts=")
FAILING = """
import asyncio, os
from vectorize_core import RetryPolicy, VectorizeClient

def client(**more):
    return VectorizeClient(
        "account", os.environ["SECRET"], base_url=os.environ["THERE"],
        retry=RetryPolicy(0, 0), timeout=0.3, **more
    )

def test_client():
    client().get_index("docs")

def test_async():
    asyncio.run(client().to_async().get_index("docs"))

def test_wrong():
    client(rate_limit=5)
"""
OF_STORES = """
def test_langchain():
    from langchain_core.embeddings import FakeEmbeddings
    from langchain_vectorize import VectorizeVectorStore
    store = VectorizeVectorStore(FakeEmbeddings(size=32), client=client(), index_name="docs")
    store.similarity_search("a")

def test_llama_index():
    from llama_index_vectorize import VectorizeVectorStore
    VectorizeVectorStore("docs", client=client()).get_nodes(["a"])
"""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (lambda _: iter([5.0]), ["-l", "-vv", "--full-trace"]),
        *sized([], [(refused(401), ["-l"]), (lambda _: iter([5.0]), ["-l"])]),
    ],
)
def test_pytest_with_locals(script: Any, options: list[str], tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text(FAILING + sized("", OF_STORES))
    with RawServer(script) as server:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *PLAIN, f"--rootdir={tmp_path}", str(file)],
            env={
                **os.environ,
                "SECRET": TOKEN,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "THERE": server.base_url,
                "PYTHONPATH": str(ROOT),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert f"{sized(3, 5)} failed" in done.stdout, done.stdout + done.stderr
    assert "self       = <vectorize_core.transport.http.HttpExecutor" in done.stdout
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)


@both_ways
def test_rich_with_locals(call: Call) -> None:
    from rich.console import Console
    from rich.traceback import Traceback

    for seconds in growing(0.1):
        with RawServer(lambda _: iter([60.0])) as server:
            options = {"base_url": server.base_url, "timeout": seconds, "api_token": TOKEN * 9}
            with pytest.raises(ConnectionFailedError) as caught:
                finish(call, USERS["langchain"](call, **options))
        if isinstance(caught.value, RequestTimeoutError):
            break
    console = Console(record=True, width=200, file=StringIO())
    kind, error = type(caught.value), caught.value
    console.print(
        Traceback.from_exception(
            kind,
            error,
            error.__traceback__,
            show_locals=True,
            locals_max_length=None,
            locals_max_string=None,
            suppress=[str(ROOT / "tests")],
        )
    )
    text = console.export_text()
    assert "HttpExecutor" in text
    assert not any(secret in text for secret in SECRETS)
