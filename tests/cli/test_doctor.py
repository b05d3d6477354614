from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import vectorize_core
from tests.cli.conftest import SECRET, unit
from vectorize_core import Vector
from vectorize_core.cli import environment


def test_all_is_well(run: Any, place: Any) -> None:
    place.client.create_index("bare", dimensions=32, record_layout=False)
    result = run("doctor", "bare", *place.options, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["problems"]) == (0, True, [])
    service = found["service"]
    assert (service["reachable"], service["indexes"]) == (True, 2)
    assert service["latencyMs"] > 0
    assert found["index"]["withoutLayout"] is None
    assert found["index"]["coversEveryVector"] == []
    plain = run("doctor", "bare", *place.options).stdout
    assert plain.endswith("no problem found\n")


def test_an_index_made_for_records(run: Any, place: Any) -> None:
    index = place.client.index("docs")
    index.upsert(Vector(f"own{n}", unit(3), metadata={"_vs_own": True}) for n in range(2))
    found = json.loads(run("doctor", "docs", *place.options, "--json").stdout)["index"]
    assert found["coversEveryVector"] == ["_vs_bucket", "_vs_own", "_vs_ref", "year"]
    assert found["withoutLayout"] == {"count": 3, "exact": True}
    assert found["vectorCount"] == 5
    index.upsert(Vector(f"own{n}", unit(3), metadata={"_vs_own": True}) for n in range(120))
    found = json.loads(run("doctor", "docs", *place.options, "--json").stdout)["index"]
    assert found["withoutLayout"] == {"count": 3, "exact": False}
    assert "at least 3 vectors" in run("doctor", "docs", *place.options).stdout


def test_a_metadata_index_that_is_gone(run: Any, place: Any) -> None:
    place.client.index("docs").delete_metadata_index("year")
    result = run("doctor", "docs", *place.options)
    assert result.exit_code == 1
    assert "problem: the description of 'docs' says that 'year'" in result.stdout


def test_an_index_that_is_not_there(run: Any, place: Any) -> None:
    result = run("doctor", "nope", *place.options, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, found["service"]["reachable"]) == (1, "", True)
    assert "nope" in found["problems"][0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "credentials are missing"),
        (("--url", "http://127.0.0.1:1"), "no connection"),
        (("--path", "nowhere"), "no embedded Vectorize"),
    ],
)
def test_nothing_to_reach(run: Any, options: tuple[str, ...], problem: str) -> None:
    result = run("doctor", "docs", *options, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["service"]["reachable"]) == (1, False, False)
    assert problem in found["problems"][0]
    assert f"problem: {found['problems'][0][:40]}" in run("doctor", "docs", *options).stdout


def test_credentials_are_found_and_not_shown(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CF_API_TOKEN", SECRET)
    monkeypatch.setenv("CLOUDFLARE_API_KEY", SECRET)
    url = "http://127.0.0.1:1"
    found = json.loads(run("doctor", "--account-id", "acc", "--url", url, "--json").stdout)
    assert found["credentials"] == {
        "accountId": "--account-id",
        "apiToken": "CF_API_TOKEN",
        "apiKey": "CLOUDFLARE_API_KEY",
        "email": None,
        "baseUrl": "--url",
    }
    assert found["service"]["baseUrl"] == "http://127.0.0.1:1/client/v4"
    run("doctor", "--url", url)


def test_the_package_that_claims_our_name(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        return "1.0" if name == "langchain-vectorize" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    result = run("doctor")
    assert result.exit_code == 1
    assert "pip uninstall langchain-vectorize" in result.stdout


def test_our_own_package_is_no_clash() -> None:
    assert environment.name_clash() is None


def test_the_extras_are_those_of_the_project() -> None:
    file = Path(vectorize_core.__file__).parent.parent / "pyproject.toml"
    project = tomllib.loads(file.read_text("utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        found = {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0] for r in requirements}
        return found - {"vectorize-stores"}

    extras = set(project["optional-dependencies"])
    assert extras - set(environment.EXTRAS) == {"all", "dev", "docs", "foreign-tests", "page-tests"}
    assert names(project["dependencies"]) == set(environment.DEPENDENCIES)
    for extra, packages in environment.EXTRAS.items():
        assert names(project["optional-dependencies"][extra]) == set(packages)
