"""Where the tests of this directory run: a real account, or the local server.

With ``VECTORIZE_LIVE=1``, ``CLOUDFLARE_ACCOUNT_ID`` and ``CLOUDFLARE_API_TOKEN`` set,
``pytest tests/conformance/live`` runs them against Cloudflare; without ``VECTORIZE_LIVE`` they
run against the local server, which proves that they run. The token needs "Vectorize Write".

What it costs: four indexes for some minutes, under 100 vectors of 32 dimensions, some 100
queries. That is a few thousand queried dimensions of the 30 million a month that the free plan
includes. Some 300 requests count against the 1,200 that an account has in five minutes.

Every index is named ``vs-live-<random>-...`` and deleted at the end. A run that was killed leaves
its indexes behind; the next run deletes those that are more than a day old.

``VECTORIZE_REPORT`` names the file of the report (else it lies in pytest's cache directory).
"""

from __future__ import annotations

import itertools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.server.helpers import Peer, axis, record
from vectorize_core.local.server import BackgroundServer
from vectorize_core.transport.credentials import DEFAULT_BASE_URL

T = TypeVar("T")
PREFIX = "vs-live-"
LIVE = os.environ.get("VECTORIZE_LIVE") == "1"
ACCOUNT, TOKEN = (os.environ.get(f"CLOUDFLARE_{name}") for name in ("ACCOUNT_ID", "API_TOKEN"))
PATIENCE = 600.0 if LIVE else 30.0


@dataclass
class Target:
    """An account with an index to read, ``docs``; what is made here is deleted at the end."""

    peer: Peer
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    numbers: Iterator[int] = field(default_factory=itertools.count)
    docs: str = ""

    def create(self, metric: str = "cosine") -> str:
        """A new index of 32 dimensions."""
        name = f"{PREFIX}{self.run}-{next(self.numbers)}"
        self.peer.create(name, metric)
        self.until(lambda: self.peer.send("GET", f"/{name}/info").is_success)
        return name

    def until(self, ready: Callable[[], T]) -> T:
        """The first answer of ``ready`` that is true, asking again for a while."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := ready()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {PATIENCE:g} seconds")
            time.sleep(3.0 if LIVE else 0.01)
        return answer

    def write(self, index: str, *vectors: dict[str, Any]) -> None:
        """Upsert, and wait until a query with each vector's values finds it."""
        self.peer.write(*vectors, name=index)
        ids = sorted({vector["id"] for vector in vectors})
        for start in range(0, len(ids), 20):
            part = ids[start : start + 20]
            body = {"ids": part}
            self.until(
                lambda body=body, part=part: (  # type: ignore[misc]
                    len(self.peer.result("POST", f"/{index}/get_by_ids", body)) == len(part)
                )
            )
        for vector in vectors:
            options = {"vector": vector["values"], "topK": 100}
            self.until(
                lambda vector=vector, options=options: any(  # type: ignore[misc]
                    match["id"] == vector["id"] for match in self.peer.query(index, **options)
                )
            )

    def index_properties(self, index: str, **kinds: str) -> None:
        """Create metadata indexes and wait until they are listed."""
        for name, kind in kinds.items():
            body = {"propertyName": name, "indexType": kind}
            self.peer.result("POST", f"/{index}/metadata_index/create", body)
        path = f"/{index}/metadata_index/list"
        self.until(lambda: len(self.peer.result("GET", path)["metadataIndexes"]) >= len(kinds))

    def clean_up(self) -> None:
        """Delete what this run has made, and what killed runs have left."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        for index in self.peer.result("GET", ""):
            left = index["name"].startswith(PREFIX)
            old = left and datetime.fromisoformat(index["created_on"]) < yesterday
            if old or index["name"].startswith(f"{PREFIX}{self.run}-"):
                self.peer.send("DELETE", f"/{index['name']}")


VECTORS = [
    record("plain", axis(0)),
    record("missing", axis(1), metadata={"other": 1}),
    record("null", axis(2), metadata={"s": None}),
    record("text", axis(3), metadata={"s": "text", "n": 1}),
    record("long-1", axis(4), metadata={"s": "x" * 64 + "1"}),
    record("array", axis(5), metadata={"s": ["y", "z"]}),
    record("number", axis(6), metadata={"s": 10, "n": "2"}),
    record("deep", axis(7), metadata={"a": {"s": "deep" + "x" * 80, "other": 1}}),
    record("space", axis(8), namespace="space", metadata={"s": "text"}),
    # Equal, so that a query meets a tie.
    record("tie-1", axis(9)),
    record("tie-2", axis(9)),
]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Target]:
    """The local server with its default switches."""
    with BackgroundServer() as server:
        target = Target(Peer(server.base_url))
        _fill(target)
        yield target
        target.peer.close()


@pytest.fixture(scope="session")
def target(emulator: Target) -> Iterator[Target]:
    """What is tested: Cloudflare, or else a local server of its own."""
    if LIVE and not (ACCOUNT and TOKEN):
        pytest.skip("VECTORIZE_LIVE needs CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN")
    if LIVE:
        tested = Target(Peer(DEFAULT_BASE_URL, ACCOUNT or "", TOKEN))
    else:
        tested = Target(Peer(emulator.peer.base_url, "tested"))
    try:
        _fill(tested)
        yield tested
    finally:
        tested.clean_up()
        if not LIVE:
            assert tested.peer.result("GET", "") == []
        tested.peer.close()


def _fill(target: Target) -> None:
    target.docs = target.create()
    target.index_properties(target.docs, s="string", n="number", **{"a.s": "string"})
    target.write(target.docs, *VECTORS)


@dataclass
class Report:
    """What the emulator and the service said to each question, as it is written at the end."""

    rows: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        where = "Cloudflare" if LIVE else "the local server itself (a dry run)"
        different = [name for name, (ours, theirs) in self.rows.items() if ours != theirs]
        lines = [
            f"# The emulator and {where}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "",
            f"{len(different)} of {len(self.rows)} answers differ.",
            "",
            "| question | emulator | service | same |",
            "|---|---|---|---|",
        ]
        for name, (ours, theirs) in self.rows.items():
            said = [json.dumps(value).replace("|", "\\|") for value in (ours, theirs)]
            lines.append(
                f"| {name} | {said[0]} | {said[1]} | {'yes' if ours == theirs else 'NO'} |"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Iterator[Report]:
    """Collects the answers; written when the session ends."""
    report = Report()
    yield report
    given = os.environ.get("VECTORIZE_REPORT")
    folder = pytestconfig.rootpath / ".pytest_cache" / "vectorize-live"
    report.write(Path(given) if given else folder / "report.md")
