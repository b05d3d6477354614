"""Folders that LlamaIndex persists."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.moving.foreign.helpers import check_nodes
from vectorize_core.errors import StorageError
from vectorize_core.moving import read_simple_vector_store


def test_nodes_of_llama_index(made: Path, tmp_path: Path) -> None:
    source = read_simple_vector_store(made / "simple")
    assert (source.metric, source.dimensions) == ("cosine", 32)
    check_nodes(source, tmp_path)


def test_the_name_of_older_versions_is_known(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "simple/default__vector_store.json", tmp_path / "vector_store.json")
    shutil.copy(made / "simple/docstore.json", tmp_path)
    assert len(list(read_simple_vector_store(tmp_path))) == 6
    assert list(read_simple_vector_store(made / "simple", "image")) == []


def test_a_node_that_is_not_there_is_an_error(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "simple/default__vector_store.json", tmp_path)
    with pytest.raises(StorageError, match=r"there is no docstore\.json in"):
        read_simple_vector_store(tmp_path)
    nodes = json.loads((made / "simple/docstore.json").read_text(encoding="utf-8"))
    first = next(iter(nodes["docstore/data"]))
    nodes["docstore/data"][first] = 1
    (tmp_path / "docstore.json").write_text(json.dumps(nodes), encoding="utf-8")
    with pytest.raises(StorageError, match=f"is damaged: the node '{first}' is no object"):
        list(read_simple_vector_store(tmp_path))
    del nodes["docstore/data"][first]
    (tmp_path / "docstore.json").write_text(json.dumps(nodes), encoding="utf-8")
    with pytest.raises(
        StorageError, match=f"has no node '{first}', whose embedding is in default__"
    ):
        list(read_simple_vector_store(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is no JSON object"),
        ("[]", "it is no JSON object"),
        ('{"embedding_dict": []}', "'embedding_dict' is no object"),
        ('{"embedding_dict": {"a": 1}}', "the embedding of 'a' is no list"),
        ('{"embedding_dict": {"a": [1, 2', "ends in the middle of a value"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "default__vector_store.json").write_text(text, encoding="utf-8")
    (tmp_path / "docstore.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StorageError, match=message):
        list(read_simple_vector_store(tmp_path))
