"""What a server has lost is noticed by every client; what was taken on purpose is no damage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.lynse.servers import KEY, Lynse
from vectorize_core import (
    BadRequestError,
    ConfigurationError,
    EngineError,
    Index,
    IndexDamagedError,
    IndexExistsError,
    Vector,
)
from vectorize_core.lynse import LynseClient
from vectorize_core.lynse.describing import describe, note_rows, read_header
from vectorize_core.lynse.rows import key
from vectorize_core.transport.io import run

ONES = np.ones(32, np.float32)


@contextmanager
def opened(server: Lynse) -> Iterator[LynseClient]:
    with LynseClient(server.url, database="app", api_key=KEY) as client:
        yield client


@contextmanager
def an_index(server: Lynse) -> Iterator[tuple[LynseClient, Index]]:
    with opened(server) as client:
        client.database("app").create_database()
        client.indexes().create_index("docs", dimensions=32, metric="cosine", record_layout=False)
        yield client, client.index("docs")


def ones(*ids: str) -> list[Vector]:
    return [Vector(one, ONES) for one in ids]


def ask(server: Lynse, path: str, **more: object) -> None:
    """Send a call past the client."""
    body = {"database_name": "app", "collection_name": "docs", **more}
    headers = {"Authorization": f"Bearer {KEY}"}
    httpx.post(f"{server.url}{path}", json=body, headers=headers, timeout=60).raise_for_status()


def lose(server: Lynse, client: LynseClient, *rows: str) -> None:
    """As if the server had lost rows, with their vectors."""
    client.collection("docs").delete_items([*rows])
    for path in ("/checkpoint", "/compact", "/checkpoint"):
        ask(server, path)
    server.restart()


def ruin(server: Lynse, client: LynseClient) -> None:
    """What an executor never does: after that the collection does not open again."""
    raw = client.collection("docs")
    raw.upsert_items(["a1#0"], [ONES], [dict(raw.query(filter_ids=["a1#0"]).fields[0])])
    server.restart()


def test_a_collection_that_never_opens_again_is_damage_until_it_is_written_again(
    server: Lynse,
) -> None:
    with an_index(server) as (client, index):
        index.upsert([Vector(f"a{n}", ONES, None, {"n": n}) for n in range(20)])
        ruin(server, client)
        for call in (index.info, lambda: index.get(["a1"]), lambda: index.query(ONES, top_k=3)):
            with pytest.raises(IndexDamagedError, match="delete the index and write it again"):
                call()
        client.indexes().delete_index("docs")
        client.indexes().create_index("docs", dimensions=32, metric="cosine")
        index.upsert(ones("b"))
        assert [*index.list_ids()] == ["b"]


@pytest.mark.parametrize("is_ruined", [False, True])
def test_an_index_is_what_a_snapshot_has_of_it(server: Lynse, is_ruined: bool) -> None:
    snapshot = str(server.folder / "snapshot")
    with an_index(server) as (client, index), opened(server) as other:
        index.upsert([Vector(f"a{n}", ONES, "space", {"n": n}) for n in range(20)])
        index.delete(["a0"])
        before = {one.id: one for one in index.get([*index.list_ids()])}
        client.collection("docs").snapshot_collection(snapshot)
        index.upsert(ones("a0", "later"))
        assert other.index("docs").info().vector_count == 21
        if is_ruined:
            ruin(server, client)
            with pytest.raises(IndexDamagedError, match="Restore a snapshot and start the server"):
                index.info()
            # Now and then it has done that nevertheless.
            with suppress(EngineError):
                other.collection("docs").restore_collection(snapshot, overwrite=True)
            server.restart()
        else:
            other.collection("docs").restore_collection(snapshot, overwrite=True)
            other.collection("elsewhere").restore_collection(snapshot)
            elsewhere = client.index("elsewhere")
            assert {one.id: one for one in elsewhere.get([*elsewhere.list_ids()])} == before
        for again in (index, other.index("docs")):
            assert {one.id: one for one in again.get([*again.list_ids(), "later"])} == before
        new = [Vector(f"a{n}", -ONES, None, {"m": n}) for n in (0, 3, 30, 31)]
        index.upsert(new)
        before |= {one.id: one for one in new}
        for _ in range(2):
            assert {one.id: one for one in index.get([*index.list_ids()])} == before
            server.restart()


def test_records_that_are_gone_after_a_restart_are_damage(server: Lynse) -> None:
    with an_index(server) as (client, index):
        index.upsert(ones("a0", "a1"))
        index.upsert(ones("a2"))
        lose(server, client, "a2#0")
        with pytest.raises(IndexDamagedError, match="the record 'a2' that was written is gone"):
            index.info()


def test_records_of_others_that_are_gone_are_damage(server: Lynse) -> None:
    with an_index(server) as (client, index), opened(server) as other:
        assert other.index("docs").info().vector_count == 0
        index.upsert(ones("a0", "a1", "a2"))
        lose(server, client, "a1#0")
        with opened(server) as third:
            for one in (other, third):
                with pytest.raises(IndexDamagedError, match="it has 2 rows and had 3"):
                    one.index("docs").query(ONES, top_k=3)
        # Who knows better makes it count again.
        other.collection("docs").compact()
        assert [*other.index("docs").list_ids()] == ["a0", "a2"]


def test_a_record_that_only_some_filters_find_is_damage(server: Lynse) -> None:
    """The parser that a parenthesis chooses looks at a table of its own."""
    with an_index(server) as (client, index), opened(server) as other:
        index.upsert(ones("a0", "a1", "a2"))
        statement = f"(doc >= 'x'); DELETE FROM fields_v2 WHERE doc = '{key('a1')}'"
        with suppress(EngineError):
            client.collection("docs").query(statement)
        assert len([*index.list_ids()]) == 3
        with pytest.raises(IndexDamagedError, match="it has 3 records, and 2 in their table"):
            other.index("docs").info()


def test_what_was_deleted_and_compacted_is_no_damage(server: Lynse) -> None:
    with an_index(server) as (client, index), opened(server) as other:
        index.upsert(ones("a", "b", "c"))
        index.delete(["a"])
        other.index("docs").delete(["b"])
        assert client.collection("docs").compact() == 4
        server.restart()
        for one in (index, other.index("docs")):
            assert [*one.list_ids()] == ["c"]
        index.upsert(ones("a"))
        assert other.index("docs").info().vector_count == 2


def test_what_is_left_of_a_compaction_that_did_not_end_counts(server: Lynse) -> None:
    with an_index(server) as (client, index):
        index.upsert(ones("a", "b"))
        io, at = client._connection.io(), ("app", "docs")
        header = run(read_header(io, at))
        assert header is not None
        assert header.rows == 2
        run(describe(io, at, header.in_doubt()))
        lose(server, client, "a#0")
        assert [*index.list_ids()] == ["b"]
        header = run(read_header(io, at))
        assert header is not None
        assert header.rows == 1


def test_an_index_outlasts_what_is_described_meanwhile(server: Lynse) -> None:
    """Of two who describe collections at once, each may take away what the other one wrote."""
    with an_index(server) as (client, index), opened(server) as other:
        index.upsert(ones("a"))
        other.collection("plain").required_collection(dim=3)
        ended = threading.Event()

        def write() -> None:
            while not ended.wait(0.003):
                other.collection("plain").update_description("x" * 300)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for n in range(6):
                other.collection(f"plain{n}").required_collection(dim=3)
                assert index.info().vector_count == 1
                assert [one.name for one in client.indexes().list_indexes()] == ["docs"]
        finally:
            ended.set()
            thread.join()


def test_descriptions_that_a_crash_has_taken_are_made_again(server: Lynse, tmp_path: Path) -> None:
    with opened(server) as client:
        client.database("app").create_database()
        indexes = {"lang": "string", "year": "number"}
        client.indexes().create_index(
            "docs", dimensions=32, metric="euclidean", metadata_indexes=indexes
        )
        client.indexes().create_index("empty", dimensions=32, metric="cosine")
        index = client.index("docs")
        index.upsert([Vector(f"a{n}", ONES, None, {"lang": "en", "year": n}) for n in range(3)])
        index.delete_metadata_index("lang")
        index.upsert([Vector("a3", ONES, None, {"lang": "en", "year": 3})])
        before = index.list_metadata_indexes(), index.get([*index.list_ids()])
        # As a kill leaves them in the middle of a description.
        server.kill()
        (tmp_path / "data/app/collections.json").write_text("")
        server.start(int(server.url.rpartition(":")[2]))
        with opened(server) as other:
            again = other.index("docs")
            assert (again.list_metadata_indexes(), again.get([*again.list_ids()])) == before
            assert len(again.query(ONES, top_k=5, filter={"year": {"$gt": 1}})) == 2
            assert [one.name for one in other.indexes().list_indexes()] == ["docs"]
        # Nothing was written to it yet.
        with pytest.raises(IndexDamagedError, match=r"'empty'.*Delete the index and write it"):
            client.index("empty").info()
        client.indexes().delete_index("empty")
        client.indexes().create_index("empty", dimensions=32, metric="cosine")
        client.index("empty").upsert(ones("b"))
        assert [*client.index("empty").list_ids()] == ["b"]


@pytest.mark.parametrize("keep", [0, 0.5])
def test_a_kill_inside_a_delete_brings_nothing_back(
    server: Lynse, tmp_path: Path, keep: float
) -> None:
    """It leaves a part of what the server has of deletions, or nothing."""
    with an_index(server) as (client, index), opened(server) as other:
        index.upsert([Vector(f"a{n}", ONES, None, {"n": n}) for n in range(20)])
        index.upsert([Vector(f"a{n}", -ONES, None, {"n": -n}) for n in range(0, 20, 2)])
        index.delete([f"a{n}" for n in range(0, 20, 4)])
        left = sorted(f"a{n}" for n in range(20) if n % 4)
        server.kill()
        deletions = tmp_path / "data/app/docs/tombstone.bin"
        whole = deletions.read_bytes()
        deletions.write_bytes(whole[: int(len(whole) * keep)])
        server.start(int(server.url.rpartition(":")[2]))
        # The first call is a search, of either.
        for one in (other.index("docs"), index):
            assert sorted(hit.id for hit in one.query(ONES, top_k=50)) == left
            assert sorted(one.list_ids()) == left
        assert {one.id: one.values[0] for one in index.get(left)} == {
            one: -1 if int(one[1:]) % 2 == 0 else 1 for one in left
        }
        assert client.collection("docs").stats().n_live == len(left)


def test_a_restart_is_noticed_within_the_second_and_by_a_second_client(server: Lynse) -> None:
    with an_index(server) as (_, index):
        index.upsert([Vector(f"a{n}", ONES, None, {"n": n}) for n in range(30)])
        for n in range(4):
            index.delete([f"a{n}"])
            server.restart()
            assert len([*index.list_ids()]) == index.info().vector_count == 29 - n
        with opened(server) as other:
            found = other.index("docs").query(ONES, top_k=50)
        assert len(found) == 26


class Behind(httpx.HTTPTransport):
    """Tells nothing of connections, or always of the same one, as a proxy keeps it."""

    def __init__(self, stream: object | None) -> None:
        super().__init__()
        self._extensions = {} if stream is None else {"network_stream": stream}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        content = answer.read()
        return httpx.Response(
            answer.status_code,
            headers=answer.headers,
            content=content,
            extensions=self._extensions,
        )


class Stream:
    """A connection to a proxy."""


@pytest.mark.parametrize("stream", [None, Stream()])
def test_a_restart_is_noticed_where_no_connection_tells_of_it(
    server: Lynse, stream: Stream | None
) -> None:
    with (
        an_index(server) as (client, _),
        LynseClient(server.url, database="app", api_key=KEY, transport=Behind(stream)) as other,
    ):
        index = other.index("docs")
        index.upsert(ones("a0", "a1"))
        # In another second than it was started in.
        time.sleep(1.1)
        lose(server, client, "a1#0")
        for _ in range(2):
            with pytest.raises(IndexDamagedError, match=r"'a1' that was written is gone|had 2"):
                index.info()


def test_rows_that_are_gone_are_not_noted_away(server: Lynse) -> None:
    with an_index(server) as (client, index):
        index.upsert(ones("a0", "a1", "a2"))
        lose(server, client, "a1#0")
        for _ in range(2):
            with pytest.raises(IndexDamagedError, match="it has 2 rows and had 3"):
                run(note_rows(client._connection.io(), ("app", "docs")))


@pytest.mark.parametrize(("is_written", "is_told"), [(False, True), (True, True), (True, False)])
def test_an_index_of_another_kind_becomes_what_a_snapshot_has(
    server: Lynse, is_written: bool, is_told: bool
) -> None:
    """Its metric, its dimensions, its metadata indexes."""
    snapshot = str(server.folder / "snapshot")
    with an_index(server) as (client, _), opened(server) as other:
        whole = {"year": "number", "lang": "string"}
        client.indexes().create_index(
            "whole", dimensions=64, metric="euclidean", metadata_indexes=whole
        )
        index = client.index("whole")
        long = np.ones(64, np.float32)

        def hits(one: Index, given: dict[str, object]) -> set[tuple[str, float]]:
            return {(hit.id, hit.score) for hit in one.query(long, top_k=5, filter=given)}

        index.upsert([Vector(f"a{n}", n * long, None, {"lang": "en", "year": n}) for n in range(3)])
        client.collection("whole").snapshot_collection(snapshot)
        client.index("docs").create_metadata_index("lang", "string")
        if is_written:
            client.index("docs").upsert([Vector("old", ONES, None, {"lang": "en"})])
        if is_told:
            client.collection("docs").restore_collection(snapshot, overwrite=True)
        else:
            # As if the client had ended before it had the answer.
            io, at = client._connection.io(), ("app", "docs")
            header = run(read_header(io, at))
            assert header is not None
            run(describe(io, at, header.in_doubt()))
            ask(server, "/restore_collection", snapshot_path=snapshot, overwrite=True)
        for _ in range(2):
            again = other.index("docs")
            assert again.list_metadata_indexes() == index.list_metadata_indexes()
            assert again.get([*again.list_ids()]) == index.get([*index.list_ids()])
            for given in ({"year": {"$lt": 2}}, {"lang": "en"}, {"year": 2, "lang": "en"}):
                assert hits(again, given) == hits(index, given) != set()
            again.upsert([Vector("a0", long, None, {"lang": "de", "year": 9})])
            index.upsert([Vector("a0", long, None, {"lang": "de", "year": 9})])


def test_what_is_imported_into_an_index_was_exported_from_such_a_one(server: Lynse) -> None:
    path = str(server.folder / "exported")
    with an_index(server) as (client, _), opened(server) as other:
        for name, columns in (
            ("from", {"lang": "string", "year": "number"}),
            ("same", {"lang": "string", "year": "number"}),
            ("other", {"author": "string", "lang": "string"}),
            ("fewer", {"lang": "string"}),
        ):
            client.indexes().create_index(
                name,
                dimensions=32,
                metric="cosine",
                metadata_indexes=columns,
                record_layout=False,
            )
            client.index(name).upsert([Vector("a", ONES, "space", {"lang": "en", "year": 1})])
        client.index("from").upsert([Vector("b", -ONES, None, {"lang": "de", "text": "words"})])
        client.index("from").delete(["a"])
        client.collection("from").export_collection(path)
        client.collection("same").import_collection(path, overwrite=True)
        for name in ("other", "fewer", "docs"):
            with pytest.raises(ConfigurationError, match="create it as the index was"):
                client.collection(name).import_collection(path, overwrite=True)
            with pytest.raises(ConfigurationError, match="is no index"):
                other.index(name).query(ONES, top_k=1)
        server.restart()
        same = other.index("same")
        assert same.get([*same.list_ids()]) == client.index("from").get(["b"])
        assert [one.id for one in same.query(ONES, filter={"lang": "de"})] == ["b"]


def test_a_refused_restore_changes_nothing(server: Lynse) -> None:
    with an_index(server) as (client, index):
        index.upsert(ones("a", "b"))
        raw = client.collection("docs")
        before = raw.get_collection_config().description
        for call in (raw.restore_collection, raw.import_collection):
            for overwrite in (False, True):
                with pytest.raises((BadRequestError, IndexExistsError)):
                    call("/no/such/place", overwrite=overwrite)
                assert raw.get_collection_config().description == before


def test_a_deleted_metadata_index_does_not_come_back(server: Lynse, tmp_path: Path) -> None:
    with an_index(server) as (_, index):
        index.create_metadata_index("lang", "string")
        index.create_metadata_index("year", "number")
        index.upsert([Vector("a", ONES, None, {"lang": "en", "year": 1})])
        index.delete_metadata_index("lang")
        server.kill()
        (tmp_path / "data/app/collections.json").unlink()
        server.start(int(server.url.rpartition(":")[2]))
        (left,) = index.list_metadata_indexes()
        assert left.property_name == "year"
