"""All endpoints of LynseDB's page, on the page's version and today's; the table in the docs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.lynse.endpoints import CHECKS, Box, awaited, client_of
from tests.lynse.servers import NEW, OLD, ROOT, Lynse
from vectorize_core import UnsupportedCallError
from vectorize_core.lynse.dialect import COORDINATOR, Dialect
from vectorize_core.lynse.operations.base import LynseOp
from vectorize_core.lynse.operations.reading import Query, QueryVectors

PAGE: Final = ROOT / "docs" / "lynsedb.md"
OF_ALL: Final[dict[str, LynseOp[Any]]] = {
    one.path: one for one in (Query("d", "c"), QueryVectors("d", "c"))
}
VARIANTS: Final = ("sync", "async")


@pytest.fixture(params=[OLD, NEW])
def server(request: pytest.FixtureRequest) -> Lynse:
    name = "old_lynse" if request.param == OLD else "new_lynse"
    found: Lynse = request.getfixturevalue(name)
    return found


@pytest.fixture(params=VARIANTS)
async def box(server: Lynse, request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    client = client_of(server, request.param)
    database = client.database("app")
    if not await awaited(database.database_exists()):
        await awaited(database.create_database())
    box = Box(server, client)
    yield box
    await awaited(client.close() if request.param == "sync" else client.aclose())


@pytest.mark.covering(2)
@pytest.mark.parametrize("path", CHECKS)
async def test_an_endpoint_does_what_the_page_says(box: Box, path: str) -> None:
    await CHECKS[path](box)


def test_the_page_has_51_endpoints() -> None:
    assert len(CHECKS) == 51


def test_the_table_of_the_docs_is_what_the_servers_say(old_lynse: Lynse, new_lynse: Lynse) -> None:
    old, new = (_dialect(server) for server in (old_lynse, new_lynse))
    lines = [f"| endpoint | {OLD} | {NEW} | coordinator |", "| --- | --- | --- | --- |"]
    for path in CHECKS:
        cells = (f"`{path}`", *(_here(path, one) for one in (old, new, COORDINATOR)))
        lines.append(f"| {' | '.join(cells)} |")
    table = "\n".join(lines)
    assert table in PAGE.read_text(encoding="utf-8"), table


def _here(path: str, dialect: Dialect) -> str:
    try:
        name = dialect.path(path)
    except UnsupportedCallError:
        return "no"
    try:
        if path in OF_ALL:
            OF_ALL[path].request_for(dialect)
    except UnsupportedCallError:
        return "not of all records"
    return "yes" if name == path else f"as `{name}`"


def _dialect(server: Lynse) -> Dialect:
    with client_of(server, "sync") as client:
        assert client.server_info().version == server.version
        dialect = client._server.dialect
        assert dialect is not None
        return dialect
