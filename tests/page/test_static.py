"""The page's files: nothing of them makes code or HTML of text, and all of them come with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vectorize_core

STATIC = Path(vectorize_core.__file__).parent / "page" / "static"
VENDOR = STATIC / "vendor"
SCRIPTS = sorted(STATIC.rglob("*.js"))
OURS = sorted(set(SCRIPTS) - set(VENDOR.glob("*")))
MAKES_CODE = re.compile(
    r"\beval\s*\(|\bFunction\s*\(|\bimport\s*\(|set(?:Timeout|Interval)\s*\(\s*[\"'`]"
)
MAKES_HTML = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setAttribute"
)
NAMES = {"http://www.w3.org/2000/svg"}


def name(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_nothing_makes_code_of_text(script: Path) -> None:
    assert not MAKES_CODE.findall(script.read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", OURS, ids=name)
def test_nothing_of_ours_makes_html_of_text(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert not MAKES_HTML.findall(text)
    assert len(text.splitlines()) < 500


def test_what_is_imported_is_there_and_nothing_else() -> None:
    imported = {
        (script.parent / path).resolve()
        for script in SCRIPTS
        for path in re.findall(
            r"(?:\bfrom|\bimport)\s*\"([^\"]+)\"", script.read_text(encoding="utf-8")
        )
    }
    page = STATIC.joinpath("index.html").read_text(encoding="utf-8")
    named = {(STATIC / path).resolve() for path in re.findall(r"\"page/([^\"]+)\"", page)}
    there = {path.resolve() for path in STATIC.rglob("*.*") if path.suffix not in (".md", ".txt")}
    assert imported | named | {STATIC.joinpath("index.html").resolve()} == there
    # The page names all of them, so that none is found out about late.
    assert imported <= named


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in STATIC.rglob("*.*"):
        if path.suffix not in (".md", ".txt"):
            found = set(re.findall(r"https?://[\w./-]+", path.read_text(encoding="utf-8")))
            assert {url for url in found if not url.startswith("http://www.w3.org/")} == set(), path


def test_the_page_has_neither_scripts_nor_styles_inside() -> None:
    page = STATIC.joinpath("index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


def test_every_library_is_named_with_its_version_and_licence() -> None:
    about = VENDOR.joinpath("README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (.+?) \|.*\| ([\d.]+) \| .*`(license-\w+\.txt)` \|$", about, re.MULTILINE
    )
    files = {file for names, _, _ in rows for file in re.findall(r"`([\w-]+\.js)`", names)}
    assert files == {path.name for path in VENDOR.glob("*.js")}
    assert {licence for _, _, licence in rows} == {path.name for path in VENDOR.glob("*.txt")}
