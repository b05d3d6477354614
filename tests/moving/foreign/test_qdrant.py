"""Local directories of Qdrant's client, and answers of its scroll API."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.moving.foreign.helpers import check_documents, check_nodes
from tests.moving.foreign.records import vector
from vectorize_core.errors import (
    InvalidInputError,
    InvalidVectorError,
    OversizedError,
    StorageError,
)
from vectorize_core.moving import Foreign, read_qdrant, read_qdrant_scroll


def test_documents_of_langchain(made: Path, tmp_path: Path) -> None:
    source = read_qdrant(made / "qdrant", "docs")
    assert (source.metric, source.dimensions, source.count) == ("cosine", 32, 26)
    check_documents(source, tmp_path / "local")
    check_documents(read_qdrant_scroll(made / "qdrant/docs.json"), tmp_path / "answer")
    check_documents(read_qdrant_scroll(made / "qdrant/docs.ndjson"), tmp_path / "lines")


def test_nodes_of_llama_index(made: Path, tmp_path: Path) -> None:
    check_nodes(read_qdrant(made / "qdrant", "llama"), tmp_path / "local")
    check_nodes(read_qdrant_scroll(made / "qdrant/llama.json"), tmp_path / "answer")


def check_named(source: Foreign) -> None:
    first, second = source
    assert (first.record.id, first.record.text) == ("1", "a text")
    assert first.record.metadata == {"nested": {"a": [1, None, "x"]}}
    np.testing.assert_array_equal(np.float32(first.values), np.float32(vector("1")))
    assert (second.record.id, second.record.text, second.record.metadata) == ("2", None, {})


def test_vectors_are_picked_by_their_name(made: Path) -> None:
    source = read_qdrant(made / "qdrant", "named", vector="dense")
    assert (source.metric, source.dimensions) == ("dot-product", 32)
    check_named(source)
    check_named(read_qdrant_scroll(made / "qdrant/named.ndjson", vector="dense"))
    with pytest.raises(InvalidInputError, match=r"has several: 'dense', 'small'\. Name one with v"):
        read_qdrant(made / "qdrant", "named")
    with pytest.raises(InvalidInputError, match="compares by 'Manhattan', which Vectorize cannot"):
        read_qdrant(made / "qdrant", "named", vector="small")
    small = read_qdrant(made / "qdrant", "named", vector="small", metric="euclidean")
    with pytest.raises(InvalidInputError, match="point 2 has no vector 'small'; it has 'dense'"):
        list(small)
    with pytest.raises(InvalidInputError, match="vectors without a name"):
        read_qdrant(made / "qdrant", "llama", vector="dense")


def test_a_text_is_found_under_another_key(made: Path) -> None:
    source = read_qdrant(made / "qdrant", "named", vector="dense", text_key="other")
    assert next(iter(source)).record.text is None


def test_a_folder_without_qdrant_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no meta\.json in"):
        read_qdrant(tmp_path)
    odd = b'{"collections": {"a": {"vectors": {"size": 1, "distance": []}}}}'
    (tmp_path / "meta.json").write_bytes(odd)
    with pytest.raises(InvalidInputError, match=r"compares by \[\], which Vectorize cannot"):
        read_qdrant(tmp_path)
    for raw in (b"", b"[]", b'{"collections": 1}', b'{"collections": {"a": 1}}'):
        (tmp_path / "meta.json").write_bytes(raw)
        with pytest.raises(StorageError, match="it lists no collections"):
            read_qdrant(tmp_path)
    (tmp_path / "meta.json").write_bytes(
        b'{"collections": {"../x": {"vectors": {"size": 8, "d": 1}}}}'
    )
    with pytest.raises(StorageError, match="is no name of a collection"):
        read_qdrant(tmp_path, metric="cosine")


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


def copied(made: Path, folder: Path, point: bytes) -> Foreign:
    """A directory in which a point is another pickle."""
    shutil.copytree(made / "qdrant", folder)
    file = folder / "collection/llama/storage.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE points SET point = ?", (point,))
    return read_qdrant(folder, "llama")


def test_a_pickle_that_names_another_class_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied(made, tmp_path / "copy", pickle.dumps(Runs()))
    with pytest.raises(StorageError, match=r"position 0 in .*: it holds \w+\.print, and to load"):
        list(source)
    assert capsys.readouterr().out == ""


def test_a_payload_that_holds_itself_is_refused(made: Path, tmp_path: Path) -> None:
    # A point whose payload's only list holds itself, twice.
    point = (
        b"\x80\x04cqdrant_client.http.models.models\nPointStruct\n)\x81}\x8c\x08__dict__}("
        b"\x8c\x02idK\x01\x8c\x06vector]\x8c\x07payload}\x8c\x01a]\x94(h\x00h\x00esusb."
    )
    with pytest.raises(OversizedError, match="has more values than metadata has room for"):
        list(copied(made, tmp_path / "copy", point))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "a value that is neither an answer nor a point"),
        ("[[1]]", "a point is an object"),
        ('{"result": ' * 5_000 + "[]" + "}" * 5_000, "an answer without points"),
        ('{"status": {"error": "no"}}', "an answer without points"),
        ('{"id": true, "vector": [1]}', "a point has the id True"),
        ('{"id": 1, "payload": {}}', "has no vector but None. The scroll API sends vectors only"),
        ('{"id": 1, "vector": [1], "payload": []}', "its payload is"),
        ('{"result": {"points": [{"id": 1, ', "ends in the middle of a value"),
        ('{"id": 1, "vector": [1}', "ends in the middle of a value"),
        ('{"id": 1, "vector": nope}', "is no JSON"),
    ],
)
def test_points_that_are_none_are_errors(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "points.json").write_text(text, encoding="utf-8")
    with pytest.raises((StorageError, InvalidVectorError), match=message):
        list(read_qdrant_scroll(tmp_path / "points.json"))
