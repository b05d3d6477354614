"""Each limit of the service at its edge, with a message that names the record and the fix."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nightly import examples
from vectorize_core import jsontext, limits
from vectorize_core.api import validation
from vectorize_core.api.wire import vector_line
from vectorize_core.errors import At, InvalidInputError, InvalidVectorError
from vectorize_core.models import Vector, as_values


def metadata_of(size: int) -> dict[str, Any]:
    return {"é": "x" * (size - len('{"é":""}'.encode()))}


@pytest.mark.parametrize("vector_id", ["a", " ", "x" * 64, "é" * 32, "😀" * 16, "a\nb"])
def test_ids_up_to_64_bytes_are_taken(vector_id: str) -> None:
    validation.check_id(vector_id)
    assert validation.possible_id(vector_id)


@pytest.mark.parametrize(
    ("vector_id", "said"),
    [
        ("x" * 65, "takes 65 bytes; Vectorize allows 64.*shorter id.*sha256"),
        ("é" * 32 + "x", "'é{32}x' takes 65 bytes"),
        ("😀" * 17, "takes 68 bytes"),
        ("", "non-empty string; got ''"),
        (5, "non-empty string; got 5"),
        (None, "got None"),
        (b"a", "got b'a'"),
        ("a\ud800", r"'a\\ud800' has a lone surrogate"),
    ],
)
def test_other_ids_are_refused_by_name(vector_id: Any, said: str) -> None:
    with pytest.raises(InvalidVectorError, match=said):
        validation.check_id(vector_id)
    assert not validation.possible_id(vector_id)


@pytest.mark.parametrize("namespace", [None, "a", "x" * 64, "é" * 32])
def test_namespaces_up_to_64_bytes_are_taken(namespace: str | None) -> None:
    validation.check_namespace(namespace)


@pytest.mark.parametrize(
    ("namespace", "said"),
    [
        ("x" * 65, "takes 65 bytes; Vectorize allows 64"),
        ("é" * 33, "takes 66 bytes"),
        ("", "non-empty string or None; got ''"),
        (7, "got 7"),
        ("\udfff", "not valid Unicode"),
    ],
)
def test_other_namespaces_are_refused_by_name(namespace: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        validation.check_namespace(namespace)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 65, "65 bytes"),
        ("é" * 33, "66 bytes"),
        ("", "non-empty"),
        (None, "got None"),
        (["docs"], r"got \['docs'\]"),
        *((name, "letters a to z, digits, '-' and '_'") for name in ("a b", "a/b", ".", "a.b")),
        *((name, "letters a to z, digits, '-' and '_'") for name in ("é", "a\n", " a", "a?b")),
    ],
)
def test_index_names_are_of_letters_and_end_at_64_bytes(name: Any, said: str) -> None:
    for allowed in ("x" * 64, "-", "_a-9", "Docs"):
        validation.check_index_name(allowed)
    with pytest.raises(InvalidInputError, match=said):
        validation.check_index_name(name)


def test_metadata_may_take_10240_bytes_and_not_one_more() -> None:
    assert validation.check_metadata("a", metadata_of(10_240)) == 10_240
    with pytest.raises(InvalidVectorError, match=r"'doc-7'.*10241 bytes.*10240.*smaller chunks"):
        validation.check_metadata("doc-7", metadata_of(10_241))


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": 1, "b": [1.5, None, True, {"c": "é"}]},
        MappingProxyType({"a": OrderedDict(b=1)}),
        OrderedDict(a=MappingProxyType({"b": [OrderedDict(c=2)]})),
        {},
    ],
)
def test_the_size_is_that_of_the_compact_json_which_is_sent(metadata: Any) -> None:
    size = validation.check_metadata("a", metadata)
    line = vector_line(Vector("a", np.zeros(2), metadata=metadata))
    assert size == len(line) - len(b'{"id":"a","values":[0.0,0.0],"metadata":}')


def test_no_metadata_takes_no_bytes() -> None:
    assert validation.check_metadata("a", None) == 0


@pytest.mark.parametrize("key", ["a", "a|b", "_vs", "a$", " ", "k" * 512, "é"])
def test_keys_that_the_service_takes(key: str) -> None:
    assert validation.storable_key(key)
    validation.check_metadata("a", {key: {key: 1}})


@pytest.mark.parametrize("key", ["", "$a", "a.b", ".", 'a"b', "k" * 513])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"a": m}, lambda m: {"a": [[m]]}])
def test_keys_that_it_refuses_are_refused_wherever_they_stand(key: str, wrap: Any) -> None:
    assert not validation.storable_key(key)
    with pytest.raises(InvalidVectorError, match=r"'doc-7'.*metadata key.*must not be empty") as e:
        validation.check_metadata("doc-7", wrap({key: 1}))
    assert repr(key) in str(e.value)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


CYCLE: dict[str, Any] = {}
CYCLE["a"] = CYCLE


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"a": float("nan")}, "nan at a, which JSON cannot express"),
        ({"a": [1, float("-inf")]}, r"-inf at a\[1\]"),
        ({"a": {"b": 2**64}}, "an integer beyond 64 bits at a.b"),
        ({"a": -(2**63) - 1}, "an integer beyond 64 bits at a"),
        ({"a": "\ud800"}, "a lone surrogate at a"),
        ({"a": {"\ud800": 1}}, "a key with a lone surrogate at a"),
        ({5: 1}, "a key of type int"),
        ({"a": {None: 1}}, "a key of type NoneType at a"),
        ({"a": (1,)}, "a value of type tuple at a"),
        ({"a": {1}}, "a value of type set at a"),
        ({"a": np.float32(1)}, "a value of type float32 at a"),
        ({"a": b"x"}, "a value of type bytes at a"),
        ({"a": _deep(250)}, "nested too deep"),
        ({"a": _deep(5_000)}, "nested too deep"),
        (CYCLE, "nested too deep"),
        ([1], "metadata is a mapping or None; got list"),
        ("text", "got str"),
    ],
)
def test_what_json_cannot_hold_names_the_record_and_the_place(metadata: Any, said: str) -> None:
    with pytest.raises(InvalidVectorError, match=f"vector 'doc-7': .*{said}"):
        validation.check_metadata("doc-7", metadata)


def test_integers_up_to_64_bits_are_taken() -> None:
    assert validation.check_metadata("a", {"a": [-(2**63), 2**64 - 1]})


@pytest.mark.parametrize(
    ("vector_id", "namespace", "metadata"),
    [("x" * 65, None, None), ("a", "x" * 65, None), ("a", None, {"a.b": 1})],
)
def test_a_record_is_checked_in_every_part(
    vector_id: str, namespace: str | None, metadata: Any
) -> None:
    assert validation.check_record("a", None, {"a": 1}) == 7
    with pytest.raises(InvalidInputError):
        validation.check_record(vector_id, namespace, metadata)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3.5e38])
def test_values_that_are_no_float32_numbers_are_refused_by_name(value: float) -> None:
    def named(at: int) -> At:
        return At(f"doc-{at}")

    validation.check_finite([as_values([3.4e38, -0.0, 1e-50]), as_values([1.0])], named)
    several = [as_values([1.0, 1.0]), as_values([1.0, value])]
    for rows in several, np.stack(several):
        with pytest.raises(InvalidVectorError, match=r"vector 'doc-1'.*finite.*embedding model"):
            validation.check_finite(rows, named)


def test_other_dimensions_are_refused_by_name() -> None:
    validation.check_dimensions("vector 'a'", 32, 32, index="docs")
    with pytest.raises(
        InvalidVectorError, match=r"vector 'a' has 31 dimensions, the index 'docs' has 32.*model"
    ):
        validation.check_dimensions("vector 'a'", 32, 31, index="docs")


def test_the_limits_are_those_of_the_service() -> None:
    table = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert table == {
        "MIN_DIMENSIONS": 32,
        "MAX_DIMENSIONS": 1536,
        "MAX_ID_BYTES": 64,
        "MAX_NAMESPACE_BYTES": 64,
        "MAX_INDEX_NAME_BYTES": 64,
        "MAX_METADATA_BYTES": 10_240,
        "MAX_METADATA_KEY_CHARS": 512,
        "MAX_INDEXED_BYTES": 64,
        "MAX_METADATA_INDEXES": 10,
        "MAX_VECTORS_PER_WRITE": 5_000,
        "MAX_VECTORS_PER_WRITE_IN_WORKER": 1_000,
        "MAX_UPLOAD_BYTES": 100_000_000,
        "MAX_IDS_PER_GET": 20,
        "MAX_IDS_PER_DELETE": 100,
        "DEFAULT_TOP_K": 5,
        "MAX_TOP_K": 100,
        "MAX_TOP_K_WITH_PAYLOAD": 50,
        "MAX_FILTER_BYTES": 2_048,
        "DEFAULT_LIST_COUNT": 100,
        "MAX_LIST_COUNT": 1_000,
    }


NUMBERS = st.one_of(
    st.floats(), st.integers(-(2**70), 2**70), st.booleans(), st.floats(width=32).map(np.float64)
)


@given(st.lists(NUMBERS))
def test_a_list_of_numbers_becomes_what_numpy_makes_of_it(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        expected = np.array(values, dtype=np.float32)

    array = as_values(values)

    assert array.dtype == np.float32
    assert array.flags.writeable
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**64, "\ud800", (), b""])
def test_flat_metadata_that_is_wrong_is_not_taken_for_exact(value: object) -> None:
    assert jsontext.exact({"a": "x", "b": value}) is None
    assert jsontext.exact({"a": "x", "b": 1.5, "c": None}) == b'{"a":"x","b":1.5,"c":null}'


PARTS = st.text('},{"\\é', max_size=4)
FLAT = st.dictionaries(PARTS, st.one_of(PARTS, st.sampled_from([1.5, 7, None])), min_size=1)
ODD = st.sampled_from([{}, None, {"a": [1]}, {"a": math.nan}, {"a": 2**64}, {7: 1}])


@given(st.lists(FLAT, max_size=4), st.lists(ODD, max_size=1))
@examples(50)
def test_many_dicts_are_encoded_at_once_as_each_by_itself(flat: list[Any], odd: list[Any]) -> None:
    each = [jsontext.exact(value) for value in flat]
    found = jsontext.exact_each([*flat, *odd])
    if odd or any(b'},{"' in text for text in each if text):
        assert found is None
    else:
        assert found == each
