"""A process that may write nowhere in a directory, and does what the test asks it to.

``python -m tests.core.sqlite.readers DIRECTORY CALL...`` prints what each call returns, or its
error, and what is logged. Root gives up its
rights first, since root may write everywhere.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any


def search(path: str) -> object:
    from vectorize_core import VectorizeClient

    with VectorizeClient.local(path) as client:
        index = client.index("docs")
        found = index.query([1.0] * 32, top_k=3, filter={"n": 1}, return_values=True)
        return sorted(match.id for match in found) + sorted(index.list_ids())


def texts(path: str) -> object:
    from vectorize_core import SqliteTexts, VectorizeClient
    from vectorize_core.transport.io import run

    with VectorizeClient.local(path) as client:
        return run(SqliteTexts(path).get(client.connection.io(), "docs", ["a", "b"]))


def databases(path: str) -> object:
    from vectorize_core.local.d1_databases import D1Databases

    return D1Databases(path).run("texts", [("SELECT a FROM t", ())])[0][1]


def langchain(path: str) -> object:
    from tests.kinds import LANGCHAIN

    with LANGCHAIN.local(path=path) as store:
        return sorted(document.page_content[:5] for document in store.similarity_search("one", k=9))


def llama_index(path: str) -> object:
    from tests.kinds import LLAMA_INDEX

    with LLAMA_INDEX.local(path=path) as store:
        return [*sorted(node.get_content()[:5] for node in store.iter_nodes()), store.count()]


def upsert(path: str) -> object:
    from vectorize_core import Vector, VectorizeClient

    with VectorizeClient.local(path) as client:
        return client.index("docs").upsert([Vector("x", [1.0] * 32)])


def put_text(path: str) -> object:
    from vectorize_core import SqliteTexts, VectorizeClient
    from vectorize_core.transport.io import run

    with VectorizeClient.local(path) as client:
        return run(SqliteTexts(path).put(client.connection.io(), "docs", {"x": "text"}))


def write_database(path: str) -> object:
    from vectorize_core.local.d1_databases import D1Databases

    return D1Databases(path).run("texts", [("CREATE TABLE IF NOT EXISTS u (a)", ())])


def create(path: str) -> object:
    from vectorize_core import VectorizeClient

    with VectorizeClient.local(path) as client:
        return client.create_index("new", dimensions=32)


def create_again(path: str) -> object:
    from vectorize_core import VectorizeClient

    with VectorizeClient.local(path) as client:
        return client.create_index("docs", dimensions=32, exist_ok=True).name


def compact(path: str) -> object:
    from vectorize_core.local import Service

    return Service(path).compact()


def check(path: str) -> object:
    from vectorize_core.local import Service

    return Service(path).check().ok


def resume(path: str) -> object:
    from vectorize_core import Vector, VectorizeClient

    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)
        checkpoint = os.path.join(path, "checkpoint")
        return client.index("docs").upsert([Vector("x", [1.0] * 32)], resume=checkpoint)


def command(path: str) -> object:
    from typer.testing import CliRunner

    from vectorize_core.cli.app import app

    done = CliRunner().invoke(app, ["list", "docs", "--path", path])
    return [done.exit_code, done.stdout.split()]


def command_delete(path: str) -> object:
    from typer.testing import CliRunner

    from vectorize_core.cli.app import app

    done = CliRunner().invoke(app, ["delete", "docs", "a", "--yes", "--path", path])
    return [done.exit_code, done.stderr]


def server(path: str) -> object:
    from vectorize_core import RetryPolicy, Vector, VectorizeClient
    from vectorize_core.local.server import BackgroundServer, Settings

    retry = RetryPolicy(read_deadline=0.1, write_deadline=0.1)
    with (
        BackgroundServer(Settings(data=path)) as running,
        VectorizeClient(base_url=running.base_url, retry=retry) as client,
    ):
        found: list[Any] = [sorted(client.index("docs").list_ids())]
        try:
            client.index("docs").upsert([Vector("x", [1.0] * 32)])
        except Exception as error:
            found.append(str(error))
        return found


CALLS: dict[str, Callable[[str], object]] = {
    call.__name__: call
    for call in (
        *(search, texts, databases, langchain, llama_index, upsert, put_text, write_database),
        *(create, create_again, compact, check, resume, command, command_delete, server),
    )
}


def give_up_rights() -> None:
    """Take from this process what lets root write everywhere (capset, version 3, none at all)."""
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    path, *names = sys.argv[1:]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        give_up_rights()
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("vectorize_core").addHandler(handler)
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = CALLS[name](path)
        except Exception as error:
            found[name] = [type(error).__name__, str(error)]
    sys.stdout.write(json.dumps({"found": found, "log": lines}, default=str))


if __name__ == "__main__":
    main()
