"""Normal clients beside slow ones, half-sent requests and endless SQL: the server as a process."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest

import vectorize_core
from tests.nightly import NIGHTLY, sized
from tests.server.helpers import NDJSON, Peer, axis, lines, record

ROOT = Path(vectorize_core.__file__).parent.parent
SECONDS = sized(2.0, 600.0)
NORMAL = sized(12, 40)
SLOW = sized(60, 200)
HEAVY = sized(8, 40)
PAUSE = 0.25
"""Seconds between the requests of a normal client, about."""
LEAST = 6
"""Requests that each normal client makes, however slow the machine is."""
PATIENCE = 30
"""Seconds after which a normal client calls its request starved."""
PATH = "/client/v4/accounts/local/vectorize/v2/indexes"
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
WIDE = (
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) "
    "SELECT n, hex(randomblob(20)) FROM c ORDER BY 2"
)


@contextmanager
def served(data: Path) -> Iterator[tuple[subprocess.Popen[str], Peer]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "vectorize_core.cli", "serve", "--port", "0", "--data", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        found = next(filter(None, (re.search(r"http://\S+/v4", line) for line in process.stdout)))
        peer = Peer(found[0])
        try:
            yield process, peer
        finally:
            peer.close()
            process.kill()


def megabytes(process: subprocess.Popen[str]) -> float:
    """What the process has in memory."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Load:
    """Clients in threads, until they are told to stop."""

    peer: Peer
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    sockets: set[socket.socket] = field(default_factory=set)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        while any(thread.is_alive() for thread in self.threads):
            for each in list(self.sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            time.sleep(0.02)

    def begin(self, count: int, work: object, *arguments: object) -> None:
        for number in range(count):
            thread = threading.Thread(target=work, args=(number, *arguments), daemon=True)  # type: ignore[arg-type]
            self.threads.append(thread)
            thread.start()

    def normal(self, number: int) -> None:
        """Queries, small writes, gets and texts, as an application makes them."""
        chance = random.Random(number)
        api = f"{self.peer.base_url}/accounts/local"
        index = f"{api}/vectorize/v2/indexes/docs"
        asked = 0
        with httpx.Client(trust_env=False, verify=False, timeout=PATIENCE) as http:
            while not self.stop.wait(chance.uniform(0, 2 * PAUSE)) or asked < LEAST:
                asked += 1
                key = f"{number}-{chance.randrange(50)}"
                kind = chance.randrange(4)
                began = time.perf_counter()
                try:
                    if kind == 0:
                        values = axis(chance.randrange(32), chance.uniform(1, 2))
                        body = {"vector": values, "topK": 20, "returnMetadata": "all"}
                        answer = http.post(f"{index}/query", json=body)
                    elif kind == 1:
                        answer = http.post(
                            f"{index}/upsert",
                            content=lines(record(key, metadata={"text": key})),
                            headers={"Content-Type": NDJSON},
                        )
                    elif kind == 2:
                        answer = http.post(f"{index}/get_by_ids", json={"ids": [key, "v1"]})
                    else:
                        body = {"sql": "SELECT text FROM texts WHERE id = ?", "params": ["7"]}
                        answer = http.post(f"{api}/d1/database/texts/query", json=body)
                    if answer.status_code != 200:
                        self.failures.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    self.failures.append(f"{kind}: {error!r}")
                else:
                    self.seconds.append(time.perf_counter() - began)

    def hostile(self, number: int, raw: bytes, part: int, pause: float, reads: bool) -> None:
        """Send ``part`` bytes at a time, with pauses; then read slowly, or not at all."""
        while not self.stop.is_set():
            try:
                with socket.create_connection(self.peer.address, timeout=60) as connection:
                    self.sockets.add(connection)
                    try:
                        for at in range(0, len(raw), part):
                            connection.sendall(raw[at : at + part])
                            if self.stop.wait(pause):
                                return
                        while reads and connection.recv(512) and not self.stop.wait(pause):
                            pass
                        if not reads:
                            self.stop.wait(20)
                    finally:
                        self.sockets.discard(connection)
            except OSError:
                if self.stop.wait(0.05):
                    return

    def p99(self) -> float:
        return sorted(self.seconds)[int(0.99 * len(self.seconds))]


def post(path: str, body: bytes, kind: str = "application/json") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def d1(sql: str, database: str, account: str = "local") -> bytes:
    path = f"/client/v4/accounts/{account}/d1/database/{database}/query"
    return post(path, b'{"sql": "%b"}' % sql.encode())


def begin_hostile(load: Load) -> None:
    """Slow connections of every kind, and SQL that takes all that it is given."""
    body = b'{"ids": [%b]}' % b",".join(b'"v%d"' % number for number in range(20))
    read = post(f"{PATH}/docs/get_by_ids", body)
    upsert = post(f"{PATH}/docs/upsert", b" " * 900_000, NDJSON)
    share = SLOW // 5
    load.begin(share, load.hostile, read, 3, 0.5, True)
    load.begin(share, load.hostile, read[:50], 50, 0.0, False)
    load.begin(share, load.hostile, upsert, 4_000, 0.5, True)
    load.begin(share, load.hostile, upsert[:-1], 900_000, 0.0, False)
    load.begin(share, load.hostile, read * 50, 100_000, 0.3, True)
    load.begin(HEAVY // 2, load.hostile, d1(ENDLESS, "heavy"), 10_000, 0.0, True)
    for number in range(HEAVY // 4):
        load.begin(1, load.hostile, d1(ENDLESS, f"heavy{number}", "other"), 10_000, 0.0, True)
        load.begin(1, load.hostile, d1(WIDE, f"wide{number}"), 10_000, 0.0, True)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="measures memory by /proc")
@pytest.mark.timeout(SECONDS + 180)
def test_normal_clients_beside_hostile_ones(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with served(tmp_path / "data") as (process, peer):
        peer.create()
        for number in range(10):
            peer.write(
                *(
                    record(f"v{number * 100 + n}", axis(n % 32), metadata={"text": "x" * 3_000})
                    for n in range(100)
                )
            )
        url = f"{peer.base_url}/accounts/local/d1/database/texts/query"
        script = (
            "CREATE TABLE texts (id TEXT PRIMARY KEY, text TEXT); "
            "INSERT INTO texts WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
            "LIMIT 1000) SELECT n, hex(zeroblob(500)) FROM c"
        )
        assert peer.http.post(url, json={"sql": script}).is_success

        alone = Load(peer)
        if NIGHTLY:
            with alone:
                alone.begin(NORMAL, alone.normal)
                time.sleep(SECONDS / 20)
        with Load(peer) as hostile, Load(peer) as beside:
            begin_hostile(hostile)
            time.sleep(1.0)
            beside.begin(NORMAL, beside.normal)
            time.sleep(SECONDS / 3)
            warm = megabytes(process)
            time.sleep(SECONDS * 2 / 3)
            grown = megabytes(process) - warm
            beside.stop.set()
            for thread in beside.threads:
                thread.join()
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            took = time.monotonic() - told
    assert alone.failures == []
    assert beside.failures == []
    assert len(beside.seconds) >= NORMAL * LEAST
    assert grown < sized(150, 60), f"{warm:.0f} MB, grown by {grown:.0f} MB"
    # How fast: only where nothing else is to run on the machine, and for long.
    if NIGHTLY:
        measured = (
            f"p99 alone {alone.p99() * 1e3:.1f} ms of {len(alone.seconds)}, beside "
            f"{beside.p99() * 1e3:.1f} ms of {len(beside.seconds)}; {warm:.0f} MB, grown by "
            f"{grown:.0f} MB; ended in {took:.1f} s"
        )
        record_property("measured", measured)
        assert beside.p99() <= 5 * max(alone.p99(), 0.01), measured
        assert took < 5.0, measured
    with served(tmp_path / "data") as (_, again):
        assert again.count() >= 1_000
