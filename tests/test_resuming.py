"""``resume=`` goes on in the index that was written to, with the records it was written with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.kinds import LANGCHAIN, LLAMA_INDEX, Kind, Row, both_stores
from tests.stores import Call, Recorder, both_ways, recorded
from vectorize_core import (
    CheckpointMismatchError,
    InvalidInputError,
    PartialWriteError,
    RetryPolicy,
    Vector,
    VectorizeClient,
)
from vectorize_core.local.server import BackgroundServer, Settings

pytestmark = pytest.mark.covering(2)

ROWS: list[Row] = [(f"id-{n}", f"text {n}", {"n": n, "tags": {"x", "y", n}}) for n in range(40)]
BATCH = 5
by_both = pytest.mark.parametrize("by", ["file", "error"])


@dataclass
class Half:
    """A store, the half of `ROWS` that was written, and what continues that."""

    kind: Kind
    call: Call
    by: str
    path: Path
    client: VectorizeClient = field(default_factory=VectorizeClient.local)
    resume: Any = None

    @property
    def store(self) -> Any:
        return self.kind.make(
            client=self.client, index_name="docs", create_index=True, batch_size=BATCH
        )

    async def write(self) -> None:
        resume = {"resume": self.path} if self.by == "file" else {}
        with pytest.raises(PartialWriteError) as caught:
            await self.kind.add_rows(self.call, self.store, self.broken(), **resume)
        assert len(caught.value.written) == 20
        self.resume = self.path if self.by == "file" else caught.value

    def broken(self) -> Iterator[Row]:
        yield from ROWS[:20]
        raise OSError("the input is gone")

    async def refused(self, said: str, rows: list[Row] | None = None, **options: Any) -> str:
        """What the refusal says; nothing was embedded or sent."""
        sent, store = recorded(self.client), self.store
        given = ROWS if rows is None else rows
        with pytest.raises(CheckpointMismatchError, match=said) as caught:
            await self.kind.add_rows(self.call, store, given, resume=self.resume, **options)
        assert isinstance(caught.value, InvalidInputError)
        assert sent.changes == []
        if self.kind is LANGCHAIN:
            assert store.embeddings.batches == []
        self.client.connection.executor = sent._executor
        return str(caught.value)


@pytest.fixture(params=["file", "error"])
def half(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made: list[Half] = []

    async def make(kind: Kind, call: Call, client: VectorizeClient | None = None) -> Half:
        options = {} if client is None else {"client": client}
        made.append(Half(kind, call, request.param, tmp_path / "checkpoint", **options))
        await made[-1].write()
        return made[-1]

    yield make
    for one in made:
        one.client.close()


@both_ways
@both_stores
async def test_what_was_begun_before_the_index_existed_goes_on(
    half: Any, kind: Kind, call: Call
) -> None:
    begun = await half(kind, call)
    ids = await kind.add_rows(call, begun.store, ROWS, resume=begun.resume)
    assert ids == [row[0] for row in ROWS]
    assert begun.client.index("docs").info().vector_count == 40
    assert not begun.path.exists()


@both_ways
@both_stores
@pytest.mark.parametrize("again", [True, False], ids=["created again", "deleted"])
async def test_an_index_that_was_created_again_is_another_one(
    half: Any, kind: Kind, call: Call, again: bool
) -> None:
    begun = await half(kind, call)
    begun.client.delete_index("docs")
    if again:
        begun.client.create_index("docs", dimensions=32)
    said = await begun.refused("of a write to another index 'docs'")
    assert ("leave out resume=" in said) == (begun.by == "error")
    assert ("delete the file" in said) == (begun.by == "file")


@both_ways
@both_stores
@pytest.mark.covering(2)
@pytest.mark.parametrize("also", ["same name", "same time"])
async def test_a_directory_is_not_another_one(
    half: Any, kind: Kind, call: Call, also: str, tmp_path: Path
) -> None:
    one = VectorizeClient.local(tmp_path / "one")
    begun = await half(kind, call, one)
    one.close()
    begun.client = VectorizeClient.local(tmp_path / "two")
    if also == "same name":
        begun.client.create_index("docs", dimensions=32)
    said = await begun.refused("not in the directory")
    assert str(tmp_path / "one") in said
    assert str(tmp_path / "two") in said
    begun.client.close()
    # In a new process the same directory is the same place.
    begun.client = VectorizeClient.local(tmp_path / "one")
    await kind.add_rows(call, begun.store, ROWS, resume=begun.resume)
    assert begun.client.index("docs").info().vector_count == 40


@by_both
@pytest.mark.parametrize(
    ("when", "known"),
    [
        ("gone meanwhile", True),
        ("gone meanwhile", False),
        ("anew meanwhile", True),
        ("anew later", True),
        ("anew later", False),
    ],
)
def test_what_an_index_lost_is_not_taken_for_written(
    by: str, when: str, known: bool, tmp_path: Path
) -> None:
    """Another client deletes it, and makes it anew; this one may have known it before it wrote."""
    vectors = [Vector(f"{n}", [1.0 + n] * 32) for n in range(20)]
    path = tmp_path / "checkpoint"
    with (
        VectorizeClient.local(tmp_path / "data") as other,
        VectorizeClient.local(tmp_path / "data") as client,
    ):
        other.create_index("docs", dimensions=32)
        index = client.index("docs")
        if known:
            index.details()

        def broken() -> Iterator[Vector]:
            yield from vectors[:10]
            if "meanwhile" in when:
                other.delete_index("docs")
            if when == "anew meanwhile":
                other.create_index("docs", dimensions=32)
            yield from vectors[10:15]
            raise OSError("the input is gone")

        resume = {"resume": path} if by == "file" else {}
        with pytest.raises(PartialWriteError) as caught:
            index.upsert(broken(), batch_size=5, concurrency=1, **resume)  # type: ignore[arg-type]
        if when == "anew later":
            other.delete_index("docs")
        if when != "anew meanwhile":
            other.create_index("docs", dimensions=32)
        recorder: Recorder = recorded(client)
        with pytest.raises(CheckpointMismatchError):
            index.upsert(vectors, resume=path if by == "file" else caught.value)
        assert recorder.changes == []


def test_a_file_is_not_removed_if_the_index_was_made_anew_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with (
        VectorizeClient.local(tmp_path / "data") as other,
        VectorizeClient.local(tmp_path / "data") as client,
    ):
        other.create_index("docs", dimensions=32)

        def vectors() -> Iterator[Vector]:
            for n in range(20):
                if n == 10:
                    other.delete_index("docs")
                    other.create_index("docs", dimensions=32)
                yield Vector(f"{n}", [1.0 + n] * 32)

        with pytest.raises(CheckpointMismatchError, match="write to another index"):
            client.index("docs").upsert(vectors(), batch_size=5, concurrency=1, resume=path)
        assert path.exists()


@both_ways
@both_stores
async def test_the_order_of_keys_is_no_content(half: Any, kind: Kind, call: Call) -> None:
    begun = await half(kind, call)
    rows = [(i, text, dict(reversed(metadata.items()))) for i, text, metadata in ROWS]
    await kind.add_rows(call, begun.store, rows, resume=begun.resume)
    assert begun.client.index("docs").info().vector_count == 40


@pytest.mark.parametrize(
    "line", [b'{"at":0,"digests":[-1]}', b'{"at":4611686018427387904,"digests":[1]}', b"[]"]
)
def test_a_file_with_lines_of_another_program_is_refused(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)

        def broken() -> Iterator[Vector]:
            yield Vector("a", [1.0] * 32)
            raise OSError("the input is gone")

        with pytest.raises(OSError, match="the input is gone"):
            client.index("docs").upsert(broken(), resume=path)
        path.write_bytes(path.read_bytes() + line + b"\n")
        with pytest.raises(InvalidInputError, match="not a checkpoint"):
            client.index("docs").upsert([Vector("a", [1.0] * 32)], resume=path)


CHANGES: dict[str, Any] = {
    "text": lambda row: (row[0], "another text", row[2]),
    "metadata": lambda row: (row[0], row[1], {**row[2], "n": -1}),
    "more metadata": lambda row: (row[0], row[1], {**row[2], "more": None}),
    "id": lambda row: ("another id", row[1], row[2]),
}


@both_ways
@both_stores
@pytest.mark.parametrize("change", CHANGES)
async def test_other_records_under_the_same_ids_are_refused(
    half: Any, kind: Kind, call: Call, change: str
) -> None:
    begun = await half(kind, call)
    rows = [*ROWS]
    rows[7] = CHANGES[change](rows[7])
    said = await begun.refused("another input: its record 7", rows)
    assert change == "id" or "id-7" in said
    # What was not written yet may be another.
    rows = [*ROWS]
    rows[30] = CHANGES[change](rows[30])
    await kind.add_rows(call, begun.store, rows, resume=begun.resume)


@both_ways
@both_stores
async def test_another_namespace_is_refused(half: Any, kind: Kind, call: Call) -> None:
    begun = await half(kind, call)
    await begun.refused("another input: its record 0", namespace="another")


@both_ways
async def test_other_embeddings_under_the_same_ids_are_refused(half: Any, call: Call) -> None:
    begun = await half(LLAMA_INDEX, call)
    given = [LLAMA_INDEX.item(row) for row in ROWS]
    given[7].embedding = [1.0] * 32
    with pytest.raises(CheckpointMismatchError, match="its record 7"):
        await call(begun.store, "add", given, resume=begun.resume)


@by_both
@pytest.mark.parametrize("change", ["values", "metadata", "namespace", "index"])
def test_vectors_are_recognised_by_their_contents(by: str, change: str, tmp_path: Path) -> None:
    with VectorizeClient.local(retry=RetryPolicy(write_deadline=0)) as client:
        client.create_index("docs", dimensions=32)
        index = client.index("docs")
        vectors = [Vector(f"{n}", [1.0 + n] * 32, None, {"n": n}) for n in range(20)]

        def broken() -> Iterator[Vector]:
            yield from vectors[:10]
            raise OSError("the input is gone")

        path = tmp_path / "checkpoint"
        with pytest.raises(PartialWriteError) as caught:
            index.upsert(broken(), batch_size=5, **({"resume": path} if by == "file" else {}))  # type: ignore[arg-type]
        resume = path if by == "file" else caught.value
        changed = [*vectors]
        if change == "index":
            client.delete_index("docs")
            client.create_index("docs", dimensions=32)
        else:
            more = {"values": [5.0] * 32} if change == "values" else {}
            changed[3] = Vector(
                "3",
                more.get("values", [4.0] * 32),
                "another" if change == "namespace" else None,
                {"n": 0 if change == "metadata" else 3},
            )
        recorder: Recorder = recorded(client)
        with pytest.raises(CheckpointMismatchError):
            index.upsert(changed, resume=resume)
        assert recorder.changes == []
        if change != "index":
            assert len(index.upsert(vectors, batch_size=5, resume=resume)) == 2


@by_both
def test_a_server_on_this_machine_may_have_another_port(by: str, tmp_path: Path) -> None:
    resume: Any = None
    for round_ in range(2):
        with (
            BackgroundServer(Settings(data=str(tmp_path / "data"))) as server,
            VectorizeClient(base_url=server.base_url) as client,
        ):
            half = Half(LANGCHAIN, both_ways.args[1][0], by, tmp_path / "checkpoint", client)
            if round_ == 0:
                texts = (text for text in [*["text"] * 10, None])
                with pytest.raises(PartialWriteError) as caught:
                    half.store.add_texts(texts, resume=half.path if by == "file" else None)
                resume = half.path if by == "file" else caught.value
            else:
                assert len(half.store.add_texts(["text"] * 10, resume=resume)) == 10
                assert client.index("docs").info().vector_count == 10


def test_another_account_is_another_place(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    header = {
        "vectorize_checkpoint": 3,
        "index": "docs",
        "place": "the account one at https://api.cloudflare.com/client/v4",
        "seed": "0" * 32,
    }
    path.write_bytes(orjson.dumps(header) + b"\n")
    with (
        VectorizeClient("two", "token") as client,
        pytest.raises(
            CheckpointMismatchError, match=r"in the account one at .* not in the account two"
        ),
    ):
        client.index("docs").upsert([Vector("a", [1.0] * 32)], resume=path)


def test_a_file_of_an_earlier_version_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(b'{"vectorize_checkpoint":1,"index":"docs","seed":"' + b"0" * 32 + b'"}\n')
    with VectorizeClient.local() as client:
        client.create_index("docs", dimensions=32)
        with pytest.raises(CheckpointMismatchError, match=r"version 1.*Delete the file"):
            client.index("docs").upsert([Vector("a", [1.0] * 32)], resume=path)
