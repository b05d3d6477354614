"""Pairs of files of LangChain's FAISS."""

from __future__ import annotations

import pickle
import shutil
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.moving.foreign.helpers import check_documents
from tests.moving.foreign.records import vector
from tests.stores import Embedder
from vectorize_core.errors import InvalidInputError, StorageError
from vectorize_core.moving import import_records, read_faiss


def test_documents_of_langchain(made: Path, tmp_path: Path) -> None:
    source = read_faiss(made / "faiss")
    assert (source.metric, source.dimensions, source.count) == ("euclidean", 32, 26)
    check_documents(source, tmp_path)


def test_metadata_has_the_types_of_python(made: Path) -> None:
    source = read_faiss(made / "faiss", "inner")
    assert source.metric == "dot-product"
    first, typed = source
    assert (first.record.id, first.record.text, first.record.metadata) == ("first", "first", {})
    assert typed.record.metadata == {
        "day": date(1863, 11, 19),
        "time": datetime(1863, 11, 19, 12, tzinfo=UTC),
        "number": 0.5,
        "count": 7,
        "tags": {"a", "b"},
    }
    assert [type(typed.record.metadata[key]) for key in ("number", "count")] == [float, int]
    np.testing.assert_array_equal(typed.values, np.float32(vector("typed")))


def test_an_index_that_is_not_flat_is_an_error(made: Path) -> None:
    with pytest.raises(StorageError, match=r"is no flat index but one of the kind b'IHNf'"):
        read_faiss(made / "faiss", "graph")


def test_dimensions_and_metric_are_compared_with_those_of_the_index(
    made: Path, tmp_path: Path
) -> None:
    source = read_faiss(made / "faiss")
    source.check("docs", 32, "euclidean")
    source.check("docs", None, None)
    with pytest.raises(
        InvalidInputError, match="has vectors of 32 dimensions, the index 'docs' 64"
    ):
        source.check("docs", 64, "euclidean")
    with pytest.raises(InvalidInputError, match="by euclidean, the index 'docs' by cosine"):
        source.check("docs", 32, "cosine")
    read_faiss(made / "faiss", metric="cosine").check("docs", 32, "cosine")
    with pytest.raises(InvalidInputError, match="metric is 'cosine', 'euclidean' or 'dot-product'"):
        read_faiss(made / "faiss", metric="l2")  # type: ignore[arg-type]


def test_an_import_into_another_index_sends_nothing(made: Path, tmp_path: Path) -> None:
    with VectorizeVectorStore(Embedder(), index_name="docs", path=tmp_path) as store:
        store.add_embeddings(["a text"], [[1.0] * 64])
        with pytest.raises(InvalidInputError, match="32 dimensions, the index 'docs' 64"):
            import_records(read_faiss(made / "faiss", metric="cosine"), store)
        assert store.count() == 1


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def many(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(
        raw[:8] + struct.pack("<q", 2**60) + raw[16:37] + struct.pack("<Q", 2**63) + raw[45:]
    )


def negative(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + struct.pack("<iq", -32, -26) + raw[16:])


def one_more(path: Path) -> None:
    raw = path.read_bytes()
    ntotal, size = struct.pack("<q", 27), struct.pack("<Q", 27 * 32)
    path.write_bytes(raw[:8] + ntotal + raw[16:37] + size + raw[45:] + bytes(128))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "it says 26 vectors of 32 dimensions"),
        (empty, "it is too short"),
        (no_header, "it is too short"),
        (many, "it says 1152921504606846976 vectors"),
        (negative, "it says -26 vectors of -32 dimensions"),
        (one_more, "it has no document for the vector at position 26"),
    ],
)
def test_a_damaged_index_is_an_error(
    made: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    for name in ("index.faiss", "index.pkl"):
        shutil.copy(made / "faiss" / name, tmp_path)
    damage(tmp_path / "index.faiss")
    with pytest.raises(StorageError, match=message):
        list(read_faiss(tmp_path))


def test_an_index_that_is_gone_is_an_error(made: Path, tmp_path: Path) -> None:
    for name in ("index.faiss", "index.pkl"):
        shutil.copy(made / "faiss" / name, tmp_path)
    source = read_faiss(tmp_path)
    (tmp_path / "index.faiss").unlink()
    with pytest.raises(StorageError, match="does not exist"):
        list(source)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (pickle.dumps(print), r"it holds \w+\.print, and to load that could run any code"),
        (pickle.dumps([1]), "it is no pickle of LangChain's FAISS"),
        (
            b"\x80\x04clangchain_core\nInMemoryDocstore\n)\x81}\x8c\x05_dict}sb}K\x00]s\x86.",
            "it has no document for the vector at position 0",
        ),
        (b"", "is damaged"),
    ],
)
def test_another_pickle_is_an_error(made: Path, tmp_path: Path, raw: bytes, message: str) -> None:
    shutil.copy(made / "faiss/index.faiss", tmp_path)
    (tmp_path / "index.pkl").write_bytes(raw)
    with pytest.raises(StorageError, match=message):
        list(read_faiss(tmp_path))
    (tmp_path / "index.pkl").unlink()
    with pytest.raises(StorageError, match=r"there is no index\.pkl in"):
        read_faiss(tmp_path)
