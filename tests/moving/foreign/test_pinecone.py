"""Files of Parquet as Pinecone documents them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from tests.moving.foreign.helpers import check_documents, check_nodes
from tests.moving.foreign.records import documents, nodes, vector
from vectorize_core.errors import InvalidInputError, StorageError
from vectorize_core.moving import read_pinecone

pyarrow = pytest.importorskip("pyarrow")


def write(path: Path, rows: list[dict[str, Any]], *columns: str) -> None:
    from pyarrow import parquet

    path.parent.mkdir(exist_ok=True)
    kinds = {
        "id": pyarrow.string(),
        "values": pyarrow.list_(pyarrow.float32()),
        "metadata": pyarrow.string(),
    }
    schema = pyarrow.schema({name: kinds[name] for name in columns or kinds})
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)


def test_documents_of_langchain(tmp_path: Path) -> None:
    rows = [
        {
            "id": document.id,
            "values": vector(str(document.id)),
            "metadata": json.dumps({**document.metadata, "text": document.page_content}),
        }
        for document in documents()
    ]
    write(tmp_path / "0.parquet", rows)
    source = read_pinecone(tmp_path / "0.parquet", metric="euclidean")
    check_documents(source, tmp_path / "vectors")


def test_nodes_of_llama_index(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"{node.ref_doc_id}#{node.node_id}",
            "values": node.embedding,
            "metadata": json.dumps(node_to_metadata_dict(node, flat_metadata=True)),
        }
        for node in nodes()
    ]
    write(tmp_path / "0.parquet", rows)
    check_nodes(read_pinecone(tmp_path), tmp_path / "vectors")


def test_a_folder_is_a_namespace(tmp_path: Path) -> None:
    for folder, ids in (("b", "cd"), ("__default__", "a"), ("a", "b")):
        rows = [{"id": name, "values": [1.0], "metadata": None} for name in ids]
        write(tmp_path / folder / "0.parquet", rows)
    (tmp_path / "a" / ".log").touch()
    source = read_pinecone(tmp_path)
    found = [(item.record.id, item.namespace) for item in source]
    assert found == [("a", None), ("b", "a"), ("c", "b"), ("d", "b")]
    write(tmp_path / "c/0.parquet", [{"id": "a", "values": [1.0]}])
    with pytest.raises(InvalidInputError, match="the id 'a' is in two namespaces, None too"):
        read_pinecone(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": None, "values": [1.0]}, "id is a string; got None"),
        ({"id": "a", "values": None}, "vector 'a' is a list of numbers; got None"),
        ({"id": "a", "values": [1.0], "metadata": "{"}, "metadata of 'a' is no JSON"),
        ({"id": "a", "values": [1.0], "metadata": "[]"}, "metadata of 'a' is an object"),
    ],
)
def test_a_row_that_is_no_record_is_an_error(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    write(tmp_path / "0.parquet", [row])
    with pytest.raises(InvalidInputError, match=rf"0\.parquet: row 1: {message}"):
        list(read_pinecone(tmp_path))


def test_other_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no \.parquet file in"):
        read_pinecone(tmp_path)
    with pytest.raises(StorageError, match="there is no file or folder"):
        list(read_pinecone(tmp_path / "0.parquet"))
    write(tmp_path / "0.parquet", [{"id": "a"}], "id")
    with pytest.raises(InvalidInputError, match=r"0\.parquet: it has no column 'values'"):
        list(read_pinecone(tmp_path))
    (tmp_path / "0.parquet").write_bytes(b"PAR1nothingPAR1")
    with pytest.raises(InvalidInputError, match=r"0\.parquet: it is damaged, or no Parquet"):
        list(read_pinecone(tmp_path))


def test_an_id_in_a_namespace_is_a_string(tmp_path: Path) -> None:
    from pyarrow import parquet

    table = pyarrow.table({"id": [["a"]], "values": [[1.0]]})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        parquet.write_table(table, tmp_path / folder / "0.parquet")
    with pytest.raises(InvalidInputError, match=r"row 1: id is a string; got \['a'\]"):
        read_pinecone(tmp_path)
