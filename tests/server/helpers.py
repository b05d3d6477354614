"""A client that sends exactly what it is told, and knows the envelope."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.server.recorded import expected

DIMENSIONS = 32
ONES = [1.0] * DIMENSIONS
NDJSON = "application/x-ndjson"
MARK = "embedded Vectorize: "


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def axis(number: int, length: float = 1.0) -> list[float]:
    """A vector along one axis."""
    return [length if i == number else 0.0 for i in range(DIMENSIONS)]


def lines(*vectors: Mapping[str, Any]) -> bytes:
    return "\n".join(json.dumps(vector) for vector in vectors).encode()


def record(vector_id: str, values: Sequence[float] = ONES, **more: Any) -> dict[str, Any]:
    return {"id": vector_id, "values": values, **more}


class Peer:
    """An account of a server, spoken to over a socket; paths are below the indexes."""

    def __init__(self, base_url: str, account: str = "local", token: str | None = None) -> None:
        self.base_url = base_url
        self.account = account
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        # Loading certificates where none are needed takes longer than most tests.
        real = base_url.startswith("https:")
        self.http = httpx.Client(headers=headers, trust_env=real, verify=real, timeout=30)

    def close(self) -> None:
        self.http.close()

    @property
    def root(self) -> str:
        return self.base_url.removesuffix("/client/v4")

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.base_url)
        return str(parts.hostname), int(parts.port or 0)

    def url(self, path: str) -> str:
        return f"{self.base_url}/accounts/{self.account}/vectorize/v2/indexes{path}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: Any = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """An answer; ``body`` is sent as JSON, ``content`` as it is under the type ``kind``."""
        sent = dict(headers or {})
        if body is not None:
            content, kind = json.dumps(body).encode(), "application/json"
        if kind is not None:
            sent["Content-Type"] = kind
        url = self.root + path[1:] if path.startswith("~") else self.url(path)
        return self.http.request(method, url, content=content, headers=sent, params=params)

    def result(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The result of a request that must succeed."""
        return result_of(self.send(method, path, body, **more))

    def fault(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, int, str]:
        """Status, code and text of a request that must fail, in the envelope."""
        return fault_of(self.send(method, path, body, **more))

    def create(self, name: str = "docs", metric: str = "cosine", **metadata_indexes: str) -> None:
        config = {"dimensions": DIMENSIONS, "metric": metric}
        self.result("POST", "", {"name": name, "config": config})
        for property_name, kind in metadata_indexes.items():
            wanted = {"propertyName": property_name, "indexType": kind}
            self.result("POST", f"/{name}/metadata_index/create", wanted)

    def write(
        self, *vectors: Mapping[str, Any], name: str = "docs", verb: str = "upsert", **more: Any
    ) -> str:
        body = {"content": lines(*vectors), "kind": NDJSON, **more}
        mutation_id: str = self.result("POST", f"/{name}/{verb}", **body)["mutationId"]
        return mutation_id

    def write_fault(
        self, *vectors: Mapping[str, Any], verb: str = "upsert"
    ) -> tuple[int, int, str]:
        return self.fault("POST", f"/docs/{verb}", content=lines(*vectors), kind=NDJSON)

    def query(self, name: str = "docs", **options: Any) -> list[dict[str, Any]]:
        options = {"vector": ONES, **options} if "vectorId" not in options else options
        found = self.result("POST", f"/{name}/query", options)
        assert found["count"] == len(found["matches"])
        matches: list[dict[str, Any]] = found["matches"]
        return matches

    def found(self, name: str = "docs", **options: Any) -> str:
        """The ids of the matches in alphabetical order."""
        return "".join(sorted(match["id"] for match in self.query(name, **options)))

    def count(self, name: str = "docs") -> int:
        counted: int = self.result("GET", f"/{name}/info")["vectorCount"]
        return counted

    def put_faults(self, *rules: Mapping[str, Any]) -> None:
        self.result("PUT", "~/_/faults", list(rules))

    def exchange(self, raw: bytes, seconds: float = 10.0) -> bytes:
        """What the server says to these bytes until it closes, or until a whole answer is there."""
        with socket.create_connection(self.address, timeout=seconds) as connection:
            connection.sendall(raw)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    answer = b""
    while chunk := connection.recv(65_536):
        answer += chunk
        head, found, body = answer.partition(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if found and sizes and len(body) >= int(sizes[0].split(b":")[1]):
            break
    return answer


def raw_fault(answer: bytes) -> tuple[int, int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return fault_of(httpx.Response(int(head.split()[1]), content=body))


def result_of(response: httpx.Response) -> Any:
    envelope = response.json()
    assert response.is_success, response.text
    assert envelope.keys() == {"success", "errors", "messages", "result"}
    assert (envelope["success"], envelope["errors"]) == (True, [])
    return envelope["result"]


def bare_fault_of(response: httpx.Response) -> tuple[int, int, str]:
    """Status, code and text of a fault as a Workers binding is told."""
    told = response.json()
    assert told.keys() == {"error", "code"}
    told = response.status_code, told["code"], told["error"]
    assert expected(*told), f"neither recorded nor marked: {told}"
    return told


def fault_of(response: httpx.Response) -> tuple[int, int, str]:
    envelope = response.json()
    (error,) = envelope["errors"]
    assert envelope == {"result": None, "success": False, "errors": [error], "messages": []}
    assert error.keys() == {"code", "message"}
    assert (type(error["code"]), type(error["message"])) == (int, str)
    assert not response.is_success
    told = response.status_code, error["code"], error["message"]
    assert expected(*told), f"neither recorded nor marked: {told}"
    return response.status_code, error["code"], error["message"]
