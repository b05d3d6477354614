"""A process that moves records is killed at any moment, and the same call ends what it began."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from tests.moving.places import needs, vectors_in
from tests.nightly import sized
from tests.stores import client_of, recorded, vector
from vectorize_core import (
    CheckpointMismatchError,
    Index,
    InvalidInputError,
    SqliteTexts,
    StorageError,
    Vector,
    VectorizeClient,
)
from vectorize_core.api.scan import ScanVectors
from vectorize_core.layout import Record
from vectorize_core.moving import (
    Item,
    copy_records,
    departing,
    export_records,
    import_records,
    pages,
    verify_records,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
COUNT = 60
EVENTS = ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departing, "_SCANNED", 7)
    monkeypatch.setattr(departing, "_READ", 7)
    monkeypatch.setattr(pages, "_MOST", 7)


def items() -> list[Item]:
    text = "a long text " * 1_000
    return [
        Item(Record(f"{n}", text + str(n) if n % 9 == 0 else str(n), {"n": n}), vector(str(n)))
        for n in range(COUNT)
    ]


def die_at(moment: int, folder: Path) -> None:
    """Kill this process when it does something to a file in a folder for the nth time."""
    left = moment

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event in EVENTS and str(args[0]).startswith(str(folder)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(move: Callable[[], object], moment: int, folder: Path) -> bool:
    """Whether a process was killed at that moment; otherwise its move has come to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            die_at(moment, folder)
            move()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return status != 0


Source = Callable[..., AbstractContextManager[Index]]
"""Opens an index, in any process."""


@contextmanager
def index_in(folder: Path) -> Iterator[Index]:
    with VectorizeClient.local(folder) as client:
        yield client.index("docs")


@contextmanager
def source_in(where: str, folder: Path) -> Iterator[Source]:
    """An index of all items, with their long texts in the folder."""
    texts = SqliteTexts(folder)
    if where == "embedded":
        with index_in(folder) as index:
            import_records(items(), index)
        yield partial(index_in, folder)
        return
    with client_of("server") as client:
        import_records(items(), client.index("docs"), create_index=True, texts=texts)

        @contextmanager
        def over() -> Iterator[Index]:
            there = client.connection.address
            with VectorizeClient(there.account_id, base_url=there.base_url) as another:
                yield another.index("docs")

        yield over


@pytest.mark.parametrize("where", ["embedded", "server"])
@pytest.mark.parametrize("ending", ["ndjson.gz", "parquet", "jsonl"])
@pytest.mark.covering(1)
@pytest.mark.parametrize("seed", range(sized(1, 20)))
def test_an_export_goes_on(tmp_path: Path, where: str, ending: str, seed: int) -> None:
    needs(ending)
    chance = Random(seed)
    texts, out = SqliteTexts(tmp_path / "from"), tmp_path / "out"
    out.mkdir()
    file = out / f"docs.{ending}"
    with source_in(where, tmp_path / "from") as source:
        with source() as index:
            whole = export_records(index, tmp_path / f"whole.{ending}", texts=texts)

        def move() -> None:
            with source() as index:
                export_records(index, file, texts=texts)

        kills = 0
        while killed(move, chance.randint(3, 40), out):
            kills += 1
        assert kills
        with source() as index:
            assert verify_records(file, index, texts=texts) == whole
    left = [file.name, f"docs.texts.{ending}", f"{file.name}.manifest.json"]
    assert sorted(os.listdir(out)) == sorted(left)


@pytest.mark.parametrize("seed", range(sized(1, 20)))
def test_an_import_and_a_copy_go_on(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    with source_in("embedded", tmp_path / "from") as source:
        with source() as index:
            whole = export_records(index, tmp_path / "docs.ndjson")

        def move() -> None:
            with index_in(tmp_path / "imported") as target:
                import_records(tmp_path / "docs.ndjson", target)

        def copy() -> None:
            with source() as index, index_in(tmp_path / "copied") as target:
                copy_records(index, target, resume=tmp_path / "copy.json")

        for again, name in ((move, "imported"), (copy, "copied")):
            kills = 0
            # What is done to the files of the directory itself counts, too.
            while killed(again, chance.randint(10, 60) if kills else 15, tmp_path):
                kills += 1
            assert kills
            with index_in(tmp_path / name) as target:
                assert verify_records(tmp_path / "docs.ndjson", target) == whole
                assert target.count() == COUNT
    assert [*tmp_path.glob("*.json")] == [tmp_path / "docs.ndjson.manifest.json"]


def broken_off(at: int) -> Callable[[int, int | None], None]:
    def stop(done: int, total: int | None) -> None:
        if done >= at:
            raise InterruptedError

    return stop


def test_what_was_moved_is_not_moved_again(tmp_path: Path) -> None:
    file, texts = tmp_path / "docs.ndjson", SqliteTexts()
    with source_in("embedded", tmp_path / "from") as source, VectorizeClient.local() as client:
        with source() as index, pytest.raises(InterruptedError):
            export_records(index, file, on_progress=broken_off(40))
        with VectorizeClient.local(tmp_path / "from") as again:
            read = recorded(again)
            export_records(again.index("docs"), file)
            assert len(read.of(ScanVectors)) == 3
        written = recorded(client)
        for progress in (broken_off(40), None):
            with suppress(InterruptedError):
                import_records(file, client.index("docs"), texts=texts, on_progress=progress)
            assert 40 < sum(map(len, written.writes)) <= COUNT
        assert client.index("docs").count() == COUNT


def test_notes_are_of_one_move(tmp_path: Path) -> None:
    file, texts = tmp_path / "docs.ndjson", SqliteTexts()
    with (
        source_in("embedded", tmp_path / "from") as source,
        source() as index,
        VectorizeClient.local() as client,
    ):
        with pytest.raises(InterruptedError):
            export_records(index, file, on_progress=broken_off(40))
        with pytest.raises(CheckpointMismatchError, match="its filter is None, not"):
            export_records(index, file, filter={"n": 1}, unindexed="scan")
        export_records(index, file)
        target = client.index("docs")
        with pytest.raises(InterruptedError):
            import_records(file, target, texts=texts, on_progress=broken_off(40))
        client.delete_index("docs")
        client.create_index("docs", dimensions=32)
        with pytest.raises(CheckpointMismatchError, match="another index 'docs'"):
            import_records(file, target, texts=texts)
        (notes,) = tmp_path.glob("*.importing.json")
        file.write_bytes(file.read_bytes() + b"\n")
        with pytest.raises(CheckpointMismatchError, match="its bytes is"):
            import_records(file, target, texts=texts)
        torn = orjson.dumps({**orjson.loads(notes.read_bytes()), "bytes": file.stat().st_size})
        odd = torn.replace(b'"tally"', b'"tell"'), torn.replace(b'"total":"', b'"total":"?')
        odd += (
            torn.replace(b'"records":', b'"records":null,"were":'),
            torn.replace(b"[0,0]", b"[0]"),
            torn.replace(b'"records":', b'"records":9300000000000000000,"were":'),
            torn.replace(b'"total":"', b'"total":"-'),
            torn.replace(b'"total":"', b'"total":"1'),
            torn.replace(b'"total":"', b'"total":"11'),
        )
        for content in (b"{cut", b"[]", b"a text of mine", *odd):
            notes.write_bytes(content)
            with pytest.raises(InvalidInputError, match="does not say how far a move is"):
                import_records(file, target, texts=texts)
            assert notes.read_bytes() == content
        notes.write_bytes(b"\0" * 100)
        assert import_records(file, target, texts=texts, verify=True).records == COUNT
        with pytest.raises(InvalidInputError, match="resume"):
            import_records(file, target, texts=texts, resume="")


def test_a_compaction_lets_an_export_begin_anew(tmp_path: Path) -> None:
    file = tmp_path / "docs.ndjson"
    with VectorizeClient.local(tmp_path / "from") as client:
        client.create_index("docs", dimensions=32)
        index = client.index("docs")
        vectors = [Vector(f"{n}", vector(f"{n}")) for n in range(COUNT)]
        index.upsert(vectors)
        index.upsert(vectors[:30])
        compacted: list[int] = []

        def compact(done: int, total: int | None) -> None:
            if not compacted:
                executor: Any = client.connection.executor
                compacted.append(executor.service.compact())

        moved = export_records(index, file, on_progress=compact)
        assert compacted == [30]
        assert moved.records == COUNT
        assert verify_records(file, index) == moved


def test_what_is_written_meanwhile_is_exported_as_it_is_in_the_end(tmp_path: Path) -> None:
    file = tmp_path / "docs.ndjson"
    with VectorizeClient.local(tmp_path / "from") as client, VectorizeClient.local() as other:
        client.create_index("docs", dimensions=32)
        index = client.index("docs")
        index.upsert([Vector(f"{n}", vector(f"{n}")) for n in range(COUNT)])

        def write(done: int, total: int | None) -> None:
            if done == 14:
                index.upsert([Vector(f"{n}", vector("new")) for n in (0, 50, COUNT)])

        export_records(index, file, on_progress=write)
        import_records(file, other.index("docs"), verify=True)
        assert verify_records(file, index).records == COUNT + 2
        assert vectors_in(other.index("docs")) == vectors_in(index)


def test_a_listing_that_is_lost_or_not_as_it_was_is_made_again(tmp_path: Path) -> None:
    texts, file = SqliteTexts(tmp_path / "from"), tmp_path / "docs.ndjson"
    listing, notes = tmp_path / "docs.ndjson.partial.ids", tmp_path / "docs.ndjson.partial.json"
    cursors = "", "soon", "-1", "1_0", "１０", "1", "9" * 18, "9" * 5_000
    changes: list[tuple[Path, bytes | None]] = [(listing, None), (listing, b"7\n" * 1_000)]
    with source_in("server", tmp_path / "from") as source, source() as index:
        with pytest.raises(InterruptedError):
            export_records(index, file, texts=texts, on_progress=broken_off(40))
        noted = orjson.loads(notes.read_bytes())
        noted["progress"]["marks"] = [0, 0]
        for cursor in cursors:
            noted["progress"]["cursor"] = cursor
            changes.append((notes, orjson.dumps(noted)))
        for changed, content in changes:
            with pytest.raises(InterruptedError):
                export_records(index, file, texts=texts, on_progress=broken_off(40))
            changed.unlink()
            if content is not None:
                changed.write_bytes(content)
            assert export_records(index, file, texts=texts, verify=True).records == COUNT


def test_a_copy_from_a_server_goes_on_with_its_listing(tmp_path: Path) -> None:
    texts, notes = SqliteTexts(tmp_path / "from"), tmp_path / "copy.json"
    with source_in("server", tmp_path / "from") as source, source() as index:
        with index_in(tmp_path / "to") as target:
            with pytest.raises(InterruptedError):
                copy_records(index, target, texts=texts, resume=notes, on_progress=broken_off(40))
            assert (tmp_path / "copy.json.ids").exists()
            moved = copy_records(index, target, texts=texts, resume=notes, verify=True)
        assert moved.records == COUNT
    assert not list(tmp_path.glob("copy.json*"))


def test_one_call_at_a_time_does_a_move(tmp_path: Path) -> None:
    file, texts = tmp_path / "docs.ndjson", SqliteTexts(tmp_path / "from")
    with source_in("embedded", tmp_path / "from") as source, source() as index:
        target = VectorizeClient.local().index("docs")
        children = []

        def again(done: int, total: int | None) -> None:
            if done == 14:
                for move in moves:
                    with pytest.raises(StorageError, match="another call does the same move"):
                        move()
                child = os.fork()
                if child == 0:
                    # A process that was forked meanwhile does not hold it.
                    signal.alarm(60)
                    signal.pause()
                children.append(child)

        for move in (
            partial(export_records, index, file),
            partial(import_records, file, target, texts=texts),
            partial(copy_records, index, target, to_texts=texts, resume=tmp_path / "copy.json"),
        ):
            moves = [move]
            assert move(on_progress=again).records == COUNT
            assert move().records == COUNT
            child = children.pop()
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert verify_records(file, index).records == COUNT
    assert not list(tmp_path.glob("*.lock"))
