"""What holds of moves whatever the records: lines, digests, positions, memory, the event loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.blocking import watched
from tests.executors import Open
from tests.kinds import LANGCHAIN
from tests.moving.places import LONG, index_of, needs, store_in, vectors_in
from tests.nightly import examples
from tests.stores import client_of, vector
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    RecordRefusedError,
    SqliteTexts,
    Vector,
    VectorizeClient,
    VectorizeError,
    layout,
    moving,
)
from vectorize_core.layout import Record
from vectorize_core.local import Service, ServiceFault
from vectorize_core.models import IndexConfig
from vectorize_core.moving import (
    Item,
    compression,
    copy_records,
    departing,
    export_records,
    formats,
    import_records,
    line,
    pages,
    reading,
)
from vectorize_core.moving.parcel import Parcel, Tally, digest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
values = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4
)
vectors = st.builds(
    Vector, texts, values, st.none() | texts, st.none() | st.dictionaries(texts, json_values)
)


@examples(20)
@given(st.lists(vectors, max_size=6), st.sampled_from(["", "gz", "zst"]), st.integers(1, 40))
def test_lines_hold_any_vector_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, given: list[Vector], by: Any, at_once: int
) -> None:
    needs(by)
    folder = tmp_path_factory.mktemp("lines")
    place = formats.place(folder / ("docs.ndjson" + (f".{by}" if by else "")))
    lines = b"".join(line.vector_line(v) + b"\n" for v in given)
    half = len(lines) // 2
    members = [compression.member(part, by) for part in (lines[:half], lines[half:])]
    place.path.write_bytes(b"".join(members))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compression, "_READ_AT_ONCE", at_once)
        found = [parcel.vector for parcel in reading.parcels(place)]
    assert found == given
    assert [digest(v) for v in found] == [digest(v) for v in given]


@examples(20)
@given(st.lists(vectors, max_size=6, unique_by=lambda v: v.id), st.randoms(use_true_random=False))
def test_a_tally_is_of_records_in_any_order(given: list[Vector], chance: Any) -> None:
    one, other = Tally(), Tally()
    one.add(Parcel(v) for v in given)
    chance.shuffle(given)
    other.add(Parcel(v) for v in given)
    assert one == other
    for one_of in given:
        changed = Vector(one_of.id, one_of.values, one_of.namespace, {**(one_of.metadata or {})})
        assert digest(changed) == digest(one_of)
        changed.values = changed.values.copy()
        changed.values.view(np.uint8)[0] ^= 1
        assert digest(changed) != digest(one_of)
        assert digest(Vector(one_of.id + "x", one_of.values, one_of.namespace)) != digest(one_of)


def test_a_digest_is_of_the_record_and_not_of_the_place() -> None:
    record = Record("a", None, {"year": 1}, ref="doc", text_name="vs-1-abc")
    there = Vector("a", [1.0], None, layout.encode(record, indexed=layout.METADATA_INDEXES))
    record.text_name = "vs-2-abc"
    here = Vector("a", [1.0], None, layout.encode(record))
    assert digest(here) == digest(there)
    record.text_name = "vs-2-abd"
    assert digest(Vector("a", [1.0], None, layout.encode(record))) != digest(here)


def test_a_record_has_its_position_in_the_whole_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: VectorizeClient
) -> None:
    monkeypatch.setattr(pages, "_MOST", 7)
    client.create_index("docs", dimensions=32)
    items = [Item(Record(f"{n}", f"{n}"), vector(f"{n}")) for n in range(20)]
    items[16] = Item(Record("16", "t", {"a": "x" * 10_300}), vector("16"))
    with pytest.raises(Exception, match="position 16, record '16'"):
        import_records(items, client.index("docs"))
    refused = client.connection.executor

    class Refusing(Open):
        def send(self, op: Any) -> Any:
            if any(v.id == "9" for v in getattr(op, "vectors", ())):
                raise _refusal(op)
            return refused.send(op)

        close = refused.close

    client.connection.executor = Refusing()  # type: ignore[assignment]
    with pytest.raises(Exception, match="'9', position 9") as caught:
        import_records(items[:12], client.index("docs"))
    cause = caught.value.__cause__
    assert isinstance(cause, RecordRefusedError)
    assert cause.position == 9
    assert client.index("docs").count() == 14


def _refusal(op: Any) -> Exception:
    from vectorize_core.errors import ApiMessage, error_from_answer

    return error_from_answer(str(op), 400, (ApiMessage(40006, "not this one"),))


def test_few_long_texts_are_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departing, "_TEXTS", 3)
    with store_in(LANGCHAIN, tmp_path / "a") as store, LANGCHAIN.local() as other:
        store.add_texts([f"{n}{LONG}" if n % 2 else f"{n}" for n in range(30)])
        held: list[int] = []
        original = departing.outside

        async def outside(io: Any, store: Any, vectors: Any) -> dict[str, str]:
            found = await original(io, store, vectors)
            held.append(len(found))
            return found

        with monkeypatch.context() as patched:
            patched.setattr(departing, "outside", outside)
            assert export_records(store, tmp_path / "docs.ndjson").texts == 15
        assert held == [3] * 5
        assert import_records(tmp_path / "docs.ndjson", other, verify=True).records == 30


def test_no_index_is_copied_into_itself(tmp_path: Path) -> None:
    with (
        VectorizeClient.local(tmp_path) as one,
        VectorizeClient.local(tmp_path) as again,
        VectorizeClient.local() as memory,
        VectorizeClient.local() as another,
    ):
        for client in (one, memory):
            client.create_index("docs", dimensions=32)
            client.index("docs").upsert([Vector("a", vector("a"), "n"), Vector("b", vector("b"))])
        for source, target, options in (
            (one, one, {}),
            (one, again, {}),
            (memory, memory, {}),
            (one, one, {"namespace": "n"}),
            (one, one, {"namespace": "n", "to_namespace": "n"}),
            # The record would be gone from its own namespace, since ids are of the whole index.
            (one, again, {"namespace": "n", "to_namespace": "m"}),
        ):
            with pytest.raises(InvalidInputError, match="not copied into itself"):
                copy_records(source.index("docs"), target.index("docs"), **options)
        assert {v.namespace for v in vectors_in(one.index("docs")).values()} == {"n", None}
        assert copy_records(memory.index("docs"), another.index("docs")).records == 2


async def test_nothing_blocks_the_event_loop(tmp_path: Path) -> None:
    file = tmp_path / "docs.ndjson.gz"
    with (
        client_of("server") as client,
        LANGCHAIN.over(client, texts=SqliteTexts(tmp_path)) as store,
        store_in(LANGCHAIN, tmp_path / "b", text_index=True) as other,
    ):
        store.add_texts([LONG, "short"], ids=["a", "b"])
        for make in (
            lambda: moving.aexport_records(store, file, verify=True),
            lambda: moving.aimport_records(file, other, verify=True),
            lambda: moving.averify_records(file, other),
            lambda: moving.acopy_records(store, other, verify=True, resume=tmp_path / "notes"),
            lambda: moving.acopy_records(other, store),
            lambda: moving.acopy_records(store, other),
            lambda: moving.aexport_records(index_of(other), file, verify=True),
            lambda: moving.aimport_records([Item(Record("c", LONG), vector("c"))], index_of(other)),
        ):
            with watched() as seen:
                await make()
            assert seen == []


def test_wrong_arguments_are_named(tmp_path: Path, client: VectorizeClient) -> None:
    client.create_index("docs", dimensions=32)
    index, file = client.index("docs"), tmp_path / "docs.ndjson"
    with pytest.raises(TypeError, match="did you mean 'filter'"):
        export_records(index, file, where={})  # type: ignore[call-arg]
    with pytest.raises(ConfigurationError, match="texts is a TextStore, False or None"):
        export_records(index, file, texts="there")  # type: ignore[arg-type]
    for name, wrong in (("verify", 1), ("show_progress", "yes"), ("on_progress", 3)):
        with pytest.raises(InvalidInputError, match=name):
            export_records(index, file, **{name: wrong})
    assert not file.exists()
    for indexes in (["kind"], {"kind": "text"}, {"_vs_ref": "number"}):
        with pytest.raises(InvalidInputError, match=r"metadata[ _]index"):
            import_records([], index, metadata_indexes=indexes)  # type: ignore[arg-type]
    good = Item(Record("a", "a text"), vector("a"))
    for wrong in (
        {"id": "a", "values": vector("a")},
        b"docs.ndjson",
        replace(good, values=None),
        replace(good, record=Record("a", 5)),  # type: ignore[arg-type]
        replace(good, record=Record("a", "a text", ["year"])),  # type: ignore[arg-type]
    ):
        items = wrong if isinstance(wrong, bytes) else [good, wrong]
        position = 0 if isinstance(wrong, bytes) else 1
        with pytest.raises(VectorizeError, match=f"position {position}"):
            import_records(items, index)  # type: ignore[arg-type]


def scanned(service: Service, count: int, **options: Any) -> Iterator[tuple[Vector, ...]]:
    cursor = None
    while True:
        found, cursor = service.scan("docs", count=count, cursor=cursor, **options)
        yield found
        if cursor is None:
            return


def test_a_scan_reads_every_vector_once() -> None:
    service = Service()
    service.create_index("docs", IndexConfig(32))
    assert [*scanned(service, 5)] == [()]
    names = {f"{n}": "n" if n % 3 else None for n in range(20)}
    service.upsert("docs", [Vector(i, vector(i), space) for i, space in names.items()])
    service.delete_by_ids("docs", ["3", "4"])
    service.upsert("docs", [Vector("0", vector("new"), None, {"a": [1]})])
    found = [v for page in scanned(service, 5) for v in page]
    assert sorted(v.id for v in found) == sorted(names.keys() - {"3", "4"})
    assert found[-1] == Vector("0", vector("new"), None, {"a": [1]})
    assert {v.id for page in scanned(service, 5, namespace="n") for v in page} == {
        i for i in names.keys() - {"4"} if names[i]
    }
    _, cursor = service.scan("docs", count=5)
    service.compact("docs")
    for unknown in (cursor, "1-0", "", "1-0-x", "9-0-0"):
        with pytest.raises(ServiceFault, match="cursor"):
            service.scan("docs", count=5, cursor=unknown)
    service.close()


def test_a_scan_finds_damage_in_its_own_namespace(tmp_path: Path) -> None:
    with VectorizeClient.local(tmp_path) as client:
        client.create_index("docs", dimensions=32)
        client.index("docs").upsert([Vector("a", vector("a"), "n"), Vector("b", vector("b"), "m")])
    (values_file,) = [f for f in tmp_path.rglob("*") if f.is_file() and _holds(f, vector("b"))]
    content = bytearray(values_file.read_bytes())
    content[content.index(np.array(vector("b"), "<f4").tobytes())] ^= 1
    values_file.write_bytes(content)
    with VectorizeClient.local(tmp_path) as client:
        index = client.index("docs")
        assert export_records(index, tmp_path / "n.ndjson", namespace="n").records == 1
        with pytest.raises(Exception, match="the values of id 'b'"):
            export_records(index, tmp_path / "m.ndjson", namespace="m")


def _holds(file: Path, given: list[float]) -> bool:
    return np.array(given, "<f4").tobytes() in file.read_bytes() and file.suffix != ".ndjson"


def test_a_record_without_metadata_is_one_too(client: VectorizeClient, tmp_path: Path) -> None:
    client.create_index("docs", dimensions=32)
    client.index("docs").upsert([Vector("a", vector("a"))])
    export_records(client.index("docs"), tmp_path / "docs.ndjson")
    assert json.loads((tmp_path / "docs.ndjson").read_bytes()).keys() == {"id", "values"}
