"""The commands that move records: ``export``, ``import``, ``copy`` and ``verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.stores import vector
from vectorize_core import SqliteTexts, Vector, VectorizeClient
from vectorize_core.layout import Record
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.moving import Item, import_records

TERMINAL = {"FORCE_COLOR": "1", "COLUMNS": "100"}


def test_out_and_in_again(run: Run, place: Any, tmp_path: Path) -> None:
    file, other = str(tmp_path / "docs.ndjson.gz"), ("--path", str(tmp_path / "other"))
    done = run("export", "docs", *place.options, "--out", file, "--verify")
    assert done.stdout.startswith(f"3 records exported to {file}; digest ")
    assert done.stderr == ""
    refused = run("import", file, "docs", *other)
    assert (refused.exit_code, "--create makes one" in refused.stderr) == (1, True)
    done = run("import", file, "docs", *other, "--create", "--verify", "--json")
    moved = json.loads(done.stdout)
    assert (moved["records"], moved["texts"]) == (3, 0)
    with VectorizeClient.local(tmp_path / "other") as client:
        assert {v.id: v for v in client.index("docs").iter()} == {
            v.id: v for v in place.client.index("docs").iter()
        }
        client.index("docs").delete(["a"])
    assert run("verify", file, "docs", *place.options).exit_code == 0
    differs = run("verify", file, "docs", *other)
    assert differs.exit_code == 1
    assert "'a' is missing" in differs.stderr


def test_some_of_them(run: Run, place: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "docs.jsonl")
    some = ("--filter", '{"year": {"$gt": 1960}}', "--namespace", "n")
    assert run("export", "docs", *place.options, "--out", file, *some).stdout.startswith(
        "1 record "
    )
    unindexed = ("export", "docs", *place.options, "--out", file, "--filter", '{"b": 1}')
    refused = run(*unindexed)
    assert (refused.exit_code, "reading all records with --scan" in refused.stderr) == (1, True)
    assert run(*unindexed, "--scan").stdout.startswith("0 records ")


def test_a_copy(run: Run, place: Any, tmp_path: Path) -> None:
    missing = run("copy", "docs", "others", *place.options)
    assert (missing.exit_code, "--create makes it" in missing.stderr) == (1, True)
    made = run("copy", "docs", "others", *place.options, "--create", "--verify")
    assert made.stdout.startswith("3 records copied into others; digest ")
    assert place.client.index("others").count() == 3
    notes = tmp_path / "notes.json"
    options = ("--to-path", str(tmp_path / "to"), "--create", "--to-namespace", "x")
    assert run("copy", "docs", "docs", *place.options, *options, "--resume", str(notes)).stdout
    assert not notes.exists()
    with VectorizeClient.local(tmp_path / "to") as client:
        assert {v.namespace for v in client.index("docs").iter()} == {"x"}
    for wrong, complaint in (
        (("docs",), "not copied into itself"),
        (("docs", "--to-path", "a", "--to-url", "b"), "one of --to-path, --to-url"),
    ):
        refused = run("copy", "docs", *wrong, *place.options)
        assert (refused.exit_code, complaint in refused.stderr) == (2, True)


def test_what_filters_are_to_find_is_said_when_the_index_is_made(
    run: Run, place: Any, tmp_path: Path
) -> None:
    file, other = str(tmp_path / "docs.ndjson"), ("--path", str(tmp_path / "other"))
    place.client.index("docs").upsert([Vector("d", vector("d"), metadata={"kind": "odd"})])
    run("export", "docs", *place.options, "--out", file)
    wanted = ("--metadata-index", "kind:string", "--metadata-index", "a:b:boolean")
    for move in (("import", file, "docs", *other), ("copy", "docs", "others", *place.options)):
        assert run(*move, "--create", *wanted, "--verify").exit_code == 0
        # An index that is there must have them; old vectors would stand outside new ones.
        assert run(*move, *wanted).exit_code == 0
        refused = run(*move, "--metadata-index", "c:string")
        assert (refused.exit_code, "{'c': 'string'}" in refused.stderr) == (1, True)
        assert "Or leave them out of --metadata-index" in refused.stderr
    search = ("query", "docs", *other, "--vector-id", "b", "--filter")
    found = run(*search, '{"kind": "odd"}', "--json")
    assert [match["id"] for match in json.loads(found.stdout)] == ["d"]
    # Those of the source are there too.
    assert run(*search, '{"year": 1980}').stdout.split()[1] == "c"
    unindexed = run(*search, '{"d": 1}')
    assert "Name it in --metadata-index d:number when the index is created" in unindexed.stderr


@pytest.mark.parametrize("wrong", ["kind", "kind:text", ":string", "$kind:string"])
def test_a_metadata_index_has_a_name_and_a_type(run: Run, tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "docs.ndjson"
    file.write_text(json.dumps({"id": "a", "values": vector("a")}))
    made = ("--path", str(tmp_path / "to"), "--create", "--metadata-index", wrong)
    refused = run("import", str(file), "docs", *made)
    assert refused.exit_code in (1, 2)
    assert wrong.partition(":")[0] in refused.stderr
    assert not (tmp_path / "to").exists()


def test_a_copy_to_a_server(run: Run, tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client, BackgroundServer(Settings()) as server:
        client.create_index("docs", dimensions=32)
        client.index("docs").upsert([Vector("a", vector("a"))])
        to = ("--to-url", server.base_url, "--create", "--verify")
        done = run("copy", "docs", "docs", "--path", str(tmp_path), *to)
        assert done.stdout.startswith("1 record copied into docs")


def test_a_database_that_is_not_reached_is_not_taken_for_the_vectorize(
    run: Run, tmp_path: Path
) -> None:
    pytest.importorskip("psycopg")
    source = ("postgresql://127.0.0.1:1/app", "docs", "--from", "pgvector", "--query", "SELECT 1")
    failed = run("import", *source, "--path", str(tmp_path), "--create")
    assert (failed.exit_code, "PostgreSQL cannot be read" in failed.stderr) == (1, True)
    assert "Check --url" not in failed.stderr


def test_long_texts_need_a_place(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "docs.ndjson")
    with VectorizeClient.local(tmp_path) as client, BackgroundServer(Settings()) as server:
        item = Item(Record("a", "a long text " * 1_500), vector("a"))
        import_records([item], client.index("docs"), texts=SqliteTexts(tmp_path))
        done = run("export", "docs", "--path", str(tmp_path), "--out", file)
        assert ", 1 of them with long texts" in done.stdout
        there = ("--url", server.base_url, "--create")
        refused = run("import", file, "docs", *there)
        assert (refused.exit_code, "give --d1 ID, a D1 database" in refused.stderr) == (1, True)
        assert run("import", file, "docs", *there, "--d1", "database", "--verify").exit_code == 0
        assert run("verify", file, "docs", *there[:2], "--d1", "database").exit_code == 0
        assert run("import", file, "other", *there, "--no-texts", "--verify").exit_code == 0


def test_an_export_without_its_long_texts_names_options(run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "docs.ndjson")
    with BackgroundServer(Settings(data=tmp_path)) as server:
        with VectorizeClient(base_url=server.base_url) as client:
            item = Item(Record("a", "a long text " * 1_500), vector("a"))
            texts = SqliteTexts(tmp_path)
            import_records([item], client.index("docs"), create_index=True, texts=texts)
        there = ("--url", server.base_url, "--out", file)
        refused = run("export", "docs", *there)
        assert refused.exit_code == 1
        assert "=" not in refused.stderr.replace("with path=", "")
        assert "give --d1 ID, or --path DIR" in refused.stderr
        assert "--no-texts" in refused.stderr
        assert run("export", "docs", *there, "--no-texts").exit_code == 0


def test_progress_on_a_terminal(run: Run, place: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "docs.ndjson")
    done = run("export", "docs", *place.options, "--out", file, env=TERMINAL)
    assert "records" in done.stderr
    assert "3/3" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("export", "docs", "--out", "docs.csv"), ("import", "docs.txt", "docs")]
)
def test_a_file_of_another_kind(run: Run, place: Any, arguments: tuple[str, ...]) -> None:
    refused = run(*arguments, *place.options)
    assert (refused.exit_code, ".ndjson or .jsonl" in refused.stderr) == (1, True)
