from __future__ import annotations

import json
from typing import Any

import pytest


def test_by_id(run: Any, place: Any) -> None:
    result = run("delete", "docs", "a", "c", *place.options, "--wait", "10")
    assert (result.stdout, result.exit_code) == ("asked docs to delete 2 ids\n", 0)
    assert list(place.client.index("docs").list_ids()) == ["b"]


def test_nothing_is_said_to_be_deleted_that_was_not_there(run: Any, place: Any) -> None:
    assert run("delete", "docs", "x", *place.options).stdout == "asked docs to delete 1 id\n"
    assert place.client.index("docs").info().vector_count == 3


def test_by_ids_from_stdin(run: Any, place: Any) -> None:
    result = run("delete", "docs", "-", *place.options, "--json", input="a\nb\n\n")
    said = json.loads(result.stdout)
    assert said["count"] == 2
    assert len(said["mutationIds"]) == 1
    assert list(place.client.index("docs").list_ids()) == ["c"]


def test_all(run: Any, place: Any) -> None:
    done = run("delete", "docs", "--all", "--yes", *place.options)
    assert (done.stdout, done.exit_code) == ("3 ids deleted from docs\n", 0)
    assert place.client.index("docs").info().vector_count == 0
    nothing = run("delete", "docs", "--all", "--yes", *place.options)
    assert (nothing.stdout, nothing.exit_code) == ("nothing to delete\n", 0)


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_all_asks(run: Any, place: Any, answer: str) -> None:
    result = run("delete", "docs", "--all", *place.options, "--json", input=answer)
    assert result.exit_code == 1
    assert "Delete all 3 vectors of 'docs'" in result.output
    assert place.client.index("docs").info().vector_count == 3


def test_all_after_a_yes(run: Any, place: Any) -> None:
    assert run("delete", "docs", "--all", *place.options, input="y\n").exit_code == 0
    assert place.client.index("docs").info().vector_count == 0


@pytest.mark.parametrize("wanted", [(), ("a", "--all")])
def test_what_to_delete_has_to_be_said_once(run: Any, wanted: tuple[str, ...]) -> None:
    assert run("delete", "docs", *wanted, "--path", ".").exit_code == 2
