"""Directories of Chroma's `PersistentClient`."""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from langchain_vectorize import VectorizeVectorStore
from tests.blocking import watched
from tests.moving.foreign.helpers import check_documents, check_nodes
from tests.moving.foreign.records import DIMENSIONS
from tests.stores import Embedder
from vectorize_core.errors import InvalidInputError, StorageError
from vectorize_core.moving import aimport_records, read_chroma


def test_documents_of_langchain(made: Path, tmp_path: Path) -> None:
    source = read_chroma(made / "chroma", "docs")
    assert (source.metric, source.dimensions, source.count) == ("euclidean", DIMENSIONS, 26)
    check_documents(source, tmp_path)


def test_nodes_of_llama_index(made: Path, tmp_path: Path) -> None:
    check_nodes(read_chroma(made / "chroma", "llama"), tmp_path)


@pytest.mark.parametrize(
    ("space", "metric"), [("l2", "euclidean"), ("cosine", "cosine"), ("ip", "dot-product")]
)
def test_records_are_what_chroma_says_wherever_they_are(
    made: Path, space: str, metric: str
) -> None:
    source = read_chroma(made / "chroma", f"some-{space}")
    assert source.metric == metric
    assert source.count == 45
    wanted = {
        row[0]: row[1:]
        for row in json.loads((made / "chroma" / f"{space}.json").read_text(encoding="utf-8"))
    }
    found = list(source)
    assert [item.record.id for item in found] == sorted(wanted)
    for item in found:
        values, text, metadata = wanted[item.record.id]
        np.testing.assert_allclose(item.values, values, rtol=1e-6)
        assert item.record.text == text
        assert item.record.metadata == (metadata or {})
    assert [item.record for item in source] == [item.record for item in found]


async def test_an_event_loop_goes_on_meanwhile(made: Path, tmp_path: Path) -> None:
    source = read_chroma(made / "chroma", "docs")
    store = VectorizeVectorStore(Embedder(), index_name="docs", path=tmp_path, metric=source.metric)
    with watched() as seen:
        moved = await aimport_records(source, store, verify=True)
    assert seen == []
    assert (moved.records, moved.texts) == (26, 1)
    await store.aclose()


def test_a_collection_is_picked_by_its_name(made: Path) -> None:
    assert list(read_chroma(made / "chroma", "empty")) == []
    with pytest.raises(InvalidInputError, match="has several: 'docs', 'empty'"):
        read_chroma(made / "chroma")
    with pytest.raises(InvalidInputError, match="has no collection 'nothing'; it has 'docs'"):
        read_chroma(made / "chroma", "nothing")
    with pytest.raises(InvalidInputError, match="has no collection 'empty'; it has none"):
        read_chroma(made / "chroma", "empty", database="another")


def test_a_folder_without_chroma_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no chroma\.sqlite3 in"):
        read_chroma(tmp_path)
    (tmp_path / "chroma.sqlite3").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="is damaged"):
        read_chroma(tmp_path)
    (tmp_path / "chroma.sqlite3").unlink()
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as connection:
        connection.execute("CREATE VIEW collections AS SELECT 1")
    with pytest.raises(StorageError, match="it has no table collection_metadata"):
        read_chroma(tmp_path)


def short_vectors(folder: Path) -> None:
    (path,) = folder.glob("*/data_level0.bin")
    path.write_bytes(path.read_bytes()[:100])


def long_header(folder: Path) -> None:
    (path,) = folder.glob("*/header.bin")
    raw = path.read_bytes()
    path.write_bytes(raw[:20] + (2**40).to_bytes(8, "little") + raw[28:])


def large_elements(folder: Path) -> None:
    (path,) = folder.glob("*/header.bin")
    raw = path.read_bytes()
    path.write_bytes(raw[:28] + (2**40).to_bytes(8, "little") + raw[36:])


def other_dimensions(folder: Path) -> None:
    execute(folder, "UPDATE collections SET dimension = 1000000000")


def hostile_pickle(folder: Path) -> None:
    (path,) = folder.glob("*/index_metadata.pickle")
    path.write_bytes(pickle.dumps({"id_to_label": {"a": print}}))


def no_ids(folder: Path) -> None:
    (path,) = folder.glob("*/index_metadata.pickle")
    path.write_bytes(pickle.dumps(["r1"]))


def no_vector(folder: Path) -> None:
    execute(folder, "DELETE FROM embeddings_queue")


def unfinished(folder: Path) -> None:
    execute(folder, "UPDATE max_seq_id SET seq_id = 1")


def segment_elsewhere(folder: Path) -> None:
    execute(folder, "UPDATE segments SET id = '../' || id WHERE scope = 'VECTOR'")


def no_dimensions(folder: Path) -> None:
    execute(folder, "UPDATE collections SET dimension = 'many'")


def no_sequence(folder: Path) -> None:
    execute(folder, "UPDATE max_seq_id SET seq_id = 'last'")


def large_sequence(folder: Path) -> None:
    execute(folder, "UPDATE max_seq_id SET seq_id = x'ffffffffffffffffffff'")


def other_columns(folder: Path) -> None:
    execute(folder, "ALTER TABLE embedding_metadata RENAME COLUMN key TO name")


def bad_space(folder: Path) -> None:
    execute(folder, "UPDATE collections SET schema_str = replace(schema_str, 'cosine', 'l1')")


def test_a_key_may_have_a_value_and_a_list(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "chroma", tmp_path / "chroma")
    execute(
        tmp_path / "chroma",
        "INSERT INTO embedding_metadata (id, key, int_value) "
        "SELECT DISTINCT id, key, 1 FROM embedding_metadata_array",
    )
    found = {i.record.id: i.record.metadata for i in read_chroma(tmp_path / "chroma", "some-l2")}
    assert found["r0"] == {"list": [1, 2, 0], "n": 0}


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (short_vectors, r"data_level0\.bin is damaged: it holds less than header\.bin says"),
        (long_header, r"data_level0\.bin is damaged: it holds less than header\.bin says"),
        (large_elements, "it has no vectors of 32 dimensions"),
        (large_sequence, "is damaged, or of a version of Chroma that this one does not know"),
        (other_columns, "is damaged, or of a version of Chroma that this one does not know"),
        (other_dimensions, "it has no vectors of 1000000000 dimensions"),
        (hostile_pickle, r"it holds \w+\.print, and to load that could run any code"),
        (no_ids, "it has no ids"),
        (no_vector, "the record 'last' has no vector of 32 dimensions"),
        (unfinished, "has writes in its log that were not finished"),
        (segment_elsewhere, "the collection has no segments"),
        (no_dimensions, "the collection has no dimensions"),
        (no_sequence, "it does not say what was saved"),
        (bad_space, "compares by 'l1', which Vectorize cannot"),
    ],
)
def test_damage_is_an_error(
    made: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "chroma"
    shutil.copytree(made / "chroma", folder)
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as connection, connection:
        (kept,) = connection.execute(
            "SELECT s.id FROM segments s JOIN collections c ON c.id = s.collection "
            "WHERE c.name = 'some-cosine' AND s.scope = 'VECTOR'"
        ).fetchone()
        connection.execute("DELETE FROM collections WHERE name <> 'some-cosine'")
    for path in folder.iterdir():
        if path.is_dir() and path.name != kept:
            shutil.rmtree(path)
    damage(folder)
    with pytest.raises((StorageError, InvalidInputError), match=message):
        list(read_chroma(folder))
