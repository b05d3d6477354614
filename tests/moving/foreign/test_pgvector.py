"""Rows of PostgreSQL with pgvector."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run, run  # noqa: F401
from tests.moving.foreign.commands import commands
from tests.moving.foreign.helpers import check_documents, check_nodes
from tests.moving.foreign.records import nodes, vector
from vectorize_core.errors import ConnectionFailedError, InvalidInputError, InvalidVectorError
from vectorize_core.moving import read_pgvector


@pytest.mark.skipif(sys.platform == "win32", reason="made where sockets are in a folder")
def test_tables(run: Run, made: Path, tmp_path: Path) -> None:  # noqa: F811
    """All in one, since a server is started for it."""
    from tests.moving.foreign.postgres import Postgres

    with Postgres(made / "pgvector") as server:
        rows = read_pgvector(server.url, "SELECT * FROM langchain_pg_embedding", metric="cosine")
        check_documents(rows, tmp_path / "documents")
        check_nodes(read_pgvector(server.url, "SELECT * FROM data_ours"), tmp_path / "nodes")

        command = commands()["pgvector"]
        command[1] = server.url
        path = command.index("--path") + 1
        command[path] = str(tmp_path / "command")
        query_at = command.index("--query") + 1
        command[query_at] = command[query_at].replace("data_docs", "data_ours")
        assert run(*command, "--verify").stdout.startswith(f"{len(nodes())} records imported")

        query = "SELECT key AS id, embedding, body AS text, 'ns' AS namespace, day, no FROM items"
        first, second = read_pgvector(server.url, f"{query} ORDER BY key;")
        assert (first.record.id, first.record.text, first.namespace) == ("1", "text 1", "ns")
        assert first.record.metadata == {"day": dt.date(1863, 11, 19)}
        np.testing.assert_allclose(second.values, vector("2"), rtol=1e-3)

        for wrong, error, message in (
            ("SELECT 1 AS id", InvalidInputError, "no column for the embedding; it has id. Name"),
            ("SELECT '[1]' AS embedding", InvalidInputError, "no column for the id"),
            ("SELECT nothing", InvalidInputError, 'column "nothing" does not exist'),
            ("DELETE FROM items", InvalidInputError, "syntax error"),
            ("SELECT true AS id, '[1]' AS embedding", InvalidVectorError, "has the id True"),
            ("SELECT 1 AS id, '1' AS embedding", InvalidVectorError, "row '1' .* embedding is '1'"),
            ("SELECT 1 AS id, '[x]' AS embedding", InvalidVectorError, "its embedding is no JSON"),
            (
                "SELECT 1 AS id, '[1]' AS embedding, 2 AS metadata",
                InvalidVectorError,
                "its metadata is 2",
            ),
            (
                "SELECT 1 AS id, '[1]' AS embedding, 2 AS text",
                InvalidVectorError,
                "its text is 2",
            ),
        ):
            with pytest.raises(error, match=message):
                list(read_pgvector(server.url, wrong))


def test_no_server_is_an_error_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    source = read_pgvector(f"postgresql://me:secret@/db?host={tmp_path}", "SELECT 1")
    with pytest.raises(ConnectionFailedError, match="PostgreSQL cannot be read") as caught:
        list(source)
    assert "secret" not in repr(source) + str(caught.value)
    with pytest.raises(InvalidInputError, match="url is a text such as postgresql"):
        read_pgvector(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="query is a statement of SQL; got ''"):
        read_pgvector("postgresql://", "")
