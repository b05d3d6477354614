"""Large documents of JSON, value by value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core.errors import StorageError
from vectorize_core.moving.foreign import json_values
from vectorize_core.moving.foreign.json_values import Value

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1, 1)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)


def whole(value: Value) -> Any:
    """A value, of which every part is read alone."""
    if value.is_object:
        return {key: whole(member) for key, member in value.members()}
    return [whole(item) for item in value.items()] if value.is_array else value.load()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "values.json"


@examples(30)
@given(st.lists(VALUES, max_size=3), st.sampled_from([None, 2]), st.booleans())
def test_any_documents_are_read(file: Path, values: list[Any], indent: int, ascii: bool) -> None:
    lines = [json.dumps(value, indent=indent, ensure_ascii=ascii) for value in values]
    file.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    with json_values.opened(str(file)) as documents:
        read = [(whole(document), document.load()) for document in documents]
    assert read == [(value, value) for value in values]


@examples(30)
@given(VALUES, st.data())
def test_a_document_that_was_cut_is_an_error(file: Path, value: Any, data: st.DataObject) -> None:
    raw = json.dumps([value]).encode()
    file.write_bytes(raw[: data.draw(st.integers(1, len(raw) - 1))])
    with json_values.opened(str(file)) as documents, pytest.raises(StorageError, match="byte"):
        list(map(whole, documents))


@examples(30)
@given(st.binary(max_size=50) | st.text('{}[]",:\\ 1a', max_size=30).map(str.encode))
def test_what_is_no_json_is_an_error(file: Path, raw: bytes) -> None:
    file.write_bytes(raw)
    try:
        with json_values.opened(str(file)) as documents:
            found = list(map(whole, documents))
    except StorageError:
        return
    with json_values.opened(str(file)) as documents:
        assert [document.load() for document in documents] == found


def test_strings_that_do_not_end_take_no_time(file: Path) -> None:
    file.write_bytes(b'["' + b'\\""' * 1_000_000 + b"\\")
    with json_values.opened(str(file)) as documents, pytest.raises(StorageError):
        list(map(whole, documents))


def test_a_value_larger_than_any_record_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_values, "_LARGEST", 10)
    file.write_text('["0123456789"]', encoding="utf-8")
    with (
        json_values.opened(str(file)) as documents,
        pytest.raises(StorageError, match="a value of more than"),
    ):
        list(map(whole, documents))


def test_a_byte_order_mark_is_left_out(file: Path) -> None:
    file.write_text('{"a": 1}', encoding="utf-8-sig")
    with json_values.opened(str(file)) as documents:
        document = next(documents)
        assert document.load() == {"a": 1}
        assert document.member("b") is None
