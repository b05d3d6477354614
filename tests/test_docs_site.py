"""The pages of docs/ leave nothing out: no page, no public name, no command, no option."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from inspect import getdoc, getmembers
from itertools import chain
from pathlib import Path
from typing import Any, is_typeddict

import pytest
import typer.main
import yaml

from tests.documents import DOCS
from tests.test_public import EXPORTS, PACKAGES, exports
from vectorize_core import Behavior, limits
from vectorize_core.cli.app import app
from vectorize_core.local.server import Settings

ROOT = DOCS.parent
REFERENCE = [
    path
    for page in sorted(DOCS.joinpath("reference").glob("*.md"))
    for path in re.findall(r"^::: (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
]
COMMANDS = typer.main.get_group(app).commands
OF_ALL_COMMANDS = {"--path", "--url", "--account-id", "--token", "--api-key", "--email"}


def page(name: str) -> str:
    return DOCS.joinpath(name).read_text(encoding="utf-8")


def navigated(part: Any) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(part, str):
        return [part]
    return list(
        chain.from_iterable(map(navigated, part.values() if isinstance(part, dict) else part))
    )


def test_the_navigation_leads_to_each_page_once() -> None:
    there = [
        path.relative_to(DOCS).with_suffix(".md").as_posix()
        for path in [*DOCS.rglob("*.md"), *DOCS.glob("*.ipynb")]
    ]
    configured = yaml.safe_load(ROOT.joinpath("mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(navigated(configured["nav"])) == sorted(there)


def test_the_home_page_leads_to_every_page_beside_it() -> None:
    links = re.findall(r"\]\(([\w-]+\.\w+)[)#]", page("index.md"))
    assert {*links, "index.md"} == {
        path.name for path in [*DOCS.glob("*.md"), *DOCS.glob("*.ipynb")]
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(package: str) -> None:
    core = exports("vectorize_core")
    missing = [
        name
        for name, export in exports(package).items()
        if f"{package}.{name}" not in REFERENCE
        and not (core.get(name) is export and f"vectorize_core.{name}" in REFERENCE)
    ]
    assert not missing, "add them to a page in docs/reference"


def test_the_reference_has_public_names_only_and_each_once() -> None:
    assert sorted(set(REFERENCE)) == sorted(REFERENCE)
    assert set(REFERENCE) <= {f"{package}.{name}" for package, name in EXPORTS}


def test_the_reference_has_constructors_first_and_what_is_inherited_last(tmp_path: Path) -> None:
    griffe = pytest.importorskip("griffe")
    bases = "class A: a = 1; b = 1\nclass B(A): b = 2; c = 2\nclass C: d = 3\n"
    own = "class D(B, C):\n    e = 4\n    def __init__(self): ...\n    f = 4\n"
    tmp_path.joinpath("ordered.py").write_text(bases + own)
    extensions = griffe.load_extensions(DOCS / "tools" / "members.py")
    package = griffe.load("ordered", search_paths=[tmp_path], extensions=extensions)
    assert [*package["D"].all_members] == ["__init__", "e", "f", "b", "c", "a", "d"]
    assert package["D.b"].target is package["B.b"]


def docstrings(package: str) -> str:
    """All that the reference says of a package."""
    every = [*exports(package).values()]
    for export in [export for export in every if isinstance(export, type)]:
        every += [method for name, method in getmembers(export) if not name.startswith("_")]
        every.append(export.__init__)
    return "\n".join(filter(None, map(getdoc, every)))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_option_of_a_method_is_described(package: str) -> None:
    described = docstrings(package) + docstrings("vectorize_core")
    options = {
        option
        for name, export in exports(package).items()
        if is_typeddict(export) and name != "DumpedOptions"  # what a store writes of itself
        for option in export.__annotations__
    }
    assert not [option for option in options if not re.search(rf"\b{option}\b", described)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_its_options_are_described(name: str) -> None:
    (about,) = re.findall(rf"^\| `{name}[ `].*$", page("cli.md"), re.MULTILINE)
    for heading, section in re.findall(r"^##+ (.+)$([^#]*)", page("cli.md"), re.MULTILINE):
        if name in re.findall(r"\w+", heading):
            about += section
    own = options(COMMANDS[name])
    assert not [option for option in own if not re.search(f"`{option}[` ]", about)]


def options(command: Any) -> set[str]:
    """The options of a command that are its own."""
    given = {param.opts[0] for param in command.params if param.param_type_name == "option"}
    return given - OF_ALL_COMMANDS - {"--json", "--help"}


def test_the_options_of_all_commands_are_described() -> None:
    assert not [
        option for option in [*OF_ALL_COMMANDS, "--json"] if f"`{option}" not in page("cli.md")
    ]


@pytest.mark.parametrize("name", [field.name for field in (*fields(Behavior), *fields(Settings))])
def test_every_switch_of_the_local_server_is_described(name: str) -> None:
    option = f"`--{name.removesuffix('s').replace('_', '-')}"
    described = re.search(rf"`{name}`|\b{name}=", page("local-server.md"))
    assert described or option in page("cli.md") or name == "clock", "clock is for tests"


def test_every_limit_is_on_its_page() -> None:
    known = {
        name: f"{value:,}" for name, value in vars(limits).items() if name[:3] in {"MIN", "MAX"}
    }
    known["MAX_UPLOAD_BYTES"] = "100 MB"
    about = re.findall(r"[\d,]+ MB|[\d,]*\d", page("limits.md"))
    assert not {name: value for name, value in known.items() if value not in about}


def test_every_extra_can_be_found() -> None:
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = page("install.md")
    assert not [name for name in project["optional-dependencies"] if f"`{name}`" not in about]


def test_the_readme_installs_before_all_else() -> None:
    beginning = ROOT.joinpath("README.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert "not on PyPI yet" in beginning
    assert "pip install '.[" in beginning


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    there = [DOCS in (path.parent / link).resolve().parents for link in links]
    assert all(there), "a site has only what is in docs/"
    assert not [link for link in links if not (path.parent / link).exists()]
