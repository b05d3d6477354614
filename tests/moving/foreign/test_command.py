"""``import --from`` and ``verify --from``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.moving.foreign.records import documents
from vectorize_core import VectorizeClient


def test_what_chroma_has_left(run: Run, made: Path, tmp_path: Path) -> None:  # noqa: F811
    there = ("docs", "--path", str(tmp_path), "--from", "chroma")
    refused = run("import", str(made / "chroma"), *there, "--create")
    assert (refused.exit_code, "Name one with --collection" in refused.stderr) == (1, True)
    what = (str(made / "chroma"), *there, "--collection", "docs")
    notes = tmp_path / "notes.json"
    done = run("import", *what, "--create", "--verify", "--resume", str(notes))
    assert done.stdout.startswith("26 records imported into docs, 1 of them with long texts; ")
    assert not notes.exists()
    assert run("verify", *what).exit_code == 0
    with VectorizeClient.local(tmp_path) as client:
        details = client.index("docs").details()
        assert (details.config.dimensions, details.config.metric) == (32, "euclidean")
        client.index("docs").delete([str(documents()[0].id)])
        client.create_index("other", dimensions=32, metric="cosine")
    assert run("verify", *what).exit_code == 1
    refused = run("import", str(made / "faiss"), "other", *there[1:-1], "faiss")
    assert (refused.exit_code, "read it with --metric 'cosine'" in refused.stderr) == (1, True)
    meant = ("faiss", "--metric", "cosine")
    assert run("import", str(made / "faiss"), "other", *there[1:-1], *meant).exit_code == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--collection", "a"), "--collection has no meaning without --from"),
        (("--metric", "cosine"), "--metric has no meaning without --from"),
        (("--from", "chroma", "--query", "a"), "--query has no meaning with --from chroma"),
        (("--from", "pgvector"), "--from pgvector needs --query"),
        (("--from", "csv"), "'csv' is not one of"),
    ],
)
def test_options_that_do_not_go_together(
    run: Run,  # noqa: F811
    tmp_path: Path,
    options: tuple[str, ...],
    complaint: str,
) -> None:
    refused = run("import", "file", "docs", "--path", str(tmp_path), *options)
    assert (refused.exit_code, complaint in refused.stderr) == (2, True)
