from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vectorize_core import IndexConfig, Vector
from vectorize_core.local import Service


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    service = Service(tmp_path / "data")
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, np.ones(32)) for name in "abcd"])
    service.delete_by_ids("docs", ["b"])
    service.close()
    return tmp_path / "data"


def damage(directory: Path) -> None:
    (path,) = directory.glob("vectors-*.f32")
    path.write_bytes(b"x" * 128 + path.read_bytes()[128:])


def test_stats(run: Any, directory: Path) -> None:
    result = run("stats", "--path", str(directory))
    assert result.stdout == "docs\t3\t1\t32\t512\t192\t0\n"
    (index,) = json.loads(run("stats", "--path", str(directory), "--json").stdout)["indexes"]
    assert (index["vectors"], index["dead_slots"]) == (3, 1)


def test_compact(run: Any, directory: Path) -> None:
    assert run("compact", "docs", "--path", str(directory)).stdout == "1 slots freed\n"
    assert run("compact", "--path", str(directory)).stdout == "nothing to free\n"
    said = run("compact", "--path", str(directory), "--json").stdout
    assert json.loads(said) == {"freedSlots": 0}
    missing = run("compact", "other", "--path", str(directory))
    assert missing.exit_code == 1
    assert "vectorize.index.not_found" in missing.stderr


def test_check(run: Any, directory: Path) -> None:
    sound = run("check", "--path", str(directory))
    assert (sound.stdout, sound.exit_code) == ("3 vectors checked, 0 problems found\n", 0)
    damage(directory)
    damaged = run("check", "--path", str(directory))
    assert damaged.exit_code == 1
    assert damaged.stdout.splitlines()[:2] == [
        "docs: the values of 1 vectors are damaged or gone",
        "  a",
    ]
    repaired = run("check", "--repair", "--path", str(directory), "--json")
    assert repaired.exit_code == 0
    assert json.loads(repaired.stdout)["findings"][0]["lost"] == ["a"]
    assert json.loads(run("check", "--path", str(directory), "--json").stdout) == {
        "ok": True,
        "vectors": 2,
        "findings": [],
    }


def test_a_check_does_not_send_for_itself(run: Any, directory: Path) -> None:
    os.truncate(directory / "vectorize.sqlite3", 4_096)
    for option, advice in ((), "or try --repair"), (("--repair",), "beyond repair: restore it"):
        assert advice in run("check", *option, "--path", str(directory)).stdout


@pytest.mark.parametrize("command", ["stats", "compact", "check"])
def test_they_are_for_an_embedded_vectorize(run: Any, command: str, tmp_path: Path) -> None:
    elsewhere = run(command, "--url", "http://127.0.0.1:1")
    assert elsewhere.exit_code == 2
    assert "--path DIR" in elsewhere.stderr
    nothing = run(command, "--path", str(tmp_path))
    assert nothing.exit_code == 1
    assert "there is no embedded Vectorize" in nothing.stderr
