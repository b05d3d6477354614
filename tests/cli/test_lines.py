"""Ids go through a pipe and come out as they are: what `list` prints, `get` and `delete` read."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from tests.cli.conftest import Place
from tests.nightly import examples
from vectorize_core import Vector
from vectorize_core.cli import output
from vectorize_core.cli.lines import as_line, from_lines

ODD = {
    "a space before": " a",
    "a space behind": "a ",
    "only spaces": "  ",
    "U+3000": "a\u3000b",
    "ZWJ": "\U0001f468\u200d\U0001f469",
    "NBSP": "\xa0a\xa0",
    "a tab": "a\tb",
    "a line break": "a\nb",
    "a carriage return": "a\r",
    "quotes": '"a"',
    "one quote": '"a',
    "a JSON string inside": '"a\\nb"',
    "a backslash": "a\\nb\\x1b",
    "an escape": "\x1b[31mred",
    "NUL": "\x00",
    "NEL": "a\x85b",
    "a line separator": "a\u2028b",
    "a form feed": "a\x0cb",
    "a byte order mark": "\ufeffa",
    "a minus": "-",
    "an option": "--all",
    "a surrogate pair": "\U0001f600",
    "not normal": "e\u0301 é",
    "right to left": "\u202eabc",
    "private use": "\ue000",
}


@pytest.mark.parametrize("command", ["get", "delete"])
def test_what_list_prints_is_read(run: Any, place: Place, command: str) -> None:
    index = place.client.index("docs")
    index.upsert([Vector(odd, [1.0] * 32) for odd in ODD.values()])
    everything = {"a", "b", "c", *ODD.values()}
    listed = run("list", "docs", *place.options).stdout_bytes
    assert set(from_lines(io.BytesIO(listed))) == everything
    done = run(command, "docs", "-", *place.options, input=listed)
    assert (done.exit_code, done.stderr) == (0, "")
    if command == "delete":
        assert list(index.list_ids()) == []
    else:
        first = [line.split(b"\t")[0] for line in done.stdout_bytes.splitlines()]
        assert set(from_lines(first)) == everything


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_id_is_a_line_and_back(odd: str) -> None:
    line = as_line(odd)
    assert line.splitlines() == [line]
    assert list(from_lines([f"{line}\r\n".encode()])) == [odd]


@examples(200)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), max_size=4))
@example(["a\r", "b"])
@example(["\ufeff", '"'])
def test_any_ids_go_through(ids: list[str]) -> None:
    text = "".join(f"{as_line(one)}\n" for one in ids).encode()
    assert list(from_lines(io.BytesIO(text))) == ids
    assert list(from_lines(io.BytesIO(text.replace(b"\n", b"\r\n").removesuffix(b"\r\n")))) == ids
    assert b"\x1b" not in text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\n\na\n\n\r\n", ["a"]),
        (b" a \n", [" a "]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
        (b"", []),
        (b"\xef\xbb\xbf", []),
        (b'"a\\nb"\n', ["a\nb"]),
        (b'"a" \n', ['"a" ']),
        (b'"a"b\n', ['"a"b']),
        (b'"\\ud800"\n', ['"\\ud800"']),
        (b"[1]\n{}\n7\n", ["[1]", "{}", "7"]),
        (b"a\rb\n", ["a\rb"]),
    ],
)
def test_of_a_line_only_its_end_is_taken_off(text: bytes, ids: list[str]) -> None:
    assert list(from_lines(io.BytesIO(text))) == ids


@pytest.mark.parametrize("text", [b"a\n\xff\xfe\n", "a\né\n".encode("latin-1")])
def test_what_is_not_utf_8_is_an_error_that_names_the_line(
    run: Any, place: Place, text: bytes
) -> None:
    result = run("delete", "docs", "-", *place.options, input=text)
    assert result.exit_code == 2
    assert "line 2 of stdin is not UTF-8" in " ".join(result.stderr.split())
    assert len(list(place.client.index("docs").list_ids())) == 3


def test_an_id_of_spaces_deletes_itself_only(run: Any, place: Place) -> None:
    index = place.client.index("docs")
    index.upsert([Vector(" a", [1.0] * 32)])
    run("delete", "docs", "-", *place.options, input=" a\n")
    assert set(index.list_ids()) == {"a", "b", "c"}


def test_metadata_elsewhere_than_on_a_terminal_is_json_on_one_line(run: Any, place: Place) -> None:
    metadata = {"a": "\x1b\x9b\t\n\u2028\xa0\u3000é"}
    place.client.index("docs").upsert([Vector("odd", [1.0] * 32, "n\ts", metadata)])
    (line,) = run("get", "docs", "odd", *place.options).stdout_bytes.splitlines()
    name, namespace, shown, _ = line.decode().split("\t")
    assert (name, json.loads(namespace), json.loads(shown)) == ("odd", "n\ts", metadata)
    assert "\x9b" not in shown


def test_on_a_terminal_what_is_not_printable_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "_console", lambda: Console(force_terminal=True))
    output.print_lines(["\x1b[31mred", "a\u3000b", "plain"])
    assert capsys.readouterr().out == "\\x1b[31mred\na\\u3000b\nplain\n"
