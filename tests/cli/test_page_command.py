"""The commands that show the page: ``open``, and ``serve`` at its root."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

import vectorize_core
from langchain_vectorize import VectorizeVectorStore
from tests.cli.conftest import SECRET
from vectorize_core import Vector, VectorizeClient
from vectorize_core.cli import open_page
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.secret import Secret
from vectorize_core.texts import D1Texts

ROOT = Path(vectorize_core.__file__).parent.parent
ONES = [1.0] * 32


@contextmanager
def running(*arguments: str, ready: str, **variables: str) -> Iterator[tuple[Any, str]]:
    """A command that goes on, and what it has printed up to a line that says it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vectorize_core.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = ""
        for line in process.stdout:
            lines += line
            if re.search(ready, line):
                break
        try:
            yield process, lines
        finally:
            process.kill()


def ask(address: str, path: str, token: str | None) -> httpx.Response:
    parts = urlsplit(address)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"{parts.scheme}://{parts.netloc}/{path}"
    return httpx.get(url, headers=headers, trust_env=False, timeout=20)


def test_open_shows_a_directory_to_who_has_the_token(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=32)
        client.index("docs").upsert([Vector("a", ONES)])
    given = ("open", "--path", str(tmp_path), "--no-browser")
    with running(*given, ready="#token=") as (process, printed):
        address = printed.splitlines()[-1]
        token = urlsplit(address).fragment.removeprefix("token=")
        assert len(token) >= 40
        assert str(tmp_path) in printed
        answer = ask(address, "_/page/indexes", token)
        assert [one["name"] for one in answer.json()["result"]] == ["docs"]
        for wrong in (None, token[:-1], "x"):
            assert ask(address, "_/page/indexes", wrong).status_code == 401
        assert ask(address, "", None).status_code in (200, 404)
        # The API of the Vectorize is not there.
        path = "client/v4/accounts/local/vectorize/v2/indexes"
        assert ask(address, path, None).status_code == 401
        assert ask(address, path, token).status_code == 404
        if os.name != "nt":
            with httpx.stream(
                "GET",
                address.partition("#")[0] + "_/page/activity",
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=20,
            ) as stream:
                assert stream.status_code == 200
                process.send_signal(signal.SIGINT)
                _, error = process.communicate(timeout=20)
            # After END_SECONDS it would end in another way.
            assert (process.returncode, error) == (0, "")


def test_open_keeps_the_credentials_of_a_server(tmp_path: Path) -> None:
    with (
        BackgroundServer(Settings(token=SECRET)) as server,
        running(
            *("open", "--url", server.base_url, "--d1", "texts", "--no-browser", "--json"),
            ready="^}",
            CLOUDFLARE_API_TOKEN=SECRET,
            CLOUDFLARE_ACCOUNT_ID="local",
        ) as (_, printed),
    ):
        address = json.loads(printed)["url"]
        token = urlsplit(address).fragment.removeprefix("token=")
        for path in ("_/page/about", "_/page/indexes", "_/page/indexes/none"):
            answer = ask(address, path, token)
            assert SECRET not in answer.text + str(answer.headers) + printed
        assert ask(address, "_/page/indexes", token).json() == {"ok": True, "result": []}
        client = VectorizeClient("local", SECRET, base_url=server.base_url)
        options: Any = {"index_name": "docs", "create_index": True, "wait": True}
        with (
            client,
            VectorizeVectorStore(
                DeterministicFakeEmbedding(size=32),
                client=client,
                texts=D1Texts("texts"),
                **options,
            ) as store,
        ):
            store.add_texts(["long " * 5_000], ids=["a"])
        whole = ask(address, "_/page/indexes/docs/record?id=a", token).json()["result"]
        assert whole["text"] == "long " * 5_000
        assert ask(address, "_/page/indexes", SECRET).status_code == 401


def test_serve_has_the_page_at_its_root_unless_it_is_not_wanted() -> None:
    with running("serve", "--port", "0", "--json", ready="^}") as (_, printed):
        told = json.loads(printed)
        assert told["page"] == told["baseUrl"].removesuffix("client/v4")
        assert ask(told["page"], "_/page/about", None).json()["result"]["can"]["faults"]
    with running("serve", "--port", "0", "--json", "--no-page", ready="^}") as (_, printed):
        told = json.loads(printed)
        assert "page" not in told
        answer = ask(told["baseUrl"], "", None)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 7003)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["open", "--embedder", "nonsense", "--no-browser"], "module:attribute"),
        (["open", "--path", "nowhere", "--no-browser"], "there is no embedded Vectorize"),
        (["open", "--no-browser"], "Check --url and the network"),
        (["serve", "--embedder", "json:x"], "json:x"),
    ],
)
def test_what_cannot_be_shown(
    run: Any, arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", "http://127.0.0.1:1/client/v4")
    done = run(*arguments)
    assert done.exit_code != 0
    assert said in " ".join(done.stderr.split())


def test_the_browser_is_told_the_token_by_a_file_of_the_user_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    address = Secret("http://127.0.0.1:1/#token=a&b")
    with open_page._shown(address, wanted=True):
        # Arguments of programs show in process lists.
        assert "token" not in opened[0]
        file = Path(httpx.URL(opened[0]).path)
        assert "url=http://127.0.0.1:1/#token=a&amp;b" in file.read_text()
        if os.name != "nt":
            assert file.parent.stat().st_mode & 0o077 == 0
    assert not file.exists()
    for wanted, display in ((False, ":0"), (True, "")):
        monkeypatch.setenv("DISPLAY", display)
        with open_page._shown(address, wanted=wanted):
            assert len(opened) == 1
