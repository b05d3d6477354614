from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import vectorize_core
from tests.cli.conftest import SECRET
from tests.nightly import sized
from vectorize_core import AuthenticationError, ServerError, Vector, VectorizeClient
from vectorize_core.cli import serve
from vectorize_core.local.server import Settings, uvicorn_server
from vectorize_core.transport.retry import RetryPolicy

ROOT = Path(vectorize_core.__file__).parent.parent


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[str]
    lines: list[str]

    @property
    def environment(self) -> dict[str, str]:
        """What a shell makes of the exports."""
        pairs = [
            re.fullmatch(r"(?:export |\$env:)(\w+) ?= ?(.*)", line)
            for line in self.lines
            if not line.startswith("#")
        ]
        return {found[1]: shlex.split(found[2])[0] for found in pairs if found is not None}

    @property
    def base_url(self) -> str:
        return self.environment["CLOUDFLARE_BASE_URL"]


@contextmanager
def served(*arguments: str, **variables: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [sys.executable, "-m", "vectorize_core.cli", "serve", "--port", "0", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "API_TOKEN=" in line.replace(" ", "") or line == "}\n":
                break
        try:
            yield Served(process, lines)
        finally:
            process.kill()


def test_serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with served("--data", str(tmp_path / "data")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        # At once: what is announced is there.
        with VectorizeClient() as client:
            client.create_index("docs", dimensions=32)
            client.index("docs").upsert([Vector("a", [1.0] * 32)])
            assert client.index("docs").info().vector_count == 1
        if os.name != "nt":
            server.process.send_signal(signal.SIGINT)
            out, err = server.process.communicate(timeout=30)
            assert (server.process.returncode, out, err) == (0, "", "")
    # Kept, and where path= finds it.
    with VectorizeClient.local(tmp_path / "data") as client:
        assert list(client.index("docs").list_ids()) == ["a"]


ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"


@pytest.mark.skipif(os.name == "nt", reason="no signals for another process")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_ends_it_in_time_whatever_goes_on(sent: signal.Signals, tmp_path: Path) -> None:
    with served("--data", str(tmp_path / "data")) as server:
        with VectorizeClient(base_url=server.base_url) as client:
            client.create_index("docs", dimensions=32)
            client.index("docs").upsert([Vector("a", [1.0] * 32)])
        root = server.base_url.removesuffix("/client/v4")
        address = root.removeprefix("http://").split(":")
        body = json.dumps({"sql": ENDLESS})
        head = "POST /client/v4/accounts/local/d1/database/{}/query HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        halves = ["", "GET / HT", head.format("x"), head.format("x") + body[:9]]
        raws = halves + [head.format(f"d{number}") + body for number in range(6)]
        connections = [socket.create_connection((address[0], int(address[1]))) for _ in raws]
        for connection, raw in zip(connections, raws, strict=True):
            connection.sendall(raw.encode())
        time.sleep(0.5)
        server.process.send_signal(sent)
        # SQL by itself takes half a minute.
        assert server.process.wait(20) == 0
        for connection in connections:
            connection.close()
    with VectorizeClient.local(tmp_path / "data") as client:
        assert list(client.index("docs").list_ids()) == ["a"]


FEW_FILES = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
sys.argv = ["vectorize-stores", "serve", "--port", "0", "--data", sys.argv[1]]
runpy.run_module("vectorize_core.cli", run_name="__main__")
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_where_few_files_may_be_open_neither_accounts_nor_connections_exhaust_them(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", FEW_FILES, str(tmp_path / "data")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process, ExitStack() as stack:
        stack.callback(process.kill)
        assert process.stdout is not None
        base = next(filter(None, (re.search(r"http://\S+/v4", line) for line in process.stdout)))[0]
        with httpx.Client(trust_env=False, verify=False, timeout=30) as http:
            for number in range(sized(20, 200)):
                account = f"{base}/accounts/a{number}"
                body = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
                made = http.post(f"{account}/vectorize/v2/indexes", json=body)
                assert made.status_code == 200, made.text
                body = {"sql": "CREATE TABLE t (a)"}
                made = http.post(f"{account}/d1/database/x/query", json=body)
                assert made.status_code == 200, made.text
        host, port = base.removeprefix("http://").removesuffix("/client/v4").split(":")
        # All of them wait when it begins to accept.
        process.send_signal(signal.SIGSTOP)
        for _ in range(sized(300, 1_000)):
            stack.enter_context(socket.create_connection((host, int(port))))
        process.send_signal(signal.SIGCONT)
        with httpx.Client(trust_env=False, verify=False, timeout=30) as http:
            for number in range(20):
                listed = http.get(f"{base}/accounts/a{number}/vectorize/v2/indexes")
                assert [index["name"] for index in listed.json()["result"]] == ["docs"]
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="no signals for another process")
def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    rules = tmp_path / "faults.json"
    rules.write_text(json.dumps([{"match": "/slow", "delay": 60}]))
    with served("--faults", str(rules)) as server:
        root = server.base_url.removesuffix("/client/v4")
        host, port = root.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # The server is slow by now: it has read this one later.
            httpx.get(f"{root}/client", trust_env=False, timeout=30)
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            assert server.process.poll() is None
            began = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 128 + signal.SIGINT
            # The first one alone ends it after END_SECONDS.
            assert time.monotonic() - began < uvicorn_server.END_SECONDS - 1


def test_serve_as_json_and_with_switches() -> None:
    switches = ["--switch", "eq_null=missing", "--switch", "create-status=201"]
    switches += ["--switch", "process_delay=30", "--switch", "coerce_types=false"]
    with served("--json", *switches) as server:
        told = json.loads("".join(server.lines))
        assert told["environment"]["CLOUDFLARE_BASE_URL"] == told["baseUrl"]
        indexes = f"{told['baseUrl']}/accounts/local/vectorize/v2/indexes"
        body = {"name": "docs", "config": {"dimensions": 32, "metric": "cosine"}}
        assert httpx.post(indexes, json=body).status_code == 201
        with VectorizeClient(base_url=told["baseUrl"]) as client:
            client.index("docs").upsert([Vector("a", [1.0] * 32)])
            assert client.index("docs").info().vector_count == 0


def test_the_token_is_not_in_the_json() -> None:
    with served("--json", "--token", SECRET) as server:
        told = json.loads("".join(server.lines))
        assert "CLOUDFLARE_API_TOKEN" not in told["environment"]
        assert SECRET not in "".join(server.lines)


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("eq_null", "NAME=VALUE"),
        ("eq_nul=missing", "eq_null"),
        ("eq_null=perhaps", "nothing, missing"),
        ("coerce_types=2", "true, false"),
        ("process_delay=soon", "takes a number"),
        ("process_delay=-1", "from 0 on"),
        ("data=/", "NAME=VALUE"),
    ],
)
def test_switches_that_are_none(run: Any, switch: str, said: str) -> None:
    result = run("serve", "--switch", switch)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["VECTORIZE"], "BINDING=NAME"),
        (["=docs"], "BINDING=NAME"),
        (["VECTORIZE="], "BINDING=NAME"),
        (["A=docs", "A=notes"], "twice"),
    ],
)
def test_bindings_that_are_none(run: Any, given: list[str], said: str) -> None:
    result = run("serve", *(option for text in given for option in ("--binding", text)))
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_serve_with_a_token_and_the_rest(tmp_path: Path) -> None:
    rules = tmp_path / "faults.json"
    rules.write_text(json.dumps([{"match": "/info", "status": 500, "code": 10001}]))
    options = ["--token", SECRET, "--faults", str(rules), "--process-delay", "30"]
    options += ["--rate-limit", "100", "--lenient", "--binding-index", "docs"]
    options += ["--binding", "VECTORIZE=other", "--binding", " B = docs "]
    once = RetryPolicy(read_deadline=0)
    with served(*options) as server:
        assert SECRET not in "\n".join(server.lines)
        assert server.environment["CLOUDFLARE_API_TOKEN"].endswith("VECTORIZE_SERVER_TOKEN")
        with (
            VectorizeClient(base_url=server.base_url) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.list_indexes()
        with VectorizeClient(base_url=server.base_url, api_token=SECRET, retry=once) as client:
            client.create_index("docs", dimensions=32, record_layout=False)
            with pytest.raises(ServerError):
                client.index("docs").info()
            client.index("docs").upsert([Vector("a", [1.0] * 32)])
            assert client.index("docs").info().vector_count == 0
        proxied = {"Authorization": f"Bearer {SECRET}", "MF-URL": "http://vector-search/info"}
        proxy = server.base_url.removesuffix("/client/v4") + "/proxy"
        for binding, status in (("B", 200), ("C", 200), ("VECTORIZE", 404)):
            headers = {**proxied, "MF-Binding": binding}
            assert httpx.get(proxy, headers=headers, trust_env=False).status_code == status


def test_the_token_is_shown_to_a_person_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(token=SECRET)
    monkeypatch.setenv("FORCE_COLOR", "1")
    serve._announce("http://127.0.0.1:1/client/v4", settings)
    assert capsys.readouterr().out.splitlines()[-1].strip("'").endswith(SECRET)
    monkeypatch.delenv("FORCE_COLOR")
    serve._announce("http://127.0.0.1:1/client/v4", settings)
    assert SECRET not in capsys.readouterr().out


def test_a_port_in_use(run: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: port {port} of 127.0.0.1 is in use")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1"])
def test_no_address_for_others_without_a_token(run: Any, host: str) -> None:
    result = run("serve", "--host", host)
    assert result.exit_code == 2
    assert "--token" in result.stderr


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/client/v4"),
        ("::1", "http://[::1]:80/client/v4"),
        ("localhost", "http://localhost:80/client/v4"),
        ("0.0.0.0", "http://127.0.0.1:80/client/v4"),
    ],
)
def test_addresses(host: str, address: str) -> None:
    assert uvicorn_server.base_url(host, 80) == address


def test_an_address_of_another_machine(run: Any) -> None:
    result = run("serve", "--host", "192.0.2.1", "--open-to-network", "--port", "0")
    assert result.exit_code == 1
    assert "192.0.2.1" in result.stderr


@pytest.mark.parametrize("token", ["", " ", "two words", "schlüssel", "a\nb"])
def test_a_token_no_header_can_carry(run: Any, token: str) -> None:
    assert run("serve", "--token", token).exit_code == 2


@pytest.mark.parametrize(
    "rules", ["not json", "{}", "[1]", '[{"unknown": 1}]'], ids=["text", "object", "number", "name"]
)
def test_faults_that_are_none(run: Any, tmp_path: Path, rules: str) -> None:
    file = tmp_path / "faults.json"
    file.write_text(rules)
    result = run("serve", "--faults", str(file))
    assert result.exit_code == 2
    assert "--faults" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--process-delay", "-1"),
        ("--process-delay", "inf"),
        ("--port", "70000"),
        ("--rate-limit", "0"),
    ],
)
def test_numbers_out_of_range(run: Any, options: tuple[str, str]) -> None:
    assert run("serve", *options).exit_code == 2


def test_data_that_cannot_be_read(run: Any, tmp_path: Path) -> None:
    (tmp_path / "vectorize.sqlite3").write_bytes(b"not a database, by far" * 100)
    result = run("serve", "--data", str(tmp_path), "--port", "0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert run("serve", "--data", str(tmp_path / "vectorize.sqlite3")).exit_code == 2


def test_without_the_extra(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vectorize_core.local.server")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = run("serve")
    assert result.exit_code == 2
    assert "uvicorn" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for another process")
def test_a_port_is_free_again_at_once() -> None:
    with served() as server:
        port = server.base_url.split(":")[2].split("/")[0]
        with VectorizeClient(base_url=server.base_url) as client:
            client.list_indexes()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 0
    # Sooner than a system forgets a connection by itself.
    deadline = time.monotonic() + 45
    with served("--port", port) as again:
        assert again.base_url == server.base_url
    assert time.monotonic() < deadline
