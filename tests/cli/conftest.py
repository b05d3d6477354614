"""The command as a function, and the places it works on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from vectorize_core import Vector, VectorizeClient
from vectorize_core.cli.app import app
from vectorize_core.local.server import BackgroundServer, Settings
from vectorize_core.transport import credentials

SECRET = "s3cret-t0ken"
VARIABLES = (
    *credentials.ACCOUNT_VARIABLES,
    *credentials.TOKEN_VARIABLES,
    *credentials.BASE_URL_VARIABLES,
    credentials.KEY_VARIABLE,
    credentials.EMAIL_VARIABLE,
    "VECTORIZE_SERVER_TOKEN",
    "FORCE_COLOR",
)
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run() -> Run:
    """Runs the command; whatever it does, it prints no secret and fails in a line or two."""

    def invoke(*arguments: str, **options: Any) -> Result:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False, **options)
        assert SECRET not in result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@dataclass(frozen=True)
class Place:
    """Options that lead to a Vectorize, and a client of the same."""

    options: tuple[str, ...]
    client: VectorizeClient


@pytest.fixture(scope="session")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(Settings(token=SECRET)) as server:
        yield server


@pytest.fixture(params=["embedded", "server"])
def place(
    request: pytest.FixtureRequest,
    server: BackgroundServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """With the index "docs" of three vectors in it."""
    if request.param == "embedded":
        with VectorizeClient.local(tmp_path / "data") as client:
            fill(client)
            yield Place(("--path", str(tmp_path / "data")), client)
        return
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    # Of this test alone.
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", uuid4().hex)
    with VectorizeClient(base_url=server.base_url) as client:
        fill(client)
        yield Place(("--url", server.base_url.removesuffix("/client/v4")), client)


def fill(client: VectorizeClient) -> None:
    client.create_index("docs", dimensions=32, metadata_indexes={"year": "number"})
    client.index("docs").upsert(
        [
            Vector("a", unit(0), metadata={"year": 1960, "text": "tab\there"}),
            Vector("b", unit(0) + unit(1), metadata={"year": 1970}),
            Vector("c", unit(2), namespace="n", metadata={"year": 1980}),
        ]
    )


def unit(position: int) -> Any:
    values = np.zeros(32, np.float32)
    values[position] = 1.0
    return values


@pytest.fixture
def vector_text() -> str:
    return json.dumps(unit(0).tolist())
