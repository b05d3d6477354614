from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stores import vector
from vectorize_core import Vector, VectorizeClient
from vectorize_core.local.server import BackgroundServer, Settings

TERMINAL = {"FORCE_COLOR": "1", "COLUMNS": "200"}


def test_indexes(run: Any, place: Any) -> None:
    found = json.loads(run("indexes", *place.options, "--json").stdout)
    assert [(i["name"], i["config"]) for i in found] == [
        ("docs", {"dimensions": 32, "metric": "cosine"})
    ]
    plain = run("indexes", *place.options)
    assert plain.stdout.startswith("docs\t32\tcosine\t20")
    assert "dimensions" in run("indexes", *place.options, env=TERMINAL).stdout


def test_no_indexes(run: Any, place: Any) -> None:
    place.client.delete_index("docs")
    assert json.loads(run("indexes", *place.options, "--json").stdout) == []
    assert run("indexes", *place.options).output == ""
    on_terminal = run("indexes", *place.options, env=TERMINAL)
    assert (on_terminal.stdout, on_terminal.exit_code) == ("", 0)
    assert "no index in" in on_terminal.stderr


def test_info(run: Any, place: Any) -> None:
    found = json.loads(run("info", "docs", *place.options, "--json").stdout)
    assert found["vectorCount"] == 3
    assert {"propertyName": "year", "indexType": "number"} in found["metadataIndexes"]
    plain = dict(
        line.split("\t", 1) for line in run("info", "docs", *place.options).stdout.splitlines()
    )
    assert (plain["vectors"], plain["metric"]) == ("3", "cosine")
    assert "year (number)" in plain["filterable"]
    assert "year (number)" in run("info", "docs", *place.options, env=TERMINAL).stdout


def test_query(run: Any, place: Any, vector_text: str) -> None:
    result = run("query", "docs", *place.options, "--vector", vector_text, "--json")
    found = json.loads(result.stdout)
    assert [match["id"] for match in found] == ["a", "b", "c"]
    assert found[0]["score"] == pytest.approx(1)
    assert set(found[0]) <= {"id", "score", "namespace"}


def test_query_with_everything(run: Any, place: Any, vector_text: str, tmp_path: Path) -> None:
    file = tmp_path / "vector.json"
    file.write_text(vector_text)
    wanted = ["--vector-file", str(file), "--top-k", "1", "--filter", '{"year": {"$gt": 1960}}']
    wanted += ["--metadata", "all", "--values", "--namespace", "n"]
    (match,) = json.loads(run("query", "docs", *place.options, *wanted, "--json").stdout)
    assert (match["id"], match["namespace"], match["metadata"]) == ("c", "n", {"year": 1980})
    # A shell leaves ~ after an equals sign to the command.
    home = ["--vector-file=~/vector.json", *wanted[2:]]
    env = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    assert json.loads(run("query", "docs", *place.options, *home, "--json", env=env).stdout)
    assert match["values"][2] == 1
    plain = run("query", "docs", *place.options, *wanted).stdout.rstrip("\n").split("\t")
    assert plain[1:4] == ["c", "n", '{"year":1980}']
    assert json.loads(plain[4]) == match["values"]
    on_terminal = run("query", "docs", *place.options, *wanted, env=TERMINAL).stdout
    assert "32 in all" in on_terminal


def test_more_matches_than_an_answer_of_the_service_holds(run: Any, place: Any) -> None:
    place.client.index("docs").upsert([Vector(f"{n}", vector(f"{n}")) for n in range(150)])
    search = ("query", "docs", *place.options, "--vector-id", "a", "--top-k", "140")
    many = run(*search, "--max-requests", "50")
    assert len({line.split("\t")[1] for line in many.stdout.splitlines()}) == 140
    refused = run(*search, "--max-requests", "5")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--max-requests 5 allows fewer. Raise --max-requests, or narrow" in refused.stderr
    assert "=" not in refused.stderr


def test_count(run: Any, place: Any) -> None:
    assert run("count", "docs", *place.options).stdout == "3\n"
    some = ("--filter", '{"year": {"$gt": 1960}}')
    assert run("count", "docs", *place.options, *some).stdout == "2\n"
    within = run("count", "docs", *place.options, *some, "--namespace", "n", "--json")
    assert json.loads(within.stdout) == {"count": 1}
    unindexed = ("count", "docs", *place.options, "--filter", '{"b": {"$exists": false}}')
    refused = run(*unindexed)
    assert (refused.exit_code, "--scan" in refused.stderr) == (1, True)
    assert run(*unindexed, "--scan").stdout == "3\n"


def test_query_by_id_and_from_stdin(run: Any, place: Any, vector_text: str) -> None:
    by_id = run("query", "docs", *place.options, "--vector-id", "c", "--top-k", "1")
    assert by_id.stdout.split("\t")[1] == "c"
    piped = run("query", "docs", *place.options, "--vector-file", "-", input=vector_text)
    assert piped.stdout.splitlines()[0].split("\t")[1] == "a"


@pytest.mark.parametrize("more", [(), ("--filter", '{"year": 1}'), ("--json",)], ids=str)
def test_a_query_by_an_id_that_does_not_exist_says_so(
    place: Any, run: Any, more: tuple[str, ...]
) -> None:
    done = run("query", "docs", *place.options, "--vector-id", " c", *more)
    assert (done.exit_code, done.stderr) == (0, "note: not in the index:  c\n")


def test_what_a_query_shows_stays_on_its_line(run: Any, place: Any, vector_text: str) -> None:
    result = run("query", "docs", *place.options, "--vector", vector_text, "--metadata", "all")
    assert [line.count("\t") for line in result.stdout.splitlines()] == [3, 3, 3]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"$or": [{"year": 1960}, {"year": {"$gt": 1975}}]}, ["a", "c"]),
        ({"year": {"$between": [1965, 1975]}}, ["b"]),
        ({"$and": [{"year": {"$exists": True}}, {"$not": {"year": 1970}}]}, ["a", "c"]),
    ],
)
def test_a_query_takes_the_filters_of_the_library(
    run: Any, place: Any, vector_text: str, wanted: dict[str, Any], found: list[str]
) -> None:
    by = ("--vector", vector_text, "--filter", json.dumps(wanted), "--json")
    result = run("query", "docs", *place.options, *by)
    assert [match["id"] for match in json.loads(result.stdout)] == found


def test_a_query_reads_everything_only_if_asked(run: Any, place: Any, vector_text: str) -> None:
    wanted = ("--vector", vector_text, "--filter", '{"text": "tab\\there"}', "--json")
    refused = run("query", "docs", *place.options, *wanted)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no metadata index on 'text'" in refused.stderr
    assert "--scan" in refused.stderr
    (match,) = json.loads(run("query", "docs", *place.options, *wanted, "--scan").stdout)
    assert match["id"] == "a"


@pytest.mark.parametrize(
    "wanted",
    [
        (),
        ("--vector-id", "a", "--vector", "[1]"),
        ("--vector", "one"),
        ("--vector", '{"a": 1}'),
        ("--vector", "[1, true]"),
        ("--vector", "[1, NaN]"),
        ("--vector-file", "not-there.json"),
        ("--vector-id", "a", "--filter", "year"),
        ("--vector-id", "a", "--filter", "[1]"),
        ("--vector-id", "a", "--top-k", "0"),
        ("--vector-id", "a", "--metadata", "some"),
    ],
)
def test_usage_errors_of_query(run: Any, wanted: tuple[str, ...]) -> None:
    result = run("query", "docs", "--path", ".", *wanted)
    assert (result.exit_code, result.stdout) == (2, "")


def test_list(run: Any, place: Any) -> None:
    assert run("list", "docs", *place.options).stdout == "a\nb\nc\n"
    assert json.loads(run("list", "docs", *place.options, "--json").stdout) == ["a", "b", "c"]
    assert run("list", "docs", *place.options, "--limit", "2").stdout == "a\nb\n"
    assert json.loads(run("list", "docs", *place.options, "--limit", "0", "--json").stdout) == []


def test_a_list_is_printed_while_it_comes_in(run: Any) -> None:
    rule = {"match": "/list", "nth": 2, "times": None, "status": 403}
    with (
        BackgroundServer(Settings(faults=[rule])) as server,
        VectorizeClient(base_url=server.base_url) as client,
    ):
        client.create_index("big", dimensions=32, record_layout=False)
        client.index("big").upsert(Vector(f"v{n}", [1.0] * 32) for n in range(1_500))
        result = run("list", "big", "--url", server.base_url)
    assert (len(result.stdout.splitlines()), result.exit_code) == (1_000, 1)
    assert result.stderr.startswith("Error: ListVectors(big): HTTP 403")


def test_get(run: Any, place: Any) -> None:
    result = run("get", "docs", "c", "a", *place.options, "--json")
    found = json.loads(result.stdout)
    assert [v["id"] for v in found] == ["c", "a"]
    assert (found[0]["namespace"], found[1]["metadata"]["year"]) == ("n", 1960)
    assert len(found[0]["values"]) == 32
    assert result.exit_code == 0
    (line,) = run("get", "docs", "c", *place.options).stdout.splitlines()
    assert line.split("\t")[:3] == ["c", "n", '{"year":1980}']
    assert "32 in all" in run("get", "docs", "c", *place.options, env=TERMINAL).stdout


def test_get_of_what_is_not_there(run: Any, place: Any) -> None:
    result = run("get", "docs", "x", "a", *place.options, "--json")
    assert [v["id"] for v in json.loads(result.stdout)] == ["a"]
    assert (result.exit_code, result.stderr) == (1, "note: not in the index: x\n")


def test_get_of_ids_from_stdin(run: Any, place: Any) -> None:
    ids = run("list", "docs", *place.options).stdout
    assert len(run("get", "docs", "-", *place.options, input=ids).stdout.splitlines()) == 3


@pytest.mark.parametrize("command", ["info", "list", "query", "count", "get", "delete"])
def test_an_index_that_is_not_there(run: Any, place: Any, command: str) -> None:
    more = {"query": ("--vector-id", "a"), "get": ("a",), "delete": ("a",)}.get(command, ())
    result = run(command, "nope", *more, *place.options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "nope" in result.stderr


def test_escape_sequences_of_strangers_are_shown_not_obeyed(run: Any, place: Any) -> None:
    place.client.index("docs").upsert([Vector("\x1b[31mred", [1.0] * 32)])
    assert '"\\u001b[31mred"' in run("list", "docs", *place.options).stdout.splitlines()
    found = json.loads(run("list", "docs", *place.options, "--json").stdout)
    assert "\x1b[31mred" in found
