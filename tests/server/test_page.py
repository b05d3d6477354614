"""The snippets of docs/local-server.md work as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.server.helpers import Peer, lines, record
from vectorize_core import VectorizeClient
from vectorize_core.local.server import BackgroundServer

PAGE = Path(__file__).parents[2].joinpath("docs", "local-server.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8989"
# A command and the lines that continue it.
CURLS = [
    text.replace("\\\n", " ")
    for text in re.findall(r"^    (curl (?:.*\\\n)*.*)", PAGE, re.MULTILINE)
]


# Its upsert() has no other argument for them.
@pytest.mark.filterwarnings("ignore:Passing raw bytes as `body`:DeprecationWarning")
def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    started, with_their_sdk = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(started, "local-server.md", "exec"), names)
    names["client"].close()
    with BackgroundServer() as server, VectorizeClient(base_url=server.base_url) as client:
        client.create_index("docs", dimensions=384)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        exec(compile(with_their_sdk, "local-server.md", "exec"), {})
        assert list(client.index("docs").list_ids()) == ["a"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", CURLS, ids=lambda text: shlex.split(text)[-1][:20])
def test_curl(command: str, tmp_path: Path) -> None:
    (tmp_path / "vectors.ndjson").write_bytes(lines(record("a")))
    with BackgroundServer() as server, closing(Peer(server.base_url)) as peer:
        peer.create()
        ran = subprocess.run(
            [*shlex.split(command.replace(ADDRESS, peer.root)), "--noproxy", "*", "--silent"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=30,
        )
    assert json.loads(ran.stdout)["success"]


def test_there_are_curls() -> None:
    assert len(CURLS) == 2
