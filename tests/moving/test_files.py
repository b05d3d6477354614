"""Files of records: those that others wrote, and those in which something is wrong."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.kinds import LANGCHAIN
from tests.moving.places import ROWS, needs, store_in, vectors_in
from tests.stores import vector
from vectorize_core import (
    ConfigurationError,
    InvalidInputError,
    InvalidVectorError,
    RecordsDifferError,
    StorageError,
    Vector,
    VectorizeClient,
)
from vectorize_core.moving import (
    compression,
    copy_records,
    export_records,
    import_records,
    pages,
    parquet,
    read_pinecone,
    verify_records,
)

GOOD = json.dumps({"id": "a", "values": vector("a")})


@pytest.fixture
def target(client: VectorizeClient) -> Any:
    client.create_index("docs", dimensions=32)
    return client.index("docs")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (f"{GOOD}\n\n{{\n", r"docs\.ndjson: line 3: it is no JSON"),
        (f"{GOOD}\n{GOOD[:40]}", r"line 2: it is no JSON .*It has no end: was the file cut\?"),
        (f"[{GOOD}]", r"line 1: it is no JSON object but \["),
        ('{"id": 7, "values": [1]}', r'line 1: "id" is a string; got 7'),
        ('{"id": "a"}', r'"values" of \'a\' is a list of numbers; got None'),
        ('{"id": "a", "values": "none"}', r'"values" of \'a\' is a list of numbers'),
        ('{"id": "a", "values": [1, "x"]}', r"'a' is a list of numbers.*'x' .str. at position 1"),
        ('{"id": "a", "values": [1], "namespace": 1}', r'"namespace" of \'a\' is a string'),
        ('{"id": "a", "values": [1], "metadata": []}', r'"metadata" of \'a\' is an object'),
    ],
)
def test_a_line_that_is_no_vector_is_named(
    tmp_path: Path, target: Any, content: str, complaint: str
) -> None:
    file = tmp_path / "docs.ndjson"
    file.write_text(content)
    with pytest.raises(InvalidInputError, match=complaint):
        import_records(file, target)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"id": "é" * 33}, "position 1.*takes 66 bytes"),
        ({"values": [1.0]}, "position 1, record 'b' has 1 dimensions, the index 'docs' has 32"),
        ({"values": [1e39] * 32}, "position 1, record 'b' has a value that is not a finite"),
        ({"metadata": {"a": "x" * 11_000}}, "position 1, record 'b': the metadata takes"),
        ({"metadata": {"$a": 1}}, r"position 1, record 'b': the metadata key '\$a'"),
        ({"namespace": "x" * 65}, "namespace.*takes 65 bytes"),
    ],
)
def test_a_record_that_cannot_be_written_is_named(
    tmp_path: Path, target: Any, fields: dict[str, Any], complaint: str
) -> None:
    file = tmp_path / "docs.ndjson"
    bad = {"id": "b", "values": vector("b"), **fields}
    file.write_text(f"{GOOD}\n{json.dumps(bad)}\n")
    with pytest.raises((InvalidInputError, InvalidVectorError), match=complaint):
        import_records(file, target)
    assert target.count() == 0


def test_what_people_have_is_read(tmp_path: Path, target: Any) -> None:
    file = tmp_path / "docs.jsonl"
    lines = [
        GOOD,
        "",
        json.dumps({"id": "b", "values": [1] * 32, "metadata": None, "score": 0.5}),
        json.dumps({"id": "c", "values": vector("c"), "namespace": "n", "metadata": {"é": [1]}}),
        json.dumps({"id": "a", "values": vector("of the last one")}),
    ]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert import_records(file, target, verify=True).records == 4
    assert vectors_in(target) == {
        "a": Vector("a", vector("of the last one")),
        "b": Vector("b", [1.0] * 32),
        "c": Vector("c", vector("c"), "n", {"é": [1]}),
    }
    assert import_records(file, target, namespace="other", verify=True).records == 4
    assert {v.namespace for v in vectors_in(target).values()} == {"other"}


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_file_that_is_damaged_or_cut_is_an_error(
    tmp_path: Path, target: Any, ending: Any
) -> None:
    file = tmp_path / f"docs.ndjson.{ending}"
    needs(ending)
    parts = b"\n".join([GOOD.encode()] * 50), b"\n" + GOOD.encode()
    whole = b"".join(compression.member(part, ending) for part in parts)
    file.write_bytes(whole)
    assert import_records(file, target).records == 51
    for content, complaint in (
        (whole[:-9], "ends too early: it was cut"),
        (
            whole[:30] + b"XXXXXX" + whole[36:],
            "damaged|no JSON|too early",
        ),
        (GOOD.encode(), "damaged, or not what it is called"),
    ):
        file.write_bytes(content)
        with pytest.raises(InvalidInputError, match=complaint):
            import_records(file, target)


def test_what_unpacks_to_very_much_comes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("zst")
    monkeypatch.setattr(compression, "_READ_OF_ZSTD", 64)
    file = tmp_path / "docs.ndjson.zst"
    file.write_bytes(compression.member(bytes(1 << 25), "zst"))
    with file.open("rb") as opened:
        lengths = [*map(len, compression.contents(opened, "zst"))]
    assert sum(lengths) == 1 << 25
    assert max(lengths) < 1 << 23


def test_texts_are_grouped_by_what_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(parquet, "_BYTES_IN_GROUP", 1 << 15)
    texts = [(f"{n}", f"{n}" * 50_000) for n in range(4)]
    parts = [tmp_path / f"{n}" for n in range(4)]
    for part, text in zip(parts, texts, strict=True):
        parquet.write_texts(part, [text])
    parquet.join(parts, tmp_path / "whole")
    assert pq.ParquetFile(tmp_path / "whole").num_row_groups == 4
    assert [*parquet.read_texts(tmp_path / "whole")] == texts


def test_a_parquet_file_of_others_is_read(tmp_path: Path, target: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "docs.parquet"
    wide = pa.array([vector("a"), vector("b")], pa.list_(pa.float64(), 32))
    metadata = pa.array([{"year": 1}, None], pa.struct({"year": pa.int64()}))
    pq.write_table(pa.table({"id": ["a", "b"], "values": wide, "metadata": metadata}), file)
    assert import_records(file, target, verify=True).records == 2
    assert vectors_in(target) == {
        "a": Vector("a", vector("a"), None, {"year": 1}),
        "b": Vector("b", vector("b")),
    }
    for table, complaint in (
        ({"id": ["a"]}, "no column 'values'"),
        ({"id": [None], "values": [[1.0]]}, "row 1: id is a string; got None"),
        ({"id": ["a", "b"], "values": [[1.0], None]}, "row 2: .*'b' is a list of numbers"),
        ({"id": ["a"], "values": [[1.0]], "metadata": ["{"]}, "row 1: metadata of 'a' is no JSON"),
        ({"id": ["a"], "values": [[1.0]], "metadata": [3]}, "row 1: metadata of 'a' is an object"),
        ({"id": ["a"], "values": [[1e300] * 32]}, "'a' has a value that is not a finite float32"),
        ({"id": pa.array([b"\xff"]).view(pa.string()), "values": [[1.0]]}, "it is damaged"),
    ):
        pq.write_table(pa.table(table), file)
        with pytest.raises((InvalidInputError, InvalidVectorError), match=complaint):
            import_records(file, target)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InvalidInputError, match="damaged, or no Parquet"):
        import_records(file, target)


def test_a_path_that_can_be_no_file_is_an_error(tmp_path: Path, target: Any) -> None:
    (tmp_path / "folder.ndjson").mkdir()
    for name, complaint in (
        ("docs.csv", "the ending says the format"),
        ("docs", "the ending says the format"),
        (".ndjson", "the ending says the format"),
        ("folder.ndjson", "is a directory"),
        ("nowhere/docs.ndjson", "there is no directory|there is no such file"),
        (f"{'a' * 300}.ndjson", "is too long for this file system"),
    ):
        with pytest.raises((InvalidInputError, StorageError), match=complaint):
            export_records(target, tmp_path / name)
        with pytest.raises((InvalidInputError, StorageError), match=complaint):
            import_records(tmp_path / name, target)
    with pytest.raises(InvalidInputError, match="the path of a file, or an iterable"):
        import_records(7, target)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="a whole path has little room there")
def test_a_name_that_leaves_no_room_for_what_is_beside_is_an_error(
    tmp_path: Path, target: Any
) -> None:
    file = tmp_path / f"{'a' * 245}.ndjson"
    file.write_text(GOOD)
    for move in (import_records, verify_records):
        with pytest.raises(StorageError, match="is too long for this file system"):
            move(file, target)
    with pytest.raises(StorageError, match="is too long for this file system"):
        read_pinecone(tmp_path / ("a" * 300))


def test_a_directory_in_the_way_is_an_error(
    tmp_path: Path, client: VectorizeClient, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = client.create_index("other", dimensions=32).name
    export = partial(export_records, target, tmp_path / "docs.ndjson")
    copy = partial(copy_records, target, client.index(other), resume=tmp_path / "resume")
    for name in ("docs.texts.ndjson", "docs.ndjson.manifest.json", "resume.ids"):
        (tmp_path / name).mkdir()
        with pytest.raises(StorageError, match="is a directory where a file belongs"):
            (copy if name == "resume.ids" else export)()
        (tmp_path / name).rmdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match="a list of ids in the system's directory"):
        copy(resume=None)


@pytest.mark.parametrize(
    ("ending", "module", "extra"),
    [("parquet", parquet, "parquet"), ("jsonl.zst", compression, "zstd")],
)
def test_an_optional_library_is_named_before_anything_is_made(
    tmp_path: Path,
    target: Any,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    module: ModuleType,
    extra: str,
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    target.upsert([Vector("a", vector("a"))])
    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(ConfigurationError, match=rf"vectorize-stores\[{extra}\]"):
        export_records(target, tmp_path / f"docs.{ending}")
    assert not list(tmp_path.glob("docs*"))


def test_a_full_disk_is_an_error_and_the_same_call_goes_on(
    tmp_path: Path, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.upsert([Vector(f"{n}", vector(f"{n}")) for n in range(2_500)])
    file, written = tmp_path / "docs.ndjson", Path.open
    opened = 0

    def full(path: Path, *args: Any, **options: Any) -> Any:
        nonlocal opened
        opened += path.name.endswith(".partial")
        if opened == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return written(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(StorageError, match="no space is left for the export"):
            export_records(target, file)
    assert not file.exists()
    assert export_records(target, file, verify=True).records == 2_500


def changed(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_one_changed_byte_is_found(tmp_path: Path) -> None:
    file, texts = tmp_path / "docs.ndjson", tmp_path / "docs.texts.ndjson"
    with store_in(LANGCHAIN, tmp_path / "a") as store:
        store.add_texts([t for _, t, _ in ROWS[:4]], ids=[i for i, _, _ in ROWS[:4]])
        moved = export_records(store, file, verify=True)
        assert verify_records(file, store) == moved
        good = file.read_bytes(), texts.read_bytes()
        with LANGCHAIN.local() as other:
            for part, at, error in (
                (file, good[0].index(b'"values":[') + 14, "does not hold what was exported"),
                (file, good[0].index(b"a plain text"), "does not hold what was exported"),
                (file, good[0].index(b'"id":"plain') + 6, "does not hold what was exported"),
                (texts, good[1].index(b"a long text"), "is not in .*where it belongs"),
            ):
                changed(part, at)
                with pytest.raises(Exception, match=error) as caught:
                    import_records(file, other)
                assert isinstance(caught.value, RecordsDifferError) or part is texts
                with pytest.raises(Exception, match=f"{error}|the index 'docs' does not have"):
                    verify_records(file, store)
                file.write_bytes(good[0])
                texts.write_bytes(good[1])
            # A line that is lost leaves a file that could be whole.
            file.write_bytes(good[0][: good[0].rindex(b"\n", 0, -1) + 1])
            with pytest.raises(RecordsDifferError, match=r"3 records .* where its manifest says 4"):
                import_records(file, other)
            (tmp_path / "docs.ndjson.manifest.json").unlink()
            assert import_records(file, other, verify=True).records == 3


def test_records_that_differ_are_named(tmp_path: Path, target: Any) -> None:
    target.upsert([Vector(f"{n}", vector(f"{n}"), None, {"n": n}) for n in range(300)])
    file = tmp_path / "docs.ndjson"
    export_records(target, file)
    target.upsert([Vector("7", vector("7"), None, {"n": 8})])
    target.upsert([Vector("8", vector("8"), "a", {"n": 8}), Vector("more", vector("more"))])
    target.delete(["9"])
    with pytest.raises(
        RecordsDifferError, match=r"have 3 of .* '7' is another, .*'9' is missing$"
    ) as caught:
        verify_records(file, target)
    assert caught.value.ids == ("7", "8", "9")
    target.delete([f"{n}" for n in range(300)])
    with pytest.raises(RecordsDifferError, match=r"have 300 or more .* '0' is .*, \.\.\.$"):
        verify_records(file, target)


def test_of_equal_ids_the_last_one_is_compared(
    tmp_path: Path, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_MOST", 150)
    file = tmp_path / "docs.ndjson"
    ids = [f"{n}" for n in range(150)]
    once, again = (
        "".join(f"{json.dumps({'id': i, 'values': vector(i + by)})}\n" for i in ids) for by in "ab"
    )
    file.write_text(once + again)
    assert import_records(file, target, verify=True).records == 300
    file.write_text(again + once)
    with pytest.raises(RecordsDifferError, match="have 150 of the records"):
        verify_records(file, target)


def test_a_manifest_that_is_none_is_an_error(tmp_path: Path, target: Any) -> None:
    export_records(target, tmp_path / "docs.ndjson")
    manifest = tmp_path / "docs.ndjson.manifest.json"
    said = json.loads(manifest.read_bytes())
    wrong = [{}, {"vectorize_records": 2}, {"vectorize_records": 1}]
    odd = {"metadata_indexes": 5}, {"metadata_indexes": {"year": []}}, {"records": "3"}
    wrong += [said | change for change in (*odd, {"texts": -1}, {"metric": "nearness"})]
    for content in (b"", b"[]", *(json.dumps(each).encode() for each in wrong)):
        manifest.write_bytes(content)
        with pytest.raises(InvalidInputError, match="no manifest that this release reads"):
            import_records(tmp_path / "docs.ndjson", target)


@pytest.mark.parametrize("ending", ["ndjson", "ndjson.gz", "jsonl.zst", "parquet"])
def test_nothing_is_a_file_too(tmp_path: Path, target: Any, ending: str) -> None:
    needs(ending)
    assert export_records(target, tmp_path / f"docs.{ending}", verify=True).records == 0
    assert import_records(tmp_path / f"docs.{ending}", target).records == 0


def test_an_older_file_of_texts_goes(tmp_path: Path) -> None:
    with store_in(LANGCHAIN, tmp_path / "a") as store:
        store.add_texts([ROWS[2][1], "short"], ids=["long", "short"])
        export_records(store, tmp_path / "docs.ndjson")
        assert (tmp_path / "docs.texts.ndjson").exists()
        store.delete(["long"])
        export_records(store, tmp_path / "docs.ndjson", verify=True)
        assert not (tmp_path / "docs.texts.ndjson").exists()


def test_texts_in_another_order_find_their_records(tmp_path: Path) -> None:
    with store_in(LANGCHAIN, tmp_path / "a") as store, LANGCHAIN.local() as other:
        store.add_texts([f"{n} " * 6_000 for n in range(3)], ids=["0", "1", "2"])
        export_records(store, tmp_path / "docs.ndjson")
        texts = tmp_path / "docs.texts.ndjson"
        lines = texts.read_bytes().splitlines(keepends=True)
        texts.write_bytes(b"".join(reversed(lines)))
        import_records(tmp_path / "docs.ndjson", other, verify=True)
        assert [d.page_content[:2] for d in other.get_by_ids(["0", "1", "2"])] == ["0 ", "1 ", "2 "]
