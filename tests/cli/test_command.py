from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import vectorize_core
from vectorize_core import Vector, VectorizeClient, cli
from vectorize_core.cli import demo
from vectorize_core.cli.errors import report_errors

ROOT = Path(vectorize_core.__file__).parent.parent
COMMANDS = [
    *("serve", "demo", "indexes", "info", "query", "count", "list", "get", "delete", "doctor"),
    *("export", "import", "copy", "verify", "stats", "compact", "check"),
]


def test_the_core_needs_no_extra() -> None:
    code = (
        "import sys, vectorize_core, vectorize_core.cli;"
        "assert not {'typer', 'starlette', 'pytest'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "typer" else real(n))
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 2
    assert "pip install 'vectorize-stores[cli]'" in capsys.readouterr().err


def test_main(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=32, record_layout=False)
    arguments = ["indexes", "--json", "--path", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "vectorize_core.cli", *arguments],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert json.loads(done.stdout)[0]["name"] == "docs"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_who_has_enough(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=32, record_layout=False)
        vectors = (Vector(f"{n:060}", [1.0] * 32) for n in range(4_000))
        # Batches that overtake each other would be listed in the order they arrived in.
        client.index("docs").upsert(vectors, concurrency=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "vectorize_core.cli", "list", "docs", "--path", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == f"{0:060}\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help(run: Any, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert command in result.stdout


def test_version(run: Any) -> None:
    assert run("--version").exit_code == 0


def test_no_command(run: Any) -> None:
    assert "doctor" in run().output


def test_the_short_demo(run: Any) -> None:
    result = run("demo", "--short")
    assert result.exit_code == 0
    assert "moon-1961" in result.stdout.split("filter=")[0]
    assert "moon-1961 deleted: 5 vectors, nearest is moon-1969." in result.stdout


def test_the_demo_as_json(run: Any) -> None:
    found = json.loads(run("demo", "--json").stdout)
    assert found["matches"][0]["id"] == found["deleted"] == "moon-1961"
    assert (found["vectorCount"], found["vectorCountAfterDelete"]) == (6, 5)


def test_the_demo_of_the_repository(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toured = []
    monkeypatch.setattr(demo, "_repository_demo", lambda: lambda: toured.append(True))
    assert run("demo").stdout == ""
    assert toured == [True]


def test_the_demo_without_its_packages(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "examples.demo", None)
    result = run("demo")
    assert "moon-1961" in result.stdout
    assert "extra 'demo'" in result.stderr


def test_examples_of_somebody_else(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "moon-1961" in run("demo").stdout


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_warnings_are_notes_in_the_words_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    @report_errors
    def command() -> None:
        warnings.warn("it takes more than max_requests=100", RuntimeWarning, stacklevel=1)

    command()
    assert capsys.readouterr().err == "note: it takes more than --max-requests 100\n"
